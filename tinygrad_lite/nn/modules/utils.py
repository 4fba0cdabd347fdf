"""Sizes given once for all dims, or one per dim."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_lite.arrays.errors import BadValue


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that repeats a number n times and returns a sequence unchanged."""

    def repeat(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    return repeat


_single, _pair, _triple, _quadruple = map(_ntuple, (1, 2, 3, 4))


def _reverse_repeat_tuple(t: tuple[Any, ...], n: int) -> tuple[Any, ...]:
    """The elements of `t` from the last to the first, each n times: the padding of F.pad for one size a dim."""
    return tuple(x for x in reversed(t) for _ in range(n))


def sizes(layer: str, name: str, x: Any, rank: int) -> tuple[Any, ...]:
    """One size for each of `rank` dims.

    >>> sizes("Conv2d", "kernel_size", 3, rank=2), sizes("Conv2d", "kernel_size", (1, 5), rank=2)
    ((3, 3), (1, 5))
    """
    x = _ntuple(rank)(x)
    if len(x) != rank:
        raise BadValue(function=layer, expected=f"an int or {rank} of them for {name}", got=x)
    return x
