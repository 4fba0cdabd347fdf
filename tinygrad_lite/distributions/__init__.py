"""Probability distributions for policies, flows and variational models.

Parameters are numbers or tensors and broadcast to the batch shape. A sample has shape `sample_shape + batch_shape +
event_shape`. `sample` draws off the tape; `rsample`, where it exists, is a differentiable function of the parameters."""

from tinygrad_lite.distributions import bernoulli, categorical, independent, mixture_same_family, multivariate_normal, normal, uniform
from tinygrad_lite.distributions.distribution import Distribution
from tinygrad_lite.distributions.kl import kl_divergence
from tinygrad_lite.distributions.multivariate import Independent, MixtureSameFamily, MultivariateNormal
from tinygrad_lite.distributions.univariate import Bernoulli, Categorical, Normal, Uniform

__all__ = [
    "Bernoulli", "Categorical", "Distribution", "Independent", "MixtureSameFamily", "MultivariateNormal", "Normal",
    "Uniform", "kl_divergence",
]  # fmt: skip
