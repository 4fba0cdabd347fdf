"""How far vectors are apart, and how alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.loss import at_least
from tinygrad_lite.ops.norms import vector_norm
from tinygrad_lite.ops.piecewise import clamp_min
from tinygrad_lite.ops.reduction import sum
from tinygrad_lite.ops.shape import broadcast_tensors

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["cosine_similarity", "pairwise_distance", "pdist"]

METHODS: list[str] = []
IN_PLACE: list[str] = []


@operation
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`; a norm below `eps` counts as `eps`.

    >>> import tinygrad_lite as tg
    >>> cosine_similarity(tg.tensor([3.0, 0.0]), tg.tensor([1.0, 1.0]), dim=0)
    tensor(0.7071)
    """
    if x1.shape != x2.shape:
        x1, x2 = broadcast_tensors(x1, x2)
    one, two = (x / at_least(vector_norm(x, 2, dim, True), eps) for x in (x1, x2))
    return sum(one * two, dim)


@operation
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of `x1 - x2 + eps` along the last dim."""
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


@operation
def pdist(x: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms between all pairs of rows of a matrix (N, D): (0, 1), (0, 2), ..., (N - 2, N - 1)."""
    if x.ndim != 2:
        raise ValueError(f"pdist: expected a matrix, got shape {tuple(x.shape)}")
    if p < 0:
        raise ValueError(f"pdist: expected p of 0 or more, got {p}")
    i, j = np.triu_indices(x.shape[0], 1)
    return vector_norm(x[i] - x[j], p, -1)


@operation
def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """`x` divided by its p-norm along `dim`, or by `eps` where the norm is smaller."""
    return x / clamp_min(vector_norm(x, p, dim, True), eps)
