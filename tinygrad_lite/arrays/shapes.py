"""Shapes: what a reduction leaves of one, and what several broadcast to."""

from __future__ import annotations

import math
from typing import Any

from numpy import broadcast_shapes

from tinygrad_lite.arrays.errors import BadIndex

__all__ = ["broadcast_shapes", "count", "require_some", "with_ones"]

# `axes` as the arrays take them: None for all dims, an int, or a tuple.


def with_ones(shape: tuple[int, ...], axes: Any) -> tuple[int, ...]:
    """`shape` with size 1 in the reduced dims."""
    if type(axes) is int:
        return (*shape[:axes], 1, *shape[axes + 1 :])
    return tuple(1 if axes is None or i in axes else n for i, n in enumerate(shape))


def count(shape: tuple[int, ...], axes: Any) -> int:
    """How many elements a reduction over `axes` makes one of."""
    if type(axes) is int:
        return shape[axes]
    return math.prod(shape if axes is None else [shape[i] for i in axes])


def require_some(x: Any, axes: Any) -> None:
    """Refuse a reduction that has no value for nothing."""
    if not count(x.shape, axes):
        raise BadIndex(f"nothing to choose from: size 0 over {'all dims' if axes is None else f'dim {axes}'}")
