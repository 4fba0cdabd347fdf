"""A layer that permutes channels."""

from __future__ import annotations

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.settings import Configured

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Configured):
    """Interleaves the channels of `groups` groups of (N, C, ...) (Zhang et al., 2017).

    >>> from tinygrad_lite import arange, nn
    >>> nn.ChannelShuffle(2)(arange(6).reshape(1, 6, 1, 1)).flatten()
    tensor([0, 3, 1, 4, 2, 5])
    """

    shown = "groups"

    def __init__(self, groups: int):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)
