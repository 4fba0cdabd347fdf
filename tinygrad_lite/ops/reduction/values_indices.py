"""Elements selected by their index along a dim, as returned by max, sort, median and others."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.ops.arguments import raw
from tinygrad_lite.ops.calculus import getitem
from tinygrad_lite.ops.movement.shape import reshape

# Chosen elements, and where along the dim they stood. (A named result is a `namedtuple`: the 16 of them
# would add 2 ms to the import as classes of `NamedTuple`.)
ValuesIndices = namedtuple("ValuesIndices", ["values", "indices"])


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
    index: list[Any] = [arange(n).reshape((-1,) + (1,) * (len(sizes) - d - 1 - (d < axis and not keepdim))) for d, n in enumerate(sizes)]
    index[axis] = array
    return ValuesIndices(getitem(x, tuple(index)), indices)
