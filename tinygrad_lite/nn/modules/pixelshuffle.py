"""Layers that trade channels for pixels."""

from __future__ import annotations

from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.settings import Configured
from tinygrad_lite.tensor import Tensor

__all__ = ["PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Configured):
    """(..., C r^2, H, W) -> (..., C, H r, W r)"""

    shown = "upscale_factor"

    def __init__(self, upscale_factor: int):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Configured):
    """(..., C, H r, W r) -> (..., C r^2, H, W)"""

    shown = "downscale_factor"

    def __init__(self, downscale_factor: int):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)
