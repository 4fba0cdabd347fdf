"""Joining and splitting tensors."""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

from tinygrad_lite.arrays import common_dtype, is_array
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue, Refusal
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import canonical_dim, integer, operation, raw
from tinygrad_lite.ops.calculus import cat as _cat
from tinygrad_lite.ops.calculus import stack as _stack
from tinygrad_lite.ops.calculus import to_dtype
from tinygrad_lite.ops.movement.indexing import getitem
from tinygrad_lite.ops.movement.shape import atleast_1d, atleast_2d, atleast_3d, reshape
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = [
    "cat", "chunk", "column_stack", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "row_stack", "split",
    "split_with_sizes", "stack", "tensor_split", "unbind", "unsafe_chunk", "unsafe_split", "vsplit", "vstack",
]  # fmt: skip


# -- joining ------------------------------------------------------------------------------------


def _listed(tensors: Any) -> list[Any]:
    """The tensors to join, at least one."""
    if isinstance(tensors, Traced) and tensors.array.ndim:
        return list(tensors)
    if not isinstance(tensors, (tuple, list)):
        raise BadType(expected="a sequence of Tensors", got=type(tensors).__name__)
    if not tensors:
        raise BadValue(expected="one or more Tensors", got="none")
    for i, x in enumerate(tensors):
        if not (isinstance(x, Traced) or is_array(x)):
            raise BadType(expected="Tensors", got=f"{type(x).__name__} at place {i}")
    return list(tensors)


def _sequence(tensors: Any) -> list[Any]:
    """The tensors to join, in their common dtype."""
    tensors = _listed(tensors)
    if len({x.dtype for x in tensors}) > 1:
        dtype = common_dtype(*(raw(x) for x in tensors))
        return [x if x.dtype == dtype else to_dtype(x, dtype) for x in tensors]
    return tensors


@operation
def cat(tensors: Any, dim: int = 0) -> AnyTensor:
    """Concatenate the tensors along `dim`; their other sizes must agree.

    >>> import tinygrad_lite as tg
    >>> tg.cat([tg.zeros(2), tg.ones(1)])
    tensor([0., 0., 1.])
    """
    tensors = _sequence(tensors)
    shapes = [tuple(x.shape) for x in tensors]
    if () in shapes:
        raise BadType("a 0-d tensor cannot be joined", hint="use stack()")
    rank = max(map(len, shapes))
    dim = canonical_dim(dim, rank)
    if rank > 1 and (0,) in shapes:  # an empty 1-d tensor fits every shape, as in PyTorch
        other = next((shape for shape in shapes if shape != (0,)), (0,))
        nothing = (*other[:dim], 0, *other[dim + 1 :])
        tensors = [reshape(x, nothing) if shape == (0,) else x for x, shape in zip(tensors, shapes)]
        shapes = [nothing if shape == (0,) else shape for shape in shapes]
    first = shapes[0]
    for i, shape in enumerate(shapes):
        if shape != first and (len(shape) != rank or shape[:dim] + shape[dim + 1 :] != first[:dim] + first[dim + 1 :]):
            raise Refusal(f"sizes must agree except at dim {dim}: tensor 0 has {first}, tensor {i} has {shape}")
    return _cat(dim, *tensors)


concat = concatenate = cat


@operation
def stack(tensors: Any, dim: int = 0) -> AnyTensor:
    """Stack tensors of one shape along a new dim `dim`.

    >>> import tinygrad_lite as tg
    >>> tg.stack([tg.zeros(2), tg.ones(2)], dim=1)
    tensor([[0., 1.],
            [0., 1.]])
    """
    tensors = _sequence(tensors)
    first = tuple(tensors[0].shape)
    for i, x in enumerate(tensors):
        if tuple(x.shape) != first:
            raise Refusal(argument="tensors", expected=f"tensors of one shape: tensor 0 has {first}, tensor {i} has {tuple(x.shape)}")
    return _stack(canonical_dim(dim, len(first) + 1), *tensors)


@operation
def hstack(tensors: Any) -> AnyTensor:
    """Join along dim 1; 1-d tensors along dim 0.

    >>> import tinygrad_lite as tg
    >>> tg.hstack([tg.tensor([1, 2]), tg.tensor([3])])
    tensor([1, 2, 3])
    """
    tensors = [atleast_1d(x) for x in _listed(tensors)]
    return cat(tensors, 0 if len(tensors[0].shape) == 1 else 1)


@operation
def vstack(tensors: Any) -> AnyTensor:
    """Join along dim 0, with 1-d tensors as rows.

    >>> import tinygrad_lite as tg
    >>> tg.vstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([atleast_2d(x) for x in _listed(tensors)], 0)


row_stack = vstack


@operation
def dstack(tensors: Any) -> AnyTensor:
    """Join along dim 2.

    >>> import tinygrad_lite as tg
    >>> tg.dstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat([atleast_3d(x) for x in _listed(tensors)], 2)


