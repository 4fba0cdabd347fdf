"""GradScaler for "cuda" under the module path that PyTorch programs import it from."""

from tinygrad_lite.cuda.amp import GradScaler as GradScaler
