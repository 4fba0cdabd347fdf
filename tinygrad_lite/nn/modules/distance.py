"""Distances and similarities between vectors."""

from __future__ import annotations

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.settings import Configured

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Configured):
    """The cosine of the angle between x1 and x2 along `dim`.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.CosineSimilarity()(tensor([[1.0, 0.0], [1.0, 0.0]]), tensor([[0.0, 5.0], [3.0, 4.0]]))
    tensor([0.0000, 0.6000])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__(locals())

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps along the last dim.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.PairwiseDistance()(tensor([[1.0, 1.0]]), tensor([[4.0, 5.0]]))
    tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
