"""Activations: functions of each element, and the gated linear unit."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import elementwise, namespace_of, select
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import canonical_dim, operation
from tinygrad_lite.ops.comparison import where
from tinygrad_lite.ops.elementary import exp, sigmoid, tanh
from tinygrad_lite.ops.inplace import in_place
from tinygrad_lite.ops.piecewise import abs

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

# torch.<name> exists for these; the others stand in nn.functional only.
__all__ = [
    "celu", "celu_", "hardshrink", "prelu", "relu", "relu_", "selu", "selu_", "threshold", "threshold_",
]  # fmt: skip

METHODS = ["hardshrink", "prelu", "relu"]
IN_PLACE = ["relu"]


def floating(x: Any) -> Any:
    """`x`, if it is a floating-point tensor: PyTorch takes no other here."""
    if getattr(x, "dtype", np.dtype(bool)).kind not in "fc":
        raise TypeError(f"expected a floating-point tensor, got {getattr(x, 'dtype', type(x).__name__)}")
    return x


def numeric(x: Any) -> Any:
    """`x`, if it is a tensor of numbers, not of bools."""
    if getattr(x, "dtype", np.dtype(bool)).kind == "b":
        raise TypeError(f"expected a tensor of numbers, got {getattr(x, 'dtype', type(x).__name__)}")
    return x


def optional_inplace(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give `function` the last argument `inplace=False`."""
    changed = in_place(function)
    code = getattr(function, "__wrapped__", function).__code__
    count = code.co_argcount

    @functools.wraps(function)
    def call(*args: Any, inplace: bool = False, **kwargs: Any) -> Any:
        if len(args) > count:
            *args, inplace = args  # type: ignore[assignment]
        if not inplace:
            return function(*args, **kwargs)
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        return changed(*args, **kwargs)

    return call


# -- straight pieces ----------------------------------------------------------------------------


@primitive
def relu(x):
    """`max(x, 0)`; its derivative at 0 is 0.

    >>> import tinygrad_lite as tg
    >>> tg.relu(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    numeric(x)
    xp = namespace_of(x)
    if x.size < 1024 or xp is not np:
        return xp.maximum(x, 0)
    # Between two arrays NumPy's maximum is vectorized, against a number it is not: 60 and 17 us
    # for 65536 floats.
    out = np.empty_like(x)
    zeros = _zeros(x.dtype)
    elementwise(lambda out, x: np.maximum(x, zeros[: x.size] if x.ndim == 1 and x.size <= zeros.size else 0, out=out), out, x)
    return out


relu.vjp(x=lambda g, out: where(out <= 0, 0.0, g))


@functools.cache
def _zeros(dtype: np.dtype) -> Any:
    return np.zeros(1 << 16, dtype)


@primitive
def _leaky_relu(x, slope):
    return select(floating(x) > 0, x, x * slope)


_leaky_relu.vjp(x=lambda g, x, slope: where(x > 0, g, g * slope))


@primitive
def _hardtanh(x, low, high):
    number = numeric(x).dtype.type
    return namespace_of(x).clip(x, number(low), number(high))


_hardtanh.vjp(x=lambda g, x, low, high: where((x <= low) | (x >= high), 0.0, g))


@optional_inplace
@operation
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`x` where it is positive, else `negative_slope * x`."""
    return _leaky_relu(x, negative_slope)


@optional_inplace
@operation
def hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`x` kept between `min_val` and `max_val`; its derivative at both is 0."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is larger than max_val {max_val}")
    return _hardtanh(x, min_val, max_val)


@optional_inplace
@operation
def relu6(x: Tensor) -> Tensor:
    """`min(max(x, 0), 6)`"""
    return _hardtanh(x, 0, 6)


@optional_inplace
@operation
def hardsigmoid(x: Tensor) -> Tensor:
    """`relu6(x + 3) / 6`"""
    return _hardtanh(floating(x) + 3, 0, 6) / 6


@optional_inplace
@operation
def hardswish(x: Tensor) -> Tensor:
    """`x * relu6(x + 3) / 6`"""
    return x * (_hardtanh(floating(x) + 3, 0, 6) / 6)


