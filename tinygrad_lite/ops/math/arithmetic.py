"""Arithmetic: + - * / // % ** and functions composed of them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import as_array, bool_, common_dtype, float64, namespace_of, only_floats, only_numbers, only_tensors, some_tensor
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.division import divided, remainder_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import number, old_order, operation, raw
from tinygrad_lite.ops.calculus import add as _add
from tinygrad_lite.ops.calculus import div as _div
from tinygrad_lite.ops.calculus import mul, neg, pow, to_dtype
from tinygrad_lite.ops.calculus import sub as _sub
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
def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`input + alpha * other`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.add(tg.tensor([1.0, 2.0]), tg.tensor([[10.0], [20.0]]), alpha=0.5)
    tensor([[ 6.,  7.],
            [11., 12.]])
    """
    return _add(input, other if alpha == 1 else _scaled(input, other, alpha))


@old_order("alpha")
@operation
def sub(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`input - alpha * other`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.sub(tg.tensor([5.0, 5.0]), tg.tensor([1.0, 2.0]), alpha=2)
    tensor([3., 1.])
    """
    if alpha == 1:
        return _sub(input, other)
    for operand in (input, other):
        if getattr(operand, "dtype", None) == bool_:
            raise BadType("a bool tensor cannot be subtracted", hint="use ~ or logical_xor")
    return _sub(input, _scaled(input, other, alpha))


def _scaled(x: Any, y: Any, alpha: Number) -> Any:
    """`alpha * y`, computed in the common dtype of x and y."""
    dtype = common_dtype(getattr(x, "array", x), getattr(y, "array", y))
    alpha = number("alpha", alpha)
    if isinstance(alpha, float) and dtype.kind in "iub":
        raise BadType(argument="alpha", expected="an integer alpha for integer tensors", got=alpha)
    if isinstance(y, (int, float)):
        return y * alpha
    return mul(y if y.dtype == dtype else to_dtype(y, dtype), as_array(alpha).astype(dtype).item())


@operation
def rsub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`other - alpha * input`.

    >>> import tinygrad_lite as tg
    >>> tg.rsub(tg.tensor([1.0, 2.0]), 10)
    tensor([9., 8.])
    """
    if not isinstance(input, Traced):
        only_tensors(input)
    return sub(other, input, alpha=alpha)


@primitive
def _div_rounded(input, other, rounding_mode):
    """`input / other` rounded "trunc" (towards zero) or "floor"; integers stay integers."""
    return divided("div_rounded", input, other, rounding_mode)


_div_rounded.vjp(input=lambda g: zeros_like(g),
                 other=lambda g: zeros_like(g))


@operation
def div(input: Tensor, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other`, broadcast; integers give the default floating-point dtype.

    `rounding_mode`: None, "trunc" (towards zero) or "floor"; with rounding, integers stay integers and the gradient is
    zero.

    >>> import tinygrad_lite as tg
    >>> tg.div(tg.tensor([-7, 7]), 2, rounding_mode="trunc")
    tensor([-3,  3])
    """
    if rounding_mode is None:
        return _div(input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise BadValue(argument="rounding_mode", expected="rounding_mode None, 'trunc' or 'floor'", got=repr(rounding_mode))
    return _div_rounded(input, other, rounding_mode)


@operation
def true_divide(input: Tensor, other: Tensor | Number) -> Tensor:
    """`input / other`: `div` without rounding.

    >>> import tinygrad_lite as tg
    >>> tg.true_divide(tg.tensor([7, 8]), 2)
    tensor([3.5000, 4.0000])
    """
    return _div(input, other)


@operation
def floor_divide(input: Tensor, other: Tensor | Number) -> Tensor:
    """`input // other`: the quotient rounded down.

    >>> import tinygrad_lite as tg
    >>> tg.floor_divide(tg.tensor([7.0, -7.0]), 2)
    tensor([ 3., -4.])
    """
    return _div_rounded(input, other, "floor")


@operation
def reciprocal(input: Tensor) -> Tensor:
    """`1 / input`.

    >>> import tinygrad_lite as tg
    >>> tg.reciprocal(tg.tensor([2.0, 4.0]))
    tensor([0.5000, 0.2500])
    """
    return _div(1, input)


@primitive
def _remainder(input, other, rounding_mode):
    """The remainder of `_div_rounded`."""
    return remainder_of("remainder", input, other, rounding_mode)


_remainder.vjp(input=lambda g: g,
               other=lambda g, input, other, rounding_mode: -g * _div_rounded(input, other, rounding_mode))


@operation
def remainder(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """The remainder of `floor_divide`, `input - input // other * other`, with the sign of `other`.

    >>> import tinygrad_lite as tg
    >>> tg.remainder(tg.tensor([-3.0, 3.0]), 2)
    tensor([1., 1.])
    """
    return _remainder(input, other, "floor")


@operation
def fmod(input: Tensor, other: Tensor | Number) -> Tensor:
    """The remainder of a division rounded towards zero, with the sign of `input`.

    >>> import tinygrad_lite as tg
    >>> tg.fmod(tg.tensor([-5.0, 5.0]), 3)
    tensor([-2.,  2.])
    """
    only_tensors(input)
    return _remainder(input, other, "trunc")


@operation
def positive(input: Tensor) -> Tensor:
    """`input` itself.

    >>> import tinygrad_lite as tg
    >>> tg.positive(tg.tensor([1, -2]))
    tensor([ 1, -2])
    """
    only_numbers(input)
    return input


@operation
def square(input: Tensor) -> Tensor:
    """`input * input`.

    >>> import tinygrad_lite as tg
    >>> tg.square(tg.tensor([-3, 4]))
    tensor([ 9, 16])
    """
    return pow(input, 2)


@operation
def float_power(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """`input ** exponent` in double precision.

    >>> import tinygrad_lite as tg
    >>> tg.float_power(tg.tensor([1, 4]), 0.5)
    tensor([1., 2.], dtype=float64)
    """
    some_tensor(input, exponent)
    return pow(_double(input), _double(exponent))


def _double(x: Any) -> Any:
    return float(x) if isinstance(x, (int, float)) else x if x.dtype == float64 else to_dtype(x, float64)


@operation
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """`input * 2**other`.

    >>> import tinygrad_lite as tg
    >>> tg.ldexp(tg.tensor([1.0, 3.0]), tg.tensor([3, 1]))
    tensor([8., 6.])
    """
    only_tensors(input, other)
    return mul(input, pow(2.0, to_dtype(other, input.dtype) if input.dtype.kind == "f" and other.dtype.kind != "f" else other))


Frexp = namedtuple("Frexp", ["mantissa", "exponent"])


@operation
def frexp(input: Tensor) -> Frexp:
    """`mantissa, exponent` with `input = mantissa * 2**exponent` and |mantissa| in [0.5, 1).

    >>> import tinygrad_lite as tg
    >>> tg.frexp(tg.tensor([1.0, 6.0]))
    Frexp(mantissa=tensor([0.5000, 0.7500]), exponent=tensor([1, 3], dtype=int32))
    """
    only_floats(input)
    values = raw(input)
    xp = namespace_of(values)
    exponent = xp.frexp(values)[1]
    half = exponent // 2  # 2**-exponent may overflow
    mantissa = input * xp.exp2((-half).astype(values.dtype)) * xp.exp2((half - exponent).astype(values.dtype))
    return Frexp(mantissa, traced(as_array(exponent)) if isinstance(input, Traced) else exponent)


def to_common_dtype(*tensors: Any) -> Any:
    """Tensors converted to their common dtype."""
    only_tensors(*tensors)
    dtype = common_dtype(*map(raw, tensors))
    return [x if x.dtype == dtype else to_dtype(x, dtype) for x in tensors]


def _fraction_of(x: Any, value: Number) -> Number:
    """A factor as PyTorch uses it with integers: truncated."""
    value = number("value", value)
    return int(value) if x.dtype.kind in "iub" else value


@old_order("value")
@operation
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """`input + value * tensor1 * tensor2`.

    >>> import tinygrad_lite as tg
    >>> tg.addcmul(tg.ones(2), tg.tensor([1.0, 2.0]), tg.tensor([10.0, 10.0]), value=0.5)
    tensor([ 6., 11.])
    """
    input, tensor1, tensor2 = to_common_dtype(input, tensor1, tensor2)
    return add(input, mul(tensor1, tensor2), alpha=_fraction_of(input, value))


@old_order("value")
@operation
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """`input + value * tensor1 / tensor2`, for floating-point tensors.

    >>> import tinygrad_lite as tg
    >>> tg.addcdiv(tg.tensor([1.0]), tg.tensor([6.0]), tg.tensor([3.0]), value=10)
    tensor([21.])
    """
    only_tensors(input, tensor1, tensor2)
    only_floats(tensor1 if tensor1.dtype.kind in "fc" else tensor2)
    input, tensor1, tensor2 = to_common_dtype(input, tensor1, tensor2)
    return add(input, _div(tensor1, tensor2), alpha=number("value", value))


@operation
def lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """`input + weight * (end - input)`: `input` where `weight` is 0, `end` where it is 1.

    >>> import tinygrad_lite as tg
    >>> tg.lerp(tg.tensor([0.0, 10.0]), tg.tensor([1.0, 20.0]), 0.25)
    tensor([ 0.2500, 12.5000])
    """
    only_floats(input, end)
    if input.dtype != end.dtype:
        raise BadType(expected="tensors of one dtype", got=f"{input.dtype} and {end.dtype}")
    if not isinstance(weight, (int, float)) and weight.dtype != input.dtype:
        if weight.shape:
            raise BadType(argument="weight", expected=f"a weight of {input.dtype}, as the tensors", got=weight.dtype)
        if input.shape or end.shape or weight.dtype.kind != "f" or weight.dtype.itemsize < input.dtype.itemsize:
            weight = to_dtype(weight, input.dtype)
        else:  # if all have one element, the wider dtype counts
            input, end = to_dtype(input, weight.dtype), to_dtype(end, weight.dtype)
    step = end - input
    if isinstance(weight, (int, float)):  # both ends are exact
        return input + weight * step if abs(weight) < 0.5 else end - (1 - weight) * step
    return where(abs(weight) < 0.5, input + weight * step, end - (1 - weight) * step)


multiply, divide, subtract, negative = mul, div, sub, neg
