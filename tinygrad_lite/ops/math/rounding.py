"""Piecewise linear functions: signs, rounding, bounds, the larger and the smaller."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import (
    as_array,
    check_number,
    common_dtype,
    is_array,
    namespace_of,
    only_floats,
    only_numbers,
    only_tensors,
    promote,
    promote_tensors,
    promoted,
    promoted_floats,
)
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import abs, sign
from tinygrad_lite.ops.calling import named, number, operation, raw
from tinygrad_lite.ops.creation.factories import zeros_like
from tinygrad_lite.ops.math.comparison import where
from tinygrad_lite.ops.movement.shape import clone

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "absolute", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "fix", "floor", "fmax", "fmin", "frac", "heaviside",
    "nan_to_num", "nextafter", "round", "sgn", "trunc",
]  # fmt: skip

METHODS = __all__
IN_PLACE = [
    "absolute", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "fix", "floor", "frac", "heaviside", "nan_to_num",
    "nextafter", "round", "sgn", "trunc",
]  # fmt: skip

Bound = Any  # a number or a Tensor


absolute, sgn = abs, sign


@primitive
def copysign(x, y):
    """`abs(x)` with the sign of `y`, where -0.0 counts as negative.

    >>> import tinygrad_lite as tg
    >>> tg.copysign(tg.tensor([1.0, 2.0]), tg.tensor([-0.0, 3.0]))
    tensor([-1.,  2.])
    """
    only_tensors(x)
    x, y = promoted_floats(x, y)
    return namespace_of(x).copysign(x, y)


copysign.vjp(x=lambda g, x, out: g * (sign(x) * sign(out)),
             y=lambda g: zeros_like(g))


@primitive
def nextafter(x, y):
    """The next number after `x` on the way to `y`.

    >>> import tinygrad_lite as tg
    >>> (tg.nextafter(tg.tensor([1.0]), tg.tensor([2.0])) - 1) * 2**23
    tensor([1.])
    """
    x, y = promote_tensors(x, y)
    only_floats(x)
    return namespace_of(x).nextafter(x, y)


nextafter.vjp(x=lambda g, x, y: where(x == y, 0.0, g),
              y=lambda g: zeros_like(g))


# -- steps, whose derivative is zero --------------------------------------------------------------


def _step(name: str, doc: str) -> Any:
    @primitive
    @named(name, doc)
    def forward(x):
        only_numbers(x)
        return x.copy() if x.dtype.kind in "iu" else getattr(namespace_of(x), name)(x)

    forward.vjp(x=lambda g: zeros_like(g))
    return forward


floor = _step("floor", "The largest integer that is not above each element.")
ceil = _step("ceil", "The smallest integer that is not below each element.")
trunc = _step("trunc", "Each element without its fractional part.")

fix = trunc


@primitive
def _round(x, decimals):
    only_numbers(x)
    if x.dtype.kind in "iu":
        if decimals:
            raise TypeError(f"expected floating-point numbers to round to decimals, got {x.dtype}")
        return x.copy()
    return namespace_of(x).round(x, decimals)


_round.vjp(x=lambda g: zeros_like(g))


@operation
def round(x: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with so many `decimals` (-1: a multiple of ten); of two, the even one.

    >>> import tinygrad_lite as tg
    >>> tg.round(tg.tensor([0.5, 1.5, 2.6]))
    tensor([0., 2., 3.])
    """
    return _round(x, decimals)


@operation
def frac(x: Tensor) -> Tensor:
    """The fractional part of each element, with its sign.

    >>> import tinygrad_lite as tg
    >>> tg.frac(tg.tensor([1.5, -2.25]))
    tensor([ 0.5000, -0.2500])
    """
    only_floats(x)
    return x - trunc(x)


