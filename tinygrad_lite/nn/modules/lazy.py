"""Layers that infer the size of their input from the first input, and are ordinary layers from then on."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue, Refusal
from tinygrad_lite.nn.modules.batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _NormBase,
)
from tinygrad_lite.nn.modules.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, _ConvNd
from tinygrad_lite.nn.modules.linear import Linear
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.parameter import UninitializedParameter
from tinygrad_lite.ops.creation.factories import empty

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip


class LazyModuleMixin(Module):
    """Stands in for `cls_to_become` without its first argument, until the first call.

    >>> from tinygrad_lite import nn
    >>> nn.LazyLinear(4).has_uninitialized_params(), nn.LazyLinear.cls_to_become.__name__
    (True, 'Linear')
    """

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
        """Give parameters and buffers the sizes that fit `input`."""
        raise NotImplementedError

    def _materialize(self, shapes: dict[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            parameter = getattr(self, name)
            if isinstance(parameter, UninitializedParameter):
                parameter.materialize(shape)


class LazyLinear(LazyModuleMixin, Linear):
    """Linear that takes `in_features` from the last dim of its first input.

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyLinear(4)
    >>> layer(ones(2, 3)).shape, layer
    ((2, 4), Linear(in_features=3, out_features=4, bias=True))
    """

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
    """A convolution that takes `in_channels` from its first input."""

    def initialize_parameters(self, input: Tensor) -> None:
        if input.ndim not in (self.rank + 1, self.rank + 2):
            expected = f"{self.rank + 1} or {self.rank + 2} dimensions"
            raise Refusal(function=self._get_name(), argument="input", expected=f"an input of {expected}", got=tuple(input.shape))
        self.in_channels = input.shape[-self.rank - 1]
        if self.in_channels % self.groups:
            raise BadValue(f"{self.in_channels} channels are not divisible by {self.groups} groups", function=self._get_name())
        sizes = self.in_channels, self.out_channels
        first, second = sizes if self.transposed else sizes[::-1]
        fresh = self.has_uninitialized_params()
        self._materialize({"weight": (first, second // self.groups, *self.kernel_size), "bias": (self.out_channels,)})
        if fresh:
            self.reset_parameters()


class LazyConv1d(_LazyConv, Conv1d):
    """Conv1d that takes `in_channels` from its first input (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyConv1d(8, 3)
    >>> layer(ones(1, 2, 9)).shape, layer.weight.shape
    ((1, 8, 7), (8, 2, 3))
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """Conv2d that takes `in_channels` from its first input (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyConv2d(8, 3)
    >>> layer(ones(1, 2, 9, 9)).shape, layer.weight.shape
    ((1, 8, 7, 7), (8, 2, 3, 3))
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """Conv3d that takes `in_channels` from its first input (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyConv3d(4, 2)
    >>> layer(ones(1, 2, 3, 3, 3)).shape, layer.weight.shape
    ((1, 4, 2, 2, 2), (4, 2, 2, 2, 2))
    """

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConv, ConvTranspose1d):
    """ConvTranspose1d that takes `in_channels` from its first input (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyConvTranspose1d(8, 3)
    >>> layer(ones(1, 2, 4)).shape, layer.weight.shape
    ((1, 8, 6), (2, 8, 3))
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConv, ConvTranspose2d):
    """ConvTranspose2d that takes `in_channels` from its first input (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyConvTranspose2d(8, 3)
    >>> layer(ones(1, 2, 4, 4)).shape, layer.weight.shape
    ((1, 8, 6, 6), (2, 8, 3, 3))
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConv, ConvTranspose3d):
    """ConvTranspose3d that takes `in_channels` from its first input (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyConvTranspose3d(4, 2)
    >>> layer(ones(1, 2, 3, 3, 3)).shape, layer.weight.shape
    ((1, 4, 4, 4, 4), (2, 4, 2, 2, 2))
    """

    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModuleMixin, _NormBase):
    """A normalization that takes `num_features` from its first input."""

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
    """BatchNorm1d that takes `num_features` from its first input (N, C) or (N, C, L).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyBatchNorm1d()
    >>> layer(ones(4, 3)).shape, layer.num_features
    ((4, 3), 3)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """BatchNorm2d that takes `num_features` from its first input (N, C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyBatchNorm2d()
    >>> layer(ones(4, 3, 2, 2)).shape, layer.num_features
    ((4, 3, 2, 2), 3)
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """BatchNorm3d that takes `num_features` from its first input (N, C, D, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyBatchNorm3d()
    >>> layer(ones(4, 3, 2, 2, 2)).shape, layer.num_features
    ((4, 3, 2, 2, 2), 3)
    """

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
    ):  # PyTorch's defaults here, which differ from those of InstanceNorm
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """InstanceNorm1d that takes `num_features` from its first input (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyInstanceNorm1d()
    >>> layer(ones(4, 3, 2)).shape, layer.num_features
    ((4, 3, 2), 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """InstanceNorm2d that takes `num_features` from its first input (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyInstanceNorm2d()
    >>> layer(ones(4, 3, 2, 2)).shape, layer.num_features
    ((4, 3, 2, 2), 3)
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """InstanceNorm3d that takes `num_features` from its first input (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.LazyInstanceNorm3d()
    >>> layer(ones(4, 3, 2, 2, 2)).shape, layer.num_features
    ((4, 3, 2, 2, 2), 3)
    """

    cls_to_become = InstanceNorm3d
