"""Adaptive pooling: the maximum or mean of each of a given number of parts."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import is_floating
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.pooling import largest_of_parts, part_members, part_sizes
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.dependence import linear_in
from tinygrad_lite.ops.math.arithmetic import div
from tinygrad_lite.ops.nn.pooling import Sizes, _max_pool, _pooled_input, _window_sums, _with_indices
from tinygrad_lite.ops.nn.sliding_windows import _weighted_sums, constant_like, like_given, sizes, windows
from tinygrad_lite.ops.reduction.sums import mean
from tinygrad_lite.ops.typing import Tensor

__all__ = ["adaptive_avg_pool1d", "adaptive_max_pool1d"]


def _parts(output_size: Any, x: Any, rank: int) -> tuple[int, ...]:
    """The number of parts along each spatial dim; None keeps a dim as it is (except in one dimension)."""
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    if len(given) != rank:
        raise BadValue(argument="output_size", expected=f"an int or {rank} of them", got=repr(output_size))
    given = tuple(n if m is None and rank > 1 else m for m, n in zip(given, x.shape[2:]))
    if not is_floating(x.dtype):
        raise BadType(expected="a floating-point tensor", got=x.dtype)
    return sizes("output_size", given, rank)


def _adaptive_mean(name: str, rank: int, x: Any, output_size: Any) -> Any:
    given, x = x, _pooled_input(x, rank)
    count, size = _parts(output_size, x, rank), tuple(x.shape[2:])
    if count == (1,) * rank:
        return like_given(mean(x, tuple(range(2, rank + 2)), keepdim=True), given)
    if all(m and n % m == 0 for n, m in zip(size, count)):
        kernel = tuple(n // m for n, m in zip(size, count))
        out = div(_window_sums(x, windows(name, size, kernel, kernel, ((0,) * rank,) * 2, (1,) * rank)), math.prod(kernel))
    else:
        out = x
        for d, (n, m) in enumerate(zip(size, count), 2):
            out = _weighted_sums(out, part_members(n, m), d)
        out = div(out, constant_like(x, part_sizes(size, count, x.dtype)))
    return like_given(linear_in(out, x), given)


def _adaptive_maximum(name: str, rank: int, x: Any, output_size: Any, return_indices: bool) -> Any:
    given, x = x, _pooled_input(x, rank)
    count, size = _parts(output_size, x, rank), tuple(x.shape[2:])
    if not return_indices and all(m and n % m == 0 for n, m in zip(size, count)):
        kernel = tuple(n // m for n, m in zip(size, count))
        return like_given(_max_pool(x, windows(name, size, kernel, kernel, ((0,) * rank,) * 2, (1,) * rank)), given)
    values, indices = _with_indices(x, largest_of_parts(raw(x), count))
    return (like_given(values, given), like_given(indices, given)) if return_indices else like_given(values, given)


@operation
def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """The means of `output_size` parts of `input` (N, C, L) or (C, L). See `adaptive_avg_pool2d`.

    >>> import tinygrad_lite as tg
    >>> adaptive_avg_pool1d(tg.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[2., 7.]])
    """
    return _adaptive_mean("adaptive_avg_pool1d", 1, input, output_size)


@operation
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of nearly equal parts of `input` (N, C, H, W) or (C, H, W), which overlap if necessary. `output_size`: the
    number along each dim, None for the number of elements.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.arange(15.0).reshape(1, 3, 5), (1, 2))
    tensor([[[6., 8.]]])
    """
    return _adaptive_mean("adaptive_avg_pool2d", 2, input, output_size)


@operation
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The means of parts of `input` (N, C, D, H, W) or (C, D, H, W). See `adaptive_avg_pool2d`.

    >>> import tinygrad_lite as tg
    >>> adaptive_avg_pool3d(tg.ones(1, 2, 5, 6, 7), (1, 2, 3)).shape
    (1, 2, 1, 2, 3)
    """
    return _adaptive_mean("adaptive_avg_pool3d", 3, input, output_size)


@operation
def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The maxima of `output_size` parts of `input` (N, C, L) or (C, L). See `adaptive_max_pool2d`.

    >>> import tinygrad_lite as tg
    >>> adaptive_max_pool1d(tg.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[3., 9.]])
    """
    return _adaptive_maximum("adaptive_max_pool1d", 1, input, output_size, return_indices)


@operation
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of parts of `input` (N, C, H, W) or (C, H, W), divided as in `adaptive_avg_pool2d`. `return_indices`: also
    their flat indices in the plane.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.adaptive_max_pool2d(tg.arange(15.0).reshape(1, 3, 5), (1, 2))
    tensor([[[12., 14.]]])
    """
    return _adaptive_maximum("adaptive_max_pool2d", 2, input, output_size, return_indices)


@operation
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of parts of `input` (N, C, D, H, W) or (C, D, H, W). See `adaptive_max_pool2d`.

    >>> import tinygrad_lite as tg
    >>> adaptive_max_pool3d(tg.ones(1, 2, 5, 6, 7), (1, 2, 3)).shape
    (1, 2, 1, 2, 3)
    """
    return _adaptive_maximum("adaptive_max_pool3d", 3, input, output_size, return_indices)