@operation
def heaviside(x: Tensor, values: Tensor) -> Tensor:
    """0 where `x` is negative, 1 where it is positive, and `values` where it is zero.

    >>> import tinygrad_lite as tg
    >>> tg.heaviside(tg.tensor([-1.0, 0.0, 2.0]), tg.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    only_tensors(x, values)
    if x.dtype != values.dtype:
        raise TypeError(f"heaviside: expected tensors of one dtype, got {x.dtype} and {values.dtype}")
    return where(x == 0, values, x > 0)


# -- pieces -------------------------------------------------------------------------------------


# -- bounds -------------------------------------------------------------------------------------


@operation
def fmax(x: Tensor, y: Tensor) -> Tensor:
    """The larger of each two, broadcast; the other one where one is nan.

    >>> import tinygrad_lite as tg
    >>> tg.fmax(tg.tensor([1.0, float("nan")]), tg.tensor([3.0, 2.0]))
    tensor([3., 2.])
    """
    only_tensors(x, y)
    return where((x >= y) | (y != y), x, y)


@operation
def fmin(x: Tensor, y: Tensor) -> Tensor:
    """The smaller of each two, broadcast; the other one where one is nan.

    >>> import tinygrad_lite as tg
    >>> tg.fmin(tg.tensor([1.0, float("nan")]), tg.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    only_tensors(x, y)
    return where((x <= y) | (y != y), x, y)


@primitive
def _clamp(x, min, max):
    if x.size > 1024 and x.dtype.kind == "f" and not (is_array(min) or is_array(max)):
        # 35 us for 65536 floats; NumPy's maximum of an array and a number alone takes 65.
        return x.clip(-math.inf if min is None else min, math.inf if max is None else max)
    if is_array(min) and is_array(max):  # all three at once: a 0-d one counts less than the others
        x, min, max = promoted(x, min, max)
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


def _clamped(x: Any, min: Bound, max: Bound) -> Any:
    if isinstance(min, int | float) or isinstance(max, int | float):  # then a tensor beside it counts as a number too
        min, max = number("clamp", "min", min), number("clamp", "max", max)
    if type(min) is bool or type(max) is bool:
        only_numbers(np.empty(1, common_dtype(*(raw(v) for v in (x, min, max) if v is not None))))
    check_number("clamp", min, raw(x))
    check_number("clamp", max, raw(x))
    return _clamp(x, min, max)


@operation
def clamp(x: Tensor, min: Bound = None, max: Bound = None) -> Tensor:
    """`x` moved into [min, max] where it is outside; either bound may be None or a tensor.

    >>> import tinygrad_lite as tg
    >>> tg.clamp(tg.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ValueError("clamp: expected min, max or both")
    return _clamped(x, min, max)


@operation
def clamp_min(x: Tensor, min: Bound) -> Tensor:
    """`x`, or `min` where that is larger.

    >>> import tinygrad_lite as tg
    >>> tg.clamp_min(tg.tensor([-1.0, 2.0]), 0)
    tensor([0., 2.])
    """
    return _clamped(x, min, None)


@operation
def clamp_max(x: Tensor, max: Bound) -> Tensor:
    """`x`, or `max` where that is smaller.

    >>> import tinygrad_lite as tg
    >>> tg.clamp_max(tg.tensor([-1.0, 2.0]), 0)
    tensor([-1.,  0.])
    """
    return _clamped(x, None, max)


clip = clamp


@operation
def nan_to_num(x: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`x` with `nan` (0) for nan, and `posinf` and `neginf` (the largest and the smallest number of
    the dtype) for the infinities.

    >>> import tinygrad_lite as tg
    >>> tg.nan_to_num(tg.tensor([float("nan"), 1.0]), nan=0.5)
    tensor([0.5000, 1.0000])
    """
    only_tensors(x)
    if x.dtype.kind != "f":
        return clone(x)
    nan, posinf, neginf = (number("nan_to_num", *a) for a in (("nan", nan), ("posinf", posinf), ("neginf", neginf)))
    largest = float(np.finfo(x.dtype).max)
    x = where(x != x, 0.0 if nan is None else nan, x)
    x = where(x == float("inf"), largest if posinf is None else posinf, x)
    return where(x == -float("inf"), -largest if neginf is None else neginf, x)


def at_least(x: Any, low: float) -> Any:
    """`x`, raised to `low` where it is smaller, with the gradient of `x` all the same."""
    values = raw(x)
    short = as_array(namespace_of(values).maximum(low - values, 0))
    return x + short
