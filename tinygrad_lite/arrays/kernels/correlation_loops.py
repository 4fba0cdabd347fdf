"""Correlations of images with kernels as machine code, without column matrices.

Neighbouring windows read, for each tap, neighbouring elements of the image. So a matrix product can read its operand from the
image itself, at an offset that a table has for each term (channel and tap). An image with padding, or whose windows are several
columns apart, is copied first, a block of rows at a time, which then stays in the second-level cache.
"""

from __future__ import annotations

import functools
import itertools
from array import array
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.kernels.correlation_ir import correlation_part, registers, tiles
from tinygrad_lite.arrays.kernels.correlation_weight_ir import MOST, weight_part
from tinygrad_lite.arrays.kernels.windows import Windows
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.memory import empty_on_cache_lines, start_of
from tinygrad_lite.arrays.threads import get_num_threads
from tinygrad_lite.arrays.workers import PARTS, in_parts

_SMALLEST = 1 << 15  # multiplications
_BLOCK = 192 << 10  # bytes of a block of rows of an image, which should stay in the second-level cache
_CACHED = 28 << 10  # bytes of an image that should stay in the first-level cache
# What is better left to BLAS, which arranges its operands in blocks for all levels of the cache.
_WEIGHTS = 256 << 10  # bytes of the weights that pass by for some terms, if they leave the second-level cache
_FEW, _TOTALS = 128, 1 << 20  # windows of an image, and bytes of the sums to which their products are added
_LONGEST = 1 << 15  # windows of a row, which is never divided


