"""NAdam under the module path that PyTorch programs import it from."""

from tinygrad_lite.optim.methods.adam import NAdam as NAdam
