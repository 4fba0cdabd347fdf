"""Reductions over some or all dims."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import as_dtype, is_floating
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import canonical_dims, operation
from tinygrad_lite.ops.shape import expand, to_dtype, unsqueeze_dims

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["mean", "sum"]

METHODS = __all__
IN_PLACE: list[str] = []


Dims = int | tuple[int, ...] | None


@primitive
def _sum(x, dims, keepdim):
    # Integers add up in int64, as in PyTorch; uint8 would stay unsigned in NumPy.
    return x.sum(axis=dims, keepdims=keepdim, dtype=x.dtype if x.dtype.kind in "fc" else np.int64)


_sum.vjp(x=lambda g, x_shape, dims, keepdim: _restored(g, x_shape, dims, keepdim))


def _restored(g: Any, shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> Any:
    """A reduction's gradient (or result) back over the dims it was reduced over."""
    return expand(g if keepdim else unsqueeze_dims(g, dims), shape)


@operation
def sum(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an int, several, or None for all).

    >>> import tinygrad_lite as tg
    >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    if dtype is not None:
        x = to_dtype(x, as_dtype(dtype))
    return _sum(x, canonical_dims("sum", dim, len(x.shape)), keepdim)


@operation
def mean(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` (an int, several, or None for all) of a floating-point tensor."""
    if dtype is not None:
        x = to_dtype(x, as_dtype(dtype))
    if not is_floating(x.dtype):
        raise TypeError(f"mean: expected a floating-point tensor, got {x.dtype}; pass dtype=float32, say")
    dims = canonical_dims("mean", dim, len(x.shape))
    return _sum(x, dims, keepdim) / max(count(x.shape, dims), 1)


def count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """How many elements a reduction over `dims` makes one of."""
    return math.prod(shape[d] for d in dims)
