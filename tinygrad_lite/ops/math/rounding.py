"""Rounding: floor, ceil, trunc, round and frac."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import namespace_of, only_floats, only_numbers
from tinygrad_lite.arrays.errors import BadType
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import named, operation
from tinygrad_lite.ops.creation.factories import zeros_like
from tinygrad_lite.ops.typing import Tensor

__all__ = ["ceil", "fix", "floor", "frac", "round", "trunc"]


def _step(name: str, doc: str) -> Any:
    @primitive
    @named(name, doc)
    def forward(input):
        only_numbers(input)
        return input.copy() if input.dtype.kind in "iu" else getattr(namespace_of(input), name)(input)

    forward.vjp(input=lambda g: zeros_like(g))
    return forward


floor = _step("floor", "Each element rounded down to an integer.")
ceil = _step("ceil", "Each element rounded up to an integer.")
trunc = _step("trunc", "Each element rounded towards zero to an integer.")

fix = trunc


@primitive
def _round(input, decimals):
    only_numbers(input)
    if input.dtype.kind in "iu":
        if decimals:
            raise BadType(expected="floating-point numbers to round to decimals", got=input.dtype)
        return input.copy()
    return namespace_of(input).round(input, decimals)


_round.vjp(input=lambda g: zeros_like(g))


@operation
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounded to `decimals` digits (-1: to tens), half to even.

    >>> import tinygrad_lite as tg
    >>> tg.round(tg.tensor([0.5, 1.5, 2.6]))
    tensor([0., 2., 3.])
    """
    return _round(input, decimals)


@operation
def frac(input: Tensor) -> Tensor:
    """The fractional part of each element, with its sign.

    >>> import tinygrad_lite as tg
    >>> tg.frac(tg.tensor([1.5, -2.25]))
    tensor([ 0.5000, -0.2500])
    """
    only_floats(input)
    return input - trunc(input)
