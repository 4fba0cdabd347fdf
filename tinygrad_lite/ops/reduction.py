"""Reductions over some or all dims: sums, products, extremes, and what is true of any or all."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays import add_up, as_array, as_dtype, as_float, extreme, in_order, is_array, namespace_of, sum_to_shape
from tinygrad_lite.engine.primitive import nondifferentiable, primitive
from tinygrad_lite.ops.calling import canonical_dim, canonical_dims, canonical_shape, integer, operation, raw
from tinygrad_lite.ops.choosing import ValuesIndices, picked
from tinygrad_lite.ops.comparison import where
from tinygrad_lite.ops.cumulative import in_dtype, product_of_others
from tinygrad_lite.ops.elementary import exp
from tinygrad_lite.ops.piecewise import maximum, minimum
from tinygrad_lite.ops.shape import _expand, reshape, to_dtype

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "logsumexp", "max", "mean", "min", "nanmean",
    "nansum", "prod", "sum",
]  # fmt: skip

METHODS = [*__all__, "sum_to_size"]
IN_PLACE: list[str] = []

Dims = int | tuple[int, ...] | None


class MinMax(NamedTuple):
    """The smallest and the largest."""

    min: Any
    max: Any


# -- dims ---------------------------------------------------------------------------------------


def axes_of(name: str, dim: Dims, ndim: int) -> Any:
    """`dim` as the arrays take it: None for all (also for a 0-d tensor), an int, or a tuple."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim if dim >= 0 else dim + ndim
    return None if dim is None else canonical_dims(name, dim, ndim) or None


def kept(shape: tuple[int, ...], axes: Any) -> tuple[int, ...]:
    """`shape` with size 1 in the reduced dims."""
    if type(axes) is int:
        return (*shape[:axes], 1, *shape[axes + 1 :])
    return tuple(1 if axes is None or i in axes else n for i, n in enumerate(shape))


def count(shape: tuple[int, ...], axes: Any) -> int:
    """How many elements a reduction over `axes` makes one of."""
    if type(axes) is int:
        return shape[axes]
    return math.prod(shape if axes is None else [shape[i] for i in axes])


def restored(g: Any, shape: tuple[int, ...], axes: Any) -> Any:
    """A reduction's gradient (or result) repeated over the dims it was reduced over."""
    return _expand(g if axes is None and not g.shape else reshape(g, kept(shape, axes)), shape)


# -- sums and products --------------------------------------------------------------------------


@primitive
def _sum(x, axes, keepdim):
    # Integers add up in int64, as in PyTorch; uint8 would stay unsigned in NumPy. Half precision
    # is added up in single.
    kind = x.dtype.kind
    if kind == "f":
        return add_up(x, axes, keepdim) if x.itemsize > 2 else add_up(x.astype(np.float32), axes, keepdim).astype(x.dtype)
    return in_order(x.sum(axis=axes, keepdims=keepdim, dtype=x.dtype if kind == "c" else np.int64))


_sum.vjp(x=lambda g, x_shape, axes: restored(g, x_shape, axes))


@operation
def sum(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an int, several, or None for all). Integers and bools add up in int64.

    >>> import tinygrad_lite as tg
    >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    return in_dtype(dtype, _sum, x, axes_of("sum", dim, x.ndim), keepdim)


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


# -- extremes -----------------------------------------------------------------------------------


def require_some(x: Any, axes: Any) -> None:
    """A reduction that has no value for nothing refuses it."""
    if not count(x.shape, axes):
        raise IndexError(f"nothing to choose from: size 0 over {'all dims' if axes is None else f'dim {axes}'}")


@primitive
def _amax(x, axes, keepdim):
    if not x.size:
        require_some(x, axes)
    return extreme("maximum", x, axes, keepdim)


@primitive
def _amin(x, axes, keepdim):
    if not x.size:
        require_some(x, axes)
    return extreme("minimum", x, axes, keepdim)


def _some_axes(name: str, x: Any, dim: Any) -> Any:
    axes = axes_of(name, dim, x.ndim)
    return tuple(range(x.ndim)) if axes is None else axes  # None is for max() and min()


def shared_evenly(g: Any, x: Any, out: Any, axes: Any) -> Any:
    """An extreme's gradient, in equal parts to the elements that attain it."""
    shape = kept(x.shape, axes)
    out = reshape(out, shape)
    attained = x == out
    if axes is None:  # max(): where the result is nan, the elements that are nan; amax(): nan to all
        attained = attained | ((x != x) & (out != out))
    attained = to_dtype(attained, g.dtype)
    return (reshape(g, shape) / _sum(attained, axes, True)) * attained


_amax.vjp(x=lambda g, x, out, axes: shared_evenly(g, x, out, axes))
_amin.vjp(x=lambda g, x, out, axes: shared_evenly(g, x, out, axes))


@operation
def amax(x: Tensor, dim: int | tuple[int, ...] = (), keepdim: bool = False) -> Tensor:
    """The largest element over `dim` (an int, several, or () for all). Ties share the gradient evenly.

    >>> import tinygrad_lite as tg
    >>> tg.amax(tg.tensor([[1.0, 2.0], [3.0, 0.0]]), dim=1)
    tensor([2., 3.])
    """
    return _amax(x, _some_axes("amax", x, dim), keepdim)


@operation
def amin(x: Tensor, dim: int | tuple[int, ...] = (), keepdim: bool = False) -> Tensor:
    """The smallest element over `dim` (an int, several, or () for all). Ties share the gradient evenly.

    >>> import tinygrad_lite as tg
    >>> tg.amin(tg.tensor([[1.0, 2.0], [3.0, 0.0]]), dim=1)
    tensor([1., 0.])
    """
    return _amin(x, _some_axes("amin", x, dim), keepdim)


