"""Operations that have no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays.rules import Primitive
from tinygrad_lite.arrays.signature import P, R, enter
from tinygrad_lite.engine.primitive import NONDIFFERENTIABLE, REGISTRY, call_of


def nondifferentiable(forward: Callable[P, R]) -> Callable[P, Any]:
    """Make an operation without a gradient from a function on plain arrays: a comparison, a test, an index, a count.

    Its results are never on the tape. (`floor`, whose gradient is zero, is a primitive: the zero arrives.)

    >>> import tinygrad_lite as tg
    >>> @nondifferentiable
    ... def sign_bits(x):
    ...     return x < 0
    >>> sign_bits(tg.tensor([-1.0, 2.0], requires_grad=True))
    tensor([ True, False])
    """
    self = Primitive(forward, recorded=False)
    enter(self, NONDIFFERENTIABLE, REGISTRY)
    apply = self.apply = call_of(self)
    apply.nondifferentiable = self
    return apply
