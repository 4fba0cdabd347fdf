"""Functions on arrays that never have a gradient: comparisons, tests, places, counts.

    @nondifferentiable
    def isnan(x):
        return namespace_of(x).isnan(x)

They are called as primitives are, and no result of theirs has a place on the tape. What has a
gradient that is zero (`floor`) is a primitive all the same: the zero arrives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays.gpu import when_several
from tinygrad_lite.autograd.apart import led
from tinygrad_lite.engine.call import call_of
from tinygrad_lite.engine.primitive import REGISTRY
from tinygrad_lite.engine.signature import NONDIFFERENTIABLE, P, R, Signature, enter


class _NoPlans(dict[Any, None]):
    """Whichever inputs have a place on the tape, nothing is recorded."""

    def __missing__(self, key: Any) -> None:
        return None


def nondifferentiable(forward: Callable[P, R]) -> Callable[P, Any]:
    """Make an operation without a gradient of a function on plain arrays; of several results it returns a tuple.

    >>> import tinygrad_lite as tg
    >>> @nondifferentiable
    ... def sign_bits(x):
    ...     return x < 0
    >>> sign_bits(tg.tensor([-1.0, 2.0], requires_grad=True))
    tensor([ True, False])
    """
    self = Signature(forward)
    apply, lead = call_of(self)(self, forward, _NoPlans())
    functools.update_wrapper(apply, forward)
    when_several(lambda: lead(led))
    enter(self, NONDIFFERENTIABLE, REGISTRY)
    self.apply = apply
    apply.nondifferentiable = self  # type: ignore[attr-defined]
    return apply
