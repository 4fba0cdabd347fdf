"""Smooth activations, functions of each element, and the gated linear unit."""

from __future__ import annotations

import math

from tinygrad_lite.arrays import (
    only_floats,
    only_numbers,
)
from tinygrad_lite.arrays.kernels.activations import GELU_A, GELU_B, elu_of, gelu_gradient, gelu_of, silu_gradient, silu_of, softplus_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import exp, tanh
from tinygrad_lite.ops.calling import canonical_dim, number, operation
from tinygrad_lite.ops.math.elementary import erf, sigmoid
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.inplace import in_place, optional_inplace
from tinygrad_lite.ops.typing import Tensor

# torch.<name> exists for these; the others stand in nn.functional only.
__all__ = ["celu", "celu_", "selu", "selu_"]


# -- exponentials -------------------------------------------------------------------------------


@primitive
def _elu(x, alpha, scale, rate):
    only_floats(x)
    return elu_of(x, alpha, scale, rate)


# Where x is positive exp is kept finite: 0 * inf would be nan a derivative later.
_elu.vjp(
    x=lambda g, x, alpha, scale, rate: g * where(x > 0, scale, (alpha * scale * rate) * exp(where(x < 0, x, 0.0) * rate))
)


@optional_inplace
@operation
def elu(x: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` where it is positive, else `alpha * (exp(x) - 1)`.

    >>> import tinygrad_lite as tg
    >>> elu(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _elu(x, number("elu", "alpha", alpha), 1.0, 1.0)


@optional_inplace
@operation
def celu(x: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` where it is positive, else `alpha * (exp(x / alpha) - 1)`.

    >>> import tinygrad_lite as tg
    >>> celu(tg.tensor([-100.0, 0.0, 3.0]), alpha=2.0)  # at least -alpha
    tensor([-2.,  0.,  3.])
    """
    alpha = number("celu", "alpha", alpha)
    if alpha == 0:
        raise ValueError("celu: expected alpha other than 0")
    return _elu(x, alpha, 1.0, 1.0 / alpha)


@optional_inplace
@operation
def selu(x: Tensor, inplace: bool = False) -> Tensor:
    """`scale * elu(x, alpha)` with the constants for which activations keep mean 0 and variance 1
    (Klambauer et al., Self-Normalizing Neural Networks).

    >>> import tinygrad_lite as tg
    >>> y = selu(tg.randn(100_000))
    >>> abs(y.mean().item()) < 0.05, abs(y.std().item() - 1) < 0.05
    (True, True)
    """
    return _elu(x, SELU_ALPHA, SELU_SCALE, 1.0)


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@primitive
def _softplus(x, beta, threshold):
    only_floats(x)
    return softplus_of(x, beta, threshold)


_softplus.vjp(x=lambda g, x, beta, threshold: g * where(x * beta > threshold, 1.0, sigmoid(x * beta)))


@operation
def softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta x)) / beta`, and `x` itself where `beta x > threshold`.

    >>> import tinygrad_lite as tg
    >>> softplus(tg.tensor([-1000.0, 0.0, 1000.0]))
    tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])
    """
    return _softplus(x, number("softplus", "beta", beta), number("softplus", "threshold", threshold))


@operation
def logsigmoid(x: Tensor) -> Tensor:
    """`log(sigmoid(x))`, for any x.

    >>> import tinygrad_lite as tg
    >>> logsigmoid(tg.tensor([-1000.0, 0.0, 1000.0]))
    tensor([-1.0000e+03, -6.9315e-01, -0.0000e+00])
    """
    return contiguous(-_softplus(-x, 1.0, math.inf))


@primitive(keeps=("share",))
def _silu(x):
    only_floats(x)
    return silu_of(x)


@_silu.fused_vjp("x")
def _(needs, g, x, share):
    return silu_gradient(g, x, share)


_silu.composed_of(lambda x: x * sigmoid(x))


@optional_inplace
@operation
def silu(x: Tensor, inplace: bool = False) -> Tensor:
    """`x * sigmoid(x)`, also known as swish.

    >>> import tinygrad_lite as tg
    >>> silu(tg.tensor([-20.0, 0.0, 20.0]))
    tensor([-4.1223e-08,  0.0000e+00,  2.0000e+01])
    """
    return _silu(x)


@optional_inplace
@operation
def mish(x: Tensor, inplace: bool = False) -> Tensor:
    """`x * tanh(softplus(x))`

    >>> import tinygrad_lite as tg
    >>> mish(tg.tensor([-1.0, 0.0, 20.0]))
    tensor([-0.3034,  0.0000, 20.0000])
    """
    return x * tanh(_softplus(x, 1.0, 20.0))


@operation
def tanhshrink(x: Tensor) -> Tensor:
    """`x - tanh(x)`

    >>> import tinygrad_lite as tg
    >>> tanhshrink(tg.tensor([-20.0, 0.0, 20.0]))
    tensor([-19.,   0.,  19.])
    """
    only_numbers(x)
    return x - tanh(x)


# -- Gaussian error linear unit -----------------------------------------------------------------


@primitive(keeps=("share",))
def gelu(x, approximate="none"):
    """`x` times the share of the normal distribution below it (Hendrycks and Gimpel).

    `approximate="tanh"`: with a tanh in place of that share.

    >>> import tinygrad_lite as tg
    >>> gelu(tg.tensor([-1.0, 0.0, 1.0]))  # 1 times the share below 1, 84.13 %
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: expected approximate 'none' or 'tanh', got {approximate!r}")
    only_floats(x)
    return gelu_of(x, approximate)


@gelu.fused_vjp("x")
def _(needs, g, x, share, approximate):
    return gelu_gradient(g, x, share, approximate)


@gelu.composed_of
def _(x, approximate):
    share = 1 + (erf(x * math.sqrt(0.5)) if approximate == "none" else tanh(x * (GELU_A + GELU_B * (x * x))))
    return 0.5 * x * share


# -- gates --------------------------------------------------------------------------------------


@operation
def glu(x: Tensor, dim: int = -1) -> Tensor:
    """The first half of `x` along `dim` times the sigmoid of the second half.

    >>> import tinygrad_lite as tg
    >>> glu(tg.tensor([3.0, 5.0, 0.0, 0.0]))
    tensor([1.5000, 2.5000])
    """
    if not x.ndim:
        raise ValueError("glu: expected a tensor of 1 or more dimensions, got a 0-d one")
    dim = canonical_dim("glu", dim, x.ndim)
    if x.shape[dim] % 2:
        raise ValueError(f"glu: expected an even size along dim {dim}, got shape {tuple(x.shape)}")
    half = x.shape[dim] // 2
    index = (slice(None),) * dim
    only_floats(x)
    return x[(*index, slice(half))] * sigmoid(x[(*index, slice(half, None))])


elu_ = in_place(elu)
celu_ = in_place(celu)
selu_ = in_place(selu)
