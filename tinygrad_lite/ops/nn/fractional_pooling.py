"""Fractional max pooling: maxima of windows with random steps (Graham, 2014)."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.kernels.pooling import largest_at_random
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.nn.pooling import _pooled_input, _with_indices
from tinygrad_lite.ops.nn.sliding_windows import like_given, sizes
from tinygrad_lite.ops.random.sampling import rand
from tinygrad_lite.ops.typing import Tensor

Sizes = int | tuple[int, ...]


def _fractional(rank: int, x: Any, kernel_size: Sizes, output_size: Any, output_ratio: Any, return_indices: bool, samples: Any) -> Any:
    given, x = x, _pooled_input(x, rank)
    if (output_size is None) == (output_ratio is None):
        raise BadValue(argument="output_size", expected="either output_size or output_ratio")
    kernel, space = sizes("kernel_size", kernel_size, rank, 1), tuple(x.shape[2:])
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * rank
        if len(ratios) != rank:
            raise BadValue(argument="output_ratio", expected=f"{rank} numbers", got=output_ratio)
        output_size = tuple(int(size * ratio) for size, ratio in zip(space, ratios))
    counts = sizes("output_size", output_size, rank, 1)
    if any(n + k - 1 > size for n, k, size in zip(counts, kernel, space)):
        raise BadValue(f"{counts} windows of {kernel} do not fit into {space}")
    planes = tuple(x.shape[:2])
    samples = raw(rand((*planes, rank), dtype=x.dtype, device=x.device) if samples is None else samples)
    if samples.shape[0] < planes[0] or samples.shape[1:] != (planes[1], rank):
        raise BadValue(argument="samples", expected=f"random samples of shape {(*planes, rank)}", got=samples.shape)
    values, indices = _with_indices(x, largest_at_random(raw(x), samples[: planes[0]], kernel, counts))
    return (like_given(values, given), like_given(indices, given)) if return_indices else like_given(values, given)


@operation
def fractional_max_pool2d(
    input: Tensor, kernel_size: Sizes, output_size: Sizes | None = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The maxima of windows of `input` (N, C, H, W) or (C, H, W) with random steps: `output_size` of them, or
    `output_ratio` times the image's size. `return_indices`: also their flat indices in the plane.

    >>> import tinygrad_lite as tg
    >>> fractional_max_pool2d(tg.ones(1, 1, 7, 7), 2, output_size=(4, 5)).shape
    (1, 1, 4, 5)
    """
    return _fractional(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@operation
def fractional_max_pool3d(
    input: Tensor, kernel_size: Sizes, output_size: Sizes | None = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """Like `fractional_max_pool2d`, for `input` (N, C, D, H, W) or (C, D, H, W).

    >>> import tinygrad_lite as tg
    >>> fractional_max_pool3d(tg.ones(1, 1, 8, 8, 8), 2, output_ratio=0.5).shape
    (1, 1, 4, 4, 4)
    """
    return _fractional(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)
