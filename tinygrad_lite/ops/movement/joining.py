"""Several tensors to one, and one to several."""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

from tinygrad_lite.arrays import common_dtype, is_array
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.calculus import cat as _cat
from tinygrad_lite.ops.calculus import stack as _stack
from tinygrad_lite.ops.calculus import to_dtype
from tinygrad_lite.ops.calling import canonical_dim, integer, operation, raw
from tinygrad_lite.ops.movement.indexing import getitem
from tinygrad_lite.ops.movement.shape import atleast_1d, atleast_2d, atleast_3d, reshape
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = [
    "cat", "chunk", "column_stack", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "row_stack", "split",
    "split_with_sizes", "stack", "tensor_split", "unbind", "unsafe_chunk", "unsafe_split", "vsplit", "vstack",
]  # fmt: skip


# -- joining ------------------------------------------------------------------------------------


def _listed(name: str, tensors: Any) -> list[Any]:
    """The tensors to be joined: one or more."""
    if isinstance(tensors, Traced) and tensors.array.ndim:
        return list(tensors)
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(f"{name}: expected a sequence of Tensors, got {type(tensors).__name__}")
    if not tensors:
        raise ValueError(f"{name}: expected one or more Tensors, got none")
    for i, x in enumerate(tensors):
        if not (isinstance(x, Traced) or is_array(x)):
            raise TypeError(f"{name}: expected Tensors, got {type(x).__name__} at place {i}")
    return list(tensors)


def _sequence(name: str, tensors: Any) -> list[Any]:
    """The tensors to be joined, in the dtype that they meet in."""
    tensors = _listed(name, tensors)
    if len({x.dtype for x in tensors}) > 1:
        dtype = common_dtype(*(raw(x) for x in tensors))
        return [x if x.dtype == dtype else to_dtype(x, dtype) for x in tensors]
    return tensors


@operation
def cat(tensors: Any, dim: int = 0) -> AnyTensor:
    """The tensors one after the other along `dim`; their other sizes agree.

    >>> import tinygrad_lite as tg
    >>> tg.cat([tg.zeros(2), tg.ones(1)])
    tensor([0., 0., 1.])
    """
    tensors = _sequence("cat", tensors)
    shapes = [tuple(x.shape) for x in tensors]
    if () in shapes:
        raise TypeError("cat: a 0-d tensor cannot be joined; use stack()")
    rank = max(map(len, shapes))
    dim = canonical_dim("cat", dim, rank)
    if rank > 1 and (0,) in shapes:  # an empty 1-D tensor goes with every shape, as in PyTorch
        other = next((shape for shape in shapes if shape != (0,)), (0,))
        nothing = (*other[:dim], 0, *other[dim + 1 :])
        tensors = [reshape(x, nothing) if shape == (0,) else x for x, shape in zip(tensors, shapes)]
        shapes = [nothing if shape == (0,) else shape for shape in shapes]
    first = shapes[0]
    for i, shape in enumerate(shapes):
        if shape != first and (len(shape) != rank or shape[:dim] + shape[dim + 1 :] != first[:dim] + first[dim + 1 :]):
            raise RuntimeError(f"cat: sizes must agree except at dim {dim}: tensor 0 has {first}, tensor {i} has {shape}")
    return _cat(dim, *tensors)


concat = concatenate = cat


@operation
def stack(tensors: Any, dim: int = 0) -> AnyTensor:
    """Tensors of one shape along a new dim `dim`.

    >>> import tinygrad_lite as tg
    >>> tg.stack([tg.zeros(2), tg.ones(2)], dim=1)
    tensor([[0., 1.],
            [0., 1.]])
    """
    tensors = _sequence("stack", tensors)
    first = tuple(tensors[0].shape)
    for i, x in enumerate(tensors):
        if tuple(x.shape) != first:
            raise RuntimeError(f"stack: expected tensors of one shape: tensor 0 has {first}, tensor {i} has {tuple(x.shape)}")
    return _stack(canonical_dim("stack", dim, len(first) + 1), *tensors)


@operation
def hstack(tensors: Any) -> AnyTensor:
    """Joined along dim 1; 1-D tensors along dim 0.

    >>> import tinygrad_lite as tg
    >>> tg.hstack([tg.tensor([1, 2]), tg.tensor([3])])
    tensor([1, 2, 3])
    """
    tensors = [atleast_1d(x) for x in _listed("hstack", tensors)]
    return cat(tensors, 0 if len(tensors[0].shape) == 1 else 1)


@operation
def vstack(tensors: Any) -> AnyTensor:
    """Joined along dim 0, with 1-D tensors as rows.

    >>> import tinygrad_lite as tg
    >>> tg.vstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([atleast_2d(x) for x in _listed("vstack", tensors)], 0)


row_stack = vstack


@operation
def dstack(tensors: Any) -> AnyTensor:
    """Joined along dim 2.

    >>> import tinygrad_lite as tg
    >>> tg.dstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat([atleast_3d(x) for x in _listed("dstack", tensors)], 2)


