"""Windows as columns of a matrix, and back; pixels as channels, and back."""

from __future__ import annotations

from math import prod
from typing import Any

from tinygrad_lite.arrays.kernels.windows import Windows, add_windows, gather_windows
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.movement.copying import unshared
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.movement.transposing import permute
from tinygrad_lite.ops.nn.sliding_windows import batched, sizes, windows
from tinygrad_lite.ops.typing import Tensor

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]

Sizes = int | tuple[int, ...]


@primitive
def _windows_of(input, windows):
    """(N, C, *size) -> (N, C, *kernel, *count)"""
    return gather_windows(input, windows)


@primitive
def _sum_of_windows(y, windows):
    """(N, C, *kernel, *count) -> (N, C, *size)"""
    return add_windows(y, windows)


_windows_of.vjp(input=lambda g, windows: _sum_of_windows(g, windows))
_sum_of_windows.vjp(y=lambda g, windows: _windows_of(g, windows))


def _settings(name: str, size: Any, kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes) -> Windows:
    kernel, stride = sizes(name, "kernel_size", kernel_size, 2, 1), sizes(name, "stride", stride, 2, 1)
    dilation, padding = sizes(name, "dilation", dilation, 2, 1), sizes(name, "padding", padding, 2)
    return windows(name, tuple(size), kernel, stride, (padding, padding), dilation)


@operation
def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """`input` (N, C, H, W) or (C, H, W) -> (N, C * K * L, windows): each window of K x L elements as a column.

    >>> import tinygrad_lite as tg
    >>> unfold(tg.arange(6.0).reshape(1, 1, 2, 3), 2)  # two windows
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    given, input = input, batched("unfold", input, 2, IndexError)
    if 0 in input.shape[1:]:
        raise ValueError(f"unfold: expected sizes of at least 1 (the batch's aside), got {tuple(input.shape)}")
    w = _settings("unfold", input.shape[2:], kernel_size, dilation, padding, stride)
    out = reshape(_windows_of(input, w), (input.shape[0], input.shape[1] * prod(w.kernel), prod(w.count)))
    return out if given is input else reshape(out, out.shape[1:])


@operation
def fold(
    input: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """`input` (N, C * K * L, windows) or (C * K * L, windows) -> (N, C, *output_size): each column is a window of
    K x L elements; where windows overlap they are added.

    >>> import tinygrad_lite as tg
    >>> fold(tg.ones(1, 4, 2), (2, 3), 2)  # the middle lies in both windows
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    given, input = input, batched("fold", input, 1)
    w = _settings("fold", sizes("fold", "output_size", output_size, 2, 1), kernel_size, dilation, padding, stride)
    channels, rest = divmod(input.shape[1], prod(w.kernel))
    if rest or not channels:
        raise ValueError(f"fold: expected {prod(w.kernel)} rows a channel, got the input {tuple(given.shape)}")
    if input.shape[2] != prod(w.count):
        raise ValueError(f"fold: expected {w.count} windows as columns, got the input {tuple(given.shape)}")
    out = _sum_of_windows(reshape(input, (input.shape[0], channels, *w.kernel, *w.count)), w)
    return out if given is input else reshape(out, out.shape[1:])


def _image(name: str, x: Any, least: int, argument: str, factor: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The leading and the last three sizes."""
    shape = tuple(x.shape)
    if len(shape) < least:
        raise ValueError(f"{name}: expected an input of at least {least} dims, got {shape}")
    if isinstance(factor, bool) or not isinstance(factor, int):
        raise TypeError(f"{name}: expected an int for {argument}, got {factor!r}")
    if factor < 1:
        raise ValueError(f"{name}: expected {argument} of at least 1, got {factor}")
    return shape[:-3], shape[-3:]


@operation
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """`input` (*, C * r^2, H, W) -> (*, C, H * r, W * r): r^2 channels become r x r pixels.

    >>> import tinygrad_lite as tg
    >>> pixel_shuffle(tg.arange(4).reshape(1, 4, 1, 1), 2)
    tensor([[[[0, 1],
              [2, 3]]]])
    """
    lead, (c, h, w) = _image("pixel_shuffle", input, 3, "upscale_factor", r := upscale_factor)
    if c % r**2:
        raise ValueError(f"pixel_shuffle: expected channels in multiples of {r**2} (upscale_factor {r}), got {c}")
    pixels, n = reshape(input, (*lead, c // r**2, r, r, h, w)), len(lead)
    pixels = permute(pixels, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return unshared(reshape(pixels, (*lead, c // r**2, h * r, w * r)), input)


@operation
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """`input` (*, C, H * r, W * r) -> (*, C * r^2, H, W): r x r pixels become r^2 channels.

    >>> import tinygrad_lite as tg
    >>> pixel_unshuffle(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).flatten()
    tensor([1., 2., 3., 4.])
    """
    lead, (c, h, w) = _image("pixel_unshuffle", input, 3, "downscale_factor", r := downscale_factor)
    if h % r or w % r:
        raise ValueError(f"pixel_unshuffle: expected a height and width in multiples of {r}, got ({h}, {w})")
    pixels, n = reshape(input, (*lead, c, h // r, r, w // r, r)), len(lead)
    pixels = permute(pixels, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return unshared(reshape(pixels, (*lead, c * r**2, h // r, w // r)), input)


@operation
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`input` (N, C, *spatial) with the first channel of each of `groups` groups first, then the second ones, ...

    >>> import tinygrad_lite as tg
    >>> tg.channel_shuffle(tg.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    _image("channel_shuffle", input, 3, "groups", groups)
    n, c, *spatial = input.shape
    if c % groups:
        raise ValueError(f"channel_shuffle: expected channels in multiples of groups {groups}, got {c}")
    dealt = reshape(input, (n, groups, c // groups, *spatial))
    return unshared(reshape(permute(dealt, (0, 2, 1, *range(3, len(dealt.shape)))), (n, c, *spatial)), input)
