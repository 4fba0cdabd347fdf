"""Activations: functions of each element, and the gated linear unit."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import (
    BLOCK,
    choose,
    device_of,
    elementwise,
    erf_of,
    mapped,
    namespace_of,
    only_floats,
    only_numbers,
)
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import canonical_dim, operation, raw
from tinygrad_lite.ops.comparison import where
from tinygrad_lite.ops.elementary import erf, exp, sigmoid, tanh
from tinygrad_lite.ops.inplace import in_place
from tinygrad_lite.ops.piecewise import abs
from tinygrad_lite.ops.random import source

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

# torch.<name> exists for these; the others stand in nn.functional only.
__all__ = [
    "celu", "celu_", "hardshrink", "prelu", "relu", "relu_", "rrelu", "rrelu_", "selu", "selu_", "threshold", "threshold_",
]  # fmt: skip

METHODS = ["hardshrink", "prelu", "relu"]
IN_PLACE = ["relu"]


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
    only_numbers(x)
    xp = namespace_of(x)
    if x.size < 1024 or xp is not np:
        return xp.maximum(x, 0)
    # Between two arrays NumPy's maximum is vectorized, against a number it is not: 17 and 60 us
    # for 65536 floats.
    zeros = _zeros(x.dtype)

    def kernel(x, out):
        if x.size <= zeros.size and x.flags.c_contiguous:
            np.maximum(x.reshape(-1), zeros[: x.size], out=out.reshape(-1))
        else:
            np.maximum(x, 0, out=out)

    return mapped(kernel, x)


relu.vjp(x=lambda g, out: where(out <= 0, 0.0, g))


@functools.cache
def _zeros(dtype: np.dtype) -> Any:
    return np.zeros(BLOCK, dtype)


@primitive
def _leaky_relu(x, slope):
    only_floats(x)
    return namespace_of(x).maximum(x, x * slope) if 0 < slope <= 1 else choose(x > 0, x, x * slope)


_leaky_relu.vjp(x=lambda g, x, slope: where(x > 0, g, g * slope))


@primitive
def _hardtanh(x, low, high):
    only_numbers(x)
    number = x.dtype.type
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
    only_floats(x)
    return _hardtanh(x + 3, 0, 6) / 6


@optional_inplace
@operation
def hardswish(x: Tensor) -> Tensor:
    """`x * relu6(x + 3) / 6`"""
    only_floats(x)
    return x * (_hardtanh(x + 3, 0, 6) / 6)


@operation
def hardshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` where it is outside of [-lambd, lambd], else 0."""
    only_floats(x)
    return where((x >= -lambd) & (x <= lambd), 0.0, x)


