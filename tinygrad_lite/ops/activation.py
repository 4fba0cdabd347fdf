"""Activation functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import as_float, namespace_of
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.elementary import exp, tanh

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["relu"]

METHODS = ["relu"]
IN_PLACE = ["relu"]


@primitive
def relu(x):
    """`max(x, 0)`; its derivative at 0 is 0."""
    return namespace_of(x).maximum(x, 0)


relu.vjp(x=lambda g, out: g * (out > 0))


_A, _B = math.sqrt(2 / math.pi), 0.044715


@primitive
def _gelu_tanh(x):
    x = as_float(x)
    return x * (0.5 + 0.5 * namespace_of(x).tanh(x * (_A + (_A * _B) * (x * x))))


def _gelu_tanh_slope(x: Any) -> Any:
    t = tanh(x * (_A + (_A * _B) * (x * x)))
    return 0.5 + 0.5 * t + (0.5 * x) * (1 - t * t) * (_A + (3 * _A * _B) * (x * x))


_gelu_tanh.vjp(x=lambda g, x: g * _gelu_tanh_slope(x))


@primitive
def _softplus(x, beta, threshold):
    x = as_float(x)
    xp = namespace_of(x)
    z = x * beta
    return xp.where(z > threshold, x, xp.logaddexp(z, xp.zeros((), z.dtype)) / beta)


_softplus.vjp(x=lambda g, x, beta, threshold: g * _softplus_slope(x * beta, threshold))


def _softplus_slope(z: Any, threshold: float) -> Any:
    beyond = z > threshold
    return beyond + (1 - beyond) / (1 + exp(-z))


@operation
def softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta x)) / beta`, and `x` itself where `beta x > threshold`."""
    return _softplus(x, beta, threshold)
