"""Signs and neighbours of numbers."""

from __future__ import annotations

from tinygrad_lite.arrays import (
    namespace_of,
    only_floats,
    only_tensors,
    promote_tensors,
    promoted_floats,
)
from tinygrad_lite.engine.primitive import nondifferentiable, primitive
from tinygrad_lite.ops.calculus import abs, sign
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.creation.factories import zeros_like
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor

__all__ = ["absolute", "copysign", "heaviside", "nextafter", "sgn", "signbit"]


absolute, sgn = abs, sign


@primitive
def copysign(x, y):
    """`abs(x)` with the sign of `y`, where -0.0 counts as negative.

    >>> import tinygrad_lite as tg
    >>> tg.copysign(tg.tensor([1.0, 2.0]), tg.tensor([-0.0, 3.0]))
    tensor([-1.,  2.])
    """
    only_tensors(x)
    x, y = promoted_floats(x, y)
    return namespace_of(x).copysign(x, y)


copysign.vjp(x=lambda g, x, out: g * (sign(x) * sign(out)),
             y=lambda g: zeros_like(g))


@primitive
def nextafter(x, y):
    """The next number after `x` on the way to `y`.

    >>> import tinygrad_lite as tg
    >>> (tg.nextafter(tg.tensor([1.0]), tg.tensor([2.0])) - 1) * 2**23
    tensor([1.])
    """
    x, y = promote_tensors(x, y)
    only_floats(x)
    return namespace_of(x).nextafter(x, y)


nextafter.vjp(x=lambda g, x, y: where(x == y, 0.0, g),
              y=lambda g: zeros_like(g))


@operation
def heaviside(x: Tensor, values: Tensor) -> Tensor:
    """0 where `x` is negative, 1 where it is positive, and `values` where it is zero.

    >>> import tinygrad_lite as tg
    >>> tg.heaviside(tg.tensor([-1.0, 0.0, 2.0]), tg.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    only_tensors(x, values)
    if x.dtype != values.dtype:
        raise TypeError(f"heaviside: expected tensors of one dtype, got {x.dtype} and {values.dtype}")
    return where(x == 0, values, x > 0)


@nondifferentiable
def signbit(x):
    """Whether each element has a minus sign, as -0.0 does.

    >>> import tinygrad_lite as tg
    >>> tg.signbit(tg.tensor([-0.0, 0.0, -1.0]))
    tensor([ True, False,  True])
    """
    return namespace_of(x).signbit(x) if x.dtype.kind == "f" else x < 0
