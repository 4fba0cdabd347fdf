"""Products of matrices and vectors, for the shapes in which `matmul` is used."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import is_array, only_numbers
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import canonical_dim, old_order, operation
from tinygrad_lite.ops.calculus import add, matmul, mul
from tinygrad_lite.ops.linalg.checks import check_float
from tinygrad_lite.ops.linalg.einsum import _contract
from tinygrad_lite.ops.math.arithmetic import to_common_dtype
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.diagonals import diagonal
from tinygrad_lite.ops.movement.joining import stack, unbind
from tinygrad_lite.ops.typing import AnyTensor, Tensor

Number = int | float

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "cross", "dot", "ger", "inner", "kron", "mm", "mv", "outer",
    "trace", "vdot",
]  # fmt: skip


# -- fixed shapes --------------------------------------------------------------------------------


def _check_ranks(*operands: tuple[str, Any, int]) -> None:
    for argument, value, rank in operands:
        if getattr(value, "ndim", None) != rank:
            if not (is_array(value) or isinstance(value, Traced)):
                raise BadType(argument=argument, expected="a Tensor", got=type(value).__name__)
            raise BadValue(argument=argument, expected=f"{argument} of {rank} dims", got=f"shape {tuple(value.shape)}")


@operation
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices: (n, k) @ (k, m).

    >>> import tinygrad_lite as tg
    >>> tg.mm(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    _check_ranks(("input", input, 2), ("mat2", mat2, 2))
    return matmul(input, mat2)


@operation
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices: (b, n, k) @ (b, k, m), not broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.bmm(tg.ones(5, 2, 3), tg.ones(5, 3, 4)).shape
    (5, 2, 4)
    """
    _check_ranks(("input", input, 3), ("mat2", mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise BadValue(f"batch sizes differ: {tuple(input.shape)} and {tuple(mat2.shape)}")
    return matmul(input, mat2)


@operation
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector: (n, k) @ (k,).

    >>> import tinygrad_lite as tg
    >>> tg.mv(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    _check_ranks(("input", input, 2), ("vec", vec, 1))
    return matmul(input, vec)


@operation
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of one size.

    >>> import tinygrad_lite as tg
    >>> tg.dot(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor(11)
    """
    _check_ranks(("input", input, 1), ("tensor", tensor, 1))
    return matmul(input, tensor)


@operation
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors, like `dot`.

    >>> import tinygrad_lite as tg
    >>> tg.vdot(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _check_ranks(("input", input, 1), ("other", other, 1))
    return matmul(input, other)


@operation
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dims: (..., k), (...', k) -> (..., ...'); a 0-d operand scales.

    >>> import tinygrad_lite as tg
    >>> tg.inner(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if not (input.shape and other.shape):
        return mul(input, other)
    if input.shape[-1] != other.shape[-1]:
        raise BadValue(f"the last sizes differ: {tuple(input.shape)} and {tuple(other.shape)}")
    if input.dtype != other.dtype:
        raise BadType(f"both operands must have the same dtype, got {input.dtype} and {other.dtype}")
    letters = "abcdefghijklmnopqrstuvwxyz"
    of_x, of_y = letters[: input.ndim - 1], letters[input.ndim - 1 : input.ndim + other.ndim - 2]
    return _contract(input, other, (of_x + "z", of_y + "z", of_x + of_y))


@operation
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The outer product of two vectors: (n,), (m,) -> (n, m).

    >>> import tinygrad_lite as tg
    >>> tg.outer(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _check_ranks(("input", input, 1), ("vec2", vec2, 1))
    return _contract(input, vec2, ("a", "b", "ab"))


ger = outer


def _plus(name: str, x: Any, out: Any, beta: Number, alpha: Number) -> Any:
    """`beta * x + alpha * out`, with out's shape; if beta is 0, x is ignored."""
    if x.dtype != out.dtype:
        raise BadType(argument="input", expected=f"an input of {out.dtype}, as the product", got=x.dtype)
    if out.dtype.kind not in "fc":  # addr refuses fractions, PyTorch's other products truncate them
        if name == "addr" and (isinstance(alpha, float) or isinstance(beta, float)):
            raise BadType(f"alpha and beta must be integers where the tensors are: got alpha {alpha}, beta {beta}")
        whole = bool if out.dtype.kind == "b" else int
        alpha, beta = whole(alpha), whole(beta)
    if alpha != 1:
        out = mul(out, alpha)
    if beta == 0:
        return out
    result = add(out, x if beta == 1 else mul(x, beta))
    if result.shape != out.shape:
        raise BadValue(f"the input's shape {tuple(x.shape)} does not broadcast to the product's, {tuple(out.shape)}")
    return result


@old_order("beta", "alpha")
@operation
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * mat1 @ mat2`, with `input` broadcast; if beta is 0, `input` is ignored.

    >>> import tinygrad_lite as tg
    >>> tg.addmm(tg.tensor([1.0, 2.0]), tg.tensor([[1.0], [10.0]]), tg.tensor([[3.0, 4.0]]))
    tensor([[ 4.,  6.],
            [31., 42.]])
    """
    _check_ranks(("mat1", mat1, 2), ("mat2", mat2, 2))
    return _plus("addmm", input, matmul(mat1, mat2), beta, alpha)


@old_order("beta", "alpha")
@operation
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * mat @ vec`.

    >>> import tinygrad_lite as tg
    >>> tg.addmv(tg.tensor([10.0, 20.0]), tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0]))
    tensor([13., 27.])
    """
    _check_ranks(("mat", mat, 2), ("vec", vec, 1))
    return _plus("addmv", input, matmul(mat, vec), beta, alpha)


@old_order("beta", "alpha")
@operation
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`.

    >>> import tinygrad_lite as tg
    >>> tg.addr(tg.zeros(2, 2), tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    input, vec1, vec2 = to_common_dtype(input if input.ndim else input.reshape((1, 1)), vec1, vec2)  # 0-d would not count
    return _plus("addr", input, outer(vec1, vec2), beta, alpha)


@old_order("beta", "alpha")
@operation
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * bmm(batch1, batch2).sum(0)`.

    >>> import tinygrad_lite as tg
    >>> tg.addbmm(tg.zeros(2, 2), tg.ones(5, 2, 3), tg.ones(5, 3, 2))
    tensor([[15., 15.],
            [15., 15.]])
    """
    return _plus("addbmm", input, bmm(batch1, batch2).sum(0, dtype=batch1.dtype), beta, alpha)


@old_order("beta", "alpha")
@operation
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * bmm(batch1, batch2)`.

    >>> import tinygrad_lite as tg
    >>> tg.baddbmm(tg.zeros(2, 2), tg.ones(1, 2, 3), tg.ones(1, 3, 2))
    tensor([[[3., 3.],
             [3., 3.]]])
    """
    return _plus("baddbmm", input, bmm(batch1, batch2), beta, alpha)


# -- chains, vectors, tensors ---------------------------------------------------------------------


@operation
def multi_dot(tensors: Any) -> AnyTensor:
    """The product of two or more matrices, in the order with the fewest multiplications. The first and last may be vectors.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.multi_dot([tg.tensor([1.0, 2.0]), tg.tensor([[1.0], [3.0]]), tg.tensor([[2.0, 4.0]])])
    tensor([14., 28.])
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise BadValue(argument="tensors", expected="two tensors or more", got=len(tensors))
    for i, x in enumerate(tensors):
        if len(x.shape) != 2 and not (len(x.shape) == 1 and i in (0, len(tensors) - 1)):
            raise BadValue(expected=f"matrices (or vectors at its ends); tensor {i} has shape {tuple(x.shape)}")
    shapes = [tuple(x.shape) for x in tensors]
    row, column = len(shapes[0]) == 1, len(shapes[-1]) == 1
    sizes = [1 if row else shapes[0][0], *(shape[0] for shape in shapes[1:]), 1 if column else shapes[-1][1]]
    for i, shape in enumerate(shapes[:-1]):
        if shape[-1] != sizes[i + 1]:
            raise BadValue(f"tensors {i} and {i + 1} of shapes {shape} and {shapes[i + 1]} cannot be multiplied")
    split = _cheapest_splits(sizes)

    def chain(i: int, j: int) -> Any:
        return tensors[i] if i == j else matmul(chain(i, split[i, j]), chain(split[i, j] + 1, j))

    return chain(0, len(tensors) - 1)


def _cheapest_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """For the product of matrices i to j, of sizes `sizes[i]` by `sizes[i + 1]`: after which matrix to split it."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], split[i, j] = min((cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))
    return split


@operation
def chain_matmul(*matrices: Any) -> AnyTensor:
    """The product of matrices, in the order with the fewest multiplications.

    >>> import tinygrad_lite as tg
    >>> tg.chain_matmul(tg.ones(2, 9), tg.ones(9, 3), tg.ones(3, 1))
    tensor([[27.],
            [27.]])
    """
    given = matrices[0] if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)) else matrices
    _check_ranks(*((f"matrix {i}", x, 2) for i, x in enumerate(given)))
    return clone(given[0]) if len(given) == 1 else multi_dot(given)


@operation
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: a block for each element of `input`, that element times `other`.

    >>> import tinygrad_lite as tg
    >>> tg.kron(tg.tensor([[1, 2]]), tg.tensor([[1, 1], [0, 1]]))
    tensor([[1, 1, 2, 2],
            [0, 1, 0, 2]])
    """
    rank = max(len(input.shape), len(other.shape))
    of_x, of_y = ((1,) * (rank - len(t.shape)) + tuple(t.shape) for t in (input, other))
    out = mul(input.reshape([s for n in of_x for s in (n, 1)]), other.reshape([s for n in of_y for s in (1, n)]))
    return out.reshape(tuple(n * m for n, m in zip(of_x, of_y)))


@operation
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal.

    >>> import tinygrad_lite as tg
    >>> tg.trace(tg.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    _check_ranks(("input", input, 2))
    only_numbers(input)
    return diagonal(input).sum()


@operation
def linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonal of each matrix in the last two dims: a view.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.diagonal(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return diagonal(A, offset, dim1, dim2)


@operation
def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of size 3 along `dim`; other dims of size 1 broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.cross(tg.tensor([1.0, 0.0, 0.0]), tg.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    shapes = f"{tuple(input.shape)} and {tuple(other.shape)}"
    if len(input.shape) != len(other.shape):
        raise BadValue(expected="as many dims of both tensors", got=f"the shapes {shapes}")
    dim = canonical_dim(dim, len(input.shape))
    if not input.shape or input.shape[dim] != 3 or other.shape[dim] != 3:
        raise BadValue(expected=f"size 3 in dim {dim}", got=f"the shapes {shapes}")
    (a, b, c), (d, e, f) = unbind(input, dim), unbind(other, dim)
    return stack((b * f - c * e, c * d - a * f, a * e - b * d), dim)


@operation
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of size 3 along `dim`, by default the first dim of size 3.

    >>> import tinygrad_lite as tg
    >>> tg.cross(tg.tensor([1, 0, 0]), tg.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    if dim is None:
        dim = next((d for d, n in enumerate(input.shape) if n == 3), -1)
    return linalg_cross(input, other, dim=dim)


@operation
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products of vectors along `dim`; the other dims broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.vecdot(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.ones(2))
    tensor([3., 7.])
    """
    check_float(x)
    if x.dtype != y.dtype:
        raise BadType(f"both tensors must have the same dtype, got {x.dtype} and {y.dtype}")
    return mul(x, y).sum(dim)
