"""Elementary functions of each element: roots, exponentials, logarithms, trigonometric, hyperbolic.

Integers and bools become the default floating-point dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays import (
    as_float,
    erf_of,
    erfc_of,
    namespace_of,
    only_floats,
    only_tensors,
    promote_tensors,
    promoted_floats,
    some_tensor,
)
from tinygrad_lite.arrays.kernels.activations import sigmoid_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import binary, exp, sin, sqrt, unary
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.math.clamping import clamp
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2",
    "atanh", "cosh", "deg2rad", "erf", "erfc", "exp2", "expm1", "hypot", "log1p", "log2", "log10", "logaddexp", "logaddexp2", "logit",
    "rad2deg", "rsqrt", "sigmoid", "sinc", "sinh", "tan", "xlogy",
]  # fmt: skip


expm1 = unary(np.expm1, lambda g, out: g * (out + 1), "`exp(x) - 1`, exact for small x.")
log1p = unary(np.log1p, lambda g, x: g / (1 + x), "`log(1 + x)`, exact for small x.")
log2 = unary(np.log2, lambda g, x: g / (math.log(2) * x), "Logarithm to base 2.")
log10 = unary(np.log10, lambda g, x: g / (math.log(10) * x), "Logarithm to base 10.")

tan = unary(np.tan, lambda g, out: g * (1 + out * out), "Tangent (of radians).")
asin = unary(np.arcsin, lambda g, x: g / sqrt(1 - x * x), "Arc sine, in radians.", "asin")
acos = unary(np.arccos, lambda g, x: -g / sqrt(1 - x * x), "Arc cosine, in radians.", "acos")
atan = unary(np.arctan, lambda g, x: g / (1 + x * x), "Arc tangent, in radians.", "atan")

cosh: Any  # which the rule of sinh names
sinh = unary(np.sinh, lambda g, x: g * cosh(x), "Hyperbolic sine.")
cosh = unary(np.cosh, lambda g, x: g * sinh(x), "Hyperbolic cosine.")
asinh = unary(np.arcsinh, lambda g, x: g / sqrt(x * x + 1), "Inverse hyperbolic sine.", "asinh")
acosh = unary(np.arccosh, lambda g, x: g / sqrt(x * x - 1), "Inverse hyperbolic cosine.", "acosh")
atanh = unary(np.arctanh, lambda g, x: g / (1 - x * x), "Inverse hyperbolic tangent.", "atanh")

arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


@primitive
def sigmoid(x):
    """`1 / (1 + exp(-x))`.

    >>> import tinygrad_lite as tg
    >>> tg.sigmoid(tg.tensor([-1000.0, 0.0, 1000.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return sigmoid_of(x)


sigmoid.vjp(x=lambda g, out: g * (1 - out) * out)


@primitive
def erf(x):
    """The error function: the probability that a normal variable of variance 1/2 is within ±x of 0.

    >>> import tinygrad_lite as tg
    >>> tg.erf(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return erf_of(as_float(x))


@primitive
def erfc(x):
    """`1 - erf(x)`, exact where that is small.

    >>> import tinygrad_lite as tg
    >>> tg.erfc(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """
    return erfc_of(as_float(x))


_BELL = 2 / math.sqrt(math.pi)

erf.vjp(x=lambda g, x: g * (_BELL * exp(-x * x)))
erfc.vjp(x=lambda g, x: -g * (_BELL * exp(-x * x)))


@operation
def rsqrt(x: Tensor) -> Tensor:
    """`1 / sqrt(x)`.

    >>> import tinygrad_lite as tg
    >>> tg.rsqrt(tg.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])
    """
    return 1 / sqrt(x)


@operation
def exp2(x: Tensor) -> Tensor:
    """2 to the power of each element.

    >>> import tinygrad_lite as tg
    >>> tg.exp2(tg.tensor([3, -1]))
    tensor([8.0000, 0.5000])
    """
    return 2.0**x


@operation
def deg2rad(x: Tensor) -> Tensor:
    """Degrees to radians.

    >>> import tinygrad_lite as tg
    >>> tg.deg2rad(tg.tensor([90.0, 180.0]))
    tensor([1.5708, 3.1416])
    """
    return x * (math.pi / 180)


@operation
def rad2deg(x: Tensor) -> Tensor:
    """Radians to degrees.

    >>> import tinygrad_lite as tg
    >>> tg.rad2deg(tg.tensor([0.0, 1.0]))
    tensor([ 0.0000, 57.2958])
    """
    return x * (180 / math.pi)


@operation
def sinc(x: Tensor) -> Tensor:
    """`sin(pi x) / (pi x)`, which is 1 at 0.

    >>> import tinygrad_lite as tg
    >>> tg.sinc(tg.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    z = math.pi * x
    near = z * z < 1e-4  # there the series is exact, and so are its derivatives
    s = where(near, z * z, 0.0)
    return where(near, 1 - s / 6 * (1 - s / 20), sin(z) / where(near, 1.0, z))


@primitive
def _logit(x):
    x = as_float(x)
    return namespace_of(x).log(x / (1 - x))


_logit.vjp(x=lambda g, x: g / where((x < 0) | (x > 1), math.nan, x * (1 - x)))


@operation
def logit(x: Tensor, eps: float | None = None) -> Tensor:
    """`log(x / (1 - x))`, the inverse of sigmoid; `eps`: x is first clamped to [eps, 1 - eps].

    >>> import tinygrad_lite as tg
    >>> tg.logit(tg.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    return _logit(x if eps is None else clamp(x, eps, 1 - eps))


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
    lambda g, x, y: g * _over_square(y, x, y),
    lambda g, x, y: -g * _over_square(x, x, y),
    "The angle of the point with ordinate `x` and abscissa `y`, in radians from -pi to pi.",
    meet=_tensors, name="atan2",
)  # fmt: skip
hypot = binary(
    np.hypot,
    lambda g, x, out: g * (x / out),
    lambda g, y, out: g * (y / out),
    "`sqrt(x**2 + y**2)`, without overflow on the way.",
    meet=_floats,
)


@primitive
def _logaddexp(x, y, base):
    x, y = _floats(x, y)
    xp = namespace_of(x)
    return xp.logaddexp2(x, y) if base == 2 else xp.logaddexp(x, y)


_logaddexp.vjp(x=lambda g, x, y, base: g * sigmoid(math.log(base) * (x - y)),
               y=lambda g, x, y, base: g * sigmoid(math.log(base) * (y - x)))


@operation
def logaddexp(x: Tensor, y: Tensor) -> Tensor:
    """`log(exp(x) + exp(y))`, without overflow on the way.

    >>> import tinygrad_lite as tg
    >>> tg.logaddexp(tg.tensor([1000.0]), tg.tensor([0.0]))
    tensor([1000.])
    """
    return _logaddexp(x, y, math.e)


@operation
def logaddexp2(x: Tensor, y: Tensor) -> Tensor:
    """`log2(2**x + 2**y)`, without overflow on the way.

    >>> import tinygrad_lite as tg
    >>> tg.logaddexp2(tg.tensor([3.0]), tg.tensor([3.0]))
    tensor([4.])
    """
    return _logaddexp(x, y, 2)


@primitive
def xlogy(x, y):
    """`x * log(y)`, which is 0 where x is 0 (but nan where y is).

    >>> import tinygrad_lite as tg
    >>> tg.xlogy(tg.tensor([0.0, 2.0]), tg.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    some_tensor(x, y)
    x, y = promoted_floats(x, y)
    xp = namespace_of(x)
    return xp.where((x == 0) & (y == y), x.dtype.type(0), x * xp.log(y))


xlogy.vjp(x=lambda g, x, y: where((x == 0) & (y <= 0), 0.0, xlogy(g, y)),
          y=lambda g, x, y: g * (x / y))
