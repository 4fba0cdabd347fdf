"""Memory layout: copies in another order or dtype, and expansion without a copy."""

from __future__ import annotations

import numpy as np

from tinygrad_lite.arrays.devices import Array, namespace_of
from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.memory import contiguous, in_order, order_kept, strided


def expanded(x: Array, shape: tuple[int, ...]) -> Array:
    """A view of `x` with `shape`, repeated along dims of size 1."""
    new = len(shape) - x.ndim
    if new < 0 or any(n != m and n != 1 for n, m in zip(x.shape, shape[new:])):
        raise Refusal(f"a tensor of shape {x.shape} cannot be repeated to the shape {shape}", got=x.shape)
    if not isinstance(x, np.ndarray):
        return namespace_of(x).broadcast_to(x, shape)
    # np.broadcast_to takes four times as long, and its result cannot be written to.
    return strided(x, shape, (0,) * new + tuple(s if n == m else 0 for n, m, s in zip(x.shape, shape[new:], x.strides)))


def copied(x: Array, dtype: np.dtype, order: str) -> Array:
    """A copy of `x` in `dtype`; `order`: "K" as it is, "C" for C-contiguous, or "channels last"."""
    if order == "channels last":
        xp = namespace_of(x)
        return xp.moveaxis(xp.moveaxis(x, 1, -1).astype(dtype, "C"), -1, 1)
    if order == "K":
        return x.astype(dtype, order_kept(x))
    return contiguous(x) if x.dtype == dtype else x.astype(dtype, order)


@kernel
def joined(arrays: tuple[Array, ...], dim: int) -> Array:
    """`arrays` one after the other along `dim`."""
    out = namespace_of(arrays[0]).concatenate(arrays, axis=dim)
    return out if out.flags.c_contiguous or all(map(channels_come_last, arrays)) else in_order(out)


@kernel
def stacked(arrays: tuple[Array, ...], dim: int) -> Array:
    """`arrays` of one shape along a new dim."""
    return in_order(namespace_of(arrays[0]).stack(arrays, axis=dim))


def channels_come_last(x: Array) -> bool:
    """Whether `x` is in channels-last order: dim 1 is last in memory."""
    return x.ndim in (4, 5) and not x.flags.c_contiguous and namespace_of(x).moveaxis(x, 1, -1).flags.c_contiguous
