"""Linear systems: solve, lstsq and tensorsolve.

The last two dims are a matrix, the dims before them a batch.
"""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import int64, namespace_of, with_one_batch
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.shapes import broadcast_shapes
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import permute
from tinygrad_lite.ops.linalg.checks import check_matrix, failures, like, solved_or_inf
from tinygrad_lite.ops.linalg.inverses import _inv, inv, pinv
from tinygrad_lite.ops.linalg.svd import matrix_rank, svdvals
from tinygrad_lite.ops.typing import Tensor

# -- inverse and solve ---------------------------------------------------------------------------


@primitive
def _solve(A, B, strict):
    return solved_or_inf("solve", strict, *with_one_batch(A, B))


@_solve.fused_vjp("A", "B")
def _(needs, g, A, out, strict):
    gy = _solve(A.mT, g, strict)
    return -(gy @ out.mT) if needs[0] else None, gy, None


SolveEx = namedtuple("SolveEx", ["result", "info"])


def _columns(A: Any, B: Any, left: bool) -> tuple[Any, bool]:
    """B as matrices, and whether it held vectors: it does if its shape is A's without the last dim."""
    check_matrix(A, square=True)
    is_vector = len(B.shape) == 1 or (len(A.shape) - 1 == len(B.shape) and tuple(B.shape) == tuple(A.shape[:-1]))
    if is_vector:
        if not left:
            raise BadValue(f"with left=False, B must be matrices; got shapes {tuple(A.shape)} and {tuple(B.shape)}")
        B = B.reshape((*B.shape, 1))
    _check_system(A, B, left)
    return B, is_vector


def _check_system(A: Any, B: Any, left: bool) -> None:
    check_matrix(B)
    if A.dtype != B.dtype:
        raise BadType(f"both tensors must have the same dtype, got {A.dtype} and {B.dtype}")
    if A.shape[-1] != B.shape[-2 if left else -1]:
        wanted = "AX = B" if left else "XA = B"
        raise BadValue(f"the shapes do not fit for {wanted}: A {tuple(A.shape)}, B {tuple(B.shape)}")
    try:
        broadcast_shapes(A.shape[:-2], B.shape[:-2])
    except ValueError:
        raise BadValue(f"the batch dims do not broadcast: A {tuple(A.shape)}, B {tuple(B.shape)}") from None


@operation
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X of A @ X = B (of X @ A = B if not `left`), for square A and vectors or matrices B.

    Raises LinAlgError if A is singular.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.solve(tg.tensor([[2.0, 0.0], [1.0, 1.0]]), tg.tensor([4.0, 5.0]))
    tensor([2., 3.])
    """
    return _solved(A, B, left, True)


def _solved(A: Any, B: Any, left: bool, strict: bool) -> Any:
    B, is_vector = _columns(A, B, left)
    if not left:
        return _solve(A.mT, B.mT, strict).mT
    result = _solve(A, B, strict)
    return result.reshape(result.shape[:-1]) if is_vector else result


@operation
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> SolveEx:
    """`result, info`: like `solve`, but for a singular A info is nonzero instead of an error.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.solve_ex(tg.tensor([[2.0]]), tg.tensor([[8.0]])).result
    tensor([[4.]])
    """
    result = _solved(A, B, left, check_errors)
    return SolveEx(result, like(A, failures(_inv(raw(A), False))))


# -- least squares -------------------------------------------------------------------------------


Lstsq = namedtuple("Lstsq", ["solution", "residuals", "rank", "singular_values"])


@operation
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Lstsq:
    """`solution, residuals, rank, singular_values` of the least squares problem min |A @ X - B|.

    The solution of smallest norm, by the pseudoinverse. `driver` determines which other results are computed, as in LAPACK:
    rank by "gelsy" (the default), "gelsd" and "gelss"; singular values by the last two; (squared) residuals by all but
    gelsy, if A has more rows than columns and full rank.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.lstsq(tg.tensor([[1.0], [1.0]]), tg.tensor([[1.0], [3.0]])).solution.round(decimals=3)
    tensor([[2.]])
    """
    check_matrix(A)
    driver = "gelsy" if driver is None else driver
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise BadValue(argument="driver", expected="driver 'gels', 'gelsy', 'gelsd' or 'gelss'", got=repr(driver))
    if A.dtype != B.dtype:
        raise BadType(f"both tensors must have the same dtype, got {A.dtype} and {B.dtype}")
    is_vector = len(A.shape) - 1 == len(B.shape) and tuple(B.shape) == tuple(A.shape[:-1])
    if not is_vector and (len(B.shape) < 2 or B.shape[-2] != A.shape[-2]):
        raise BadValue(f"the shapes do not fit for AX = B: A {tuple(A.shape)}, B {tuple(B.shape)}")
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
        rank = like(A, xp.zeros((0,), int64))
    found = svdvals(like(A, values)) if driver in ("gelsd", "gelss") else like(A, xp.zeros((0,), A.dtype))
    return Lstsq(solution.reshape(solution.shape[:-1]) if is_vector else solution, residuals, rank, found)


# -- more than two dims --------------------------------------------------------------------------


@operation
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a linear map from the dims from `ind` on to the dims before: tensordot(tensorinv(A, ind), x, ind)
    solves for the preimage of x.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.tensorinv(tg.eye(6).reshape(6, 2, 3), ind=1).shape
    (2, 3, 6)
    """
    if ind <= 0:
        raise BadValue(argument="ind", expected="ind of 1 or more", got=ind)
    first, last = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(first) != math.prod(last):
        raise BadValue(f"the sizes up to dim {ind} and from there must have one product, got {first} and {last}")
    return inv(A.reshape((math.prod(first), math.prod(last)))).reshape((*last, *first))


@operation
def tensorsolve(A: Tensor, B: Tensor, dims: tuple[int, ...] | None = None) -> Tensor:
    """The X with tensordot(A, X, X.ndim) = B; the `dims` of A are moved to the end first.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.tensorsolve(tg.eye(6).reshape(2, 3, 6), tg.ones(2, 3))
    tensor([1., 1., 1., 1., 1., 1.])
    """
    if dims is not None:
        moved = [d % len(A.shape) for d in dims]
        A = permute(A, (*(d for d in range(len(A.shape)) if d not in moved), *moved))
    first, last = tuple(A.shape[: len(B.shape)]), tuple(A.shape[len(B.shape) :])
    if math.prod(first) != math.prod(last) or math.prod(B.shape) != math.prod(first):
        raise BadValue(f"the shapes do not fit: A {tuple(A.shape)}, B {tuple(B.shape)}")
    return solve(A.reshape((math.prod(first), math.prod(last))), B.reshape((-1,))).reshape(last)
