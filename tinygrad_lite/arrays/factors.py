"""Factors of matrices that NumPy lacks: SciPy (on a GPU cupyx.scipy) has them."""

from __future__ import annotations

import warnings

import numpy as np

from tinygrad_lite.arrays.devices import Array, namespace_of, scipy_of


def lu_of(x: Array) -> tuple[Array, Array]:
    """The factors L and U of each matrix in one array, and the rows exchanged, counted from 1."""
    xp = namespace_of(x)
    k = min(x.shape[-2:])
    if not x.size:
        return x.copy(), xp.zeros((*x.shape[:-2], k), np.int32)
    factor = scipy_of(x, "linalg", "lu_factor").lu_factor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a zero on the diagonal of U is seen there
        pairs = [factor(matrix, check_finite=False) for matrix in x.reshape((-1, *x.shape[-2:]))]
    factors = xp.stack([lu for lu, _ in pairs]).reshape(x.shape)
    pivots = xp.stack([pivots for _, pivots in pairs]).reshape((*x.shape[:-2], k))
    return factors, pivots.astype(np.int32) + 1
