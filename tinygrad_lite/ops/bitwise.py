"""Integers (and bools) as strings of bits."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import is_array, promote
from tinygrad_lite.autograd import primitive

__all__ = ["bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor"]

METHODS = __all__
IN_PLACE = __all__


def _integers(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    x, y = promote(x, y)
    for value in (x, y):
        if is_array(value) and value.dtype.kind not in "iub":
            raise TypeError(f"{name}: expected integers or bools, got {value.dtype}")
    return x, y


@primitive
def bitwise_not(x):
    """`~x`: every bit flipped; of bools, not."""
    if x.dtype.kind not in "iub":
        raise TypeError(f"bitwise_not: expected integers or bools, got {x.dtype}")
    return ~x


@primitive
def bitwise_and(x, y):
    """`x & y`."""
    x, y = _integers("bitwise_and", x, y)
    return x & y


@primitive
def bitwise_or(x, y):
    """`x | y`."""
    x, y = _integers("bitwise_or", x, y)
    return x | y


@primitive
def bitwise_xor(x, y):
    """`x ^ y`."""
    x, y = _integers("bitwise_xor", x, y)
    return x ^ y


@primitive
def bitwise_left_shift(x, y):
    """`x << y`."""
    x, y = _integers("bitwise_left_shift", x, y)
    return x << y


@primitive
def bitwise_right_shift(x, y):
    """`x >> y`; the sign of a negative `x` is shifted in."""
    x, y = _integers("bitwise_right_shift", x, y)
    return x >> y
