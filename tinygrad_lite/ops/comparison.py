"""Comparison, logic and choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import namespace_of, promote, select
from tinygrad_lite.autograd import primitive

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "eq", "ge", "greater", "greater_equal", "gt", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lt", "ne", "not_equal", "where",
]  # fmt: skip

METHODS = [name for name in __all__ if name != "where"]  # x.where(condition, y) stands in the Tensor class
IN_PLACE = METHODS


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


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


@primitive
def logical_not(x):
    """Whether each element is zero (or False)."""
    return namespace_of(x).logical_not(x)


@primitive
def logical_and(x, y):
    """Whether both are nonzero."""
    return namespace_of(x).logical_and(x, y)


@primitive
def logical_or(x, y):
    """Whether one or both are nonzero."""
    return namespace_of(x).logical_or(x, y)


@primitive
def logical_xor(x, y):
    """Whether just one is nonzero."""
    return namespace_of(x).logical_xor(x, y)


@primitive
def _where(condition, x, y):
    x, y = promote(x, y)
    return select(condition, x, y)


_where.vjp(x=lambda g, condition: _where(condition, g, 0.0),
           y=lambda g, condition: _where(condition, 0.0, g))


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` is True, else `other`; all broadcast.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([-1.0, 2.0])
    >>> tg.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if condition.dtype.kind != "b":
        raise TypeError(f"where: expected a bool tensor as the condition, got {condition.dtype}")
    return _where(condition, input, other)
