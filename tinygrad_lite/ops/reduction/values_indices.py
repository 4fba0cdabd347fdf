"""Elements selected by their index along a dim, as returned by max, sort, median and others."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.ops.calculus import getitem
from tinygrad_lite.ops.calling import raw
from tinygrad_lite.ops.movement.shape import reshape


class ValuesIndices(NamedTuple):
    """The selected elements, and their indices along the dim."""

    values: Any
    indices: Any


def values_at(x: Any, indices: Any, axis: int) -> Any:
    """The elements of `x` at indices along `axis`, like `gather`, without checking the range."""
    return values_and_indices(x, indices, axis, True).values


def values_and_indices(x: Any, indices: Any, axis: int, keepdim: bool) -> ValuesIndices:
    """Like `values_at`, with the indices; without `keepdim`, there is one index per slice along `axis`, and `indices` and
    the result lack that axis."""
    if not x.ndim:
        return ValuesIndices(reshape(values_and_indices(reshape(x, (1,)), reshape(indices, (1,)), 0, True).values, ()), indices)
    array = raw(indices)
    arange = namespace_of(array).arange
    sizes = array.shape if keepdim else (*array.shape[:axis], 1, *array.shape[axis:])
    index: list[Any] = [
        arange(n).reshape((-1,) + (1,) * (len(sizes) - d - 1 - (d < axis and not keepdim))) for d, n in enumerate(sizes)
    ]
    index[axis] = array
    return ValuesIndices(getitem(x, tuple(index)), indices)
