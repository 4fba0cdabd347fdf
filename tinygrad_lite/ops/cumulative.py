"""Running sums, products and extremes along a dim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import as_dtype, namespace_of
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import canonical_dim, operation
from tinygrad_lite.ops.shape import to_dtype

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["cumprod", "cumsum"]

METHODS = __all__
IN_PLACE: list[str] = ["cumprod", "cumsum"]


# -- the two that all others are made of --------------------------------------------------------


def along(axis: int, part: slice) -> tuple[Any, ...]:
    """The index of `part` of one axis."""
    return (slice(None),) * axis + (part,)


@primitive
def _shift(x, axis, by, fill):
    """`x` moved one place along `axis`, forwards (by=1) or backwards (by=-1); `fill` enters."""
    out = namespace_of(x).full_like(x, fill)
    later, earlier = along(axis, slice(1, None)), along(axis, slice(None, -1))
    if by > 0:
        out[later] = x[earlier]
    else:
        out[earlier] = x[later]
    return out


_shift.vjp(x=lambda g, axis, by: _shift(g, axis, -by, 0))


@primitive
def _recurrence(a, b, axis, reverse):
    """`h[t] = a[t] h[t-1] + b[t]` along `axis`, from 0 before the first (`reverse`: from behind the
    last).

    Two steps in a row are one step of the same form, so the stride doubles: log2(n) passes over
    whole arrays instead of a loop over n.
    """
    a, h = a.copy(), b.copy()
    step, n = 1, h.shape[axis]
    while step < n:
        later, earlier = along(axis, slice(step, None)), along(axis, slice(None, -step))
        if reverse:
            later, earlier = earlier, later
        h[later] = h[later] + a[later] * h[earlier]
        a[later] = a[later] * a[earlier]
        step *= 2
    return h


def _carried_back(g: Any, a: Any, axis: int, reverse: bool) -> Any:
    """The gradient with respect to b: the recurrence the other way, with each factor one place on."""
    return _recurrence(_previous(a, axis, not reverse), g, axis, not reverse)


def _previous(x: Any, axis: int, reverse: bool, first: int = 0) -> Any:
    """At each place the element before it, in the order of running."""
    return _shift(x, axis, -1 if reverse else 1, first)


_recurrence.vjp(a=lambda g, a, out, axis, reverse: _carried_back(g, a, axis, reverse) * _previous(out, axis, reverse),
                b=lambda g, a, axis, reverse: _carried_back(g, a, axis, reverse))  # fmt: skip


# -- sums and products --------------------------------------------------------------------------


def _accumulated(x: Any, name: str, axis: int, reverse: bool) -> Any:
    """Integers run in int64, half precision in single."""
    result = x.dtype if x.dtype.kind in "fc" else np.dtype(np.int64)
    x = namespace_of(x).flip(x, axis) if reverse else x
    out = getattr(x, name)(axis=axis, dtype=np.float32 if result == np.float16 else result).astype(result, copy=False)
    return namespace_of(x).flip(out, axis) if reverse else out


@primitive
def _cumsum(x, axis, reverse):
    return _accumulated(x, "cumsum", axis, reverse)


_cumsum.vjp(x=lambda g, axis, reverse: _cumsum(g, axis, not reverse))


@primitive
def _cumprod(x, axis, reverse):
    return _accumulated(x, "cumprod", axis, reverse)


# out[t] = x[t] out[t-1]: no division, so zeros do no harm.
_cumprod.vjp(x=lambda g, x, out, axis, reverse: _carried_back(g, x, axis, reverse) * _previous(out, axis, reverse, 1))


@operation
def cumsum(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The sum of all elements up to each one along `dim`. Integers and bools add up in int64.

    >>> import tinygrad_lite as tg
    >>> tg.cumsum(tg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """
    return _along_dim("cumsum", _cumsum, x, dim, dtype)


@operation
def cumprod(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The product of all elements up to each one along `dim`. Integers and bools multiply in int64.
    The gradient is right where factors are zero, also the second one."""
    return _along_dim("cumprod", _cumprod, x, dim, dtype)


def _along_dim(name: str, function: Any, x: Any, dim: int, dtype: Any) -> Any:
    if dtype is not None:
        x = to_dtype(x, as_dtype(dtype))
    axis = canonical_dim(name, dim, x.ndim)
    return function(x, axis, False) if x.ndim else function(x.reshape(1), 0, False).reshape(())


def product_of_others(x: Any, axis: int | None) -> Any:
    """For each element the product of all others along `axis` (None: of the whole tensor), made
    of the products from both ends."""
    if axis is None:
        return product_of_others(x.reshape(-1), 0).reshape(x.shape)
    return _previous(_cumprod(x, axis, False), axis, False, 1) * _previous(_cumprod(x, axis, True), axis, True, 1)
