"""Whether numbers are nearly equal."""

from __future__ import annotations

from tinygrad_lite.arrays import Array, namespace_of


def close(x: Array, y: Array, rtol: float, atol: float, equal_nan: bool) -> Array:
    """Whether each `|x - y| <= atol + rtol * |y|`, or `x` is `y` (infinities; with `equal_nan`, nans)."""
    result = x == y
    if equal_nan:
        result = result | ((x != x) & (y != y))
    if x.dtype.kind == "b" or (rtol == 0 and atol == 0):
        return result
    if x.dtype.kind in "iu":
        x, y = x.astype("float64"), y.astype("float64")
    xp = namespace_of(x)
    distance = xp.abs(x - y)
    return result | (xp.isfinite(distance) & (distance <= atol + xp.abs(rtol * y)))
