"""Piecewise linear activations: rectifiers, clamps and thresholds."""

from __future__ import annotations

import math

from tinygrad_lite.arrays import choose, device_of, limits, namespace_of, only_floats, only_numbers
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.activations import relu_gradient, relu_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import number, operation, raw
from tinygrad_lite.ops.calculus import abs
from tinygrad_lite.ops.dependence import constant_in, linear_in
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.inplace import in_place, optional_inplace
from tinygrad_lite.ops.random.generators import source
from tinygrad_lite.ops.typing import Tensor

# PyTorch has these as torch.<name>; the others only in nn.functional.
__all__ = ["hardshrink", "prelu", "relu", "relu_", "rrelu", "rrelu_", "threshold", "threshold_"]


@primitive
def relu(input):
    """`max(input, 0)`; its derivative at 0 is 0.

    >>> import tinygrad_lite as tg
    >>> tg.relu(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    only_numbers(input)
    return relu_of(input)


def _relu_input(g, out):
    gradient = relu_gradient(g, out)
    return where(out <= 0, 0.0, g) if gradient is None else gradient


relu.vjp(input=_relu_input)
constant_in(relu, input="out")


@primitive
def _leaky_relu(input, slope):
    only_floats(input)
    return namespace_of(input).maximum(input, input * slope) if 0 < slope <= 1 else choose(input > 0, input, input * slope)


_leaky_relu.vjp(input=lambda g, input, slope: where(input > 0, g, g * slope))
constant_in(_leaky_relu, input="input")


@primitive
def _hardtanh(input, low, high):
    only_numbers(input)
    number = input.dtype.type
    return namespace_of(input).clip(input, number(low), number(high))


_hardtanh.vjp(input=lambda g, input, low, high: where((input <= low) | (input >= high), 0.0, g))
constant_in(_hardtanh, input="input")


@optional_inplace
@operation
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where it is positive, otherwise `negative_slope * input`.

    >>> import tinygrad_lite as tg
    >>> leaky_relu(tg.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return _leaky_relu(input, number("negative_slope", negative_slope))


@optional_inplace
@operation
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` clamped to [min_val, max_val]; its derivative at both bounds is 0.

    >>> import tinygrad_lite as tg
    >>> hardtanh(tg.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    min_val, max_val = number("min_val", min_val), number("max_val", max_val)
    if min_val > max_val:
        raise BadValue(f"min_val {min_val} is larger than max_val {max_val}")
    return _hardtanh(input, min_val, max_val)


@optional_inplace
@operation
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(input, 0), 6)`

    >>> import tinygrad_lite as tg
    >>> relu6(tg.tensor([-3.0, 3.0, 9.0]))
    tensor([0., 3., 6.])
    """
    return _hardtanh(input, 0, 6)


@optional_inplace
@operation
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu6(input + 3) / 6`

    >>> import tinygrad_lite as tg
    >>> hardsigmoid(tg.tensor([-9.0, 0.0, 1.5, 9.0]))
    tensor([0.0000, 0.5000, 0.7500, 1.0000])
    """
    only_floats(input)
    return _hardtanh(input + 3, 0, 6) / 6


@optional_inplace
@operation
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * relu6(input + 3) / 6`

    >>> import tinygrad_lite as tg
    >>> hardswish(tg.tensor([-9.0, 0.0, 1.5, 9.0]))
    tensor([-0.0000, 0.0000, 1.1250, 9.0000])
    """
    only_floats(input)
    return input * (_hardtanh(input + 3, 0, 6) / 6)


@operation
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` outside of [-lambd, lambd], otherwise 0.

    >>> import tinygrad_lite as tg
    >>> tg.hardshrink(tg.tensor([-1.0, 0.3, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    only_floats(input)
    lambd = float(number("lambd", lambd))
    return linear_in(where((input >= -lambd) & (input <= lambd), 0.0, input), input)


@operation
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` moved towards 0 by `lambd`; 0 where |input| <= lambd.

    >>> import tinygrad_lite as tg
    >>> softshrink(tg.tensor([-2.0, 0.3, 2.0]))
    tensor([-1.5000,  0.0000,  1.5000])
    """
    lambd = float(number("lambd", lambd))
    if lambd < 0:
        raise BadValue(argument="lambd", expected="lambd of 0 or more", got=lambd)
    only_floats(input)
    return linear_in(where((input >= -lambd) & (input <= lambd), 0.0, where(input > 0, input - lambd, input + lambd)), input)


@optional_inplace
@operation
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`input` where it is above `threshold`, otherwise `value`.

    >>> import tinygrad_lite as tg
    >>> tg.threshold(tg.tensor([-1.0, 2.0]), 0.5, 9.0)
    tensor([9., 2.])
    """
    only_numbers(input)
    threshold, value = number("threshold", threshold), number("value", value)
    if input.dtype.kind in "iu":
        value, (low, high) = int(value), limits(input.dtype)
        if not low <= value <= high:
            raise BadValue(f"the value {value} does not fit into {input.dtype}")
    return linear_in(where(input <= threshold, value, input), input)


@operation
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`input` where it is positive, otherwise `weight * input`; weight: one number, or one per channel (dim 1).

    >>> import tinygrad_lite as tg
    >>> tg.prelu(tg.tensor([[-1.0, -2.0]]), tg.tensor([0.5, 0.25]))
    tensor([[-0.5000, -0.5000]])
    """
    only_floats(input)
    if weight.ndim > 1:
        raise BadValue(argument="weight", expected="a weight of 0 or 1 dimensions", got=f"shape {tuple(weight.shape)}")
    if math.prod(weight.shape) != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.shape[0] != channels:
            raise BadValue(expected=f"1 or {channels} weights for shape {tuple(input.shape)}", got=weight.shape[0])
        weight = weight.reshape((-1,) + (1,) * (input.ndim - 2))
    elif weight.ndim:
        weight = weight.reshape(())
    if weight.dtype != input.dtype:
        raise BadType(argument="weight", expected=f"a weight of {input.dtype}, as the input", got=weight.dtype)
    return linear_in(where(input > 0, input, weight * input), input, weight)


@operation
def softsign(input: Tensor) -> Tensor:
    """`input / (1 + |input|)`

    >>> import tinygrad_lite as tg
    >>> softsign(tg.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """
    only_numbers(input)
    return input / (1 + abs(input))


@optional_inplace
@operation
def rrelu(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """`input` where it is positive, otherwise `a * input`; in training, `a` is drawn from [lower, upper] for each element,
    otherwise it is their mean.

    >>> import tinygrad_lite as tg
    >>> rrelu(tg.tensor([-4.0, 4.0]), lower=0.25, upper=0.75)  # -4 times the mean, 0.5
    tensor([-2.,  4.])
    """
    if not lower <= upper:
        raise BadValue(f"lower {lower} is larger than upper {upper}")
    if not training:
        return contiguous(_leaky_relu(input, (lower + upper) / 2))
    only_floats(input)
    array = raw(input)
    slopes = source(device=device_of(array)).uniform(array.shape, array.dtype) * (upper - lower) + lower
    return linear_in(contiguous(where(input > 0, input, input * slopes)), input)


relu_ = in_place(relu)
leaky_relu_ = in_place(leaky_relu)
hardtanh_ = in_place(hardtanh)
threshold_ = in_place(threshold)
rrelu_ = in_place(rrelu)
