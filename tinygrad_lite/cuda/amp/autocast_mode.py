"""autocast for "cuda" under the module path that PyTorch programs import it from."""

from tinygrad_lite.cuda.amp import autocast as autocast
