"""Probability distributions that policies, flows and variational models draw from.

Parameters are numbers or tensors; together they broadcast to the batch shape. A sample has the shape
`sample_shape + batch_shape + event_shape`. `sample` draws off the tape; `rsample`, where there is one, is a
function of the parameters and carries gradients to them.
"""

from tinygrad_lite.distributions.distribution import Distribution
from tinygrad_lite.distributions.kl import kl_divergence
from tinygrad_lite.distributions.several import Independent, MixtureSameFamily, MultivariateNormal
from tinygrad_lite.distributions.single import Bernoulli, Categorical, Normal, Uniform

__all__ = [
    "Bernoulli",
    "Categorical",
    "Distribution",
    "Independent",
    "MixtureSameFamily",
    "MultivariateNormal",
    "Normal",
    "Uniform",
    "kl_divergence",
]
