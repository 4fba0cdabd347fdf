"""Norms of vectors and matrices, and functions based on them."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import as_dtype, only_tensors
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.norms import vector_norm_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import canonical_dim, canonical_dims, operation
from tinygrad_lite.ops.calculus import abs, permute, sign, to_dtype
from tinygrad_lite.ops.linalg.checks import check_float, check_matrix
from tinygrad_lite.ops.linalg.inverses import _inv
from tinygrad_lite.ops.linalg.svd import svdvals
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.shape import unsqueeze_dims
from tinygrad_lite.ops.reduction.extremes import amax, amin
from tinygrad_lite.ops.reduction.sums import Dims, sum
from tinygrad_lite.ops.typing import Tensor

__all__ = ["dist", "norm", "renorm"]

inf = math.inf


@primitive
def _vector_norm(x, ord, dims, keepdim):
    return vector_norm_of(x, ord, dims, keepdim)


_vector_norm.vjp(x=lambda g, x, ord, dims, keepdim, out: _norm_gradient(g, x, ord, dims, keepdim, out))


def _norm_gradient(g: Any, x: Any, ord: float, dims: tuple[int, ...], keepdim: bool, out: Any) -> Any:
    """A norm of zero gets the subgradient 0; ties for the largest element share the gradient."""
    if ord == 1:
        return (g if keepdim else unsqueeze_dims(g, dims)) * sign(x)
    if not keepdim:
        g, out = unsqueeze_dims(g, dims), unsqueeze_dims(out, dims)
    if ord == 0:
        return where(x == x, 0.0, g)
    if ord in (inf, -inf):
        largest = abs(x) == out
        return where(largest, g / largest.sum(dims, keepdims=True), 0.0) * sign(x)
    norm = where(out == 0, inf, out)
    if ord == 2:
        return g / norm * x
    if ord < 1:  # the derivative of the power is infinite at 0
        return where(x == 0, 0.0, g * sign(x) * (abs(where(x == 0, 1.0, x)) / norm) ** (ord - 1))
    return g * sign(x) * (abs(x) / norm) ** (ord - 1)


@operation
def vector_norm(x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm `sum(abs(x) ** ord) ** (1 / ord)` over `dim` (None: all elements).

    `ord`: any number; inf and -inf give the largest and smallest absolute value, 0 the number of nonzero elements. The
    gradient at a norm of zero is zero.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.vector_norm(tg.tensor([[3.0, -4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    check_float(x)
    if isinstance(ord, str) or not hasattr(ord, "__float__"):
        raise BadType(argument="ord", expected="a number", got=repr(ord))
    if dtype is not None:
        x = widened(x, dtype)
    ord = float(ord)
    dims = canonical_dims(dim, len(x.shape))
    if (ord < 0 or ord == inf) and 0 in [x.shape[d] for d in dims]:
        raise BadValue(f"a norm of order {ord} of no elements is not defined: shape {tuple(x.shape)}, dim {dim}")
    return _vector_norm(x, ord, dims, keepdim)


def widened(x: Any, dtype: Any) -> Any:
    """`x` in a `dtype` that holds all its values."""
    dtype = as_dtype(dtype)
    if dtype.kind not in "fc" or dtype.itemsize < x.dtype.itemsize:
        raise BadType(argument="dtype", expected=f"a floating-point dtype no narrower than {x.dtype}", got=dtype)
    return x if x.dtype == dtype else to_dtype(x, dtype)


@operation
def matrix_norm(A: Tensor, ord: Any = "fro", dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm of matrices, whose rows and columns are the two dims in `dim`.

    `ord`: "fro" (Frobenius), "nuc" (the sum of the singular values), 2 and -2 (the largest and smallest singular value), 1
    and -1 (the largest and smallest column sum of absolute values), inf and -inf (the same for rows).

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([[3.0, 0.0], [0.0, -4.0]])
    >>> tg.linalg.matrix_norm(x), tg.linalg.matrix_norm(x, 2), tg.linalg.matrix_norm(x, "nuc")
    (tensor(5.), tensor(4.), tensor(7.))
    """
    check_float(A)
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise BadType(expected="two dims", got=repr(dim))
    if len(A.shape) < 2:
        raise BadValue(expected="matrices", got=f"the shape {tuple(A.shape)}")
    if ord not in ("fro", "nuc", 1, -1, 2, -2, inf, -inf):
        raise BadValue(argument="ord", expected="ord 'fro', 'nuc', 1, -1, 2, -2, inf or -inf", got=repr(ord))
    if dtype is not None:
        A = widened(A, dtype)
    rank = len(A.shape)
    row, column = canonical_dims(dim, rank)
    if ord == "fro":
        return _vector_norm(A, 2.0, (row, column), keepdim)
    if ord in ("nuc", 2, -2):
        values = svdvals(permute(A, (*(d for d in range(rank) if d not in (row, column)), row, column)))
        result = values.sum(-1) if ord == "nuc" else _extreme(A, values, ord > 0, -1)
        return unsqueeze_dims(result, (row, column)) if keepdim else result
    if ord in (1, -1):
        row, column = column, row
    result = _extreme(A, _vector_norm(A, 1.0, (column,), True), ord > 0, row, keepdim=True)
    return result if keepdim else result.reshape(tuple(n for d, n in enumerate(result.shape) if d not in (row, column)))


