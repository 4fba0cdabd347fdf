"""RMSprop under the module path that PyTorch programs import it from."""

from tinygrad_lite.optim.methods.adaptive import RMSprop as RMSprop
