"""Bitwise operations, and integer functions of divisors."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import namespace_of, only_integers, only_numbers, promote_tensors, promoted, some_tensor
from tinygrad_lite.ops.arguments import named
from tinygrad_lite.ops.nondifferentiable import nondifferentiable

__all__ = ["bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "gcd", "lcm"]


def _bitwise(name: str, combine: Callable[[Any, Any], Any], doc: str) -> Any:
    @nondifferentiable
    @named(name, doc)
    def forward(input, other):
        some_tensor(input, other)
        input, other = promoted(input, other)
        only_integers(input)
        if "shift" in name:
            only_numbers(input)
        return combine(input, other)

    return forward


bitwise_and = _bitwise("bitwise_and", operator.and_, "`input & other`.")
bitwise_or = _bitwise("bitwise_or", operator.or_, "`input | other`.")
bitwise_xor = _bitwise("bitwise_xor", operator.xor, "`input ^ other`.")
bitwise_left_shift = _bitwise("bitwise_left_shift", operator.lshift, "`input << other`.")
bitwise_right_shift = _bitwise("bitwise_right_shift", operator.rshift, "`input >> other`; a negative `input` stays negative.")


@nondifferentiable
def bitwise_not(input):
    """`~input`: all bits flipped; for bools, logical not.

    >>> import tinygrad_lite as tg
    >>> tg.bitwise_not(tg.tensor([0, 5]))
    tensor([-1, -6])
    """
    only_integers(input)
    return ~input


def _of_integers(name: str, doc: str) -> Any:
    @nondifferentiable
    @named(name, doc)
    def forward(input, other):
        input, other = promote_tensors(input, other)
        only_integers(input)
        only_numbers(input)
        return getattr(namespace_of(input), name)(input, other)

    return forward


gcd = _of_integers("gcd", "The elementwise greatest common divisor of integers.")
lcm = _of_integers("lcm", "The elementwise least common multiple of integers.")
