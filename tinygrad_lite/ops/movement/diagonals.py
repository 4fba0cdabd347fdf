"""Diagonals and triangles."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import as_dtype, int64, namespace_for, namespace_of, on_device
from tinygrad_lite.arrays.errors import BadIndex, Refusal
from tinygrad_lite.arrays.indexing import Region, unit
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import canonical_dim, integer, operation
from tinygrad_lite.ops.calculus import getitem, into_zeros
from tinygrad_lite.ops.creation.factories import arange, creator, zeros
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.joining import cat
from tinygrad_lite.ops.movement.masking import masked_fill
from tinygrad_lite.ops.movement.shape import atleast_2d, reshape
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = ["block_diag", "diag", "diag_embed", "diagflat", "diagonal", "tril", "tril_indices", "triu", "triu_indices"]


def diagonal_region(shape: Any, offset: int, dim1: int, dim2: int) -> Region:
    """The region of a tensor of `shape` whose last dim is the diagonals."""
    rank, offset = len(shape), integer("offset", offset)
    d1, d2 = canonical_dim(dim1, rank), canonical_dim(dim2, rank)
    if d1 == d2:
        raise Refusal(f"dim1 and dim2 are both {d1}")
    count = max(min(shape[d1], shape[d2] - offset) if offset >= 0 else min(shape[d1] + offset, shape[d2]), 0)
    kept = [d for d in range(rank) if d not in (d1, d2)]
    down = tuple(int(d in (d1, d2)) for d in range(rank))
    start = unit(rank, d2, offset) if offset >= 0 else unit(rank, d1, -offset)
    size = *(shape[d] for d in kept), count
    return Region(size, (*(unit(rank, d) for d in kept), down), start if all(size) else (0,) * rank)


@operation
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of each matrix in the dims `dim1` and `dim2`, as the last dim: a view.

    `offset`: how far above (below, if negative) the main diagonal.

    >>> import tinygrad_lite as tg
    >>> tg.diagonal(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return getitem(input, diagonal_region(tuple(input.shape), offset, dim1, dim2))


@operation
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zero matrices, in the dims `dim1` and `dim2` of the result, with the last dim of `input` on their diagonals.

    >>> import tinygrad_lite as tg
    >>> tg.diag_embed(tg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    rank, offset = len(input.shape) + 1, integer("offset", offset)
    if not input.shape:
        raise BadIndex(expected="one dim or more", got="a 0-d tensor")
    d1, d2 = canonical_dim(dim1, rank), canonical_dim(dim2, rank)
    shape = list(input.shape[:-1])
    for d in sorted((d1, d2)):
        shape.insert(d, input.shape[-1] + abs(offset))
    return into_zeros(input, tuple(shape), diagonal_region(shape, offset, d1, d2))


@operation
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a given diagonal.

    >>> import tinygrad_lite as tg
    >>> tg.diag(tg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if len(input.shape) not in (1, 2):
        raise Refusal(expected="a vector or a matrix", got=tuple(input.shape), hint="use diagonal() or diag_embed()")
    if len(input.shape) == 1:
        return diag_embed(input, diagonal)
    return clone(getitem(input, diagonal_region(tuple(input.shape), diagonal, 0, 1)))


@operation
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements of `input` on its diagonal.

    >>> import tinygrad_lite as tg
    >>> tg.diagflat(tg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(reshape(input, (-1,)), offset)


@operation
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix, zeros elsewhere; `diagonal`: the last diagonal to keep.

    >>> import tinygrad_lite as tg
    >>> tg.tril(tg.ones(2, 3))
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return _triangle(input, diagonal, lambda i, j: j > i)


@operation
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix, zeros elsewhere; `diagonal`: the first diagonal to keep.

    >>> import tinygrad_lite as tg
    >>> tg.triu(tg.ones(3, 3))
    tensor([[1., 1., 1.],
            [0., 1., 1.],
            [0., 0., 1.]])
    """
    return _triangle(input, diagonal, lambda i, j: j < i)


def _triangle(x: Any, diagonal: int, outside: Any) -> Any:
    first = integer("diagonal", diagonal)
    if len(x.shape) < 2:
        raise Refusal(expected="2 or more dimensions", got=f"the shape {tuple(x.shape)}")
    xp = namespace_of(x.array if isinstance(x, Traced) else x)
    return masked_fill(x, outside(xp.arange(first, first + x.shape[-2])[:, None], xp.arange(x.shape[-1])), 0)


@creator
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None) -> AnyTensor:
    """The indices of the lower triangle of a (row, col) matrix, as the two rows of a tensor.

    >>> import tinygrad_lite as tg
    >>> tg.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _indices(row, col, offset, dtype, device, lambda i, j: j <= i)


@creator
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None) -> AnyTensor:
    """The indices of the upper triangle of a (row, col) matrix, as the two rows of a tensor.

    >>> import tinygrad_lite as tg
    >>> tg.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _indices(row, col, offset, dtype, device, lambda i, j: j >= i)


def _indices(row: int, col: int, offset: int, dtype: Any, device: Any, inside: Any) -> Any:
    row, col, offset = integer("row", row), integer("col", col), integer("offset", offset)
    if row < 0 or col < 0:
        raise Refusal(expected="sizes of 0 or more", got=f"{row} and {col}")
    if as_dtype(dtype).kind != "i":
        raise Refusal(argument="dtype", expected="an integer dtype", got=dtype)
    with on_device(device):
        xp = namespace_for(device)
        return traced(xp.stack(inside(xp.arange(offset, offset + row)[:, None], xp.arange(col)).nonzero()).astype(as_dtype(dtype)))


@operation
def block_diag(*tensors: Any) -> AnyTensor:
    """The matrix with the given matrices along its diagonal, zeros elsewhere.

    >>> import tinygrad_lite as tg
    >>> tg.block_diag(tg.tensor([1, 2]), tg.tensor([[3]]))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    blocks = [atleast_2d(x) for x in tensors]
    if any(len(x.shape) > 2 for x in blocks):
        raise Refusal(argument="tensors", expected="tensors of at most 2 dimensions")
    if not blocks:
        return zeros(1, 0)
    columns = sum(x.shape[1] for x in blocks)
    rows, start = [], 0
    for x in blocks:
        rows.append(into_zeros(x, (x.shape[0], columns), (slice(None), slice(start, start + x.shape[1]))))
        start += x.shape[1]
    return cat(rows, 0)


def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Write `fill_value` where all indices are equal; `wrap`: repeat the diagonal in a tall matrix, after each square and
    one row.

    >>> import tinygrad_lite as tg
    >>> tg.zeros(2, 2).fill_diagonal_(5)
    tensor([[5., 0.],
            [0., 5.]])
    """
    if input.ndim < 2 or (input.ndim > 2 and len(set(input.shape)) > 1):
        raise Refusal(function="fill_diagonal_", expected="a matrix, or more dims of one size", got=f"shape {tuple(input.shape)}")
    down = arange(input.shape[0] if wrap and input.ndim == 2 else min(input.shape), device=input.device)
    across = down % (input.shape[1] + 1) if input.ndim == 2 else down
    inside = across < input.shape[-1]
    input[(*(down[inside],) * (input.ndim - 1), across[inside])] = fill_value
    return input
