"""Activation functions, block by block."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_lite.arrays import (
    BLOCK,
    as_float,
    choose,
    elementwise,
    empty_like,
    expm1_below_0,
    log1p_up_to_1,
    mapped,
    namespace_of,
    normal_cdf,
)
from tinygrad_lite.arrays.blocked import as_one_loop
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.loops import SMALLEST


@kernel
def elu_of(x: Any, alpha: Any, scale: Any, rate: Any) -> Any:
    """`scale x` where x is positive, otherwise `alpha scale (exp(rate x) - 1)`."""
    out = expm1_below_0(x * rate) if rate > 0 else namespace_of(x).expm1(x * rate)
    out *= alpha * scale
    return choose(x > 0, x * scale if scale != 1 else x, out)


@kernel
def softplus_of(x: Any, beta: Any, threshold: Any) -> Any:
    """`log(1 + exp(beta x)) / beta`."""
    xp = namespace_of(x)
    out = empty_like(x)

    def kernel(x, out, xp=xp):  # (max(z, 0) + log(1 + exp(-|z|))) / beta, z = beta x
        z = x * beta
        xp.abs(z, out=out)
        xp.negative(out, out=out)
        xp.exp(out, out=out)
        log1p_up_to_1(out, out, xp)
        out += xp.maximum(z, 0)
        if beta != 1:
            out /= beta

    elementwise(kernel, x, out)
    return out if threshold == math.inf else choose(x * beta > threshold, x, out)


@kernel
def silu_of(x: Any) -> Any:
    """`x sigmoid(x)`, and sigmoid(x)."""
    xp = namespace_of(x)
    share, out = empty_like(x), empty_like(x)

    def kernel(x, share, out, xp=xp):
        xp.negative(x, out=share)
        xp.exp(share, out=share)
        xp.add(share, 1, out=share)
        xp.reciprocal(share, out=share)
        xp.multiply(x, share, out=out)

    elementwise(kernel, x, share, out)
    return out, share


@kernel
def silu_gradient(g: Any, x: Any, share: Any) -> Any:
    """The gradient of x; `share` is sigmoid(x)."""
    xp = namespace_of(x)
    slope = empty_like(x)

    def kernel(g, x, share, slope, xp=xp):  # share (1 + x (1 - share))
        xp.subtract(1, share, out=slope)
        slope *= x
        slope += 1
        slope *= share
        slope *= g

    elementwise(kernel, g, x, share, slope)
    return (slope,)


# The constants of the tanh form, tanh(x (a + b x^2)).
GELU_A, GELU_B = math.sqrt(2 / math.pi), 0.044715 * math.sqrt(2 / math.pi)


@kernel
def gelu_of(x: Any, approximate: Any) -> Any:
    """`x cdf(x)` for the standard normal cdf, and cdf(x)."""
    xp = namespace_of(x)
    share, out = empty_like(x), empty_like(x)

    share_of, _ = _GELU[approximate]

    def kernel(x, share, out, xp=xp):
        share_of(x, share, xp)
        xp.multiply(x, share, out=out)

    elementwise(kernel, x, share, out)
    return out, share


def gelu_alone(x: Any, approximate: Any) -> Any:
    """gelu(x), without what the gradient needs."""
    share_of, _ = _GELU[approximate]
    out = empty_like(x)

    def kernel(x, out, xp=np):
        share_of(x, out, xp)
        out *= x

    elementwise(kernel, x, out)
    return out


def _gelu_share_with_tanh(x: Any, share: Any, xp: Any) -> None:
    xp.multiply(x, x, out=share)
    share *= GELU_B
    share += GELU_A
    share *= x
    xp.tanh(share, out=share)
    share += 1
    share *= 0.5


@kernel
def gelu_gradient(g: Any, x: Any, share: Any, approximate: Any) -> Any:
    """The gradient of x; `share` is cdf(x)."""
    xp = namespace_of(x)
    out = empty_like(x)
    _, slope = _GELU[approximate]

    def kernel(g, x, share, out, xp=xp):
        slope(x, share, out, xp)
        out *= g

    elementwise(kernel, g, x, share, out)
    return out, None


def gelu_gradient_and_result(g: Any, x: Any, share: Any, approximate: Any) -> None:
    """Write the gradient of x to `g`, and gelu(x) to `share`, which is cdf(x) at first."""
    _, slope = _GELU[approximate]

    def kernel(g, x, share, xp=np):
        out = x * x
        slope(x, share, out, xp)
        g *= out
        share *= x

    elementwise(kernel, g, x, share)


def gelu_gradient_and_result_of(g: Any, x: Any, approximate: Any) -> Any:
    """Write the gradient of x to `g`; returns gelu(x)."""
    share_of, slope = _GELU[approximate]
    share = empty_like(x)

    def kernel(g, x, share, xp=np):
        share_of(x, share, xp)
        out = x * x
        slope(x, share, out, xp)
        g *= out
        share *= x

    elementwise(kernel, g, x, share)
    return share


def _gelu_slope(x: Any, share: Any, out: Any, xp: Any) -> None:  # share + x density(x)
    xp.multiply(x, x, out=out)
    out += math.log(2 * math.pi)
    out *= -0.5
    xp.exp(out, out=out)
    out *= x
    out += share


def _gelu_slope_with_tanh(x: Any, share: Any, out: Any, xp: Any) -> None:  # share + x 2 share (1 - share) (a + 3 b x^2)
    xp.subtract(1, share, out=out)
    out *= share  # 0 for large x, where x^2 may be inf
    out *= x
    cubic = out * x
    cubic *= x
    cubic *= 6 * GELU_B
    out *= 2 * GELU_A
    out += cubic
    out += share


# By `approximate`: what writes gelu(x) / x, and what writes the derivative.
_GELU = {"none": (normal_cdf, _gelu_slope), "tanh": (_gelu_share_with_tanh, _gelu_slope_with_tanh)}


@kernel
def relu_of(x: Any) -> Any:
    """`max(x, 0)`."""
    xp = namespace_of(x)
    if x.size < 1024 or xp is not np:
        return xp.maximum(x, 0)
    if (made := as_one_loop(_relu, [x])) is not None:
        return made["out"]
    # NumPy's maximum is vectorized for two arrays (17 us for 65536 floats), but not for an array and
    # a number (60 us).
    zeros = _zeros(x.dtype)

    def kernel(x, out):
        if x.size <= zeros.size and x.flags.c_contiguous:
            np.maximum(x.reshape(-1), zeros[: x.size], out=out.reshape(-1))
        else:
            np.maximum(x, 0, out=out)

    return mapped(kernel, x)


def _relu(x: Any, xp: Any = np) -> Any:
    return {"out": xp.maximum(x, 0.0)}


def relu_gradient(g: Any, out: Any) -> Any:
    """`where(out <= 0, 0, g)` of arrays in one pass; None where that is not faster."""
    made = as_one_loop(_relu_gradient, [g, out]) if type(g) is ndarray and g.size >= _LARGE else None
    return None if made is None else made["gradient"]


_LARGE = 1 << 17  # elements from which on a loop is faster than NumPy's passes: 802816 take 0.19 ms instead of 0.32


def _relu_gradient(g: Any, out: Any, xp: Any = np) -> Any:
    return {"gradient": xp.where(out <= 0.0, 0.0, g)}


@functools.cache
def _zeros(dtype: np.dtype) -> Any:
    return np.zeros(BLOCK, dtype)


@kernel
def sigmoid_of(x: Any) -> Any:
    """`1 / (1 + exp(-x))`."""
    x = as_float(x)
    if type(x) is ndarray and x.size >= SMALLEST:
        return mapped(_sigmoid, x)
    t = namespace_of(x).exp(-x)
    t += 1
    return 1 / t


def _sigmoid(x: Any, out: Any, xp: Any = np) -> None:
    xp.negative(x, out=out)
    xp.exp(out, out=out)
    out += 1
    xp.reciprocal(out, out=out)
