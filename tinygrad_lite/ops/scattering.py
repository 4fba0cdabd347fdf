"""Writing to parts of a tensor: the result is a new tensor, `x` stays as it is."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd import primitive
from tinygrad_lite.autograd.node import Traced
from tinygrad_lite.ops.arithmetic import add, mul
from tinygrad_lite.ops.calling import canonical_dim, operation
from tinygrad_lite.ops.diagonals import diagonal_region
from tinygrad_lite.ops.indexing import _ALL, _checked, _getitem, checked_index, index_along, into_zeros, region, replaced, steps
from tinygrad_lite.ops.shape import broadcast_shapes, expand, reshape

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "as_strided_scatter", "diagonal_scatter", "index_add", "index_copy", "index_fill", "index_put", "masked_fill",
    "masked_scatter", "put", "scatter", "scatter_add", "select_scatter", "slice_scatter",
]  # fmt: skip


METHODS = __all__
IN_PLACE: list[str] = [
    "index_add", "index_copy", "index_fill", "index_put", "masked_fill", "masked_scatter", "put", "scatter", "scatter_add",
]  # fmt: skip


@primitive
def _masked_fill(x, mask, value):
    xp = namespace_of(x)
    shape = x.shape if mask.shape == x.shape else np.broadcast_shapes(x.shape, mask.shape)
    out = x.copy() if shape == x.shape else xp.broadcast_to(x, shape).copy()
    xp.copyto(out, value, where=mask)
    return out


_masked_fill.vjp(x=lambda g, mask: _masked_fill(g, mask, 0),
                 value=lambda g, mask: _masked_fill(g, ~mask, 0))


@operation
def masked_fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`x` with `value` (a number or a 0-d tensor) where `mask` holds.

    >>> import tinygrad_lite as tg
    >>> tg.masked_fill(tg.tensor([1.0, 2.0]), tg.tensor([True, False]), -1)
    tensor([-1.,  2.])
    """
    if getattr(mask, "dtype", None) != np.bool_:
        raise RuntimeError(f"masked_fill: expected a bool mask, got {getattr(mask, 'dtype', type(mask).__name__)}")
    return _masked_fill(x, mask, _number("masked_fill", x, value))


def _number(name: str, x: Any, value: Any) -> Any:
    """`value`, if it is one number that fits into x's dtype."""
    if getattr(value, "ndim", 0):
        raise RuntimeError(f"{name}: expected a number or a 0-d tensor as the value, got the shape {tuple(value.shape)}")
    kind = value.dtype.kind if hasattr(value, "dtype") else np.asarray(value).dtype.kind
    if "biufc".index(kind) > max("biufc".index(x.dtype.kind), 2 * (x.dtype.kind in "iu")) and (x.dtype.kind != "b" or kind == "c"):
        raise RuntimeError(f"{name}: the value {value} cannot be put into a tensor of {x.dtype}")
    return value


@operation
def masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`x` with the first elements of `source`, in order, where `mask` holds."""
    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_scatter: expected a bool mask, got {mask.dtype}")
    _same_dtype("masked_scatter", x, source)
    shape = broadcast_shapes(tuple(x.shape), tuple(mask.shape))
    x, array = expand(x, shape), mask.array if isinstance(mask, Traced) else mask
    array = namespace_of(array).broadcast_to(array, shape)
    count = int(array.sum())
    if count > math.prod(source.shape):
        raise RuntimeError(f"masked_scatter: the mask asks for {count} elements, source has {math.prod(source.shape)}")
    if not shape:
        return replaced(x, reshape(source, (-1,))[0], (Ellipsis,)) if count else x.clone()
    return replaced(x, reshape(source, (-1,))[:count], (array,))


def _same_dtype(name: str, x: Any, source: Any) -> None:
    if x.dtype != source.dtype:
        raise RuntimeError(f"{name}: expected tensors of one dtype, got {x.dtype} and {source.dtype}")


# -- by an index for each element ---------------------------------------------------------------


@operation
def scatter(x: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """`x` after `out[index[i, j, k], j, k] = src[i, j, k]` (for dim 0); `src` may be one number.

    `reduce`: "add" or "multiply" to combine instead of replacing.
    """
    src = value if src is None else src
    if reduce == "add":
        return scatter_add(x, dim, index, src if hasattr(src, "shape") else _filled(x, index, src))
    place, part = _scattered("scatter", x, dim, index, src)
    return _back(replaced(_at_least_1d(x), part, place), x)


def _filled(x: Any, index: Any, value: Any) -> Any:
    from tinygrad_lite.ops.creation import full_like

    return full_like(index, value, dtype=x.dtype)


def _at_least_1d(x: Any) -> Any:
    return x if len(x.shape) else reshape(x, (1,))


def _back(out: Any, x: Any) -> Any:
    return out if len(x.shape) else reshape(out, ())


def _scattered(name: str, x: Any, dim: int, index: Any, src: Any) -> tuple[Any, Any]:
    """Where in `x` (1-D or more) to put which elements of `src`."""
    index = _at_least_1d(index)
    place = index_along(name, _at_least_1d(x), dim, index)
    if not hasattr(src, "shape"):
        return place, _number(name, x, src)
    _same_dtype(name, x, src)
    src = _at_least_1d(src)
    if len(src.shape) != len(index.shape) or any(n > m for n, m in zip(index.shape, src.shape)):
        raise RuntimeError(f"{name}: the index of shape {tuple(index.shape)} reaches beyond src of shape {tuple(src.shape)}")
    if tuple(src.shape) != tuple(index.shape):
        src = _getitem(src, tuple(slice(0, n) for n in index.shape))
    return place, src


@operation
def scatter_add(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`x` after `out[index[i, j, k], j, k] += src[i, j, k]` (for dim 0).

    >>> import tinygrad_lite as tg
    >>> tg.scatter_add(tg.zeros(3), 0, tg.tensor([0, 0, 2]), tg.ones(3))
    tensor([2., 0., 1.])
    """
    place, part = _scattered("scatter_add", x, dim, index, src)
    whole = _at_least_1d(x)
    return _back(add(whole, into_zeros(part, tuple(whole.shape), place)), x)


