"""Normalization: to mean 0 and variance 1 over a layer, a group, an instance or a batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import namespace_of, only_floats
from tinygrad_lite.autograd import primitive
from tinygrad_lite.autograd.node import changed_in_place
from tinygrad_lite.ops.arithmetic import square
from tinygrad_lite.ops.calling import operation, raw
from tinygrad_lite.ops.elementary import rsqrt
from tinygrad_lite.ops.padding import pad
from tinygrad_lite.ops.reduction import mean
from tinygrad_lite.ops.shape import reshape

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]

METHODS: list[str] = []
IN_PLACE: list[str] = []

Statistics = tuple[Any, Any] | None


# -- the one primitive --------------------------------------------------------------------------


def average(x: Any, axes: tuple[int, ...]) -> Any:
    """The mean over `axes`, which stay as dims of size 1."""
    return x.sum(axis=axes, keepdims=True) / x.dtype.type(math.prod(x.shape[a] for a in axes) or 1)


def moments(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Mean and variance of an array over `axes`, which stay as dims of size 1."""
    middle = average(x, axes)
    away = x - middle
    away *= away
    return middle, average(away, axes)


@primitive(keeps=("normal", "rate"))
def _normalize(x, weight, bias, axes, eps, center, statistics):
    """`(x - mean) / sqrt(var + eps) * weight + bias` over `axes`; not centered, with the mean of squares for var.

    weight and bias broadcast to x, or are None. `statistics`: the mean and variance of x, if they
    are known already.
    """
    only_floats(x)
    xp = namespace_of(x)
    if center:
        middle, variance = moments(x, axes) if statistics is None else statistics
        normal = x - middle
    else:
        variance = average(x * x, axes)
        normal = x.copy()
    rate = 1 / xp.sqrt(variance + x.dtype.type(eps))
    normal *= rate
    out = normal
    if weight is not None:
        out = normal * weight
    if bias is not None:
        out = out + bias
    return out, normal, rate


@_normalize.fused_vjp("x", "weight", "bias")
def _(needs, g, normal, rate, weight, axes, center):
    of_x = of_weight = None
    if needs[1]:
        of_weight = g * normal
    if needs[0]:
        of_x = g * weight if weight is not None else g.copy()
        along = average(of_x * normal, axes)
        if center:
            of_x -= average(of_x, axes)
        of_x -= normal * along
        of_x *= rate
    return of_x, of_weight, g if needs[2] else None, None, None, None, None


@_normalize.composed_of
def _(x, weight, bias, axes, eps, center, statistics):
    if center:
        x = x - mean(x, axes, True)
    out = x * rsqrt(mean(square(x), axes, True) + eps)
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


# -- over a layer -------------------------------------------------------------------------------


def _layer(name: str, x: Any, normalized_shape: Any, *parameters: Any) -> tuple[int, ...]:
    """The axes that a layer of `normalized_shape` spans."""
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else None
    if not shape:
        raise TypeError(f"{name}: expected normalized_shape as a tuple of sizes, got {normalized_shape!r}")
    if tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(f"{name}: normalized_shape {shape} is not how an input of shape {tuple(x.shape)} ends")
    for what, parameter in zip(("weight", "bias"), parameters):
        if parameter is not None:
            if tuple(parameter.shape) != shape:
                raise ValueError(f"{name}: expected a {what} of normalized_shape {shape}, got {tuple(parameter.shape)}")
            if parameter.dtype != x.dtype:
                raise TypeError(f"{name}: expected a {what} of {x.dtype}, as the input, got {parameter.dtype}")
    return tuple(range(-len(shape), 0))


