"""Adadelta under the module path that PyTorch programs import it from."""

from tinygrad_lite.optim.methods.adaptive import Adadelta as Adadelta
