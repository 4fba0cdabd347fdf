"""Sums, means and products over some or all dims."""

from __future__ import annotations

import builtins
from typing import Any

from tinygrad_lite.arrays import add_up, as_dtype, float32, in_order, int64, sum_to_shape
from tinygrad_lite.arrays.errors import BadType, Refusal
from tinygrad_lite.arrays.kernels.logsumexp import logsumexp_of
from tinygrad_lite.arrays.shapes import count, with_ones
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import canonical_dim, canonical_dims, canonical_shape, operation
from tinygrad_lite.ops.calculus import exp, restored, to_dtype
from tinygrad_lite.ops.calculus import sum as _sum
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.reduction.cumulative import in_dtype, product_of_others
from tinygrad_lite.ops.typing import Tensor

__all__ = ["count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "sum"]

Dims = int | tuple[int, ...] | None


# -- dims ---------------------------------------------------------------------------------------


def axes_of(dim: Dims, ndim: int) -> Any:
    """`dim` in NumPy's form: None for all (also for a 0-d tensor), an int, or a tuple."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim if dim >= 0 else dim + ndim
    return None if dim is None else canonical_dims(dim, ndim) or None


# -- sums and products --------------------------------------------------------------------------


@operation
def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an int, several, or None for all). Integers and bools are summed in int64.

    >>> import tinygrad_lite as tg
    >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    return in_dtype(dtype, _sum, input, axes_of(dim, input.ndim), keepdim)


@operation
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dims that broadcasting from `size` to this tensor's shape would repeat.

    >>> import tinygrad_lite as tg
    >>> tg.ones(3, 2).sum_to_size(1, 2)
    tensor([[3., 3.]])
    """
    size = canonical_shape(size)
    shape = input.shape[builtins.max(input.ndim - len(size), 0) :]
    if len(size) > input.ndim or builtins.any(n not in (1, m) for n, m in zip(size, shape)):
        raise Refusal(f"{size} cannot be broadcast to this tensor's shape {tuple(input.shape)}")
    if not size:
        return sum(input)
    return input if size == tuple(input.shape) else sum_to_shape(input, size)


@operation
def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an int, several, or None for all), with nan as 0.

    >>> import tinygrad_lite as tg
    >>> tg.nansum(tg.tensor([1.0, float("nan")]))
    tensor(1.)
    """
    return sum(where(input != input, 0, input) if input.dtype.kind == "f" else input, dim, keepdim, dtype=dtype)


@operation
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """The number of nonzero elements over `dim` (an int, several, or None for all).

    >>> import tinygrad_lite as tg
    >>> tg.count_nonzero(tg.tensor([[0, 1], [2, 3]]), dim=0)
    tensor([1, 2])
    """
    return sum(input != 0, dim)


@primitive
def _mean(input, axes, keepdim):
    n = count(input.shape, axes)
    if input.itemsize > 2:
        return add_up(input, axes, keepdim) / n
    return (add_up(input.astype(float32), axes, keepdim) / n).astype(input.dtype)


# A primitive, because most losses end in a mean: sum and division cost 1.5 times as much.
_mean.vjp(input=lambda g, input_shape, axes: restored(g * (1 / (count(input_shape, axes) or 1)), input_shape, axes))


@operation
def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` (an int, several, or None for all) of a floating-point tensor; integers need a floating-point
    `dtype`.

    >>> import tinygrad_lite as tg
    >>> tg.mean(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1, keepdim=True)
    tensor([[1.5000],
            [3.5000]])
    """
    if dtype is not None:
        input = to_dtype(input, as_dtype(dtype))
    require_float(input)
    return _mean(input, axes_of(dim, input.ndim), keepdim)


@operation
def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` (an int, several, or None for all), ignoring nan.

    >>> import tinygrad_lite as tg
    >>> tg.nanmean(tg.tensor([1.0, float("nan"), 3.0]))
    tensor(2.)
    """
    require_float(input)
    if dtype is not None and as_dtype(dtype).kind != "f":
        raise BadType(argument="dtype", expected="a floating-point dtype", got=as_dtype(dtype))
    numbers = sum(input == input, dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / numbers


def require_float(x: Any) -> None:
    if x.dtype.kind not in "fc":
        raise BadType(expected="a floating-point tensor", got=x.dtype)


@primitive
def _prod(input, axis, keepdim):
    return in_order(input.prod(axis=axis, keepdims=keepdim, dtype=input.dtype if input.dtype.kind in "fc" else int64))


_prod.vjp(input=lambda g, input, axis: restored(g, input.shape, axis) * product_of_others(input, axis))


@operation
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product over `dim` (None for all). Integers and bools are multiplied in int64.

    Gradients, including second ones, are correct where factors are zero.

    >>> import tinygrad_lite as tg
    >>> tg.prod(tg.tensor([2, 3, 4]))
    tensor(24)
    """
    axis = None if dim is None else canonical_dim(dim, input.ndim)
    return in_dtype(dtype, _prod, input, axis if input.ndim else None, keepdim)


# -- sums of exponentials -----------------------------------------------------------------------


@primitive
def _logsumexp(input, axes, keepdim):
    return logsumexp_of(input, axes, keepdim)


_logsumexp.vjp(input=lambda g, input, out, axes: restored(g, input.shape, axes) * exp(input - out.reshape(with_ones(input.shape, axes))))


@operation
def logsumexp(input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """`log(sum(exp(input)))` over `dim` (an int or several), without overflow.

    >>> import tinygrad_lite as tg
    >>> tg.logsumexp(tg.tensor([1000.0, 0.0]), dim=0)
    tensor(1000.)
    """
    if dim is None:
        raise BadType(argument="dim", expected="an int or a tuple of ints", got="None")
    return _logsumexp(input, axes_of(dim, input.ndim), keepdim)
