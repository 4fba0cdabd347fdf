"""Padding of the last dims: constant, or from existing elements."""

from __future__ import annotations

import operator
from typing import Any

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import expand, getitem, into_zeros, replaced
from tinygrad_lite.ops.dependence import linear_in
from tinygrad_lite.ops.movement.copying import contiguous, unshared
from tinygrad_lite.ops.movement.flipping import flip
from tinygrad_lite.ops.movement.indexing import narrow
from tinygrad_lite.ops.movement.joining import cat
from tinygrad_lite.ops.typing import Tensor

__all__ = ["constant_pad_nd"]

MODES = ("constant", "reflect", "replicate", "circular")


@operation
def pad(input: Tensor, pad: tuple[int, ...], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with `pad[0]` elements before and `pad[1]` after the last dim, `pad[2]` and `pad[3]` around the dim before
    it, and so on; a negative number removes elements.

    `mode`: "constant" (`value`, by default 0), "reflect" (mirrored, without repeating the last element), "replicate" (the
    last element) or "circular" (from the other end). All but "constant" pad the last one, two or three dims, after one or
    two other dims.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.pad(tg.tensor([[1, 2, 3]]), (2, 1), mode="reflect")
    tensor([[3, 2, 1, 2, 3, 2]])
    """
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if mode not in MODES:
        raise BadValue(argument="mode", expected=f"a mode among {', '.join(MODES)}", got=repr(mode))
    if value:
        raise BadValue(f"mode {mode!r} takes no value, got {value}", got=value)
    rank, pad = len(input.shape), tuple(pad)
    if any(isinstance(n, bool) or not hasattr(n, "__index__") for n in pad):
        raise BadType(expected="ints", got=pad)
    if len(pad) not in (2, 4, 6) or rank - len(pad) // 2 not in (1, 2):
        raise BadValue(f"mode {mode!r} pads the last 1 to 3 dims after 1 or 2 others, got {pad} for {tuple(input.shape)}")
    if mode != "circular" and (0 in input.shape[1:] or (rank == len(pad) // 2 + 1 and not input.shape[0])):
        raise BadValue(expected="sizes of at least 1 (a batch's aside)", got=tuple(input.shape))
    if input.dtype.kind == "b" and mode != "circular":
        raise BadType(f"mode {mode!r} takes no bool tensor", hint="convert it with .to(dtype)")
    out = input
    for i in range(0, len(pad), 2):
        out = _around(out, rank - 1 - i // 2, pad[i], pad[i + 1], mode)
    if min(pad) < 0:
        out = contiguous(out)
    return unshared(out if mode == "circular" else linear_in(out, input), input)


def _around(x: Any, dim: int, before: int, after: int, mode: str) -> Any:
    """`x` padded in one dim."""
    if mode == "circular":  # removed elements do not wrap around
        x, before, after = _without(x, dim, before, after), max(before, 0), max(after, 0)
    size = x.shape[dim]
    most = {"reflect": size - 1, "circular": size}.get(mode)
    if most is not None and max(before, after) > most:
        raise BadValue(f"mode {mode!r} adds at most {most} to dim {dim} of size {size}, got ({before}, {after})")
    if mode != "circular" and size + before + after < 1:
        raise BadValue(f"({before}, {after}) takes away all of dim {dim} of size {size}")
    if before > 0 or after > 0:
        parts = [_beyond(x, dim, before, mode, False), x, _beyond(x, dim, after, mode, True)]
        x = cat([part for part in parts if part is not None], dim)
    return _without(x, dim, before, after)


def _without(x: Any, dim: int, before: int, after: int) -> Any:
    """`x` with elements removed at the start and end of a dim, for negative counts."""
    if before >= 0 and after >= 0:
        return x
    size = x.shape[dim] + min(before, 0) + min(after, 0)
    if size < 0:
        raise BadValue(f"({before}, {after}) takes away more than dim {dim} of size {x.shape[dim]} has")
    return narrow(x, dim, max(-before, 0), size)


def _beyond(x: Any, dim: int, count: int, mode: str, end: bool) -> Any:
    """The padding after the end, or before the start, of a dim."""
    size = x.shape[dim]
    if count <= 0:
        return None
    if mode == "reflect":
        return flip(narrow(x, dim, size - 1 - count if end else 1, count), (dim,))
    if mode == "circular":
        return narrow(x, dim, 0 if end else size - count, count)
    edge = narrow(x, dim, size - 1 if end else 0, 1)
    return expand(edge, (*edge.shape[:dim], count, *edge.shape[dim + 1 :]))


@operation
def constant_pad_nd(input: Tensor, pad: Any, value: float = 0) -> Tensor:
    """`input` with `pad[0]` elements of `value` before and `pad[1]` after the last dim, `pad[2]` and `pad[3]` around the
    dim before it, and so on; a negative number removes elements.

    >>> import tinygrad_lite as tg
    >>> tg.constant_pad_nd(tg.tensor([1, 2]), (1, 2), 9)
    tensor([9, 1, 2, 9, 9])
    """
    pad, rank = tuple(operator.index(n) for n in pad), len(input.shape)
    if len(pad) % 2 or len(pad) > 2 * rank:
        raise Refusal(expected=f"two numbers for each of at most {rank} dims", got=pad)
    edges = [(0, 0)] * (rank - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in reversed(range(0, len(pad), 2))]
    shape = tuple(n + a + b for n, (a, b) in zip(input.shape, edges))
    if min(shape, default=0) < 0:
        raise Refusal(f"{pad} takes away more than the shape {tuple(input.shape)} has")
    if any(a < 0 or b < 0 for a, b in edges):
        input = getitem(input, (*(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(input.shape, edges)), Ellipsis))
    index = tuple(slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(shape, edges))
    if not value:
        return into_zeros(input, shape, index)
    xp = namespace_of(raw(input))
    return replaced(xp.full(shape, value, input.dtype), input, index)