@operation
def hardshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` where it is outside of [-lambd, lambd], else 0."""
    return where((floating(x) >= -lambd) & (x <= lambd), 0.0, x)


@operation
def softshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `lambd`; 0 for what is nearer than that."""
    if lambd < 0:
        raise ValueError(f"softshrink: expected lambd of 0 or more, got {lambd}")
    return where((floating(x) >= -lambd) & (x <= lambd), 0.0, where(x > 0, x - lambd, x + lambd))


@optional_inplace
@operation
def threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    """`x` where it is above `threshold`, else `value`."""
    return where(numeric(x) <= threshold, value, x)


@operation
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """`x` where it is positive, else `weight * x`; weight: one number, or one for each channel (dim 1)."""
    if weight.ndim > 1:
        raise ValueError(f"prelu: expected a weight of 0 or 1 dimensions, got shape {tuple(weight.shape)}")
    if math.prod(weight.shape) != 1:
        channels = x.shape[1] if x.ndim > 1 else 1
        if weight.shape[0] != channels:
            raise ValueError(f"prelu: expected a weight of 1 or {channels} (the channels of {tuple(x.shape)}), got {weight.shape[0]}")
        weight = weight.reshape((-1,) + (1,) * (x.ndim - 2))
    elif weight.ndim:
        weight = weight.reshape(())
    if weight.dtype != x.dtype:
        raise TypeError(f"prelu: expected a weight of {x.dtype}, as x, got {weight.dtype}")
    return where(x > 0, x, weight * x)


@operation
def softsign(x: Tensor) -> Tensor:
    """`x / (1 + |x|)`"""
    return x / (1 + abs(numeric(x)))


# -- exponentials -------------------------------------------------------------------------------


@primitive
def _elu(x, alpha, scale, rate):
    xp = namespace_of(x)
    out = xp.expm1(floating(x) * rate)
    out *= alpha * scale
    return select(x > 0, x * scale if scale != 1 else x, out)


# Where x is positive exp is kept finite: 0 * inf would be nan a derivative later.
_elu.vjp(
    x=lambda g, x, alpha, scale, rate: g * where(x > 0, scale, (alpha * scale * rate) * exp(where(x < 0, x, 0.0) * rate))
)


@optional_inplace
@operation
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where it is positive, else `alpha * (exp(x) - 1)`."""
    return _elu(x, alpha, 1.0, 1.0)


@optional_inplace
@operation
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where it is positive, else `alpha * (exp(x / alpha) - 1)`."""
    if alpha == 0:
        raise ValueError("celu: expected alpha other than 0")
    return _elu(x, alpha, 1.0, 1.0 / alpha)


@optional_inplace
@operation
def selu(x: Tensor) -> Tensor:
    """`scale * elu(x, alpha)` with the constants for which activations keep mean 0 and variance 1
    (Klambauer et al., Self-Normalizing Neural Networks)."""
    return _elu(x, SELU_ALPHA, SELU_SCALE, 1.0)


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@primitive
def _softplus(x, beta, threshold):
    xp = namespace_of(floating(x))
    z = x * beta
    out = xp.abs(z)
    out = xp.log1p(xp.exp(-out)) + xp.maximum(z, 0)
    return select(z > threshold, x, out / beta)


_softplus.vjp(x=lambda g, x, beta, threshold: g * where(x * beta > threshold, 1.0, sigmoid(x * beta)))


@operation
def softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta x)) / beta`, and `x` itself where `beta x > threshold`."""
    return _softplus(x, beta, threshold)


@operation
def logsigmoid(x: Tensor) -> Tensor:
    """`log(sigmoid(x))`, for any x."""
    return -_softplus(-x, 1.0, math.inf)


@primitive(keeps=("share",))
def _silu(x):
    xp = namespace_of(floating(x))
    share, out = xp.empty_like(x), xp.empty_like(x)

    def kernel(x, share, out):
        xp.negative(x, out=share)
        xp.exp(share, out=share)
        xp.add(share, 1, out=share)
        xp.reciprocal(share, out=share)
        xp.multiply(x, share, out=out)

    elementwise(kernel, x, share, out)
    return out, share


@_silu.fused_vjp("x")
def _(needs, g, out, share):
    xp = namespace_of(out)
    slope = xp.empty_like(out)

    def kernel(g, out, share, slope):  # share (1 + x (1 - share))
        xp.subtract(1, share, out=slope)
        slope *= out
        slope += share
        slope *= g

    elementwise(kernel, g, out, share, slope)
    return (slope,)


_silu.composed_of(lambda x: x * sigmoid(x))


@optional_inplace
@operation
def silu(x: Tensor) -> Tensor:
    """`x * sigmoid(x)`, also known as swish."""
    return _silu(x)


@optional_inplace
@operation
def mish(x: Tensor) -> Tensor:
    """`x * tanh(softplus(x))`"""
    return x * tanh(_softplus(x, 1.0, 20.0))


@operation
def tanhshrink(x: Tensor) -> Tensor:
    """`x - tanh(x)`"""
    return numeric(x) - tanh(x)


# -- Gaussian error linear unit -----------------------------------------------------------------

# The normal distribution function is (1 + tanh(x p(x^2))) / 2 with this p, highest power first:
# fitted for the least maximal error in gelu, 7e-8. Twelve steps and a tanh that NumPy vectorizes;
# it has no erf.
_NORMAL = (1.81392411e-09, -1.33783059e-07, 3.97406850e-06, -5.52733702e-05, -3.30267561e-05, 3.63341492e-02, 7.97884268e-01)
_TANH = (0.044715 * math.sqrt(2 / math.pi), math.sqrt(2 / math.pi))


@primitive(keeps=("share",))
def gelu(x, approximate="none"):
    """`x` times the share of the normal distribution below it (Hendrycks and Gimpel).

    `approximate="tanh"`: with a tanh in place of that share.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: expected approximate 'none' or 'tanh', got {approximate!r}")
    xp = namespace_of(floating(x))
    share, out = xp.empty_like(x), xp.empty_like(x)
    first, *others = _NORMAL if approximate == "none" else _TANH

    def kernel(x, share, out):
        xp.multiply(x, x, out=out)
        xp.multiply(out, first, out=share)
        for coefficient in others[:-1]:
            share += coefficient
            share *= out
        share += others[-1]
        share *= x
        xp.tanh(share, out=share)
        share *= 0.5
        share += 0.5
        xp.multiply(x, share, out=out)

    elementwise(kernel, x, share, out)
    return out, share


