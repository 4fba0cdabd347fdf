"""Sorting, and cumulative operations along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import Array, Symbol, namespace_of
from tinygrad_lite.arrays.gpu import kernel

_WORTH_A_PRODUCT = 1 << 15
_SMALL = 2048  # with fewer elements NumPy's stable sort is as fast as the detour


@kernel
def order(x: Array, axis: int, descending: bool = False, first: int | None = None) -> Array:
    """The indices that sort `x` along `axis` (counted from the front), with nan as the largest; only the `first` of them,
    if given. The sort is stable."""
    n = x.shape[axis]
    if type(x) is np.ndarray and x.size >= _SMALL:
        if first is not None and 0 < first < n // 8:
            found = _first_few(np.moveaxis(x, axis, -1), descending, first)
            if found is not None:
                return np.moveaxis(found, -1, axis)
        keys = _keys(np.moveaxis(x, axis, -1), descending)
        if keys is not None:
            keys.sort(axis=-1)
            return np.moveaxis(keys[..., :first] & 0xFFFFFFFF, -1, axis)
    before = (slice(None),) * axis
    stable = {"kind": "stable"} if type(x) is np.ndarray or isinstance(x, Symbol) else {}  # CuPy's always is
    if descending:
        back = (*before, slice(None, None, -1))
        out = n - 1 - x[back].argsort(axis=axis, **stable)[back]
    else:
        out = x.argsort(axis=axis, **stable)
    few: Any = (*before, slice(first))
    return out if first is None else out[few]


def _first_few(x: np.ndarray, descending: bool, first: int) -> np.ndarray | None:
    """`order` along the last axis; None if ties would have to be cut.

    The 5 largest in each row of (1024, 1024) take 7 ms, sorting 30 ms.
    """
    places = np.argpartition(x, x.shape[-1] - first if descending else first - 1, axis=-1)
    places = places[..., -first:] if descending else places[..., :first]
    places.sort(axis=-1)
    found = np.take_along_axis(x, places, -1)
    last = (found.min if descending else found.max)(axis=-1, keepdims=True)
    if np.count_nonzero(x == last) != np.count_nonzero(found == last):
        return None
    return np.take_along_axis(places, order(found, x.ndim - 1, descending), -1)


def _keys(x: np.ndarray, descending: bool) -> np.ndarray | None:
    """Integers that sort as the elements do and, for ties, by index, which are the lower 32 bits. None if the elements do
    not fit into the upper 32.

    NumPy sorts integers in vector registers: a million float32 take 28 ms this way, 264 ms with a stable argsort (PyTorch:
    168 ms).
    """
    if x.dtype.kind == "f":
        if x.itemsize > 4:
            return None
        x = x.astype(np.float32) + np.float32(0)  # + 0, so that -0 equals 0
        bits = x.view(np.int32)
        keys = np.where(x != x, np.int32(0x7FFFFFFF), bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    else:
        low, high = int(x.min()), int(x.max())
        if high - low >= 1 << 31:
            return None
        keys = (x - x.dtype.type(low)).astype(np.int64) if x.dtype.itemsize > 4 else x.astype(np.int64) - low
    if descending:
        np.invert(keys, out=keys)
    keys <<= 32
    keys |= np.arange(x.shape[-1])
    return keys


@kernel
def accumulate(name: str, x: Array, axis: int) -> Array:
    """`np.<name>.accumulate(x, axis)`: the running results of an associative ufunc, C-contiguous."""
    xp = namespace_of(x)
    if xp is not np:
        return _doubling(getattr(xp, name), x, axis)
    ufunc = getattr(np, name)
    if math.prod(x.shape[axis + 1 :]) < 512:
        if name == "add" and axis == x.ndim - 1 and x.size >= _WORTH_A_PRODUCT and x.dtype.char in "fd":
            sums = _sums_along(x)
            if np.isfinite(sums[..., -1]).all():  # otherwise inf * 0 added nan where it should add 0
                return sums
        return ufunc.accumulate(x, axis=axis, out=None if x.flags.c_contiguous else np.empty(x.shape, x.dtype))
    # Row by row: (1024, 1024) along the columns takes 2 ms, NumPy's strided loop 20 ms.
    out = np.empty(x.shape, x.dtype)
    rows, sums = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
    sums[:1] = rows[:1]
    for t in range(1, len(rows)):
        ufunc(sums[t - 1], rows[t], out=sums[t])
    return out


def _sums_along(x: np.ndarray) -> np.ndarray:
    """Running sums along the last axis of finite numbers: pieces of 32 are multiplied by a triangle of ones. (1024, 1024)
    takes 1.8 ms, NumPy's sequential loop 4.1 ms."""
    n, piece = x.shape[-1], 32
    if n % piece:
        x = np.concatenate([x, np.zeros((*x.shape[:-1], -n % piece), x.dtype)], axis=-1)
    out = x.reshape(-1, piece).dot(np.triu(np.ones((piece, piece), x.dtype))).reshape(*x.shape[:-1], -1, piece)
    out[..., 1:, :] += np.add.accumulate(out[..., :-1, -1], axis=-1)[..., None]
    return np.ascontiguousarray(out.reshape(x.shape)[..., :n])


