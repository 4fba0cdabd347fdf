"""RAdam under the module path that PyTorch programs import it from."""

from tinygrad_lite.optim.methods.adam import RAdam as RAdam
