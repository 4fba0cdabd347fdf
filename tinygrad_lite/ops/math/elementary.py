"""Elementary functions: roots, exponentials, logarithms, trigonometric, hyperbolic.

Integers and bools become the default floating-point dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_float, erf_of, erfc_of, namespace_of, only_floats, only_tensors, promote_tensors, promoted_floats
from tinygrad_lite.arrays.kernels.activations import sigmoid_of
from tinygrad_lite.arrays.kernels.special import times_log
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation
from tinygrad_lite.ops.calculus import exp, sin, sqrt
from tinygrad_lite.ops.math.clamping import clamp
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor
from tinygrad_lite.ops.ufuncs import binary, unary

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2",
    "atanh", "cosh", "deg2rad", "erf", "erfc", "exp2", "expm1", "hypot", "log1p", "log2", "log10", "logaddexp", "logaddexp2", "logit",
    "rad2deg", "rsqrt", "sigmoid", "sinc", "sinh", "tan", "xlogy",
]  # fmt: skip


expm1 = unary(np.expm1, lambda g, out: g * (out + 1), "`exp(input) - 1`, accurate for small `input`.")
log1p = unary(np.log1p, lambda g, input: g / (1 + input), "`log(1 + input)`, accurate for small `input`.")
log2 = unary(np.log2, lambda g, input: g / (math.log(2) * input), "Logarithm to base 2.")
log10 = unary(np.log10, lambda g, input: g / (math.log(10) * input), "Logarithm to base 10.")

tan = unary(np.tan, lambda g, out: g * (1 + out * out), "Tangent (of radians).")
asin = unary(np.arcsin, lambda g, input: g / sqrt(1 - input * input), "Arc sine, in radians.", "asin")
acos = unary(np.arccos, lambda g, input: -g / sqrt(1 - input * input), "Arc cosine, in radians.", "acos")
atan = unary(np.arctan, lambda g, input: g / (1 + input * input), "Arc tangent, in radians.", "atan")

cosh: Any  # which the rule of sinh names
sinh = unary(np.sinh, lambda g, input: g * cosh(input), "Hyperbolic sine.")
cosh = unary(np.cosh, lambda g, input: g * sinh(input), "Hyperbolic cosine.")
asinh = unary(np.arcsinh, lambda g, input: g / sqrt(input * input + 1), "Inverse hyperbolic sine.", "asinh")
acosh = unary(np.arccosh, lambda g, input: g / sqrt(input * input - 1), "Inverse hyperbolic cosine.", "acosh")
atanh = unary(np.arctanh, lambda g, input: g / (1 - input * input), "Inverse hyperbolic tangent.", "atanh")

arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


@primitive
def sigmoid(input):
    """`1 / (1 + exp(-input))`.

    >>> import tinygrad_lite as tg
    >>> tg.sigmoid(tg.tensor([-1000.0, 0.0, 1000.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return sigmoid_of(input)


sigmoid.vjp(input=lambda g, out: g * (1 - out) * out)


@primitive
def erf(input):
    """The error function: the probability that a normal variable of variance 1/2 is within `input` of 0.

    >>> import tinygrad_lite as tg
    >>> tg.erf(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return erf_of(as_float(input))


@primitive
def erfc(input):
    """`1 - erf(input)`, accurate where that is small.

    >>> import tinygrad_lite as tg
    >>> tg.erfc(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """
    return erfc_of(as_float(input))


_BELL = 2 / math.sqrt(math.pi)

erf.vjp(input=lambda g, input: g * (_BELL * exp(-input * input)))
erfc.vjp(input=lambda g, input: -g * (_BELL * exp(-input * input)))


@operation
def rsqrt(input: Tensor) -> Tensor:
    """`1 / sqrt(input)`.

    >>> import tinygrad_lite as tg
    >>> tg.rsqrt(tg.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])
    """
    return 1 / sqrt(input)


@operation
def exp2(input: Tensor) -> Tensor:
    """2 to the power of each element.

    >>> import tinygrad_lite as tg
    >>> tg.exp2(tg.tensor([3, -1]))
    tensor([8.0000, 0.5000])
    """
    return 2.0**input


@operation
def deg2rad(input: Tensor) -> Tensor:
    """Degrees to radians.

    >>> import tinygrad_lite as tg
    >>> tg.deg2rad(tg.tensor([90.0, 180.0]))
    tensor([1.5708, 3.1416])
    """
    return input * (math.pi / 180)


@operation
def rad2deg(input: Tensor) -> Tensor:
    """Radians to degrees.

    >>> import tinygrad_lite as tg
    >>> tg.rad2deg(tg.tensor([0.0, 1.0]))
    tensor([ 0.0000, 57.2958])
    """
    return input * (180 / math.pi)


@operation
def sinc(input: Tensor) -> Tensor:
    """`sin(pi * input) / (pi * input)`, which is 1 at 0.

    >>> import tinygrad_lite as tg
    >>> tg.sinc(tg.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    z = math.pi * input
    near = z * z < 1e-4  # here the series and its derivatives are exact
    s = where(near, z * z, 0.0)
    return where(near, 1 - s / 6 * (1 - s / 20), sin(z) / where(near, 1.0, z))


@primitive
def _logit(input):
    input = as_float(input)
    return namespace_of(input).log(input / (1 - input))


_logit.vjp(input=lambda g, input: g / where((input < 0) | (input > 1), math.nan, input * (1 - input)))


@operation
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """`log(input / (1 - input))`, the inverse of sigmoid; `eps`: `input` is first clamped to [eps, 1 - eps].

    >>> import tinygrad_lite as tg
    >>> tg.logit(tg.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    return _logit(input if eps is None else clamp(input, eps, 1 - eps))


def _over_square(side: Any, x: Any, y: Any) -> Any:
    square = x * x + y * y
    return where(square == 0, 0.0, side / square)


def _tensors(x: Any, y: Any) -> tuple[Any, Any]:
    only_tensors(x, y)
    return promoted_floats(x, y)


def _floats(x: Any, y: Any) -> tuple[Any, Any]:
    x, y = promote_tensors(x, y)
    only_floats(x)
    return x, y


atan2 = arctan2 = binary(
    np.arctan2,
    lambda g, input, other: g * _over_square(other, input, other),
    lambda g, input, other: -g * _over_square(input, input, other),
    "The angle of the point (`other`, `input`), in radians from -pi to pi.",
    meet=_tensors, name="atan2",
)  # fmt: skip
hypot = binary(
    np.hypot,
    lambda g, input, out: g * (input / out),
    lambda g, other, out: g * (other / out),
    "`sqrt(input**2 + other**2)`, computed without overflow.",
    meet=_floats,
)


@primitive
def _logaddexp(input, other, base):
    input, other = _floats(input, other)
    xp = namespace_of(input)
    return xp.logaddexp2(input, other) if base == 2 else xp.logaddexp(input, other)


_logaddexp.vjp(input=lambda g, input, other, base: g * sigmoid(math.log(base) * (input - other)),
               other=lambda g, input, other, base: g * sigmoid(math.log(base) * (other - input)))


@operation
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """`log(exp(input) + exp(other))`, computed without overflow.

    >>> import tinygrad_lite as tg
    >>> tg.logaddexp(tg.tensor([1000.0]), tg.tensor([0.0]))
    tensor([1000.])
    """
    return _logaddexp(input, other, math.e)


@operation
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """`log2(2**input + 2**other)`, computed without overflow.

    >>> import tinygrad_lite as tg
    >>> tg.logaddexp2(tg.tensor([3.0]), tg.tensor([3.0]))
    tensor([4.])
    """
    return _logaddexp(input, other, 2)


@primitive
def xlogy(input, other):
    """`input * log(other)`, and 0 where `input` is 0 (but nan where `other` is nan).

    >>> import tinygrad_lite as tg
    >>> tg.xlogy(tg.tensor([0.0, 2.0]), tg.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    return times_log(input, other, "log")


xlogy.vjp(input=lambda g, input, other: where((input == 0) & (other <= 0), 0.0, xlogy(g, other)),
          other=lambda g, input, other: g * (input / other))
