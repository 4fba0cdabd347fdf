"""Maxima and minima over some or all dims; any and all."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import in_order, is_array, uint8
from tinygrad_lite.arrays.errors import BadType
from tinygrad_lite.arrays.shapes import require_some
from tinygrad_lite.ops.arguments import canonical_dim, integer, operation, raw
from tinygrad_lite.ops.calculus import amax as _amax
from tinygrad_lite.ops.calculus import amin as _amin
from tinygrad_lite.ops.calculus import maximum, minimum
from tinygrad_lite.ops.nondifferentiable import nondifferentiable
from tinygrad_lite.ops.reduction.sums import Dims, axes_of
from tinygrad_lite.ops.reduction.values_indices import ValuesIndices, values_and_indices
from tinygrad_lite.ops.typing import Tensor

__all__ = ["all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "max", "min"]


# The smallest and the largest.
MinMax = namedtuple("MinMax", ["min", "max"])


def _some_axes(x: Any, dim: Any) -> Any:
    axes = axes_of(dim, x.ndim)
    return tuple(range(x.ndim)) if axes is None else axes  # None is for max() and min()


@operation
def amax(input: Tensor, dim: int | tuple[int, ...] = (), keepdim: bool = False) -> Tensor:
    """The maximum over `dim` (an int, several, or () for all). Ties share the gradient evenly.

    >>> import tinygrad_lite as tg
    >>> tg.amax(tg.tensor([[1.0, 2.0], [3.0, 0.0]]), dim=1)
    tensor([2., 3.])
    """
    return _amax(input, _some_axes(input, dim), keepdim)


@operation
def amin(input: Tensor, dim: int | tuple[int, ...] = (), keepdim: bool = False) -> Tensor:
    """The minimum over `dim` (an int, several, or () for all). Ties share the gradient evenly.

    >>> import tinygrad_lite as tg
    >>> tg.amin(tg.tensor([[1.0, 2.0], [3.0, 0.0]]), dim=1)
    tensor([1., 0.])
    """
    return _amin(input, _some_axes(input, dim), keepdim)


@operation
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """The minimum and the maximum over `dim` (None for all), as `(min, max)`.

    >>> import tinygrad_lite as tg
    >>> aminmax(tg.tensor([1, 5, 3]))
    MinMax(min=tensor(1), max=tensor(5))
    """
    over = () if dim is None else integer("dim", dim)
    return MinMax(amin(input, over, keepdim), amax(input, over, keepdim))


@nondifferentiable
def _argmax(input, axis, keepdim):
    if not input.size:
        require_some(input, axis)
    return input.argmax(axis=axis, keepdims=keepdim)


@nondifferentiable
def _argmin(input, axis, keepdim):
    if not input.size:
        require_some(input, axis)
    return input.argmin(axis=axis, keepdims=keepdim)


def _arg_checked(function: Any, x: Any, dim: Any, keepdim: bool) -> Any:
    if x.dtype.kind == "b":
        raise BadType(expected="numbers", got="a bool tensor")
    axis = None if dim is None else canonical_dim(dim, x.ndim)
    return function(x, axis if x.ndim else None, keepdim)


@operation
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element along `dim` (None: in the flattened tensor); the first of ties.

    >>> import tinygrad_lite as tg
    >>> tg.argmax(tg.tensor([[1.0, 5.0, 5.0], [2.0, 0.0, 1.0]]), dim=1)
    tensor([1, 0])
    """
    return _arg_checked(_argmax, input, dim, keepdim)


@operation
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element along `dim` (None: in the flattened tensor); the first of ties.

    >>> import tinygrad_lite as tg
    >>> tg.argmin(tg.tensor([[3.0, 1.0, 1.0], [2.0, 0.0, 1.0]]), dim=1)
    tensor([1, 1])
    """
    return _arg_checked(_argmin, input, dim, keepdim)


def _extreme(name: str, x: Any, dim: Any, keepdim: bool, other: Any) -> Any:
    """All forms of max and min except that over all elements."""
    if other is not None or is_array(raw(dim)):
        return (maximum if name == "max" else minimum)(x, dim if other is None else other)
    if dim is None:
        raise BadType("keepdim asks for a dim")
    axis = canonical_dim(dim, x.ndim)
    place = _argmax if name == "max" else _argmin
    if not x.ndim:
        return ValuesIndices(_amax(x, (), False), place(x, None, False))
    return values_and_indices(x, place(x, axis, keepdim), axis, keepdim)


@operation
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Three forms: the largest element of all; along `dim`, a pair `(values, indices)`, with the first of ties; or the
    elementwise maximum of two tensors (`maximum`).

    Over all, ties share the gradient evenly; along a dim it goes to the element at the returned index.

    >>> import tinygrad_lite as tg
    >>> tg.max(tg.tensor([[1.0, 5.0, 5.0], [2.0, 0.0, 1.0]]), dim=1)
    ValuesIndices(values=tensor([5., 2.]), indices=tensor([1, 0]))
    """
    if dim is None and other is None and not keepdim:
        return _amax(input, None, False)
    return _extreme("max", input, dim, keepdim, other)


@operation
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Like `max`, for the smallest element.

    >>> import tinygrad_lite as tg
    >>> tg.min(tg.tensor([[3.0, 1.0], [2.0, 5.0]]), dim=1)
    ValuesIndices(values=tensor([1., 2.]), indices=tensor([1, 0]))
    """
    if dim is None and other is None and not keepdim:
        return _amin(input, None, False)
    return _extreme("min", input, dim, keepdim, other)


@nondifferentiable
def _any(input, axes, keepdim):
    return _truth(input.any(axis=axes, keepdims=keepdim), input)


@nondifferentiable
def _all(input, axes, keepdim):
    return _truth(input.all(axis=axes, keepdims=keepdim), input)


def _truth(out: Any, x: Any) -> Any:
    return in_order(out.astype(x.dtype) if x.dtype == uint8 else out)  # PyTorch's only exception


@operation
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element over `dim` (an int, several, or None for all) is nonzero.

    >>> import tinygrad_lite as tg
    >>> tg.any(tg.tensor([[0, 1], [0, 0]]), dim=1)
    tensor([ True, False])
    """
    return _any(input, () if dim == () else axes_of(dim, input.ndim), keepdim)


@operation
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether all elements over `dim` (an int, several, or None for all) are nonzero.

    >>> import tinygrad_lite as tg
    >>> tg.all(tg.tensor([[1, 1], [0, 1]]), dim=1)
    tensor([ True, False])
    """
    return _all(input, () if dim == () else axes_of(dim, input.ndim), keepdim)
