"""Products of matrices and vectors.

`matmul` and `linear` are the primitives; the rest says in which shapes they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import column_sums, is_array, product
from tinygrad_lite.autograd import primitive
from tinygrad_lite.autograd.node import Traced
from tinygrad_lite.ops.arithmetic import add, mul
from tinygrad_lite.ops.calling import operation

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

Number = int | float

__all__ = ["addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "dot", "ger", "inner", "matmul", "mm", "mv", "outer", "vdot"]

METHODS = __all__
IN_PLACE: list[str] = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]


@primitive
def matmul(x, y):
    """Matrix product: (..., n, k) @ (..., k, m) -> (..., n, m), the leading dims broadcast.

    A 1-d operand is a row on the left and a column on the right, and its dim is dropped from the
    result. Both operands have the same dtype.

    >>> import tinygrad_lite as tg
    >>> tg.matmul(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    return product(x, y)


matmul.vjp(x=lambda g, x_shape, y: _left(g, x_shape, y),
           y=lambda g, x, y_shape: _right(g, x, y_shape))


@primitive
def linear(x, weight, bias=None):
    """`x @ weight.T + bias`: x (..., in), weight (out, in), bias (out,) or None -> (..., out)."""
    out = product(x, weight.T)
    if bias is not None:
        if bias.dtype != out.dtype:
            raise TypeError(f"expected a bias of {out.dtype}, as the product, got {bias.dtype}")
        out += bias
    return out


linear.vjp(x=lambda g, weight: _times(g, weight) if len(weight.shape) == 2 else g * weight,
           weight=lambda g, x: _times(_rows(g).T, _rows(x)) if len(g.shape) else g * x,
           bias=lambda g, bias_shape: _over_rows(g) if len(bias_shape) == 1 else g)


# -- the rules ----------------------------------------------------------------------------------


def _times(x: Any, y: Any) -> Any:
    """`x @ y` in a rule: arrays go straight to BLAS (1 us less than through the primitive)."""
    return matmul(x, y) if isinstance(x, Traced) else product(x, y)


def _rows(x: Any) -> Any:
    """`x` as a matrix: all dims but the last made one."""
    if len(x.shape) == 2:
        return x
    *leading, size = x.shape
    count = 1
    for n in leading:
        count *= n
    return x.reshape((count, size))


def _over_rows(g: Any) -> Any:
    """`g` summed over all dims but the last."""
    return _rows(g).sum(0) if isinstance(g, Traced) else column_sums(g)


def _left(g: Any, x_shape: tuple[int, ...], y: Any) -> Any:
    """The gradient of `x @ y` by x, before broadcasting is undone."""
    if len(y.shape) == 1:
        return g.reshape((*g.shape, 1)) * y
    if len(x_shape) == 1:
        return _times(y, g.reshape((*g.shape, 1))).reshape(y.shape[:-1])
    return _times(g, y.mT)


def _right(g: Any, x: Any, y_shape: tuple[int, ...]) -> Any:
    """The gradient of `x @ y` by y, before broadcasting is undone."""
    if len(x.shape) == 1:
        return x * g if len(y_shape) == 1 else x.reshape((-1, 1)) * g.reshape((*g.shape[:-1], 1, g.shape[-1]))
    if len(y_shape) == 1:
        return _times(_rows(x).T, g.reshape((-1,)))
    if len(y_shape) == 2:
        return _times(_rows(x).T, _rows(g))
    return _times(x.mT, g)


# -- in one shape or another ---------------------------------------------------------------------


def _check_ranks(name: str, *operands: tuple[str, Any, int]) -> None:
    for argument, value, rank in operands:
        if not (is_array(value) or isinstance(value, Traced)):
            raise TypeError(f"{name}: expected a Tensor for {argument}, got {type(value).__name__}")
        if len(value.shape) != rank:
            raise ValueError(f"{name}: expected {argument} of {rank} dims, got shape {tuple(value.shape)}")


@operation
def mm(x: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices: (n, k) @ (k, m)."""
    _check_ranks("mm", ("input", x, 2), ("mat2", mat2, 2))
    return matmul(x, mat2)


@operation
def bmm(x: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices: (b, n, k) @ (b, k, m), not broadcast."""
    _check_ranks("bmm", ("input", x, 3), ("mat2", mat2, 3))
    if x.shape[0] != mat2.shape[0]:
        raise ValueError(f"bmm: batch sizes differ: {tuple(x.shape)} and {tuple(mat2.shape)}")
    return matmul(x, mat2)


@operation
def mv(x: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector: (n, k) @ (k,)."""
    _check_ranks("mv", ("input", x, 2), ("vec", vec, 1))
    return matmul(x, vec)


@operation
def dot(x: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of one size."""
    _check_ranks("dot", ("input", x, 1), ("tensor", tensor, 1))
    return matmul(x, tensor)


@operation
def vdot(x: Tensor, y: Tensor) -> Tensor:
    """The inner product of two vectors, as `dot`."""
    _check_ranks("vdot", ("input", x, 1), ("other", y, 1))
    return matmul(x, y)


@operation
def inner(x: Tensor, y: Tensor) -> Tensor:
    """Sums of products over the last dims: (..., k), (...', k) -> (..., ...'); a 0-d operand scales.

    >>> import tinygrad_lite as tg
    >>> tg.inner(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if not (x.shape and y.shape):
        return mul(x, y)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"inner: the last sizes differ: {tuple(x.shape)} and {tuple(y.shape)}")
    return matmul(_rows(x), _rows(y).mT).reshape((*x.shape[:-1], *y.shape[:-1]))


@operation
def outer(x: Tensor, vec2: Tensor) -> Tensor:
    """All products of an element of one vector and one of another: (n,), (m,) -> (n, m)."""
    _check_ranks("outer", ("input", x, 1), ("vec2", vec2, 1))
    return mul(x.reshape((-1, 1)), vec2)


ger = outer


def _plus(name: str, x: Any, out: Any, beta: Number, alpha: Number) -> Any:
    """`beta * x + alpha * out`, of out's shape; with beta 0, x may hold anything."""
    if x.dtype != out.dtype:
        raise TypeError(f"{name}: expected an input of {out.dtype}, as the product, got {x.dtype}")
    if out.dtype.kind not in "fc" and (isinstance(alpha, float) or isinstance(beta, float)):
        raise TypeError(f"{name}: alpha and beta must be integers where the tensors are: got alpha {alpha}, beta {beta}")
    if len(x.shape) > len(out.shape) or any(n not in (1, m) for n, m in zip(x.shape[::-1], out.shape[::-1])):
        raise ValueError(f"{name}: the input's shape {tuple(x.shape)} does not broadcast to the product's, {tuple(out.shape)}")
    if alpha != 1:
        out = mul(out, alpha)
    return out if beta == 0 else add(out, x, alpha=beta)


@operation
def addmm(x: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * mat1 @ mat2`, the input broadcast; with beta 0 it is ignored.

    >>> import tinygrad_lite as tg
    >>> tg.addmm(tg.tensor([1.0, 2.0]), tg.tensor([[1.0], [10.0]]), tg.tensor([[3.0, 4.0]]))
    tensor([[ 4.,  6.],
            [31., 42.]])
    """
    _check_ranks("addmm", ("mat1", mat1, 2), ("mat2", mat2, 2))
    return _plus("addmm", x, matmul(mat1, mat2), beta, alpha)


@operation
def addmv(x: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * mat @ vec`."""
    _check_ranks("addmv", ("mat", mat, 2), ("vec", vec, 1))
    return _plus("addmv", x, matmul(mat, vec), beta, alpha)


@operation
def addr(x: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`."""
    return _plus("addr", x, outer(vec1, vec2), beta, alpha)


@operation
def addbmm(x: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * bmm(batch1, batch2).sum(0)`."""
    return _plus("addbmm", x, bmm(batch1, batch2).sum(0), beta, alpha)


@operation
def baddbmm(x: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * bmm(batch1, batch2)`."""
    return _plus("baddbmm", x, bmm(batch1, batch2), beta, alpha)
