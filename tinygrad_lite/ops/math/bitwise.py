"""Integers (and bools) as strings of bits, and what divides them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import namespace_of, only_integers, only_numbers, promote_tensors, promoted, some_tensor
from tinygrad_lite.engine.primitive import nondifferentiable
from tinygrad_lite.ops.calling import named

__all__ = [
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "gcd", "lcm",
]  # fmt: skip


def _bitwise(name: str, combine: Callable[[Any, Any], Any], doc: str) -> Any:
    @nondifferentiable
    @named(name, doc)
    def forward(x, y):
        some_tensor(x, y)
        x, y = promoted(x, y)
        only_integers(x)
        if "shift" in name:
            only_numbers(x)
        return combine(x, y)

    return forward


bitwise_and = _bitwise("bitwise_and", operator.and_, "`x & y`.")
bitwise_or = _bitwise("bitwise_or", operator.or_, "`x | y`.")
bitwise_xor = _bitwise("bitwise_xor", operator.xor, "`x ^ y`.")
bitwise_left_shift = _bitwise("bitwise_left_shift", operator.lshift, "`x << y`.")
bitwise_right_shift = _bitwise("bitwise_right_shift", operator.rshift, "`x >> y`; a negative `x` stays negative.")


@nondifferentiable
def bitwise_not(x):
    """`~x`: every bit flipped; of bools, not.

    >>> import tinygrad_lite as tg
    >>> tg.bitwise_not(tg.tensor([0, 5]))
    tensor([-1, -6])
    """
    only_integers(x)
    return ~x


def _of_integers(name: str, doc: str) -> Any:
    @nondifferentiable
    @named(name, doc)
    def forward(x, y):
        x, y = promote_tensors(x, y)
        only_integers(x)
        only_numbers(x)
        return getattr(namespace_of(x), name)(x, y)

    return forward


gcd = _of_integers("gcd", "The greatest common divisor of each two integers.")
lcm = _of_integers("lcm", "The least common multiple of each two integers.")
