"""Softmax and its logarithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import as_dtype, as_float, namespace_of
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import canonical_dim, operation
from tinygrad_lite.ops.elementary import exp
from tinygrad_lite.ops.shape import to_dtype

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["log_softmax", "softmax"]

METHODS = __all__
IN_PLACE: list[str] = []


@primitive
def _softmax(x, dim):
    x = as_float(x)
    if not x.size:
        return x.copy()
    xp = namespace_of(x)
    out = xp.subtract(x, x.max(axis=dim, keepdims=True), out=xp.empty_like(x))
    xp.exp(out, out=out)
    out /= out.sum(axis=dim, keepdims=True)
    return out


_softmax.vjp(x=lambda g, out, dim: out * (g - (g * out).sum(axis=dim, keepdims=True)))


@primitive
def _log_softmax(x, dim):
    x = as_float(x)
    if not x.size:
        return x.copy()
    xp = namespace_of(x)
    out = xp.subtract(x, x.max(axis=dim, keepdims=True), out=xp.empty_like(x))
    out -= xp.log(xp.exp(out).sum(axis=dim, keepdims=True))
    return out


_log_softmax.vjp(x=lambda g, out, dim: g - exp(out) * g.sum(axis=dim, keepdims=True))


@operation
def softmax(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """`exp(x) / exp(x).sum(dim)`: positive, and of sum 1 along `dim`.

    >>> import tinygrad_lite as tg
    >>> tg.softmax(tg.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    if dtype is not None:
        x = to_dtype(x, as_dtype(dtype))
    return _softmax(x, canonical_dim("softmax", dim, len(x.shape)))


@operation
def log_softmax(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax(x, dim)`, worked out without overflow."""
    if dtype is not None:
        x = to_dtype(x, as_dtype(dtype))
    return _log_softmax(x, canonical_dim("log_softmax", dim, len(x.shape)))
