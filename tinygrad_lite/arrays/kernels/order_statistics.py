"""Order statistics: ranks, modes, searches in sorted arrays, and unique elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import accumulate, in_order, namespace_of, order
from tinygrad_lite.arrays.gpu import whole
from tinygrad_lite.arrays.shapes import require_some


@whole
def place_of_rank(x: Any, axis: Any, keepdim: Any, rank: Any, skip_nan: Any) -> Any:
    """The index along `axis` of the element of `rank` (None: the median)."""
    require_some(x, axis)
    xp = namespace_of(x)
    in_order = xp.sort(x, axis=axis)
    n = x.shape[axis]
    at = xp.full((1,) * x.ndim, (n - 1) // 2 if rank is None else rank)
    if rank is None and x.dtype.kind == "f":
        numbers = (x == x).sum(axis=axis, keepdims=True)  # nan come after these
        at = xp.maximum(numbers - 1, 0) // 2 if skip_nan else xp.where(numbers < n, numbers, at)
    value = xp.take_along_axis(in_order, at, axis)
    return ((x == value) | ((x != x) & (value != value))).argmax(axis=axis, keepdims=keepdim)


@whole
def median_of(x: Any, skip_nan: bool) -> Any:
    """The median of all elements, of two the lower one."""
    in_order = namespace_of(x).sort(x.reshape(-1))
    n = numbers = in_order.size
    if x.dtype.kind != "f":
        require_some(x, None)
    else:
        numbers = int((in_order == in_order).sum())
        if not numbers or (numbers < n and not skip_nan):
            return namespace_of(x).full((), np.nan, x.dtype)
    return in_order[(numbers - 1) // 2]


@whole
def place_of_mode(x: Any, axis: Any, keepdim: Any) -> Any:
    """The index along `axis` of the most frequent element."""
    xp = namespace_of(x)
    places = order(x, axis)
    in_order = xp.moveaxis(xp.take_along_axis(x, places, axis), axis, -1)
    steps = xp.broadcast_to(xp.arange(x.shape[axis]), in_order.shape)
    starts = steps.copy()
    starts[..., 1:] *= in_order[..., 1:] != in_order[..., :-1]
    # The length of the run so far: largest at the end of the longest run, first for the smallest value.
    so_far = steps - accumulate("maximum", starts, x.ndim - 1)
    out = xp.take_along_axis(places, xp.moveaxis(so_far, -1, axis).argmax(axis=axis, keepdims=True), axis)
    return out if keepdim else out.squeeze(axis)


@whole
def search(boundaries: Any, x: Any, side: Any, sorter: Any) -> Any:
    """The index in `boundaries`, row by row, at which each element of x would be inserted."""
    xp = namespace_of(boundaries)
    if boundaries.ndim == 1:
        return xp.searchsorted(boundaries, x, side, sorter=sorter)
    if sorter is not None:
        boundaries = xp.take_along_axis(boundaries, sorter, -1)
    if not x.size:
        return xp.zeros(x.shape, np.int64)
    rows = zip(boundaries.reshape(-1, boundaries.shape[-1]), x.reshape(-1, x.shape[-1]))
    return xp.stack([xp.searchsorted(row, values, side) for row, values in rows]).reshape(x.shape)


def distinct(x: Any, axis: Any, in_place: Any) -> Any:
    """The unique elements (or slices along `axis`), the index of each input element among them, and the counts."""
    xp = namespace_of(x)
    n = x.size if axis is None else x.shape[axis]
    rows = x.reshape(n, 1) if axis is None else xp.moveaxis(x, axis, 0).reshape(n, x.size // n if n else 0)
    if in_place or not rows.size:
        places = xp.arange(n)
    else:
        places = order(rows[:, 0], 0) if rows.shape[1] == 1 else xp.lexsort(rows.T[::-1])
    rows = rows[places]
    new = xp.ones(n, np.bool_)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    starts = xp.nonzero(new)[0]
    inverse = xp.empty(n, np.int64)
    inverse[places] = xp.cumsum(new) - 1
    counts = xp.diff(starts, append=xp.full(1, n))
    if axis is None:
        return rows[starts, 0], inverse.reshape(x.shape), counts
    values = xp.moveaxis(x, axis, 0)[places[starts]]
    return in_order(xp.moveaxis(values, 0, axis)), inverse, counts
