"""Triangular systems, and the factors that are triangular: Cholesky, QR and LU.

The last two dims are a matrix, the dims before them a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays import as_array, cholesky_of, in_order, linalg, lu_of, namespace_of, solve_triangular_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.ops.calculus import matmul
from tinygrad_lite.ops.calling import operation, raw
from tinygrad_lite.ops.linalg.checks import LinAlgError, check_matrix, failing, like, recorded
from tinygrad_lite.ops.movement.diagonals import diag_embed, diagonal, tril, triu
from tinygrad_lite.ops.movement.joining import cat

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["cholesky", "lu_unpack", "orgqr", "qr"]

METHODS = ["cholesky", "orgqr", "qr"]
IN_PLACE: list[str] = []


# -- triangular systems --------------------------------------------------------------------------


@primitive
def _solve_triangular(x, y, upper, unit):
    return solve_triangular_of(x, y, upper, unit)


@_solve_triangular.fused_vjp("x", "y")
def _(needs, g, x, out, upper, unit):
    gy = _solve_triangular(x.mT, g, not upper, unit)
    gx = -(gy @ out.mT) if needs[0] else None
    if gx is not None:
        gx = triu(gx, int(unit)) if upper else tril(gx, -int(unit))
    return gx, gy, None, None


# -- Cholesky ------------------------------------------------------------------------------------


@primitive
def _cholesky(x):
    with failing("cholesky: the matrix is not positive-definite"):
        return cholesky_of(x)


_cholesky.vjp(x=lambda g, out: _cholesky_gradient(g, out))


def _cholesky_gradient(g: Any, out: Any) -> Any:
    inner = tril(out.mT @ g)
    inner = inner - diag_embed(diagonal(inner, 0, -2, -1)) / 2
    inner = _solve_triangular(out.mT, inner, True, False)  # out^-T inner out^-1
    inner = _solve_triangular(out.mT, inner.mT, True, False)
    return (inner + inner.mT) / 2


@operation
def cholesky(A: Tensor, upper: bool = False) -> Tensor:
    """The lower triangular L with L @ L.mT = A, for symmetric positive-definite A; only the lower
    triangle of A is read. `upper`: the upper triangular factor, from the upper triangle.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.cholesky(tg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    check_matrix("cholesky", A, square=True)
    return _cholesky(A.mT).mT if upper else _cholesky(A)


# -- QR ------------------------------------------------------------------------------------------


class QR(NamedTuple):
    Q: Any
    R: Any


@primitive
def _qr(x, mode):
    return tuple(linalg("qr", x, mode))


_qr.vjp(x=lambda g, out, mode: _qr_gradient(g, out, mode))


def _qr_gradient(g: Any, out: Any, mode: str) -> Any:
    """For matrices with at least as many rows as columns (Walter and Lehmann, 2012)."""
    (gq, gr), (q, r) = g, out
    if q.shape[-1] != r.shape[-1]:
        raise RuntimeError(f"backward: qr in mode {mode!r} has no gradient where there are more rows than columns")
    inner = r @ gr.mT - gq.mT @ q
    inner = tril(inner) + tril(inner, -1).mT
    return _solve_triangular(r, (gq + q @ inner).mT, True, False).mT


@operation
def linalg_qr(A: Tensor, mode: str = "reduced") -> QR:
    """`Q, R` with Q @ R = A, Q's columns orthonormal and R upper triangular.

    `mode`: "reduced" (Q as tall as A and as wide as R is high), "complete" (Q square) or "r" (Q is
    left empty, and no gradient is recorded).

    >>> import tinygrad_lite as tg
    >>> tg.linalg.qr(tg.tensor([[3.0, 1.0], [4.0, 2.0]])).R
    tensor([[-5.0000, -2.2000],
            [ 0.0000,  0.4000]])
    """
    check_matrix("qr", A)
    rows, columns = A.shape[-2:]
    if mode == "r":
        values = raw(A)
        if recorded(A):
            raise RuntimeError('qr: mode "r" has no gradient, for it takes Q; use mode "reduced"')
        R = linalg("qr", values, "r")
        Q = namespace_of(values).zeros((0,), values.dtype)
        return QR(like(A, Q), like(A, R))
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: expected mode 'reduced', 'complete' or 'r', got {mode!r}")
    if rows >= columns:
        return QR(*_qr(A, mode))
    Q, R = _qr(A[..., :rows], "reduced")
    return QR(Q, cat([R, Q.mT @ A[..., rows:]], -1))


@operation
def qr(input: Tensor, some: bool = True) -> QR:
    """`linalg.qr(input)`, in the mode "reduced" if `some`, else "complete".

    >>> import tinygrad_lite as tg
    >>> Q, R = tg.qr(tg.ones(3, 2))
    >>> Q.shape, R.shape
    ((3, 2), (2, 2))
    """
    return linalg_qr(input, "reduced" if some else "complete")


@operation
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first columns, as many as A has, of a product of reflections `I - tau[i] v v.mT`, where v is column i of A
    below its diagonal, with a 1 on it and zeros above: what LAPACK's QR leaves.

    A: (..., m, n) with m >= n; tau: (..., k) with n >= k. `ValueError` for other shapes.
    """
    check_matrix("householder_product", A)
    if not tau.shape:
        raise IndexError("householder_product: expected a tau of one dim or more, got a 0-d one")
    (rows, columns), count = A.shape[-2:], tau.shape[-1]
    if rows < columns or columns < count or tuple(tau.shape[:-1]) != tuple(A.shape[:-2]):
        raise ValueError(
            f"householder_product: expected (..., m, n) and (..., k) with m >= n >= k, got {tuple(A.shape)} and {tuple(tau.shape)}"
        )
    if tau.dtype != A.dtype:
        raise TypeError(f"householder_product: expected tensors of one dtype, got {A.dtype} and {tau.dtype}")
    xp = namespace_of(raw(A))
    identity = xp.eye(rows, columns, dtype=A.dtype)
    vectors = tril(A, -1) + identity
    if not count:
        return 0 * A + identity  # on the tape, as ever
    out = like(A, xp.broadcast_to(identity, A.shape).copy())
    for i in reversed(range(count)):
        v = vectors[..., i : i + 1]
        out = out - tau[..., i, None, None] * (v @ (v.mT @ out))
    return out


orgqr = householder_product


# -- LU ------------------------------------------------------------------------------------------


class LUFactor(NamedTuple):
    LU: Any
    pivots: Any


class LU(NamedTuple):
    P: Any
    L: Any
    U: Any


@primitive
def _lu_factor(x):
    return lu_of(x)


def permutation(pivots: Any, rows: int, dtype: Any) -> Any:
    """The matrix P of A = P @ L @ U, an array."""
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


_lu_factor.vjp(x=lambda g, out: _lu_gradient(g[0], *out))


def _lu_gradient(g: Any, lu: Any, pivots: Any) -> Any:
    """For square matrices."""
    lower = tril(g, -1)
    inner = tril(tril(lu, -1).mT @ lower + lower, -1) + triu(triu(g) @ triu(lu).mT)
    inner = _solve_triangular(lu.mT, inner, True, True)
    inner = _solve_triangular(lu, inner.mT, True, False).mT
    return matmul(permutation(raw(pivots), lu.shape[-1], lu.dtype), inner)


def _lu(A: Any) -> tuple[Any, Any]:
    rows, columns = A.shape[-2:]
    if rows == columns or not recorded(A):
        return _lu_factor(A)
    # The square part has the same pivots, once the rows are in order.
    pivots = _lu_factor(A.array)[1]
    A = matmul(permutation(pivots, rows, A.dtype).mT, A)
    k = min(rows, columns)
    square = _lu_factor(A[..., :k, :k])[0]
    if rows < columns:
        return cat([square, _solve_triangular(square, A[..., k:], False, True)], -1), traced(pivots)
    return cat([square, _solve_triangular(square.mT, A[..., k:, :].mT, False, False).mT], -2), traced(pivots)


@operation
def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactor:
    """`LU, pivots` with A = P @ L @ U: U in the upper triangle of LU, L below its diagonal (its own
    is ones), and pivots the rows that were exchanged at each step, counted from 1.

    Raises LinAlgError where U has a zero on its diagonal.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.lu_factor(tg.tensor([[0.0, 1.0], [2.0, 0.0]])).pivots.tolist()
    [2, 2]
    """
    result = lu_factor_ex(A, pivot=pivot)
    if bool(result.info.any()):
        raise LinAlgError("lu_factor: the matrix is singular: U has a zero on its diagonal; linalg.lu would give the factors")
    return LUFactor(result.LU, result.pivots)


class LUFactorEx(NamedTuple):
    LU: Any
    pivots: Any
    info: Any


@operation
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LUFactorEx:
    """As `lu_factor`, with `info`: 0, or the first place (from 1) of a zero on U's diagonal."""
    check_matrix("lu_factor", A)
    if not pivot:
        raise ValueError("lu_factor: expected pivot=True: there is no factorization without exchanges on a CPU")
    factors, pivots = _lu(A)
    values = raw(factors)
    zero = namespace_of(values).diagonal(values, 0, -2, -1) == 0
    info = like(A, as_array(((zero.cumsum(-1) == 0).sum(-1, dtype=np.int32) + 1) * zero.any(-1)))
    if check_errors and bool(info.any()):
        raise LinAlgError("lu_factor: the matrix is singular: U has a zero on its diagonal")
    return LUFactorEx(factors, pivots, info)


@operation
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> LU:
    """The factors `P, L, U` of what `lu_factor` returns."""
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
    """`P, L, U` with P @ L @ U = A: a permutation, a lower triangle with a diagonal of ones, and an
    upper triangle.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.lu(tg.tensor([[1.0, 2.0], [4.0, 4.0]])).U
    tensor([[4., 4.],
            [0., 1.]])
    """
    return lu_unpack(*lu_factor_ex(A, pivot=pivot)[:2])
