"""Elementary functions of each element: roots, exponentials, logarithms, trigonometric, hyperbolic.

Integers and bools become the default floating-point dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from tinygrad_lite.arrays import (
    BLOCK,
    as_float,
    erf_of,
    erfc_of,
    mapped,
    namespace_of,
    only_floats,
    only_tensors,
    promote_tensors,
    promoted_floats,
    some_tensor,
)
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calling import named, operation
from tinygrad_lite.ops.math.comparison import where
from tinygrad_lite.ops.math.rounding import clamp

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2",
    "atanh", "cos", "cosh", "deg2rad", "erf", "erfc", "exp", "exp2", "expm1", "hypot", "log", "log1p", "log2", "log10",
    "logaddexp", "logaddexp2", "logit", "rad2deg", "rsqrt", "sigmoid", "sin", "sinc", "sinh", "sqrt", "tan", "tanh", "xlogy",
]  # fmt: skip

METHODS = __all__
IN_PLACE = [name for name in __all__ if name not in ("logaddexp", "logaddexp2")]


def _function(name: str, text: str, rule: Callable[..., Any], of: str | None = None) -> Any:
    """The primitive of a function of one variable that NumPy and CuPy have (under the name `of`)."""
    of = of or name
    of_numpy = getattr(np, of)

    @primitive
    @named(name, text)
    def forward(x):
        if type(x) is not ndarray or x.dtype.kind != "f":
            x = as_float(x)
            return getattr(namespace_of(x), of)(x)
        return of_numpy(x) if x.size < 2 * BLOCK else mapped(of_numpy, x)  # in threads

    forward.vjp(x=rule)
    return forward


cos: Any  # a rule may name a function that is made further down
cosh: Any

sqrt = _function(
    "sqrt",
    "The square root; its derivative at 0 is inf."
    " >>> tg.sqrt(tg.tensor([4.0, 9.0])) -> tensor([2., 3.])",
    lambda g, out: g / (2 * out),
)

exp = _function(
    "exp",
    "e to the power of each element."
    " >>> tg.exp(tg.tensor([0.0, 1.0])) -> tensor([1.0000, 2.7183])",
    lambda g, out: g * out,
)
expm1 = _function(
    "expm1",
    "`exp(x) - 1`, exact for small x."
    " >>> tg.expm1(tg.tensor([0.0, 1e-6])) -> tensor([0.0000e+00, 1.0000e-06])",
    lambda g, out: g * (out + 1),
)
log = _function(
    "log",
    "Natural logarithm."
    " >>> tg.log(tg.tensor([1.0, 10.0])) -> tensor([0.0000, 2.3026])",
    lambda g, x: g / x,
)
log1p = _function(
    "log1p",
    "`log(1 + x)`, exact for small x."
    " >>> tg.log1p(tg.tensor([0.0, 1e-6])) -> tensor([0.0000e+00, 1.0000e-06])",
    lambda g, x: g / (1 + x),
)
log2 = _function(
    "log2",
    "Logarithm to base 2."
    " >>> tg.log2(tg.tensor([1.0, 8.0])) -> tensor([0., 3.])",
    lambda g, x: g / (math.log(2) * x),
)
log10 = _function(
    "log10",
    "Logarithm to base 10."
    " >>> tg.log10(tg.tensor([1.0, 100.0])) -> tensor([0., 2.])",
    lambda g, x: g / (math.log(10) * x),
)

sin = _function(
    "sin",
    "Sine (of radians)."
    " >>> tg.sin(tg.tensor([0.0, 1.0])) -> tensor([0.0000, 0.8415])",
    lambda g, x: g * cos(x),
)
cos = _function(
    "cos",
    "Cosine (of radians)."
    " >>> tg.cos(tg.tensor([0.0, 1.0])) -> tensor([1.0000, 0.5403])",
    lambda g, x: -g * sin(x),
)
tan = _function(
    "tan",
    "Tangent (of radians)."
    " >>> tg.tan(tg.tensor([0.0, 1.0])) -> tensor([0.0000, 1.5574])",
    lambda g, out: g * (1 + out * out),
)
asin = _function(
    "asin",
    "Arc sine, in radians."
    " >>> tg.asin(tg.tensor([0.0, 1.0])) -> tensor([0.0000, 1.5708])",
    lambda g, x: g / sqrt(1 - x * x), of="arcsin",
)
acos = _function(
    "acos",
    "Arc cosine, in radians."
    " >>> tg.acos(tg.tensor([0.0, 1.0])) -> tensor([1.5708, 0.0000])",
    lambda g, x: -g / sqrt(1 - x * x), of="arccos",
)
atan = _function(
    "atan",
    "Arc tangent, in radians."
    " >>> tg.atan(tg.tensor([0.0, 1.0])) -> tensor([0.0000, 0.7854])",
    lambda g, x: g / (1 + x * x), of="arctan",
)

sinh = _function(
    "sinh",
    "Hyperbolic sine."
    " >>> tg.sinh(tg.tensor([0.0, 1.0])) -> tensor([0.0000, 1.1752])",
    lambda g, x: g * cosh(x),
)
cosh = _function(
    "cosh",
    "Hyperbolic cosine."
    " >>> tg.cosh(tg.tensor([0.0, 1.0])) -> tensor([1.0000, 1.5431])",
    lambda g, x: g * sinh(x),
)
tanh = _function(
    "tanh",
    "Hyperbolic tangent."
    " >>> tg.tanh(tg.tensor([0.0, 1.0])) -> tensor([0.0000, 0.7616])",
    lambda g, out: g * (1 - out * out),
)
asinh = _function(
    "asinh",
    "Inverse hyperbolic sine."
    " >>> tg.asinh(tg.tensor([0.0, 1.0])) -> tensor([0.0000, 0.8814])",
    lambda g, x: g / sqrt(x * x + 1), of="arcsinh",
)
acosh = _function(
    "acosh",
    "Inverse hyperbolic cosine."
    " >>> tg.acosh(tg.tensor([1.0, 2.0])) -> tensor([0.0000, 1.3170])",
    lambda g, x: g / sqrt(x * x - 1), of="arccosh",
)
atanh = _function(
    "atanh",
    "Inverse hyperbolic tangent."
    " >>> tg.atanh(tg.tensor([0.0, 0.5])) -> tensor([0.0000, 0.5493])",
    lambda g, x: g / (1 - x * x), of="arctanh",
)

arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


@primitive
def sigmoid(x):
    """`1 / (1 + exp(-x))`.

    >>> import tinygrad_lite as tg
    >>> tg.sigmoid(tg.tensor([-1000.0, 0.0, 1000.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    x = as_float(x)
    if type(x) is ndarray and x.size > BLOCK:
        return mapped(_sigmoid, x)
    t = namespace_of(x).exp(-x)
    t += 1
    return 1 / t


def _sigmoid(x: Any, out: Any) -> None:
    np.negative(x, out)
    np.exp(out, out)
    out += 1
    np.reciprocal(out, out)


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


# -- of two variables ---------------------------------------------------------------------------


@primitive
def atan2(x, y):
    """The angle of the point with ordinate `x` and abscissa `y`, in radians from -pi to pi.

    >>> import tinygrad_lite as tg
    >>> tg.atan2(tg.tensor([1.0, -1.0]), tg.tensor([1.0, -1.0]))
    tensor([ 0.7854, -2.3562])
    """
    only_tensors(x, y)
    x, y = promoted_floats(x, y)
    return namespace_of(x).arctan2(x, y)


def _over_square(side: Any, x: Any, y: Any) -> Any:
    square = x * x + y * y
    return where(square == 0, 0.0, side / square)


atan2.vjp(x=lambda g, x, y: g * _over_square(y, x, y),
          y=lambda g, x, y: -g * _over_square(x, x, y))

arctan2 = atan2


@primitive
def hypot(x, y):
    """`sqrt(x**2 + y**2)`, without overflow on the way.

    >>> import tinygrad_lite as tg
    >>> tg.hypot(tg.tensor([3.0]), tg.tensor([4.0]))
    tensor([5.])
    """
    x, y = promote_tensors(x, y)
    only_floats(x)
    return namespace_of(x).hypot(x, y)


hypot.vjp(x=lambda g, x, out: g * (x / out),
          y=lambda g, y, out: g * (y / out))


@primitive
def _logaddexp(x, y, base):
    x, y = promote_tensors(x, y)
    only_floats(x)
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
