"""Activations: one function of each element (a few: of a whole dim)."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.attention import MultiheadAttention as MultiheadAttention  # PyTorch's place for it
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.settings import Configured
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation import full
from tinygrad_lite.tensor import Tensor

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
    "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Softmax2d",
    "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _Inplace(Configured):
    """An activation whose only setting is whether it overwrites its input."""

    shown = "inplace"

    def __init__(self, inplace: bool = False):
        super().__init__(locals())


class ReLU(_Inplace):
    """max(x, 0)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=True) if self.inplace else F.relu(input)


class ReLU6(_Inplace):
    """min(max(x, 0), 6)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, self.inplace)


class SELU(_Inplace):
    """Self-normalizing: scale * (max(x, 0) + min(alpha (e^x - 1), 0))"""

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class SiLU(_Inplace):
    """x sigmoid(x)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class Mish(_Inplace):
    """x tanh(softplus(x))"""

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class Hardsigmoid(_Inplace):
    """min(max(x / 6 + 1/2, 0), 1)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_Inplace):
    """x hardsigmoid(x)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class Tanh(Module):
    """tanh(x)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Sigmoid(Module):
    """1 / (1 + e^-x)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class LogSigmoid(Module):
    """log(1 / (1 + e^-x))"""

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Softsign(Module):
    """x / (1 + |x|)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class LeakyReLU(Configured):
    """x where x > 0, negative_slope x elsewhere"""

    shown = "negative_slope inplace"

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class RReLU(Configured):
    """LeakyReLU whose slope is drawn from [lower, upper] for each element in training, and is their
    mean in evaluation."""

    shown = "lower upper inplace"

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class PReLU(Module):
    """x where x > 0, `weight` x elsewhere, where the slope is learned: one, or one a channel (dim 1)."""

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


class ELU(Configured):
    """x where x > 0, alpha (e^x - 1) elsewhere"""

    shown = "alpha inplace"

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class CELU(Configured):
    """x where x > 0, alpha (e^(x / alpha) - 1) elsewhere"""

    shown = "alpha inplace"

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class GELU(Configured):
    """x times the normal distribution function; `approximate="tanh"`: its usual approximation."""

    shown = "approximate"

    def __init__(self, approximate: str = "none"):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)


class GLU(Configured):
    """The first half along `dim` times the sigmoid of the second."""

    shown = "dim"

    def __init__(self, dim: int = -1):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)


class Softplus(Configured):
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold"""

    shown = "beta threshold"

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class Hardtanh(Configured):
    """x clipped to [min_val, max_val]"""

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
            raise ValueError(f"Hardtanh: min_val must be less than max_val, got {min_val} and {max_val}")
        super().__init__({"min_val": min_val, "max_val": max_val, "inplace": inplace})

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class Threshold(Configured):
    """x where x > threshold, `value` elsewhere"""

    shown = "threshold value inplace"

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)


class Hardshrink(Configured):
    """0 where |x| <= lambd, x elsewhere"""

    def __init__(self, lambd: float = 0.5):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(Configured):
    """x moved by lambd towards 0, and 0 where |x| <= lambd"""

    def __init__(self, lambd: float = 0.5):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softmax(Configured):
    """e^x, scaled to sum to 1 along `dim`"""

    shown = "dim"

    def __init__(self, dim: int | None = None):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class Softmin(Configured):
    """Softmax of -x"""

    shown = "dim"

    def __init__(self, dim: int | None = None):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)


class LogSoftmax(Configured):
    """The logarithm of Softmax, in one stable step."""

    shown = "dim"

    def __init__(self, dim: int | None = None):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected 3 or 4 dimensions, got {tuple(input.shape)}")
        return F.softmax(input, -3)
