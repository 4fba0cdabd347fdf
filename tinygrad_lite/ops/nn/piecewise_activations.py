"""Activations of straight pieces: rectifiers, and what is cut off at bounds."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_lite.arrays import choose, device_of, namespace_of, only_floats, only_numbers
from tinygrad_lite.arrays.kernels.activations import relu_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import abs, linear_in
from tinygrad_lite.ops.calling import number, operation, raw
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.inplace import in_place, optional_inplace
from tinygrad_lite.ops.random.generators import source
from tinygrad_lite.ops.typing import Tensor

# torch.<name> exists for these; the others stand in nn.functional only.
__all__ = ["hardshrink", "prelu", "relu", "relu_", "rrelu", "rrelu_", "threshold", "threshold_"]


@primitive
def relu(x):
    """`max(x, 0)`; its derivative at 0 is 0.

    >>> import tinygrad_lite as tg
    >>> tg.relu(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    only_numbers(x)
    return relu_of(x)


relu.vjp(x=lambda g, out: where(out <= 0, 0.0, g))
relu.constant_in(x="out")


@primitive
def _leaky_relu(x, slope):
    only_floats(x)
    return namespace_of(x).maximum(x, x * slope) if 0 < slope <= 1 else choose(x > 0, x, x * slope)


_leaky_relu.vjp(x=lambda g, x, slope: where(x > 0, g, g * slope))
_leaky_relu.constant_in(x="x")


@primitive
def _hardtanh(x, low, high):
    only_numbers(x)
    number = x.dtype.type
    return namespace_of(x).clip(x, number(low), number(high))


_hardtanh.vjp(x=lambda g, x, low, high: where((x <= low) | (x >= high), 0.0, g))
_hardtanh.constant_in(x="x")


@optional_inplace
@operation
def leaky_relu(x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`x` where it is positive, else `negative_slope * x`.

    >>> import tinygrad_lite as tg
    >>> leaky_relu(tg.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return _leaky_relu(x, number("leaky_relu", "negative_slope", negative_slope))


@optional_inplace
@operation
def hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` kept between `min_val` and `max_val`; its derivative at both is 0.

    >>> import tinygrad_lite as tg
    >>> hardtanh(tg.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    min_val, max_val = number("hardtanh", "min_val", min_val), number("hardtanh", "max_val", max_val)
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is larger than max_val {max_val}")
    return _hardtanh(x, min_val, max_val)


@optional_inplace
@operation
def relu6(x: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(x, 0), 6)`

    >>> import tinygrad_lite as tg
    >>> relu6(tg.tensor([-3.0, 3.0, 9.0]))
    tensor([0., 3., 6.])
    """
    return _hardtanh(x, 0, 6)


@optional_inplace
@operation
def hardsigmoid(x: Tensor, inplace: bool = False) -> Tensor:
    """`relu6(x + 3) / 6`

    >>> import tinygrad_lite as tg
    >>> hardsigmoid(tg.tensor([-9.0, 0.0, 1.5, 9.0]))
    tensor([0.0000, 0.5000, 0.7500, 1.0000])
    """
    only_floats(x)
    return _hardtanh(x + 3, 0, 6) / 6


@optional_inplace
@operation
def hardswish(x: Tensor, inplace: bool = False) -> Tensor:
    """`x * relu6(x + 3) / 6`

    >>> import tinygrad_lite as tg
    >>> hardswish(tg.tensor([-9.0, 0.0, 1.5, 9.0]))
    tensor([-0.0000, 0.0000, 1.1250, 9.0000])
    """
    only_floats(x)
    return x * (_hardtanh(x + 3, 0, 6) / 6)


@operation
def hardshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` where it is outside of [-lambd, lambd], else 0.

    >>> import tinygrad_lite as tg
    >>> tg.hardshrink(tg.tensor([-1.0, 0.3, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    only_floats(x)
    lambd = float(number("hardshrink", "lambd", lambd))
    return linear_in(where((x >= -lambd) & (x <= lambd), 0.0, x), x)


@operation
def softshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `lambd`; 0 for what is nearer than that.

    >>> import tinygrad_lite as tg
    >>> softshrink(tg.tensor([-2.0, 0.3, 2.0]))
    tensor([-1.5000,  0.0000,  1.5000])
    """
    lambd = float(number("softshrink", "lambd", lambd))
    if lambd < 0:
        raise ValueError(f"softshrink: expected lambd of 0 or more, got {lambd}")
    only_floats(x)
    return linear_in(where((x >= -lambd) & (x <= lambd), 0.0, where(x > 0, x - lambd, x + lambd)), x)


@optional_inplace
@operation
def threshold(x: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`x` where it is above `threshold`, else `value`.

    >>> import tinygrad_lite as tg
    >>> tg.threshold(tg.tensor([-1.0, 2.0]), 0.5, 9.0)
    tensor([9., 2.])
    """
    only_numbers(x)
    threshold, value = number("threshold", "threshold", threshold), number("threshold", "value", value)
    if x.dtype.kind in "iu":
        value, limits = int(value), np.iinfo(x.dtype)
        if not limits.min <= value <= limits.max:
            raise ValueError(f"threshold: the value {value} does not fit into {x.dtype}")
    return linear_in(where(x <= threshold, value, x), x)


@operation
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """`x` where it is positive, else `weight * x`; weight: one number, or one for each channel (dim 1).

    >>> import tinygrad_lite as tg
    >>> tg.prelu(tg.tensor([[-1.0, -2.0]]), tg.tensor([0.5, 0.25]))
    tensor([[-0.5000, -0.5000]])
    """
    only_floats(x)
    if weight.ndim > 1:
        raise ValueError(f"prelu: expected a weight of 0 or 1 dimensions, got shape {tuple(weight.shape)}")
    if math.prod(weight.shape) != 1:
        channels = x.shape[1] if x.ndim > 1 else 1
        if weight.shape[0] != channels:
            raise ValueError(f"prelu: expected 1 or {channels} weights for shape {tuple(x.shape)}, got {weight.shape[0]}")
        weight = weight.reshape((-1,) + (1,) * (x.ndim - 2))
    elif weight.ndim:
        weight = weight.reshape(())
    if weight.dtype != x.dtype:
        raise TypeError(f"prelu: expected a weight of {x.dtype}, as x, got {weight.dtype}")
    return linear_in(where(x > 0, x, weight * x), x, weight)


@operation
def softsign(x: Tensor) -> Tensor:
    """`x / (1 + |x|)`

    >>> import tinygrad_lite as tg
    >>> softsign(tg.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """
    only_numbers(x)
    return x / (1 + abs(x))


@optional_inplace
@operation
def rrelu(x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """`x` where it is positive, else `a * x`, with `a` drawn between `lower` and `upper` for each
    element in training, and their mean otherwise.

    >>> import tinygrad_lite as tg
    >>> rrelu(tg.tensor([-4.0, 4.0]), lower=0.25, upper=0.75)  # -4 times the mean, 0.5
    tensor([-2.,  4.])
    """
    if not lower <= upper:
        raise ValueError(f"rrelu: lower {lower} is larger than upper {upper}")
    if not training:
        return contiguous(_leaky_relu(x, (lower + upper) / 2))
    only_floats(x)
    array = raw(x)
    slopes = source(device=device_of(array)).uniform(array.shape, array.dtype) * (upper - lower) + lower
    return linear_in(contiguous(where(x > 0, x, x * slopes)), x)


relu_ = in_place(relu)
leaky_relu_ = in_place(leaky_relu)
hardtanh_ = in_place(hardtanh)
threshold_ = in_place(threshold)
rrelu_ = in_place(rrelu)
