"""Triangular systems."""

from __future__ import annotations

from tinygrad_lite.arrays import solve_triangular_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation
from tinygrad_lite.ops.linalg.checks import check_matrix
from tinygrad_lite.ops.linalg.solving import _check_system
from tinygrad_lite.ops.movement.diagonals import tril, triu
from tinygrad_lite.ops.typing import Tensor


@primitive
def _solve_triangular(A, B, upper, unit):
    return solve_triangular_of(A, B, upper, unit)


@_solve_triangular.fused_vjp("A", "B")
def _(needs, g, A, out, upper, unit):
    gy = _solve_triangular(A.mT, g, not upper, unit)
    gx = -(gy @ out.mT) if needs[0] else None
    if gx is not None:
        gx = triu(gx, int(unit)) if upper else tril(gx, -int(unit))
    return gx, gy, None, None


@operation
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """The X of A @ X = B (of X @ A = B if not `left`), reading only one triangle of A.

    `upper`: which triangle; `unitriangular`: treat the diagonal as ones. A zero on the diagonal gives inf or nan.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.solve_triangular(tg.tensor([[2.0, 1.0], [0.0, 4.0]]), tg.tensor([[4.0], [8.0]]), upper=True)
    tensor([[1.],
            [2.]])
    """
    check_matrix(A, square=True)
    _check_system(A, B, left)
    if not left:
        return _solve_triangular(A.mT, B.mT, not upper, unitriangular).mT
    return _solve_triangular(A, B, bool(upper), bool(unitriangular))
