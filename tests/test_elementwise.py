"""What the samples and the comparison with PyTorch do not show of the elementwise functions."""

from __future__ import annotations

import math
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import tinygrad_lite as tg
from tinygrad_lite.arrays import get_num_threads, set_num_threads

FLOATS = arrays(np.float64, array_shapes(max_dims=3), elements=st.floats(-1e6, 1e6))


def ulps(x, exact):
    """The distance between float arrays, in units of the last place of `exact`."""
    return np.max(np.abs(x.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(x.dtype)))


@pytest.mark.parametrize("size", [100, 100_000])
def test_erf_is_accurate(draw, size):
    x = np.concatenate([draw.uniform(-6, 6, size), 10 ** draw.uniform(-30, 2, size)])
    exact = np.array([math.erf(v) for v in x])
    assert ulps(tg.erf(tg.from_numpy(x)).numpy(), exact) <= 1
    single = x.astype(np.float32)
    assert ulps(tg.erf(tg.from_numpy(single)).numpy(), np.array([math.erf(v) for v in single.tolist()])) <= 5


def test_erf_of_extremes():
    for size in (1, 1000):
        x = tg.tensor([math.inf, -math.inf, math.nan, 0.0, -0.0, 1e30]).repeat(size)
        result = tg.erf(x)[:6].tolist()
        assert result[:2] == [1, -1] and math.isnan(result[2]) and result[3:] == [0, 0, 1]
        assert math.copysign(1, result[4]) == -1


def test_erfc_keeps_its_digits():
    assert tg.erfc(tg.tensor(26.0, dtype=tg.float64)).item() == pytest.approx(5.663192408856143e-296, rel=1e-14)


@pytest.mark.parametrize("name", ["exp", "log1p", "sin", "sqrt", "tanh", "sigmoid", "erf"])
@pytest.mark.parametrize("threads", [1, 3])
def test_large_arrays_are_as_small_ones(draw, name, threads):
    x = draw.random((700, 1001), np.float32)
    before = get_num_threads()
    set_num_threads(threads)
    try:
        for array in (x, x.T, x[:, ::2]):
            whole = getattr(tg, name)(tg.from_numpy(array))
            parts = [getattr(tg, name)(tg.from_numpy(part)) for part in np.array_split(array, 100)]
            np.testing.assert_allclose(whole.numpy(), np.concatenate([p.numpy() for p in parts]), rtol=1e-6)
    finally:
        set_num_threads(before)


def test_no_warning_and_no_change_of_numpy_settings():
    x = tg.tensor([0.0, -1.0, 1e38, math.inf, math.nan], requires_grad=True)
    before = np.geterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (1 / x, x.log(), x.exp(), x * x, x.sqrt(), x**0.5, x // 0, x % 0, x.acos(), x.atanh(), x.sigmoid(), x.half()):
            y.sum().backward()
        assert (x - x).isnan().any() and x.detach().to(tg.int32).shape == x.shape
        large = tg.tensor([1e300, math.nan], dtype=tg.float64)
        tg.zeros(2).add_(large), tg.zeros(2).copy_(large), tg.tensor([1e300]), tg.full((2,), math.inf), repr(1 / x)
    assert np.geterr() == before
    with pytest.warns(RuntimeWarning):
        np.float64(1) / np.zeros(1)


def test_masked_nan_leaves_no_trace_in_the_gradient():
    x = tg.tensor([1.0, -2.0], requires_grad=True)
    missing = tg.tensor([math.nan, 0.0])
    tg.where(missing.isnan(), 0.0, (x - missing).abs()).sum().backward()
    assert x.grad.tolist() == [0, -1]


def test_sinc_has_its_true_second_derivative_at_zero():
    x = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
    (g,) = tg.autograd.grad(tg.sinc(x), x, create_graph=True)
    (h,) = tg.autograd.grad(g, x)
    assert (g.item(), h.item()) == (0, pytest.approx(-(math.pi**2) / 3))


def test_small_dtypes_stay():
    x = tg.tensor([1.0, 2.0], dtype=tg.float16)
    for y in (x + 1, 2 - x, x / 3, 1 / x, x**2, 2**x, x.exp(), x.clamp(0, 1), x.sigmoid(), tg.where(x > 1, x, 0.0), x.erf()):
        assert y.dtype == tg.float16
    x = tg.tensor([1, 2], dtype=tg.uint8)
    for y in (x + 1, 300 - x, x * x, x // 2, x % 2, x**2, x & 1, ~x, -x, x.clamp(1, 2), x.abs()):
        assert y.dtype == tg.uint8


def test_zero_dimensional_results_keep_their_precision():
    x = tg.tensor(0.1, dtype=tg.float64, requires_grad=True)
    for f in (lambda x: x**x, lambda x: tg.xlogy(x, 3.7), lambda x: 2.1**x, lambda x: tg.clamp(x * 3, 0.2, 0.9) ** 1.5):
        assert tg.autograd.gradcheck(f, (x,))
        assert tg.autograd.gradgradcheck(f, (x,))


@given(FLOATS)
def test_parts_make_the_whole(array):
    x = tg.from_numpy(array)
    assert tg.equal(x.trunc() + x.frac(), x)
    assert tg.equal(x.abs() * x.sign(), x)
    assert tg.equal(tg.maximum(x, -x), x.abs())
    assert tg.equal(x.clamp(-1, 1), tg.minimum(tg.maximum(x, tg.tensor(-1.0)), tg.tensor(1.0)))
    assert tg.allclose(x.floor() + x.remainder(1), x)


@given(FLOATS, st.floats(0.01, 100))
def test_quotient_and_remainder(array, divisor):
    x = tg.from_numpy(array)
    assert tg.allclose(x // divisor * divisor + x % divisor, x, rtol=1e-9, atol=1e-6)
    whole, divisor = x.long(), int(divisor) + 1
    assert tg.equal(tg.div(whole, divisor, rounding_mode="trunc") * divisor + tg.fmod(whole, divisor), whole)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: tg.maximum(tg.ones(2), 1), "maximum: expected a tensor of numbers or bools, got int"),
        (lambda: tg.sign(2), "sign: expected a Tensor for input, got int"),
        (lambda: tg.abs([1.0]), "abs: expected a Tensor for input, got list"),
        (lambda: tg.ones(2) & 1, "bitwise_and: expected a tensor of integers or bools, got float32"),
        (lambda: 1 - (tg.ones(2) > 0), "sub: a bool tensor cannot be subtracted"),
        (lambda: tg.tensor([1]) // 0, "ZeroDivisionError"),
        (lambda: tg.tensor([2]) ** -1, "integers have no negative powers"),
        (lambda: tg.ones(2).clamp(), "clamp: expected min, max or both"),
        (lambda: tg.where(tg.ones(2), 1, 0), "where: expected a bool tensor as the condition, got float32"),
        (lambda: tg.div(tg.ones(2), 2, rounding_mode="up"), "rounding_mode None, 'trunc' or 'floor', got 'up'"),
        (lambda: tg.ones(2) + tg.ones(3), "add: .*(2,).*(3,)"),
        (lambda: tg.tensor([1], dtype=tg.uint16) + tg.tensor([1]), "uint16 and int64 do not promote"),
    ],
)
def test_errors_say_what_is_wrong(call, words):
    with pytest.raises((TypeError, ValueError, RuntimeError), match=words):
        call()


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ImportError, match=r"gammaln needs SciPy.*tinygrad_lite\[scipy\]"):
        tg.lgamma(tg.ones(2))
    tg.erf(tg.ones(2)), tg.erfc(tg.ones(2))
