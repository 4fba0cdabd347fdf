"""Grids, Cartesian products and combinations of 1-d tensors."""

from __future__ import annotations

import itertools
import math
from typing import Any

from tinygrad_lite.arrays import int64, namespace_of
from tinygrad_lite.arrays.errors import BadValue, Refusal
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import expand, getitem
from tinygrad_lite.ops.calculus import reshape as _reshape
from tinygrad_lite.ops.movement.joining import stack
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = ["cartesian_prod", "combinations", "meshgrid"]


@operation
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[AnyTensor, ...]:
    """The coordinates of the grid of 1-d tensors, as views: the first tensor varies along dim 0.

    `indexing="xy"`: the first varies along dim 1, the second along dim 0.

    >>> import tinygrad_lite as tg
    >>> tg.meshgrid(tg.tensor([1, 2]), tg.tensor([5, 6]), indexing="ij")
    (tensor([[1, 1],
            [2, 2]]), tensor([[5, 6],
            [5, 6]]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        (tensors,) = tensors
    if indexing not in ("ij", "xy"):
        raise Refusal(argument="indexing", expected="indexing 'ij' or 'xy'", got=repr(indexing))
    if any(len(x.shape) > 1 for x in tensors):
        raise Refusal(argument="tensors", expected="tensors of at most 1 dimension")
    if not tensors:
        raise BadValue(argument="tensors", expected="one or more tensors", got="none")
    order = list(range(len(tensors)))
    if indexing == "xy" and len(tensors) > 1:
        order[:2] = 1, 0
    sizes = [math.prod(x.shape) for x in tensors]
    shape = tuple(sizes[i] for i in order)
    lines = [tuple(n if axis == i else 1 for axis, n in zip(order, shape)) for i in range(len(tensors))]
    return tuple(expand(_reshape(x, line), shape) for x, line in zip(tensors, lines))


@operation
def cartesian_prod(*tensors: Any) -> AnyTensor:
    """All tuples of one element from each 1-d tensor, as rows.

    >>> import tinygrad_lite as tg
    >>> tg.cartesian_prod(tg.tensor([1, 2]), tg.tensor([5, 6]))
    tensor([[1, 5],
            [1, 6],
            [2, 5],
            [2, 6]])
    """
    if any(len(x.shape) != 1 for x in tensors):
        raise Refusal(argument="tensors", expected="1-D tensors")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(x, (-1,)) for x in meshgrid(*tensors)], 1)


@operation
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All combinations of `r` elements of a 1-d tensor, as rows.

    >>> import tinygrad_lite as tg
    >>> tg.combinations(tg.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if len(input.shape) != 1:
        raise Refusal(expected="a 1-D tensor", got=f"the shape {tuple(input.shape)}")
    if r < 0:
        raise Refusal(argument="r", expected="r of 0 or more", got=r)
    if not r:
        return reshape(input[:0], (0,))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = namespace_of(raw(input)).array(list(choose(range(input.shape[0]), r)), int64).reshape(-1, r)
    return getitem(input, (places,))
