"""Elements chosen by their places along a dim: what max, sort, median and their like return."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_lite.autograd.node import Traced
from tinygrad_lite.ops.indexing import _getitem, along
from tinygrad_lite.ops.shape import reshape


class ValuesIndices(NamedTuple):
    """Chosen elements, and where along the dim they stood."""

    values: Any
    indices: Any


def chosen(x: Any, indices: Any, axis: int) -> Any:
    """The elements of `x` at places along `axis`, as `gather` gives them; these are known to be in range."""
    array = indices.array if isinstance(indices, Traced) else indices
    if not array.ndim:
        return reshape(chosen(reshape(x, (1,)), array.reshape(1), 0), ())
    return _getitem(x, along(axis, array))


def picked(x: Any, indices: Any, axis: int, keepdim: bool) -> ValuesIndices:
    """The elements of `x` at `indices` (which has size 1 along `axis`), and these indices."""
    values = chosen(x, indices, axis)
    if not keepdim:
        shape = x.shape[:axis] + x.shape[axis + 1 :]
        values, indices = reshape(values, shape), reshape(indices, shape)
    return ValuesIndices(values, indices)
