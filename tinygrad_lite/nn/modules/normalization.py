"""Normalization within each sample."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn import init
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.settings import Configured
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation.factories import empty

__all__ = ["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


def _shape(normalized_shape: Any) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class _Affine(Module):
    """A normalization with an optional `weight` (initially 1) and `bias` (0)."""

    def _affine(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            self.register_parameter(name, Parameter(empty(shape, device=device, dtype=dtype)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.weight is not None:
            init.ones_(self.weight)
        if self._parameters.get("bias") is not None:
            init.zeros_(self.bias)


class LayerNorm(_Affine):
    """Normalizes to mean 0 and variance 1 over the last dims, of sizes `normalized_shape`; then * weight + bias (Ba et
    al., 2016).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.LayerNorm(2)(tensor([[1.0, 3.0], [50.0, 10.0]])).detach()
    tensor([[-1.0000,  1.0000],
            [ 1.0000, -1.0000]])
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._affine(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        text = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return f"{text}, bias={self.bias is not None}"


class RMSNorm(_Affine):
    """Normalizes to mean square 1 over the last dims, of sizes `normalized_shape`; then * weight (Zhang and Sennrich,
    2019). `eps=None`: the machine epsilon of the dtype.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.RMSNorm(2)(tensor([[1.0, 7.0]])).detach()  # over sqrt((1 + 49) / 2)
    tensor([[0.2000, 1.4000]])
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Normalizes each of `num_groups` groups of the channels of (N, C, ...) to mean 0 and variance 1; then * weight +
    bias per channel (Wu and He, 2018).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.GroupNorm(2, 4)(tensor([[1.0, 3.0, 500.0, 100.0]])).detach()
    tensor([[-1.0000,  1.0000,  1.0000, -1.0000]])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if num_channels % num_groups:
            raise BadValue(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})", function="GroupNorm")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._affine((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        text = f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
        return f"{text}, bias={self.bias is not None}"


class LocalResponseNorm(Configured):
    """x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta
    (Krizhevsky et al., 2012).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.LocalResponseNorm(1, alpha=1.0, beta=0.5)(tensor([[[0.75], [0.0]]]))  # 0.75 / sqrt(1 + 0.75^2)
    tensor([[[0.6000],
             [0.0000]]])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
