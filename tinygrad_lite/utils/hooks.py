"""What registering a hook returns, under the module path that PyTorch programs import it from."""

from tinygrad_lite.arrays.hooks import RemovableHandle as RemovableHandle
