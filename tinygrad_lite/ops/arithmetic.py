"""Arithmetic: + - * / // % ** and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import as_float, is_array, namespace_of, promote, promoted
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.comparison import where
from tinygrad_lite.ops.elementary import log

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "add", "div", "divide", "floor_divide", "fmod", "mul", "multiply", "neg", "negative", "positive", "pow", "reciprocal",
    "remainder", "rsqrt", "rsub", "sqrt", "square", "sub", "subtract", "true_divide",
]  # fmt: skip

METHODS = __all__
IN_PLACE = [name for name in __all__ if name not in ("positive", "rsub")]

Number = int | float


def _numeric(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Promoted operands; PyTorch subtracts no bools."""
    x, y = promote(x, y)
    if is_array(x) and x.dtype.kind == "b" and is_array(y) and y.dtype.kind == "b":
        raise TypeError(f"{name}: bool tensors cannot be subtracted; use logical_xor or ~")
    return x, y


@primitive
def _add(x, y):
    x, y = promote(x, y)
    return x + y


_add.vjp(x=lambda g: g, y=lambda g: g)


@primitive
def _sub(x, y):
    x, y = _numeric("sub", x, y)
    return x - y


_sub.vjp(x=lambda g: g, y=lambda g: -g)


@operation
def add(x: Tensor, y: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`x + alpha * y`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.add(tg.tensor([1.0, 2.0]), tg.tensor([[10.0], [20.0]]), alpha=0.5)
    tensor([[ 6.,  7.],
            [11., 12.]])
    """
    return _add(x, y if alpha == 1 else mul(y, alpha))


@operation
def sub(x: Tensor, y: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`x - alpha * y`, broadcast."""
    return _sub(x, y if alpha == 1 else mul(y, alpha))


@primitive
def mul(x, y):
    """`x * y`, broadcast."""
    x, y = promote(x, y)
    return x * y


mul.vjp(x=lambda g, y: g * y,
        y=lambda g, x: g * x)


@primitive
def _div(x, y):
    x, y = promote(x, y)
    return as_float(x) / as_float(y)


_div.vjp(x=lambda g, y: g / y,
         y=lambda g, x, y: -g * ((x / y) / y))  # x / (y y) would overflow sooner


@primitive
def _div_rounded(x, y, rounding_mode):
    """`x / y` rounded "trunc" (towards zero) or "floor"; of integers an integer."""
    x, y = promoted(x, y)
    xp = namespace_of(x)
    if x.dtype.kind == "f":
        return xp.floor_divide(x, y) if rounding_mode == "floor" else xp.trunc(x / y)
    if x.dtype.kind == "b":
        x, y = x.astype(np.uint8), y.astype(np.uint8)
    _refuse_zero("div", y)
    quotient = x // y
    if rounding_mode == "trunc" and x.dtype.kind == "i":
        quotient += ((x < 0) != (y < 0)) & (quotient * y != x)
    return quotient


_div_rounded.vjp(x=lambda g: g * 0, y=lambda g: g * 0)


def _refuse_zero(name: str, y: Any) -> None:
    """Integers have no infinity to answer a division by zero with."""
    if not y.all():
        raise RuntimeError(f"{name}: integer division by zero")


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
    """`x / y`: `div` without rounding."""
    return _div(x, y)


@operation
def floor_divide(x: Tensor, y: Tensor | Number) -> Tensor:
    """`x // y`: the quotient rounded down."""
    return _div_rounded(x, y, "floor")


@operation
def reciprocal(x: Tensor) -> Tensor:
    """`1 / x`."""
    return _div(1, x)


@primitive
def remainder(x, y):
    """What `floor_divide` leaves over: `x - x // y * y`, with the sign of `y`.

    >>> import tinygrad_lite as tg
    >>> tg.remainder(tg.tensor([-3.0, 3.0]), 2)
    tensor([1., 1.])
    """
    x, y = promoted(x, y)
    if y.dtype.kind != "f":
        _refuse_zero("remainder", y)
    return x % y


remainder.vjp(x=lambda g: g,
              y=lambda g, x, y: -g * _div_rounded(x, y, "floor"))


@primitive
def fmod(x, y):
    """What a division rounded towards zero leaves over, with the sign of `x`."""
    x, y = promoted(x, y)
    if y.dtype.kind != "f":
        _refuse_zero("fmod", y)
    return namespace_of(x).fmod(x, y)


fmod.vjp(x=lambda g: g,
         y=lambda g, x, y: -g * _div_rounded(x, y, "trunc"))


@primitive
def neg(x):
    """`-x`."""
    if is_array(x) and x.dtype.kind == "b":
        raise TypeError("neg: a bool tensor has no negative; use ~ or logical_not")
    return -x


neg.vjp(x=lambda g: -g)


@operation
def positive(x: Tensor) -> Tensor:
    """`x` itself."""
    if x.dtype.kind == "b":
        raise TypeError("positive: a bool tensor has no sign")
    return x


@primitive
def pow(x, y):
    """`x ** y`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.pow(tg.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    x, y = promote(x, y)
    return x**y


def _pow_x(g: Any, x: Any, y: Any) -> Any:
    if isinstance(y, (int, float)):
        return g * (2 * x) if y == 2 else g * (y * pow(x, y - 1)) if y else g * 0
    return g * where(y == 0, 0.0, y * pow(x, y - 1))


pow.vjp(x=_pow_x,
        y=lambda g, x, y, out: g * where((x == 0) & (y >= 0), 0.0, out * log(x)))


@operation
def square(x: Tensor) -> Tensor:
    """`x * x`."""
    return pow(x, 2)


@primitive
def sqrt(x):
    """The square root of each element; its derivative at 0 is inf."""
    x = as_float(x)
    return namespace_of(x).sqrt(x)


sqrt.vjp(x=lambda g, out: g / (2 * out))


@operation
def rsqrt(x: Tensor) -> Tensor:
    """`1 / sqrt(x)`."""
    return _div(1, sqrt(x))


@operation
def rsub(x: Tensor, y: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`y - alpha * x`."""
    return sub(y, x, alpha=alpha)


multiply, divide, subtract, negative = mul, div, sub, neg
