"""SGD under the module path that PyTorch programs import it from."""

from tinygrad_lite.optim.methods.sgd import SGD as SGD
