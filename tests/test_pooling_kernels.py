"""The NumPy forms of pooling against their definitions: maxima and places of windows side by side, with ties and NaNs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tinygrad_lite.arrays.kernels import pooling
from tinygrad_lite.arrays.kernels.windows import Windows


def side_by_side(size, kernel):
    ones, count = (1,) * len(size), tuple(n // k for n, k in zip(size, kernel))
    return Windows(size, kernel, kernel, ones, (0,) * len(size), count)


def by_definition(x, w):
    """For each window, the first of its largest taps, or the last that is NaN."""
    out, places = np.empty((len(x), *w.count), x.dtype), np.empty((len(x), *w.count), np.int64)
    for plane, *window in np.ndindex(out.shape):
        for n, tap in enumerate(itertools.product(*map(range, w.kernel))):
            place = tuple(o * s + t for o, s, t in zip(window, w.stride, tap))
            value = x[(plane, *place)]
            if not n or value > out[(plane, *window)] or value != value:
                out[(plane, *window)], places[(plane, *window)] = value, np.ravel_multi_index(place, w.size)
    return out, places


WINDOWS = {
    "2x2": ((6, 8), (2, 2)),
    "a rest left over": ((7, 9), (2, 2)),
    "3x2": ((9, 8), (3, 2)),
    "rows alone": ((9, 8), (3, 1)),
    "columns alone": ((4, 8), (1, 4)),
    "one tap": ((3, 5), (1, 1)),
    "far places": ((4, 400), (2, 2)),
    "one dim": ((30,), (3,)),
    "three dims": ((4, 6, 6), (2, 3, 2)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16, np.uint8])
@pytest.mark.parametrize("name", WINDOWS)
def test_maxima_of_windows_side_by_side(name, dtype, draw):
    w = side_by_side(*WINDOWS[name])
    assert w.side_by_side
    x = draw.integers(0, 4, (3, *w.size)).astype(dtype)  # many ties
    for array in [x, with_nans(x, draw)] if x.dtype.kind == "f" else [x]:
        out, places = pooling.largest(array.reshape(3, 1, *w.size), w)
        for found, wanted in zip((out, places), by_definition(array, w)):
            np.testing.assert_array_equal(found[:, 0], wanted)


def with_nans(x, draw):
    return np.where(draw.random(x.shape) < 0.3, np.nan, np.where(draw.random(x.shape) < 0.2, -np.inf, x)).astype(x.dtype)


def test_large_blocks_are_shared_among_threads(draw):
    x = draw.integers(0, 4, (40, 8, 64, 64)).astype(np.float32)
    w = side_by_side((64, 64), (2, 2))
    out, places = pooling.largest(x, w)
    for image in (0, 17, 39):
        for found, wanted in zip((out[image], places[image]), by_definition(x[image], w)):
            np.testing.assert_array_equal(found, wanted)
