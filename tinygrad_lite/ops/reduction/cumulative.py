"""Cumulative sums, products and extremes along a dim."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import accumulate, as_dtype, recurrence
from tinygrad_lite.arrays.errors import BadType
from tinygrad_lite.arrays.kernels.sorting import place_so_far, running
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import canonical_dim, operation
from tinygrad_lite.ops.calculus import exp, to_dtype
from tinygrad_lite.ops.creation.factories import zeros_like
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.joining import cat
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.nondifferentiable import nondifferentiable
from tinygrad_lite.ops.reduction.values_indices import ValuesIndices, values_at
from tinygrad_lite.ops.typing import Tensor

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"]


# -- building blocks ---------------------------------------------------------------------------


def part(axis: int, start: int | None, stop: int | None) -> tuple[Any, ...]:
    """The index of a slice of one axis."""
    return (*(slice(None),) * axis, slice(start, stop), Ellipsis)


@primitive
def _recurrence(a, b, axis, reverse):
    return recurrence(a, b, axis, reverse)


def _carried_back(g: Any, a: Any, axis: int, reverse: bool) -> Any:
    """The gradient with respect to b: the recurrence in reverse, with the factors shifted by one."""
    return _recurrence(_previous(a, axis, not reverse), g, axis, not reverse)


def _previous(x: Any, axis: int, reverse: bool, first: float = 0) -> Any:
    """The previous element at each position, in the order of the recurrence; `first` is the first one."""
    entering = zeros_like(x[part(axis, None, 1)]) + first
    if reverse:
        return cat((x[part(axis, 1, None)], entering), axis)
    return cat((entering, x[part(axis, None, -1)]), axis)


_recurrence.vjp(a=lambda g, a, out, axis, reverse: _carried_back(g, a, axis, reverse) * _previous(out, axis, reverse),
                b=lambda g, a, axis, reverse: _carried_back(g, a, axis, reverse))  # fmt: skip


# -- extremes -----------------------------------------------------------------------------------


@nondifferentiable
def _place_so_far(input, axis, name):
    return place_so_far(name, input, axis)


def _extreme_so_far(name: str, x: Any, dim: int) -> ValuesIndices:
    indices = _along_dim(_place_so_far, x, dim, "maximum" if name == "cummax" else "minimum")
    return ValuesIndices(values_at(x, indices, canonical_dim(dim, x.ndim)), indices)


@operation
def cummax(input: Tensor, dim: int) -> ValuesIndices:
    """The largest element so far along `dim`, and its index (the last of ties).

    >>> import tinygrad_lite as tg
    >>> tg.cummax(tg.tensor([1.0, 3.0, 2.0]), dim=0)
    ValuesIndices(values=tensor([1., 3., 3.]), indices=tensor([0, 1, 1]))
    """
    return _extreme_so_far("cummax", input, dim)


@operation
def cummin(input: Tensor, dim: int) -> ValuesIndices:
    """The smallest element so far along `dim`, and its index (the last of ties).

    >>> import tinygrad_lite as tg
    >>> tg.cummin(tg.tensor([3, 1, 2]), dim=0)
    ValuesIndices(values=tensor([3, 1, 1]), indices=tensor([0, 1, 1]))
    """
    return _extreme_so_far("cummin", input, dim)


# -- sums and products --------------------------------------------------------------------------


@primitive
def _cumsum(input, axis, reverse):
    return running("add", input, axis, reverse)


_cumsum.vjp(input=lambda g, axis, reverse: _cumsum(g, axis, not reverse))


@primitive
def _cumprod(input, axis, reverse):
    return running("multiply", input, axis, reverse)


# out[t] = x[t] out[t-1]: no division, so zeros do no harm.
_cumprod.vjp(input=lambda g, input, out, axis, reverse: _carried_back(g, input, axis, reverse) * _previous(out, axis, reverse, 1))


@operation
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The cumulative sum along `dim`. Integers and bools are summed in int64.

    >>> import tinygrad_lite as tg
    >>> tg.cumsum(tg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """
    return _along_dim(_cumsum, input, dim, False, dtype=dtype)


@operation
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The cumulative product along `dim`. Integers and bools are multiplied in int64. Gradients, including second ones, are
    correct where factors are zero.

    >>> import tinygrad_lite as tg
    >>> tg.cumprod(tg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """
    return _along_dim(_cumprod, input, dim, False, dtype=dtype)


def _along_dim(function: Any, x: Any, dim: int, *more: Any, dtype: Any = None) -> Any:
    axis = canonical_dim(dim, x.ndim)
    if dtype is not None and as_dtype(dtype).kind == "b":
        raise BadType(argument="dtype", expected="a dtype of numbers", got="bool")
    if x.ndim:
        return in_dtype(dtype, function, x, axis, *more)
    return reshape(in_dtype(dtype, function, reshape(x, (1,)), 0, *more), ())


def in_dtype(dtype: Any, function: Any, x: Any, *args: Any) -> Any:
    """`function(x, ...)` computed in `dtype`, or in its default if that is None."""
    if dtype is None:
        return function(x, *args)
    dtype = as_dtype(dtype)
    out = function(to_dtype(x, dtype), *args)
    return out if out.dtype == dtype else to_dtype(out, dtype)


def product_of_others(x: Any, axis: int | None) -> Any:
    """For each element the product of all others along `axis` (None: of the whole tensor), from cumulative products in both
    directions."""
    if axis is None:
        return reshape(product_of_others(reshape(x, (-1,)), 0), x.shape)
    return _previous(_cumprod(x, axis, False), axis, False, 1) * _previous(_cumprod(x, axis, True), axis, True, 1)


@primitive
def _logcumsumexp(input, axis):
    return accumulate("logaddexp", input, axis)


def _logcumsumexp_rule(g: Any, input: Any, out: Any, axis: int) -> Any:
    """input[i] has the share exp(input[i] - out[j]) in each later out[j]. The sum of g[j] exp(out[i] - out[j]) over j >= i
    is a recurrence in reverse, with factors exp(out[i] - out[i + 1]) of at most 1."""
    factors = where(out == -math.inf, 0.0, exp(out - _previous(out, axis, True, math.inf)))
    return _recurrence(factors, g, axis, True) * exp(input - out)


_logcumsumexp.vjp(input=_logcumsumexp_rule)


@operation
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """`log(cumsum(exp(input)))` along `dim`, without overflow.

    >>> import tinygrad_lite as tg
    >>> tg.logcumsumexp(tg.tensor([0.0, 0.0, 1000.0]), dim=0)
    tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])
    """
    if input.dtype.kind != "f":
        raise BadType(expected="a floating-point tensor", got=input.dtype)
    return _along_dim(_logcumsumexp, input, dim)