def correlate_directly(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, w: Windows, groups: int) -> np.ndarray | None:
    """`correlate`, or None where NumPy should do it."""
    if not can_be_direct(x, weight, w, weight.size * len(x) * prod(w.count)):
        return None
    weight = weight.reshape(groups, len(weight) // groups, -1)
    _, outputs, terms = weight.shape
    image, lanes = _Image(x, w, outputs), registers().size // x.itemsize
    plan, shapes = image.plan, tiles(registers().sums, outputs)
    taps = image.terms(terms)
    terms_each, vectors_each = _cached(terms, len(plan.taps), image.w.kernel, lanes, x.itemsize, shapes[1][0])
    if terms_each * outputs * x.itemsize > _WEIGHTS:
        return None
    out = np.empty((len(x), groups * outputs, *w.count), x.dtype)
    full, last = (_vectors(*lines, plan.row, lanes) for lines in (plan.full, plan.last))
    masked = min(plan.full[1], plan.last[1]) < lanes
    packed = _packed(weight, shapes[0])
    bias = np.zeros(groups * outputs, x.dtype) if bias is None else np.ascontiguousarray(bias)
    parts, fields = image.fields(PARTS * get_num_threads())
    fields += [
        groups, image.channels // groups * plan.channel, outputs, terms, terms_each, vectors_each, start_of(taps),
        start_of(full), len(full), start_of(last), len(last), start_of(packed), start_of(bias),
        start_of(out), prod(out.shape[1:]), prod(plan.full), prod(out.shape[2:]),
    ]  # fmt: skip
    in_parts(correlation_part(x.dtype, registers().size, shapes, image.step, masked), array("q", fields), parts)
    return out


def correlate_weight_directly(g: np.ndarray, x: np.ndarray, w: Windows, groups: int) -> np.ndarray | None:
    """`correlate_weight`, or None where NumPy should do it."""
    outputs, inputs = g.shape[1] // groups, x.shape[1] // groups
    terms = inputs * prod(w.kernel)
    if not can_be_direct(g, x, w, g.size * terms):
        return None
    lanes = registers().size // x.itemsize
    columns = -(-outputs // lanes) * lanes
    if prod(w.count) < _FEW and terms * columns * x.itemsize > _TOTALS:
        return None
    image, g = _Image(x, w, beside=columns), np.ascontiguousarray(g)
    plan = image.plan
    full, last = prod(plan.full), prod(plan.last)
    most = max(full, last)
    parts, fields = image.fields(get_num_threads())
    turned_size = -(-most * columns // 16) * 16
    turned, totals = empty_on_cache_lines((parts * turned_size,), x.dtype), np.zeros((parts, groups, terms, columns), x.dtype)
    places, taps = _places(*max(plan.full, plan.last), plan.row), image.terms(terms)
    fields += [
        groups, inputs * plan.channel, outputs, terms, -(-terms // MOST), start_of(taps), start_of(places), full, last, start_of(g),
        prod(g.shape[1:]), full, prod(g.shape[2:]), start_of(turned), turned_size, columns, start_of(totals), totals[0].size,
    ]  # fmt: skip
    in_parts(weight_part(x.dtype, registers().size, image.step), array("q", fields), parts)
    total = functools.reduce(np.add, totals)[..., :outputs]
    return np.ascontiguousarray(total.swapaxes(1, 2)).reshape(groups * outputs, inputs, *w.kernel)


def can_be_direct(x: np.ndarray, y: np.ndarray, w: Windows, products: int) -> bool:
    """Whether there are loops for such operands, and so many multiplications are enough for them."""
    if products < _SMALLEST or type(x) is not np.ndarray or type(y) is not np.ndarray:
        return False
    return x.dtype in KINDS and x.dtype == y.dtype and len(w.size) <= 2 and w.count[-1] <= _LONGEST and available()


class _Image:
    """How the windows of x are read: by a `_Plan`, in place if `step` is None.

    outputs: the number of output channels of a group, if the windows of a vector should be neighbours in the result; beside:
    the number of elements that are read with each window.
    """

    def __init__(self, x: np.ndarray, w: Windows, outputs: int = 0, beside: int = 0):
        if len(w.size) == 1:
            x, w = x[:, :, None], Windows(*((n, *sizes) for n, sizes in zip((1, 1, 1, 1, 0, 1), w)))
        if x.strides[3] != x.itemsize:
            x = np.ascontiguousarray(x)
        self.x, self.w, self.channels = x, w, x.shape[1]
        self.strides = tuple(s // x.itemsize for s in x.strides)
        lanes = registers().size // x.itemsize
        inside = w.stride[1] == 1 and not any(w.before) and all(e <= n for e, n in zip(w.extent, w.size))
        least = -(-2 * get_num_threads() // len(x))  # blocks of an image, so that no thread is idle
        # Without padding, kernels of one tap need not know where a row ends.
        if inside and prod(w.kernel) == w.stride[0] == 1 and w.count == w.size and self.strides[2] == w.size[1] and prod(w.size) >= lanes:
            self.step, self.plan = None, _joined(prod(w.size), self.strides[1], (x.shape[1] + beside) * x.itemsize, least)
        elif inside and w.count[1] >= lanes:
            self.step, self.plan = None, _in_place(w, *self.strides[1:3], (x.shape[1] + beside) * x.itemsize, least)
        else:
            self.step, self.plan = w.stride[1], _copied(w, x.shape[1], x.itemsize, least, lanes, outputs, beside)

    def terms(self, count: int) -> np.ndarray:
        """The offset of each of so many terms."""
        return _terms(self.plan.taps.tobytes(), count // len(self.plan.taps), self.plan.channel)

    def fields(self, parts: int) -> tuple[int, list[Any]]:
        """The number of parts, at most so many, and the arguments SOURCE for them."""
        x, w, plan = self.x, self.w, self.plan
        total = len(x) * plan.blocks
        each = -(-total // parts)
        parts = -(-total // each)
        size = 0 if self.step is None else -(-(x.shape[1] * plan.channel + 64) // 16) * 16
        self.scratch = empty_on_cache_lines((parts * size,), x.dtype)
        return parts, [
            total, each, plan.blocks, start_of(x), self.strides[0], plan.full[0] * plan.row if plan.row else plan.full[1], self.strides[1],
            self.strides[2], w.size[0], -w.before[0], plan.rows * w.stride[0], w.stride[0], x.shape[1],
            len(plan.phases), start_of(plan.phases), plan.height, plan.width, start_of(self.scratch), size,
        ]  # fmt: skip


class _Plan(NamedTuple):
    """How an image is read, in blocks of its windows. All offsets are numbers of elements.

    full, last: the lines of windows in a block, and in the last one, and the windows in a line. row: the offset from a line to
    the next (0 if there is only one), channel: from a channel to the next; taps: of each tap. If a block's rows are copied:
    rows: of windows in a block; height, width: of each plane of the copy; phases: see `correlation_ir.source_of`.
    """

    blocks: int
    full: tuple[int, int]
    last: tuple[int, int]
    row: int
    channel: int
    taps: np.ndarray
    rows: int = 0
    height: int = 0
    width: int = 0
    phases: np.ndarray = np.zeros((0, 4), np.int64)


def _divided(count: int, most: int, least: int) -> tuple[int, int, int]:
    """`count` in blocks of at most `most`, and at least so many blocks, if possible: their number, and the sizes of all and of
    the last."""
    each = min(max(most, 1), -(-count // least))
    each = -(-count // -(-count // each))
    blocks = -(-count // each)
    return blocks, each, count - (blocks - 1) * each


@functools.lru_cache(maxsize=256)
def _joined(size: int, channel: int, bytes: int, least: int) -> _Plan:
    _, each, _ = _divided(-(-size // 48), _BLOCK // bytes // 48, least)  # 48: a multiple of most tiles
    each = min(each * 48, size)
    blocks = size // each + (size % each >= 16)  # no block is shorter than a vector
    return _Plan(blocks, (1, each), (1, size - (blocks - 1) * each), 0, channel, np.zeros(1, np.int64))


@functools.lru_cache(maxsize=256)
def _in_place(w: Windows, channel: int, row: int, bytes: int, least: int) -> _Plan:
    blocks, each, last = _divided(w.count[0], _BLOCK // (bytes * w.count[1]), least)
    offsets = np.array([i * row + j for i, j in _taps(w)], np.int64)
    return _Plan(blocks, (each, w.count[1]), (last, w.count[1]), w.stride[0] * row, channel, offsets)


def _taps(w: Windows) -> list[tuple[int, int]]:
    rows, columns = (range(0, k * d, d) for k, d in zip(w.kernel, w.dilation))
    return list(itertools.product(rows, columns))


@functools.lru_cache(maxsize=256)
def _copied(w: Windows, channels: int, item: int, least: int, lanes: int, outputs: int, beside: int) -> _Plan:
    """A plane of the copy has all columns that some taps read, or, if there are no gaps between the rows of windows, those of
    one tap. The latter needs more copies, but rows need not be multiples of the vectors."""
    (rows, columns), (s, t) = w.count, w.stride
    taps = _taps(w)
    more = max(i // s for i, _ in taps)
    planes = list(dict.fromkeys((i % s, j % t) for i, j in taps))
    dense = list(dict.fromkeys((i % s, j) for i, j in taps))
    vectors = rows * -(-columns // lanes)
    if outputs and (columns < lanes or -(-rows * columns // lanes) <= 0.8 * vectors):
        planes = dense
    without_gaps = planes == dense
    width = columns if without_gaps else columns + max(j // t for _, j in taps)
    row_bytes = (channels * len(planes) * width + beside * columns) * item
    blocks, each, last = _divided(rows, _BLOCK // row_bytes - more, least)
    height = each + more
    phases, places = [], []
    for i, j in planes:
        first = j - w.before[1]  # the column of the image where the rows of this plane begin
        begin = -(min(first, 0) // t)
        stop = min(-((first - w.size[1]) // t), width)
        phases.append((i, begin, max(stop - begin, 0), first + begin * t))
    for i, j in taps:
        plane = planes.index((i % s, j if without_gaps else j % t))
        places.append((plane * height + i // s) * width + (0 if without_gaps else j // t))
    full, end = [(1, n * columns) if without_gaps else (n, columns) for n in (each, last)]
    channel = len(planes) * height * width
    return _Plan(blocks, full, end, width, channel, np.array(places, np.int64), each, height, width, np.array(phases, np.int64))


def _cached(terms: int, taps: int, kernel: tuple[int, ...], lanes: int, item: int, widest: int) -> tuple[int, int]:
    """The numbers of terms and of vectors of windows whose elements stay in the first-level cache while all weights pass by."""
    vector, beside = lanes * item, 64 + kernel[1] * item  # bytes
    channels = max(_CACHED // (kernel[0] * (widest * vector + beside)), 1)
    terms_each = -(-terms // -(-terms // (channels * taps)))
    row = _CACHED // (-(-terms_each // taps) * kernel[0])
    return terms_each, max((row - beside) // (vector * widest), 1) * widest


@functools.lru_cache(maxsize=256)
def _terms(taps: bytes, channels: int, channel: int) -> np.ndarray:
    return (np.arange(channels)[:, None] * channel + np.frombuffer(taps, np.int64)).reshape(-1)


@functools.lru_cache(maxsize=256)
def _vectors(lines: int, columns: int, row: int, lanes: int) -> np.ndarray:
    """The vectors of a block of windows: for each the offsets of its first element in the source and in the result, the first
    lane that counts, and how many do. A vector that would go beyond its line begins earlier, so that nothing is read after the
    end of an array."""
    first = np.arange(0, columns, lanes)
    start = np.maximum(np.minimum(first, columns - lanes), 0)
    line, table = np.arange(lines)[:, None], np.empty((lines, len(first), 4), np.int64)
    table[..., 0], table[..., 1] = line * row + start, line * columns + start
    table[..., 2], table[..., 3] = first - start, np.minimum(columns - first, lanes)
    return table.reshape(-1, 4)


@functools.lru_cache(maxsize=256)
def _places(rows: int, columns: int, row: int) -> np.ndarray:
    """The offset of each window of a block."""
    return (np.arange(rows)[:, None] * row + np.arange(columns)).reshape(-1)


def _packed(weight: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Weights (groups, outputs, terms) with the numbers of several outputs side by side for each term."""
    groups, outputs, terms = weight.shape
    out, begin = np.empty((groups, outputs * terms), weight.dtype), 0
    for n in sizes:
        count = (outputs - begin) // n
        part = weight[:, begin : begin + count * n].reshape(groups, count, n, terms)
        target = out[:, begin * terms : (begin + count * n) * terms].reshape(groups, count, terms, n)
        for i in range(n):  # one assignment would take four times as long
            target[..., i] = part[:, :, i]
        begin += count * n
    return out
