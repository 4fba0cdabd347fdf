"""Layers that take the size of their input from the first input they see, and are ordinary layers from
then on."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.nn.modules.batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _NormBase,
)
from tinygrad_lite.nn.modules.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    _ConvNd,
)
from tinygrad_lite.nn.modules.linear import Linear
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.parameter import UninitializedParameter
from tinygrad_lite.ops.creation import empty
from tinygrad_lite.tensor import Tensor

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip


class LazyModuleMixin(Module):
    """Stands in for `cls_to_become`, without its first argument, until the first call."""

    cls_to_become: type[Module]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(0, *args, **kwargs)  # type: ignore[call-arg]
        for name, parameter in self._parameters.items():
            if parameter is not None:
                setattr(self, name, UninitializedParameter(device=parameter.device, dtype=parameter.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.initialize_parameters(args[0] if args else next(iter(kwargs.values())))
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        return self(*args, **kwargs)

    def has_uninitialized_params(self) -> bool:
        return any(isinstance(parameter, UninitializedParameter) for parameter in self.parameters())

    def initialize_parameters(self, input: Tensor) -> None:
        """Give parameters and buffers the sizes that `input` asks for."""
        raise NotImplementedError

    def _materialize(self, shapes: dict[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            parameter = getattr(self, name)
            if isinstance(parameter, UninitializedParameter):
                parameter.materialize(shape)


class LazyLinear(LazyModuleMixin, Linear):
    """Linear with `in_features` from the first input's last dim."""

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(out_features, bias, device, dtype)

    def initialize_parameters(self, input: Tensor) -> None:
        fresh = self.has_uninitialized_params()
        self.in_features = input.shape[-1] if fresh else self.weight.shape[1]
        self._materialize({"weight": (self.out_features, self.in_features), "bias": (self.out_features,)})
        if fresh:
            self.reset_parameters()


class _LazyConv(LazyModuleMixin, _ConvNd):
    """A convolution with `in_channels` from the first input."""

    def initialize_parameters(self, input: Tensor) -> None:
        if input.ndim not in (self.rank + 1, self.rank + 2):
            expected = f"{self.rank + 1} or {self.rank + 2} dimensions"
            raise RuntimeError(f"{self._get_name()}: expected an input of {expected}, got {tuple(input.shape)}")
        self.in_channels = input.shape[-self.rank - 1]
        if self.in_channels % self.groups:
            raise ValueError(f"{self._get_name()}: {self.in_channels} channels are not divisible by {self.groups} groups")
        sizes = self.in_channels, self.out_channels
        first, second = sizes if self.transposed else sizes[::-1]
        fresh = self.has_uninitialized_params()
        self._materialize({"weight": (first, second // self.groups, *self.kernel_size), "bias": (self.out_channels,)})
        if fresh:
            self.reset_parameters()


class LazyConv1d(_LazyConv, Conv1d):
    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConv, ConvTranspose1d):
    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConv, ConvTranspose2d):
    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConv, ConvTranspose3d):
    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModuleMixin, _NormBase):
    """A normalization with `num_features` from the first input."""

    def initialize_parameters(self, input: Tensor) -> None:
        self._check_input_dim(input)
        batched = not (isinstance(self, (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)) and input.ndim == self.ranks[0])
        self.num_features = size = input.shape[1 if batched else 0]
        fresh = self.has_uninitialized_params()
        self._materialize({"weight": (size,), "bias": (size,)})
        for name in ("running_mean", "running_var"):
            buffer = getattr(self, name)
            if buffer is not None and buffer.shape != (size,):
                setattr(self, name, empty((size,), dtype=buffer.dtype, device=buffer.device))
                fresh = True
        if fresh:
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):  # not the defaults of InstanceNorm, but PyTorch's
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    cls_to_become = InstanceNorm3d
