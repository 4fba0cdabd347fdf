"""Powers, with PyTorch's rules for integers and bools."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays.devices import Array, namespace_of
from tinygrad_lite.arrays.dtypes import check_number, only_numbers, promote, some_tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.gpu import kernel


@kernel
def power(x: Any, y: Any) -> Array:
    """`x ** y`, broadcast."""
    a, b = promote(x, y)
    if a is not x and b is not y:
        some_tensor(x, y)
    if isinstance(y, int) and y < 0 and x.dtype.kind in "iub":
        raise BadValue("integers have no negative powers", hint="make them floating-point numbers first")
    check_number("pow", y, x)
    if type(y) is bool and x.dtype.kind == "b":  # the only power of bools in PyTorch
        return x | (not y)
    if (type(b) is int or type(b) is float) and b == 3:
        return a * a * a  # NumPy has fast squares and roots, and calls the C library for the rest
    try:
        out = a**b
    except ValueError:  # where NumPy refuses integers, PyTorch truncates the fraction
        return _whole_part(a, b)
    if out.dtype.kind not in "fc":
        only_numbers(a)
    return out


def log_of_number(x: float) -> float:
    """The logarithm of a Python number in its full precision."""
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


def _whole_part(x: Array, y: Array) -> Array:
    """`x ** y` of integers with negative powers among them: 0, except for powers of 1 and -1."""
    xp = namespace_of(x)
    return xp.where(y >= 0, x ** xp.maximum(y, 0), xp.where(abs(x) == 1, x ** (y & 1), 0)).astype(x.dtype)
