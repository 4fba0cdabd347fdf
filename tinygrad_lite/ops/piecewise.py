"""Piecewise linear functions: signs, rounding, bounds, the larger and the smaller."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import (
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
from tinygrad_lite.engine.plan import no_gradient
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calling import named, number, operation, raw
from tinygrad_lite.ops.comparison import where
from tinygrad_lite.ops.creation import zeros_like
from tinygrad_lite.ops.shape import clone

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "abs", "absolute", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "fix", "floor", "fmax", "fmin", "frac",
    "heaviside", "maximum", "minimum", "nan_to_num", "nextafter", "round", "sgn", "sign", "trunc",
]  # fmt: skip

METHODS = __all__
IN_PLACE = [name for name in __all__ if name not in ("fmax", "fmin", "maximum", "minimum")]

Bound = Any  # a number or a Tensor


@primitive
def abs(x):
    """The absolute value of each element; its derivative at 0 is 0.

    >>> import tinygrad_lite as tg
    >>> tg.abs(tg.tensor([-2.0, 3.0]))
    tensor([2., 3.])
    """
    if x.dtype.kind == "b":
        only_numbers(x)
    return namespace_of(x).abs(x)


abs.vjp(x=lambda g, x: g * sign(x))


@primitive
def sign(x):
    """-1, 0 or 1 as each element is negative, zero or positive; 0 for nan.

    >>> import tinygrad_lite as tg
    >>> tg.sign(tg.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    # NumPy's sign of nan is nan, and with it the gradient of abs where a nan was masked out.
    return namespace_of(x).subtract(x > 0, x < 0, dtype=np.int8).astype(x.dtype)


sign.vjp(x=lambda g: zeros_like(g))

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


def _step(name: str, text: str) -> Any:
    @primitive
    @named(name, text)
    def forward(x):
        only_numbers(x)
        return x.copy() if x.dtype.kind in "iu" else getattr(namespace_of(x), name)(x)

    forward.vjp(x=lambda g: zeros_like(g))
    return forward


floor = _step(
    "floor",
    "The largest integer that is not above each element."
    " >>> tg.floor(tg.tensor([-1.5, 1.5])) -> tensor([-2.,  1.])",
)
ceil = _step(
    "ceil",
    "The smallest integer that is not below each element."
    " >>> tg.ceil(tg.tensor([-1.5, 1.5])) -> tensor([-1.,  2.])",
)
trunc = _step(
    "trunc",
    "Each element without its fractional part."
    " >>> tg.trunc(tg.tensor([-1.5, 1.5])) -> tensor([-1.,  1.])",
)

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


@primitive
def _linear_in(out, x):
    return out


_linear_in.vjp(out=lambda g: g,
               x=no_gradient)
_linear_in.constant_in(out="x")


def linear_in(out: Any, *inputs: Any) -> Any:
    """`out`, a composition that is linear in `inputs`, at least piece by piece. Its gradient is constant in them
    and yet counts as a function of them, as where PyTorch has the whole gradient as one function of the input."""
    for x in inputs:
        if getattr(x, "node", None) is not None:
            out = _linear_in(out, x)
    return out


# -- bounds -------------------------------------------------------------------------------------


@primitive
def maximum(x, y):
    """The larger of each two, broadcast; nan where one is nan. Equal ones share the gradient.

    >>> import tinygrad_lite as tg
    >>> tg.maximum(tg.tensor([1.0, 5.0]), tg.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    x, y = promote_tensors(x, y)
    return namespace_of(x).maximum(x, y)


@primitive
def minimum(x, y):
    """The smaller of each two, broadcast; nan where one is nan. Equal ones share the gradient.

    >>> import tinygrad_lite as tg
    >>> tg.minimum(tg.tensor([1.0, 5.0]), tg.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    x, y = promote_tensors(x, y)
    return namespace_of(x).minimum(x, y)


maximum.vjp(x=lambda g, x, y: where(x == y, g / 2, where(x < y, 0.0, g)),
            y=lambda g, x, y: where(x == y, g / 2, where(y < x, 0.0, g)))
minimum.vjp(x=lambda g, x, y: where(x == y, g / 2, where(x > y, 0.0, g)),
            y=lambda g, x, y: where(x == y, g / 2, where(y > x, 0.0, g)))


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
