"""Sorting, ranking, searching, and unique elements."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import in_order, int32, int64, is_array, namespace_of, order
from tinygrad_lite.arrays.dtypes import limits
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.arrays.kernels.order_statistics import distinct, median_of, place_of_mode, place_of_rank, search
from tinygrad_lite.arrays.shapes import require_some
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import canonical_dim, integer, no_rule, operation, raw
from tinygrad_lite.ops.calculus import amax, to_dtype, where
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.nondifferentiable import nondifferentiable
from tinygrad_lite.ops.reduction.values_indices import ValuesIndices, values_and_indices, values_at
from tinygrad_lite.ops.typing import Tensor

__all__ = [
    "argsort", "bucketize", "kthvalue", "median", "mode", "msort", "nanmedian", "searchsorted", "sort", "topk", "unique",
    "unique_consecutive",
]  # fmt: skip


# -- sorting ------------------------------------------------------------------------------------


@nondifferentiable
def _order(input, axis, descending, first):
    return in_order(order(input, axis, descending, first))


@operation
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices that sort `input` along `dim`; the sort is stable, and nan is the largest.

    >>> import tinygrad_lite as tg
    >>> tg.argsort(tg.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    axis = canonical_dim(dim, input.ndim)
    return _order(input, axis, descending, None) if input.ndim else reshape(_order(reshape(input, (1,)), 0, descending, None), ())


@operation
def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> ValuesIndices:
    """The sorted elements of `input` along `dim`, and their original indices.

    The sort is stable even without `stable`; nan is the largest.

    >>> import tinygrad_lite as tg
    >>> tg.sort(tg.tensor([3.0, 1.0, 2.0]), descending=True)
    ValuesIndices(values=tensor([3., 2., 1.]), indices=tensor([0, 2, 1]))
    """
    indices = argsort(input, dim, descending)
    return ValuesIndices(values_at(input, indices, canonical_dim(dim, input.ndim)), indices)


@operation
def msort(input: Tensor) -> Tensor:
    """The elements of `input` sorted along its first dim.

    >>> import tinygrad_lite as tg
    >>> tg.msort(tg.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return sort(input, 0).values


@operation
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """The `k` largest (or smallest) elements along `dim` in order, and their indices.

    >>> import tinygrad_lite as tg
    >>> tg.topk(tg.tensor([3.0, 1.0, 2.0]), 2)
    ValuesIndices(values=tensor([3., 2.]), indices=tensor([0, 2]))
    """
    axis = canonical_dim(dim, input.ndim)
    require_number(input)
    k = integer("k", k)
    if not 0 <= k <= (input.shape[axis] if input.ndim else 1):
        raise BadValue(f"cannot take {k} elements along dim {dim} of a tensor of shape {tuple(input.shape)}")
    if not input.ndim:
        return ValuesIndices(*(reshape(t, ()) for t in topk(reshape(input, (1,)), 1, 0)))
    indices = _order(input, axis, largest, k)
    return ValuesIndices(values_at(input, indices, axis), indices)


def require_number(x: Any) -> None:
    if x.dtype.kind == "b":
        raise BadType(expected="numbers", got="a bool tensor")


# -- ranks --------------------------------------------------------------------------------------


@nondifferentiable
def _place_of_rank(input, axis, keepdim, rank, skip_nan):
    return place_of_rank(input, axis, keepdim, rank, skip_nan)


@nondifferentiable
def _median(input, skip_nan):
    return median_of(input, skip_nan)


def _middle(name: str, x: Any, dim: int | None, keepdim: bool) -> Any:
    require_number(x)
    skip_nan = name == "nanmedian"
    if dim is None:
        if keepdim:
            raise BadType("keepdim asks for a dim", function=name)
        middle = _median(x, skip_nan)
        # As the maximum of the elements equal to it, it shares its gradient evenly among them.
        equal = (x == middle) | ((x != x) & (middle != middle))
        if not math.prod(x.shape):
            return middle
        if is_symbol(raw(x)):  # a program: how many are equal is not known
            lowest = -math.inf if x.dtype.kind == "f" else limits(x.dtype)[0]
            return amax(where(equal, x, lowest), None, False)
        return amax(x[equal], None, False)
    return _picked_by(name, x, dim, keepdim, _place_of_rank, None, skip_nan)


def _picked_by(name: str, x: Any, dim: int, keepdim: bool, place: Any, *more: Any) -> ValuesIndices:
    """The element along `dim` at `place(x, axis, keepdim, ...)`."""
    axis = canonical_dim(dim, x.ndim)
    if not x.ndim:
        return ValuesIndices(*(reshape(t, ()) for t in _picked_by(name, reshape(x, (1,)), 0, True, place, *more)))
    return values_and_indices(x, place(x, axis, keepdim, *more), axis, keepdim)


@operation
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of all elements; along `dim`, a pair `(values, indices)`. For an even number, the lower of the two middle
    elements. nan if any element is nan.

    Over all, ties share the gradient evenly; along a dim it goes to the element at the returned index.

    >>> import tinygrad_lite as tg
    >>> tg.median(tg.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    """
    return _middle("median", input, dim, keepdim)


@operation
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Like `median`, ignoring nan.

    >>> import tinygrad_lite as tg
    >>> tg.nanmedian(tg.tensor([1.0, float("nan"), 3.0, 5.0]))
    tensor(3.)
    """
    return _middle("nanmedian", input, dim, keepdim)


@operation
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """The `k`-th smallest element along `dim` (counted from 1), and its index.

    >>> import tinygrad_lite as tg
    >>> tg.kthvalue(tg.tensor([3.0, 1.0, 2.0]), 2)
    ValuesIndices(values=tensor(2.), indices=tensor(2))
    """
    require_number(input)
    k = integer("k", k)
    axis = canonical_dim(dim, input.ndim)
    if not 1 <= k <= (input.shape[axis] if input.ndim else 1):
        raise BadValue(f"there is no element number {k} along dim {dim} of a tensor of shape {tuple(input.shape)}")
    return _picked_by("kthvalue", input, dim, keepdim, _place_of_rank, k - 1, False)


@nondifferentiable
def _place_of_mode(input, axis, keepdim):
    """The index of the most frequent element along `axis`."""
    require_some(input, axis)
    return place_of_mode(input, axis, keepdim)


@operation
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """The most frequent element along `dim` (the smallest of ties), and its last index.

    >>> import tinygrad_lite as tg
    >>> tg.mode(tg.tensor([1, 2, 2, 3]))
    ValuesIndices(values=tensor(2), indices=tensor(2))
    """
    return _picked_by("mode", input, dim, keepdim, _place_of_mode)


# -- searching ----------------------------------------------------------------------------------


@nondifferentiable
def _searchsorted(boundaries, input, side, sorter):
    return search(boundaries, input, side, sorter)


@operation
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """The indices at which to insert `input` into a sorted tensor to keep it sorted.

    `sorted_sequence`: 1-d, or with the leading dims of `input`, searched row by row. `right` (or side="right"): insert
    after equal elements. `sorter`: the indices that sort `sorted_sequence`, if it is not sorted.

    >>> import tinygrad_lite as tg
    >>> tg.searchsorted(tg.tensor([1, 3, 5]), tg.tensor([0, 3, 9]))
    tensor([0, 1, 3])
    """
    ndim = sorted_sequence.ndim
    if side not in (None, "left", "right"):
        raise BadValue(argument="side", expected="side 'left' or 'right'", got=repr(side))
    if side == "left" and right:
        raise BadValue("side='left' contradicts right=True")
    if not ndim:
        raise BadValue(argument="sorted_sequence", expected="sorted_sequence with at least one dim", got="a 0-d tensor")
    if not (isinstance(input, Traced) or is_array(input)):
        if ndim > 1:
            raise BadValue(
                f"a number can be searched in a 1-D tensor only, got {tuple(sorted_sequence.shape)}", got=tuple(sorted_sequence.shape)
            )
        input = namespace_of(raw(sorted_sequence)).asarray(input)
    elif ndim > 1 and (len(input.shape) != ndim or tuple(input.shape[:-1]) != tuple(sorted_sequence.shape[:-1])):
        raise BadValue(
            expected="a 1-D sorted_sequence, or one whose leading dims are those of input",
            got=f"{tuple(sorted_sequence.shape)} and {tuple(input.shape)}",
        )
    if sorter is not None:
        _check_sorter(sorter, sorted_sequence)
    found = _searchsorted(sorted_sequence, input, "right" if right or side == "right" else "left", sorter)
    return to_dtype(found, int32) if out_int32 else found


def _check_sorter(sorter: Any, boundaries: Any) -> None:
    array = raw(sorter)
    if array.dtype != int64:
        raise BadType(function="searchsorted", argument="sorter", expected="an int64 tensor as sorter", got=array.dtype)
    if array.shape != tuple(boundaries.shape):
        raise BadValue(argument="sorter", expected=f"a sorter of shape {tuple(boundaries.shape)}", got=array.shape)
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < array.shape[-1]:
        raise BadIndex("sorter has places outside of sorted_sequence")


@operation
def bucketize(input: Tensor | float, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The index of the bucket between sorted 1-d `boundaries` for each element of `input`; an element equal to a boundary
    falls below it (above, if `right`).

    >>> import tinygrad_lite as tg
    >>> tg.bucketize(tg.tensor([0.5, 2.0, 9.0]), tg.tensor([1.0, 2.0, 3.0]))
    tensor([0, 1, 3])
    """
    if boundaries.ndim != 1:
        raise BadValue(argument="boundaries", expected="1-D boundaries", got=f"the shape {tuple(boundaries.shape)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# -- unique -------------------------------------------------------------------------------------


@primitive
def _distinct(input, axis, in_place):
    """The unique elements (or slices along `axis`), the index of each input element among them, and the counts. `in_place`:
    compare only neighbours."""
    return distinct(input, axis, in_place)


_distinct.vjp(input=no_rule("unique", "input"))


def _unique(x: Any, inverse: bool, counts: bool, dim: int | None, in_place: bool) -> Any:
    axis = None
    if dim is not None:
        axis = canonical_dim(dim, x.ndim)
        if 0 in [n for d, n in enumerate(x.shape) if d != axis]:
            raise BadValue(f"a tensor of shape {tuple(x.shape)} has nothing to compare along dim {dim}")
        x = x if x.ndim else reshape(x, (1,))
    values, which, often = _distinct(x, axis, in_place)
    results = (values, *[which] * inverse, *[often] * counts)
    return results if len(results) > 1 else values


@operation
def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The unique elements of `input` in sorted order; with `dim`, the unique slices along it.

    Returns them alone, or a tuple with the index of each element among them (`return_inverse`) and the counts
    (`return_counts`). No two nan are equal. Not differentiable.

    >>> import tinygrad_lite as tg
    >>> tg.unique(tg.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    return _unique(input, return_inverse, return_counts, dim, False)


@operation
def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """Like `unique`, but collapses only consecutive equal elements, and does not sort.

    >>> import tinygrad_lite as tg
    >>> tg.unique_consecutive(tg.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    return _unique(input, return_inverse, return_counts, dim, True)
