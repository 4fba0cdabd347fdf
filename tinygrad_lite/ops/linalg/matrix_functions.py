"""Functions of square matrices: determinant, powers, exponential.

The last two dims are a matrix, the dims before them a batch.
"""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

from tinygrad_lite.arrays import int64, namespace_of
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.arrays.kernels.matrix_functions import exponential
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import matmul, mul, replaced, to_dtype
from tinygrad_lite.ops.creation.factories import ones_like
from tinygrad_lite.ops.linalg.checks import check_matrix
from tinygrad_lite.ops.linalg.inverses import _inv, inv
from tinygrad_lite.ops.linalg.svd import _svd
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.joining import cat, stack
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.typing import Tensor

__all__ = ["det", "logdet", "matrix_exp", "matrix_power", "slogdet"]


# -- determinant ---------------------------------------------------------------------------------


@primitive
def _det(A):
    return namespace_of(A).linalg.det(A)


_det.vjp(A=lambda g, A, out: g[..., None, None] * _cofactors(A, out))


def _cofactors(x: Any, det: Any) -> Any:
    """The derivative of the determinant, det times inv(x).mT, which exists even where inv(x) does not."""
    values, size = raw(x), raw(det)
    # Hadamard's inequality: |det| is at most the product of the rows' norms.
    bound = (values * values).sum(-1).prod(-1) ** 0.5
    regular = (abs(size) > 1e-4 * bound)[..., None, None]
    if is_symbol(values):  # a program is for matrices of both kinds
        eye = namespace_of(values).eye(x.shape[-1], dtype=x.dtype)
        return where(regular, det[..., None, None] * _inv(where(regular, x, eye), True).mT, _by_singular_values(x))
    return det[..., None, None] * _inv(x, True).mT if bool(regular.all()) else _by_singular_values(x)


def _by_singular_values(x: Any) -> Any:
    """The cofactors of any matrices."""
    u, s, vh = _svd(x, False)
    n = s.shape[-1]
    # For each singular value, the product of the others; det(u vh) is 1 or -1.
    others = where(namespace_of(raw(x)).eye(n, dtype=bool), 1.0, s[..., None, :]).prod(-1)
    return (_det(u) * _det(vh))[..., None, None] * ((u * others[..., None, :]) @ vh)


@operation
def det(A: Tensor) -> Tensor:
    """The determinant.

    >>> import tinygrad_lite as tg
    >>> tg.det(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    check_matrix(A, square=True)
    return _det(A)


SLogDet = namedtuple("SLogDet", ["sign", "logabsdet"])


@primitive
def _slogdet(A):
    return tuple(namespace_of(A).linalg.slogdet(A))


_slogdet.vjp(A=lambda g, A: g[1][..., None, None] * _inv(A, False).mT)


@operation
def slogdet(A: Tensor) -> SLogDet:
    """`sign, logabsdet`: the determinant's sign (-1, 0 or 1) and the logarithm of its absolute value.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.slogdet(tg.tensor([[0.0, 1.0], [1.0, 0.0]]))
    SLogDet(sign=tensor(-1.), logabsdet=tensor(0.))
    """
    check_matrix(A, square=True)
    return SLogDet(*_slogdet(A))


@operation
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: nan if it is negative, -inf if it is zero.

    >>> import tinygrad_lite as tg
    >>> tg.logdet(tg.eye(3))
    tensor(0.)
    """
    sign, logabsdet = slogdet(input)
    return where(sign < 0, math.nan, logabsdet)


# -- powers --------------------------------------------------------------------------------------


@operation
def matrix_power(A: Tensor, n: int) -> Tensor:
    """The n-th power of A; for negative n, of its inverse.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.matrix_power(tg.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise BadValue(expected="square matrices", got=f"the shape {tuple(A.shape)}")
    if isinstance(n, bool) or not isinstance(n, int):
        raise BadType(argument="n", expected="an int", got=repr(n))
    if n < 0:
        return matrix_power(inv(A), -n)
    if n == 0:
        return replaced(A, namespace_of(raw(A)).eye(A.shape[-1], dtype=A.dtype), (...,))
    result: Any = None
    while True:  # repeated squaring
        if n & 1:
            result = A if result is None else matmul(result, A)
        n >>= 1
        if not n:
            return result if result is not A else A * 1
        A = matmul(A, A)


# -- exponential ---------------------------------------------------------------------------------

@primitive
def _matrix_exp(A):
    return exponential(A)


_matrix_exp.vjp(A=lambda g, A: _exp_gradient(g, A.mT))


def _exp_gradient(g: Any, x: Any) -> Any:
    """The derivative of exp at x in the direction g, a block of the exponential of [[x, g], [0, x]]."""
    n = x.shape[-1]
    blocks = cat([cat([x, g], -1), cat([x * 0, x], -1)], -2)
    return _matrix_exp(blocks)[..., :n, n:]


@operation
def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices, `sum of x^k / k!`, by scaling and squaring.

    >>> import tinygrad_lite as tg
    >>> tg.matrix_exp(tg.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    check_matrix(A, square=True)
    return _matrix_exp(A)


@operation
def vander(x: Tensor, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 of each element, in a new last dim; N defaults to the last size.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.vander(tg.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    if not x.shape:
        x = reshape(x, (1,))
    N = x.shape[-1] if N is None else N
    if N is None or N < 2:
        raise BadValue(argument="N", expected="N of 2 or more", got=N)
    if x.dtype.kind not in "fc":
        x = to_dtype(x, int64)
    powers = [ones_like(x), x]
    while len(powers) < N:
        powers.append(mul(powers[-1], x))
    return stack(powers[:N], -1)
