"""Sums along one dim, weighted by the rows of a constant matrix: what interpolation and means of parts are."""

from __future__ import annotations

import numpy as np

from tinygrad_lite.arrays.resampling import weighted_sums
from tinygrad_lite.engine.primitive import primitive

__all__: list[str] = []

METHODS: list[str] = []
IN_PLACE: list[str] = []


@primitive
def _weighted_sums(x, matrix, dim):
    """x (..., n, ...), matrix (m, n), a NumPy array -> (..., m, ...)"""
    if x.dtype == np.float16:
        return weighted_sums(x.astype(np.float32), matrix, dim).astype(x.dtype)
    return weighted_sums(x, matrix, dim)


_weighted_sums.vjp(x=lambda g, matrix, dim: _weighted_sums(g, matrix.T, dim))
