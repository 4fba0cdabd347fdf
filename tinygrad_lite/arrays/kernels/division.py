"""Division with rounding, as PyTorch divides."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import Array, namespace_of, only_numbers, promoted, some_tensor
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.arrays.gpu import is_symbol


def divided(name: str, x: Any, y: Any, rounding: str) -> Array:
    """`x / y` rounded "trunc" (towards zero) or "floor"; of integers an integer."""
    x, y = _divisible(name, x, y)
    xp = namespace_of(x)
    if x.dtype.kind == "f":
        return xp.floor_divide(x, y) if rounding == "floor" else xp.trunc(x / y)
    quotient = x // y
    if rounding == "trunc" and x.dtype.kind == "i":
        quotient += ((x < 0) != (y < 0)) & (quotient * y != x)
    return quotient


def remainder_of(name: str, x: Any, y: Any, rounding: str) -> Array:
    """What `divided` leaves over."""
    x, y = _divisible(name, x, y)
    return x % y if rounding == "floor" else namespace_of(x).fmod(x, y)


def _divisible(name: str, x: Any, y: Any) -> tuple[Array, Array]:
    some_tensor(x, y)
    x, y = promoted(x, y)
    only_numbers(x)
    if y.dtype.kind in "iu":
        problem = "ZeroDivisionError: integers cannot be divided by zero"
        if is_symbol(y):
            left_to_program(y == 0, Refusal, f"{name}: {problem}")
        elif not y.all():
            raise Refusal(problem, function=name)
    return x, y
