"""Sums of windows, and the way back: for each element the sum over the windows it lies in."""

from __future__ import annotations

from math import prod

import numpy as np

from tinygrad_lite.arrays.blocked import by_blocks
from tinygrad_lite.arrays.devices import Array, namespace_of
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.window_loops import add_in_loop, sums_in_loop
from tinygrad_lite.arrays.kernels.windows import Windows, copy_rows, cut


@kernel
def window_sums(x: Array, w: Windows) -> Array:
    """The sum of each window of x (N, C, *size) -> (N, C, *count)."""
    if x.dtype == np.float16:
        return window_sums(x.astype(np.float32), w).astype(x.dtype)
    planes = x.reshape(-1, 1, *w.size)
    out = namespace_of(x).empty((len(planes), 1, *w.count), x.dtype)

    def kernel(x: Array, out: Array) -> None:
        x = cut(x, w.start, w.extent)
        for d in reversed(range(len(w.kernel))):
            x = _sums_along(x, w, d)
        out[...] = x

    if out.size and not sums_in_loop(planes, w, out):
        by_blocks(kernel, planes, out)
    return out.reshape(*x.shape[:2], *w.count)


def _sums_along(x: Array, w: Windows, d: int) -> Array:
    """The sums along one spatial dim."""
    first, *others = [x[elements] for elements in _taps_along(w, d)]
    if not others:
        return first
    out = first + others[0]
    for tap in others[1:]:
        out += tap
    return out


@kernel
def spread_windows(y: Array, w: Windows) -> Array:
    """(N, C, *count) -> (N, C, *size): for each element the sum of the values of the windows it lies in. The transpose of
    `window_sums`."""
    if y.dtype == np.float16:
        return spread_windows(y.astype(np.float32), w).astype(y.dtype)
    if all(s == 1 for s in w.stride):
        return window_sums(y, w.reversed())  # it only reads overlapping windows
    planes = y.reshape(-1, 1, *w.count)
    out = namespace_of(y).empty((len(planes), 1, *w.size), y.dtype)

    def kernel(out: Array, y: Array) -> None:
        for d in reversed(range(len(w.kernel))):
            y = _spread_along(y, w, d)
        out[...] = cut(y, w.before, w.size)

    if out.size and not add_in_loop(planes.reshape(len(planes), *(1,) * len(w.kernel), *w.count), w, out):
        by_blocks(kernel, out, planes)
    return out.reshape(*y.shape[:2], *w.size)


def _spread_along(y: Array, w: Windows, d: int) -> Array:
    """The way back along one spatial dim: to its `extent`."""
    if w.kernel[d] == w.stride[d] == 1:
        return y
    xp, shape = namespace_of(y), (*y.shape[: 2 + d], w.extent[d], *y.shape[3 + d :])
    if w.kernel[d] == w.stride[d] and w.dilation[d] == 1:
        out = xp.empty(shape, y.dtype)
        for elements in _taps_along(w, d):
            copy_rows(out[elements], y)
    else:
        out = xp.zeros(shape, y.dtype)
        for elements in _taps_along(w, d):
            out[elements] += y
    return out


def _taps_along(w: Windows, d: int) -> list[tuple[object, ...]]:
    """For each tap along one spatial dim, the elements of all windows at it."""
    last, after = (w.count[d] - 1) * w.stride[d], (slice(None),) * (len(w.kernel) - 1 - d)
    firsts = range(0, w.kernel[d] * w.dilation[d], w.dilation[d])
    return [(..., slice(i, i + last + 1, w.stride[d]), *after) for i in firsts]


@kernel
def add_windows(x: Array, w: Windows) -> Array:
    """(images, channels, *kernel, *count) -> (images, channels, *spatial): for each element the sum of its values in all
    windows."""
    xp = namespace_of(x)
    planes = x.reshape(-1, *w.kernel, *w.count)
    whole = xp.empty((len(planes), *w.size), x.dtype)
    if whole.size and add_in_loop(planes, w, whole):
        return whole.reshape(*x.shape[:2], *w.size)
    out = xp.zeros((*x.shape[:2], *w.extent), x.dtype)
    flat = x.reshape(*x.shape[:2], prod(w.kernel), *w.count)
    for i, places in enumerate(w.taps()):
        out[(..., *places)] += flat[:, :, i]
    return cut(out, w.before, w.size)
