"""Mixed precision: `GradScaler`, and `autocast`, which casts nothing."""

from tinygrad_lite.amp.autocast_mode import autocast
from tinygrad_lite.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast"]
