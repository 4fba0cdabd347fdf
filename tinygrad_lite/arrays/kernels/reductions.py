"""Sums and extremes of large arrays.

NumPy adds up a million floats in 500 us, and 100,000 rows of ten in 3600 us: along a contiguous axis its pairwise loop is
not vectorized, and short rows cost a call each. `einsum` is vectorized: 250 us for the million (PyTorch 210; a product with
a vector of ones takes 110 if two cores are free for BLAS, and 4000 if not). For sums over columns, short rows are first
joined into long ones: 250 us for the 100,000 of ten (PyTorch 540).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import Array, as_array
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.products import column_sums
from tinygrad_lite.arrays.memory import in_order
from tinygrad_lite.arrays.shapes import count, require_some

_SMALL = 16384  # with fewer elements the detour costs more than it saves
_ROW = 1024


@kernel
def add_up(x: Array, axes: Any = None, keepdim: bool = False) -> Any:
    """`x.sum(axis=axes, keepdims=keepdim)` of a floating-point array, C-contiguous; `axes` are not negative."""
    if x.dtype.char not in "fd":
        return _add_up_others(x, axes, keepdim)
    if type(x) is not np.ndarray:
        return in_order(x.sum(axis=axes, keepdims=keepdim))
    if not x.flags.c_contiguous:
        return in_order(np.add.reduce(x, axis=axes, keepdims=keepdim))  # type: ignore[call-overload]
    if x.size < _SMALL:
        return np.add.reduce(x, axis=axes, keepdims=keepdim)  # type: ignore[call-overload]
    ndim = x.ndim
    reduced = range(ndim) if axes is None else (axes,) if type(axes) is int else axes
    first = ndim  # all dims from `first` on are reduced
    while first - 1 in reduced:
        first -= 1
    last = 0  # and all before `last`
    while last < first and last in reduced:
        last += 1
    out: Any = x
    if first < ndim:
        out = _along_rows(out.reshape(-1, math.prod(x.shape[first:]))).reshape(x.shape[:first])
    if last:
        rest = out.shape[last:]
        out = _down_columns(out.reshape(-1, math.prod(rest))).reshape(rest)
    between = tuple(d - last for d in reduced if last <= d < first)
    if between:
        out = np.add.reduce(out, axis=between)
    return out.reshape([1 if d in reduced else n for d, n in enumerate(x.shape)]) if keepdim else out


def _add_up_others(x: Array, axes: Any, keepdim: bool) -> Any:
    if x.dtype == np.float16:
        return add_up(x.astype(np.float32), axes, keepdim).astype(np.float16)
    return in_order(x.sum(axis=axes, keepdims=keepdim, dtype=x.dtype if x.dtype.kind in "fc" else np.int64))


def _along_rows(x: np.ndarray) -> np.ndarray:
    """The sum of each row, in pieces of `_ROW` where possible, so that no running sum is long."""
    rows, n = x.shape
    whole = n - n % _ROW
    if n <= _ROW or (rows > 1 and whole < n):
        return np.einsum("ij->i", x)
    out = np.einsum("ij->i", x[:, :whole].reshape(-1, _ROW))
    out = np.add.reduce(out.reshape(rows, -1), axis=1)
    return out if whole == n else out + np.add.reduce(x[:, whole:], axis=1)


def _down_columns(x: np.ndarray) -> np.ndarray:
    """The sum of each column: short rows are joined, and at most 128 of these enter one running sum."""
    rows, n = x.shape
    m = max(2 * _ROW // n, 1) if n else 1
    if rows < max(4 * m, 256):
        return np.add.reduce(x, axis=0)
    depth = min(128, rows // m)
    whole = rows - rows % (depth * m)
    parts = np.add.reduce(x[:whole].reshape(-1, depth, m * n), axis=1)
    out = _down_columns(parts.reshape(-1, n))
    return out if whole == rows else out + _down_columns(x[whole:])


@kernel
def variance(x: Array, axes: Any, freedom: float, keepdim: bool) -> Any:
    """The sum of the squared distances from the mean, divided by `freedom`."""
    w = x if x.itemsize > 2 else x.astype(np.float32)
    out = as_array(w - add_up(w, axes, True) / count(x.shape, axes))
    out *= out
    return (add_up(out, axes, keepdim) / freedom).astype(x.dtype, copy=False)


@kernel
def extreme(name: str, x: Array, axes: Any, keepdim: bool) -> Any:
    """`x.max(axis=axes, keepdims=keepdim)` for name="maximum", `x.min` for "minimum", C-contiguous.

    In short rows NumPy compares element by element: (1024, 10) takes 98 us, after a transposition 19 us.
    """
    if not x.size:
        require_some(x, axes)
    if type(x) is not np.ndarray:
        return in_order((x.max if name == "maximum" else x.min)(axis=axes, keepdims=keepdim))
    reduce = np.maximum.reduce if name == "maximum" else np.minimum.reduce
    if axes == x.ndim - 1 and x.ndim > 1 and x.shape[axes] <= 32 and x.size >= 1024:
        out = reduce(np.ascontiguousarray(x.reshape(-1, x.shape[axes]).T), axis=0)
        return out.reshape((*x.shape[:-1], 1) if keepdim else x.shape[:-1])
    return in_order(reduce(x, axis=axes, keepdims=keepdim))  # type: ignore[call-overload]


@kernel
def sum_to_shape(g: Array, shape: tuple[int, ...]) -> Array:
    """`g` summed to `shape`, the transpose of broadcasting from `shape`."""
    if len(shape) == 1 and type(g) is np.ndarray and g.ndim > 1 and g.shape[-1] == shape[0]:
        return column_sums(g)  # the gradient of a bias
    extra = len(g.shape) - len(shape)
    if extra < 0 or any(m != 1 and n != m for n, m in zip(g.shape[extra:], shape)):
        raise BadValue(expected=f"a gradient that sums to shape {shape}", got=f"shape {g.shape}")
    axes = (*range(extra), *(i for i, n in enumerate(shape, extra) if n == 1 and g.shape[i] != 1))
    if axes:
        g = g.sum(axis=axes, keepdims=True)
    return g.reshape(shape)