@operation
def softshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `lambd`; 0 for what is nearer than that."""
    if lambd < 0:
        raise ValueError(f"softshrink: expected lambd of 0 or more, got {lambd}")
    only_floats(x)
    return where((x >= -lambd) & (x <= lambd), 0.0, where(x > 0, x - lambd, x + lambd))


@optional_inplace
@operation
def threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    """`x` where it is above `threshold`, else `value`."""
    only_numbers(x)
    if x.dtype.kind in "iu":
        value, limits = int(value), np.iinfo(x.dtype)
        if not limits.min <= value <= limits.max:
            raise ValueError(f"threshold: the value {value} does not fit into {x.dtype}")
    return where(x <= threshold, value, x)


@operation
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """`x` where it is positive, else `weight * x`; weight: one number, or one for each channel (dim 1)."""
    only_floats(x)
    if weight.ndim > 1:
        raise ValueError(f"prelu: expected a weight of 0 or 1 dimensions, got shape {tuple(weight.shape)}")
    if math.prod(weight.shape) != 1:
        channels = x.shape[1] if x.ndim > 1 else 1
        if weight.shape[0] != channels:
            raise ValueError(f"prelu: expected 1 or {channels} weights for shape {tuple(x.shape)}, got {weight.shape[0]}")
        weight = weight.reshape((-1,) + (1,) * (x.ndim - 2))
    elif weight.ndim:
        weight = weight.reshape(())
    if weight.dtype != x.dtype:
        raise TypeError(f"prelu: expected a weight of {x.dtype}, as x, got {weight.dtype}")
    return where(x > 0, x, weight * x)


@operation
def softsign(x: Tensor) -> Tensor:
    """`x / (1 + |x|)`"""
    only_numbers(x)
    return x / (1 + abs(x))


# -- exponentials -------------------------------------------------------------------------------


@primitive
def _elu(x, alpha, scale, rate):
    only_floats(x)
    out = namespace_of(x).expm1(x * rate)
    out *= alpha * scale
    return choose(x > 0, x * scale if scale != 1 else x, out)


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
    only_floats(x)
    xp = namespace_of(x)
    z = x * beta
    out = xp.abs(z)
    out = xp.log1p(xp.exp(-out)) + xp.maximum(z, 0)
    return choose(z > threshold, x, out / beta)


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
    only_floats(x)
    xp = namespace_of(x)
    share, out = xp.empty_like(x), xp.empty_like(x)

    def kernel(x, share, out, xp=xp):
        xp.negative(x, out=share)
        xp.exp(share, out=share)
        xp.add(share, 1, out=share)
        xp.reciprocal(share, out=share)
        xp.multiply(x, share, out=out)

    elementwise(kernel, x, share, out)
    return out, share


@_silu.fused_vjp("x")
def _(needs, g, x, share):
    xp = namespace_of(x)
    slope = xp.empty_like(x)

    def kernel(g, x, share, slope, xp=xp):  # share (1 + x (1 - share))
        xp.subtract(1, share, out=slope)
        slope *= x
        slope += 1
        slope *= share
        slope *= g

    elementwise(kernel, g, x, share, slope)
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
    only_numbers(x)
    return x - tanh(x)


# -- Gaussian error linear unit -----------------------------------------------------------------

# Of the tanh form, tanh(x (a + b x^2)).
_A, _B = math.sqrt(2 / math.pi), 0.044715 * math.sqrt(2 / math.pi)


@primitive(keeps=("share",))
def gelu(x, approximate="none"):
    """`x` times the share of the normal distribution below it (Hendrycks and Gimpel).

    `approximate="tanh"`: with a tanh in place of that share.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: expected approximate 'none' or 'tanh', got {approximate!r}")
    only_floats(x)
    xp = namespace_of(x)
    share, out = xp.empty_like(x), xp.empty_like(x)

    def exact(x, share, out, xp=xp):
        xp.multiply(x, math.sqrt(0.5), out=out)
        xp.add(erf_of(out), 1, out=share)
        share *= 0.5
        xp.multiply(x, share, out=out)

    def with_tanh(x, share, out, xp=xp):
        xp.multiply(x, x, out=share)
        share *= _B
        share += _A
        share *= x
        xp.tanh(share, out=share)
        share += 1
        share *= 0.5
        xp.multiply(x, share, out=out)

    elementwise(exact if approximate == "none" else with_tanh, x, share, out)
    return out, share


@gelu.fused_vjp("x")
def _(needs, g, x, share, approximate):
    xp = namespace_of(x)
    out = xp.empty_like(x)

    def exact(g, x, share, out, xp=xp):  # share + x density(x)
        xp.multiply(x, x, out=out)
        out += math.log(2 * math.pi)
        out *= -0.5
        xp.exp(out, out=out)
        out *= x
        out += share
        out *= g

    def with_tanh(g, x, share, out, xp=xp):  # share + x 2 share (1 - share) (a + 3 b x^2)
        xp.subtract(1, share, out=out)
        out *= share  # 0 for a large x, whose square may be inf
        out *= x
        cubic = out * x
        cubic *= x
        cubic *= 6 * _B
        out *= 2 * _A
        out += cubic
        out += share
        out *= g

    elementwise(exact if approximate == "none" else with_tanh, g, x, share, out)
    return out, None


@gelu.composed_of
def _(x, approximate):
    share = 1 + (erf(x * math.sqrt(0.5)) if approximate == "none" else tanh(x * (_A + _B * (x * x))))
    return 0.5 * x * share


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
    only_floats(x)
    return x[(*index, slice(half))] * sigmoid(x[(*index, slice(half, None))])


@optional_inplace
@operation
def rrelu(x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Tensor:
    """`x` where it is positive, else `a * x`, with `a` drawn between `lower` and `upper` for each
    element in training, and their mean otherwise."""
    if not lower <= upper:
        raise ValueError(f"rrelu: lower {lower} is larger than upper {upper}")
    if not training:
        return _leaky_relu(x, (lower + upper) / 2)
    only_floats(x)
    array = raw(x)
    slopes = source(device=device_of(array)).uniform(array.shape, array.dtype) * (upper - lower) + lower
    return where(x > 0, x, x * slopes)


relu_ = in_place(relu)
leaky_relu_ = in_place(leaky_relu)
hardtanh_ = in_place(hardtanh)
threshold_ = in_place(threshold)
elu_ = in_place(elu)
celu_ = in_place(celu)
selu_ = in_place(selu)
rrelu_ = in_place(rrelu)
