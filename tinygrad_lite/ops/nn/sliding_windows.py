"""Checks of arguments that convolution, pooling and folding share."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import constant
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal
from tinygrad_lite.arrays.kernels.banded_products import weighted_sums
from tinygrad_lite.arrays.kernels.windows import Sizes, Windows
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import raw
from tinygrad_lite.ops.movement.shape import reshape


def sizes(argument: str, value: Any, rank: int, least: int = 0) -> Sizes:
    """`value` (an int, or one per each of `rank` spatial dims) as a tuple of ints of at least `least`."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if any(isinstance(v, bool) or not hasattr(v, "__index__") for v in values):
        raise BadType(argument=argument, expected=f"an int or {rank} of them", got=repr(value))
    if len(values) != rank:
        if len(values) != 1:
            raise BadValue(argument=argument, expected=f"an int or {rank} of them", got=repr(value))
        values *= rank
    values = tuple(v.__index__() for v in values)
    if min(values) < least:
        raise BadValue(argument=argument, expected=f"{argument} of at least {least}", got=repr(value))
    return values


def batched(x: Any, rank: int, kind: type[Refusal] = BadValue) -> Any:
    """`x` (channels, *spatial) or (images, channels, *spatial) in the latter form."""
    shape = getattr(x, "shape", None)
    if shape is None:
        raise BadType(argument="input", expected="a Tensor", got=type(x).__name__)
    if len(shape) == rank + 2:
        return x
    if len(shape) != rank + 1:
        expected = f"an input of {rank + 2} dims (or {rank + 1}, without a batch)"
        raise kind(argument="input", expected=expected, got=tuple(shape))
    return reshape(x, (1, *shape))


def like_given(out: Any, x: Any) -> Any:
    """`out` (images, channels, *spatial), without its first dim if the input `x` had no batch."""
    return out if len(out.shape) == len(x.shape) else reshape(out, out.shape[1:])


def windows(
    name: str, size: Sizes, kernel: Sizes, stride: Sizes, padding: tuple[Sizes, Sizes], dilation: Sizes, ceil_mode: bool = False
) -> Windows:
    """As many windows as fit into the input with its padding (before, after). With `ceil_mode`, one more partial window if
    it starts within the input or the padding before it."""
    before, after = padding
    counts = []
    for n, k, s, a, b, d in zip(size, kernel, stride, before, after, dilation):
        room = n + a + b - (k - 1) * d - 1
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= n + a:
            count -= 1
        counts.append(count)
    if min(counts) < 1:
        padded = tuple(a + n + b for n, a, b in zip(size, before, after))
        reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation))
        raise BadValue(f"the result would be empty: the padded input {padded} is smaller than the kernel {reach}", function=name)
    return Windows(size, kernel, stride, dilation, before, tuple(counts))


def constant_like(x: Any, values: Any) -> Any:
    """An array on x's device, as a tensor if x is one."""
    values = constant(values, raw(x))
    return traced(values) if isinstance(x, Traced) else values


@primitive
def _weighted_sums(input, matrix, dim):
    """`input` (..., n, ...), matrix (m, n), a NumPy array -> (..., m, ...)"""
    return weighted_sums(input, matrix, dim)


_weighted_sums.vjp(input=lambda g, matrix, dim: _weighted_sums(g, matrix.T, dim))
