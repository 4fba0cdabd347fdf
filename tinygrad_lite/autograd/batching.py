"""Gradients of several cotangents at once."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd.function import Function
from tinygrad_lite.engine.tape import traced


class Stack(Function):
    """Tensors of one shape along a new first dim."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any) -> Any:
        return traced(namespace_of(tensors[0].array).stack([t.array for t in tensors]))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return tuple(g)
