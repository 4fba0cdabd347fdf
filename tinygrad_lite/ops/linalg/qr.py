"""The QR factorization: an orthogonal and an upper triangular factor."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import linalg, namespace_of
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue, Refusal
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.linalg.checks import check_matrix, like, recorded
from tinygrad_lite.ops.linalg.triangular import _solve_triangular
from tinygrad_lite.ops.movement.diagonals import tril
from tinygrad_lite.ops.movement.joining import cat
from tinygrad_lite.ops.typing import Tensor

__all__ = ["orgqr", "qr"]


QR = namedtuple("QR", ["Q", "R"])


@primitive
def _qr(A, mode):
    return tuple(linalg("qr", A, mode))


_qr.vjp(A=lambda g, out, mode: _qr_gradient(g, out, mode))


def _qr_gradient(g: Any, out: Any, mode: str) -> Any:
    """For matrices with at least as many rows as columns (Walter and Lehmann, 2012)."""
    (gq, gr), (q, r) = g, out
    if q.shape[-1] != r.shape[-1]:
        raise Refusal(f"qr in mode {mode!r} has no gradient where there are more rows than columns", function="backward")
    inner = r @ gr.mT - gq.mT @ q
    inner = tril(inner) + tril(inner, -1).mT
    return _solve_triangular(r, (gq + q @ inner).mT, True, False).mT


@operation
def linalg_qr(A: Tensor, mode: str = "reduced") -> QR:
    """`Q, R` with Q @ R = A, where Q has orthonormal columns and R is upper triangular.

    `mode`: "reduced" (Q is (m, k), R (k, n), with k = min(m, n)), "complete" (Q is square) or "r" (Q is empty, and no
    gradient is recorded).

    >>> import tinygrad_lite as tg
    >>> tg.linalg.qr(tg.tensor([[3.0, 1.0], [4.0, 2.0]])).R
    tensor([[-5.0000, -2.2000],
            [ 0.0000,  0.4000]])
    """
    check_matrix(A)
    rows, columns = A.shape[-2:]
    if mode == "r":
        values = raw(A)
        if recorded(A):
            raise Refusal('mode "r" has no gradient, for it takes Q', hint='use mode "reduced"')
        R = linalg("qr", values, "r")
        Q = namespace_of(values).zeros((0,), values.dtype)
        return QR(like(A, Q), like(A, R))
    if mode not in ("reduced", "complete"):
        raise BadValue(argument="mode", expected="mode 'reduced', 'complete' or 'r'", got=repr(mode))
    if rows >= columns:
        return QR(*_qr(A, mode))
    Q, R = _qr(A[..., :rows], "reduced")
    return QR(Q, cat([R, Q.mT @ A[..., rows:]], -1))


@operation
def qr(input: Tensor, some: bool = True) -> QR:
    """`linalg.qr(input)`, with mode "reduced" if `some`, otherwise "complete".

    >>> import tinygrad_lite as tg
    >>> Q, R = tg.qr(tg.ones(3, 2))
    >>> Q.shape, R.shape
    ((3, 2), (2, 2))
    """
    return linalg_qr(input, "reduced" if some else "complete")


@operation
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of a product of reflections `I - tau[i] v v.mT`, where v is column i of A below its diagonal,
    with 1 on the diagonal and zeros above, as stored by LAPACK's QR.

    A: (..., m, n) with m >= n; tau: (..., k) with n >= k. Raises `ValueError` for other shapes.
    """
    check_matrix(A)
    if not tau.shape:
        raise BadIndex(argument="tau", expected="a tau of one dim or more", got="a 0-d one")
    (rows, columns), count = A.shape[-2:], tau.shape[-1]
    if rows < columns or columns < count or tuple(tau.shape[:-1]) != tuple(A.shape[:-2]):
        raise BadValue(expected="(..., m, n) and (..., k) with m >= n >= k", got=f"{tuple(A.shape)} and {tuple(tau.shape)}")
    if tau.dtype != A.dtype:
        raise BadType(expected="tensors of one dtype", got=f"{A.dtype} and {tau.dtype}")
    xp = namespace_of(raw(A))
    identity = xp.eye(rows, columns, dtype=A.dtype)
    vectors = tril(A, -1) + identity
    if not count:
        return 0 * A + identity  # on the tape
    out = like(A, xp.broadcast_to(identity, A.shape).copy())
    for i in reversed(range(count)):
        v = vectors[..., i : i + 1]
        out = out - tau[..., i, None, None] * (v @ (v.mT @ out))
    return out


orgqr = householder_product
