"""Kernels of arrays/ that stand behind several operations."""

import numpy as np
import pytest

from tinygrad_lite.arrays import axpby


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("size", [0, 5, 1 << 14, 100_001])
@pytest.mark.parametrize(("a", "b"), [(1, 0.9), (-0.01, 1), (2.0, -3.0), (0, 1), (1, 1)])
def test_axpby_scales_and_adds_in_place(dtype, size, a, b):
    draw = np.random.default_rng(size)
    x, y = draw.standard_normal((2, size)).astype(dtype)
    before, expected = x.copy(), a * x.astype(np.float64) + b * y
    axpby(a, x, b, y)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-2 if dtype == np.float16 else 1e-6)
    np.testing.assert_array_equal(x, before)


def test_axpby_on_large_arrays_with_gaps_between_their_elements():
    x, y = np.ones((2, 200, 300), np.float32)
    axpby(2.0, x[:, ::2], 3.0, y[:, ::2])
    assert (y[:, ::2] == 5).all() and (y[:, 1::2] == 1).all()


def test_axpby_hands_on_what_is_not_a_number():
    x, y = np.full(20_000, np.nan, np.float32), np.ones(20_000, np.float32)
    axpby(0, x, 1, y)
    assert np.isnan(y).all()
