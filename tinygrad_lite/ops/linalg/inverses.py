"""Inverses and pseudoinverses.

The last two dims are a matrix, the dims before them a batch.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays.gpu import whole
from tinygrad_lite.arrays.kernels.matrix_functions import pseudo_inverse
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import abs
from tinygrad_lite.ops.linalg.checks import check_matrix, failing, failures, solved_or_inf
from tinygrad_lite.ops.linalg.eigh import _eigh
from tinygrad_lite.ops.linalg.svd import tolerance
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor

__all__ = ["inverse", "pinverse"]


@primitive
def _inv(A, strict):
    """`strict`: refuse singular matrices; otherwise their inverse is inf everywhere."""
    return solved_or_inf("inv", strict, A)


_inv.vjp(A=lambda g, out: -(out.mT @ g @ out.mT))


InvEx = namedtuple("InvEx", ["inverse", "info"])


@operation
def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices. Raises LinAlgError if one is singular.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.inv(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    check_matrix(A, square=True)
    return _inv(A, True)


@operation
def inv_ex(A: Tensor, *, check_errors: bool = False) -> InvEx:
    """`inverse, info`: like `inv`, but for a singular matrix info is nonzero instead of an error.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.inv_ex(tg.tensor([[2.0, 0.0], [0.0, 4.0]])).info
    tensor(0, dtype=int32)
    """
    check_matrix(A, square=True)
    result = _inv(A, check_errors)
    return InvEx(result, failures(result))


@operation
def inverse(input: Tensor) -> Tensor:
    """Same as `linalg.inv`.

    >>> import tinygrad_lite as tg
    >>> tg.inverse(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return inv(input)


@whole
def _pseudo_inverse(x: Any, atol: Any, rtol: Any) -> Any:
    with failing("the iteration for the singular values did not converge"):
        return pseudo_inverse(x, atol, rtol)


@primitive
def _pinv(A, atol, rtol):
    return _pseudo_inverse(A, atol, rtol)


_pinv.vjp(A=lambda g, A, out: _pinv_gradient(g.mT, A, out))


def _pinv_gradient(g: Any, x: Any, out: Any) -> Any:
    """The gradient where the rank is locally constant (Golub and Pereyra, 1973)."""
    into = out.mT @ out  # the metric of the range
    onto = out @ out.mT
    return -(out @ g @ out).mT + (g - x @ (out @ g)) @ onto + into @ (g - (g @ out) @ x)


@operation
def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The Moore-Penrose pseudoinverse.

    Singular values up to max(atol, rtol * the largest) count as zero; `rtol` (the same as `rcond`) defaults to the dtype's
    epsilon times the larger size of A, or to 0 if atol is given. `hermitian`: A is symmetric, and eigenvalues are used
    instead of singular values.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.pinv(tg.ones(3, 2)).shape
    (2, 3)
    """
    check_matrix(A, square=hermitian)
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
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """Same as `linalg.pinv(input, rtol=rcond)`.

    >>> import tinygrad_lite as tg
    >>> tg.pinverse(tg.ones(3, 2)).shape
    (2, 3)
    """
    return pinv(input, rtol=rcond)
