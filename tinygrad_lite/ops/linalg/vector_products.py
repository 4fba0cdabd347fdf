"""Vectors along a dim: their cross and inner products, and the powers of their elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_lite.ops.calculus import mul, to_dtype
from tinygrad_lite.ops.calling import canonical_dim, operation
from tinygrad_lite.ops.creation.factories import ones_like
from tinygrad_lite.ops.linalg.checks import check_float
from tinygrad_lite.ops.movement.joining import stack, unbind
from tinygrad_lite.ops.movement.shape import reshape

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["cross"]

METHODS = __all__
IN_PLACE: list[str] = []


@operation
def linalg_cross(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of size 3 along `dim`; other dims of size 1 broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.cross(tg.tensor([1.0, 0.0, 0.0]), tg.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
    if len(x.shape) != len(y.shape):
        raise ValueError(f"cross: expected as many dims of both tensors, got the shapes {shapes}")
    dim = canonical_dim("cross", dim, len(x.shape))
    if not x.shape or x.shape[dim] != 3 or y.shape[dim] != 3:
        raise ValueError(f"cross: expected size 3 in dim {dim}, got the shapes {shapes}")
    (a, b, c), (d, e, f) = unbind(x, dim), unbind(y, dim)
    return stack((b * f - c * e, c * d - a * f, a * e - b * d), dim)


@operation
def cross(x: Tensor, y: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of size 3 along `dim`: the first dim of size 3 unless given.

    >>> import tinygrad_lite as tg
    >>> tg.cross(tg.tensor([1, 0, 0]), tg.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    if dim is None:
        dim = next((d for d, n in enumerate(x.shape) if n == 3), -1)
    return linalg_cross(x, y, dim=dim)


@operation
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products of vectors along `dim`; the other dims broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.linalg.vecdot(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.ones(2))
    tensor([3., 7.])
    """
    check_float("vecdot", x)
    if x.dtype != y.dtype:
        raise TypeError(f"vecdot: both tensors must have the same dtype, got {x.dtype} and {y.dtype}")
    return mul(x, y).sum(dim)


@operation
def vander(x: Tensor, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 of each element, in a new last dim; N is the last size unless given.

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
        raise ValueError(f"vander: expected N of 2 or more, got {N}")
    if x.dtype.kind not in "fc":
        x = to_dtype(x, np.dtype(np.int64))
    powers = [ones_like(x), x]
    while len(powers) < N:
        powers.append(mul(powers[-1], x))
    return stack(powers[:N], -1)
