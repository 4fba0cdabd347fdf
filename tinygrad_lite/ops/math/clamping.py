"""Clamping: clamp, fmax and fmin, and replacements for nan and infinities."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import as_array, check_number, common_dtype, limits, namespace_of, only_tensors
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.clipping import clipped
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import number, operation, raw
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.typing import Tensor

__all__ = ["clamp", "clamp_max", "clamp_min", "clip", "fmax", "fmin", "nan_to_num"]


Bound = Any  # a number or a Tensor


@operation
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The elementwise maximum, broadcast; if one is nan, the other.

    >>> import tinygrad_lite as tg
    >>> tg.fmax(tg.tensor([1.0, float("nan")]), tg.tensor([3.0, 2.0]))
    tensor([3., 2.])
    """
    only_tensors(input, other)
    return where((input >= other) | (other != other), input, other)


@operation
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The elementwise minimum, broadcast; if one is nan, the other.

    >>> import tinygrad_lite as tg
    >>> tg.fmin(tg.tensor([1.0, float("nan")]), tg.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    only_tensors(input, other)
    return where((input <= other) | (other != other), input, other)


@primitive
def _clamp(input, min, max):
    return clipped(input, min, max)


def _within(x: Any, min: Any, max: Any) -> Any:
    if min is None:
        return x <= max
    return x >= min if max is None else (x >= min) & (x <= max)


def _below(x: Any, min: Any, max: Any) -> Any:
    return x < min if max is None else (x < min) & (min < max)


def _above(x: Any, min: Any, max: Any) -> Any:
    return x > max if min is None else (x > max) | (max < min)


_clamp.vjp(input=lambda g, input, min, max: where(_within(input, min, max), g, 0.0),
           min=lambda g, input, min, max: where(_below(input, min, max), g, 0.0),
           max=lambda g, input, min, max: where(_above(input, min, max), g, 0.0))


def _clamped(x: Any, min: Bound, max: Bound) -> Any:
    if isinstance(min, int | float) or isinstance(max, int | float):  # then a tensor bound counts as a number too
        min, max = number("min", min), number("max", max)
    if (type(min) is bool or type(max) is bool) and common_dtype(*(raw(v) for v in (x, min, max) if v is not None)).kind == "b":
        raise BadType(expected="a tensor of numbers", got="bool")
    check_number("clamp", min, raw(x))
    check_number("clamp", max, raw(x))
    return _clamp(x, min, max)


@operation
def clamp(input: Tensor, min: Bound = None, max: Bound = None) -> Tensor:
    """`input` limited to [min, max]; either bound may be None or a tensor.

    >>> import tinygrad_lite as tg
    >>> tg.clamp(tg.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise BadValue(expected="min, max or both")
    return _clamped(input, min, max)


@operation
def clamp_min(input: Tensor, min: Bound) -> Tensor:
    """`input`, but at least `min`.

    >>> import tinygrad_lite as tg
    >>> tg.clamp_min(tg.tensor([-1.0, 2.0]), 0)
    tensor([0., 2.])
    """
    return _clamped(input, min, None)


@operation
def clamp_max(input: Tensor, max: Bound) -> Tensor:
    """`input`, but at most `max`.

    >>> import tinygrad_lite as tg
    >>> tg.clamp_max(tg.tensor([-1.0, 2.0]), 0)
    tensor([-1.,  0.])
    """
    return _clamped(input, None, max)


clip = clamp


@operation
def nan_to_num(input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`input` with nan replaced by `nan` (0), and the infinities by `posinf` and `neginf` (the largest and smallest numbers
    of the dtype).

    >>> import tinygrad_lite as tg
    >>> tg.nan_to_num(tg.tensor([float("nan"), 1.0]), nan=0.5)
    tensor([0.5000, 1.0000])
    """
    only_tensors(input)
    if input.dtype.kind != "f":
        return clone(input)
    nan, posinf, neginf = (number(*a) for a in (("nan", nan), ("posinf", posinf), ("neginf", neginf)))
    _, largest = limits(input.dtype)
    input = where(input != input, 0.0 if nan is None else nan, input)
    input = where(input == float("inf"), largest if posinf is None else posinf, input)
    return where(input == -float("inf"), -largest if neginf is None else neginf, input)


def at_least(x: Any, low: float) -> Any:
    """`x` raised to `low` where it is smaller, with the gradient of `x` unchanged."""
    values = raw(x)
    short = as_array(namespace_of(values).maximum(low - values, 0))
    return x + short
