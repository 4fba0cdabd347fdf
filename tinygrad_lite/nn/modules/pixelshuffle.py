"""Layers that exchange channels for pixels."""

from __future__ import annotations

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.settings import Configured

__all__ = ["PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Configured):
    """(..., C r^2, H, W) -> (..., C, H r, W r): channels become pixels (Shi et al., 2016).

    >>> from tinygrad_lite import arange, nn
    >>> nn.PixelShuffle(2)(arange(4).reshape(4, 1, 1))
    tensor([[[0, 1],
             [2, 3]]])
    """

    shown = "upscale_factor"

    def __init__(self, upscale_factor: int):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Configured):
    """(..., C, H r, W r) -> (..., C r^2, H, W): pixels become channels, the inverse of PixelShuffle.

    >>> from tinygrad_lite import arange, nn
    >>> nn.PixelUnshuffle(2)(arange(16).reshape(1, 4, 4))[0]  # every second pixel of every second row
    tensor([[ 0,  2],
            [ 8, 10]])
    """

    shown = "downscale_factor"

    def __init__(self, downscale_factor: int):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)
