"""Eigenvalues and eigenvectors of symmetric matrices.

The last two dims are a matrix, the dims before them a batch. The derivatives of eigenvectors divide by the gaps between
eigenvalues; a gradient that does not involve the vectors does not.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import linalg
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.linalg.checks import check_matrix, converged, like, ratio, recorded
from tinygrad_lite.ops.movement.diagonals import diag_embed
from tinygrad_lite.ops.typing import Tensor

Eigh = namedtuple("Eigh", ["eigenvalues", "eigenvectors"])


@primitive
def _eigh(A, UPLO):
    return converged("eigh", "the iteration for the eigenvalues did not converge", A, UPLO)


_eigh.vjp(A=lambda g, out: _eigh_gradient(g, out))


def _eigh_gradient(g: Any, out: Any) -> Any:
    (gw, gv), (w, v) = g, out
    turn = v.mT @ gv
    turned = ratio((turn - turn.mT) / 2, w[..., None, :] - w[..., :, None])
    return v @ (turned + diag_embed(gw)) @ v.mT


def _check_eigh(A: Any, UPLO: str) -> str:
    check_matrix(A, square=True)
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise BadValue(argument="UPLO", expected="UPLO 'L' or 'U'", got=repr(UPLO))
    return UPLO.upper()


@operation
def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """`eigenvalues, eigenvectors` of symmetric matrices: the values in ascending order, the vectors as columns. Only the
    triangle `UPLO` ("L" or "U") is read.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.eigh(tg.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    return Eigh(*_eigh(A, _check_eigh(A, UPLO)))


@operation
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, in ascending order.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.eigvalsh(tg.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    UPLO = _check_eigh(A, UPLO)
    if recorded(A):  # the gradient needs the vectors
        return _eigh(A, UPLO)[0]
    values = raw(A)
    return like(A, linalg("eigvalsh", values, UPLO))
