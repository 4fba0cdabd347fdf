"""The same elements in another shape, order or dtype: views wherever the memory allows it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import as_dtype, namespace_of, owner_of
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.calculus import copy
from tinygrad_lite.ops.calculus import expand as _expand
from tinygrad_lite.ops.calculus import permute as _permute
from tinygrad_lite.ops.calculus import reshape as _reshape
from tinygrad_lite.ops.calling import canonical_dim, canonical_shape, operation, raw

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "adjoint", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors", "broadcast_to", "clone", "flatten",
    "moveaxis", "movedim", "permute", "ravel", "reshape", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten",
    "unsqueeze",
]  # fmt: skip

METHODS = [
    "adjoint", "broadcast_to", "clone", "contiguous", "expand", "expand_as", "flatten", "moveaxis", "movedim", "permute", "ravel",
    "reshape", "reshape_as", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze", "view", "view_as",
]  # fmt: skip
IN_PLACE: list[str] = []


# -- another shape ------------------------------------------------------------------------------


@operation
def reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements in `shape`, where one size may be -1; a view where the memory allows it.

    >>> import tinygrad_lite as tg
    >>> tg.reshape(tg.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if isinstance(shape, tuple) and min(shape, default=0) < -1:  # which NumPy takes for -1
        raise RuntimeError(f"reshape: expected sizes of 0 or more, and at most one -1, got {shape}")
    return _reshape(x, shape)


def view(x: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same memory in another shape, given as ints or as one tuple, or read as another dtype; an
    error where that takes a copy.

    >>> import tinygrad_lite as tg
    >>> tg.arange(6).view(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if len(shape) == 1:
        (shape,) = shape
    if dtype is not None or isinstance(shape, (np.dtype, type)):
        return _view_dtype(x, as_dtype(shape if dtype is None else dtype))
    result = reshape(x, shape if size is None else size)
    if math.prod(x.shape) and not shares_memory(x, result):
        raise RuntimeError(f"view: {tuple(x.shape)} cannot be seen as {tuple(result.shape)} without a copy; use reshape()")
    return result


def shares_memory(x: Any, y: Any) -> bool:
    """Whether two tensors, one made of the other, lie in the same memory."""
    a, b = (raw(v) for v in (x, y))
    return owner_of(a) is owner_of(b)


def _view_dtype(x: Any, dtype: np.dtype) -> Any:
    array = raw(x)
    if array.dtype.itemsize != dtype.itemsize and (not array.ndim or array.strides[-1] != array.dtype.itemsize):
        raise RuntimeError(f"view: reading {array.dtype} as {dtype} needs a last dim whose elements are neighbours in memory")
    if array.ndim and array.shape[-1] * array.dtype.itemsize % dtype.itemsize:
        raise RuntimeError(f"view: a last dim of {array.shape[-1]} {array.dtype} cannot be read as {dtype}")
    return traced(array.view(dtype)) if isinstance(x, Traced) else array.view(dtype)


@operation
def view_as(x: Tensor, y: Tensor) -> Tensor:
    """`x.view(y.shape)`

    >>> import tinygrad_lite as tg
    >>> tg.arange(4).view_as(tg.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return view(x, tuple(y.shape))


@operation
def reshape_as(x: Tensor, y: Tensor) -> Tensor:
    """`x.reshape(y.shape)`

    >>> import tinygrad_lite as tg
    >>> tg.arange(4).reshape_as(tg.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshape(x, tuple(y.shape))


@operation
def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims `start_dim` to `end_dim` as one; a 0-d tensor becomes one of shape (1,).

    >>> import tinygrad_lite as tg
    >>> tg.flatten(tg.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    shape = tuple(x.shape)
    first, last = canonical_dim("flatten", start_dim, len(shape)), canonical_dim("flatten", end_dim, len(shape))
    if first > last:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if first == last and shape:
        return x
    return _reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@operation
def unflatten(x: Tensor, dim: int, sizes: tuple[int, ...]) -> Tensor:
    """Dim `dim` split up into `sizes`, where one may be -1.

    >>> import tinygrad_lite as tg
    >>> tg.unflatten(tg.arange(6), 0, (2, 3))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    dim, shape = canonical_dim("unflatten", dim, len(x.shape)), tuple(x.shape)
    if not shape:
        raise RuntimeError("unflatten: a 0-d tensor has no dim to split up")
    if not isinstance(sizes, (tuple, list)) or not sizes:
        raise RuntimeError(f"unflatten: expected one or more sizes, got {sizes}")
    known = math.prod(n for n in sizes if n != -1)
    whole = tuple(shape[dim] // (known or 1) if n == -1 else n for n in sizes)
    if math.prod(whole) != shape[dim] or sizes.count(-1) > 1 or min(whole) < 0:
        raise RuntimeError(f"unflatten: {sizes} do not make up the {shape[dim]} of dim {dim}")
    return _reshape(x, (*shape[:dim], *whole, *shape[dim + 1 :]))


@operation
def ravel(x: Tensor) -> Tensor:
    """All elements in one dim; a view where they lie in memory in the order of the dims.

    >>> import tinygrad_lite as tg
    >>> tg.ravel(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return _reshape(contiguous(x), (math.prod(x.shape),))


@operation
def squeeze(x: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """Without the dims of size 1: all of them, or those of `dim` that have size 1.

    >>> import tinygrad_lite as tg
    >>> tg.squeeze(tg.zeros(1, 3, 1), 0).shape
    (3, 1)
    """
    shape = tuple(x.shape)
    if dim is None:
        return _reshape(x, tuple(n for n in shape if n != 1))
    dims = [canonical_dim("squeeze", d, len(shape)) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"squeeze: a dim appears twice in {dim}")
    return _reshape(x, tuple(n for d, n in enumerate(shape) if n != 1 or d not in dims))


@operation
def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """With a dim of size 1 inserted at place `dim` of the result.

    >>> import tinygrad_lite as tg
    >>> tg.unsqueeze(tg.tensor([1, 2]), 1).shape
    (2, 1)
    """
    shape = tuple(x.shape)
    dim = canonical_dim("unsqueeze", dim, len(shape) + 1)
    return _reshape(x, (*shape[:dim], 1, *shape[dim:]))


def unsqueeze_dims(x: Any, dims: tuple[int, ...]) -> Any:
    """`x` with dims of size 1 at the places `dims` of the result."""
    sizes = iter(x.shape)
    rank = len(x.shape) + len(dims)
    return _reshape(x, tuple(1 if d in dims else next(sizes) for d in range(rank)))


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with one dim or more.

    >>> import tinygrad_lite as tg
    >>> tg.atleast_1d(tg.tensor(5))
    tensor([5])
    """
    return _each(tensors, lambda x: reshape(x, (1,)) if len(x.shape) < 1 else x)


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with two dims or more; the new ones come first.

    >>> import tinygrad_lite as tg
    >>> tg.atleast_2d(tg.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return _each(tensors, lambda x: reshape(x, (1, -1 if x.shape else 1)) if len(x.shape) < 2 and x.shape != (0,) else
                 reshape(x, (1, 0)) if len(x.shape) < 2 else x)  # fmt: skip


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with three dims or more: (n,) becomes (1, n, 1), and (n, m) becomes (n, m, 1).

    >>> import tinygrad_lite as tg
    >>> tg.atleast_3d(tg.tensor([1, 2])).shape
    (1, 2, 1)
    """
    def raised(x: Any) -> Any:
        shape = tuple(x.shape)
        return x if len(shape) > 2 else _reshape(x, (*shape, 1) if len(shape) == 2 else (1, *(shape or (1,)), 1))

    return _each(tensors, raised)


def _each(tensors: tuple[Any, ...], function: Any) -> Any:
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return function(tensors[0])
    return tuple(function(x) for x in (tensors[0] if len(tensors) == 1 else tensors))


# -- repeated along dims of size 1 --------------------------------------------------------------


@operation
def expand(x: Tensor, size: tuple[int, ...], *, implicit: bool = False) -> Tensor:
    """A view of `x` repeated along dims of size 1; -1 keeps a size.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    size = canonical_shape("expand", (size,))
    new = len(size) - len(x.shape)
    if new < 0 or any(n < 0 and (n != -1 or i < new) for i, n in enumerate(size)):
        raise RuntimeError(f"expand: a tensor of shape {tuple(x.shape)} cannot be repeated to the shape {size}")
    return _expand(x, tuple(x.shape[i - new] if n == -1 else n for i, n in enumerate(size)))


@operation
def expand_as(x: Tensor, y: Tensor) -> Tensor:
    """`x.expand(y.shape)`

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).expand_as(tg.ones(2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(x, tuple(y.shape))


@operation
def broadcast_to(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """`x` seen in the shape `size`, as broadcasting would.

    >>> import tinygrad_lite as tg
    >>> tg.broadcast_to(tg.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(x, size)


@operation
def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """The tensors as views of the one shape that they broadcast to.

    >>> import tinygrad_lite as tg
    >>> a, b = tg.broadcast_tensors(tg.ones(3, 1), tg.ones(2))
    >>> a.shape, b.shape
    ((3, 2), (3, 2))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        (tensors,) = tensors
    for i, x in enumerate(tensors):
        if not hasattr(x, "shape"):
            raise TypeError(f"broadcast_tensors: expected Tensors, got {type(x).__name__} at place {i}")
    shape = broadcast_shapes(*(tuple(x.shape) for x in tensors))
    return tuple(x if tuple(x.shape) == shape else _expand(x, shape) for x in tensors)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of `shapes` broadcast to.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise RuntimeError(f"broadcast_shapes: {', '.join(map(str, shapes))} do not fit together") from error


# -- dims in another order ----------------------------------------------------------------------


@operation
def permute(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """A view with the dims in the order `dims`.

    >>> import tinygrad_lite as tg
    >>> tg.permute(tg.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    dims = tuple(canonical_dim("permute", d, len(x.shape)) for d in canonical_shape("permute", (dims,)))
    if sorted(dims) != list(range(len(x.shape))):
        raise RuntimeError(f"permute: expected each of the {len(x.shape)} dims once, got {dims}")
    return _permute(x, dims)


@operation
def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dims exchanged.

    >>> import tinygrad_lite as tg
    >>> tg.transpose(tg.tensor([[1, 2], [3, 4]]), 0, 1)
    tensor([[1, 3],
            [2, 4]])
    """
    dims = list(range(len(x.shape)))
    a, b = canonical_dim("transpose", dim0, len(dims)), canonical_dim("transpose", dim1, len(dims))
    if dims:
        dims[a], dims[b] = b, a
    return _permute(x, tuple(dims))


@operation
def swapaxes(x: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` under NumPy's name.

    >>> import tinygrad_lite as tg
    >>> tg.swapaxes(tg.ones(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    return transpose(x, axis0, axis1)


@operation
def swapdims(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose` under one more name.

    >>> import tinygrad_lite as tg
    >>> tg.swapdims(tg.ones(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    return transpose(x, dim0, dim1)


@operation
def t(x: Tensor) -> Tensor:
    """A matrix transposed; tensors of fewer dims as they are.

    >>> import tinygrad_lite as tg
    >>> tg.t(tg.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    if len(x.shape) > 2:
        raise RuntimeError(f"t: expected at most 2 dimensions, got the shape {tuple(x.shape)}; use .mT or transpose()")
    return t_all(x)


def t_all(x: Tensor) -> Tensor:
    """All dims reversed."""
    return _permute(x, None)


def conjugate_transpose(x: Tensor) -> Tensor:
    """A matrix transposed; a 0-d tensor as it is."""
    if len(x.shape) not in (0, 2):
        raise RuntimeError(f"H: expected a matrix, got the shape {tuple(x.shape)}; use mH for batches of them")
    return t_all(x)


@operation
def adjoint(x: Tensor) -> Tensor:
    """The last two dims exchanged; a 0-d tensor as it is.

    >>> import tinygrad_lite as tg
    >>> tg.adjoint(tg.ones(5, 2, 3)).shape
    (5, 3, 2)
    """
    return transpose(x, -2, -1) if x.shape else x


@operation
def movedim(x: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor:
    """A view with the dims `source` moved to the places `destination`, the others in their order.

    >>> import tinygrad_lite as tg
    >>> tg.movedim(tg.zeros(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    froms, tos = (
        [canonical_dim("movedim", d, len(x.shape)) for d in (dims if isinstance(dims, (tuple, list)) else (dims,))]
        for dims in (source, destination)
    )
    if len(froms) != len(tos) or len(set(froms)) != len(froms) or len(set(tos)) != len(tos):
        raise TypeError(f"movedim: expected as many different dims on both sides, got {source} and {destination}")
    if not x.shape:
        return _permute(x, ())
    rest = iter(d for d in range(len(x.shape)) if d not in froms)
    return _permute(x, tuple(froms[tos.index(d)] if d in tos else next(rest) for d in range(len(x.shape))))


moveaxis = movedim


# -- copies and dtypes --------------------------------------------------------------------------


@operation
def clone(x: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own; gradients pass through it.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0])
    >>> y = x.clone().zero_()
    >>> x
    tensor([1., 2.])
    """
    return copied_to("clone", x, memory_format)


_CHANNELS_LAST = {"channels_last": 4, "channels_last_3d": 5}


def _order_of(name: str, x: Any, memory_format: Any) -> str:
    """How `copy` calls a memory format."""
    rank = _CHANNELS_LAST.get(memory_format)
    if rank is None:
        return "C" if memory_format == "contiguous_format" else "K"
    if len(x.shape) != rank:
        raise RuntimeError(f"{name}: the memory format {memory_format} is for tensors of {rank} dims, got {tuple(x.shape)}")
    return "channels last"


def copied_to(name: str, x: Any, memory_format: Any) -> Any:
    """A copy of `x` with its elements in memory in a format."""
    return copy(x, x.dtype, _order_of(name, x, memory_format))


def apart(out: Any, x: Any) -> Any:
    """`out`, or a contiguous copy where it may show the memory of `x`."""
    a, b = raw(out), raw(x)
    return copied_to("clone", out, "contiguous_format") if a is b or owner_of(a) is owner_of(b) else out


@operation
def contiguous(x: Tensor, memory_format: Any = None) -> Tensor:
    """`x` with its elements in memory in the order of its dims ("channels_last": with dim 1 last): itself where
    it is so already.

    >>> import tinygrad_lite as tg
    >>> x = tg.ones(2, 3).t()
    >>> x.is_contiguous(), x.contiguous().is_contiguous()
    (False, True)
    """
    array, order = raw(x), "C" if memory_format is None else _order_of("contiguous", x, memory_format)
    if order == "channels last":
        array = namespace_of(array).moveaxis(array, 1, -1)
    return x if array.flags.c_contiguous else copy(x, x.dtype, order)
