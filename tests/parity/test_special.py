"""Special functions against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import Fixed, compare, refused

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

draw = np.random.default_rng(12)

ANY, POSITIVE, INSIDE = (-2, 2), (0.3, 2), (-0.9, 0.9)


def numbers(shape, low=0.3, high=2.9, dtype="float64"):
    return np.asarray(draw.uniform(low, high, shape)).astype(dtype)


SPECIAL = {
    "digamma": POSITIVE, "lgamma": POSITIVE, "erfinv": INSIDE, "i0": ANY, "special.entr": POSITIVE, "special.erfcx": ANY,
    "special.erfinv": INSIDE, "special.i0": ANY, "special.i0e": ANY, "special.i1": ANY, "special.i1e": ANY,
    "special.log_ndtr": (-5, 3), "special.ndtr": ANY, "special.ndtri": (0.1, 0.9), "special.psi": POSITIVE,
    "special.gammaln": POSITIVE, "special.digamma": POSITIVE,
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
def test_special(name):
    for shape in ((), (0,), (2, 3)):
        compare(name, numbers(shape, *SPECIAL[name]), rtol=1e-7)
        compare(name, numbers(shape, *SPECIAL[name], "float32"), rtol=2e-4, order=1)
    compare(name, np.array([1, 2]), rtol=1e-5)


def test_special_of_more():
    x, y = numbers((2, 3), 1.5, 3), numbers((3,))
    for n in (0, 1, 2, 3):
        compare("polygamma", n, x, rtol=1e-7)
        compare(lambda m, n=n: lambda x: x.polygamma(n), x, rtol=1e-7)
        compare("special.polygamma", n, x, rtol=1e-7)
    for p in (1, 2, 3):
        compare("mvlgamma", x, p, rtol=1e-7)
        compare("special.multigammaln", x, p, rtol=1e-7)
    for name in ("igamma", "igammac", "special.gammainc", "special.gammaincc"):
        compare(name, Fixed([1.5, 2.5, 3.5]), y, rtol=1e-7)  # PyTorch does not differentiate by the order
    compare(lambda m: lambda y: m.special.zeta(2.5, y), y, rtol=1e-7)
    for name in ("xlogy", "special.xlogy", "special.xlog1py"):
        compare(name, x, y)
        compare(name, x, 1.5, rtol=1e-6)
        compare(name, np.array([0.0, 0.0, 0.0, 1.0, 2.0]), np.array([-1.0, 0.0, np.nan, 2.0, -0.5]), order=1)
    refused("polygamma", -1, x)
    refused("mvlgamma", x, 0)
    refused("igamma", np.array([1, 2]), np.array([1, 2]))


POLYNOMIALS = [name for name in dir(torch.special) if "polynomial" in name]


@pytest.mark.parametrize("name", [f"special.{name}" for name in POLYNOMIALS])
def test_polynomials(name):
    inside = np.array([-1.0, -0.3, 0.0, 0.5, 1.0])
    for degree in (0, 1, 2, 5, 9, -1):
        for dtype in ("float32", "float64"):
            compare(name, Fixed(inside), degree, dtype=dtype, rtol=1e-4 if dtype == "float32" else 1e-9, atol=1e-6)
    compare(name, Fixed(1.5 * inside), np.array([[0], [1], [4]]), rtol=1e-9)
    compare(name, Fixed(np.array(0.3, np.float32)), Fixed([2.7, 3.0, -1.0]))
    compare(name, 0.5, np.array([1, 2, 3]))
    compare(name, np.array([1, 2]), 3)
    compare(name, np.zeros((0, 2), np.float32), 2, order=0)
    refused(name, 0.5, 3)


@pytest.mark.parametrize("name, degree", [("legendre_polynomial_p", 6), ("hermite_polynomial_he", 4), ("chebyshev_polynomial_u", 5)])
def test_polynomials_have_derivatives(name, degree):  # which PyTorch has not
    x = tg.tensor([-0.7, 0.2, 0.9], dtype=tg.float64, requires_grad=True)
    assert tg.autograd.gradgradcheck(lambda x: getattr(tg.special, name)(x, degree), x)


def test_airy():
    compare("special.airy_ai", Fixed(np.linspace(-1.9, 6, 30)), rtol=1e-6)
    compare("special.airy_ai", np.array([0, 1]), rtol=1e-5)
    x = tg.tensor([-0.7, 0.2, 0.9], dtype=tg.float64, requires_grad=True)
    assert tg.autograd.gradgradcheck(tg.special.airy_ai, x)