@operation
def aminmax(x: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """The smallest and the largest element over `dim` (None for all), as `(min, max)`.

    >>> import tinygrad_lite as tg
    >>> aminmax(tg.tensor([1, 5, 3]))
    MinMax(min=tensor(1), max=tensor(5))
    """
    over = () if dim is None else integer("aminmax", "dim", dim)
    return MinMax(amin(x, over, keepdim), amax(x, over, keepdim))


@nondifferentiable
def _argmax(x, axis, keepdim):
    if not x.size:
        require_some(x, axis)
    return x.argmax(axis=axis, keepdims=keepdim)


@nondifferentiable
def _argmin(x, axis, keepdim):
    if not x.size:
        require_some(x, axis)
    return x.argmin(axis=axis, keepdims=keepdim)


def _arg_checked(name: str, function: Any, x: Any, dim: Any, keepdim: bool) -> Any:
    if x.dtype.kind == "b":
        raise TypeError(f"{name}: expected numbers, got a bool tensor")
    axis = None if dim is None else canonical_dim(name, dim, x.ndim)
    return function(x, axis if x.ndim else None, keepdim)


@operation
def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the largest element stands along `dim` (None: in the flattened tensor); the first of several.

    >>> import tinygrad_lite as tg
    >>> tg.argmax(tg.tensor([[1.0, 5.0, 5.0], [2.0, 0.0, 1.0]]), dim=1)
    tensor([1, 0])
    """
    return _arg_checked("argmax", _argmax, x, dim, keepdim)


@operation
def argmin(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the smallest element stands along `dim` (None: in the flattened tensor); the first of several.

    >>> import tinygrad_lite as tg
    >>> tg.argmin(tg.tensor([[3.0, 1.0, 1.0], [2.0, 0.0, 1.0]]), dim=1)
    tensor([1, 1])
    """
    return _arg_checked("argmin", _argmin, x, dim, keepdim)


def _extreme(name: str, x: Any, dim: Any, keepdim: bool, other: Any) -> Any:
    """The forms of max and min but the first."""
    if other is not None or is_array(raw(dim)):
        return (maximum if name == "max" else minimum)(x, dim if other is None else other)
    if dim is None:
        raise TypeError(f"{name}: keepdim asks for a dim")
    axis = canonical_dim(name, dim, x.ndim)
    place = _argmax if name == "max" else _argmin
    if not x.ndim:
        return ValuesIndices(_amax(x, (), False), place(x, None, False))
    return picked(x, place(x, axis, keepdim), axis, keepdim)


@operation
def max(x: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Three forms: the largest element of all; along `dim`, a pair `(values, indices)`, of ties the
    first; or, of two tensors, the larger of each pair (`maximum`).

    Of all, ties share the gradient evenly; along a dim it goes to the element at the index returned.

    >>> import tinygrad_lite as tg
    >>> tg.max(tg.tensor([[1.0, 5.0, 5.0], [2.0, 0.0, 1.0]]), dim=1)
    ValuesIndices(values=tensor([5., 2.]), indices=tensor([1, 0]))
    """
    if dim is None and other is None and not keepdim:
        return _amax(x, None, False)
    return _extreme("max", x, dim, keepdim, other)


@operation
def min(x: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """As `max`, for the smallest.

    >>> import tinygrad_lite as tg
    >>> tg.min(tg.tensor([[3.0, 1.0], [2.0, 5.0]]), dim=1)
    ValuesIndices(values=tensor([1., 2.]), indices=tensor([1, 0]))
    """
    if dim is None and other is None and not keepdim:
        return _amin(x, None, False)
    return _extreme("min", x, dim, keepdim, other)


# -- what is true of any or all -----------------------------------------------------------------


@nondifferentiable
def _any(x, axes, keepdim):
    return _truth(x.any(axis=axes, keepdims=keepdim), x)


@nondifferentiable
def _all(x, axes, keepdim):
    return _truth(x.all(axis=axes, keepdims=keepdim), x)


def _truth(out: Any, x: Any) -> Any:
    return in_order(out.astype(x.dtype) if x.dtype == np.uint8 else out)  # PyTorch's one exception


@operation
def any(x: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element over `dim` (an int, several, or None for all) is not zero.

    >>> import tinygrad_lite as tg
    >>> tg.any(tg.tensor([[0, 1], [0, 0]]), dim=1)
    tensor([ True, False])
    """
    return _any(x, () if dim == () else axes_of("any", dim, x.ndim), keepdim)


@operation
def all(x: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether no element over `dim` (an int, several, or None for all) is zero.

    >>> import tinygrad_lite as tg
    >>> tg.all(tg.tensor([[1, 1], [0, 1]]), dim=1)
    tensor([ True, False])
    """
    return _all(x, () if dim == () else axes_of("all", dim, x.ndim), keepdim)


# -- sums of exponentials -----------------------------------------------------------------------


@primitive
def _logsumexp(x, axes, keepdim):
    xp = namespace_of(x)
    x = as_float(x)
    if not x.size:
        return xp.log(x.sum(axis=axes, keepdims=keepdim))
    top = extreme("maximum", x, axes, True)
    top = xp.where(xp.isfinite(top), top, top.dtype.type(0))
    out = as_array(x - top)
    out = xp.log(add_up(xp.exp(out, out=out), axes, True)) + top
    return out if keepdim else out.squeeze(axis=axes)


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
