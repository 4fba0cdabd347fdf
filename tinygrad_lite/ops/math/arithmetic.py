"""Arithmetic: + - * / // % ** and what is made of them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from tinygrad_lite.arrays import (
    as_array,
    common_dtype,
    namespace_of,
    only_floats,
    only_numbers,
    only_tensors,
    promoted,
    some_tensor,
)
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.calculus import add as _add
from tinygrad_lite.ops.calculus import div as _div
from tinygrad_lite.ops.calculus import mul, neg, pow, to_dtype
from tinygrad_lite.ops.calculus import sub as _sub
from tinygrad_lite.ops.calling import number, old_order, operation, raw
from tinygrad_lite.ops.creation.factories import zeros_like
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor

__all__ = [
    "add", "addcdiv", "addcmul", "div", "divide", "float_power", "floor_divide", "fmod", "frexp", "ldexp", "lerp", "multiply",
    "negative", "positive", "reciprocal", "remainder", "rsub", "square", "sub", "subtract", "true_divide",
]  # fmt: skip

Number = int | float


@old_order("alpha")
@operation
def add(x: Tensor, y: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`x + alpha * y`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.add(tg.tensor([1.0, 2.0]), tg.tensor([[10.0], [20.0]]), alpha=0.5)
    tensor([[ 6.,  7.],
            [11., 12.]])
    """
    return _add(x, y if alpha == 1 else _scaled("add", x, y, alpha))


