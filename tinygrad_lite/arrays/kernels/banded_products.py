"""Products with banded matrices along one dim."""

from __future__ import annotations

from math import prod

import numpy as np

from tinygrad_lite.arrays.devices import Array, constant, namespace_of
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.banded_loops import products_in_loop

BAND = 64


@kernel
def weighted_sums(x: Array, matrix: np.ndarray, dim: int) -> Array:
    """x (..., n, ...) and a matrix (m, n) -> (..., m, ...): the sums over `dim` weighted by each row.

    The matrices here are banded. A few rows at a time need only a few columns: from 512 to 1024 elements, that is an eighth
    of the full product.
    """
    if x.dtype == np.float16:
        return weighted_sums(x.astype(np.float32), matrix, dim).astype(np.float16)
    xp, (m, n) = namespace_of(x), matrix.shape
    rows, columns = prod(x.shape[:dim]), prod(x.shape[dim + 1 :])
    flat = x.reshape(rows, n, columns)
    out = xp.empty((rows, m, columns), x.dtype)
    if out.size and products_in_loop(flat, matrix, out):
        return out.reshape(*x.shape[:dim], m, *x.shape[dim + 1 :])
    out[...] = 0
    weights = constant(matrix.astype(x.dtype), x)
    for i in range(0, m, BAND):
        (used,) = matrix[i : i + BAND].any(axis=0).nonzero()  # type: ignore[misc]
        if used.size:
            a, b = int(used[0]), int(used[-1]) + 1
            part = weights[i : i + BAND, a:b]
            if columns == 1:
                out[:, i : i + BAND, 0] = flat[:, a:b, 0] @ part.T
            else:
                out[:, i : i + BAND] = part @ flat[:, a:b]
    return out.reshape(*x.shape[:dim], m, *x.shape[dim + 1 :])
