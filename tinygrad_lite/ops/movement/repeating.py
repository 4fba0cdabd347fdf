"""Repetition of elements."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import is_array, namespace_of
from tinygrad_lite.arrays.errors import BadIndex, BadType, Refusal
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import canonical_dim, canonical_shape, integer, operation, raw
from tinygrad_lite.ops.calculus import expand
from tinygrad_lite.ops.calculus import reshape as _reshape
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.indexing import index_select
from tinygrad_lite.ops.movement.shape import reshape, shares_memory
from tinygrad_lite.ops.typing import Tensor

__all__ = ["repeat_interleave", "tile"]


@operation
def repeat(input: Tensor, repeats: tuple[int, ...]) -> Tensor:
    """`input` tiled: `repeats[d]` copies along dim d, aligned to the last dim.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    repeats = canonical_shape((repeats,))
    if len(repeats) < len(input.shape) or min(repeats, default=0) < 0:
        raise Refusal(expected=f"{len(input.shape)} or more counts, none negative", got=repeats)
    shape = (1,) * (len(repeats) - len(input.shape)) + tuple(input.shape)
    spread = _reshape(input, tuple(m for n in shape for m in (1, n)))
    spread = expand(spread, tuple(m for pair in zip(repeats, shape) for m in pair))
    result = _reshape(spread, tuple(r * n for r, n in zip(repeats, shape)))
    return clone(result, memory_format="contiguous_format") if shares_memory(input, result) else result


@operation
def tile(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Like `repeat`, with missing counts taken as 1.

    >>> import tinygrad_lite as tg
    >>> tg.tile(tg.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    dims = canonical_shape((dims,))
    return repeat(input, (1,) * (len(input.shape) - len(dims)) + dims)


@operation
def repeat_interleave(input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Repeat each slice along `dim` (without it, each element), `repeats` times or by its own count. With one argument,
    repeat each index i as often as element i says.

    >>> import tinygrad_lite as tg
    >>> tg.repeat_interleave(tg.tensor([1, 2]), tg.tensor([3, 1]))
    tensor([1, 1, 1, 2])
    """
    array = raw(input)
    xp = namespace_of(array)
    if repeats is None:
        if array.dtype.kind != "i" or array.ndim != 1:
            raise Refusal(expected="1-D integers as counts", got=f"{array.dtype} of shape {array.shape}")
        places = xp.repeat(xp.arange(array.size), array.tolist())
        return traced(places) if isinstance(input, Traced) else places
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    elif not input.shape:
        raise BadIndex("a 0-d tensor has no dim to repeat along")
    dim = canonical_dim(dim, len(input.shape))
    counts = raw(repeats)
    if is_array(counts) and counts.dtype.kind != "i":
        raise BadType(argument="repeats", expected="integers as repeats", got=counts.dtype)
    counts = counts.reshape(-1).tolist() if is_array(counts) else [integer("repeats", counts)]
    n = input.shape[dim]
    if len(counts) not in (1, n):
        raise Refusal(expected=f"1 or {n} counts", got=len(counts))
    if min(counts, default=0) < 0:
        raise Refusal(expected="counts of 0 or more", got=min(counts))
    return index_select(input, dim, xp.repeat(xp.arange(n), counts if len(counts) == n else counts[0]))


