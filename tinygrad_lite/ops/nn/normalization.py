"""Normalization to mean 0 and variance 1 over a layer, a group, an instance or a batch."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import epsilon, float16, float32, only_floats
from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue
from tinygrad_lite.arrays.kernels.normalization import (
    batch_moments,
    batch_norm_gradient,
    batch_norm_of,
    normalize,
    normalize_gradient,
    wide,
)
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import mul, to_dtype
from tinygrad_lite.ops.dependence import joint_in, linear_in
from tinygrad_lite.ops.math.arithmetic import add, square
from tinygrad_lite.ops.math.elementary import rsqrt
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.nn.padding import pad
from tinygrad_lite.ops.reduction.sums import mean, sum
from tinygrad_lite.ops.typing import Tensor

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]

# -- along the last dims ------------------------------------------------------------------------


@primitive(keeps=("normal", "rate"))
def _normalize(input, weight, bias, lead, groups, eps, center):
    """`(input - mean) / sqrt(var + eps) * weight + bias`; without `center`, no mean is subtracted and var is the mean
    square.

    The dims after the first `lead` form `groups` pieces, normalized separately. weight and bias are None, or have as many
    elements as these dims or a divisor of them.
    """
    only_floats(input)
    return normalize(input, weight, bias, lead, groups, eps, center)


@_normalize.fused_vjp("input", "weight", "bias")
def _(needs, g, normal, rate, weight, bias, center):
    return normalize_gradient(needs, g, normal, rate, weight, bias, center)


@_normalize.composed_of
def _(x, weight, bias, lead, groups, eps, center):
    shape = x.shape
    if not math.prod(shape):
        return linear_in(_of_nothing(x, weight, bias), x)
    samples = math.prod(shape[:lead])
    x = reshape(x, (samples, groups, -1))
    if center:
        x = x - mean(x, -1, True)
    out = x * rsqrt(mean(square(x), -1, True) + eps)
    for vector, combine in ((weight, mul), (bias, add)):
        if vector is not None:
            out = combine(reshape(out, (samples, math.prod(vector.shape), -1)), reshape(vector, (-1, 1)))
    return reshape(out, shape)


joint_in(_normalize, "input", "weight")


def _of_nothing(x: Any, weight: Any, bias: Any) -> Any:
    """`x`, which has no elements, with a weight and a bias, whose gradients are zero."""
    out = x if weight is None else x * sum(weight)
    return out if bias is None else out + sum(bias)


# -- over a layer -------------------------------------------------------------------------------


def _layer(x: Any, normalized_shape: Any, *parameters: Any) -> int:
    """The number of dims before a layer of `normalized_shape`."""
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else None
    if not shape:
        raise BadType(argument="normalized_shape", expected="normalized_shape as a tuple of sizes", got=repr(normalized_shape))
    x = raw(x)
    if x.shape[-len(shape) :] != shape:
        raise BadValue(f"normalized_shape {shape} is not how an input of shape {x.shape} ends")
    for what, parameter in zip(("weight", "bias"), parameters):
        if parameter is not None:
            parameter = raw(parameter)
            if parameter.shape != shape:
                raise BadValue(argument=what, expected=f"a {what} of normalized_shape {shape}", got=parameter.shape)
            _check_dtype(x, what, parameter)
    return x.ndim - len(shape)


def _check_dtype(x: Any, what: str, parameter: Any) -> None:
    """Whether a parameter has x's dtype, or float32 for an x of half precision."""
    if parameter.dtype not in (x.dtype, float32 if x.dtype == float16 else x.dtype):
        raise BadType(argument=what, expected=f"a {what} of {x.dtype}, as the input", got=parameter.dtype)


