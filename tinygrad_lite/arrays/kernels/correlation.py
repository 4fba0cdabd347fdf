"""Cross-correlation of a batch of images with kernels, and its transposes, as matrix products.

    out[n, o, p] = sum over c, t of  weight[o, c, t] * x[n, c, p * stride + t * dilation - before]

The windows' elements are copied into the columns of a matrix, which the weights multiply: a block of windows at a time,
because a matrix larger than the second-level cache costs more to write and read than to multiply. On a GPU, blocks only
limit the memory. Where loops can be compiled, most correlations need no such matrix: see correlation_loops.py.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays.devices import Array, namespace_of
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.correlation_loops import can_be_direct, correlate_directly, correlate_weight_directly
from tinygrad_lite.arrays.kernels.windows import Windows, copy_rows, cut, windows_in
from tinygrad_lite.arrays.threads import get_num_threads, in_threads, one_blas_thread

BLOCK = 1 << 18  # elements of a column matrix
GPU_BLOCK = 1 << 27


def _widened(*arrays: Any) -> Any:
    return [array if array is None else array.astype(np.float32) for array in arrays]


@kernel
def correlate(x: Array, weight: Array, bias: Array | None, w: Windows, groups: int) -> Array:
    """x (N, C, *size), weight (O, C / groups, *kernel), bias (O,) or None -> (N, O, *count)"""
    if x.dtype == np.float16:
        return correlate(*_widened(x, weight, bias), w, groups).astype(x.dtype)  # type: ignore[call-arg]
    if (found := correlate_directly(x, weight, bias, w, groups)) is not None:
        return found
    xp = namespace_of(x)
    out = xp.empty((len(x), len(weight), *w.count), x.dtype)
    inputs, joined = weight.shape[1], _few(w)
    slices = _slices(w, inputs, least=len(weight) // groups)
    apart = weight.reshape(groups, len(weight) // groups, inputs, slices, prod(w.kernel) // slices).transpose(3, 0, 1, 2, 4)
    matrices = [part.reshape(*part.shape[:2], -1) for part in apart]
    if bias is not None:  # a row of ones is added to the columns
        matrices[0] = xp.concatenate([matrices[0], bias.reshape(groups, -1, 1)], axis=2)

    def part(x: Array, out: Array) -> None:
        for images, rows, columns in _columns(x, w, groups, joined, slices, bias is not None):
            y = out[images, :, rows]
            if joined:
                y[...] = (matrices[0] @ columns[0]).reshape(y.shape[1], y.shape[0], *y.shape[2:]).swapaxes(0, 1)
                continue
            target = _matrices(y, groups)
            if xp is np:
                np.matmul(matrices[0], columns[0], out=target)
            else:
                target[...] = matrices[0] @ columns[0]
            for matrix, column in zip(matrices[1:], columns[1:]):
                target += matrix @ column

    _in_parts(part, x, out, products=out.size * inputs * prod(w.kernel))
    return out


@kernel
def correlate_input(g: Array, weight: Array, w: Windows, groups: int) -> Array:
    """The transpose of `correlate` in x: g (N, O, *count) -> (N, C, *size)"""
    if g.dtype == np.float16:
        return correlate_input(g.astype(np.float32), weight.astype(np.float32), w, groups).astype(g.dtype)
    xp = namespace_of(g)
    channels = groups * weight.shape[1]
    matrix = weight.reshape(groups, len(weight) // groups, -1)
    if all(s == 1 for s in w.stride) and weight.size <= g.size:
        # A correlation with mirrored kernels only reads overlapping windows, where the general way
        # adds them up. For kernels larger than the images, mirroring would cost more.
        mirrored = matrix.reshape(*matrix.shape[:2], weight.shape[1], -1)[..., ::-1].swapaxes(1, 2)
        return correlate(g, mirrored.reshape(channels, -1, *w.kernel), None, w.reversed(), groups)
    if max(w.stride) > 1 and can_be_direct(g, weight, w, g.size * matrix.shape[2]):
        return _by_phases(g, weight, w, groups)
    out, joined = xp.zeros((len(g), channels, *w.extent), g.dtype), _few(w)

    def part(g: Array, out: Array) -> None:
        for images, rows in _blocks(g, channels, w):
            y = matrix.swapaxes(1, 2) @ _matrices(g[images, :, rows], groups, joined)
            count = (rows.stop - rows.start, *w.count[1:])
            if joined:
                y = y.reshape(channels, -1, len(g[images]), *count).transpose(2, 0, 1, *range(3, 3 + len(count)))
            else:
                y = y.reshape(len(y), channels, -1, *count)
            block = out[images, :, w.stride[0] * rows.start :]
            for i, places in enumerate(w.rows(rows.start, rows.stop).taps()):
                block[(..., *places)] += y[:, :, i]

    _in_parts(part, g, out, products=g.size * matrix.shape[2])
    return cut(out, w.before, w.size)


@kernel
def correlate_weight(g: Array, x: Array, w: Windows, groups: int) -> Array:
    """The transpose of `correlate` in its weight: g (N, O, *count), x (N, C, *size) -> (O, C / groups, *kernel)"""
    if g.dtype == np.float16:
        return correlate_weight(g.astype(np.float32), x.astype(np.float32), w, groups).astype(g.dtype)
    if (found := correlate_weight_directly(g, x, w, groups)) is not None:
        return found
    xp = namespace_of(g)
    outputs, inputs = g.shape[1] // groups, x.shape[1] // groups
    height = inputs * prod(w.kernel)
    joined = _few(w)
    slices = _slices(w, inputs, least=64)

    def part(g: Array, x: Array) -> Array:
        if joined:
            total = xp.zeros((1, groups, outputs, height), g.dtype)
            for images, rows, columns in _columns(x, w, groups, joined, slices):
                total += _matrices(g[images, :, rows], groups, joined) @ columns[0].swapaxes(1, 2)
            return total
        # For (32, 196) @ (196, 144) BLAS takes 1.5 times as long as for the transposed product.
        total = xp.zeros((slices, groups, height // slices, outputs), g.dtype)
        for images, rows, columns in _columns(x, w, groups, joined, slices):
            rest = _matrices(g[images, :, rows], groups).swapaxes(2, 3)
            for i, column in enumerate(columns):
                total[i] += (column @ rest).sum(axis=0)
        return total.swapaxes(2, 3)

    total = functools.reduce(xp.add, _in_parts(part, g, x, products=g.size * height))
    total = total.reshape(slices, groups, outputs, inputs, -1).transpose(1, 2, 3, 0, 4)
    return total.reshape(g.shape[1], inputs, *w.kernel)


class _Phase(NamedTuple):
    """The elements of one dim, `stride` apart, that the same taps of windows reach, and the windows of stride 1 over these
    windows that transpose them."""

    elements: slice
    taps: slice
    dilation: int
    before: int
    size: int


def _phases(w: Windows, dim: int) -> Iterator[_Phase]:
    size, kernel, stride, dilation, before, _ = (sizes[dim] for sizes in w)
    common = gcd(stride, dilation)
    for first in range(min(stride, size)):
        taps = slice(next((t for t in range(kernel) if (t * dilation - before - first) % stride == 0), kernel), kernel, stride // common)
        last = range(kernel)[taps][-1:]
        distance = (first + before - last[0] * dilation) // stride if last else 0  # from the element to its window at the last tap
        yield _Phase(slice(first, None, stride), taps, dilation // common, -distance, len(range(first, size, stride)))


def _by_phases(g: Array, weight: Array, w: Windows, groups: int) -> Array:
    """`correlate_input` for strides: elements that the same taps reach are a correlation of stride 1 of their own."""
    out = namespace_of(g).zeros((len(g), groups * weight.shape[1], *w.size), g.dtype)
    for phases in itertools.product(*(_phases(w, dim) for dim in range(len(w.size)))):
        part = weight[(..., *(phase.taps for phase in phases))]
        if part.size:
            mirrored = part[(..., *(slice(None, None, -1),) * len(phases))]
            mirrored = mirrored.reshape(groups, -1, *mirrored.shape[1:]).swapaxes(1, 2).reshape(out.shape[1], -1, *part.shape[2:])
            ones = (1,) * len(phases)
            _, _, dilation, before, size = zip(*phases)
            windows = Windows(w.count, part.shape[2:], ones, dilation, before, size)
            out[(..., *(phase.elements for phase in phases))] = correlate(g, mirrored, None, windows, groups)
    return out


def _few(w: Windows) -> bool:
    """Whether images have so few windows that several images should share one product: with 8x8 windows and 256 channels
    that takes half the time of a product for each."""
    return prod(w.count) < 128


def _matrices(y: Array, groups: int, joined: bool = False) -> Array:
    """(n, O, *count) -> (n, groups, O / groups, count), a view, or `joined` (groups, O / groups, n * count)"""
    if joined:
        return y.swapaxes(0, 1).reshape(groups, y.shape[1] // groups, y[:, 0].size)
    return y.reshape(len(y), groups, y.shape[1] // groups, y[0, 0].size)


def _slices(w: Windows, channels: int, least: int) -> int:
    """The number of products into which the taps of the first dim are split, each with another slice of one matrix of the
    other dims' taps, if there are enough of these: for 3x3 that is a third of the copies."""
    apart = w.stride[0] == 1 and not _few(w) and channels * prod(w.kernel[1:]) >= max(least, 32)
    return w.kernel[0] if apart else 1


