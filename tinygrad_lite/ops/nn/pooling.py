"""Pooling: the maximum, mean or p-norm of each window."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import int64, is_floating, namespace_of
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.pooling import into_places, largest
from tinygrad_lite.arrays.kernels.window_sums import spread_windows, window_sums
from tinygrad_lite.arrays.kernels.windows import Windows, window_counts
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import abs, getitem, pow, sign
from tinygrad_lite.ops.dependence import constant_in, linear_in
from tinygrad_lite.ops.math.arithmetic import div
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.nn.piecewise_activations import relu
from tinygrad_lite.ops.nn.sliding_windows import batched, constant_like, like_given, sizes, windows
from tinygrad_lite.ops.typing import Tensor

__all__ = ["avg_pool1d", "max_pool1d", "max_pool2d", "max_pool3d"]

Sizes = int | tuple[int, ...]

# -- the maximum --------------------------------------------------------------------------------


@primitive(keeps=("places",))
def _max_pool(input, windows):
    """The maximum of each window of `input` (N, C, *size). The gradient goes to its first occurrence."""
    return largest(input, windows)


@primitive
def _unpool(y, places, shape, repeated):
    """Zeros of `shape` (N, C, *size) with `y` (N, C, *count) added at flat `places` in each plane. `repeated`: whether
    places may repeat."""
    return into_places(y, places, shape, repeated)


_max_pool.vjp(input=lambda g, input_shape, places, windows: _unpool(g, places, input_shape, _overlap(windows)))
constant_in(_max_pool, input="input")
_unpool.vjp(y=lambda g, places: _at_places(g, places))


def _overlap(w: Windows) -> bool:
    return any((k - 1) * d >= s for k, d, s in zip(w.kernel, w.dilation, w.stride))


def _at_places(x: Any, places: Any) -> Any:
    """The elements of x (N, C, *size) at flat indices in each plane, (N, C, *count)."""
    places = raw(places)
    planes = namespace_of(places).arange(x.shape[0] * x.shape[1]).reshape((*x.shape[:2], *(1,) * (places.ndim - 2)))
    flat = places + planes * math.prod(x.shape[2:])
    return reshape(getitem(reshape(x, (-1,)), (flat.reshape(-1),)), places.shape)


def _with_indices(x: Any, places: Any) -> tuple[Any, Any]:
    """The elements of x (N, C, *size) at flat indices in each plane, and the indices."""
    places = places.astype(int64)
    return linear_in(_at_places(x, places), x), constant_like(x, places)


def _max_pooled(
    name: str, rank: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    return_indices: bool,
) -> Any:  # fmt: skip
    given, x = x, _pooled_input(x, rank)
    kernel, stride, padding = _kernel(rank, kernel_size, stride, padding)
    dilation = sizes("dilation", dilation, rank, 1)
    _check_padding(kernel, padding)
    w = windows(name, tuple(x.shape[2:]), kernel, stride, (padding, padding), dilation, ceil_mode)
    if not return_indices:
        return like_given(_max_pool(x, w), given)
    values, indices = _with_indices(x, largest(raw(x), w)[1])
    return like_given(values, given), like_given(indices, given)


def _pooled_input(x: Any, rank: int) -> Any:
    x = batched(x, rank)
    if 0 in x.shape[1:]:
        raise BadValue(argument="input", expected="an input of sizes of at least 1 (the batch's aside)", got=tuple(x.shape))
    if x.dtype.kind == "b":
        raise BadType("bool tensors have no pooling", hint="convert them with .to(dtype)")
    return x


def _kernel(rank: int, kernel_size: Any, stride: Any, padding: Any) -> tuple[Any, Any, Any]:
    kernel = sizes("kernel_size", kernel_size, rank, 1)
    no_stride = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    return kernel, kernel if no_stride else sizes("stride", stride, rank, 1), sizes("padding", padding, rank)


def _check_padding(kernel: Any, padding: Any) -> None:
    if any(p > k // 2 for k, p in zip(kernel, padding)):
        raise BadValue(argument="padding", expected=f"padding of at most half the kernel {kernel}", got=padding)


@operation
def max_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of `input` (N, C, L) or (C, L). See `max_pool2d`.

    >>> import tinygrad_lite as tg
    >>> max_pool1d(tg.tensor([[1.0, 4.0, 2.0, 3.0]]), 2)
    tensor([[4., 3.]])
    """
    return _max_pooled("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@operation
def max_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of `input` (N, C, H, W) or (C, H, W).

    `stride`: the step between windows (None: `kernel_size`); `padding`: on each side, with -inf; `dilation`: the step
    between taps; `ceil_mode`: include windows that reach past the end. The gradient goes to the first maximum of a window.
    `return_indices`: also its flat index in the plane.

    >>> import tinygrad_lite as tg
    >>> tg.max_pool2d(tg.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _max_pooled("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@operation
def max_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of `input` (N, C, D, H, W) or (C, D, H, W). See `max_pool2d`.

    >>> import tinygrad_lite as tg
    >>> max_pool3d(tg.arange(64.0).reshape(1, 1, 4, 4, 4), 2).shape
    (1, 1, 2, 2, 2)
    """
    return _max_pooled("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# -- the mean -----------------------------------------------------------------------------------


@primitive
def _window_sums(input, windows):
    """The sum of each window of `input` (N, C, *size)."""
    return window_sums(input, windows)


@primitive
def _spread(y, windows):
    """The transpose of `_window_sums`: y (N, C, *count) -> (N, C, *size)"""
    return spread_windows(y, windows)


_window_sums.vjp(input=lambda g, windows: _spread(g, windows))
_spread.vjp(y=lambda g, windows: _window_sums(g, windows))


def _averaged(
    name: str, rank: int, x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    given, x = x, _pooled_input(x, rank)
    kernel, stride, padding = _kernel(rank, kernel_size, stride, padding)
    _check_padding(kernel, padding)
    if divisor_override == 0:
        raise BadValue("divisor_override must not be zero")
    w = windows(name, tuple(x.shape[2:]), kernel, stride, (padding, padding), (1,) * rank, ceil_mode)
    divisor = divisor_override or _window_sizes(w, count_include_pad, x)
    out = div(_window_sums(x, w), divisor, rounding_mode=None if is_floating(x.dtype) else "trunc")
    return like_given(linear_in(out, x), given)


def _window_sizes(w: Windows, with_padding: bool, x: Any) -> Any:
    """The number of elements of each window inside the image (and its padding): one number if all are equal."""
    counts = window_counts(w, with_padding)
    return counts.item() if counts.size == 1 else constant_like(x, counts.astype(x.dtype))


@operation
def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window of `input` (N, C, L) or (C, L). See `avg_pool2d`.

    >>> import tinygrad_lite as tg
    >>> avg_pool1d(tg.tensor([[1.0, 4.0, 2.0, 3.0]]), 2)
    tensor([[2.5000, 2.5000]])
    """
    return _averaged("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@operation
def avg_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of `input` (N, C, H, W) or (C, H, W).

    `stride`: the step between windows (None: `kernel_size`); `padding`: zeros on each side; `ceil_mode`: include windows
    that reach past the end; `count_include_pad`: whether padding counts in the mean; `divisor_override`: divide the sums by
    this instead.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.avg_pool2d(tg.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    return _averaged("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@operation
def avg_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of `input` (N, C, D, H, W) or (C, D, H, W). See `avg_pool2d`.

    >>> import tinygrad_lite as tg
    >>> avg_pool3d(tg.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()  # the mean of 0, ..., 7
    3.5
    """
    return _averaged("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# -- p-norms ------------------------------------------------------------------------------------


def _norms(name: str, rank: int, x: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    if not norm_type:
        raise BadValue(argument="norm_type", expected="a norm_type other than 0")
    means = _averaged(name, rank, pow(x, norm_type), kernel_size, stride, 0, ceil_mode, True, None)
    return pow(sign(means) * relu(abs(means)) * math.prod(sizes("kernel_size", kernel_size, rank, 1)), 1 / norm_type)


@operation
def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of `input` (N, C, L) or (C, L): (sum x^p)^(1/p).

    >>> import tinygrad_lite as tg
    >>> lp_pool1d(tg.tensor([[3.0, 4.0, 6.0, 8.0]]), 2, 2)
    tensor([[ 5., 10.]])
    """
    return _norms("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


@operation
def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of `input` (N, C, H, W) or (C, H, W): (sum x^p)^(1/p).

    >>> import tinygrad_lite as tg
    >>> lp_pool2d(tg.tensor([[[1.0, 1.0], [1.0, 1.0]]]), 2, 2)
    tensor([[[2.]]])
    """
    return _norms("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


@operation
def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of `input` (N, C, D, H, W) or (C, D, H, W): (sum x^p)^(1/p).

    >>> import tinygrad_lite as tg
    >>> lp_pool3d(tg.ones(1, 4, 4, 4), 1, 2).shape
    (1, 2, 2, 2)
    """
    return _norms("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)
