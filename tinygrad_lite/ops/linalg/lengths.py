"""Norms under PyTorch's older names, and what is measured by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import only_tensors
from tinygrad_lite.ops.calling import canonical_dim, operation
from tinygrad_lite.ops.linalg.norms import matrix_norm, vector_norm
from tinygrad_lite.ops.math.comparison import where
from tinygrad_lite.ops.movement.shape import contiguous
from tinygrad_lite.ops.reduction.sums import Dims

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["dist", "norm", "renorm"]

METHODS = __all__
IN_PLACE = ["renorm"]


@operation
def norm(x: Tensor, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """`linalg.vector_norm` of order `p` over `dim` (None: all elements); "fro" and None stand for 2;
    "nuc" is the sum of the singular values of a matrix.

    >>> import tinygrad_lite as tg
    >>> tg.norm(tg.tensor([3.0, -4.0]))
    tensor(5.)
    """
    if p is None or p == "fro":
        p = 2
    if isinstance(p, str):
        return matrix_norm(x, p, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)  # type: ignore[arg-type]
    return vector_norm(x, p, dim, keepdim, dtype=dtype)


@operation
def dist(x: Tensor, y: Tensor, p: float = 2) -> Tensor:
    """The `p`-norm of `x - y`.

    >>> import tinygrad_lite as tg
    >>> tg.dist(tg.tensor([0.0, 0.0]), tg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    only_tensors(x, y)
    return vector_norm(x - y, p)


@operation
def renorm(x: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """`x` with each slice along `dim` whose `p`-norm exceeds `maxnorm` scaled down to it.

    >>> import tinygrad_lite as tg
    >>> tg.renorm(tg.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if x.ndim < 2:
        raise ValueError(f"renorm: expected a tensor of at least 2 dims, got the shape {tuple(x.shape)}")
    if p <= 0 or maxnorm < 0:
        raise ValueError(f"renorm: expected a positive p and a maxnorm of 0 or more, got {p} and {maxnorm}")
    axis = canonical_dim("renorm", dim, x.ndim)
    length = vector_norm(x, p, tuple(d for d in range(x.ndim) if d != axis), True)
    return contiguous(x * where(length > maxnorm, maxnorm / (length + 1e-7), 1.0))
