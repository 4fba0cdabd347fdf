"""Indexing, and its adjoint."""

from __future__ import annotations

import math
import operator
from typing import Any

from numpy import ndarray

from tinygrad_lite.arrays import in_order, int64, is_array, namespace_of, to_numpy
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue, Refusal
from tinygrad_lite.arrays.indexing import ALL, Index
from tinygrad_lite.arrays.indices import BASIC, checked_index, checked_item, checked_slice, mixed, within
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import canonical_dim, canonical_shape, integer, operation, raw
from tinygrad_lite.ops.calculus import getitem as _getitem
from tinygrad_lite.ops.calculus import to_dtype
from tinygrad_lite.ops.movement.broadcasting import broadcast_shapes, expand
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.typing import Tensor

__all__ = ["argwhere", "gather", "index_select", "narrow", "nonzero", "nonzero_static", "select", "take", "take_along_dim", "unravel_index"]


# -- input[index] -------------------------------------------------------------------------------


def getitem(input: Any, index: Any) -> Any:
    """`input[index]`: ints, slices, None, Ellipsis, integer tensors, boolean masks, lists, mixed."""
    for step in steps(input, index):
        input = _getitem(input, step)
    return input


def steps(x: Any, index: Any) -> tuple[Index, ...]:
    """`index` as one index, or as two to apply in sequence: PyTorch applies the ints of a mixed index first, which orders
    the dims differently from NumPy."""
    if type(index) is not tuple:
        if isinstance(index, Traced) and index.array.ndim and index.array.dtype.kind == "i":
            array = x.array if isinstance(x, Traced) else x
            if not array.ndim:
                raise BadIndex("too many indices for a tensor of 0 dimensions", function="getitem")
            return (within(array.shape, (checked_item(index.array, array),)),)
        index = _several(index)
    stepped = False
    for item in index:
        if type(item) not in BASIC:
            return _mixed(x, index)
        if type(item) is slice and item.step is not None:
            stepped = True
    if stepped:
        index = tuple(checked_slice(i) if type(i) is slice else i for i in index)
    ellipses = index.count(Ellipsis)
    if ellipses > 1:  # NumPy allows only one
        return _mixed(x, index)
    # With the Ellipsis NumPy returns a view even if every dim has an int.
    return (index if ellipses else (*index, Ellipsis),)


def _several(index: Any) -> tuple[Any, ...]:
    """An index that is not a tuple: one item, unless it is a list of items other than numbers."""
    parts = (type(None), type(...), list, tuple, slice, Traced, ndarray)
    if isinstance(index, list) and any(isinstance(i, parts) for i in index):
        return tuple(index)
    return tuple(index) if isinstance(index, tuple) else (index,)


def _mixed(x: Any, index: tuple[Any, ...]) -> tuple[Index, ...]:
    array = x.array if isinstance(x, Traced) else x
    return mixed(array, [
        i if type(i) in BASIC and type(i) is not slice else checked_item(i.array if isinstance(i, Traced) else _plain(i), array)
        for i in index
    ])  # fmt: skip


def _plain(item: Any) -> Any:
    """A list of numbers and tensors without the tensors; any other item as it is."""
    if not isinstance(item, (list, tuple, range)):
        return item
    return [to_numpy(i.array) if isinstance(i, Traced) else i for i in item]


# -- named forms --------------------------------------------------------------------------------


