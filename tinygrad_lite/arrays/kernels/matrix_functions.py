"""The exponential of a matrix, and its pseudo-inverse."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import Array, epsilon, linalg, namespace_of
from tinygrad_lite.arrays.gpu import whole

# The diagonal Pade approximant of exp of order 13, good to 1e-16 up to a norm of 5.4 (Higham, 2005).
_PADE = [math.comb(13, k) * math.factorial(26 - k) / math.factorial(26) for k in range(14)]


@whole
def exponential(x: Array) -> Array:
    """`sum of x^k / k!` of square matrices, by scaling and squaring."""
    xp = namespace_of(x)
    eye = xp.eye(x.shape[-1], dtype=x.dtype)
    size = float(xp.abs(x).sum(-2).max()) if x.size else 0.0
    if not math.isfinite(size):
        return xp.full_like(x, math.nan)
    halvings = max(0, math.ceil(math.log2(size / 5.4))) if size else 0
    x = x * 0.5**halvings
    even, odd, power = _PADE[0] * eye, _PADE[1] * eye, None
    square = x @ x
    for k in range(2, 14, 2):
        power = square if power is None else power @ square
        even = even + _PADE[k] * power
        odd = odd + _PADE[k + 1] * power
    odd = x @ odd
    result = linalg("solve", even - odd, even + odd)
    for _ in range(halvings):
        result = result @ result
    return result


def pseudo_inverse(x: Array, atol: Any, rtol: Any) -> Array:
    """The pseudo-inverse (Moore and Penrose), where singular values up to `tolerance` count as zero."""
    xp = namespace_of(x)
    u, s, vh = linalg("svd", x, full_matrices=False)
    kept = s > tolerance(s, x.shape, atol, rtol)
    inverted = xp.where(kept, 1 / xp.where(kept, s, 1), 0).astype(x.dtype)
    return (vh.mT * inverted[..., None, :]) @ u.mT


def tolerance(values: Array, shape: Any, atol: Any, rtol: Any) -> Array:
    """Up to where singular values (descending or not) count as zero."""
    xp = namespace_of(values)
    if rtol is None:
        rtol = 0.0 if atol is not None else max(shape[-2:]) * epsilon(values.dtype)
    largest = values.max(axis=-1) if values.shape[-1] else xp.zeros(values.shape[:-1], values.dtype)
    return xp.maximum(xp.asarray(0.0 if atol is None else atol), xp.asarray(rtol) * largest)[..., None]
