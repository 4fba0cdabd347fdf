"""The LU factorization, and solving systems with its factors."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import as_array, in_order, int32, lu_of, namespace_of
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.gpu import whole
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import matmul
from tinygrad_lite.ops.linalg.checks import LinAlgError, check_matrix, like, recorded
from tinygrad_lite.ops.linalg.solving import _check_system
from tinygrad_lite.ops.linalg.triangular import _solve_triangular
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.diagonals import tril, triu
from tinygrad_lite.ops.movement.joining import cat
from tinygrad_lite.ops.typing import Tensor

__all__ = ["lu_solve", "lu_unpack"]


LUFactor = namedtuple("LUFactor", ["LU", "pivots"])


LU = namedtuple("LU", ["P", "L", "U"])


@primitive
def _lu_factor(A):
    return lu_of(A)


@whole
def permutation(pivots: Any, rows: int, dtype: Any) -> Any:
    """The matrix P of A = P @ L @ U, as an array."""
    xp = namespace_of(pivots)
    eye = xp.eye(rows, dtype=dtype)
    if not pivots.size:
        return xp.broadcast_to(eye, (*pivots.shape[:-1], rows, rows)).copy()
    orders = []
    for exchanged in pivots.reshape((-1, pivots.shape[-1])).tolist():
        order = list(range(rows))
        for i, row in enumerate(exchanged):
            order[i], order[row - 1] = order[row - 1], order[i]
        orders.append(order)
    return eye[xp.asarray(orders)].reshape((*pivots.shape[:-1], rows, rows)).mT


_lu_factor.vjp(A=lambda g, out: _lu_gradient(g[0], *out))


def _lu_gradient(g: Any, lu: Any, pivots: Any) -> Any:
    """The gradient for square matrices."""
    lower = tril(g, -1)
    inner = tril(tril(lu, -1).mT @ lower + lower, -1) + triu(triu(g) @ triu(lu).mT)
    inner = _solve_triangular(lu.mT, inner, True, True)
    inner = _solve_triangular(lu, inner.mT, True, False).mT
    return matmul(permutation(raw(pivots), lu.shape[-1], lu.dtype), inner)


def _lu(A: Any) -> tuple[Any, Any]:
    rows, columns = A.shape[-2:]
    if rows == columns or not recorded(A):
        return _lu_factor(A)
    # With the rows in order, the square part has the same pivots.
    pivots = _lu_factor(A.array)[1]
    A = matmul(permutation(pivots, rows, A.dtype).mT, A)
    k = min(rows, columns)
    square = _lu_factor(A[..., :k, :k])[0]
    if rows < columns:
        return cat([square, _solve_triangular(square, A[..., k:], False, True)], -1), traced(pivots)
    return cat([square, _solve_triangular(square.mT, A[..., k:, :].mT, False, False).mT], -2), traced(pivots)


@operation
def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactor:
    """`LU, pivots` with A = P @ L @ U: U in the upper triangle of LU, L below its diagonal (its own is ones), and pivots
    the row exchanged at each step, counted from 1.

    Raises LinAlgError if U has a zero on its diagonal.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.lu_factor(tg.tensor([[0.0, 1.0], [2.0, 0.0]])).pivots.tolist()
    [2, 2]
    """
    result = lu_factor_ex(A, pivot=pivot)
    _check_regular(result.info, hint="linalg.lu would give the factors")
    return LUFactor(result.LU, result.pivots)


LUFactorEx = namedtuple("LUFactorEx", ["LU", "pivots", "info"])


@operation
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LUFactorEx:
    """Like `lu_factor`, with `info`: 0, or the position (from 1) of the first zero on U's diagonal."""
    check_matrix(A)
    if not pivot:
        raise BadValue(expected="pivot=True: there is no factorization without exchanges on a CPU")
    factors, pivots = _lu(A)
    values = raw(factors)
    zero = namespace_of(values).diagonal(values, 0, -2, -1) == 0
    info = like(A, as_array(((zero.cumsum(-1) == 0).sum(-1, dtype=int32) + 1) * zero.any(-1)))
    if check_errors:
        _check_regular(info)
    return LUFactorEx(factors, pivots, info)


def _check_regular(info: Any, hint: str = "") -> None:
    array, message = raw(info), "the matrix is singular: U has a zero on its diagonal"
    if not left_to_program(array != 0, LinAlgError, f"{message}; {hint}" if hint else message) and bool(array.any()):
        raise LinAlgError(message, hint=hint)


@operation
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> LU:
    """The factors `P, L, U` from the result of `lu_factor`."""
    rows, columns = LU_data.shape[-2:]
    k = min(rows, columns)
    pivots = raw(LU_pivots)
    xp = namespace_of(pivots)
    P = in_order(permutation(pivots, rows, LU_data.dtype)) if unpack_pivots else xp.zeros((0,), LU_data.dtype)
    if not unpack_data:
        return LU(like(LU_data, P), *(like(LU_data, xp.zeros((0,), LU_data.dtype)) for _ in range(2)))
    L = tril(LU_data[..., :k], -1) + xp.eye(rows, k, dtype=LU_data.dtype)
    return LU(like(LU_data, P), L, triu(LU_data[..., :k, :]))


@operation
def lu(A: Tensor, *, pivot: bool = True) -> LU:
    """`P, L, U` with P @ L @ U = A: a permutation matrix, a unit lower triangular and an upper triangular matrix.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.lu(tg.tensor([[1.0, 2.0], [4.0, 4.0]])).U
    tensor([[4., 4.],
            [0., 1.]])
    """
    return lu_unpack(*lu_factor_ex(A, pivot=pivot)[:2])


@operation
def linalg_lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The X of A @ X = B (of X @ A = B if not `left`; with A.mT instead of A if `adjoint`), given `LU` and `pivots` from
    `lu_factor(A)`."""
    check_matrix(LU, square=True)
    _check_system(LU, B, left)
    if not left:
        return contiguous(linalg_lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT)
    P = permutation(raw(pivots), LU.shape[-1], LU.dtype)
    if adjoint:
        y = _solve_triangular(LU.mT, B, False, False)
        return matmul(P, _solve_triangular(LU.mT, y, True, True))
    y = _solve_triangular(LU, matmul(P.mT, B), False, True)
    return _solve_triangular(LU, y, True, False)


@operation
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """The X of A @ X = input, given `LU_data` and `LU_pivots` from `lu_factor(A)`."""
    return linalg_lu_solve(LU_data, LU_pivots, input)
