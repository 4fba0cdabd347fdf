"""A linear layer and the cross-entropy of its outputs in one module."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.linear import Linear
from tinygrad_lite.nn.modules.module import Module

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"]


@dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """PyTorch's options for splitting the work. They have no effect here and do not change the values.

    >>> from tinygrad_lite.nn import LinearCrossEntropyOptions
    >>> LinearCrossEntropyOptions(batch_chunk_size=64).batch_chunk_size
    64
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise BadValue(f"invalid acc_policy {self.acc_policy!r}", function="LinearCrossEntropyOptions")
        method, _, factor = (self.chunking_method or "auto").partition(":")
        if method not in ("auto", "aspect_ratio") or (factor and not (factor.isdigit() and int(factor))):
            raise BadValue(f"invalid chunking_method {self.chunking_method!r}", function="LinearCrossEntropyOptions")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise BadValue(function="LinearCrossEntropyOptions", expected="a positive batch_chunk_size or None", got=repr(size))


class LinearCrossEntropyLoss(Module):
    """The cross-entropy of `linear(input)`, for input (N, in_features) or (in_features,) and a target like that of
    CrossEntropyLoss for logits (N, num_classes, *out_features).

    The layer is `linear`, with num_classes times prod(out_features) rows.

    >>> from tinygrad_lite import nn, ones, tensor
    >>> loss = nn.LinearCrossEntropyLoss(4, 10)
    >>> x, target = ones(2, 4), tensor([3, 7])
    >>> bool((loss(x, target) - nn.CrossEntropyLoss()(loss.linear(x), target)).abs() < 1e-5)
    True
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ):
        name = "LinearCrossEntropyLoss"
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise BadValue(
                function=name, argument="weight", expected=f"a weight for each of {num_classes} classes", got=f"shape {tuple(weight.shape)}"
            )
        if not 0 <= label_smoothing <= 1:
            raise BadValue(function=name, argument="label_smoothing", expected="label_smoothing between 0 and 1", got=label_smoothing)
        super().__init__()
        self.register_buffer("weight", weight)
        self.reduction = reduction
        self.num_classes, self.out_features = num_classes, out_features
        self.ignore_index, self.label_smoothing, self.options = ignore_index, label_smoothing, options
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        linear, outer = self.linear, (self.num_classes, *self.out_features)
        return F.linear_cross_entropy(
            input,
            linear.weight.reshape((*outer, linear.in_features)),
            target,
            linear_bias=None if linear.bias is None else linear.bias.reshape(outer),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        linear = {"in_features": self.linear.in_features, "num_classes": self.num_classes}
        names = ("reduction", "ignore_index", "label_smoothing", "options")
        shown = {**linear, "out_features": self.out_features, "bias": self.linear.bias is not None}
        return ", ".join(f"{name}={value}" for name, value in (shown | {n: getattr(self, n) for n in names}).items())
