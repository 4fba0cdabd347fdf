"""Systems of equations, and inverses of every kind.

The last two dims are a matrix, the dims before them a batch.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays import as_array, cholesky_of, linalg, namespace_of, with_one_batch
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import abs, matmul, permute
from tinygrad_lite.ops.calling import operation, raw
from tinygrad_lite.ops.linalg.checks import LinAlgError, check_matrix, failing, like
from tinygrad_lite.ops.linalg.factorizations import _cholesky, _solve_triangular, permutation
from tinygrad_lite.ops.linalg.spectral import _eigh, matrix_rank, svdvals, tolerance
from tinygrad_lite.ops.math.comparison import where
from tinygrad_lite.ops.movement.shape import contiguous

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["cholesky_inverse", "cholesky_solve", "inverse", "lu_solve", "pinverse"]

METHODS = __all__
IN_PLACE: list[str] = []


# -- inverse and solve ---------------------------------------------------------------------------


@primitive
def _inv(x, strict):
    """`strict`: refuse singular matrices; otherwise their inverse is inf everywhere."""
    return _checked("inv", strict, x)


_inv.vjp(x=lambda g, out: -(out.mT @ g @ out.mT))


@primitive
def _solve(x, y, strict):
    return _checked("solve", strict, *with_one_batch(x, y))


@_solve.fused_vjp("x", "y")
def _(needs, g, x, out, strict):
    gy = _solve(x.mT, g, strict)
    return -(gy @ out.mT) if needs[0] else None, gy, None


def _checked(name: str, strict: bool, *matrices: Any) -> Any:
    """`linalg(name, *matrices)`; unless `strict`, matrix by matrix where one of them is singular."""
    try:
        return linalg(name, *matrices)
    except np.linalg.LinAlgError:
        if strict:
            raise LinAlgError(f"{name}: the matrix is singular") from None
    out = namespace_of(matrices[0]).full(matrices[-1].shape, np.inf, matrices[0].dtype)
    for i in np.ndindex(out.shape[:-2]):
        with contextlib.suppress(np.linalg.LinAlgError):
            out[i] = linalg(name, *(m[i] for m in matrices))
    return out


class InvEx(NamedTuple):
    inverse: Any
    info: Any


class SolveEx(NamedTuple):
    result: Any
    info: Any


def _info(x: Any) -> Any:
    """1 for each matrix of inf or nan, which is how failures are marked; 0 for the others."""
    return like(x, as_array(~namespace_of(raw(x)).isfinite(raw(x)).all(axis=(-2, -1))).astype(np.int32))


@operation
def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices. Raises LinAlgError for a singular one.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.inv(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    check_matrix("inv", A, square=True)
    return _inv(A, True)


@operation
def inv_ex(A: Tensor, *, check_errors: bool = False) -> InvEx:
    """`inverse, info`: as `inv`, with info not 0 where a matrix is singular instead of an error.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.inv_ex(tg.tensor([[2.0, 0.0], [0.0, 4.0]])).info
    tensor(0, dtype=int32)
    """
    check_matrix("inv", A, square=True)
    result = _inv(A, check_errors)
    return InvEx(result, _info(result))


@operation
def inverse(x: Tensor) -> Tensor:
    """`linalg.inv`.

    >>> import tinygrad_lite as tg
    >>> tg.inverse(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return inv(x)


def _columns(name: str, A: Any, B: Any, left: bool) -> tuple[Any, bool]:
    """B as matrices, and whether it was vectors: it is if it has A's shape but for the last dim."""
    check_matrix(name, A, square=True)
    is_vector = len(B.shape) == 1 or (len(A.shape) - 1 == len(B.shape) and tuple(B.shape) == tuple(A.shape[:-1]))
    if is_vector:
        if not left:
            raise ValueError(f"{name}: with left=False, B must be matrices; got shapes {tuple(A.shape)} and {tuple(B.shape)}")
        B = B.reshape((*B.shape, 1))
    _check_system(name, A, B, left)
    return B, is_vector


def _check_system(name: str, A: Any, B: Any, left: bool) -> None:
    check_matrix(name, B)
    if A.dtype != B.dtype:
        raise TypeError(f"{name}: both tensors must have the same dtype, got {A.dtype} and {B.dtype}")
    if A.shape[-1] != B.shape[-2 if left else -1]:
        wanted = "AX = B" if left else "XA = B"
        raise ValueError(f"{name}: the shapes do not fit for {wanted}: A {tuple(A.shape)}, B {tuple(B.shape)}")
    try:
        np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    except ValueError:
        raise ValueError(f"{name}: the batch dims do not broadcast: A {tuple(A.shape)}, B {tuple(B.shape)}") from None


@operation
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X of A @ X = B (of X @ A = B if not `left`), for square A and vectors or matrices B.

    Raises LinAlgError where A is singular.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.solve(tg.tensor([[2.0, 0.0], [1.0, 1.0]]), tg.tensor([4.0, 5.0]))
    tensor([2., 3.])
    """
    return _solved(A, B, left, True)


def _solved(A: Any, B: Any, left: bool, strict: bool) -> Any:
    B, is_vector = _columns("solve", A, B, left)
    if not left:
        return _solve(A.mT, B.mT, strict).mT
    result = _solve(A, B, strict)
    return result.reshape(result.shape[:-1]) if is_vector else result


@operation
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> SolveEx:
    """`result, info`: as `solve`, with info not 0 where A is singular instead of an error.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.solve_ex(tg.tensor([[2.0]]), tg.tensor([[8.0]])).result
    tensor([[4.]])
    """
    result = _solved(A, B, left, check_errors)
    return SolveEx(result, like(A, _info(_inv(raw(A), False))))


@operation
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """The X of A @ X = B (of X @ A = B if not `left`), reading only one triangle of A.

    `upper`: which; `unitriangular`: take its diagonal for ones. A zero on the diagonal gives inf
    or nan.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.solve_triangular(tg.tensor([[2.0, 1.0], [0.0, 4.0]]), tg.tensor([[4.0], [8.0]]), upper=True)
    tensor([[1.],
            [2.]])
    """
    check_matrix("solve_triangular", A, square=True)
    _check_system("solve_triangular", A, B, left)
    if not left:
        return _solve_triangular(A.mT, B.mT, not upper, unitriangular).mT
    return _solve_triangular(A, B, bool(upper), bool(unitriangular))


# -- by known factors ----------------------------------------------------------------------------


class CholeskyEx(NamedTuple):
    L: Any
    info: Any


@operation
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """`L, info`: as `cholesky`, where info is 0, or the order of the first leading minor that is not
    positive-definite, instead of an error; such a matrix' factor is nan.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.cholesky_ex(tg.tensor([[4.0, 0.0], [0.0, 9.0]])).L
    tensor([[2., 0.],
            [0., 3.]])
    """
    check_matrix("cholesky", A, square=True)
    values = raw(A)
    xp = namespace_of(values)
    try:
        L = _cholesky(A.mT if upper else A)
        info = xp.zeros(values.shape[:-2], np.int32)
    except LinAlgError:
        if check_errors:
            raise
        symmetric = values.mT if upper else values
        info = xp.asarray(_failing_minors(symmetric))
        bad = info != 0
        eye = xp.eye(values.shape[-1], dtype=values.dtype)
        L = where(bad[..., None, None], math.nan, _cholesky(where(bad[..., None, None], eye, A.mT if upper else A)))
    return CholeskyEx(L.mT if upper else L, like(A, info))


def _failing_minors(x: Any) -> Any:
    info = np.zeros(x.shape[:-2], np.int32)
    for i in np.ndindex(info.shape):
        info[i] = next((k for k in range(1, x.shape[-1] + 1) if not _is_definite(x[i][:k, :k])), 0)
    return info


def _is_definite(x: Any) -> bool:
    try:
        cholesky_of(x)
    except np.linalg.LinAlgError:
        return False
    return True


@operation
def cholesky_solve(x: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The X of A @ X = x, where A = L @ L.mT (L.mT @ L if `upper`).

    >>> import tinygrad_lite as tg
    >>> tg.cholesky_solve(tg.tensor([[8.0]]), tg.tensor([[2.0]]))
    tensor([[2.]])
    """
    check_matrix("cholesky_solve", L, square=True)
    _check_system("cholesky_solve", L, x, True)
    if upper:
        L = L.mT
    return _solve_triangular(L.mT, _solve_triangular(L, x, False, False), True, False)


@operation
def cholesky_inverse(x: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A = x @ x.mT (of x.mT @ x if `upper`).

    >>> import tinygrad_lite as tg
    >>> tg.cholesky_inverse(tg.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    check_matrix("cholesky_inverse", x, square=True)
    values = raw(x)
    return cholesky_solve(like(x, namespace_of(values).eye(x.shape[-1], dtype=x.dtype)), x, upper)


@operation
def linalg_lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The X of A @ X = B (of X @ A = B if not `left`; with A.mT for A if `adjoint`), where `LU` and
    `pivots` are `lu_factor(A)`."""
    check_matrix("lu_solve", LU, square=True)
    _check_system("lu_solve", LU, B, left)
    if not left:
        return contiguous(linalg_lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT)
    P = permutation(raw(pivots), LU.shape[-1], LU.dtype)
    if adjoint:
        y = _solve_triangular(LU.mT, B, False, False)
        return matmul(P, _solve_triangular(LU.mT, y, True, True))
    y = _solve_triangular(LU, matmul(P.mT, B), False, True)
    return _solve_triangular(LU, y, True, False)


@operation
def lu_solve(x: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """The X of A @ X = x, where `LU_data` and `LU_pivots` are `lu_factor(A)`."""
    return linalg_lu_solve(LU_data, LU_pivots, x)


# -- more or fewer equations than unknowns -------------------------------------------------------


@primitive
def _pinv(x, atol, rtol):
    xp = namespace_of(x)
    with failing("pinv: the iteration for the singular values did not converge"):
        u, s, vh = linalg("svd", x, full_matrices=False)
    kept = s > tolerance(s, x.shape, atol, rtol)
    inverted = xp.where(kept, 1 / xp.where(kept, s, 1), 0).astype(x.dtype)
    return (vh.mT * inverted[..., None, :]) @ u.mT


_pinv.vjp(x=lambda g, x, out: _pinv_gradient(g.mT, x, out))


def _pinv_gradient(g: Any, x: Any, out: Any) -> Any:
    """Where the rank stays what it is (Golub and Pereyra, 1973)."""
    into = out.mT @ out  # the metric of the range
    onto = out @ out.mT
    return -(out @ g @ out).mT + (g - x @ (out @ g)) @ onto + into @ (g - (g @ out) @ x)


@operation
def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The pseudo-inverse (Moore and Penrose).

    Singular values up to max(atol, rtol * the largest) count as zero; `rtol` (the same as `rcond`)
    is the dtype's epsilon times the larger size of A unless given, or 0 where atol is given.
    `hermitian`: A is symmetric, and eigenvalues take the place of singular values.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.pinv(tg.ones(3, 2)).shape
    (2, 3)
    """
    check_matrix("pinv", A, square=hermitian)
    rtol = rcond if rtol is None else rtol
    if not hermitian:
        return _pinv(A, raw(atol), raw(rtol))
    w, v = _eigh(A, "L")
    size = abs(w)
    values = raw(size)
    kept = values > tolerance(values, A.shape, raw(atol), raw(rtol))
    inverted = where(kept, 1 / where(kept, w, 1.0), 0.0)
    return (v * inverted[..., None, :]) @ v.mT


@operation
def pinverse(x: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv(x, rtol=rcond)`.

    >>> import tinygrad_lite as tg
    >>> tg.pinverse(tg.ones(3, 2)).shape
    (2, 3)
    """
    return pinv(x, rtol=rcond)


class Lstsq(NamedTuple):
    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


@operation
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Lstsq:
    """`solution, residuals, rank, singular_values` of the least squares problem min |A @ X - B|.

    The solution of smallest norm, by the pseudo-inverse. `driver` says which of the other results
    are worked out, as LAPACK's do: rank by "gelsy" (the default), "gelsd" and "gelss", singular
    values by the last two; residuals (squared) by all but gelsy, where A has more rows than columns
    and full rank.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.lstsq(tg.tensor([[1.0], [1.0]]), tg.tensor([[1.0], [3.0]])).solution.round(decimals=3)
    tensor([[2.]])
    """
    check_matrix("lstsq", A)
    driver = "gelsy" if driver is None else driver
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise ValueError(f"lstsq: expected driver 'gels', 'gelsy', 'gelsd' or 'gelss', got {driver!r}")
    if A.dtype != B.dtype:
        raise TypeError(f"lstsq: both tensors must have the same dtype, got {A.dtype} and {B.dtype}")
    is_vector = len(A.shape) - 1 == len(B.shape) and tuple(B.shape) == tuple(A.shape[:-1])
    if not is_vector and (len(B.shape) < 2 or B.shape[-2] != A.shape[-2]):
        raise ValueError(f"lstsq: the shapes do not fit for AX = B: A {tuple(A.shape)}, B {tuple(B.shape)}")
    if is_vector:
        B = B.reshape((*B.shape, 1))
    solution = pinv(A, rtol=rcond) @ B
    values = raw(A)
    xp = namespace_of(values)
    residuals = solution.reshape((-1,))[:0]  # none
    rank = matrix_rank(like(A, values), rtol=rcond)
    if driver != "gelsy" and A.shape[-2] > A.shape[-1] and bool((raw(rank) == A.shape[-1]).all()):
        residuals = ((A @ solution - B) ** 2).sum(-2)
    if driver == "gels":
        rank = like(A, xp.zeros((0,), np.int64))
    found = svdvals(like(A, values)) if driver in ("gelsd", "gelss") else like(A, xp.zeros((0,), A.dtype))
    return Lstsq(solution.reshape(solution.shape[:-1]) if is_vector else solution, residuals, rank, found)


# -- of more than two dims -----------------------------------------------------------------------


@operation
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map from the dims from `ind` on to the dims before:
    tensordot(tensorinv(A, ind), x, ind) is its inverse image of x.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.tensorinv(tg.eye(6).reshape(6, 2, 3), ind=1).shape
    (2, 3, 6)
    """
    if ind <= 0:
        raise ValueError(f"tensorinv: expected ind of 1 or more, got {ind}")
    first, last = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(first) != math.prod(last):
        raise ValueError(f"tensorinv: the sizes up to dim {ind} and from there must have one product, got {first} and {last}")
    return inv(A.reshape((math.prod(first), math.prod(last)))).reshape((*last, *first))


@operation
def tensorsolve(A: Tensor, B: Tensor, dims: tuple[int, ...] | None = None) -> Tensor:
    """The X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.tensorsolve(tg.eye(6).reshape(2, 3, 6), tg.ones(2, 3))
    tensor([1., 1., 1., 1., 1., 1.])
    """
    if dims is not None:
        moved = [d % len(A.shape) for d in dims]
        A = permute(A, (*(d for d in range(len(A.shape)) if d not in moved), *moved))
    first, last = tuple(A.shape[: len(B.shape)]), tuple(A.shape[len(B.shape) :])
    if math.prod(first) != math.prod(last) or math.prod(B.shape) != math.prod(first):
        raise ValueError(f"tensorsolve: the shapes do not fit: A {tuple(A.shape)}, B {tuple(B.shape)}")
    return solve(A.reshape((math.prod(first), math.prod(last))), B.reshape((-1,))).reshape(last)
