"""Norms of vectors and of matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import as_dtype, is_array, namespace_of
from tinygrad_lite.autograd import primitive
from tinygrad_lite.autograd.node import Traced
from tinygrad_lite.ops.calling import canonical_dims, operation
from tinygrad_lite.ops.comparison import where
from tinygrad_lite.ops.piecewise import abs, sign
from tinygrad_lite.ops.shape import to_dtype, unsqueeze_dims

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__: list[str] = []  # they are in tg.linalg

METHODS: list[str] = []
IN_PLACE: list[str] = []

Dims = int | tuple[int, ...] | None
inf = math.inf


@primitive
def _vector_norm(x, ord, dims, keepdim):
    xp = namespace_of(x)
    if x.dtype == np.float16:  # 300 squared is beyond it
        return _vector_norm(x.astype(np.float32), ord, dims, keepdim).astype(np.float16)
    if ord == 2:
        if len(dims) == x.ndim and not keepdim:
            flat = x.reshape(-1)
            return xp.sqrt(flat.dot(flat))
        return xp.sqrt((x * x).sum(axis=dims, keepdims=keepdim))
    if ord == 0:
        return (x != 0).sum(axis=dims, keepdims=keepdim, dtype=x.dtype)
    x = xp.abs(x)
    if ord == inf:
        return x.max(axis=dims, keepdims=keepdim)
    if ord == -inf:
        return x.min(axis=dims, keepdims=keepdim)
    if ord == 1:
        return x.sum(axis=dims, keepdims=keepdim)
    return (x**ord).sum(axis=dims, keepdims=keepdim) ** (1 / ord)


_vector_norm.vjp(x=lambda g, x, ord, dims, keepdim, out: _norm_gradient(g, x, ord, dims, keepdim, out))


def _norm_gradient(g: Any, x: Any, ord: float, dims: tuple[int, ...], keepdim: bool, out: Any) -> Any:
    """A norm of zero gets the subgradient 0; largest elements that tie share theirs."""
    if ord == 1:
        return (g if keepdim else unsqueeze_dims(g, dims)) * sign(x)
    if not keepdim:
        g, out = unsqueeze_dims(g, dims), unsqueeze_dims(out, dims)
    if ord == 0:
        return where(x == x, 0.0, g)
    if ord in (inf, -inf):
        largest = abs(x) == out
        return where(largest, g / largest.sum(dims, keepdims=True), 0.0) * sign(x)
    norm = where(out == 0, 1.0, out)
    if ord == 2:
        return where(out == 0, 0.0, g / norm) * x
    if ord < 1:  # the power's derivative is infinite at 0
        return where(x == 0, 0.0, g * sign(x) * (abs(where(x == 0, 1.0, x)) / norm) ** (ord - 1))
    return where(out == 0, 0.0, g) * sign(x) * (abs(x) / norm) ** (ord - 1)


def check_float(name: str, x: Any) -> None:
    if not (isinstance(x, Traced) or is_array(x)):
        raise TypeError(f"{name}: expected a Tensor, got {type(x).__name__}")
    if x.dtype.kind not in "fc":
        raise TypeError(f"{name}: expected a floating-point tensor, got {x.dtype}")


@operation
def vector_norm(x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm `sum(abs(x) ** ord) ** (1 / ord)` over `dim` (None: all elements).

    `ord`: any number; inf and -inf are the largest and the smallest absolute value, 0 counts what
    is not zero. The gradient at a norm of zero is zero.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.vector_norm(tg.tensor([[3.0, -4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    check_float("vector_norm", x)
    if isinstance(ord, str) or not hasattr(ord, "__float__"):
        raise TypeError(f"vector_norm: expected a number for ord, got {ord!r}")
    if dtype is not None:
        x = widened("vector_norm", x, dtype)
    ord = float(ord)
    dims = canonical_dims("vector_norm", dim, len(x.shape))
    if (ord < 0 or ord == inf) and 0 in [x.shape[d] for d in dims]:
        raise ValueError(f"vector_norm: a norm of order {ord} of no elements is not defined: shape {tuple(x.shape)}, dim {dim}")
    return _vector_norm(x, ord, dims, keepdim)


def widened(name: str, x: Any, dtype: Any) -> Any:
    """`x` in a `dtype` that holds all its values."""
    dtype = as_dtype(dtype)
    if dtype.kind not in "fc" or dtype.itemsize < x.dtype.itemsize:
        raise TypeError(f"{name}: expected a floating-point dtype no narrower than {x.dtype}, got {dtype}")
    return x if x.dtype == dtype else to_dtype(x, dtype)
