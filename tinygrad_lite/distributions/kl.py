"""Kullback-Leibler divergences."""

from __future__ import annotations

import math

from tinygrad_lite import ops
from tinygrad_lite._tensor import Tensor
from tinygrad_lite.distributions.distribution import Distribution
from tinygrad_lite.distributions.several import Independent
from tinygrad_lite.distributions.single import Bernoulli, Categorical, Normal, Uniform

__all__ = ["kl_divergence"]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q) of two distributions of one family, in nats: (*batch_shape).

    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    tensor(0.5000)
    """
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio = (p.scale / q.scale) ** 2
        return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log())
    if isinstance(p, Uniform) and isinstance(q, Uniform):
        outside = (q.low > p.low) | (q.high < p.high)
        return ((q.high - q.low) / (p.high - p.low)).log().masked_fill(outside, math.inf)
    if isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        return ops.xlogy(p.probs, p.probs / q.probs) + ops.xlogy(1 - p.probs, (1 - p.probs) / (1 - q.probs))
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        terms = p.probs * (p.logits - q.logits)
        terms = terms.masked_fill((q.probs == 0).expand_as(terms), math.inf)
        return terms.masked_fill((p.probs == 0).expand_as(terms), 0).sum(-1)
    if isinstance(p, Independent) and isinstance(q, Independent) and p.event_shape == q.event_shape:
        return p._summed(kl_divergence(p.base_dist, q.base_dist))
    raise NotImplementedError(f"kl_divergence: not known between a {type(p).__name__} and a {type(q).__name__}")