@operation
def column_stack(tensors: Any) -> AnyTensor:
    """Join along dim 1, with 1-d tensors as columns.

    >>> import tinygrad_lite as tg
    >>> tg.column_stack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    columns = [x if len(x.shape) > 1 else reshape(x, (math.prod(x.shape), 1)) for x in _listed(tensors)]
    return cat(columns, 1)


# -- splitting ----------------------------------------------------------------------------------


@primitive(view=True)
def _split(input, sizes, dim):
    """Parts of the given sizes; if `sizes` is None, single slices without the dim."""
    before = (slice(None),) * dim
    if sizes is None:
        return tuple(input[(*before, i, ...)] for i in range(input.shape[dim]))
    return tuple(input[(*before, slice(end - size, end))] for size, end in zip(sizes, itertools.accumulate(sizes)))


_split.vjp(input=lambda g, sizes, dim: _stack(dim, *g) if sizes is None else _cat(dim, *g))


@operation
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dim, as views without that dim.

    >>> import tinygrad_lite as tg
    >>> tg.unbind(tg.tensor([[1, 2], [3, 4]]), dim=1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    if not input.shape:
        raise BadIndex("a 0-d tensor has no dim to take apart")
    return _split(input, None, canonical_dim(dim, len(input.shape)))


@operation
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of the given sizes along `dim`, as views; the sizes must add up to the whole.

    >>> import tinygrad_lite as tg
    >>> tg.split_with_sizes(tg.arange(5), [2, 3])
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    dim = _split_dim(input, dim)
    sizes = tuple(operator.index(n) for n in split_sizes)
    if sum(sizes) != input.shape[dim] or min(sizes, default=0) < 0:
        raise Refusal(f"the sizes {sizes} do not add up to the {input.shape[dim]} of dim {dim}")
    return _split(input, sizes, dim)


def _split_dim(x: Any, dim: int) -> int:
    if not x.shape:
        raise Refusal("a 0-d tensor has no dim to split")
    return canonical_dim(dim, len(x.shape))


@operation
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts along `dim` of one size (the last may be smaller), or of a list of sizes: views.

    >>> import tinygrad_lite as tg
    >>> tg.split(tg.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    dim = _split_dim(tensor, dim)
    size, n = integer("split_size_or_sections", split_size_or_sections), tensor.shape[dim]
    if size < 0 or (size == 0 and n):
        raise Refusal(expected="a positive size", got=size)
    return _split(tensor, (size,) * (n // size) + ((n % size,) if n % size else ()) if n else (0,), dim)


@operation
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of equal size, of which the last may be smaller: views.

    >>> import tinygrad_lite as tg
    >>> tg.chunk(tg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    dim, chunks = _split_dim(input, dim), integer("chunks", chunks)
    if chunks <= 0:
        raise Refusal(argument="chunks", expected="1 or more chunks", got=chunks)
    n = input.shape[dim]
    return split(input, -(-n // chunks), dim) if n else _split(input, (0,) * chunks, dim)


unsafe_chunk, unsafe_split = chunk, split


@operation
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None, sections: int | None = None,
    tensor_indices_or_sections: Any = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Split into a number of nearly equal parts, or at the given indices: views.

    >>> import tinygrad_lite as tg
    >>> tg.tensor_split(tg.arange(5), 3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    given = next((a for a in (indices_or_sections, indices, sections, tensor_indices_or_sections) if a is not None), None)
    dim = _split_dim(input, dim)
    n = input.shape[dim]
    if isinstance(given, Traced):
        given = given.array.tolist()
    if isinstance(given, (tuple, list)):
        points = [min(max(i + n if i < 0 else i, 0), n) for i in map(operator.index, given)]
        starts, ends = [0, *points], [*points, n]
    else:
        count = integer("indices_or_sections", given)
        if count <= 0:
            raise Refusal(argument="sections", expected="1 or more sections", got=count)
        ends = list(itertools.accumulate(n // count + (i < n % count) for i in range(count)))
        starts = [0, *ends[:-1]]
    before = (slice(None),) * dim
    # Separate views, which may be changed in place, unlike those of split().
    return tuple(getitem(input, (*before, slice(a, max(a, b)))) for a, b in zip(starts, ends))


def _split_evenly(x: Tensor, indices_or_sections: Any, dim: int, rank: int) -> tuple[Tensor, ...]:
    if len(x.shape) < rank:
        raise Refusal(expected=f"{rank} or more dimensions", got=f"the shape {tuple(x.shape)}")
    if isinstance(indices_or_sections, (tuple, list)):
        return tensor_split(x, indices_or_sections, dim)
    sections = integer("indices_or_sections", indices_or_sections)
    if sections <= 0 or x.shape[dim] % sections:
        raise Refusal(f"{x.shape[dim]} slices do not make {indices_or_sections} equal parts", hint="use tensor_split()")
    return tensor_split(x, indices_or_sections, dim)


@operation
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 1 (0 for a 1-d tensor); a number requires equal parts.

    >>> import tinygrad_lite as tg
    >>> tg.hsplit(tg.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return _split_evenly(input, indices_or_sections, 0 if len(input.shape) == 1 else 1, 1)


@operation
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 0; a number requires equal parts.

    >>> import tinygrad_lite as tg
    >>> [part.shape for part in tg.vsplit(tg.ones(4, 3), [1])]
    [(1, 3), (3, 3)]
    """
    return _split_evenly(input, indices_or_sections, 0, 2)


@operation
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 2; a number requires equal parts.

    >>> import tinygrad_lite as tg
    >>> [part.shape for part in tg.dsplit(tg.ones(2, 3, 4), 2)]
    [(2, 3, 2), (2, 3, 2)]
    """
    return _split_evenly(input, indices_or_sections, 2, 3)
