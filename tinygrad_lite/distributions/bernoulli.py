"""Bernoulli under the module path that PyTorch programs import it from."""

from tinygrad_lite.distributions.single import Bernoulli as Bernoulli
