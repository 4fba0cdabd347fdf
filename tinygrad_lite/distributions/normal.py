"""Normal under the module path that PyTorch programs import it from."""

from tinygrad_lite.distributions.single import Normal as Normal
