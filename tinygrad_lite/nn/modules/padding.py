"""Padding of the last one, two or three dims: one size for all sides, or (left, right, top, bottom, ...)."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.utils import _ntuple
from tinygrad_lite.tensor import Tensor

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
    rank = 1


class ConstantPad2d(_ConstantPadNd):
    rank = 2


class ConstantPad3d(_ConstantPadNd):
    rank = 3


class _ZeroPadNd(_ConstantPadNd):
    """Zeros around the input."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return str(self.padding)


class ZeroPad1d(_ZeroPadNd):
    rank = 1


class ZeroPad2d(_ZeroPadNd):
    rank = 2


class ZeroPad3d(_ZeroPadNd):
    rank = 3


class _ReflectionPadNd(_Pad):
    """The input mirrored at its edges, which are not repeated."""

    mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    rank = 1


class ReflectionPad2d(_ReflectionPadNd):
    rank = 2


class ReflectionPad3d(_ReflectionPadNd):
    rank = 3


class _ReplicationPadNd(_Pad):
    """The input's edges repeated."""

    mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    rank = 1


class ReplicationPad2d(_ReplicationPadNd):
    rank = 2


class ReplicationPad3d(_ReplicationPadNd):
    rank = 3


class _CircularPadNd(_Pad):
    """The input's other end on each side."""

    mode = "circular"


class CircularPad1d(_CircularPadNd):
    rank = 1


class CircularPad2d(_CircularPadNd):
    rank = 2


class CircularPad3d(_CircularPadNd):
    rank = 3
