"""Correlation of a batch of images with kernels, and its transposes, as products of matrices.

    out[n, o, p] = sum over c, t of  weight[o, c, t] * x[n, c, p * stride + t * dilation - before]

What the windows meet is copied into the columns of a matrix, which the weights multiply. A block of
windows at a time: a matrix that leaves the second-level cache costs more to write and to read than
to multiply. On a GPU blocks only bound the memory.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import Array, namespace_of
from tinygrad_lite.arrays.threads import get_num_threads, in_threads, one_blas_thread
from tinygrad_lite.arrays.windows import Windows, cut, strides_of

BLOCK = 1 << 17  # elements of a column matrix
GPU_BLOCK = 1 << 27


def _widened(*arrays: Any) -> Any:
    return [array if array is None else array.astype(np.float32) for array in arrays]


def correlate(x: Array, weight: Array, bias: Array | None, w: Windows, groups: int) -> Array:
    """x (N, C, *size), weight (O, C / groups, *kernel), bias (O,) or None -> (N, O, *count)"""
    if x.dtype == np.float16:
        return correlate(*_widened(x, weight, bias), w, groups).astype(x.dtype)  # type: ignore[call-arg]
    xp = namespace_of(x)
    out = xp.empty((len(x), len(weight), *w.count), x.dtype)
    matrix = weight.reshape(groups, len(weight) // groups, -1)
    column = None if bias is None else bias.reshape(-1, *(1,) * len(w.count))

    def part(start: int, stop: int) -> None:
        for images, rows in _blocks(x, w, start, stop):
            y = xp.matmul(matrix, _columns(x[images], w.rows(rows.start, rows.stop), groups))
            y = y.reshape(len(weight), images.stop - images.start, rows.stop - rows.start, *w.count[1:]).swapaxes(0, 1)
            if column is None:
                out[images, :, rows] = y
            else:
                xp.add(y, column, out=out[images, :, rows])

    _in_parts(part, x, prod(out.shape) * matrix.shape[2])
    return out


def correlate_input(g: Array, weight: Array, w: Windows, groups: int) -> Array:
    """The transpose of `correlate` in x: g (N, O, *count) -> (N, C, *size)"""
    if g.dtype == np.float16:
        return correlate_input(g.astype(np.float32), weight.astype(np.float32), w, groups).astype(g.dtype)
    matrix = weight.reshape(groups, len(weight) // groups, -1)
    if all(s == 1 for s in w.stride):
        # A correlation with the mirrored kernels, which only reads overlapping windows, where the
        # general way adds them up: half the time at 3x3.
        mirrored = matrix.reshape(*matrix.shape[:2], weight.shape[1], -1)[..., ::-1].swapaxes(1, 2)
        kernels = mirrored.reshape(groups * weight.shape[1], -1, *w.kernel)
        return correlate(g, kernels, None, w.reversed(), groups)
    xp = namespace_of(g)
    channels = groups * weight.shape[1]
    out = xp.zeros((len(g), channels, *w.extent), g.dtype)
    taps = w.taps()

    def part(start: int, stop: int) -> None:
        for images, rows in _blocks(g, w, start, stop, channels):
            y = xp.matmul(matrix.swapaxes(1, 2), _rows_of_channels(g[images, :, rows], groups))
            y = y.reshape(channels, len(taps), images.stop - images.start, rows.stop - rows.start, *w.count[1:])
            first = w.stride[0] * rows.start
            block = out[images, :, first:]
            narrow = w.rows(rows.start, rows.stop).taps()
            for i, places in enumerate(narrow):
                block[(..., *places)] += y[:, i].swapaxes(0, 1)

    _in_parts(part, g, prod(g.shape) * matrix.shape[2])
    return cut(out, w.before, w.size)


def correlate_weight(g: Array, x: Array, w: Windows, groups: int) -> Array:
    """The transpose of `correlate` in its weight: g (N, O, *count), x (N, C, *size) -> (O, C / groups, *kernel)"""
    if g.dtype == np.float16:
        return correlate_weight(g.astype(np.float32), x.astype(np.float32), w, groups).astype(g.dtype)
    xp = namespace_of(g)
    shape = (groups, g.shape[1] // groups, x.shape[1] // groups * prod(w.kernel))

    def part(start: int, stop: int) -> Array:
        total = xp.zeros(shape, g.dtype)
        for images, rows in _blocks(x, w, start, stop):
            columns = _columns(x[images], w.rows(rows.start, rows.stop), groups)
            total += xp.matmul(_rows_of_channels(g[images, :, rows], groups), columns.swapaxes(1, 2))
        return total

    totals = _in_parts(part, x, prod(g.shape) * shape[2])
    return functools.reduce(xp.add, totals).reshape(g.shape[1], x.shape[1] // groups, *w.kernel)


def _rows_of_channels(g: Array, groups: int) -> Array:
    """(n, O, *count) -> (groups, O / groups, n * count)"""
    return g.swapaxes(0, 1).reshape(groups, g.shape[1] // groups, -1)


def _columns(x: Array, w: Windows, groups: int) -> Array:
    """(n, C, *size) -> (groups, C / groups * kernel, n * count): what each window meets, as a column"""
    x = cut(x, w.start, w.extent)
    taps, steps = strides_of(x, w)
    channels = x.shape[1] // groups
    shape = (groups, channels, *w.kernel, len(x), *w.count)
    strides = (x.strides[1] * channels, x.strides[1], *taps, x.strides[0], *steps)
    matrix = (groups, channels * prod(w.kernel), len(x) * prod(w.count))
    windows = namespace_of(x).lib.stride_tricks.as_strided(x, shape, strides)
    if type(x) is np.ndarray and windows.strides[-1] == x.itemsize and matrix[1] > channels:
        # Copied row by row, each as if it were one element: rows of 14 floats take half the time.
        windows = windows.view(np.dtype((np.void, w.count[-1] * x.itemsize))).copy().view(x.dtype)
    return windows.reshape(matrix)


def _blocks(x: Array, w: Windows, start: int, stop: int, channels: int = 0) -> Iterator[tuple[slice, slice]]:
    """The images `start` to `stop` and the first dim of their windows, in pieces for one column matrix."""
    limit = BLOCK if type(x) is np.ndarray else GPU_BLOCK
    row = max((channels or x.shape[1]) * prod(w.kernel) * prod(w.count[1:]), 1)
    images, rows = max(limit // (row * w.count[0]), 1), max(limit // row, 1)
    for i in range(start, stop, images):
        for j in range(0, w.count[0], rows):
            yield slice(i, min(i + images, stop)), slice(j, min(j + rows, w.count[0]))


def _in_parts(part: Callable[[int, int], Any], x: Array, products: int) -> list[Any]:
    """`part(start, stop)` over all images, shared among threads where there is enough to multiply."""
    count = min(get_num_threads(), len(x))
    if type(x) is not np.ndarray or count < 2 or products < 1 << 20:
        return [part(0, len(x))]
    ends = [len(x) * i // count for i in range(count + 1)]
    with one_blas_thread():
        return in_threads([functools.partial(part, start, stop) for start, stop in itertools.pairwise(ends)])
