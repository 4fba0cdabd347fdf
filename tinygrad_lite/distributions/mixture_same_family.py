"""MixtureSameFamily under the module path that PyTorch programs import it from."""

from tinygrad_lite.distributions.several import MixtureSameFamily as MixtureSameFamily
