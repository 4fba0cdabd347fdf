"""Normal under the module path that PyTorch programs import it from."""

from tinygrad_lite.distributions.univariate import Normal as Normal
