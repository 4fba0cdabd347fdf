"""Comparison, logic and choice."""

from __future__ import annotations

from tinygrad_lite.arrays import promote
from tinygrad_lite.autograd import primitive

__all__ = ["eq", "ge", "gt", "le", "lt", "ne"]

METHODS = __all__
IN_PLACE: list[str] = []


@primitive
def eq(x, y):
    """Whether each `x == y`."""
    x, y = promote(x, y)
    return x == y


@primitive
def ne(x, y):
    """Whether each `x != y`."""
    x, y = promote(x, y)
    return x != y


@primitive
def lt(x, y):
    """Whether each `x < y`."""
    x, y = promote(x, y)
    return x < y


@primitive
def le(x, y):
    """Whether each `x <= y`."""
    x, y = promote(x, y)
    return x <= y


@primitive
def gt(x, y):
    """Whether each `x > y`."""
    x, y = promote(x, y)
    return x > y


@primitive
def ge(x, y):
    """Whether each `x >= y`."""
    x, y = promote(x, y)
    return x >= y
