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

import numpy as np

from tinygrad_lite.arrays import as_array
from tinygrad_lite.arrays.gpu import when_several
from tinygrad_lite.arrays.quiet import enter as be_quiet
from tinygrad_lite.arrays.quiet import leave as quiet_no_more
from tinygrad_lite.autograd.apart import led
from tinygrad_lite.autograd.errors import REFUSALS, explained
from tinygrad_lite.autograd.node import Traced, traced
from tinygrad_lite.autograd.primitive import REGISTRY
from tinygrad_lite.autograd.signature import P, R, Signature

NONDIFFERENTIABLE: dict[str, Signature[..., Any]] = {}


def nondifferentiable(forward: Callable[P, R]) -> Callable[P, Any]:
    """Make an operation without a gradient of a function on plain arrays; of several results it returns a tuple."""
    self = Signature(forward)
    count = len(self.arguments)
    call: Callable[..., Any] = forward

    @functools.wraps(forward)
    def apply(*args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != count:
            args = self.bind(args, kwargs)
        values: list[Any] = []  # a loop, for a comprehension and a second look at the arguments cost 0.4 us more
        is_traced = False
        for argument in args:
            if isinstance(argument, Traced):
                is_traced = True
                argument = argument.array
            values.append(argument)
        token = be_quiet()
        try:
            out = call(*values)
        except REFUSALS as error:
            raise explained(self, values, error) from error
        finally:
            quiet_no_more(token)
        if not is_traced:
            return out
        if type(out) is tuple:
            return tuple(traced(as_array(array)) for array in out)
        return traced(out if type(out) is np.ndarray else as_array(out))

    def lead() -> None:
        nonlocal call
        call = led(forward)

    when_several(lead)
    if self.name in NONDIFFERENTIABLE or self.name in REGISTRY:
        raise ValueError(f"operation {self.name!r} is defined twice")
    NONDIFFERENTIABLE[self.name] = self
    self.apply = apply
    apply.nondifferentiable = self  # type: ignore[attr-defined]
    return apply
