"""Piecewise linear functions: signs, bounds, the larger and the smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import namespace_of, promote
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.comparison import where

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["abs", "absolute", "clamp", "clamp_max", "clamp_min", "clip", "maximum", "minimum", "sign"]

METHODS = __all__
IN_PLACE = [name for name in __all__ if name not in ("maximum", "minimum")]

Bound = Any  # a number or a Tensor


@primitive
def abs(x):
    """The absolute value of each element; its derivative at 0 is 0."""
    return namespace_of(x).abs(x)


abs.vjp(x=lambda g, x: g * sign(x))


@primitive
def sign(x):
    """-1, 0 or 1 as each element is negative, zero or positive."""
    return x if x.dtype.kind == "b" else namespace_of(x).sign(x)


sign.vjp(x=lambda g: g * 0)


@primitive
def maximum(x, y):
    """The larger of each two, broadcast; nan where one is nan. Equal ones share the gradient."""
    x, y = promote(x, y)
    return namespace_of(x).maximum(x, y)


@primitive
def minimum(x, y):
    """The smaller of each two, broadcast; nan where one is nan. Equal ones share the gradient."""
    x, y = promote(x, y)
    return namespace_of(x).minimum(x, y)


maximum.vjp(x=lambda g, x, y: where(x == y, g / 2, where(x < y, 0.0, g)),
            y=lambda g, x, y: where(x == y, g / 2, where(y < x, 0.0, g)))
minimum.vjp(x=lambda g, x, y: where(x == y, g / 2, where(x > y, 0.0, g)),
            y=lambda g, x, y: where(x == y, g / 2, where(y > x, 0.0, g)))


@primitive
def _clamp(x, min, max):
    xp = namespace_of(x)
    if min is not None:
        x = xp.maximum(*promote(x, min))
    return x if max is None else xp.minimum(*promote(x, max))


def _within(x: Any, min: Any, max: Any) -> Any:
    if min is None:
        return x <= max
    return x >= min if max is None else (x >= min) & (x <= max)


def _below(x: Any, min: Any, max: Any) -> Any:
    return x < min if max is None else (x < min) & (min < max)


def _above(x: Any, min: Any, max: Any) -> Any:
    return x > max if min is None else (x > max) | (max < min)


_clamp.vjp(x=lambda g, x, min, max: where(_within(x, min, max), g, 0.0),
           min=lambda g, x, min, max: where(_below(x, min, max), g, 0.0),
           max=lambda g, x, min, max: where(_above(x, min, max), g, 0.0))


@operation
def clamp(x: Tensor, min: Bound = None, max: Bound = None) -> Tensor:
    """`x` moved into [min, max] where it is outside; either bound may be None or a tensor.

    >>> import tinygrad_lite as tg
    >>> tg.clamp(tg.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ValueError("clamp: expected min, max or both")
    return _clamp(x, min, max)


@operation
def clamp_min(x: Tensor, min: Bound) -> Tensor:
    """`x`, or `min` where that is larger."""
    return _clamp(x, min, None)


@operation
def clamp_max(x: Tensor, max: Bound) -> Tensor:
    """`x`, or `max` where that is smaller."""
    return _clamp(x, None, max)


clip, absolute = clamp, abs
