"""The same elements in another shape, as a view if possible."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import DType, as_dtype, owner_of
from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import canonical_dim, operation, raw
from tinygrad_lite.ops.calculus import reshape as _reshape
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.typing import Tensor

__all__ = ["atleast_1d", "atleast_2d", "atleast_3d", "flatten", "ravel", "reshape", "squeeze", "unflatten", "unsqueeze"]


@operation
def reshape(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements in `shape`, where one size may be -1; a view if possible.

    >>> import tinygrad_lite as tg
    >>> tg.reshape(tg.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if isinstance(shape, tuple) and min(shape, default=0) < -1:  # NumPy would treat it as -1
        raise Refusal(expected="sizes of 0 or more, and at most one -1", got=shape)
    return _reshape(input, shape)


def view(input: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same memory in another shape, given as ints or as one tuple, or reinterpreted as another dtype; raises if that
    needs a copy.

    >>> import tinygrad_lite as tg
    >>> tg.arange(6).view(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if len(shape) == 1:
        (shape,) = shape
    if dtype is not None or isinstance(shape, (DType, type)):
        return _view_dtype(input, as_dtype(shape if dtype is None else dtype))
    try:
        result = reshape(input, shape if size is None else size)
    except Refusal as error:
        error.called("view")
        raise
    if math.prod(input.shape) and not shares_memory(input, result):
        raise Refusal(f"{tuple(input.shape)} cannot be seen as {tuple(result.shape)} without a copy", function="view", hint="use reshape()")
    return result


def shares_memory(x: Any, y: Any) -> bool:
    """Whether two tensors, one derived from the other, share memory."""
    a, b = (raw(v) for v in (x, y))
    return owner_of(a) is owner_of(b)


def _view_dtype(x: Any, dtype: DType) -> Any:
    array = raw(x)
    if array.dtype.itemsize != dtype.itemsize and (not array.ndim or array.strides[-1] != array.dtype.itemsize):
        raise Refusal(f"reading {array.dtype} as {dtype} needs a last dim whose elements are neighbours in memory", function="view")
    if array.ndim and array.shape[-1] * array.dtype.itemsize % dtype.itemsize:
        raise Refusal(f"a last dim of {array.shape[-1]} {array.dtype} cannot be read as {dtype}", function="view")
    return traced(array.view(dtype)) if isinstance(x, Traced) else array.view(dtype)


@operation
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.view(other.shape)`

    >>> import tinygrad_lite as tg
    >>> tg.arange(4).view_as(tg.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return view(input, tuple(other.shape))


@operation
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.reshape(other.shape)`

    >>> import tinygrad_lite as tg
    >>> tg.arange(4).reshape_as(tg.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshape(input, tuple(other.shape))


@operation
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Flatten dims `start_dim` to `end_dim` into one; a 0-d tensor gets shape (1,).

    >>> import tinygrad_lite as tg
    >>> tg.flatten(tg.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    shape = tuple(input.shape)
    first, last = canonical_dim(start_dim, len(shape)), canonical_dim(end_dim, len(shape))
    if first > last:
        raise Refusal(f"start_dim {start_dim} comes after end_dim {end_dim}")
    if first == last and shape:
        return input
    return _reshape(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@operation
def unflatten(input: Tensor, dim: int, sizes: tuple[int, ...]) -> Tensor:
    """Split dim `dim` into `sizes`, one of which may be -1.

    >>> import tinygrad_lite as tg
    >>> tg.unflatten(tg.arange(6), 0, (2, 3))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    dim, shape = canonical_dim(dim, len(input.shape)), tuple(input.shape)
    if not shape:
        raise Refusal("a 0-d tensor has no dim to split up")
    if not isinstance(sizes, (tuple, list)) or not sizes:
        raise Refusal(argument="sizes", expected="one or more sizes", got=sizes)
    known = math.prod(n for n in sizes if n != -1)
    whole = tuple(shape[dim] // (known or 1) if n == -1 else n for n in sizes)
    if math.prod(whole) != shape[dim] or sizes.count(-1) > 1 or min(whole) < 0:
        raise Refusal(f"{sizes} do not make up the {shape[dim]} of dim {dim}")
    return _reshape(input, (*shape[:dim], *whole, *shape[dim + 1 :]))


@operation
def ravel(input: Tensor) -> Tensor:
    """Flatten all dims; a view if the tensor is contiguous.

    >>> import tinygrad_lite as tg
    >>> tg.ravel(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return _reshape(contiguous(input), (math.prod(input.shape),))


@operation
def squeeze(input: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """Remove all dims of size 1, or those among `dim`.

    >>> import tinygrad_lite as tg
    >>> tg.squeeze(tg.zeros(1, 3, 1), 0).shape
    (3, 1)
    """
    shape = tuple(input.shape)
    if dim is None:
        return _reshape(input, tuple(n for n in shape if n != 1))
    dims = [canonical_dim(d, len(shape)) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    if len(set(dims)) != len(dims):
        raise Refusal(f"a dim appears twice in {dim}")
    return _reshape(input, tuple(n for d, n in enumerate(shape) if n != 1 or d not in dims))


@operation
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Insert a dim of size 1 at position `dim` of the result.

    >>> import tinygrad_lite as tg
    >>> tg.unsqueeze(tg.tensor([1, 2]), 1).shape
    (2, 1)
    """
    shape = tuple(input.shape)
    dim = canonical_dim(dim, len(shape) + 1)
    return _reshape(input, (*shape[:dim], 1, *shape[dim:]))


def unsqueeze_dims(x: Any, dims: tuple[int, ...]) -> Any:
    """`x` with dims of size 1 at positions `dims` of the result."""
    sizes = iter(x.shape)
    rank = len(x.shape) + len(dims)
    return _reshape(x, tuple(1 if d in dims else next(sizes) for d in range(rank)))


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with at least one dim.

    >>> import tinygrad_lite as tg
    >>> tg.atleast_1d(tg.tensor(5))
    tensor([5])
    """
    return _each(tensors, lambda x: reshape(x, (1,)) if len(x.shape) < 1 else x)


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with at least two dims; new ones come first.

    >>> import tinygrad_lite as tg
    >>> tg.atleast_2d(tg.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return _each(tensors, lambda x: reshape(x, (1, -1 if x.shape else 1)) if len(x.shape) < 2 and x.shape != (0,) else
                 reshape(x, (1, 0)) if len(x.shape) < 2 else x)  # fmt: skip


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with at least three dims: (n,) becomes (1, n, 1), and (n, m) becomes (n, m, 1).

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
