"""Fractional max pooling: the maximum of windows whose steps are drawn at random (Graham, 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import int64, namespace_of
from tinygrad_lite.ops.calling import operation, raw
from tinygrad_lite.ops.nn.pooling import _pooled_input, _with_indices
from tinygrad_lite.ops.nn.sliding_windows import like_given, sizes
from tinygrad_lite.ops.random.sampling import rand

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__: list[str] = []

Sizes = int | tuple[int, ...]


def _starts(size: int, kernel: int, count: int, sample: Any) -> Any:
    """Where the windows of one dim begin, (N, C, count), for a number from 0 to 1 for each plane, (N, C)."""
    xp = namespace_of(sample)
    if count == 1:
        return xp.full((*sample.shape, 1), size - kernel)
    step = (size - kernel) / (count - 1)
    sample = sample[..., None]
    starts = ((xp.arange(count) + sample) * step).astype(int64) - (sample * step).astype(int64)
    starts[..., -1] = size - kernel  # the last window always ends with the image
    return starts


def _fractional(
    name: str, rank: int, x: Any, kernel_size: Sizes, output_size: Any, output_ratio: Any, return_indices: bool, samples: Any
) -> Any:
    given, x = x, _pooled_input(name, x, rank)
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name}: expected either output_size or output_ratio")
    kernel, space = sizes(name, "kernel_size", kernel_size, rank, 1), tuple(x.shape[2:])
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * rank
        if len(ratios) != rank:
            raise ValueError(f"{name}: expected {rank} numbers for output_ratio, got {output_ratio}")
        output_size = tuple(int(size * ratio) for size, ratio in zip(space, ratios))
    counts = sizes(name, "output_size", output_size, rank, 1)
    if any(n + k - 1 > size for n, k, size in zip(counts, kernel, space)):
        raise ValueError(f"{name}: {counts} windows of {kernel} do not fit into {space}")
    planes = tuple(x.shape[:2])
    samples = raw(rand((*planes, rank), dtype=x.dtype, device=x.device) if samples is None else samples)
    if samples.shape[0] < planes[0] or samples.shape[1:] != (planes[1], rank):
        raise ValueError(f"{name}: expected random samples of shape {(*planes, rank)}, got {samples.shape}")
    xp, array = namespace_of(samples), raw(x)
    # The flat place in its plane of every element of every window: (N, C, *counts, *kernel).
    places: Any = xp.zeros((1,) * (2 + 2 * rank), int64)
    for dim, (size, k, count) in enumerate(zip(space, kernel, counts)):
        # The samples stand in the order of the dims in three of them, and in the reverse order in two.
        starts = _starts(size, k, count, samples[: planes[0], :, dim if rank == 3 else rank - 1 - dim])
        along = starts[..., None] + xp.arange(k)
        shape = [*planes, *(1,) * (2 * rank)]
        shape[2 + dim], shape[2 + rank + dim] = count, k
        places = places * size + along.reshape(shape)
    places = places.reshape(*planes, *counts, -1)
    flat = xp.take_along_axis(array.reshape(*planes, -1), places.reshape(*planes, -1), axis=2).reshape(places.shape)
    best = xp.argmax(flat, axis=-1)  # argmax counts a nan as the largest, as the pooling does
    values, indices = _with_indices(x, xp.take_along_axis(places, best[..., None], axis=-1)[..., 0])
    return (like_given(values, given), like_given(indices, given)) if return_indices else like_given(values, given)


@operation
def fractional_max_pool2d(
    input: Tensor, kernel_size: Sizes, output_size: Sizes | None = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The maximum of windows of `input` (N, C, H, W) or (C, H, W) that lie at random steps: as many of them as
    `output_size` says, or `output_ratio` times the image's size. `return_indices`: also each maximum's flat
    place in its plane.

    >>> import tinygrad_lite as tg
    >>> fractional_max_pool2d(tg.ones(1, 1, 7, 7), 2, output_size=(4, 5)).shape
    (1, 1, 4, 5)
    """
    return _fractional(
        "fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )  # fmt: skip


@operation
def fractional_max_pool3d(
    input: Tensor, kernel_size: Sizes, output_size: Sizes | None = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The same of `input` (N, C, D, H, W) or (C, D, H, W).

    >>> import tinygrad_lite as tg
    >>> fractional_max_pool3d(tg.ones(1, 1, 8, 8, 8), 2, output_ratio=0.5).shape
    (1, 1, 4, 4, 4)
    """
    return _fractional(
        "fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )  # fmt: skip
