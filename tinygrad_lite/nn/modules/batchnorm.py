"""Normalization of each channel, over the batch or (InstanceNorm) over each sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn import init
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation.factories import empty, zeros

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


class _NormBase(Module):
    """Per channel: `weight` (initially 1) and `bias` (0) if `affine`, and the buffers running_mean, running_var and
    num_batches_tracked if `track_running_stats`."""

    ranks: tuple[int, ...]  # allowed numbers of input dimensions
    _version = 2  # since version 2, num_batches_tracked is part of the state

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats

        def vector() -> Tensor:
            return empty((num_features,), device=device, dtype=dtype)

        self.register_parameter("weight", Parameter(vector()) if affine else None)
        self.register_parameter("bias", Parameter(vector()) if affine and bias else None)
        self.register_buffer("running_mean", vector() if track_running_stats else None)
        self.register_buffer("running_var", vector() if track_running_stats else None)
        counter = zeros((), device=device, dtype=np.int64) if track_running_stats else None
        self.register_buffer("num_batches_tracked", counter)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *others: Any) -> None:
        if self.num_batches_tracked is not None and (local_metadata.get("version") or 0) < 2:
            state_dict.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.array.ndim not in self.ranks:
            accepted = " or ".join(f"{rank}D" for rank in self.ranks)
            raise BadValue(function=self._get_name(), expected=f"{accepted} input (got {input.ndim}D input, {tuple(input.shape)})")

    def _check_channels(self, input: Tensor) -> None:
        if input.shape[1] != self.num_features:
            got = f"{input.shape[1]} (input {tuple(input.shape)})"
            raise BadValue(function=self._get_name(), argument="input", expected=f"{self.num_features} input channels", got=got)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    """(x - mean) / sqrt(var + eps) * weight + bias, with the statistics of the batch in training and the running
    statistics in evaluation. Running <- (1 - momentum) running + momentum batch; `momentum=None` averages all batches
    equally (Ioffe and Szegedy, 2015)."""

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        if self.affine or self.track_running_stats:
            self._check_channels(input)
        momentum = self.momentum
        mean, var = self.running_mean, self.running_var
        if self.training and self.track_running_stats:
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
                if momentum is None:
                    momentum = 1 / self.num_batches_tracked.item()
        elif self.training:
            mean = var = None
        training = self.training or (mean is None and var is None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, training, momentum or 0.0, self.eps)


class BatchNorm1d(_BatchNorm):
    """BatchNorm over (N, C) or (N, C, L): normalizes each channel to mean 0 and variance 1 over all other dims, then
    applies * weight + bias. Evaluation uses the running statistics (Ioffe and Szegedy, 2015).

    >>> from tinygrad_lite import nn, tensor
    >>> norm = nn.BatchNorm1d(1)
    >>> norm(tensor([[1.0], [3.0]])).detach().flatten(), norm.running_mean  # 0.9 * 0 + 0.1 * 2
    (tensor([-1.0000,  1.0000]), tensor([0.2000]))
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """BatchNorm over (N, C, H, W); see BatchNorm1d.

    >>> from tinygrad_lite import nn, randn
    >>> out = nn.BatchNorm2d(3)(5 + 2 * randn(8, 3, 4, 4))
    >>> out.shape, bool((out.mean((0, 2, 3)).abs() < 1e-3).all())
    ((8, 3, 4, 4), True)
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """BatchNorm over (N, C, D, H, W); see BatchNorm1d.

    >>> from tinygrad_lite import nn, ones
    >>> nn.BatchNorm3d(3).eval()(ones(8, 3, 2, 4, 4)).shape
    (8, 3, 2, 4, 4)
    """

    ranks = (5,)


class _InstanceNorm(_NormBase):
    """(x - mean) / sqrt(var + eps), with the mean and variance of each channel of each sample. With
    `track_running_stats`, evaluation uses running statistics (Ulyanov et al., 2016)."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *others: Any) -> None:
        if local_metadata.get("version") is None and not self.track_running_stats:
            given = [name for name in ("running_mean", "running_var") if state_dict.pop(prefix + name, None) is not None]
            if given:
                others[-1].append(
                    f"{prefix}{' and '.join(given)}: {self._get_name()} has track_running_stats=False; leave them out, or set it"
                )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        unbatched = input.ndim == self.ranks[0]
        if unbatched:
            input = input.unsqueeze(0)
        if self.affine:
            self._check_channels(input)
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        out = F.instance_norm(input, self.running_mean, self.running_var, self.weight, self.bias, own, momentum, self.eps)
        return out.squeeze(0) if unbatched else out


class InstanceNorm1d(_InstanceNorm):
    """InstanceNorm over (N, C, L) or (C, L): normalizes each channel of each sample to mean 0 and variance 1 (Ulyanov et
    al., 2016).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.InstanceNorm1d(2)(tensor([[1.0, 3.0], [50.0, 10.0]]))
    tensor([[-1.0000,  1.0000],
            [ 1.0000, -1.0000]])
    """

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """InstanceNorm over (N, C, H, W) or (C, H, W); see InstanceNorm1d.

    >>> from tinygrad_lite import nn, randn
    >>> out = nn.InstanceNorm2d(3)(5 + 2 * randn(8, 3, 4, 4))
    >>> out.shape, bool((out.mean((2, 3)).abs() < 1e-3).all())
    ((8, 3, 4, 4), True)
    """

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """InstanceNorm over (N, C, D, H, W) or (C, D, H, W); see InstanceNorm1d.

    >>> from tinygrad_lite import nn, randn
    >>> nn.InstanceNorm3d(3, affine=True)(randn(8, 3, 2, 4, 4)).shape
    (8, 3, 2, 4, 4)
    """

    ranks = (4, 5)