@operation
def layer_norm(
    input: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """Normalize each layer (the last dims, of `normalized_shape`) to mean 0 and variance 1, times weight, plus bias (Ba et
    al., Layer normalization).

    >>> import tinygrad_lite as tg
    >>> tg.layer_norm(tg.tensor([[1.0, 3.0], [2.0, 6.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    lead = _layer(input, normalized_shape, weight, bias)
    return _normalize(input, weight, bias, lead, 1, eps, True)


@operation
def rms_norm(input: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """Divide each layer by its root mean square (with `eps` added to the mean square, by default the dtype's machine
    epsilon), times weight (Zhang and Sennrich, Root mean square layer normalization).

    >>> import tinygrad_lite as tg
    >>> rms_norm(tg.tensor([[1.0, 7.0]]), (2,))  # the root of (1 + 49) / 2 is 5
    tensor([[0.2000, 1.4000]])
    """
    only_floats(input)
    weight = None if weight is None else to_dtype(weight, input.dtype)
    lead = _layer(input, normalized_shape, weight)
    return _normalize(input, weight, None, lead, 1, epsilon(input.dtype) if eps is None else eps, False)


# -- over groups of channels --------------------------------------------------------------------


def _check_vectors(x: Any, **vectors: Any) -> None:
    """Refuse `vectors` that are not None and do not have one element per channel (dim 1 of x)."""
    only_floats(x)
    channels = raw(x).shape[1]
    for what, vector in vectors.items():
        if vector is not None:
            if raw(vector).shape != (channels,):
                got = tuple(vector.shape)
                raise BadValue(expected=f"{what} of {channels} elements, one a channel", got=f"shape {got}")
            _check_dtype(x, what, vector)


@operation
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Normalize the channels of `input` (N, C, ...) in `num_groups` groups to mean 0 and variance 1 per sample; weight and
    bias (C,) (Wu and He, Group normalization).

    >>> import tinygrad_lite as tg
    >>> group_norm(tg.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if input.ndim < 2:
        raise BadValue(argument="input", expected="an input of shape (N, C, ...)", got=tuple(input.shape))
    n, channels = input.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise BadValue(f"{channels} channels do not fall into {num_groups} equal groups")
    if n * math.prod(input.shape[2:]) * (channels // num_groups) == 1:
        raise BadValue(f"a group has only one value, input shape {tuple(input.shape)}")
    _check_vectors(input, weight=weight, bias=bias)
    return _normalize(input, weight, bias, 1, num_groups, eps, True)


# -- over a batch -------------------------------------------------------------------------------


@primitive(keeps=("mean", "rate"))
def _batch_norm(input, weight, bias, eps, moments, running):
    """Normalize each channel (dim 1) of `input` to mean 0 and variance 1, times weight, plus bias. `moments`: the mean and
    variance of `input`, if known; or, if `running`, others to use instead."""
    return batch_norm_of(input, weight, bias, eps, moments, running)


@_batch_norm.fused_vjp("input", "weight", "bias")
def _(needs, g, input, weight, mean, rate, running):
    return batch_norm_gradient(needs, g, input, weight, mean, rate, running)


@_batch_norm.composed_of
def _(x, weight, bias, eps, moments, running):
    if running:
        return _affine(x, weight, bias, *moments, eps)
    axes = (0, *range(2, x.ndim))
    x = x - mean(x, axes, True)
    out = x * rsqrt(mean(square(x), axes, True) + eps)
    shape = (-1,) + (1,) * (x.ndim - 2)
    if weight is not None:
        out = out * reshape(weight, shape)
    return out if bias is None else out + reshape(bias, shape)


joint_in(_batch_norm, "input", "weight")


def _affine(x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, eps: float) -> Any:
    scale = rsqrt(running_var + eps)
    if weight is not None:
        scale = scale * weight
    shift = -running_mean * scale
    if bias is not None:
        shift = shift + bias
    shape = (-1,) + (1,) * (x.ndim - 2)
    return to_dtype(x * reshape(scale, shape) + reshape(shift, shape), x.dtype)


def _by_running(x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, eps: float) -> Any:
    if not math.prod(x.shape):
        return _of_nothing(clone(x), weight, bias)
    # Copies, because the next training step changes the running statistics.
    return _batch_norm(x, weight, bias, eps, (wide(raw(running_mean)).copy(), wide(raw(running_var)).copy()), True)


def _update(name: str, running: Any, measured: Any, momentum: float) -> None:
    """`running = (1 - momentum) running + momentum measured`, in place and off the tape."""
    if running is not None:
        array = raw(running)
        array += (momentum * (measured - array)).astype(array.dtype, copy=False)
        changed_in_place(array, name)


@operation
def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Normalize each channel of `input` (N, C, ...) to mean 0 and variance 1, times weight, plus bias (Ioffe and Szegedy,
    Batch normalization).

    In training, use the batch's statistics; the running ones become `(1 - momentum) * running + momentum * measured` (with
    the unbiased variance). Otherwise use the running statistics.

    >>> import tinygrad_lite as tg
    >>> batch_norm(tg.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 1e-5, True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    if tuple(input.shape) == (0,):
        return clone(input)
    if input.ndim < 2:
        raise BadIndex(argument="input", expected="an input of shape (N, C, ...)", got=tuple(input.shape))
    if training:
        if math.prod(input.shape) == input.shape[1] and input.shape[1]:
            raise BadValue(expected="more than 1 value per channel in training", got=f"shape {tuple(input.shape)}")
    elif math.prod(input.shape) and (running_mean is None or running_var is None):
        raise BadValue("running_mean and running_var are needed when not in training")
    _check_vectors(input, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    if not math.prod(input.shape):  # there is nothing to measure
        return _of_nothing(clone(input), weight, bias)
    if not training:
        return _by_running(input, weight, bias, running_mean, running_var, eps)
    moments = None
    if running_mean is not None or running_var is not None:
        moments, count = batch_moments(raw(input))
        _update("batch_norm", running_mean, moments[0], momentum)
        _update("batch_norm", running_var, moments[1] * (count / max(count - 1, 1)), momentum)
    return _batch_norm(input, weight, bias, eps, moments, False)


@operation
def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Normalize each channel of each sample of `input` (N, C, ...) to mean 0 and variance 1, times weight, plus bias
    (Ulyanov et al., Instance normalization). Running statistics as in batch_norm, averaged over samples.

    >>> import tinygrad_lite as tg
    >>> instance_norm(tg.tensor([[[1.0, 3.0], [10.0, 30.0]]]), None, None, None, None, True, 0.1, 1e-5, True)
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    if input.ndim < 2:
        raise BadValue(argument="input", expected="an input of shape (N, C, ...)", got=tuple(input.shape))
    if use_input_stats:
        if math.prod(input.shape[2:]) == 1:
            raise BadValue(expected="more than 1 value per channel and sample", got=f"shape {tuple(input.shape)}")
    elif running_mean is None or running_var is None:
        raise BadValue("running_mean and running_var are needed without use_input_stats")
    vectors = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    _check_vectors(input, **vectors)
    if not use_input_stats:
        return _by_running(input, weight, bias, running_mean, running_var, eps)
    if math.prod(input.shape) and (running_mean is not None or running_var is not None):
        array = raw(input).reshape(*input.shape[:2], -1)
        _update("instance_norm", running_mean, array.mean(axis=(0, 2)), momentum)
        _update("instance_norm", running_var, array.var(axis=2, ddof=1).mean(axis=0), momentum)
    return _normalize(input, weight, bias, 1, input.shape[1], eps, True)


@operation
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """`input / (k + alpha m)^beta`, where m is the mean square of `size` neighbouring channels of `input` (N, C, ...)
    (Krizhevsky et al., ImageNet classification).

    >>> import tinygrad_lite as tg
    >>> local_response_norm(tg.tensor([[[3.0]]]), 1, alpha=1.0, beta=1.0)  # 3 / (1 + 3^2)
    tensor([[[0.3000]]])
    """
    if input.ndim < 3:
        raise BadValue(argument="input", expected="an input of 3 or more dimensions", got=f"shape {tuple(input.shape)}")
    if size < 1:
        raise BadValue(expected="a size of at least 1", got=size)
    if 0 in input.shape:
        return input
    channels = input.shape[1]
    around = pad(square(input), (0, 0) * (input.ndim - 2) + (size // 2, (size - 1) // 2))
    total = around[:, :channels]
    for i in range(1, size):
        total = total + around[:, i : i + channels]
    return input / (total * (alpha / size) + k) ** beta
