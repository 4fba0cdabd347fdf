"""Singular values, and the rank of a matrix.

The last two dims are a matrix, the dims before them a batch. The derivatives of singular vectors divide by the gaps between
singular values; a gradient that does not involve the vectors does not.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import as_array, namespace_of
from tinygrad_lite.arrays.kernels.matrix_functions import tolerance
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.linalg.checks import check_matrix, converged, like, ratio, recorded
from tinygrad_lite.ops.linalg.eigh import eigvalsh
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.diagonals import diag_embed
from tinygrad_lite.ops.typing import Tensor

__all__ = ["svd"]


SVD = namedtuple("SVD", ["U", "S", "Vh"])


SVDWithV = namedtuple("SVDWithV", ["U", "S", "V"])


_FAILURE = "the iteration for the singular values did not converge"


@primitive
def _svd(A, full_matrices):
    return converged("svd", _FAILURE, A, full_matrices)


_svd.vjp(A=lambda g, out: _svd_gradient(g, out))


def _svd_gradient(g: Any, out: Any) -> Any:
    """Vectors beyond the number of singular values have no gradient."""
    (gu, gs, gvh), (u, s, vh) = g, out
    k = s.shape[-1]
    if u.shape[-1] > k:
        u, gu = u[..., :k], gu[..., :k]
    if vh.shape[-2] > k:
        vh, gvh = vh[..., :k, :], gvh[..., :k, :]
    row, column = s[..., None, :], s[..., :, None]
    gaps = (row - column) * (row + column)
    of_u, of_v = u.mT @ gu, vh @ gvh.mT
    inner = ratio(of_u - of_u.mT, gaps) * row + column * ratio(of_v - of_v.mT, gaps) + diag_embed(gs)
    left = u @ inner
    if u.shape[-2] > k:
        left = left + ratio(gu - u @ of_u, row)
    result = left @ vh
    if vh.shape[-1] > k:
        result = result + u @ ratio(gvh - of_v.mT @ vh, column)
    return result


@operation
def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVD:
    """`U, S, Vh` with U @ diag(S) @ Vh = A; the singular values S are in descending order.

    `full_matrices`: U and Vh are square; otherwise U has as many columns and Vh as many rows as there are values. `driver`
    selects a GPU routine in PyTorch and has no effect here.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.svd(tg.tensor([[3.0, 0.0], [0.0, -2.0]])).S
    tensor([3., 2.])
    """
    check_matrix(A)
    return SVD(*_svd(A, bool(full_matrices)))


@operation
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of a matrix, in descending order.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.svdvals(tg.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    check_matrix(A)
    if recorded(A):  # the gradient needs the vectors
        return _svd(A, False)[1]
    return like(A, converged("svd", _FAILURE, raw(A), compute_uv=False))


@operation
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SVDWithV:
    """`U, S, V` with U @ diag(S) @ V.mT = input; superseded by `linalg.svd`.

    >>> import tinygrad_lite as tg
    >>> U, S, V = tg.svd(tg.ones(3, 2))
    >>> U.shape, S.shape, V.shape
    ((3, 2), (2,), (2, 2))
    """
    check_matrix(input)
    if not compute_uv:
        zeros = namespace_of(raw(input)).zeros
        U, V = (like(input, zeros((*input.shape[:-2], n, n), input.dtype)) for n in input.shape[-2:])
        return SVDWithV(U, svdvals(input), V)
    U, S, Vh = _svd(input, not some)
    return SVDWithV(U, S, contiguous(Vh.mT))


@operation
def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The number of singular values larger than max(atol, rtol * the largest), as integers.

    `rtol` defaults to the dtype's epsilon times the larger size of A, or to 0 if atol (the same as `tol`) is given.
    `hermitian`: A is symmetric, and eigenvalues are used.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.matrix_rank(tg.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    check_matrix(A, square=hermitian)
    values = eigvalsh(raw(A)) if hermitian else svdvals(raw(A))
    values = namespace_of(values).abs(values)
    limit = tolerance(values, A.shape, raw(tol if atol is None else atol), raw(rtol))
    return like(A, as_array((values > limit).sum(-1)))
