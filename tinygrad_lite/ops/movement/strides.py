"""Views with given strides."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.arrays.indexing import Region, unit
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import canonical_dim, canonical_shape, integer, operation, raw
from tinygrad_lite.ops.calculus import getitem, permute
from tinygrad_lite.ops.typing import Tensor

__all__ = ["as_strided"]


@operation
def as_strided(input: Tensor, size: tuple[int, ...], stride: tuple[int, ...], storage_offset: int | None = None) -> Tensor:
    """A view of the elements of `input`'s memory at `storage_offset` plus multiples of `stride`. If `input` is on the tape,
    they must all be its own.

    >>> import tinygrad_lite as tg
    >>> tg.as_strided(tg.arange(4), (2, 2), (2, 1))
    tensor([[0, 1],
            [2, 3]])
    """
    if isinstance(input, Traced) and input.base is not None and input.node is None and input.base.node is None:
        input, storage_offset = input.base, input.storage_offset() if storage_offset is None else storage_offset
    array = raw(input)
    dims = tuple(sorted(range(array.ndim), key=lambda d: (-array.strides[d], -array.shape[d])))
    input = input if array.flags.c_contiguous else permute(input, dims)  # in memory order
    if not raw(input).flags.c_contiguous:
        raise Refusal("the tensor is a view with gaps", hint="clone() it first")
    if storage_offset is not None and isinstance(input, Traced):
        storage_offset -= input.storage_offset()
    return getitem(input, strided_region(input, size, stride, storage_offset))


def strided_region(x: Any, size: Any, stride: Any, offset: int | None) -> Region:
    """A Region of the flattened `x`, checked to lie inside it."""
    size, stride, offset = canonical_shape((size,)), canonical_shape((stride,)), offset or 0
    if len(size) != len(stride) or min((*size, *stride), default=0) < 0:
        raise Refusal(expected="as many sizes as strides, none negative", got=f"{size}, {stride}")
    if 0 not in size and not 0 <= offset < math.prod(x.shape) - sum((n - 1) * s for n, s in zip(size, stride)):
        raise Refusal(f"{size} by {stride} from {offset} on reaches beyond {math.prod(x.shape)} elements")
    return Region(size, tuple((s,) for s in stride), (offset,))


@operation
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of all windows of `size` along a dim, `step` apart; the last dim is within the window.

    >>> import tinygrad_lite as tg
    >>> tg.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    rank, shape = len(input.shape), tuple(input.shape)
    dim = canonical_dim(dimension, rank)
    n = shape[dim] if rank else 1
    size, step = integer("size", size), integer("step", step)
    if not 0 <= size <= n or step <= 0:
        raise Refusal(argument="step", expected=f"a size of 0 to {n} and a positive step", got=f"{size} and {step}")
    if not rank:  # one window
        return getitem(input, Region((size,), ((1,),), (0,)))
    sizes = (*shape[:dim], (n - size) // step + 1, *shape[dim + 1 :], size)
    steps = [unit(rank, d, step if d == dim else 1) for d in range(rank)]
    return getitem(input, Region(sizes, (*steps, unit(rank, dim)), (0,) * rank))
