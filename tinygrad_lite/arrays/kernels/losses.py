"""Losses of each element in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import Array, elementwise, empty_like, log1p_up_to_1, namespace_of, only_floats, promote, wide
from tinygrad_lite.arrays.deferred_checks import refuse
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.gpu import kernel


@kernel
def mean_square(x: Any, y: Any) -> Any:
    """The mean of `(x - y)^2`."""
    x, y = promote(x, y)
    only_floats(x)
    d = (x - y).reshape(-1)
    if d.dtype.char == "e":  # the sum of squares would overflow
        w = wide(d)
        return (w.dot(w) / w.size).astype(d.dtype)
    return d.dot(d) / d.size


def binary_cross_entropy_of(p: Array, target: Array) -> Array:
    """`-(target log(p) + (1 - target) log(1 - p))`; no logarithm is below -100."""
    only_floats(p, target)
    xp = namespace_of(p)
    if target.dtype != p.dtype:
        raise BadType(argument="target", expected=f"a target of {p.dtype}, as the input", got=target.dtype)
    for what, values in (("input", p), ("target", target)):
        outside = ~((values >= 0) & (values <= 1))
        if xp is not np:
            refuse(outside, BadValue, f"expected every element of the {what} between 0 and 1", what)
        elif outside.any():
            raise BadValue(expected=f"every element of the {what} between 0 and 1")
    return -(target * xp.maximum(xp.log(p), -100) + (1 - target) * xp.maximum(xp.log1p(-p), -100))


@kernel
def binary_cross_entropy_of_logits(x: Any, target: Any) -> Array:
    """`(1 - target) x - min(x, 0) + log(1 + exp(-|x|))`."""
    only_floats(x, target)
    x, target = promote(x, target)
    xp = namespace_of(x)
    out, size = empty_like(x), empty_like(x)

    def kernel(x: Array, target: Array, out: Array, size: Array, xp: Any = xp) -> None:
        xp.subtract(1, target, out=out)
        out *= x
        out -= xp.minimum(x, 0)
        xp.abs(x, out=size)
        xp.negative(size, out=size)
        xp.exp(size, out=size)
        log1p_up_to_1(size, size, xp)
        out += size

    elementwise(kernel, x, target, out, size)
    return out
