"""Distances and similarities of vectors."""

from __future__ import annotations

import math

from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.distances import euclidean_distances, pairs
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation
from tinygrad_lite.ops.dependence import linear_in
from tinygrad_lite.ops.linalg.checks import check_matrix
from tinygrad_lite.ops.linalg.norms import vector_norm
from tinygrad_lite.ops.math.arithmetic import to_common_dtype
from tinygrad_lite.ops.math.clamping import at_least, clamp_min
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.broadcasting import broadcast_tensors
from tinygrad_lite.ops.reduction.sums import sum
from tinygrad_lite.ops.typing import Tensor

__all__ = ["cdist", "cosine_similarity", "pairwise_distance", "pdist"]


@operation
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`; a norm below `eps` counts as `eps`.

    >>> import tinygrad_lite as tg
    >>> cosine_similarity(tg.tensor([3.0, 0.0]), tg.tensor([1.0, 1.0]), dim=0)
    tensor(0.7071)
    """
    if x1.shape != x2.shape:
        x1, x2 = broadcast_tensors(x1, x2)
    if x1.dtype != x2.dtype:
        x1, x2 = to_common_dtype(x1, x2)
    one, two = (x / at_least(vector_norm(x, 2, dim, True), eps) for x in (x1, x2))
    return sum(one * two, dim)


@operation
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of `x1 - x2 + eps` along the last dim.

    >>> import tinygrad_lite as tg
    >>> pairwise_distance(tg.tensor([[3.0, 0.0]]), tg.tensor([[0.0, 4.0]]))
    tensor([5.])
    """
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


@operation
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms of the differences between all pairs of rows of a matrix (N, D): (0, 1), (0, 2), ..., (N - 2, N - 1).

    >>> import tinygrad_lite as tg
    >>> tg.pdist(tg.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    if input.ndim != 2:
        raise BadValue(expected="a matrix", got=f"shape {tuple(input.shape)}")
    if p < 0:
        raise BadValue(argument="p", expected="p of 0 or more", got=p)
    i, j = pairs(input.shape[0])
    out = vector_norm(input[i] - input[j], p, -1)
    return out if p else linear_in(out, input)


@operation
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """`input` divided by its p-norm along `dim`, or by `eps` if the norm is smaller.

    >>> import tinygrad_lite as tg
    >>> normalize(tg.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return input / clamp_min(vector_norm(input, p, dim, True), eps)


@primitive
def _euclidean(x1, x2, by_product):
    return euclidean_distances(x1, x2, by_product)


@_euclidean.fused_vjp("x1", "x2")
def _(needs, g, x1, x2, out):
    g = g / where(out == 0, math.inf, out)
    gx = g.sum(axis=-1, keepdims=True) * x1 - g @ x2 if needs[0] else None
    gy = g.mT.sum(axis=-1, keepdims=True) * x2 - g.mT @ x1 if needs[1] else None
    return gx, gy, None


@operation
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norms of the differences between each row of x1 and each of x2: (..., n, m), (..., k, m) -> (..., n, k). The
    gradient at a distance of zero is zero.

    `compute_mode`: "use_mm_for_euclid_dist" computes |x1|^2 + |x2|^2 - 2 x1 x2 (faster, but close rows lose digits),
    "donot_use_mm_for_euclid_dist" does not, and the default does for more than 25 rows.

    >>> import tinygrad_lite as tg
    >>> tg.cdist(tg.tensor([[0.0, 0.0], [3.0, 0.0]]), tg.tensor([[3.0, 4.0]]))
    tensor([[5.],
            [4.]])
    """
    check_matrix(x1)
    check_matrix(x2)
    if x1.dtype != x2.dtype:
        raise BadType(f"both tensors must have the same dtype, got {x1.dtype} and {x2.dtype}")
    if x1.shape[-1] != x2.shape[-1]:
        raise BadValue(f"the last sizes differ: {tuple(x1.shape)} and {tuple(x2.shape)}")
    if not p >= 0:
        raise BadValue(argument="p", expected="p of 0 or more", got=p)
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise BadValue(argument="compute_mode", expected=f"compute_mode to be one of {', '.join(map(repr, modes))}", got=repr(compute_mode))
    if p == 2:
        many = compute_mode == modes[0] and max(x1.shape[-2], x2.shape[-2]) > 25
        return _euclidean(x1, x2, many or compute_mode == modes[1])
    differences = x1[..., :, None, :] - x2[..., None, :, :]
    if not x1.shape[-1]:
        return differences.sum(-1)
    out = vector_norm(differences, p, -1)
    return out if p else linear_in(out, x1, x2)
