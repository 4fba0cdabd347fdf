"""The Cholesky factorization, and solving systems with its factor."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import cholesky_of, int32, namespace_of
from tinygrad_lite.arrays.gpu import is_symbol, whole
from tinygrad_lite.arrays.kernels.factorizations import failing_minors
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.linalg.checks import LinAlgError, check_matrix, failing, like
from tinygrad_lite.ops.linalg.solving import _check_system
from tinygrad_lite.ops.linalg.triangular import _solve_triangular
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.diagonals import diag_embed, diagonal, tril
from tinygrad_lite.ops.typing import Tensor

__all__ = ["cholesky", "cholesky_inverse", "cholesky_solve"]


@whole
def _factor(x: Any) -> Any:
    with failing("the matrix is not positive-definite"):
        return cholesky_of(x)


@primitive
def _cholesky(A):
    return _factor(A)


_cholesky.vjp(A=lambda g, out: _cholesky_gradient(g, out))


def _cholesky_gradient(g: Any, out: Any) -> Any:
    inner = tril(out.mT @ g)
    inner = inner - diag_embed(diagonal(inner, 0, -2, -1)) / 2
    inner = _solve_triangular(out.mT, inner, True, False)  # out^-T inner out^-1
    inner = _solve_triangular(out.mT, inner.mT, True, False)
    return (inner + inner.mT) / 2


@operation
def cholesky(A: Tensor, upper: bool = False) -> Tensor:
    """The lower triangular L with L @ L.mT = A, for symmetric positive-definite A; only the lower triangle of A is read.
    `upper`: the upper triangular factor, from the upper triangle.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.cholesky(tg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    check_matrix(A, square=True)
    return _cholesky(A.mT).mT if upper else _cholesky(A)


CholeskyEx = namedtuple("CholeskyEx", ["L", "info"])


@operation
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """`L, info`: like `cholesky`, but instead of raising, info is the order of the first leading minor that is not
    positive-definite (0 on success), and the factor of such a matrix is nan.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.cholesky_ex(tg.tensor([[4.0, 0.0], [0.0, 9.0]])).L
    tensor([[2., 0.],
            [0., 3.]])
    """
    check_matrix(A, square=True)
    values = raw(A)
    xp = namespace_of(values)
    try:
        if is_symbol(values) and not check_errors:
            raise LinAlgError("a program is for matrices of both kinds")
        L = _cholesky(A.mT if upper else A)
        info = xp.zeros(values.shape[:-2], int32)
    except LinAlgError:
        if check_errors:
            raise
        symmetric = values.mT if upper else values
        info = xp.asarray(failing_minors(symmetric))
        bad = info != 0
        eye = xp.eye(values.shape[-1], dtype=values.dtype)
        L = where(bad[..., None, None], math.nan, _cholesky(where(bad[..., None, None], eye, A.mT if upper else A)))
    return CholeskyEx(L.mT if upper else L, like(A, info))


@operation
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The X of A @ X = input, where A = L @ L.mT (L.mT @ L if `upper`).

    >>> import tinygrad_lite as tg
    >>> tg.cholesky_solve(tg.tensor([[8.0]]), tg.tensor([[2.0]]))
    tensor([[2.]])
    """
    check_matrix(L, square=True)
    _check_system(L, input, True)
    if upper:
        L = L.mT
    return _solve_triangular(L.mT, _solve_triangular(L, input, False, False), True, False)


@operation
def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A = input @ input.mT (of input.mT @ input if `upper`).

    >>> import tinygrad_lite as tg
    >>> tg.cholesky_inverse(tg.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    check_matrix(input, square=True)
    values = raw(input)
    return cholesky_solve(like(input, namespace_of(values).eye(input.shape[-1], dtype=input.dtype)), input, upper)