# -- by an index for each slice -----------------------------------------------------------------


def _slices(name: str, x: Any, dim: int, index: Any, source: Any) -> tuple[Any, int, Any, Any]:
    """x (1-D or more), dim, the index of the slices along it, and source in the shape of these."""
    _same_dtype(name, x, source)
    x = _at_least_1d(x)
    dim = canonical_dim(name, dim, len(x.shape))
    index = checked_index(name, index, x.shape[dim]).reshape(-1)
    shape = (*x.shape[:dim], index.size, *x.shape[dim + 1 :])
    if math.prod(source.shape) != math.prod(shape) or (len(source.shape) and tuple(source.shape) != shape):
        raise RuntimeError(f"{name}: expected a source of shape {shape}, got {tuple(source.shape)}")
    return x, dim, (*[_ALL] * dim, index), reshape(source, shape)


@operation
def index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """`x` with `alpha * source[i]` added to its slice number `index[i]` along `dim`."""
    whole, dim, place, source = _slices("index_add", x, dim, index, source)
    return _back(add(whole, into_zeros(source if alpha == 1 else mul(source, alpha), tuple(whole.shape), place)), x)


@operation
def index_copy(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`x` with its slice number `index[i]` along `dim` replaced by `source[i]`."""
    whole, dim, place, source = _slices("index_copy", x, dim, index, source)
    return _back(replaced(whole, source, place), x)


@operation
def index_fill(x: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`x` with its slices number `index` along `dim` filled with `value`."""
    whole = _at_least_1d(x)
    dim = canonical_dim("index_fill", dim, len(whole.shape))
    place = (*[_ALL] * dim, checked_index("index_fill", index, whole.shape[dim], negative=True).reshape(-1))
    return _back(replaced(whole, _number("index_fill", x, value), place), x)


@operation
def index_put(x: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`x` after `x[indices] = values`, or `+=` with repeated places adding up if `accumulate`."""
    _same_dtype("index_put", x, values)
    (place,) = steps(x, tuple(indices))
    if not accumulate:
        return replaced(x, values, place)
    part = _getitem(x, place)
    return add(x, into_zeros(expand(values, tuple(part.shape)), tuple(x.shape), place))


@operation
def put(x: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`x` with the elements number `index` of the flattened tensor replaced by those of `source`
    (or with these added)."""
    _same_dtype("put", x, source)
    places = checked_index("put", index, math.prod(x.shape), negative=True)
    if places.size != math.prod(source.shape):
        raise RuntimeError(f"put: {places.size} indices for {math.prod(source.shape)} elements")
    values, flat = reshape(source, (-1,)), reshape(x, (-1,))
    return reshape(index_put(flat, (places.reshape(-1),), values, accumulate), tuple(x.shape))


# -- the part that a view would show ------------------------------------------------------------


def _with_part(name: str, x: Any, src: Any, place: Any) -> Any:
    part = _getitem(x.detach() if isinstance(x, Traced) else x, place)
    if tuple(part.shape) != tuple(src.shape):
        raise RuntimeError(f"{name}: expected a src of shape {tuple(part.shape)}, got {tuple(src.shape)}")
    return replaced(x, src, place)


@operation
def select_scatter(x: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """`x` with `x.select(dim, index)` replaced by `src`."""
    dim = canonical_dim("select_scatter", dim, len(x.shape))
    return _with_part("select_scatter", x, src, (*[_ALL] * dim, operator.index(index), Ellipsis))


@operation
def slice_scatter(x: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """`x` with `start : end : step` of dim `dim` replaced by `src`."""
    dim = canonical_dim("slice_scatter", dim, len(x.shape))
    return _with_part("slice_scatter", x, src, (*[_ALL] * dim, _checked(slice(start, end, step)), Ellipsis))


@operation
def diagonal_scatter(x: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """`x` with `x.diagonal(offset, dim1, dim2)` replaced by `src`."""
    return _with_part("diagonal_scatter", x, src, diagonal_region("diagonal_scatter", tuple(x.shape), offset, dim1, dim2))


@operation
def as_strided_scatter(x: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`x` with `x.as_strided(size, stride, storage_offset)` replaced by `src`."""
    return _with_part("as_strided_scatter", x, src, region("as_strided_scatter", x, size, stride, storage_offset))