@gelu.fused_vjp("x")
def _(needs, g, x, share, approximate):
    xp = namespace_of(x)
    out = xp.empty_like(x)

    def exact(g, x, share, out):  # share + x density(x)
        xp.multiply(x, x, out=out)
        out += math.log(2 * math.pi)
        out *= -0.5
        xp.exp(out, out=out)
        out *= x
        out += share
        out *= g

    def approximated(g, x, share, out):  # share + x 2 share (1 - share) z'(x)
        xp.multiply(x, x, out=out)
        out *= 6 * _TANH[0]
        out += 2 * _TANH[1]
        out *= x
        out *= share
        out *= 1 - share
        out += share
        out *= g

    elementwise(exact if approximate == "none" else approximated, g, x, share, out)
    return out, None


@gelu.composed_of
def _(x, approximate):
    coefficients = _NORMAL if approximate == "none" else _TANH
    square = x * x
    p = coefficients[0]
    for coefficient in coefficients[1:]:
        p = p * square + coefficient
    return x * (0.5 + 0.5 * tanh(x * p))


# -- gates, random slopes -----------------------------------------------------------------------


@operation
def glu(x: Tensor, dim: int = -1) -> Tensor:
    """The first half of `x` along `dim` times the sigmoid of the second half."""
    if not x.ndim:
        raise ValueError("glu: expected a tensor of 1 or more dimensions, got a 0-d one")
    dim = canonical_dim("glu", dim, x.ndim)
    if x.shape[dim] % 2:
        raise ValueError(f"glu: expected an even size along dim {dim}, got shape {tuple(x.shape)}")
    half = x.shape[dim] // 2
    index = (slice(None),) * dim
    return floating(x)[(*index, slice(half))] * sigmoid(x[(*index, slice(half, None))])


relu_ = in_place(relu)
leaky_relu_ = in_place(leaky_relu)
hardtanh_ = in_place(hardtanh)
threshold_ = in_place(threshold)
elu_ = in_place(elu)
celu_ = in_place(celu)
selu_ = in_place(selu)
