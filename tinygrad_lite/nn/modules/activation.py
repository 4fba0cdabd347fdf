"""Activations: elementwise functions, and a few over a whole dim."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.attention import MultiheadAttention as MultiheadAttention  # PyTorch's place for it
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.settings import Configured
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation.factories import full

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
    "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Softmax2d",
    "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _Inplace(Configured):
    """An activation whose only setting is `inplace`: whether it overwrites its input."""

    shown = "inplace"

    def __init__(self, inplace: bool = False):
        super().__init__(locals())


class ReLU(_Inplace):
    """max(x, 0)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ReLU()(tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=True) if self.inplace else F.relu(input)


class ReLU6(_Inplace):
    """min(max(x, 0), 6)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ReLU6()(tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, self.inplace)


class SELU(_Inplace):
    """scale * (max(x, 0) + min(alpha (e^x - 1), 0)), with alpha = 1.6733 and scale = 1.0507: self-normalizing (Klambauer
    et al., 2017)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.SELU()(tensor([-100.0, 0.0, 1.0]))  # from -alpha scale up
    tensor([-1.7581,  0.0000,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class SiLU(_Inplace):
    """x sigmoid(x) (Hendrycks and Gimpel, 2016)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.SiLU()(tensor([-100.0, 0.0, 1.0, 100.0]))
    tensor([ -0.0000,   0.0000,   0.7311, 100.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class Mish(_Inplace):
    """x tanh(softplus(x)) (Misra, 2019)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Mish()(tensor([-1.0, 0.0, 1.0, 100.0]))
    tensor([ -0.3034,   0.0000,   0.8651, 100.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class Hardsigmoid(_Inplace):
    """min(max(x / 6 + 1/2, 0), 1)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Hardsigmoid()(tensor([-4.0, 0.0, 1.5, 4.0]))
    tensor([0.0000, 0.5000, 0.7500, 1.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_Inplace):
    """x hardsigmoid(x) (Howard et al., 2019)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Hardswish()(tensor([-1.5, 0.0, 1.5, 4.0]))
    tensor([-0.3750,  0.0000,  1.1250,  4.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class Tanh(Module):
    """tanh(x)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Tanh()(tensor([-100.0, 0.0, 1.0]))
    tensor([-1.0000,  0.0000,  0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Sigmoid(Module):
    """1 / (1 + e^-x)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Sigmoid()(tensor([-100.0, 0.0, 100.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class LogSigmoid(Module):
    """log(1 / (1 + e^-x)), computed without overflow

    >>> from tinygrad_lite import nn, tensor
    >>> nn.LogSigmoid()(tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Softsign(Module):
    """x / (1 + |x|)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Softsign()(tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Tanhshrink()(tensor([-100.0, 0.0, 1.0]))
    tensor([-99.0000,   0.0000,   0.2384])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class LeakyReLU(Configured):
    """x where x > 0, negative_slope x elsewhere

    >>> from tinygrad_lite import nn, tensor
    >>> nn.LeakyReLU(0.1)(tensor([-2.0, 3.0]))
    tensor([-0.2000,  3.0000])
    """

    shown = "negative_slope inplace"

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class RReLU(Configured):
    """LeakyReLU whose slope is drawn from [lower, upper] for each element in training, and is the mean of the two in
    evaluation (Xu et al., 2015).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.RReLU(0.2, 0.4).eval()(tensor([-10.0, 3.0]))
    tensor([-3.,  3.])
    """

    shown = "lower upper inplace"

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class PReLU(Module):
    """x where x > 0, `weight` x elsewhere, with a learned slope: one for all, or one per channel (dim 1) (He et al.,
    2015).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.PReLU(init=0.25)(tensor([-4.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        self.weight.data.fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class _Exponential(Configured):
    """An activation that is exponential below 0, with the settings `alpha` and `inplace`."""

    shown = "alpha inplace"

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(locals())


class ELU(_Exponential):
    """x where x > 0, alpha (e^x - 1) elsewhere (Clevert et al., 2015)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ELU(alpha=2.0)(tensor([-100.0, -1.0, 3.0]))
    tensor([-2.0000, -1.2642,  3.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class CELU(_Exponential):
    """x where x > 0, alpha (e^(x / alpha) - 1) elsewhere: the slope at 0 is 1 for every alpha (Barron, 2017)

    >>> from tinygrad_lite import nn, tensor
    >>> nn.CELU(alpha=2.0)(tensor([-100.0, -2.0, 3.0]))
    tensor([-2.0000, -1.2642,  3.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class GELU(Configured):
    """x times the standard normal cdf (Hendrycks and Gimpel, 2016); `approximate="tanh"` selects the usual
    approximation.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.GELU()(tensor([-1.0, 0.0, 1.0])), nn.GELU("tanh")(tensor([1.0]))
    (tensor([-0.1587,  0.0000,  0.8413]), tensor([0.8412]))
    """

    shown = "approximate"

    def __init__(self, approximate: str = "none"):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)


class GLU(Configured):
    """The first half along `dim` times the sigmoid of the second half (Dauphin et al., 2016).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.GLU()(tensor([3.0, 4.0, 0.0, 100.0]))  # 3 sigmoid(0), 4 sigmoid(100)
    tensor([1.5000, 4.0000])
    """

    shown = "dim"

    def __init__(self, dim: int = -1):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)


class Softplus(Configured):
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Softplus()(tensor([0.0, 50.0]))
    tensor([ 0.6931, 50.0000])
    """

    shown = "beta threshold"

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class Hardtanh(Configured):
    """x clamped to [min_val, max_val]

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Hardtanh(-1.0, 2.0)(tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  2.0000])
    """

    shown = "min_val max_val inplace"

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ):
        min_val = min_val if min_value is None else min_value
        max_val = max_val if max_value is None else max_value
        if min_val >= max_val:
            raise BadValue(f"min_val must be less than max_val, got {min_val} and {max_val}", function="Hardtanh")
        super().__init__({"min_val": min_val, "max_val": max_val, "inplace": inplace})

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class Threshold(Configured):
    """x where x > threshold, `value` elsewhere

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Threshold(1.0, -9.0)(tensor([0.5, 1.0, 1.5]))
    tensor([-9.0000, -9.0000,  1.5000])
    """

    shown = "threshold value inplace"

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)


class _Shrink(Configured):
    """An activation that is 0 where |x| <= lambd."""

    def __init__(self, lambd: float = 0.5):
        super().__init__(locals())

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """0 where |x| <= lambd, x elsewhere

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Hardshrink(0.5)(tensor([-2.0, 0.5, 1.0]))
    tensor([-2.,  0.,  1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """x moved by lambd towards 0; 0 where |x| <= lambd

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Softshrink(0.5)(tensor([-2.0, 0.5, 1.0]))
    tensor([-1.5000,  0.0000,  0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)


class _OverDim(Configured):
    """A function along `dim`, its only setting."""

    shown = "dim"

    def __init__(self, dim: int | None = None):
        super().__init__(locals())


class Softmax(_OverDim):
    """e^x, normalized to sum to 1 along `dim`

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Softmax(dim=0)(tensor([1.0, 3.0]).log())  # 1 / (1 + 3), 3 / (1 + 3)
    tensor([0.2500, 0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class Softmin(_OverDim):
    """Softmax of -x: the smallest element gets the largest weight.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.Softmin(dim=0)(tensor([1.0, 3.0]).log())
    tensor([0.7500, 0.2500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)


class LogSoftmax(_OverDim):
    """The logarithm of Softmax, in one numerically stable step.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.LogSoftmax(dim=0)(tensor([0.0, 1000.0]))  # log(softmax) would give -inf, 0
    tensor([-1000.,     0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, zeros
    >>> nn.Softmax2d()(zeros(1, 4, 2, 2))[0, :, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise BadValue(function="Softmax2d", expected="3 or 4 dimensions", got=tuple(input.shape))
        return F.softmax(input, -3)