@old_order("alpha")
@operation
def sub(x: Tensor | Number, y: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`x - alpha * y`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.sub(tg.tensor([5.0, 5.0]), tg.tensor([1.0, 2.0]), alpha=2)
    tensor([3., 1.])
    """
    if alpha == 1:
        return _sub(x, y)
    for operand in (x, y):
        if getattr(operand, "dtype", None) == np.bool_:
            raise TypeError("sub: a bool tensor cannot be subtracted; use ~ or logical_xor")
    return _sub(x, _scaled("sub", x, y, alpha))


def _scaled(name: str, x: Any, y: Any, alpha: Number) -> Any:
    """`alpha * y`, worked out in the dtype that x and y meet in."""
    dtype = common_dtype(getattr(x, "array", x), getattr(y, "array", y))
    alpha = number(name, "alpha", alpha)
    if isinstance(alpha, float) and dtype.kind in "iub":
        raise TypeError(f"{name}: expected an integer alpha for integer tensors, got {alpha}")
    if isinstance(y, (int, float)):
        return y * alpha
    return mul(y if y.dtype == dtype else to_dtype(y, dtype), np.asarray(alpha).astype(dtype).item())


@operation
def rsub(x: Tensor, y: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`y - alpha * x`.

    >>> import tinygrad_lite as tg
    >>> tg.rsub(tg.tensor([1.0, 2.0]), 10)
    tensor([9., 8.])
    """
    if not isinstance(x, Traced):
        only_tensors(x)
    return sub(y, x, alpha=alpha)


@primitive
def _div_rounded(x, y, rounding_mode):
    """`x / y` rounded "trunc" (towards zero) or "floor"; of integers an integer."""
    x, y = _divisible("div_rounded", x, y)
    xp = namespace_of(x)
    if x.dtype.kind == "f":
        return xp.floor_divide(x, y) if rounding_mode == "floor" else xp.trunc(x / y)
    quotient = x // y
    if rounding_mode == "trunc" and x.dtype.kind == "i":
        quotient += ((x < 0) != (y < 0)) & (quotient * y != x)
    return quotient


def _divisible(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    some_tensor(x, y)
    x, y = promoted(x, y)
    only_numbers(x)
    if y.dtype.kind in "iu" and not y.all():
        raise RuntimeError(f"{name}: ZeroDivisionError: integers cannot be divided by zero")
    return x, y


_div_rounded.vjp(x=lambda g: zeros_like(g),
                 y=lambda g: zeros_like(g))


@operation
def div(x: Tensor, y: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """`x / y`, broadcast; of integers, in the default floating-point dtype.

    `rounding_mode`: None, "trunc" (towards zero) or "floor"; these keep integers integers, and
    their gradient is zero.

    >>> import tinygrad_lite as tg
    >>> tg.div(tg.tensor([-7, 7]), 2, rounding_mode="trunc")
    tensor([-3,  3])
    """
    if rounding_mode is None:
        return _div(x, y)
    if rounding_mode not in ("trunc", "floor"):
        raise ValueError(f"div: expected rounding_mode None, 'trunc' or 'floor', got {rounding_mode!r}")
    return _div_rounded(x, y, rounding_mode)


@operation
def true_divide(x: Tensor, y: Tensor | Number) -> Tensor:
    """`x / y`: `div` without rounding.

    >>> import tinygrad_lite as tg
    >>> tg.true_divide(tg.tensor([7, 8]), 2)
    tensor([3.5000, 4.0000])
    """
    return _div(x, y)


@operation
def floor_divide(x: Tensor, y: Tensor | Number) -> Tensor:
    """`x // y`: the quotient rounded down.

    >>> import tinygrad_lite as tg
    >>> tg.floor_divide(tg.tensor([7.0, -7.0]), 2)
    tensor([ 3., -4.])
    """
    return _div_rounded(x, y, "floor")


@operation
def reciprocal(x: Tensor) -> Tensor:
    """`1 / x`.

    >>> import tinygrad_lite as tg
    >>> tg.reciprocal(tg.tensor([2.0, 4.0]))
    tensor([0.5000, 0.2500])
    """
    return _div(1, x)


@primitive
def _remainder(x, y, rounding_mode):
    """What `_div_rounded` leaves over."""
    x, y = _divisible("remainder", x, y)
    return x % y if rounding_mode == "floor" else namespace_of(x).fmod(x, y)


_remainder.vjp(x=lambda g: g,
               y=lambda g, x, y, rounding_mode: -g * _div_rounded(x, y, rounding_mode))


@operation
def remainder(x: Tensor | Number, y: Tensor | Number) -> Tensor:
    """What `floor_divide` leaves over: `x - x // y * y`, with the sign of `y`.

    >>> import tinygrad_lite as tg
    >>> tg.remainder(tg.tensor([-3.0, 3.0]), 2)
    tensor([1., 1.])
    """
    return _remainder(x, y, "floor")


@operation
def fmod(x: Tensor, y: Tensor | Number) -> Tensor:
    """What a division rounded towards zero leaves over, with the sign of `x`.

    >>> import tinygrad_lite as tg
    >>> tg.fmod(tg.tensor([-5.0, 5.0]), 3)
    tensor([-2.,  2.])
    """
    only_tensors(x)
    return _remainder(x, y, "trunc")


@operation
def positive(x: Tensor) -> Tensor:
    """`x` itself.

    >>> import tinygrad_lite as tg
    >>> tg.positive(tg.tensor([1, -2]))
    tensor([ 1, -2])
    """
    only_numbers(x)
    return x


@operation
def square(x: Tensor) -> Tensor:
    """`x * x`.

    >>> import tinygrad_lite as tg
    >>> tg.square(tg.tensor([-3, 4]))
    tensor([ 9, 16])
    """
    return pow(x, 2)


@operation
def float_power(x: Tensor | Number, y: Tensor | Number) -> Tensor:
    """`x ** y` in double precision.

    >>> import tinygrad_lite as tg
    >>> tg.float_power(tg.tensor([1, 4]), 0.5)
    tensor([1., 2.], dtype=float64)
    """
    some_tensor(x, y)
    return pow(_double(x), _double(y))


def _double(x: Any) -> Any:
    return float(x) if isinstance(x, (int, float)) else x if x.dtype == np.float64 else to_dtype(x, np.dtype(np.float64))


@operation
def ldexp(x: Tensor, y: Tensor) -> Tensor:
    """`x * 2**y`.

    >>> import tinygrad_lite as tg
    >>> tg.ldexp(tg.tensor([1.0, 3.0]), tg.tensor([3, 1]))
    tensor([8., 6.])
    """
    only_tensors(x, y)
    return mul(x, pow(2.0, to_dtype(y, x.dtype) if x.dtype.kind == "f" and y.dtype.kind != "f" else y))


Frexp = namedtuple("Frexp", ["mantissa", "exponent"])


@operation
def frexp(x: Tensor) -> Frexp:
    """`mantissa, exponent` with x = mantissa * 2**exponent and the mantissa's size in [0.5, 1).

    >>> import tinygrad_lite as tg
    >>> tg.frexp(tg.tensor([1.0, 6.0]))
    Frexp(mantissa=tensor([0.5000, 0.7500]), exponent=tensor([1, 3], dtype=int32))
    """
    only_floats(x)
    values = raw(x)
    xp = namespace_of(values)
    exponent = xp.frexp(values)[1]
    half = exponent // 2  # 2**-exponent may be too large for the dtype
    mantissa = x * xp.exp2((-half).astype(values.dtype)) * xp.exp2((half - exponent).astype(values.dtype))
    return Frexp(mantissa, traced(as_array(exponent)) if isinstance(x, Traced) else exponent)


def to_common_dtype(*tensors: Any) -> Any:
    """Tensors in the dtype in which all of them meet."""
    only_tensors(*tensors)
    dtype = common_dtype(*map(raw, tensors))
    return [x if x.dtype == dtype else to_dtype(x, dtype) for x in tensors]


def _fraction_of(x: Any, value: Number) -> Number:
    """A factor as PyTorch takes it for integers: without its fraction."""
    value = number("addcmul", "value", value)
    return int(value) if x.dtype.kind in "iub" else value


@old_order("value")
@operation
def addcmul(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """`x + value * tensor1 * tensor2`.

    >>> import tinygrad_lite as tg
    >>> tg.addcmul(tg.ones(2), tg.tensor([1.0, 2.0]), tg.tensor([10.0, 10.0]), value=0.5)
    tensor([ 6., 11.])
    """
    x, tensor1, tensor2 = to_common_dtype(x, tensor1, tensor2)
    return add(x, mul(tensor1, tensor2), alpha=_fraction_of(x, value))


@old_order("value")
@operation
def addcdiv(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """`x + value * tensor1 / tensor2`, of floating-point tensors.

    >>> import tinygrad_lite as tg
    >>> tg.addcdiv(tg.tensor([1.0]), tg.tensor([6.0]), tg.tensor([3.0]), value=10)
    tensor([21.])
    """
    only_tensors(x, tensor1, tensor2)
    only_floats(tensor1 if tensor1.dtype.kind in "fc" else tensor2)
    x, tensor1, tensor2 = to_common_dtype(x, tensor1, tensor2)
    return add(x, _div(tensor1, tensor2), alpha=number("addcdiv", "value", value))


@operation
def lerp(x: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """`x + weight * (end - x)`: `x` where `weight` is 0, `end` where it is 1.

    >>> import tinygrad_lite as tg
    >>> tg.lerp(tg.tensor([0.0, 10.0]), tg.tensor([1.0, 20.0]), 0.25)
    tensor([ 0.2500, 12.5000])
    """
    only_floats(x, end)
    if x.dtype != end.dtype:
        raise TypeError(f"lerp: expected tensors of one dtype, got {x.dtype} and {end.dtype}")
    if not isinstance(weight, (int, float)) and weight.dtype != x.dtype:
        if weight.shape:
            raise TypeError(f"lerp: expected a weight of {x.dtype}, as the tensors, got {weight.dtype}")
        if x.shape or end.shape or weight.dtype.kind != "f" or weight.dtype.itemsize < x.dtype.itemsize:
            weight = to_dtype(weight, x.dtype)
        else:  # of single elements all round, the wider dtype counts
            x, end = to_dtype(x, weight.dtype), to_dtype(end, weight.dtype)
    step = end - x
    if isinstance(weight, (int, float)):  # each end is met exactly
        return x + weight * step if abs(weight) < 0.5 else end - (1 - weight) * step
    return where(abs(weight) < 0.5, x + weight * step, end - (1 - weight) * step)


multiply, divide, subtract, negative = mul, div, sub, neg
