"""Distributions of vectors, and distributions composed of others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite import linalg, ops
from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.distributions.distribution import Distribution
from tinygrad_lite.distributions.univariate import Categorical
from tinygrad_lite.ops.arguments import raw

__all__ = ["Independent", "MixtureSameFamily", "MultivariateNormal"]


class MultivariateNormal(Distribution):
    """The normal distribution of vectors with mean `loc` (*batch_shape, D), and one of: a covariance matrix, its inverse
    (the precision matrix), or its Cholesky factor `scale_tril`, each (*batch_shape, D, D).

    >>> import tinygrad_lite as tg
    >>> MultivariateNormal(tg.zeros(2), tg.eye(2)).log_prob(tg.zeros(2))
    tensor(-1.8379)
    """

    has_rsample = True
    parameters = ("loc", "covariance_matrix", "precision_matrix", "scale_tril")

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        given = [m for m in (covariance_matrix, precision_matrix, scale_tril) if m is not None]
        if len(given) != 1:
            raise ValueError("MultivariateNormal: expected one of covariance_matrix, precision_matrix and scale_tril")
        if loc.ndim < 1 or given[0].ndim < 2:
            raise ValueError(f"MultivariateNormal: expected a vector and a matrix, got {tuple(loc.shape)}, {tuple(given[0].shape)}")
        batch = np.broadcast_shapes(given[0].shape[:-2], loc.shape[:-1])
        super().__init__(batch, loc.shape[-1:], validate_args)
        self._require(loc == loc, "loc", loc, "of numbers")
        if scale_tril is not None:
            lower = (scale_tril.tril() == scale_tril).all(-1).all(-1) & (scale_tril.diagonal(0, -2, -1) > 0).all(-1)
            self._require(lower, "scale_tril", scale_tril, "lower triangular, with a diagonal above 0")
        elif self.validated:
            name = "covariance_matrix" if covariance_matrix is not None else "precision_matrix"
            self._require(_positive_definite(given[0]), name, given[0], "symmetric and positive definite")
        if precision_matrix is not None:  # rows and columns reversed, so that the inverse has them in order
            reverse = linalg.cholesky(precision_matrix.flip(-2, -1)).flip(-2, -1).mT
            eye = ops.eye(loc.shape[-1], dtype=loc.dtype, device=loc.device)
            self._factor = linalg.solve_triangular(reverse, eye, upper=False)
        else:
            self._factor = given[0] if scale_tril is not None else linalg.cholesky(given[0])
        self.loc = loc.expand(*batch, loc.shape[-1])

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)
    scale_tril = property(lambda self: self._factor.expand(*self.batch_shape, *self.event_shape, *self.event_shape))
    covariance_matrix = property(lambda self: self.scale_tril @ self.scale_tril.mT)
    precision_matrix = property(lambda self: linalg.inv(self.covariance_matrix))
    variance = property(lambda self: (self.scale_tril**2).sum(-1))

    def _half_log_det(self) -> Tensor:
        return self.scale_tril.diagonal(0, -2, -1).log().sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = ops.randn(self._shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + (self._factor @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Any) -> Tensor:
        away = self._known(value, lambda v: v == v, "numbers") - self.loc
        z = linalg.solve_triangular(self._factor, away.unsqueeze(-1), upper=False).squeeze(-1)
        return -0.5 * ((z**2).sum(-1) + self.event_shape[0] * math.log(2 * math.pi)) - self._half_log_det()

    def entropy(self) -> Tensor:
        return 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi)) + self._half_log_det()


def _positive_definite(matrix: Tensor) -> Tensor:
    """Whether each matrix is symmetric (to 1e-6, as in PyTorch) and has a Cholesky factor."""
    matrix = matrix.detach()
    symmetric = ops.isclose(matrix, matrix.mT, atol=1e-6).all()
    if not is_symbol(raw(symmetric)) and not bool(symmetric):
        return ops.tensor(False)
    return symmetric & (linalg.cholesky_ex(matrix).info == 0) & matrix.isfinite().all(-1).all(-1)


class Independent(Distribution):
    """Treats the last `reinterpreted_batch_ndims` batch dims of a distribution as event dims: log_prob and entropy are
    summed over them.

    >>> import tinygrad_lite as tg
    >>> from tinygrad_lite.distributions import Normal
    >>> noise = Normal(tg.zeros(5, 3), tg.ones(5, 3))
    >>> Independent(noise, 1).log_prob(tg.zeros(5, 3)).shape  # five events of three numbers
    (5,)
    """

    def __init__(self, base_distribution: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None):
        shape = base_distribution.batch_shape
        if not 0 <= reinterpreted_batch_ndims <= len(shape):
            raise ValueError(
                f"Independent: expected reinterpreted_batch_ndims from 0 to {len(shape)}, the dims of the batch shape "
                f"{tuple(shape)}, got {reinterpreted_batch_ndims}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        kept = len(shape) - reinterpreted_batch_ndims
        super().__init__(shape[:kept], (*shape[kept:], *base_distribution.event_shape), validate_args)

    has_rsample = property(lambda self: self.base_dist.has_rsample)
    mean = property(lambda self: self.base_dist.mean)
    mode = property(lambda self: self.base_dist.mode)
    variance = property(lambda self: self.base_dist.variance)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        return self._summed(self.base_dist.entropy())

    def _summed(self, x: Tensor) -> Tensor:
        return x.flatten(x.ndim - self.reinterpreted_batch_ndims).sum(-1) if self.reinterpreted_batch_ndims else x

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamily(Distribution):
    """A mixture: a Categorical selects which of the K distributions along the last batch dim of `component_distribution`
    a sample comes from.

    >>> import tinygrad_lite as tg
    >>> from tinygrad_lite.distributions import Categorical, Normal
    >>> two = Normal(tg.tensor([0.0, 8.0]), tg.tensor([1.0, 1.0]))
    >>> MixtureSameFamily(Categorical(tg.tensor([0.75, 0.25])), two).mean
    tensor(2.)
    """

    def __init__(self, mixture_distribution: Categorical, component_distribution: Distribution, validate_args: bool | None = None):
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(f"MixtureSameFamily: expected a Categorical, got {type(mixture_distribution).__name__}")
        count, shape = mixture_distribution.probs.shape[-1], component_distribution.batch_shape
        if not shape or shape[-1] != count:
            raise ValueError(f"MixtureSameFamily: expected {count} components along the last batch dim, got {tuple(shape)}")
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        super().__init__(shape[:-1], component_distribution.event_shape, validate_args)

    def _weighted(self, x: Tensor) -> Tensor:
        """The mean of x (*batch_shape, K, *event_shape) over the components."""
        probs = self.mixture_distribution.probs
        return (probs.reshape(*probs.shape, *(1,) * len(self.event_shape)) * x).sum(-1 - len(self.event_shape))

    mean = property(lambda self: self._weighted(self.component_distribution.mean))

    @property
    def variance(self) -> Tensor:
        parts = self.component_distribution
        away = parts.mean - self.mean.unsqueeze(-1 - len(self.event_shape))
        return self._weighted(parts.variance) + self._weighted(away**2)

    def log_prob(self, value: Any) -> Tensor:
        parts = self.component_distribution.log_prob(ops.as_tensor(value).unsqueeze(-1 - len(self.event_shape)))
        return (parts + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        parts = self.component_distribution.sample(sample_shape)
        place = self.mixture_distribution.sample(sample_shape)
        dim = parts.ndim - 1 - len(self.event_shape)
        place = place.reshape(*place.shape, *(1,) * (parts.ndim - place.ndim))
        return parts.gather(dim, place.expand(*parts.shape[:dim], 1, *self.event_shape)).squeeze(dim)
