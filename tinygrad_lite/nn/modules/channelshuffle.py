"""Channels in another order."""

from __future__ import annotations

from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.settings import Configured
from tinygrad_lite.tensor import Tensor

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Configured):
    """The channels of `groups` groups dealt out in turn."""

    shown = "groups"

    def __init__(self, groups: int):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)
