"""Elements repeated, reversed, shifted, padded and combined."""

from __future__ import annotations

import itertools
import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import device_of, is_array, namespace_of, to_device
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.calculus import expand, getitem, into_zeros, replaced
from tinygrad_lite.ops.calculus import reshape as _reshape
from tinygrad_lite.ops.calling import canonical_dim, canonical_dims, canonical_shape, integer, operation, raw
from tinygrad_lite.ops.movement.indexing import index_select
from tinygrad_lite.ops.movement.joining import cat, split_with_sizes, stack
from tinygrad_lite.ops.movement.shape import clone, contiguous, reshape, shares_memory, transpose

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "cartesian_prod", "combinations", "constant_pad_nd", "flip", "fliplr", "flipud", "meshgrid", "repeat_interleave", "roll",
    "rot90", "tile",
]  # fmt: skip

METHODS = ["flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90", "tile"]
IN_PLACE: list[str] = []


@operation
def repeat(x: Tensor, repeats: tuple[int, ...]) -> Tensor:
    """Copies of `x` side by side: `repeats[d]` of them along dim d, counted from the last dim.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    repeats = canonical_shape("repeat", (repeats,))
    if len(repeats) < len(x.shape) or min(repeats, default=0) < 0:
        raise RuntimeError(f"repeat: expected {len(x.shape)} or more counts, none negative, got {repeats}")
    shape = (1,) * (len(repeats) - len(x.shape)) + tuple(x.shape)
    spread = _reshape(x, tuple(m for n in shape for m in (1, n)))
    spread = expand(spread, tuple(m for pair in zip(repeats, shape) for m in pair))
    result = _reshape(spread, tuple(r * n for r, n in zip(repeats, shape)))
    return clone(result, memory_format="contiguous_format") if shares_memory(x, result) else result


@operation
def tile(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """`repeat` that takes missing counts as 1.

    >>> import tinygrad_lite as tg
    >>> tg.tile(tg.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    dims = canonical_shape("tile", (dims,))
    return repeat(x, (1,) * (len(x.shape) - len(dims)) + dims)


@operation
def repeat_interleave(x: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each slice along `dim` (without it, each element) repeated: as often as an int says, or each
    its own number of times. With one argument: each number i, as often as element i says.

    >>> import tinygrad_lite as tg
    >>> tg.repeat_interleave(tg.tensor([1, 2]), tg.tensor([3, 1]))
    tensor([1, 1, 1, 2])
    """
    array = raw(x)
    xp = namespace_of(array)
    if repeats is None:
        if array.dtype.kind != "i" or array.ndim != 1:
            raise RuntimeError(f"repeat_interleave: expected 1-D integers as counts, got {array.dtype} of shape {array.shape}")
        places = xp.repeat(xp.arange(array.size), array.tolist())
        return traced(places) if isinstance(x, Traced) else places
    if dim is None:
        x, dim = reshape(x, (-1,)), 0
    elif not x.shape:
        raise IndexError("repeat_interleave: a 0-d tensor has no dim to repeat along")
    dim = canonical_dim("repeat_interleave", dim, len(x.shape))
    counts = raw(repeats)
    if is_array(counts) and counts.dtype.kind != "i":
        raise TypeError(f"repeat_interleave: expected integers as repeats, got {counts.dtype}")
    counts = counts.reshape(-1).tolist() if is_array(counts) else [integer("repeat_interleave", "repeats", counts)]
    n = x.shape[dim]
    if len(counts) not in (1, n):
        raise RuntimeError(f"repeat_interleave: expected 1 or {n} counts, got {len(counts)}")
    if min(counts, default=0) < 0:
        raise RuntimeError(f"repeat_interleave: expected counts of 0 or more, got {min(counts)}")
    return index_select(x, dim, xp.repeat(xp.arange(n), counts if len(counts) == n else counts[0]))


def _flip(x: Any, dims: tuple[int, ...]) -> Any:
    return clone(getitem(x, (*(slice(None, None, -1 if d in dims else 1) for d in range(len(x.shape))), ...)))


@operation
def flip(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """A copy with the order of the elements along `dims` reversed.

    >>> import tinygrad_lite as tg
    >>> tg.flip(tg.tensor([[1, 2], [3, 4]]), (0,))
    tensor([[3, 4],
            [1, 2]])
    """
    dims = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    return _flip(x, canonical_dims("flip", dims, len(x.shape)) if dims else ())


@operation
def fliplr(x: Tensor) -> Tensor:
    """`flip` along dim 1.

    >>> import tinygrad_lite as tg
    >>> tg.fliplr(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if len(x.shape) < 2:
        raise RuntimeError(f"fliplr: expected 2 or more dimensions, got the shape {tuple(x.shape)}")
    return _flip(x, (1,))


@operation
def flipud(x: Tensor) -> Tensor:
    """`flip` along dim 0.

    >>> import tinygrad_lite as tg
    >>> tg.flipud(tg.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if not x.shape:
        raise RuntimeError("flipud: expected 1 or more dimensions, got a 0-d tensor")
    return _flip(x, (0,))


@operation
def roll(x: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """The elements shifted along `dims`, those pushed out coming in at the other end; without `dims`
    the flattened tensor is rolled.

    >>> import tinygrad_lite as tg
    >>> tg.roll(tg.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    shifts = tuple(integer("roll", "shifts", n) for n in (shifts if isinstance(shifts, (tuple, list)) else (shifts,)))
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise RuntimeError(f"roll: {len(shifts)} shifts need as many dims")
        return _reshape(roll(_reshape(x, (math.prod(x.shape),)), shifts, 0), tuple(x.shape))
    dims = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if len(shifts) != len(dims):
        raise RuntimeError(f"roll: {len(shifts)} shifts for {len(dims)} dims")
    if not math.prod(x.shape):
        return clone(x)
    if not x.shape:
        raise IndexError("roll: a 0-d tensor has no dim to roll along")
    for shift, dim in zip(shifts, dims):
        dim = canonical_dim("roll", dim, len(x.shape))
        last = shift % max(x.shape[dim], 1)
        x = cat(split_with_sizes(x, (x.shape[dim] - last, last), dim)[::-1], dim)
    return contiguous(x)


@operation
def rot90(x: Tensor, k: int = 1, dims: tuple[int, int] = (0, 1)) -> Tensor:
    """Rotated by k quarter turns, from the first of `dims` towards the second.

    >>> import tinygrad_lite as tg
    >>> tg.rot90(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2 or len(x.shape) < 2:
        raise RuntimeError(f"rot90: expected two dims of a tensor with 2 or more, got {dims} and the shape {tuple(x.shape)}")
    k, (a, b) = integer("rot90", "k", k), canonical_dims("rot90", tuple(dims), len(x.shape))
    if k % 4 == 1:
        return transpose(_flip(x, (b,)), a, b)
    if k % 4 == 3:
        return _flip(transpose(x, a, b), (b,))
    return _flip(x, (a, b)) if k % 4 else clone(x, memory_format="contiguous_format")


@operation
def constant_pad_nd(x: Tensor, pad: Any, value: float = 0) -> Tensor:
    """`x` with `pad[0]` elements of `value` before and `pad[1]` after the last dim, `pad[2]` and
    `pad[3]` around the one before it, and so on; a negative number takes elements away.

    >>> import tinygrad_lite as tg
    >>> tg.constant_pad_nd(tg.tensor([1, 2]), (1, 2), 9)
    tensor([9, 1, 2, 9, 9])
    """
    pad, rank = tuple(operator.index(n) for n in pad), len(x.shape)
    if len(pad) % 2 or len(pad) > 2 * rank:
        raise RuntimeError(f"constant_pad_nd: expected two numbers for each of at most {rank} dims, got {pad}")
    edges = [(0, 0)] * (rank - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in reversed(range(0, len(pad), 2))]
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, edges))
    if min(shape, default=0) < 0:
        raise RuntimeError(f"constant_pad_nd: {pad} takes away more than the shape {tuple(x.shape)} has")
    if any(a < 0 or b < 0 for a, b in edges):
        x = getitem(x, (*(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, edges)), Ellipsis))
    index = tuple(slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(shape, edges))
    if not value:
        return into_zeros(x, shape, index)
    xp = namespace_of(raw(x))
    return replaced(xp.full(shape, value, x.dtype), x, index)


@operation
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Each 1-D tensor over the grid of all of them, as views: the first varies along dim 0.

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
        raise RuntimeError(f"meshgrid: expected indexing 'ij' or 'xy', got {indexing!r}")
    if any(len(x.shape) > 1 for x in tensors):
        raise RuntimeError("meshgrid: expected tensors of at most 1 dimension")
    if not tensors:
        raise ValueError("meshgrid: expected one or more tensors, got none")
    order = list(range(len(tensors)))
    if indexing == "xy" and len(tensors) > 1:
        order[:2] = 1, 0
    sizes = [math.prod(x.shape) for x in tensors]
    shape = tuple(sizes[i] for i in order)
    lines = [tuple(n if axis == i else 1 for axis, n in zip(order, shape)) for i in range(len(tensors))]
    return tuple(expand(_reshape(x, line), shape) for x, line in zip(tensors, lines))


@operation
def cartesian_prod(*tensors: Any) -> Tensor:
    """All ways to take one element of each 1-D tensor, one a row.

    >>> import tinygrad_lite as tg
    >>> tg.cartesian_prod(tg.tensor([1, 2]), tg.tensor([5, 6]))
    tensor([[1, 5],
            [1, 6],
            [2, 5],
            [2, 6]])
    """
    if any(len(x.shape) != 1 for x in tensors):
        raise RuntimeError("cartesian_prod: expected 1-D tensors")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(x, (-1,)) for x in meshgrid(*tensors)], 1)


@operation
def combinations(x: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to take `r` elements of a 1-D tensor, in its order, one a row.

    >>> import tinygrad_lite as tg
    >>> tg.combinations(tg.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if len(x.shape) != 1:
        raise RuntimeError(f"combinations: expected a 1-D tensor, got the shape {tuple(x.shape)}")
    if r < 0:
        raise RuntimeError(f"combinations: expected r of 0 or more, got {r}")
    if not r:
        return reshape(x[:0], (0,))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(x.shape[0]), r)), np.int64).reshape(-1, r)
    array = x.array if isinstance(x, Traced) else x
    return getitem(x, (to_device(places, device_of(array)),))