@operation
def column_stack(tensors: Any) -> AnyTensor:
    """Joined along dim 1, with 1-D tensors as columns.

    >>> import tinygrad_lite as tg
    >>> tg.column_stack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    columns = [x if len(x.shape) > 1 else reshape(x, (math.prod(x.shape), 1)) for x in _listed("column_stack", tensors)]
    return cat(columns, 1)


# -- splitting ----------------------------------------------------------------------------------


@primitive(view=True)
def _split(input, sizes, dim):
    """Parts of these sizes; of size 1 and without the dim, where `sizes` is None."""
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
        raise IndexError("unbind: a 0-d tensor has no dim to take apart")
    return _split(input, None, canonical_dim("unbind", dim, len(input.shape)))


@operation
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of the given sizes along `dim`, as views; the sizes add up to `input`'s.

    >>> import tinygrad_lite as tg
    >>> tg.split_with_sizes(tg.arange(5), [2, 3])
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    dim = _split_dim("split_with_sizes", input, dim)
    sizes = tuple(operator.index(n) for n in split_sizes)
    if sum(sizes) != input.shape[dim] or min(sizes, default=0) < 0:
        raise RuntimeError(f"split_with_sizes: the sizes {sizes} do not add up to the {input.shape[dim]} of dim {dim}")
    return _split(input, sizes, dim)


def _split_dim(name: str, x: Any, dim: int) -> int:
    if not x.shape:
        raise RuntimeError(f"{name}: a 0-d tensor has no dim to split")
    return canonical_dim(name, dim, len(x.shape))


@operation
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of one size (the last may be smaller), or of a list of sizes, along `dim`: views.

    >>> import tinygrad_lite as tg
    >>> tg.split(tg.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    dim = _split_dim("split", tensor, dim)
    size, n = integer("split", "split_size_or_sections", split_size_or_sections), tensor.shape[dim]
    if size < 0 or (size == 0 and n):
        raise RuntimeError(f"split: expected a positive size, got {size}")
    return _split(tensor, (size,) * (n // size) + ((n % size,) if n % size else ()) if n else (0,), dim)


@operation
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of one size, the last of which may be smaller: views.

    >>> import tinygrad_lite as tg
    >>> tg.chunk(tg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    dim, chunks = _split_dim("chunk", input, dim), integer("chunk", "chunks", chunks)
    if chunks <= 0:
        raise RuntimeError(f"chunk: expected 1 or more chunks, got {chunks}")
    n = input.shape[dim]
    return split(input, -(-n // chunks), dim) if n else _split(input, (0,) * chunks, dim)


unsafe_chunk, unsafe_split = chunk, split


@operation
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None, sections: int | None = None,
    tensor_indices_or_sections: Any = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """As many parts as an int says, as equal as can be; or parts that end at the given indices: views.

    >>> import tinygrad_lite as tg
    >>> tg.tensor_split(tg.arange(5), 3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    given = next((a for a in (indices_or_sections, indices, sections, tensor_indices_or_sections) if a is not None), None)
    dim = _split_dim("tensor_split", input, dim)
    n = input.shape[dim]
    if isinstance(given, Traced):
        given = given.array.tolist()
    if isinstance(given, (tuple, list)):
        points = [min(max(i + n if i < 0 else i, 0), n) for i in map(operator.index, given)]
        starts, ends = [0, *points], [*points, n]
    else:
        count = integer("tensor_split", "indices_or_sections", given)
        if count <= 0:
            raise RuntimeError(f"tensor_split: expected 1 or more sections, got {count}")
        ends = list(itertools.accumulate(n // count + (i < n % count) for i in range(count)))
        starts = [0, *ends[:-1]]
    before = (slice(None),) * dim
    # Views of their own, which may be changed in place: those of split() may not.
    return tuple(getitem(input, (*before, slice(a, max(a, b)))) for a, b in zip(starts, ends))


def _split_evenly(name: str, x: Tensor, indices_or_sections: Any, dim: int, rank: int) -> tuple[Tensor, ...]:
    if len(x.shape) < rank:
        raise RuntimeError(f"{name}: expected {rank} or more dimensions, got the shape {tuple(x.shape)}")
    if isinstance(indices_or_sections, (tuple, list)):
        return tensor_split(x, indices_or_sections, dim)
    sections = integer(name, "indices_or_sections", indices_or_sections)
    if sections <= 0 or x.shape[dim] % sections:
        raise RuntimeError(f"{name}: {x.shape[dim]} slices do not make {indices_or_sections} equal parts; use tensor_split()")
    return tensor_split(x, indices_or_sections, dim)


@operation
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 1 (0 for a 1-D tensor), into equal parts where a number is given.

    >>> import tinygrad_lite as tg
    >>> tg.hsplit(tg.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return _split_evenly("hsplit", input, indices_or_sections, 0 if len(input.shape) == 1 else 1, 1)


@operation
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 0, into equal parts where a number is given.

    >>> import tinygrad_lite as tg
    >>> [part.shape for part in tg.vsplit(tg.ones(4, 3), [1])]
    [(1, 3), (3, 3)]
    """
    return _split_evenly("vsplit", input, indices_or_sections, 0, 2)


@operation
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dim 2, into equal parts where a number is given.

    >>> import tinygrad_lite as tg
    >>> [part.shape for part in tg.dsplit(tg.ones(2, 3, 4), 2)]
    [(2, 3, 2), (2, 3, 2)]
    """
    return _split_evenly("dsplit", input, indices_or_sections, 2, 3)