def _doubling(ufunc: Any, x: Array, axis: int) -> Array:
    """The same for CuPy, which accumulates only sums and products: the stride doubles in each pass."""
    out, step = x.copy(), 1
    while step < x.shape[axis]:
        later: Any = (slice(None),) * axis + (slice(step, None),)
        earlier: Any = (slice(None),) * axis + (slice(None, -step),)
        out[later] = ufunc(out[later], out[earlier])
        step *= 2
    return out


@kernel
def running(name: str, x: Array, axis: int, reverse: bool) -> Array:
    """`accumulate` of sums or products, where integers run in int64, half precision in single."""
    result = x.dtype if x.dtype.kind in "fc" else np.dtype(np.int64)
    back = (*(slice(None),) * axis, slice(None, None, -1))
    x = (x[back] if reverse else x).astype(np.float32 if result == np.float16 else result, copy=False)
    out = accumulate(name, x, axis).astype(result, copy=False)
    return out[back] if reverse else out


@kernel
def place_so_far(name: str, x: Array, axis: int) -> Array:
    """Where the largest (name="maximum") or smallest element so far stands, the last of equal ones; nan is both."""
    places = namespace_of(x).arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    here = (x == accumulate(name, x, axis)) | (x != x)
    return accumulate("maximum", places * here, axis)


@kernel
def recurrence(a: Array, b: Array, axis: int, reverse: bool) -> Array:
    """`h[t] = a[t] h[t-1] + b[t]` along `axis`, from 0 before the first (`reverse`: from the end backwards)."""
    n = b.shape[axis]
    if type(b) is np.ndarray and b.size >= 64 * n:
        a, b = (np.ascontiguousarray(np.moveaxis(v, axis, 0)) for v in (a, b))
        h = b.copy()
        term = np.empty_like(h[0]) if n else None
        for t in range(n - 1)[::-1] if reverse else range(1, n):
            h[t] += np.multiply(a[t], h[t + 1 if reverse else t - 1], out=term)
        return np.ascontiguousarray(np.moveaxis(h, 0, axis))
    # Two consecutive steps form one step of the same kind, so the stride doubles: log2(n) passes over
    # whole arrays instead of a loop over n.
    a, h = a.copy(), b.copy()
    step = 1
    while step < n:
        later: Any = (slice(None),) * axis + (slice(step, None),)
        earlier: Any = (slice(None),) * axis + (slice(None, -step),)
        if reverse:
            later, earlier = earlier, later
        h[later] = h[later] + a[later] * h[earlier]
        a[later] = a[later] * a[earlier]
        step *= 2
    return h