@operation
def layer_norm(
    x: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """Each layer (the last dims, of `normalized_shape`) to mean 0 and variance 1, times weight, plus bias
    (Ba et al., Layer normalization).

    >>> import tinygrad_lite as tg
    >>> tg.layer_norm(tg.tensor([[1.0, 3.0], [2.0, 6.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    axes = _layer("layer_norm", x, normalized_shape, weight, bias)
    return _normalize(x, weight, bias, axes, eps, True, None)


@operation
def rms_norm(x: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """Each layer divided by the root of the mean of its squares (plus `eps`, by default the dtype's
    machine epsilon), times weight (Zhang and Sennrich, Root mean square layer normalization)."""
    axes = _layer("rms_norm", x, normalized_shape, weight)
    only_floats(x)
    return _normalize(x, weight, None, axes, float(np.finfo(x.dtype).eps) if eps is None else eps, False, None)


# -- over groups of channels --------------------------------------------------------------------


def _per_channel(name: str, x: Any, *vectors: Any, shape: tuple[int, ...] | None = None) -> list[Any]:
    """`vectors` (or None), one element a channel (dim 1 of x), shaped to broadcast against x."""
    channels = x.shape[1]
    for vector in vectors:
        if vector is not None and tuple(vector.shape) != (channels,):
            raise ValueError(f"{name}: expected one element for each of {channels} channels, got shape {tuple(vector.shape)}")
    shape = shape or (channels,) + (1,) * (x.ndim - 2)
    return [None if vector is None else reshape(vector, shape) for vector in vectors]


@operation
def group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """The channels of x (N, C, ...) in `num_groups` groups, each to mean 0 and variance 1 within a
    sample; weight and bias (C,) (Wu and He, Group normalization)."""
    if x.ndim < 2:
        raise ValueError(f"group_norm: expected an input of shape (N, C, ...), got {tuple(x.shape)}")
    n, channels = x.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: {channels} channels do not fall into {num_groups} equal groups")
    if n * math.prod(x.shape[2:]) * (channels // num_groups) == 1:
        raise ValueError(f"group_norm: a group has only one value, input shape {tuple(x.shape)}")
    only_floats(x)
    weight, bias = _per_channel("group_norm", x, weight, bias, shape=(num_groups, channels // num_groups, 1))
    groups = reshape(x, (n, num_groups, channels // num_groups, math.prod(x.shape[2:])))
    return reshape(_normalize(groups, weight, bias, (2, 3), eps, True, None), x.shape)


# -- over a batch -------------------------------------------------------------------------------


def _with_running(name: str, x: Any, vectors: tuple[Any, ...], measure: bool, momentum: float, eps: float, axes: Any) -> Any:
    """Normalized over `axes`, by x's own statistics (which then enter the running ones) or by the running
    ones. `vectors`: weight, bias, running mean, running variance."""
    only_floats(x)
    weight, bias, old_mean, old_var = _per_channel(name, x, *vectors)
    if not measure:
        rate = rsqrt(old_var + eps)
        scale = rate if weight is None else rate * weight
        shift = -old_mean * scale
        return x * scale + (shift if bias is None else shift + bias)
    array = raw(x)
    middle, variance = moments(array, axes)
    count = math.prod(array.shape[a] for a in axes)
    for running, value in zip(vectors[2:], (middle, variance * (count / max(count - 1, 1)))):
        if running is not None:
            old = raw(running)
            old += momentum * (value.mean(axis=0).reshape(-1) - old)
            changed_in_place(old, name)
    return _normalize(x, weight, bias, axes, eps, True, (middle, variance))


@operation
def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Each channel of x (N, C, ...) to mean 0 and variance 1, times weight, plus bias (Ioffe and Szegedy,
    Batch normalization).

    In training by the batch's own statistics; the running ones become `(1 - momentum) * running +
    momentum * measured` (the variance measured without bias). Otherwise by the running ones.
    """
    if x.ndim < 2:
        raise IndexError(f"batch_norm: expected an input of shape (N, C, ...), got {tuple(x.shape)}")
    if training:
        if math.prod(x.shape) == x.shape[1] and x.shape[1]:
            raise ValueError(f"batch_norm: expected more than 1 value per channel in training, got shape {tuple(x.shape)}")
    elif running_mean is None or running_var is None:
        raise ValueError("batch_norm: running_mean and running_var are needed when not in training")
    axes = (0, *range(2, x.ndim))
    return _with_running("batch_norm", x, (weight, bias, running_mean, running_var), training, momentum, eps, axes)


@operation
def instance_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Each channel of each sample of x (N, C, ...) to mean 0 and variance 1, times weight, plus bias
    (Ulyanov et al., Instance normalization). Running statistics as in batch_norm, averaged over samples."""
    if x.ndim < 2:
        raise ValueError(f"instance_norm: expected an input of shape (N, C, ...), got {tuple(x.shape)}")
    if use_input_stats:
        if math.prod(x.shape[2:]) == 1:
            raise ValueError(f"instance_norm: expected more than 1 value per channel and sample, got shape {tuple(x.shape)}")
    elif running_mean is None or running_var is None:
        raise ValueError("instance_norm: running_mean and running_var are needed without use_input_stats")
    vectors = weight, bias, running_mean, running_var
    return _with_running("instance_norm", x, vectors, use_input_stats, momentum, eps, tuple(range(2, x.ndim)))


@operation
def local_response_norm(x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """`x / (k + alpha m)^beta`, where m is the mean square of `size` neighbouring channels of x (N, C, ...)
    (Krizhevsky et al., ImageNet classification)."""
    if x.ndim < 3:
        raise ValueError(f"local_response_norm: expected an input of 3 or more dimensions, got shape {tuple(x.shape)}")
    channels = x.shape[1]
    around = pad(square(x), (0, 0) * (x.ndim - 2) + (size // 2, (size - 1) // 2))
    total = around[:, :channels]
    for i in range(1, size):
        total = total + around[:, i : i + channels]
    return x / (total * (alpha / size) + k) ** beta
