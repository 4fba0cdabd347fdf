"""Windows as columns of a matrix, pixels as channels, and their inverses."""

from __future__ import annotations

from math import prod
from typing import Any

from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue
from tinygrad_lite.arrays.kernels.window_sums import add_windows
from tinygrad_lite.arrays.kernels.windows import Windows, gather_windows
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation
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
    kernel, stride = sizes("kernel_size", kernel_size, 2, 1), sizes("stride", stride, 2, 1)
    dilation, padding = sizes("dilation", dilation, 2, 1), sizes("padding", padding, 2)
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
    given, input = input, batched(input, 2, BadIndex)
    if 0 in input.shape[1:]:
        raise BadValue(expected="sizes of at least 1 (the batch's aside)", got=tuple(input.shape))
    w = _settings("unfold", input.shape[2:], kernel_size, dilation, padding, stride)
    out = reshape(_windows_of(input, w), (input.shape[0], input.shape[1] * prod(w.kernel), prod(w.count)))
    return out if given is input else reshape(out, out.shape[1:])


@operation
def fold(input: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """`input` (N, C * K * L, windows) or (C * K * L, windows) -> (N, C, *output_size): each column is a window of K x L
    elements; overlapping windows are summed.

    >>> import tinygrad_lite as tg
    >>> fold(tg.ones(1, 4, 2), (2, 3), 2)  # the middle lies in both windows
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    given, input = input, batched(input, 1)
    w = _settings("fold", sizes("output_size", output_size, 2, 1), kernel_size, dilation, padding, stride)
    channels, rest = divmod(input.shape[1], prod(w.kernel))
    if rest or not channels:
        raise BadValue(expected=f"{prod(w.kernel)} rows a channel", got=f"the input {tuple(given.shape)}")
    if input.shape[2] != prod(w.count):
        raise BadValue(expected=f"{w.count} windows as columns", got=f"the input {tuple(given.shape)}")
    out = _sum_of_windows(reshape(input, (input.shape[0], channels, *w.kernel, *w.count)), w)
    return out if given is input else reshape(out, out.shape[1:])


def _image(x: Any, least: int, argument: str, factor: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The leading sizes and the last three."""
    shape = tuple(x.shape)
    if len(shape) < least:
        raise BadValue(argument="input", expected=f"an input of at least {least} dims", got=shape)
    if isinstance(factor, bool) or not isinstance(factor, int):
        raise BadType(argument=argument, expected="an int", got=repr(factor))
    if factor < 1:
        raise BadValue(argument=argument, expected=f"{argument} of at least 1", got=factor)
    return shape[:-3], shape[-3:]


@operation
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """`input` (*, C * r^2, H, W) -> (*, C, H * r, W * r): r^2 channels become r x r pixels.

    >>> import tinygrad_lite as tg
    >>> pixel_shuffle(tg.arange(4).reshape(1, 4, 1, 1), 2)
    tensor([[[[0, 1],
              [2, 3]]]])
    """
    lead, (c, h, w) = _image(input, 3, "upscale_factor", r := upscale_factor)
    if c % r**2:
        raise BadValue(expected=f"channels in multiples of {r**2} (upscale_factor {r})", got=c)
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
    lead, (c, h, w) = _image(input, 3, "downscale_factor", r := downscale_factor)
    if h % r or w % r:
        raise BadValue(expected=f"a height and width in multiples of {r}", got=f"({h}, {w})")
    pixels, n = reshape(input, (*lead, c, h // r, r, w // r, r)), len(lead)
    pixels = permute(pixels, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return unshared(reshape(pixels, (*lead, c * r**2, h // r, w // r)), input)


@operation
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`input` (N, C, *spatial) with the first channel of each of `groups` groups first, then the second ones, and so on.

    >>> import tinygrad_lite as tg
    >>> tg.channel_shuffle(tg.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    _image(input, 3, "groups", groups)
    n, c, *spatial = input.shape
    if c % groups:
        raise BadValue(expected=f"channels in multiples of groups {groups}", got=c)
    dealt = reshape(input, (n, groups, c // groups, *spatial))
    return unshared(reshape(permute(dealt, (0, 2, 1, *range(3, len(dealt.shape)))), (n, c, *spatial)), input)
