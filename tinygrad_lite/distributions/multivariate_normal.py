"""MultivariateNormal under the module path that PyTorch programs import it from."""

from tinygrad_lite.distributions.several import MultivariateNormal as MultivariateNormal
