"""Fuses a convolution or linear layer with the batch norm that follows it, for evaluation."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation.factories import ones_like, zeros_like

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

M = TypeVar("M", bound=Module)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of a convolution that replaces a convolution and its batch norm:

        w bn_w / sqrt(bn_rv + bn_eps),  (b - bn_rm) bn_w / sqrt(bn_rv + bn_eps) + bn_b

    >>> from tinygrad_lite import ones, tensor
    >>> w, b = fuse_conv_bn_weights(ones(1, 1, 2), None, tensor([3.0]), tensor([4.0]), 0.0, None, None)
    >>> w.tolist(), b.tolist()
    ([[[0.5, 0.5]]], [-1.5])
    """
    conv_b = zeros_like(bn_rm) if conv_b is None else conv_b
    bn_w = ones_like(bn_rm) if bn_w is None else bn_w
    bn_b = zeros_like(bn_rm) if bn_b is None else bn_b
    scale = bn_w * (bn_rv + bn_eps).rsqrt()
    channels = (1, -1) if transpose else (-1, 1)
    weight = conv_w * scale.reshape(*channels, *[1] * (conv_w.ndim - 2))
    bias = (conv_b - bn_rm) * scale + bn_b
    return (
        Parameter(weight.detach().to(conv_w.dtype), conv_w.requires_grad),
        Parameter(bias.detach().to(conv_b.dtype), conv_b.requires_grad),
    )


def _fused(layer: M, bn: Any, transpose: bool) -> M:
    if layer.training or bn.training:
        raise BadValue(function="fusion", expected="both layers in evaluation mode", hint="call eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise BadValue("the batch norm has no running statistics", function="fusion")
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_eval(conv: M, bn: Any, transpose: bool = False) -> M:
    """A copy of a convolution with the following batch norm folded into its weight and bias.

    >>> from tinygrad_lite import nn, ones, randn
    >>> conv, norm, x = nn.Conv2d(3, 4, 3).eval(), nn.BatchNorm2d(4).eval(), randn(2, 3, 8, 8)
    >>> norm.bias.data = ones(4)
    >>> bool((fuse_conv_bn_eval(conv, norm)(x) - norm(conv(x))).abs().max() < 1e-4)
    True
    """
    return _fused(conv, bn, transpose)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of a linear layer that replaces a linear layer and its batch norm; see fuse_conv_bn_weights.

    >>> from tinygrad_lite import tensor
    >>> w, b = fuse_linear_bn_weights(tensor([[6.0]]), tensor([1.0]), tensor([3.0]), tensor([4.0]), 0.0, None, None)
    >>> w.tolist(), b.tolist()  # 6 / 2, (1 - 3) / 2
    ([[3.0]], [-1.0])
    """
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fuse_linear_bn_eval(linear: M, bn: Any) -> M:
    """A copy of a linear layer with the following batch norm folded into its weight and bias.

    >>> from tinygrad_lite import nn, ones, randn
    >>> linear, norm, x = nn.Linear(3, 4).eval(), nn.BatchNorm1d(4).eval(), randn(2, 3)
    >>> norm.bias.data = ones(4)
    >>> bool((fuse_linear_bn_eval(linear, norm)(x) - norm(linear(x))).abs().max() < 1e-4)
    True
    """
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise BadValue(f"{linear.out_features} features do not fit a batch norm of {bn.num_features}", function="fusion")
    return _fused(linear, bn, False)
