"""Reversal, shifts and rotations."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays.errors import BadIndex, Refusal
from tinygrad_lite.ops.arguments import canonical_dim, canonical_dims, integer, operation
from tinygrad_lite.ops.calculus import getitem
from tinygrad_lite.ops.calculus import reshape as _reshape
from tinygrad_lite.ops.movement.copying import clone, contiguous
from tinygrad_lite.ops.movement.joining import cat, split_with_sizes
from tinygrad_lite.ops.movement.transposing import transpose
from tinygrad_lite.ops.typing import Tensor

__all__ = ["flip", "fliplr", "flipud", "roll", "rot90"]


def _flip(x: Any, dims: tuple[int, ...]) -> Any:
    return clone(getitem(x, (*(slice(None, None, -1 if d in dims else 1) for d in range(len(x.shape))), ...)))


@operation
def flip(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """A copy with the order of the elements along `dims` reversed.

    >>> import tinygrad_lite as tg
    >>> tg.flip(tg.tensor([[1, 2], [3, 4]]), (0,))
    tensor([[3, 4],
            [1, 2]])
    """
    dims = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    return _flip(input, canonical_dims(dims, len(input.shape)) if dims else ())


@operation
def fliplr(input: Tensor) -> Tensor:
    """`flip` along dim 1.

    >>> import tinygrad_lite as tg
    >>> tg.fliplr(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if len(input.shape) < 2:
        raise Refusal(expected="2 or more dimensions", got=f"the shape {tuple(input.shape)}")
    return _flip(input, (1,))


@operation
def flipud(input: Tensor) -> Tensor:
    """`flip` along dim 0.

    >>> import tinygrad_lite as tg
    >>> tg.flipud(tg.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if not input.shape:
        raise Refusal(expected="1 or more dimensions", got="a 0-d tensor")
    return _flip(input, (0,))


@operation
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """The elements shifted cyclically along `dims`; without `dims`, in the flattened tensor.

    >>> import tinygrad_lite as tg
    >>> tg.roll(tg.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    shifts = tuple(integer("shifts", n) for n in (shifts if isinstance(shifts, (tuple, list)) else (shifts,)))
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise Refusal(f"{len(shifts)} shifts need as many dims")
        return _reshape(roll(_reshape(input, (math.prod(input.shape),)), shifts, 0), tuple(input.shape))
    dims = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if len(shifts) != len(dims):
        raise Refusal(f"{len(shifts)} shifts for {len(dims)} dims")
    if not math.prod(input.shape):
        return clone(input)
    if not input.shape:
        raise BadIndex("a 0-d tensor has no dim to roll along")
    for shift, dim in zip(shifts, dims):
        dim = canonical_dim(dim, len(input.shape))
        last = shift % max(input.shape[dim], 1)
        input = cat(split_with_sizes(input, (input.shape[dim] - last, last), dim)[::-1], dim)
    return contiguous(input)


@operation
def rot90(input: Tensor, k: int = 1, dims: tuple[int, int] = (0, 1)) -> Tensor:
    """Rotate by k quarter turns, from the first of `dims` towards the second.

    >>> import tinygrad_lite as tg
    >>> tg.rot90(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2 or len(input.shape) < 2:
        raise Refusal(expected="two dims of a tensor with 2 or more", got=f"{dims} and the shape {tuple(input.shape)}")
    k, (a, b) = integer("k", k), canonical_dims(tuple(dims), len(input.shape))
    if k % 4 == 1:
        return transpose(_flip(input, (b,)), a, b)
    if k % 4 == 3:
        return _flip(transpose(input, a, b), (b,))
    return _flip(input, (a, b)) if k % 4 else clone(input, memory_format="contiguous_format")
