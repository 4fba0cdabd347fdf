"""Sliding windows as columns, and back."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.settings import Configured

__all__ = ["Fold", "Unfold"]

Sizes = int | tuple[int, ...]


class Unfold(Configured):
    """Sliding windows of (N, C, H, W) as columns: (N, C * window, number of windows).

    >>> from tinygrad_lite import arange, nn
    >>> nn.Unfold(2)(arange(6.0).reshape(1, 1, 2, 3))[0].T  # the two windows
    tensor([[0., 1., 3., 4.],
            [1., 2., 4., 5.]])
    """

    shown = "kernel_size dilation padding stride"

    def __init__(self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Configured):
    """Adds columns up into the windows that they represent: (N, C * window, windows) -> (N, C, *output_size).

    >>> from tinygrad_lite import nn, ones
    >>> nn.Fold((2, 3), 2)(ones(1, 4, 2))[0, 0]  # the middle lies in both windows
    tensor([[1., 2., 1.],
            [1., 2., 1.]])
    """

    shown = "output_size kernel_size dilation padding stride"

    def __init__(self, output_size: Any, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
