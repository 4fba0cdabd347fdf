"""Maxima of windows, and their positions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tinygrad_lite.arrays.blocked import by_blocks
from tinygrad_lite.arrays.devices import Array, constant, kept, namespace_of
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.pooling_loops import maxima_in_loop, scatter_loop
from tinygrad_lite.arrays.kernels.scatter import scatter_add
from tinygrad_lite.arrays.kernels.windows import Sizes, Windows, copy_rows, cut

# Elements of a block. It is worked on by many short operations: threads with smaller blocks wait for the interpreter more than
# they save. (64, 16, 28, 28) takes 1.3 ms in blocks of a quarter of this size, 1.0 by one thread.
_BLOCK = 1 << 19


def lowest(dtype: np.dtype) -> Any:
    """The smallest value of `dtype`."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


@kernel
def largest(x: Array, w: Windows) -> tuple[Array, Array]:
    """The maxima (N, C, *count) of the windows of x (N, C, *size), and their flat indices within their planes: for ties the
    first, for NaNs the last."""
    xp = namespace_of(x)
    planes = x.reshape(-1, 1, *w.size)
    out = xp.empty((len(planes), 1, *w.count), x.dtype)
    places = xp.empty(out.shape, np.int32 if prod(w.size) < 1 << 31 else np.int64)
    if out.size and not maxima_in_loop(planes, w, out, places):
        corner, first, offsets = _places(w, places.dtype)
        corner, first = constant(corner, x), constant(first, x)
        find = _side_by_side if xp is np and w.side_by_side else _tap_by_tap

        def kernel(x: Array, out: Array, places: Array) -> None:
            x = cut(x, w.start, w.extent, lowest(x.dtype))
            place = find(x, w, first, offsets, out, nans=xp is not np)
            if xp is np and out.dtype.kind == "f" and np.isnan(out.max()):
                place = find(x, w, first, offsets, out, nans=True)
            xp.add(corner, place, out=places)

        by_blocks(kernel, planes, out, places, block=_BLOCK)
    shape = (*x.shape[:2], *w.count)
    return out.reshape(shape), places.reshape(shape)


# While comparing taps, both count their places from the window's own, in the smallest dtype. Differences may wrap around and
# back.


def _tap_by_tap(x: Array, w: Windows, first: Array, offsets: Sequence[Any], out: Array, nans: bool) -> Array:
    """Write the maxima of the windows of x (planes, 1, *extent) to out; returns their places."""
    xp, taps = namespace_of(x), w.taps()
    place = xp.empty(out.shape, first.dtype)
    out[...], place[...] = x[(..., *taps[0])], first
    for elements, offset in zip(taps[1:], offsets[1:]):
        tap = xp.ascontiguousarray(x[(..., *elements)])  # it is read twice, 3 times faster than before
        change = offset - place
        change *= _better(tap, out, nans)
        place += change
        xp.maximum(out, tap, out=out)
    return place


def _side_by_side(x: np.ndarray, w: Windows, first: np.ndarray, offsets: Sequence[Any], out: np.ndarray, nans: bool) -> Array:
    """`_tap_by_tap` for windows side by side: first the maxima along the last dim, then of these along the dim before, and so
    on. 2x2 taps are copied in order as two halves, and the larger ones of these as two quarters."""
    best, place = x, None
    for d in reversed([d for d, k in enumerate(w.kernel) if k > 1]):
        parts = -1, w.kernel[d], prod(w.count[d + 1 :])
        values, places = best.reshape(parts), None if place is None else place.reshape(parts)
        best, place = _copied(values[:, 0], out), None if places is None else _copied(places[:, 0])
        for t in range(1, w.kernel[d]):
            tap, offset = _copied(values[:, t]), first.dtype.type(t * prod(w.size[d + 1 :]))
            better = _better(tap, best, nans).view(np.uint8)
            np.maximum(best, tap, out=best)
            at = offset if places is None else _copied(places[:, t]) + offset
            if place is None:
                place = better * at
            else:
                change = at - place
                change *= better
                place += change
    if best is x:
        out[...] = x.reshape(out.shape)
    return first if place is None else place.reshape(out.shape)


