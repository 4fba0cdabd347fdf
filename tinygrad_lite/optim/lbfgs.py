"""LBFGS under the module path that PyTorch programs import it from."""

from tinygrad_lite.optim.methods.lbfgs import LBFGS as LBFGS
