"""Padding of the last one, two or three dims: one size for all sides, or (left, right, top, bottom, ...)."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.utils import _ntuple

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    rank: int
    mode: str

    def __init__(self, padding: Any):
        super().__init__()
        self.padding = _ntuple(2 * self.rank)(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPadNd(_Pad):
    """`value` around the input."""

    mode = "constant"

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """`value` around the last dim of (N, C, L) or (C, L): left, right.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ConstantPad1d((1, 2), 9.0)(tensor([[1.0, 2.0]]))
    tensor([[9., 1., 2., 9., 9.]])
    """

    rank = 1


class ConstantPad2d(_ConstantPadNd):
    """`value` around the last two dims of (N, C, H, W) or (C, H, W): left, right, top, bottom.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ConstantPad2d((1, 0, 0, 1), 9.0)(tensor([[[1.0, 2.0]]]))
    tensor([[[9., 1., 2.],
             [9., 9., 9.]]])
    """

    rank = 2


class ConstantPad3d(_ConstantPadNd):
    """`value` around the last three dims of (N, C, D, H, W) or (C, D, H, W): left, right, top, bottom, front, back.

    >>> from tinygrad_lite import nn, ones
    >>> nn.ConstantPad3d((0, 0, 0, 0, 1, 0), 9.0)(ones(1, 1, 1, 2))
    tensor([[[[9., 9.]],
    <BLANKLINE>
             [[1., 1.]]]])
    """

    rank = 3


class _ZeroPadNd(_ConstantPadNd):
    """Zeros around the input."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return str(self.padding)


class ZeroPad1d(_ZeroPadNd):
    """Zeros around the last dim of (N, C, L) or (C, L): left, right.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ZeroPad1d(1)(tensor([[1.0, 2.0]]))
    tensor([[0., 1., 2., 0.]])
    """

    rank = 1


class ZeroPad2d(_ZeroPadNd):
    """Zeros around the last two dims of (N, C, H, W) or (C, H, W): left, right, top, bottom; negative sizes crop.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ZeroPad2d((1, -1, 0, 1))(tensor([[[1.0, 2.0]]]))
    tensor([[[0., 1.],
             [0., 0.]]])
    """

    rank = 2


class ZeroPad3d(_ZeroPadNd):
    """Zeros around the last three dims of (N, C, D, H, W) or (C, D, H, W): left, right, top, bottom, front, back.

    >>> from tinygrad_lite import nn, ones
    >>> nn.ZeroPad3d((1, 1, 0, 2, 0, 0))(ones(1, 2, 3, 4)).shape
    (1, 2, 5, 6)
    """

    rank = 3


class _ReflectionPadNd(_Pad):
    """Reflects the input at its edges, without repeating the edge."""

    mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Reflects the input at its edges, without repeating the edge: (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ReflectionPad1d(2)(tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    rank = 1


class ReflectionPad2d(_ReflectionPadNd):
    """Reflects the input at its edges, without repeating the edge: (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ReflectionPad2d((1, 0, 1, 0))(tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[4., 3., 4.],
             [2., 1., 2.],
             [4., 3., 4.]]])
    """

    rank = 2


class ReflectionPad3d(_ReflectionPadNd):
    """Reflects the input at its edges, without repeating the edge: (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import arange, nn
    >>> nn.ReflectionPad3d((0, 0, 0, 0, 1, 0))(arange(4.0).reshape(1, 2, 1, 2)).flatten()
    tensor([2., 3., 0., 1., 2., 3.])
    """

    rank = 3


class _ReplicationPadNd(_Pad):
    """Repeats the edges of the input."""

    mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Repeats the edges of the input: (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ReplicationPad1d(2)(tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    rank = 1


class ReplicationPad2d(_ReplicationPadNd):
    """Repeats the edges of the input: (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.ReplicationPad2d((1, 0, 1, 0))(tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[1., 1., 2.],
             [1., 1., 2.],
             [3., 3., 4.]]])
    """

    rank = 2


class ReplicationPad3d(_ReplicationPadNd):
    """Repeats the edges of the input: (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import arange, nn
    >>> nn.ReplicationPad3d((0, 0, 0, 0, 1, 0))(arange(4.0).reshape(1, 2, 1, 2)).flatten()
    tensor([0., 1., 0., 1., 2., 3.])
    """

    rank = 3


class _CircularPadNd(_Pad):
    """Wraps around: pads each side with the opposite end of the input."""

    mode = "circular"


class CircularPad1d(_CircularPadNd):
    """Wraps around: pads each side with the opposite end of the input: (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.CircularPad1d(1)(tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    rank = 1


class CircularPad2d(_CircularPadNd):
    """Wraps around: pads each side with the opposite end of the input: (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.CircularPad2d((1, 0, 1, 0))(tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[4., 3., 4.],
             [2., 1., 2.],
             [4., 3., 4.]]])
    """

    rank = 2


class CircularPad3d(_CircularPadNd):
    """Wraps around: pads each side with the opposite end of the input: (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import arange, nn
    >>> nn.CircularPad3d((0, 0, 0, 0, 1, 0))(arange(4.0).reshape(1, 2, 1, 2)).flatten()
    tensor([2., 3., 0., 1., 2., 3.])
    """

    rank = 3