def _columns(
    x: Array, w: Windows, groups: int, joined: bool, slices: int, ones: bool = False
) -> Iterator[tuple[slice, slice, list[Array]]]:
    """The blocks of x (N, C, *size), each with its column matrix (n, groups, C / groups * kernel, count), or `joined`
    (groups, C / groups * kernel, n * count), whose columns are the windows. There are as many matrices as `slices`. `ones`:
    the first has a last row of ones. The next block overwrites the matrices."""
    more, dilation = 0, w.dilation[0]
    x = cut(x, w.start, w.extent)
    if slices > 1:
        more = (w.kernel[0] - 1) * dilation
        w = w._replace(kernel=(1, *w.kernel[1:]), count=(w.count[0] + more, *w.count[1:]))
    windows = windows_in(x, w)
    channels, rank = x.shape[1] // groups, len(w.count)
    windows = windows.reshape(len(x), groups, channels, *windows.shape[2:])
    height, row = channels * prod(w.kernel), prod(w.count[1:])
    out = None
    for images, rows in _blocks(x, x.shape[1], w, more):
        part = windows[(images, ..., slice(rows.start, rows.stop + more), *(slice(None),) * (rank - 1))]
        if joined:
            part = part.transpose(1, 2, *range(3, 3 + rank), 0, *range(3 + rank, 3 + 2 * rank))
        count, width = images.stop - images.start, (rows.stop - rows.start) * row
        shape: tuple[int, ...] = (count, groups, height + ones, width + more * row)
        if joined:
            shape = (groups, height + ones, count * width)
        if out is None or out.shape != shape:
            out = namespace_of(x).ones(shape, x.dtype)
        copy_rows(out[..., :height, :].reshape(part.shape), part)
        if slices == 1:
            yield images, rows, [out]
        else:
            starts = range(0, (more + 1) * row, dilation * row)
            yield images, rows, [out[..., : height + (ones and not i), i : i + width] for i in starts]


def _blocks(x: Array, channels: int, w: Windows, more: int = 0) -> Iterator[tuple[slice, slice]]:
    """Slices of the images of x and of the first dim of their windows, except the last `more`, each for one column matrix."""
    limit = BLOCK if type(x) is np.ndarray else GPU_BLOCK
    row = max(channels * prod(w.kernel) * prod(w.count[1:]), 1)
    images, rows = max(limit // (row * w.count[0]), 1), max(limit // row - more, 1)
    for i in range(0, len(x), images):
        for j in range(0, w.count[0] - more, rows):
            yield slice(i, min(i + images, len(x))), slice(j, min(j + rows, w.count[0] - more))


def _in_parts(part: Callable[[Array, Array], Any], x: Array, y: Array, products: int) -> list[Any]:
    """Call `part(x, y)` on all images of both, split among threads if there is enough to multiply."""
    count = min(get_num_threads(), len(x))
    if type(x) is not np.ndarray or count < 2 or products < 1 << 20:
        return [part(x, y)]
    ends = [len(x) * i // count for i in range(count + 1)]
    with one_blas_thread():
        return in_threads([functools.partial(part, x[i:j], y[i:j]) for i, j in itertools.pairwise(ends)])
