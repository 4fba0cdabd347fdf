"""The same elements in another shape, order or dtype."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import canonical_dim, canonical_shape, operation

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["clone", "expand", "permute", "reshape", "transpose"]

METHODS = __all__
IN_PLACE: list[str] = []



@primitive(view=True)
def _reshape(x, shape):
    return x.reshape(shape)


_reshape.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@operation
def reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements in `shape`, where one size may be -1; a view where the memory allows it."""
    return _reshape(x, canonical_shape("reshape", (shape,)))


@primitive(view=True)
def _expand(x, shape):
    return namespace_of(x).broadcast_to(x, shape)


_expand.vjp(x=lambda g: g)  # undoing the broadcast is the engine's


@operation
def expand(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A view of `x` repeated along dims of size 1; -1 keeps a size."""
    shape = canonical_shape("expand", (shape,))
    missing = len(shape) - len(x.shape)
    return _expand(x, tuple(x.shape[i - missing] if n == -1 and i >= missing else n for i, n in enumerate(shape)))


@primitive(view=True)
def _permute(x, dims):
    return x.transpose(dims)


_permute.vjp(x=lambda g, dims: _permute(g, tuple(np.argsort(dims).tolist())))


@operation
def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dims exchanged."""
    dims = list(range(len(x.shape)))
    a, b = canonical_dim("transpose", dim0, len(dims)), canonical_dim("transpose", dim1, len(dims))
    if not dims:
        return x
    dims[a], dims[b] = b, a
    return _permute(x, tuple(dims))


def unsqueeze_dims(x: Any, dims: tuple[int, ...]) -> Any:
    """`x` with dims of size 1 at the places `dims` of the result."""
    sizes = iter(x.shape)
    rank = len(x.shape) + len(dims)
    return _reshape(x, tuple(1 if d in dims else next(sizes) for d in range(rank)))


@primitive
def to_dtype(x, dtype):
    """`x` in another dtype (a copy)."""
    return x.astype(dtype)


to_dtype.vjp(x=lambda g: g)  # the engine gives a gradient its input's dtype


def t_all(x: Tensor) -> Tensor:
    """All dims reversed."""
    return _permute(x, tuple(reversed(range(len(x.shape)))))


def permute(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return _permute(x, tuple(dims))


def clone(x: Tensor) -> Tensor:
    return to_dtype(x, x.dtype)
