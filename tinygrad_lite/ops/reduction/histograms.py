"""Histograms in one or more dimensions."""

from __future__ import annotations

import builtins
import math
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from tinygrad_lite.arrays import bool_, device_of, float32, float64, int64, is_array, namespace_of
from tinygrad_lite.arrays.errors import BadType, Refusal
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import to_dtype
from tinygrad_lite.ops.creation.factories import linspace
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.reduction.sorting import searchsorted
from tinygrad_lite.ops.reduction.statistics import _bincount
from tinygrad_lite.ops.typing import Tensor

__all__ = ["histogram", "histogramdd"]

Bins = Any  # a number of bins, or a 1-D tensor of their edges


# What fell into each bin, and the edges of the bins (of several dims: a tuple of them).
Histogram = namedtuple("Histogram", ["hist", "bin_edges"])


def _edges(x: Any, bins: Bins, limits: Sequence[float] | None) -> Any:
    """The edges of `bins` in one dim, for the coordinates `x` (an array)."""
    if isinstance(bins, Traced) or is_array(bins):
        if bins.ndim != 1 or bins.dtype != x.dtype:
            raise Refusal(expected=f"1-D edges of {x.dtype}", got=f"{bins.dtype} of shape {tuple(bins.shape)}")
        return raw(bins)
    if bins < 1:
        raise Refusal(expected="one bin or more", got=bins)
    low, high = limits if limits is not None else (float(x.min()), float(x.max())) if x.size else (0.0, 1.0)
    if not math.isfinite(low) or not math.isfinite(high) or low > high:
        raise Refusal(expected="a finite range with its smaller end first", got=f"{low} to {high}")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return raw(linspace(low, high, bins + 1, dtype=x.dtype, device=device_of(x)))


def _counted(x: Any, edges: list[Any], weight: Any, density: bool) -> Any:
    """The histogram of the points (rows) of the array `x`."""
    xp, dtype = namespace_of(x), x.dtype
    if weight is not None and (math.prod(weight.shape) != len(x) or weight.dtype != dtype):
        raise Refusal(expected=f"{len(x)} weights of {dtype}", got=f"{weight.dtype} of shape {tuple(weight.shape)}")
    sizes = [edge.size - 1 for edge in edges]
    place, inside = xp.zeros(len(x), int64), xp.ones(len(x), bool_)
    for column, edge, size in zip(x.T, edges, sizes):
        inside &= (column >= edge[0]) & (column <= edge[-1])
        bin = xp.minimum(searchsorted(edge, xp.ascontiguousarray(column), right=True) - 1, size - 1)  # the last bin includes both ends
        place = place * size + xp.maximum(bin, 0)
    weight = xp.ones(len(x), dtype) if weight is None else reshape(weight, (-1,))
    hist = to_dtype(reshape(_bincount(place, weight * inside, math.prod(sizes)), tuple(sizes)), dtype)
    if density:
        hist = hist / hist.sum()
        for dim, edge in enumerate(edges):
            hist = hist / xp.diff(edge).reshape((-1,) + (1,) * (len(edges) - dim - 1))
    return hist


def _results(x: Any, hist: Any, edges: list[Any]) -> tuple[Any, list[Any]]:
    """The results as tensors, if `x` is one."""
    if not isinstance(x, Traced):
        return hist, edges
    return hist if isinstance(hist, Traced) else traced(hist), [traced(edge) for edge in edges]


def _check(x: Any) -> None:
    if x.dtype not in (float32, float64):
        raise BadType(expected="a float32 or float64 tensor", got=x.dtype)


@operation
def histogram(
    input: Tensor, bins: Bins, *, range: tuple[float, float] | None = None, weight: Tensor | None = None, density: bool = False
) -> Histogram:  # fmt: skip
    """The number of elements (or the sum of their `weight`) in each of `bins`: a number of equal bins over `range`
    (default: from the smallest to the largest element), or a sorted 1-d tensor of edges. A bin includes its lower edge, the
    last one both. `density`: divide by the total and by the widths.

    >>> import tinygrad_lite as tg
    >>> tg.histogram(tg.tensor([1.0, 2.0, 2.5]), 2, range=(0.0, 4.0)).hist
    tensor([1., 2.])
    """
    _check(input)
    points = raw(input).reshape(-1, 1)
    edges = [_edges(points, bins if isinstance(bins, int) else clone(bins), range)]
    hist, (edge,) = _results(input, _counted(points, edges, weight, density), edges)
    return Histogram(hist, edge)


@operation
def histogramdd(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None, density: bool = False
) -> Histogram:  # fmt: skip
    """The histogram of points, whose coordinates are the last dim of `input`. `bins`: as in `histogram`, one per
    coordinate, or one number for all; `range`: the ends of each coordinate, in sequence."""
    _check(input)
    n = input.shape[-1] if input.ndim > 1 else 0
    bins = [bins] * n if isinstance(bins, int) else list(bins)
    if input.ndim < 2 or len(bins) != n or (range is not None and len(range) != 2 * n):
        raise Refusal(argument="bins", expected="bins (and two ends) for each coordinate of points", got=f"the shape {tuple(input.shape)}")
    points = raw(input).reshape(-1, n)
    ends = [None if range is None else range[2 * i : 2 * i + 2] for i in builtins.range(n)]
    edges = [_edges(points[:, i], bins[i], ends[i]) for i in builtins.range(n)]
    hist, found = _results(input, _counted(points, edges, weight, density), edges)
    return Histogram(hist, tuple(found))
