"""Arithmetic: + - * / // % ** and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import as_float, is_array, namespace_of, promote
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import operation

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["add", "div", "mul", "neg", "sub"]

METHODS = __all__
IN_PLACE: list[str] = ["add", "sub", "mul", "div", "neg"]


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


@operation
def div(x: Tensor, y: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """`x / y`, broadcast; of integers, in the default floating-point dtype.

    `rounding_mode`: None, "trunc" (towards zero) or "floor"; these keep integers integers and let
    no gradient through.

    >>> import tinygrad_lite as tg
    >>> tg.div(tg.tensor([-7, 7]), 2, rounding_mode="trunc")
    tensor([-3,  3])
    """
    if rounding_mode is None:
        return _div(x, y)
    raise ValueError(f"div: expected rounding_mode None, 'trunc' or 'floor', got {rounding_mode!r}")


@primitive
def neg(x):
    """`-x`."""
    if is_array(x) and x.dtype.kind == "b":
        raise TypeError("neg: a bool tensor has no negative; use ~ or logical_not")
    return -x


neg.vjp(x=lambda g: -g)