def _copied(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """A contiguous copy of x (rows, length): in the memory of `out` if it has as many elements."""
    copy = np.empty(x.shape, x.dtype) if out is None or out.size != x.size else out.reshape(x.shape)
    copy_rows(copy, x)
    return copy


def _better(tap: Array, best: Array, nans: bool) -> Array:
    better = tap > best
    if nans:
        better |= tap != tap
    return better


@kernel
def into_places(y: Array, places: Array, shape: Sizes, repeated: bool) -> Array:
    """Zeros of `shape` (N, C, *size) with y (N, C, *count) added at flat indices within its planes."""
    xp = namespace_of(y)
    out = xp.empty(shape, y.dtype)

    def kernel(out: Array, y: Array, places: Array) -> None:
        out[...] = 0
        flat = places + xp.arange(0, out.size, out.shape[1]).reshape(-1, 1)
        if repeated:
            scatter_add(out.reshape(-1), (flat,), y)
        else:
            out.reshape(-1)[flat] = y

    if out.size:
        planes = [a.reshape(shape[0] * shape[1], -1) for a in (out, y, places)]
        if (loop := scatter_loop(planes[1], planes[2], planes[0].shape[1], repeated)) is not None:
            loop(*planes)
        else:
            by_blocks(kernel, *planes, block=_BLOCK)
    return out


@kept
def _places(w: Windows, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
    """The flat index of each window's tap 0 in the plane (in `dtype`), the offset from there to its first tap that is not
    padding, and the offset of each tap (both in the smallest dtype)."""
    corner, first, offsets = np.zeros(w.count, np.int64), np.zeros(w.count, np.int64), np.zeros(w.kernel, np.int64)
    for d, (_, k, s, dilation, before, count) in enumerate(zip(*w)):
        along, step = (-1,) + (1,) * (len(w.size) - d - 1), prod(w.size[d + 1 :])
        start = np.arange(count) * s - before
        corner += (start * step).reshape(along)
        first += (-(np.minimum(start, 0) // dilation) * dilation * step).reshape(along)
        offsets += (np.arange(k) * dilation * step).reshape(along)
    near = np.min_scalar_type(offsets.max())
    return corner.astype(dtype), first.astype(near), tuple(offsets.reshape(-1).astype(near))


def largest_of_parts(x: Array, count: Sizes) -> Array:
    """The flat indices within their planes of the maxima of the parts into which `part_bounds` divides x (N, C, *size)."""
    xp = namespace_of(x)
    table = np.zeros((1, 1), np.int64)  # a row for each part: the indices of its elements, some repeated
    for n, m in zip(x.shape[2:], count):
        start, stop = part_bounds(n, m)
        along = np.minimum(start[:, None] + np.arange((stop - start).max(initial=1)), stop[:, None] - 1)
        table = table[:, None, :, None] * n + along[:, None, :]
        table = table.reshape(table.shape[0] * m, table.shape[2] * along.shape[1])
    table = constant(table, x)
    found = x.reshape(x.shape[0] * x.shape[1], prod(x.shape[2:]))[:, table].argmax(axis=-1)
    return xp.take(table, xp.arange(len(table)) * table.shape[1] + found).reshape(*x.shape[:2], *count)


def part_bounds(size: int, count: int) -> tuple[Array, Array]:
    """The start and stop of each of `count` parts of nearly equal size, which may overlap."""
    i = np.arange(count)
    return i * size // max(count, 1), -(-(i + 1) * size // max(count, 1))


def part_members(size: int, count: int) -> np.ndarray:
    """(count, size): whether an element lies in a part."""
    start, stop = part_bounds(size, count)
    place = np.arange(size)
    return (place >= start[:, None]) & (place < stop[:, None])


def part_sizes(size: Sizes, count: Sizes, dtype: np.dtype) -> np.ndarray:
    """How many elements each part has, in the shape `count`."""
    out = np.ones((), dtype)
    for n, m in zip(size, count):
        start, stop = part_bounds(n, m)
        out = np.multiply.outer(out, (stop - start).astype(dtype))
    return out


def largest_at_random(x: Array, samples: Array, kernel: Sizes, count: Sizes) -> Array:
    """The flat places in their planes of the maxima of `count` windows of x (N, C, *size), whose steps follow from
    `samples` (N, C, rank): for each plane a number from 0 to 1 a dim."""
    xp, rank, size = namespace_of(samples), len(kernel), x.shape[2:]
    # The flat place in its plane of every element of every window: (N, C, *count, *kernel).
    places: Any = xp.zeros((1,) * (2 + 2 * rank), np.int64)
    for dim, (n, k, m) in enumerate(zip(size, kernel, count)):
        # The samples stand in the order of the dims in three of them, and in the reverse order in two.
        starts = _random_starts(n, k, m, samples[:, :, dim if rank == 3 else rank - 1 - dim])
        shape = [*x.shape[:2], *(1,) * (2 * rank)]
        shape[2 + dim], shape[2 + rank + dim] = m, k
        places = places * n + (starts[..., None] + xp.arange(k)).reshape(shape)
    places = places.reshape(*x.shape[:2], *count, -1)
    flat = xp.take_along_axis(x.reshape(*x.shape[:2], -1), places.reshape(*x.shape[:2], -1), axis=2).reshape(places.shape)
    best = xp.argmax(flat, axis=-1)  # argmax counts a nan as the largest, as the pooling does
    return xp.take_along_axis(places, best[..., None], axis=-1)[..., 0]


def _random_starts(size: int, kernel: int, count: int, sample: Array) -> Array:
    """Where the windows of one dim begin, (N, C, count), for a number from 0 to 1 for each plane, (N, C)."""
    xp = namespace_of(sample)
    if count == 1:
        return xp.full((*sample.shape, 1), size - kernel)
    step = (size - kernel) / (count - 1)
    sample = sample[..., None]
    starts = ((xp.arange(count) + sample) * step).astype(np.int64) - (sample * step).astype(np.int64)
    starts[..., -1] = size - kernel  # the last window always ends with the image
    return starts
