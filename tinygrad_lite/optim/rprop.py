"""Rprop under the module path that PyTorch programs import it from."""

from tinygrad_lite.optim.methods.rprop import Rprop as Rprop
