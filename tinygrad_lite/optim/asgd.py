"""ASGD under the module path that PyTorch programs import it from."""

from tinygrad_lite.optim.methods.asgd import ASGD as ASGD