@operation
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """`input[..., index, ...]` at dim `dim`: a view without that dim.

    >>> import tinygrad_lite as tg
    >>> tg.select(tg.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    dim = _dim(dim, input)
    index = index.__index__() if isinstance(index, Traced) else integer("index", index)
    if not -input.shape[dim] <= index < input.shape[dim]:
        raise BadIndex(f"index {index} is out of range for dim {dim} of size {input.shape[dim]}")
    return _getitem(input, (*[ALL] * dim, int(index), Ellipsis))


@operation
def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """`input[..., start : start + length, ...]` at dim `dim`: a view.

    >>> import tinygrad_lite as tg
    >>> tg.narrow(tg.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    if isinstance(start, bool) or (isinstance(start, Traced) and (start.ndim or start.dtype.kind not in "iu")):
        raise BadType(argument="start", expected="an int, or a 0-d tensor of one, as start", got=repr(start))
    dim, length = _dim(dim, input), integer("length", length)
    start = operator.index(start) if isinstance(start, Traced) else integer("start", start)
    n = input.shape[dim]
    if not -n <= start <= n:
        raise BadIndex(f"start {start} is out of range for dim {dim} of size {n}")
    start += n if start < 0 else 0
    if length < 0 or start + length > n:
        raise Refusal(f"{length} elements from {start} on do not lie inside dim {dim} of size {n}")
    return _getitem(input, (*[ALL] * dim, slice(start, start + length), Ellipsis))


def _dim(dim: int, x: Any) -> int:
    if not x.shape:
        raise BadIndex("a 0-d tensor has no dim to take from")
    return canonical_dim(dim, len(x.shape))


@operation
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of `input` along `dim` at `index` (1-d, integers).

    >>> import tinygrad_lite as tg
    >>> tg.index_select(tg.tensor([[1, 2, 3], [4, 5, 6]]), 1, tg.tensor([2, 0]))
    tensor([[3, 1],
            [6, 4]])
    """
    dim = canonical_dim(dim, len(input.shape))
    index = checked_index("index_select", raw(index), input.shape[dim] if input.shape else 1)
    if index.ndim > 1:
        raise BadIndex(argument="index", expected="a 1-D index", got=f"the shape {index.shape}")
    if not input.shape:
        if index.size != 1:
            raise BadIndex(f"a 0-d tensor takes one index, got {index.size}", got=index.size)
        return clone(input)
    return _getitem(input, (*[ALL] * dim, index.reshape(-1)))


def along(dim: int, index: Any) -> Index:
    """The index that selects `index` along `dim` and the same position in every other dim."""
    xp, rank = namespace_of(index), index.ndim
    return tuple(index if d == dim else xp.arange(n).reshape((-1,) + (1,) * (rank - d - 1)) for d, n in enumerate(index.shape))


def index_along(name: str, shape: tuple[int, ...], dim: int, index: Any) -> Index:
    """`along` for a tensor of `shape`, after the checks that gather and scatter share."""
    dim = canonical_dim(dim, len(shape))
    index = checked_index(name, raw(index), shape[dim])
    if not index.size:
        return (index,)
    if index.ndim != len(shape):
        raise Refusal(argument="index", expected=f"an index of {len(shape)} dimensions", got=f"the shape {index.shape}")
    for d, (n, most) in enumerate(zip(index.shape, shape)):
        if n > most and d != dim:
            raise Refusal(f"the index of shape {index.shape} reaches beyond {shape} outside of dim {dim}")
    return along(dim, index)


@operation
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """`out[i, j, k] = input[i, index[i, j, k], k]` (for dim 1): one element per element of `index`.

    >>> import tinygrad_lite as tg
    >>> tg.gather(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    shape, found = tuple(input.shape), tuple(index.shape)
    if not shape:
        input, shape = reshape(input, (1,)), (1,)
    place = index_along("gather", shape, dim, index if found else reshape(index, (1,)))
    result = _getitem(reshape(input, (-1,)) if len(place) != len(shape) else input, place)
    return result if found else reshape(result, ())


@operation
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with broadcasting; without `dim`, from the flattened tensor.

    >>> import tinygrad_lite as tg
    >>> tg.take_along_dim(tg.tensor([[1, 2], [3, 4]]), tg.tensor([[1], [0]]), dim=1)
    tensor([[2],
            [3]])
    """
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    dim = _dim(dim, input)
    if len(input.shape) != len(indices.shape):
        raise Refusal(expected="as many dimensions", got=f"{tuple(input.shape)} and {tuple(indices.shape)}")
    def without(shape: Any) -> tuple[int, ...]:
        return tuple(1 if d == dim else n for d, n in enumerate(shape))

    shape = list(broadcast_shapes(without(input.shape), without(indices.shape)))
    shapes = [tuple(n if d != dim else t.shape[dim] for d, n in enumerate(shape)) for t in (input, indices)]
    if indices.dtype != int64:
        raise BadType(argument="indices", expected="int64 indices", got=indices.dtype)
    return gather(expand(input, shapes[0]), dim, expand(indices, shapes[1]) % max(input.shape[dim], 1))  # PyTorch wraps indices around


@operation
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened tensor at `index`, in the shape of `index`.

    >>> import tinygrad_lite as tg
    >>> tg.take(tg.tensor([[1, 2], [3, 4]]), tg.tensor([0, 3]))
    tensor([1, 4])
    """
    places = checked_index("take", raw(index), math.prod(input.shape), negative=True)
    return reshape(_getitem(reshape(input, (-1,)), (places.reshape(-1),)), places.shape)


@operation
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the nonzero elements, as rows; `as_tuple`: one tensor per dim.

    >>> import tinygrad_lite as tg
    >>> tg.nonzero(tg.tensor([[1, 0], [0, 2]]))
    tensor([[0, 0],
            [1, 1]])
    """
    array = input.array if isinstance(input, Traced) else input
    found = array.reshape(array.shape or 1).nonzero()
    if not as_tuple:
        found = (namespace_of(array).stack(found[: array.ndim], axis=1) if array.ndim else found[0].reshape(-1, 1)[:, :0],)
    found = tuple(map(in_order, found))
    found = tuple(map(traced, found)) if isinstance(input, Traced) else found
    return found if as_tuple else found[0]


@operation
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of `nonzero`, padded with rows of `fill_value`.

    >>> import tinygrad_lite as tg
    >>> tg.nonzero_static(tg.tensor([0, 1, 2]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    if size < 0:
        raise Refusal(expected="a size of 0 or more", got=size)
    found = raw(nonzero(input))[:size]
    out = namespace_of(found).full((size, found.shape[1]), fill_value, int64)
    out[: len(found)] = found
    return traced(out) if isinstance(input, Traced) else out


@operation
def argwhere(input: Tensor) -> Tensor:
    """The indices of the nonzero elements, as rows, like `nonzero`.

    >>> import tinygrad_lite as tg
    >>> tg.argwhere(tg.tensor([[0, 1], [2, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    return nonzero(input)


@operation
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Convert flat `indices` into a tensor of `shape` to an index along each dim.

    >>> import tinygrad_lite as tg
    >>> tg.unravel_index(tg.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    shape = canonical_shape((shape,))
    array = indices.array if isinstance(indices, Traced) else indices
    if not is_array(array) or array.dtype.kind not in "iu":
        raise BadType(expected="a tensor of integers", got=getattr(array, 'dtype', type(array).__name__))
    if min(shape, default=0) < 0:
        raise BadValue(expected="sizes of 0 or more", got=shape)
    if array.dtype != int64:
        indices = to_dtype(indices, int64)
    return tuple(indices // math.prod(shape[d + 1 :]) % max(n, 1) for d, n in enumerate(shape))
