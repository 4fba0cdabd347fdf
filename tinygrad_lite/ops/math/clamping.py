"""Bounds: clamp, fmax and fmin, and numbers in the place of nan and infinities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays import (
    as_array,
    check_number,
    common_dtype,
    is_array,
    namespace_of,
    only_numbers,
    only_tensors,
    promote,
    promoted,
)
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calling import number, operation, raw
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.typing import Tensor

__all__ = ["clamp", "clamp_max", "clamp_min", "clip", "fmax", "fmin", "nan_to_num"]


Bound = Any  # a number or a Tensor


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
