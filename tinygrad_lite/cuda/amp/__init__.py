"""`tinygrad_lite.amp` for "cuda", under the older names."""

from functools import partial

from tinygrad_lite import amp

__all__ = ["GradScaler", "autocast"]

autocast = partial(amp.autocast, "cuda")
GradScaler = partial(amp.GradScaler, "cuda")
