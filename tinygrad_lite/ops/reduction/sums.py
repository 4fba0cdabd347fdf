"""Sums, means and products over some or all dims."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from tinygrad_lite.arrays import add_up, as_dtype, in_order, sum_to_shape
from tinygrad_lite.arrays.kernels.logsumexp import logsumexp_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import count, exp, kept, restored, to_dtype
from tinygrad_lite.ops.calculus import sum as _sum
from tinygrad_lite.ops.calling import canonical_dim, canonical_dims, canonical_shape, operation
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.reduction.cumulative import in_dtype, product_of_others
from tinygrad_lite.ops.typing import Tensor

__all__ = ["count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "sum"]

Dims = int | tuple[int, ...] | None


# -- dims ---------------------------------------------------------------------------------------


def axes_of(name: str, dim: Dims, ndim: int) -> Any:
    """`dim` as the arrays take it: None for all (also for a 0-d tensor), an int, or a tuple."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim if dim >= 0 else dim + ndim
    return None if dim is None else canonical_dims(name, dim, ndim) or None


# -- sums and products --------------------------------------------------------------------------


@operation
def sum(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an int, several, or None for all). Integers and bools add up in int64.

    >>> import tinygrad_lite as tg
    >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    return in_dtype(dtype, _sum, x, axes_of("sum", dim, x.ndim), keepdim)


@operation
def sum_to_size(x: Tensor, *size: Any) -> Tensor:
    """Summed over the dims that broadcasting a tensor of shape `size` to this one's would repeat.

    >>> import tinygrad_lite as tg
    >>> tg.ones(3, 2).sum_to_size(1, 2)
    tensor([[3., 3.]])
    """
    size = canonical_shape("sum_to_size", size)
    shape = x.shape[builtins.max(x.ndim - len(size), 0) :]
    if len(size) > x.ndim or builtins.any(n not in (1, m) for n, m in zip(size, shape)):
        raise RuntimeError(f"sum_to_size: {size} cannot be broadcast to this tensor's shape {tuple(x.shape)}")
    if not size:
        return sum(x)
    return x if size == tuple(x.shape) else sum_to_shape(x, size)


@operation
def nansum(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an int, several, or None for all), with nan taken for 0.

    >>> import tinygrad_lite as tg
    >>> tg.nansum(tg.tensor([1.0, float("nan")]))
    tensor(1.)
    """
    return sum(where(x != x, 0, x) if x.dtype.kind == "f" else x, dim, keepdim, dtype=dtype)


@operation
def count_nonzero(x: Tensor, dim: Dims = None) -> Tensor:
    """How many elements over `dim` (an int, several, or None for all) are not zero.

    >>> import tinygrad_lite as tg
    >>> tg.count_nonzero(tg.tensor([[0, 1], [2, 3]]), dim=0)
    tensor([1, 2])
    """
    return sum(x != 0, dim)


@primitive
def _mean(x, axes, keepdim):
    n = count(x.shape, axes)
    if x.itemsize > 2:
        return add_up(x, axes, keepdim) / n
    return (add_up(x.astype(np.float32), axes, keepdim) / n).astype(x.dtype)


# A primitive, for the mean is most programs' last step: as sum and division it cost half as much again.
_mean.vjp(x=lambda g, x_shape, axes: restored(g * (1 / (count(x_shape, axes) or 1)), x_shape, axes))


@operation
def mean(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` (an int, several, or None for all) of a floating-point tensor; of
    integers only with a floating-point `dtype`.

    >>> import tinygrad_lite as tg
    >>> tg.mean(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1, keepdim=True)
    tensor([[1.5000],
            [3.5000]])
    """
    if dtype is not None:
        x = to_dtype(x, as_dtype(dtype))
    require_float("mean", x)
    return _mean(x, axes_of("mean", dim, x.ndim), keepdim)


@operation
def nanmean(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` (an int, several, or None for all) of the elements that are not nan.

    >>> import tinygrad_lite as tg
    >>> tg.nanmean(tg.tensor([1.0, float("nan"), 3.0]))
    tensor(2.)
    """
    require_float("nanmean", x)
    if dtype is not None and as_dtype(dtype).kind != "f":
        raise TypeError(f"nanmean: expected a floating-point dtype, got {as_dtype(dtype)}")
    numbers = sum(x == x, dim, keepdim)
    return nansum(x, dim, keepdim, dtype=dtype) / numbers


def require_float(name: str, x: Any) -> None:
    if x.dtype.kind not in "fc":
        raise TypeError(f"{name}: expected a floating-point tensor, got {x.dtype}")


@primitive
def _prod(x, axis, keepdim):
    return in_order(x.prod(axis=axis, keepdims=keepdim, dtype=x.dtype if x.dtype.kind in "fc" else np.int64))


_prod.vjp(x=lambda g, x, axis: restored(g, x.shape, axis) * product_of_others(x, axis))


@operation
def prod(x: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product over `dim` (None for all). Integers and bools multiply in int64.

    The gradient is right where factors are zero, also the second one.

    >>> import tinygrad_lite as tg
    >>> tg.prod(tg.tensor([2, 3, 4]))
    tensor(24)
    """
    axis = None if dim is None else canonical_dim("prod", dim, x.ndim)
    return in_dtype(dtype, _prod, x, axis if x.ndim else None, keepdim)


# -- sums of exponentials -----------------------------------------------------------------------


@primitive
def _logsumexp(x, axes, keepdim):
    return logsumexp_of(x, axes, keepdim)


_logsumexp.vjp(x=lambda g, x, out, axes: restored(g, x.shape, axes) * exp(x - out.reshape(kept(x.shape, axes))))


@operation
def logsumexp(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over `dim` (an int or several), without overflow.

    >>> import tinygrad_lite as tg
    >>> tg.logsumexp(tg.tensor([1000.0, 0.0]), dim=0)
    tensor(1000.)
    """
    if dim is None:
        raise TypeError("logsumexp: expected an int or a tuple of ints for dim, got None")
    return _logsumexp(x, axes_of("logsumexp", dim, x.ndim), keepdim)
