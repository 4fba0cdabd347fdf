"""Softmax and its logarithm against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import accepted_or_refused, compare, refused, torch

F = "nn.functional."
draw = np.random.default_rng(91)
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
both = pytest.mark.parametrize("name", ["softmax", "log_softmax"])


def normal(*shape):
    return draw.standard_normal(shape)


@both_dtypes
@both
def test_dims(name, dtype):
    x = normal(3, 4, 5)
    for dim in (0, 1, 2, -1):
        compare(name, x, dim, dtype=dtype)
        compare(F + name, x.transpose(2, 0, 1), dim=dim, dtype=dtype)
        compare(F + "softmin", x, dim, dtype=dtype)
    compare(name, np.array(1.5), 0, dtype=dtype)
    compare(name, np.array(1.5), -1, dtype=dtype)
    for shape in ((0, 3), (3, 0), (2, 0, 3)):
        compare(name, np.zeros(shape), 1, dtype=dtype)
    compare(lambda m: lambda x: getattr(x, name)(1), x, dtype=dtype)


@both
def test_dtype_argument(name):
    compare(name, normal(3, 4), 1, dtype="float32")
    compare(lambda m: lambda x: getattr(m, name)(x, 1, dtype=m.float64), normal(3, 4).astype("float32"))
    compare(lambda m: lambda x: getattr(m, name)(x, 0, dtype=m.float32), np.arange(4))
    refused(name, np.arange(4), 0)
    refused(name, normal(3), 1)
    refused(name, normal(3))
    accepted_or_refused(name, np.array([True, False]), 0)


@both
def test_rows_far_apart(name):
    """Rows share one maximum as long as no digit is lost, and otherwise use their own."""
    for spread in (5.0, 12.0, 20.0, 100.0, 1e4):
        x = normal(64, 6) * 3
        x[::3] -= spread
        compare(name, x, 1, dtype="float32", order=1)
        exact = getattr(torch, name)(torch.from_numpy(x.astype("float32")).double(), 1).numpy()
        np.testing.assert_allclose(getattr(tg, name)(tg.from_numpy(x.astype("float32")), 1).numpy(), exact, rtol=4e-6, atol=2e-6)
        compare(F + "cross_entropy", x, draw.integers(0, 6, 64), dtype="float32", order=1, reduction="none")


@both_dtypes
@both
def test_infinities_and_nan(name, dtype):
    x = normal(7, 5)
    x[0, 1] = -np.inf
    x[1] = -np.inf
    x[2, 3] = np.inf
    x[3, 0] = np.nan
    x[4] -= 1000
    for dim in (0, 1):
        compare(name, x, dim, dtype=dtype, order=0)
    compare(name, x[[0, 4]], 1, dtype=dtype, order=1)


@both
def test_large(name):
    compare(name, normal(3000, 70), 1, dtype="float32", order=1)
    compare(name, normal(3000, 70).T, 1, dtype="float32", order=1)
    compare(F + "cross_entropy", normal(3000, 70), draw.integers(0, 70, 3000), dtype="float32", order=1)


@pytest.mark.filterwarnings("ignore")
def test_without_a_dim():
    for shape in ((3,), (3, 4), (3, 4, 2), (3, 4, 2, 2)):
        for name in ("softmax", "log_softmax", "softmin"):
            compare(F + name, normal(*shape))
    with pytest.warns(UserWarning, match="softmax: give dim"):
        tg.nn.functional.softmax(tg.ones(2, 2))


def test_logsumexp_agrees():
    x = normal(40, 9) * 10
    ours = tg.logsumexp(tg.tensor(x), 1) - tg.tensor(x)[:, 0]
    np.testing.assert_allclose(-tg.log_softmax(tg.tensor(x), 1)[:, 0].numpy(), ours.numpy(), rtol=1e-10, atol=1e-13)
    compare(F + "nll_loss", x, np.zeros(40, int), reduction="sum")
