"""Reductions beyond comparison with PyTorch: large arrays, plain arrays, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as tg
from tinygrad_lite.arrays import accumulate, add_up, extreme, order, recurrence
from tinygrad_lite.arrays.kernels.sorting import _doubling

SHAPES = [(20000,), (1 << 15,), (100000, 1), (2000, 11), (5000, 1, 8), (128, 512), (3, 7001), (9000, 2), (64, 8, 10, 10)]
SHAPES += [(30, 1, 700), (700, 3000), (20001, 3)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_large_sums(shape, dtype, draw):
    x = draw.random(shape).astype(dtype)
    for axes in [None, *range(len(shape)), *[(0, len(shape) - 1)] * (len(shape) > 1), tuple(range(1, len(shape)))]:
        for keepdim in (False, True):
            got, want = add_up(x, axes, keepdim), x.astype(np.float64).sum(axis=axes, keepdims=keepdim)
            assert got.dtype == dtype and got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=5e-6 if dtype == np.float32 else 1e-13)


def test_a_long_sum_loses_no_digits():
    x = tg.from_numpy(np.full((1 << 20, 4), 0.1, np.float32))
    for total in (x.sum(), x.sum(0), x.sum((0, 1)), x.reshape(4, -1).sum(1)):
        exact = float(np.float32(0.1)) * (x.numel() / total.numel())
        assert float(abs(total / exact - 1).max()) < 5e-6
    assert float(abs(x.mean() / 0.1 - 1)) < 1e-6


def test_extremes_of_short_rows(draw):
    x = draw.standard_normal((8, 40, 7))
    x[3, 5, 2] = np.nan
    for keepdim in (False, True):
        np.testing.assert_array_equal(extreme("maximum", x, 2, keepdim), x.max(axis=2, keepdims=keepdim))
        np.testing.assert_array_equal(extreme("minimum", x, 2, keepdim), x.min(axis=2, keepdims=keepdim))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 1500), st.sampled_from("feil?"), st.booleans(), st.integers(0, 20), st.data())
def test_order_is_the_stable_sort(rows, n, kind, descending, first, data):
    draw = np.random.default_rng(data.draw(st.integers(0, 100)))
    x = np.round(draw.standard_normal((rows, n)) * data.draw(st.sampled_from([0.5, 3, 1e4]))).astype(kind)
    keys = -x.astype(np.float64) if descending else x
    first = min(first, n)
    want = np.argsort(keys, axis=1, kind="stable")
    np.testing.assert_array_equal(order(x, 1, descending), want)
    np.testing.assert_array_equal(order(x, 1, descending, first), want[:, :first])
    np.testing.assert_array_equal(order(x.T, 0, descending, first), want[:, :first].T)


@pytest.mark.parametrize("name", ["add", "maximum", "logaddexp"])
def test_all_ways_to_accumulate(name, draw):
    x = draw.standard_normal((2, 7, 600))
    for axis in (0, 1, 2):
        want = getattr(np, name).accumulate(x, axis=axis)
        np.testing.assert_allclose(accumulate(name, x, axis), want)
        np.testing.assert_allclose(_doubling(getattr(np, name), x, axis), want)


@pytest.mark.parametrize("reverse", [False, True])
def test_both_ways_to_run_a_recurrence(reverse, draw):
    a, b = draw.standard_normal((2, 5, 11, 100))
    one_by_one = recurrence(a, b, 1, reverse)
    doubling = np.stack([recurrence(a[..., i].copy(), b[..., i].copy(), 1, reverse) for i in range(100)], -1)
    np.testing.assert_allclose(one_by_one, doubling)


def test_plain_arrays_give_plain_arrays(draw):
    x = draw.standard_normal((3, 4))
    results = [tg.sum(x, 0), *tg.max(x, 1), *tg.sort(x), *tg.topk(x, 2), tg.std(x, 0), tg.cumsum(x, 0), *tg.median(x, 0)]
    results += [tg.cov(x), tg.quantile(x, 0.5, 0), tg.diff(x), tg.trapezoid(x), tg.unique(x), tg.norm(x, 2, 0)]
    assert all(type(result) is np.ndarray for result in results)


def test_named_results(draw):
    x = tg.from_numpy(draw.standard_normal((3, 4)))
    for result in (x.max(0), x.sort(), x.topk(2), x.median(0), x.mode(), x.kthvalue(1), x.cummax(0)):
        values, indices = result
        assert result.values is values and result.indices is indices
    assert (x.aminmax().max == x.max()).item() and (x.aminmax(dim=0).min == x.amin(0)).all()


@pytest.mark.parametrize("function", [tg.sum, tg.mean, tg.max, tg.std, tg.sort, tg.argmax, tg.amax, tg.median, tg.unique])
def test_only_tensors(function):
    for value in (3.0, [1.0, 2.0], None, "abc"):
        with pytest.raises(TypeError, match="expected a Tensor"):
            function(value)


def test_errors_tell_what_is_wrong():
    x = tg.from_numpy(np.zeros((2, 3)))
    for call, error, message in (
        (lambda: x.sum(5), IndexError, "sum: dim 5 is out of range; a tensor of 2 dimensions takes -2 to 1"),
        (lambda: x.sum((0, 0)), ValueError, "sum: a dim appears twice"),
        (lambda: x.to(int).mean(), TypeError, "mean: expected a floating-point tensor, got int64"),
        (lambda: x[:0].max(), IndexError, "max: nothing to choose from"),
        (lambda: x.topk(4), ValueError, "topk: cannot take 4 elements along dim -1"),
        (lambda: x.quantile(2.0), ValueError, "quantile: expected q from 0 to 1, got 2.0"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_reductions_make_no_view():
    x = tg.ones(())
    for result in (x.sum(), x.max(), x.max(0).values, x.sort().values, x.cumsum(0), x.median(0).values, x.amax()):
        result += 1
    assert x.item() == 1
