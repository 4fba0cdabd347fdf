"""Smooth elementwise activations, and the gated linear unit."""

from __future__ import annotations

import math

from tinygrad_lite.arrays import only_floats, only_numbers
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.kernels.activations import GELU_A, GELU_B, elu_of, gelu_gradient, gelu_of, silu_gradient, silu_of, softplus_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import canonical_dim, number, operation
from tinygrad_lite.ops.calculus import exp, tanh
from tinygrad_lite.ops.math.elementary import erf, sigmoid
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.inplace import in_place, optional_inplace
from tinygrad_lite.ops.typing import Tensor

# PyTorch has these as torch.<name>; the others only in nn.functional.
__all__ = ["celu", "celu_", "selu", "selu_"]


# -- exponentials -------------------------------------------------------------------------------


@primitive
def _elu(input, alpha, scale, rate):
    only_floats(input)
    return elu_of(input, alpha, scale, rate)


# Keep exp finite where input is positive: 0 * inf would be nan in the next derivative.
_elu.vjp(
    input=lambda g, input, alpha, scale, rate: (
        g * where(input > 0, scale, (alpha * scale * rate) * exp(where(input < 0, input, 0.0) * rate))
    )
)


@optional_inplace
@operation
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where it is positive, otherwise `alpha * (exp(input) - 1)`.

    >>> import tinygrad_lite as tg
    >>> elu(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _elu(input, number("alpha", alpha), 1.0, 1.0)


@optional_inplace
@operation
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where it is positive, otherwise `alpha * (exp(input / alpha) - 1)`.

    >>> import tinygrad_lite as tg
    >>> celu(tg.tensor([-100.0, 0.0, 3.0]), alpha=2.0)  # at least -alpha
    tensor([-2.,  0.,  3.])
    """
    alpha = number("alpha", alpha)
    if alpha == 0:
        raise BadValue(argument="alpha", expected="alpha other than 0")
    return _elu(input, alpha, 1.0, 1.0 / alpha)


@optional_inplace
@operation
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`scale * elu(input, alpha)` with constants that preserve mean 0 and variance 1 (Klambauer et al., Self-Normalizing
    Neural Networks).

    >>> import tinygrad_lite as tg
    >>> y = selu(tg.randn(100_000))
    >>> abs(y.mean().item()) < 0.05, abs(y.std().item() - 1) < 0.05
    (True, True)
    """
    return _elu(input, SELU_ALPHA, SELU_SCALE, 1.0)


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@primitive
def _softplus(input, beta, threshold):
    only_floats(input)
    return softplus_of(input, beta, threshold)


_softplus.vjp(input=lambda g, input, beta, threshold: g * where(input * beta > threshold, 1.0, sigmoid(input * beta)))


@operation
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta * input)) / beta`, and `input` itself where `beta * input > threshold`.

    >>> import tinygrad_lite as tg
    >>> softplus(tg.tensor([-1000.0, 0.0, 1000.0]))
    tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])
    """
    return _softplus(input, number("beta", beta), number("threshold", threshold))


@operation
def logsigmoid(input: Tensor) -> Tensor:
    """`log(sigmoid(input))`, numerically stable.

    >>> import tinygrad_lite as tg
    >>> logsigmoid(tg.tensor([-1000.0, 0.0, 1000.0]))
    tensor([-1.0000e+03, -6.9315e-01, -0.0000e+00])
    """
    return contiguous(-_softplus(-input, 1.0, math.inf))


@primitive(keeps=("share",))
def _silu(input):
    only_floats(input)
    return silu_of(input)


@_silu.fused_vjp("input")
def _(needs, g, input, share):
    return silu_gradient(g, input, share)


_silu.composed_of(lambda x: x * sigmoid(x))


@optional_inplace
@operation
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * sigmoid(input)`, also known as swish.

    >>> import tinygrad_lite as tg
    >>> silu(tg.tensor([-20.0, 0.0, 20.0]))
    tensor([-4.1223e-08,  0.0000e+00,  2.0000e+01])
    """
    return _silu(input)


@optional_inplace
@operation
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * tanh(softplus(input))`

    >>> import tinygrad_lite as tg
    >>> mish(tg.tensor([-1.0, 0.0, 20.0]))
    tensor([-0.3034,  0.0000, 20.0000])
    """
    return input * tanh(_softplus(input, 1.0, 20.0))


@operation
def tanhshrink(input: Tensor) -> Tensor:
    """`input - tanh(input)`

    >>> import tinygrad_lite as tg
    >>> tanhshrink(tg.tensor([-20.0, 0.0, 20.0]))
    tensor([-19.,   0.,  19.])
    """
    only_numbers(input)
    return input - tanh(input)


# -- Gaussian error linear unit -----------------------------------------------------------------


@primitive(keeps=("share",))
def gelu(input, approximate="none"):
    """`input` times the standard normal cdf of `input` (Hendrycks and Gimpel).

    `approximate="tanh"`: use a tanh approximation of the cdf.

    >>> import tinygrad_lite as tg
    >>> gelu(tg.tensor([-1.0, 0.0, 1.0]))  # 1 times the share below 1, 84.13 %
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise BadValue(argument="approximate", expected="approximate 'none' or 'tanh'", got=repr(approximate))
    only_floats(input)
    return gelu_of(input, approximate)


@gelu.fused_vjp("input")
def _(needs, g, input, share, approximate):
    return gelu_gradient(g, input, share, approximate)


@gelu.composed_of
def _(x, approximate):
    share = 1 + (erf(x * math.sqrt(0.5)) if approximate == "none" else tanh(x * (GELU_A + GELU_B * (x * x))))
    return 0.5 * x * share


# -- gates --------------------------------------------------------------------------------------


@operation
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of `input` along `dim` times the sigmoid of the second half.

    >>> import tinygrad_lite as tg
    >>> glu(tg.tensor([3.0, 5.0, 0.0, 0.0]))
    tensor([1.5000, 2.5000])
    """
    if not input.ndim:
        raise BadValue(expected="a tensor of 1 or more dimensions", got="a 0-d one")
    dim = canonical_dim(dim, input.ndim)
    if input.shape[dim] % 2:
        raise BadValue(expected=f"an even size along dim {dim}", got=f"shape {tuple(input.shape)}")
    half = input.shape[dim] // 2
    index = (slice(None),) * dim
    only_floats(input)
    return input[(*index, slice(half))] * sigmoid(input[(*index, slice(half, None))])


elu_ = in_place(elu)
celu_ = in_place(celu)
selu_ = in_place(selu)
