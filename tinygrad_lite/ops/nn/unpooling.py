"""Max unpooling: maxima put back at their original positions."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import filled, int64, is_floating
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.movement.scattering import scatter
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.nn.pooling import Sizes, _kernel
from tinygrad_lite.ops.nn.sliding_windows import batched, constant_like, like_given
from tinygrad_lite.ops.typing import Tensor


def _unpooled(rank: int, x: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any) -> Any:
    given, x = x, batched(x, rank)
    kernel, stride, padding = _kernel(rank, kernel_size, stride, padding)
    if tuple(indices.shape) != tuple(given.shape):
        raise BadValue(argument="indices", expected=f"indices of the input's shape {tuple(given.shape)}", got=tuple(indices.shape))
    if indices.dtype != int64:
        raise BadType(argument="indices", expected="int64 indices", got=indices.dtype)
    if not is_floating(x.dtype):
        raise BadType(expected="a floating-point tensor", got=x.dtype)
    size = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[2:], stride, padding, kernel))
    if output_size is not None:
        wanted = tuple(output_size)[2 if len(output_size) == rank + 2 else 0 :]
        if len(wanted) != rank or any(not n - s < m < n + s for m, n, s in zip(wanted, size, stride)):
            raise BadValue(argument="output_size", expected=f"an output_size within the stride {stride} of {size}", got=tuple(output_size))
        size = wanted
    planes = (x.shape[0] * x.shape[1], math.prod(x.shape[2:]))
    zeros = constant_like(x, filled((planes[0], math.prod(size)), 0, raw(x)))
    out = scatter(zeros, 1, reshape(indices, planes), reshape(x, planes))
    return like_given(reshape(out, (*x.shape[:2], *size)), given)


@operation
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, output_size: Any = None
) -> Tensor:
    """Each maximum of `input` (N, C, L) or (C, L) at its position before `max_pool1d`. See `max_unpool2d`.

    >>> import tinygrad_lite as tg
    >>> y, places = tg.nn.functional.max_pool1d(tg.tensor([[1.0, 4.0, 3.0, 2.0]]), 2, return_indices=True)
    >>> max_unpool1d(y, places, 2)
    tensor([[0., 4., 3., 0.]])
    """
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


@operation
def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, output_size: Any = None
) -> Tensor:
    """Each maximum of `input` (N, C, H, W) or (C, H, W) at its position before `max_pool2d`, and zeros elsewhere.

    `indices`: from `max_pool2d(..., return_indices=True)` with the same other arguments. `output_size`: the original size,
    if it is not the smallest possible.

    >>> import tinygrad_lite as tg
    >>> max_unpool2d(tg.tensor([[[7.0]]]), tg.tensor([[[2]]]), 2)
    tensor([[[0., 0.],
             [7., 0.]]])
    """
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


@operation
def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, output_size: Any = None
) -> Tensor:
    """Each maximum of `input` (N, C, D, H, W) or (C, D, H, W) at its position before `max_pool3d`. See `max_unpool2d`.

    >>> import tinygrad_lite as tg
    >>> y, places = tg.nn.functional.max_pool3d(tg.ones(1, 4, 4, 4), 2, return_indices=True)
    >>> max_unpool3d(y, places, 2).sum(), places.shape
    (tensor(8.), (1, 2, 2, 2))
    """
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)
