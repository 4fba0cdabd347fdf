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
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.threads import get_num_threads
from tinygrad_lite.arrays.workers import in_parts

_SMALLEST = 1 << 15  # multiplications
_BLOCK = 192 << 10  # bytes of a block of rows of an image, which should stay in the second-level cache
_TERMS = 512  # with more, a block of weights leaves the first-level cache
_PARTS = 4  # for each thread, so that one that begins late has less to do


def correlate_directly(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, w: Windows, groups: int) -> np.ndarray | None:
    """`correlate`, or None where NumPy should do it."""
    if not can_be_direct(x, w, weight.size * len(x) * prod(w.count)):
        return None
    out = np.empty((len(x), len(weight), *w.count), x.dtype)
    image = _Image(*_flat(x, w))
    weight = weight.reshape(groups, len(weight) // groups, -1)
    _, outputs, terms = weight.shape
    w, lanes = image.windows, registers().size // x.itemsize
    terms_each = -(-terms // -(-terms // _TERMS))
    # Where a row is no multiple of the vectors, the last one overlaps the one before, which must not be read again later.
    masked = w.count[1] < lanes or (terms_each < terms and w.count[1] % lanes > 0)
    full, last = (_vectors(rows, w.count[1], image.row, lanes, masked) for rows in image.rows)
    shapes = tiles(registers().sums, outputs)
    packed = _packed(weight, shapes[0])
    bias = np.zeros(groups * outputs, x.dtype) if bias is None else np.ascontiguousarray(bias)
    parts, fields = image.fields(_PARTS * get_num_threads())
    taps = image.terms(terms)
    fields += [
        groups, terms // len(image.taps) * image.channel, outputs, terms, terms_each, start_of(taps), start_of(full), len(full),
        start_of(last), len(last), start_of(packed), start_of(bias), start_of(out), prod(out.shape[1:]), image.rows[0] * w.count[1],
        prod(out.shape[2:]),
    ]  # fmt: skip
    in_parts(correlation_part(x.dtype, registers().size, shapes, image.step, masked), array("q", fields), parts)
    return out


def correlate_weight_directly(g: np.ndarray, x: np.ndarray, w: Windows, groups: int) -> np.ndarray | None:
    """`correlate_weight`, or None where NumPy should do it."""
    outputs, inputs, height = g.shape[1] // groups, x.shape[1] // groups, prod(w.kernel)
    terms = inputs * height
    if not can_be_direct(x, w, g.size * terms):
        return None
    image = _Image(*_flat(x, w))
    g = np.ascontiguousarray(g)
    kernel, w, lanes = w.kernel, image.windows, registers().size // x.itemsize
    columns = -(-outputs // lanes) * lanes
    full, last = (rows * w.count[1] for rows in image.rows)
    parts, fields = image.fields(get_num_threads())
    turned_size = -(-full * columns // 16) * 16
    turned, totals = np.empty(parts * turned_size + 16, x.dtype), np.zeros((parts, groups, terms, columns), x.dtype)
    places, taps = _places(*image.rows[:1], w.count[1], image.row), image.terms(terms)
    fields += [
        groups, inputs * image.channel, outputs, terms, -(-terms // MOST), start_of(taps), start_of(places), full, last, start_of(g),
        prod(g.shape[1:]), full, prod(g.shape[2:]), _aligned(turned), turned_size, columns, start_of(totals), totals[0].size,
    ]  # fmt: skip
    in_parts(weight_part(x.dtype, registers().size, image.step), array("q", fields), parts)
    total = functools.reduce(np.add, totals)[..., :outputs]
    return np.ascontiguousarray(total.swapaxes(1, 2)).reshape(groups * outputs, inputs, *kernel)


def can_be_direct(x: np.ndarray, w: Windows, products: int) -> bool:
    """Whether there are loops for such images, and so many multiplications are enough for them."""
    return products >= _SMALLEST and type(x) is np.ndarray and x.dtype in KINDS and len(w.size) <= 2 and available()


def _flat(x: np.ndarray, w: Windows) -> tuple[np.ndarray, Windows]:
    """x (N, C, *size) as images of two dims with contiguous rows."""
    if len(w.size) == 1:
        x, w = x[:, :, None], Windows(*((n, *sizes) for n, sizes in zip((1, 1, 1, 1, 0, 1), w)))
    return (x if x.strides[3] == x.itemsize else np.ascontiguousarray(x)), w


def _aligned(memory: np.ndarray) -> int:
    """An address up to 63 bytes after the start, at the beginning of a cache line."""
    return start_of(memory) + -start_of(memory) % 64


class _Image:
    """How the windows of x are read.

    step: None if in place, otherwise of the columns that are brought together; rows: of windows in a block, and in the last;
    row, channel: the offset from a row of windows, or a channel, to the next; taps: the offset of each tap.
    """

    def __init__(self, x: np.ndarray, w: Windows):
        self.x = x
        threads, lanes = get_num_threads(), registers().size // x.itemsize
        inside = not any(w.before) and all(e <= n for e, n in zip(w.extent, w.size))
        # A kernel of one tap does not ask where a row ends.
        joined = inside and prod(w.kernel) == 1 and w.stride == (1, 1) and x.strides[2] == x.itemsize * w.size[1] and w.count == w.size
        if joined:
            size = prod(w.size)
            self.x = x = x.reshape(*x.shape[:2], 1, size)
            w = w._replace(size=(1, size), count=(1, size))
        self.windows = w
        self.strides = tuple(s // x.itemsize for s in x.strides)
        in_place = inside and w.stride[1] == 1 and w.count[1] >= lanes
        self.step = None if in_place else w.stride[1]
        layout = _layout(w, x.shape[1], self.strides[1:3] if in_place else None, x.itemsize, -(-2 * threads // max(len(x), 1)))
        self.rows, self.blocks, self.height, self.width, self.row, self.channel, self.taps, self.phases = layout

    def terms(self, count: int) -> np.ndarray:
        """The offset of each of so many terms."""
        return _terms(self.taps.tobytes(), count // len(self.taps), self.channel)

    def fields(self, parts: int) -> tuple[int, list[Any]]:
        """The number of parts, at most so many, and the arguments SOURCE for them."""
        x, w = self.x, self.windows
        total = len(x) * self.blocks
        each = max(-(-total // parts), 1)
        parts = -(-total // each)
        size = 0 if self.step is None else -(-(x.shape[1] * self.channel + 64) // 16) * 16
        self.scratch = np.empty(parts * size + 16, x.dtype)
        down = self.rows[0] * w.stride[0]
        return parts, [
            total, each, self.blocks, start_of(x), self.strides[0], down * self.strides[2], self.strides[1], self.strides[2], w.size[0],
            -w.before[0], down, w.stride[0], x.shape[1], len(self.phases), start_of(self.phases), self.height, self.width,
            _aligned(self.scratch), size,
        ]  # fmt: skip


class _Layout(NamedTuple):
    """What `_Image` has under these names; height, width: of a plane of the copy; phases: see `correlation_ir.source_of`."""

    rows: tuple[int, int]
    blocks: int
    height: int
    width: int
    row: int
    channel: int
    taps: np.ndarray
    phases: np.ndarray


@functools.lru_cache(maxsize=256)
def _layout(w: Windows, channels: int, in_place: tuple[int, int] | None, item: int, least: int) -> _Layout:
    """The layout with at least so many blocks, if possible."""
    (rows, columns), (s, t) = w.count, w.stride
    taps = list(itertools.product(*(range(0, k * d, d) for k, d in zip(w.kernel, w.dilation))))

    def divided(row: int, more: int = 0) -> tuple[tuple[int, int], int]:
        each = min(max(_BLOCK // (row * channels * item) - more, 1), -(-rows // least))
        each = -(-rows // -(-rows // each))
        blocks = -(-rows // each)
        return (each, rows - (blocks - 1) * each), blocks

    if in_place is not None:
        channel, row = in_place
        offsets = np.array([i * row + j for i, j in taps], np.int64)
        return _Layout(*divided(columns), 0, 0, s * row, channel, offsets, np.zeros((0, 4), np.int64))
    residues = list(dict.fromkeys((i % s, j % t) for i, j in taps))
    more, width = max(i // s for i, _ in taps), columns + max(j // t for _, j in taps)
    each, blocks = divided(len(residues) * width, more)
    height = each[0] + more
    phases = []
    for i, j in residues:
        first = j - w.before[1]  # the column of the image where the rows of this phase begin
        begin = -(min(first, 0) // t)
        stop = min(-((first - w.size[1]) // t), width)
        phases.append((i, begin, max(stop - begin, 0), first + begin * t))
    places = [(residues.index((i % s, j % t)) * height + i // s) * width + j // t for i, j in taps]
    channel = len(residues) * height * width
    return _Layout(each, blocks, height, width, width, channel, np.array(places, np.int64), np.array(phases, np.int64))


@functools.lru_cache(maxsize=256)
def _terms(taps: bytes, channels: int, channel: int) -> np.ndarray:
    return (np.arange(channels)[:, None] * channel + np.frombuffer(taps, np.int64)).reshape(-1)


@functools.lru_cache(maxsize=256)
def _vectors(rows: int, columns: int, row: int, lanes: int, masked: bool) -> np.ndarray:
    """The vectors of a block of windows: for each the offsets of its first element in the source and in the result, and its
    number of elements."""
    starts = [(j, min(lanes, columns - j)) if masked else (min(j, columns - lanes), lanes) for j in range(0, columns, lanes)]
    return np.array([(i * row + j, i * columns + j, n) for i in range(rows) for j, n in starts], np.int64)


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
        part = weight[:, begin : begin + count * n].reshape(groups, count, n, terms).swapaxes(2, 3)
        out[:, begin * terms : (begin + count * n) * terms].reshape(groups, count, terms, n)[...] = part
        begin += count * n
    return out
