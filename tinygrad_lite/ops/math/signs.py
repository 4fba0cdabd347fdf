"""Signs and adjacent floating-point numbers."""

from __future__ import annotations

from tinygrad_lite.arrays import namespace_of, only_floats, only_tensors, promote_tensors, promoted_floats
from tinygrad_lite.arrays.errors import BadType
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation
from tinygrad_lite.ops.calculus import abs, sign
from tinygrad_lite.ops.creation.factories import zeros_like
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.nondifferentiable import nondifferentiable
from tinygrad_lite.ops.typing import Tensor

__all__ = ["absolute", "copysign", "heaviside", "nextafter", "sgn", "signbit"]


absolute, sgn = abs, sign


@primitive
def copysign(input, other):
    """`abs(input)` with the sign of `other`, where -0.0 counts as negative.

    >>> import tinygrad_lite as tg
    >>> tg.copysign(tg.tensor([1.0, 2.0]), tg.tensor([-0.0, 3.0]))
    tensor([-1.,  2.])
    """
    only_tensors(input)
    input, other = promoted_floats(input, other)
    return namespace_of(input).copysign(input, other)


copysign.vjp(input=lambda g, input, out: g * (sign(input) * sign(out)),
             other=lambda g: zeros_like(g))


@primitive
def nextafter(input, other):
    """The next floating-point number after `input` towards `other`.

    >>> import tinygrad_lite as tg
    >>> (tg.nextafter(tg.tensor([1.0]), tg.tensor([2.0])) - 1) * 2**23
    tensor([1.])
    """
    input, other = promote_tensors(input, other)
    only_floats(input)
    return namespace_of(input).nextafter(input, other)


nextafter.vjp(input=lambda g, input, other: where(input == other, 0.0, g),
              other=lambda g: zeros_like(g))


@operation
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where `input` is negative, 1 where it is positive, and `values` where it is zero.

    >>> import tinygrad_lite as tg
    >>> tg.heaviside(tg.tensor([-1.0, 0.0, 2.0]), tg.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    only_tensors(input, values)
    if input.dtype != values.dtype:
        raise BadType(expected="tensors of one dtype", got=f"{input.dtype} and {values.dtype}")
    return where(input == 0, values, input > 0)


@nondifferentiable
def signbit(input):
    """Whether each element has a minus sign, including -0.0.

    >>> import tinygrad_lite as tg
    >>> tg.signbit(tg.tensor([-0.0, 0.0, -1.0]))
    tensor([ True, False,  True])
    """
    return namespace_of(input).signbit(input) if input.dtype.kind == "f" else input < 0