def _extreme(A: Any, x: Any, largest: bool, dim: int, keepdim: bool = False) -> Any:
    if x.shape[dim] == 0:
        if largest:
            return sum(x, dim, keepdim)
        raise BadValue(f"this norm of no elements is not defined: shape {tuple(A.shape)}")
    return (amax if largest else amin)(x, dim, keepdim)


@operation
def linalg_norm(input: Tensor, ord: Any = None, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The vector norm over one dim (or over all, without `ord` and `dim`), or the matrix norm over two.

    With `ord` but no `dim`, `input` must have one or two dims. See `vector_norm` and `matrix_norm` for `ord`.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.norm(tg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if dim is None:
        if ord is None:
            return vector_norm(input, 2, None, keepdim, dtype=dtype)
        if len(input.shape) not in (1, 2):
            expected = "1 or 2 dims where ord is given and dim is not"
            raise BadValue(expected=expected, got=f"the shape {tuple(input.shape)}")
        dim = tuple(range(len(input.shape)))
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    if len(dims) not in (1, 2):
        raise BadValue(expected="one or two dims", got=dim)
    if ord is None or (len(dims) == 1 and not isinstance(ord, str)):
        return vector_norm(input, 2 if ord is None else ord, tuple(dims), keepdim, dtype=dtype)
    return matrix_norm(input, ord, tuple(dims), keepdim, dtype=dtype)  # type: ignore[arg-type]


@operation
def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number: the ratio of the largest to the smallest singular value (its inverse for p = -2), or norm(A, p)
    * norm(inv(A), p) for the other norms; inf for a singular matrix.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.cond(tg.tensor([[8.0, 0.0], [0.0, 2.0]]))
    tensor(4.)
    """
    check_matrix(A, square=isinstance(p, str) or (p not in (None, 2, -2) and 0 not in A.shape))
    if 0 in A.shape:
        return sum(A, (-2, -1))
    if p in (None, 2, -2):
        values = svdvals(A)
        large, small = values[..., 0], values[..., -1]
        return small / large if p == -2 else large / small
    result = matrix_norm(A, p) * matrix_norm(_inv(A, False), p)
    return where(result == result, result, inf)  # 0 times inf, for a zero matrix


@operation
def norm(input: Tensor, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """`linalg.vector_norm` of order `p` over `dim` (None: all elements); "fro" and None mean 2; "nuc" is the sum of the
    singular values of a matrix.

    >>> import tinygrad_lite as tg
    >>> tg.norm(tg.tensor([3.0, -4.0]))
    tensor(5.)
    """
    if p is None or p == "fro":
        p = 2
    if isinstance(p, str):
        return matrix_norm(input, p, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)  # type: ignore[arg-type]
    return vector_norm(input, p, dim, keepdim, dtype=dtype)


@operation
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The `p`-norm of `input - other`.

    >>> import tinygrad_lite as tg
    >>> tg.dist(tg.tensor([0.0, 0.0]), tg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    only_tensors(input, other)
    return vector_norm(input - other, p)


@operation
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """`input` with each slice along `dim` whose `p`-norm exceeds `maxnorm` scaled down to it.

    >>> import tinygrad_lite as tg
    >>> tg.renorm(tg.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if input.ndim < 2:
        raise BadValue(expected="a tensor of at least 2 dims", got=f"the shape {tuple(input.shape)}")
    if p <= 0 or maxnorm < 0:
        raise BadValue(argument="p", expected="a positive p and a maxnorm of 0 or more", got=f"{p} and {maxnorm}")
    axis = canonical_dim(dim, input.ndim)
    length = vector_norm(input, p, tuple(d for d in range(input.ndim) if d != axis), True)
    return contiguous(input * where(length > maxnorm, maxnorm / (length + 1e-7), 1.0))
