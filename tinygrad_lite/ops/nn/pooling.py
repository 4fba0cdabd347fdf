"""Pooling: of each window, or of each of so many parts of the image, the maximum, mean or p-norm.

Inputs are (N, C, *spatial) or (C, *spatial). Means are convolutions with ones, and their adaptive
forms products with matrices of weights; only the maximum needs a rule of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import is_floating, kept, namespace_of
from tinygrad_lite.arrays.pooling import into_places, largest, largest_of_parts, part_bounds
from tinygrad_lite.arrays.windows import Windows
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import abs, getitem, linear_in, pow, sign
from tinygrad_lite.ops.calling import operation, raw
from tinygrad_lite.ops.math.arithmetic import div
from tinygrad_lite.ops.movement.scattering import scatter
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.nn.convolution import _convolution
from tinygrad_lite.ops.nn.piecewise_activations import relu
from tinygrad_lite.ops.nn.resampling import _weighted_sums
from tinygrad_lite.ops.nn.sliding_windows import batched, constant_like, like_given, sizes, windows
from tinygrad_lite.ops.reduction.sums import mean

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["adaptive_avg_pool1d", "adaptive_max_pool1d", "avg_pool1d", "max_pool1d", "max_pool2d", "max_pool3d"]

METHODS: list[str] = []
IN_PLACE: list[str] = []

Sizes = int | tuple[int, ...]

# -- the maximum --------------------------------------------------------------------------------


@primitive(keeps=("places",))
def _max_pool(x, windows):
    """The maximum of each window of x (N, C, *size). Its gradient goes to the first place that has it."""
    return largest(x, windows)


@primitive
def _unpool(y, places, shape, repeated):
    """Zeros of `shape` (N, C, *size) with `y` (N, C, *count) added at flat `places` in its planes.
    `repeated`: whether a place may be named twice."""
    return into_places(y, places, shape, repeated)


_max_pool.vjp(x=lambda g, x_shape, places, windows: _unpool(g, places, x_shape, _overlap(windows)))
_max_pool.constant_in(x="x")
_unpool.vjp(y=lambda g, places: _at_places(g, places))


def _overlap(w: Windows) -> bool:
    return any((k - 1) * d >= s for k, d, s in zip(w.kernel, w.dilation, w.stride))


def _at_places(x: Any, places: Any) -> Any:
    """The elements of x (N, C, *size) at flat places in their planes, (N, C, *count)."""
    places = raw(places)
    planes = namespace_of(places).arange(x.shape[0] * x.shape[1]).reshape((*x.shape[:2], *(1,) * (places.ndim - 2)))
    flat = places + planes * math.prod(x.shape[2:])
    return reshape(getitem(reshape(x, (-1,)), (flat.reshape(-1),)), places.shape)


def _with_indices(x: Any, places: Any) -> tuple[Any, Any]:
    """The elements of x (N, C, *size) at flat places in their planes, and the places."""
    places = places.astype(np.int64)
    return linear_in(_at_places(x, places), x), constant_like(x, places)


def _max_pooled(
    name: str, rank: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    return_indices: bool,
) -> Any:  # fmt: skip
    given, x = x, _pooled_input(name, x, rank)
    kernel, stride, padding = _kernel(name, rank, kernel_size, stride, padding)
    dilation = sizes(name, "dilation", dilation, rank, 1)
    _check_padding(name, kernel, padding)
    w = windows(name, tuple(x.shape[2:]), kernel, stride, (padding, padding), dilation, ceil_mode)
    if not return_indices:
        return like_given(_max_pool(x, w), given)
    values, indices = _with_indices(x, largest(raw(x), w)[1])
    return like_given(values, given), like_given(indices, given)


def _pooled_input(name: str, x: Any, rank: int) -> Any:
    x = batched(name, x, rank)
    if 0 in x.shape[1:]:
        raise ValueError(f"{name}: expected an input of sizes of at least 1 (the batch's aside), got {tuple(x.shape)}")
    if x.dtype.kind == "b":
        raise TypeError(f"{name}: bool tensors have no pooling; convert them with .to(dtype)")
    return x


def _kernel(name: str, rank: int, kernel_size: Any, stride: Any, padding: Any) -> tuple[Any, Any, Any]:
    kernel = sizes(name, "kernel_size", kernel_size, rank, 1)
    no_stride = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    return kernel, kernel if no_stride else sizes(name, "stride", stride, rank, 1), sizes(name, "padding", padding, rank)


def _check_padding(name: str, kernel: Any, padding: Any) -> None:
    if any(p > k // 2 for k, p in zip(kernel, padding)):
        raise ValueError(f"{name}: expected padding of at most half the kernel {kernel}, got {padding}")


@operation
def max_pool1d(
    x: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of x (N, C, L) or (C, L). See `max_pool2d`.

    >>> import tinygrad_lite as tg
    >>> max_pool1d(tg.tensor([[1.0, 4.0, 2.0, 3.0]]), 2)
    tensor([[4., 3.]])
    """
    return _max_pooled("max_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@operation
def max_pool2d(
    x: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of x (N, C, H, W) or (C, H, W).

    `stride`: from window to window (None: `kernel_size`); `padding`: on each side, of -inf;
    `dilation`: from tap to tap; `ceil_mode`: also windows that reach over the end. The gradient goes
    to the first maximum of a window. `return_indices`: also its flat place in the plane.

    >>> import tinygrad_lite as tg
    >>> tg.max_pool2d(tg.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _max_pooled("max_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@operation
def max_pool3d(
    x: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maximum of each window of x (N, C, D, H, W) or (C, D, H, W). See `max_pool2d`.

    >>> import tinygrad_lite as tg
    >>> max_pool3d(tg.arange(64.0).reshape(1, 1, 4, 4, 4), 2).shape
    (1, 1, 2, 2, 2)
    """
    return _max_pooled("max_pool3d", 3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# -- the mean -----------------------------------------------------------------------------------


def _window_sums(x: Any, w: Windows) -> Any:
    """The sum of each window of x (N, C, *size)."""
    ones = constant_like(x, np.ones((1, 1, *w.kernel), x.dtype))
    sums = _convolution(reshape(x, (x.shape[0] * x.shape[1], 1, *w.size)), ones, None, w, 1)
    return reshape(sums, (*x.shape[:2], *w.count))


def _averaged(
    name: str, rank: int, x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    given, x = x, _pooled_input(name, x, rank)
    kernel, stride, padding = _kernel(name, rank, kernel_size, stride, padding)
    _check_padding(name, kernel, padding)
    if divisor_override == 0:
        raise ValueError(f"{name}: divisor_override must not be zero")
    w = windows(name, tuple(x.shape[2:]), kernel, stride, (padding, padding), (1,) * rank, ceil_mode)
    divisor = divisor_override or _window_sizes(w, count_include_pad, x)
    out = div(_window_sums(x, w), divisor, rounding_mode=None if is_floating(x.dtype) else "trunc")
    return like_given(linear_in(out, x), given)


def _window_sizes(w: Windows, with_padding: bool, x: Any) -> Any:
    """How many elements each window has inside the image (and its padding): a number if all have as many."""
    counts = _counts(w, with_padding)
    return counts.item() if counts.size == 1 else constant_like(x, counts.astype(x.dtype))


@kept
def _counts(w: Windows, with_padding: bool) -> np.ndarray:
    """How many elements each window has; one number if all have as many."""
    counts: Any = np.ones((), np.int64)
    for n, k, s, _, before, count in zip(*w):
        start = np.arange(count) * s - before
        low, high = (-before, n + before) if with_padding else (0, n)
        counts = counts[..., None] * (np.minimum(start + k, high) - np.maximum(start, low))
    return counts.flat[0] if (counts == counts.flat[0]).all() else counts


@operation
def avg_pool1d(
    x: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window of x (N, C, L) or (C, L). See `avg_pool2d`.

    >>> import tinygrad_lite as tg
    >>> avg_pool1d(tg.tensor([[1.0, 4.0, 2.0, 3.0]]), 2)
    tensor([[2.5000, 2.5000]])
    """
    return _averaged("avg_pool1d", 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@operation
def avg_pool2d(
    x: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of x (N, C, H, W) or (C, H, W).

    `stride`: from window to window (None: `kernel_size`); `padding`: zeros on each side;
    `ceil_mode`: also windows that reach over the end; `count_include_pad`: whether the padding counts
    in the mean; `divisor_override`: divide the sums by this instead.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.avg_pool2d(tg.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    return _averaged("avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@operation
def avg_pool3d(
    x: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of x (N, C, D, H, W) or (C, D, H, W). See `avg_pool2d`.

    >>> import tinygrad_lite as tg
    >>> avg_pool3d(tg.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()  # the mean of 0, ..., 7
    3.5
    """
    return _averaged("avg_pool3d", 3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# -- parts of a given number ----------------------------------------------------------------------


def _parts(name: str, output_size: Any, x: Any, rank: int) -> tuple[int, ...]:
    """How many parts along each spatial dim: None leaves a dim as it is (except in one dimension)."""
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    if len(given) != rank:
        raise ValueError(f"{name}: expected an int or {rank} of them for output_size, got {output_size!r}")
    given = tuple(n if m is None and rank > 1 else m for m, n in zip(given, x.shape[2:]))
    if not is_floating(x.dtype):
        raise TypeError(f"{name}: expected a floating-point tensor, got {x.dtype}")
    return sizes(name, "output_size", given, rank)


def _part_members(size: int, count: int) -> Any:
    """(count, size): 1 where an element lies in a part."""
    start, stop = part_bounds(size, count)
    place = np.arange(size)
    return (place >= start[:, None]) & (place < stop[:, None])


def _adaptive_mean(name: str, rank: int, x: Any, output_size: Any) -> Any:
    given, x = x, _pooled_input(name, x, rank)
    count, size = _parts(name, output_size, x, rank), tuple(x.shape[2:])
    if count == (1,) * rank:
        return like_given(mean(x, tuple(range(2, rank + 2)), keepdim=True), given)
    if all(m and n % m == 0 for n, m in zip(size, count)):
        kernel = tuple(n // m for n, m in zip(size, count))
        out = div(_window_sums(x, windows(name, size, kernel, kernel, ((0,) * rank,) * 2, (1,) * rank)), math.prod(kernel))
    else:
        out, counts = x, np.ones((), x.dtype)
        for d, (n, m) in enumerate(zip(size, count), 2):
            inside = _part_members(n, m)
            out, counts = _weighted_sums(out, inside, d), np.multiply.outer(counts, inside.sum(axis=1, dtype=x.dtype))
        out = div(out, constant_like(x, counts))
    return like_given(linear_in(out, x), given)


def _adaptive_maximum(name: str, rank: int, x: Any, output_size: Any, return_indices: bool) -> Any:
    given, x = x, _pooled_input(name, x, rank)
    count, size = _parts(name, output_size, x, rank), tuple(x.shape[2:])
    if not return_indices and all(m and n % m == 0 for n, m in zip(size, count)):
        kernel = tuple(n // m for n, m in zip(size, count))
        return like_given(_max_pool(x, windows(name, size, kernel, kernel, ((0,) * rank,) * 2, (1,) * rank)), given)
    values, indices = _with_indices(x, largest_of_parts(raw(x), count))
    return (like_given(values, given), like_given(indices, given)) if return_indices else like_given(values, given)


@operation
def adaptive_avg_pool1d(x: Tensor, output_size: Sizes) -> Tensor:
    """The means of `output_size` parts of x (N, C, L) or (C, L). See `adaptive_avg_pool2d`.

    >>> import tinygrad_lite as tg
    >>> adaptive_avg_pool1d(tg.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[2., 7.]])
    """
    return _adaptive_mean("adaptive_avg_pool1d", 1, x, output_size)


@operation
def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """The means of parts of x (N, C, H, W) or (C, H, W), of nearly one size, which overlap where they
    must. `output_size`: how many along each dim, None for as many as there are elements.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.arange(15.0).reshape(1, 3, 5), (1, 2))
    tensor([[[6., 8.]]])
    """
    return _adaptive_mean("adaptive_avg_pool2d", 2, x, output_size)


@operation
def adaptive_avg_pool3d(x: Tensor, output_size: Any) -> Tensor:
    """The means of parts of x (N, C, D, H, W) or (C, D, H, W). See `adaptive_avg_pool2d`.

    >>> import tinygrad_lite as tg
    >>> adaptive_avg_pool3d(tg.ones(1, 2, 5, 6, 7), (1, 2, 3)).shape
    (1, 2, 1, 2, 3)
    """
    return _adaptive_mean("adaptive_avg_pool3d", 3, x, output_size)


@operation
def adaptive_max_pool1d(x: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The maxima of `output_size` parts of x (N, C, L) or (C, L). See `adaptive_max_pool2d`.

    >>> import tinygrad_lite as tg
    >>> adaptive_max_pool1d(tg.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[3., 9.]])
    """
    return _adaptive_maximum("adaptive_max_pool1d", 1, x, output_size, return_indices)


@operation
def adaptive_max_pool2d(x: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of parts of x (N, C, H, W) or (C, H, W), cut as `adaptive_avg_pool2d` cuts them.
    `return_indices`: also their flat places in the plane.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.adaptive_max_pool2d(tg.arange(15.0).reshape(1, 3, 5), (1, 2))
    tensor([[[12., 14.]]])
    """
    return _adaptive_maximum("adaptive_max_pool2d", 2, x, output_size, return_indices)


@operation
def adaptive_max_pool3d(x: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of parts of x (N, C, D, H, W) or (C, D, H, W). See `adaptive_max_pool2d`.

    >>> import tinygrad_lite as tg
    >>> adaptive_max_pool3d(tg.ones(1, 2, 5, 6, 7), (1, 2, 3)).shape
    (1, 2, 1, 2, 3)
    """
    return _adaptive_maximum("adaptive_max_pool3d", 3, x, output_size, return_indices)


# -- p-norms ------------------------------------------------------------------------------------


def _norms(
    name: str, rank: int, x: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Any:
    if not norm_type:
        raise ValueError(f"{name}: expected a norm_type other than 0")
    means = _averaged(name, rank, pow(x, norm_type), kernel_size, stride, 0, ceil_mode, True, None)
    return pow(sign(means) * relu(abs(means)) * math.prod(sizes(name, "kernel_size", kernel_size, rank, 1)), 1 / norm_type)


@operation
def lp_pool1d(x: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of x (N, C, L) or (C, L): (sum x^p)^(1/p).

    >>> import tinygrad_lite as tg
    >>> lp_pool1d(tg.tensor([[3.0, 4.0, 6.0, 8.0]]), 2, 2)
    tensor([[ 5., 10.]])
    """
    return _norms("lp_pool1d", 1, x, norm_type, kernel_size, stride, ceil_mode)


@operation
def lp_pool2d(x: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of x (N, C, H, W) or (C, H, W): (sum x^p)^(1/p).

    >>> import tinygrad_lite as tg
    >>> lp_pool2d(tg.tensor([[[1.0, 1.0], [1.0, 1.0]]]), 2, 2)
    tensor([[[2.]]])
    """
    return _norms("lp_pool2d", 2, x, norm_type, kernel_size, stride, ceil_mode)


@operation
def lp_pool3d(x: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False) -> Tensor:
    """The `norm_type`-norm of each window of x (N, C, D, H, W) or (C, D, H, W): (sum x^p)^(1/p).

    >>> import tinygrad_lite as tg
    >>> lp_pool3d(tg.ones(1, 4, 4, 4), 1, 2).shape
    (1, 2, 2, 2)
    """
    return _norms("lp_pool3d", 3, x, norm_type, kernel_size, stride, ceil_mode)


# -- maxima back to their places ------------------------------------------------------------------


def _unpooled(
    name: str, rank: int, x: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Any:
    given, x = x, batched(name, x, rank)
    kernel, stride, padding = _kernel(name, rank, kernel_size, stride, padding)
    if tuple(indices.shape) != tuple(given.shape):
        raise ValueError(f"{name}: expected indices of the input's shape {tuple(given.shape)}, got {tuple(indices.shape)}")
    if indices.dtype != np.int64:
        raise TypeError(f"{name}: expected int64 indices, got {indices.dtype}")
    if not is_floating(x.dtype):
        raise TypeError(f"{name}: expected a floating-point tensor, got {x.dtype}")
    size = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[2:], stride, padding, kernel))
    if output_size is not None:
        wanted = tuple(output_size)[2 if len(output_size) == rank + 2 else 0 :]
        if len(wanted) != rank or any(not n - s < m < n + s for m, n, s in zip(wanted, size, stride)):
            raise ValueError(f"{name}: expected an output_size within the stride {stride} of {size}, got {tuple(output_size)}")
        size = wanted
    planes = (x.shape[0] * x.shape[1], math.prod(x.shape[2:]))
    zeros = constant_like(x, np.zeros((planes[0], math.prod(size)), x.dtype))
    out = scatter(zeros, 1, reshape(indices, planes), reshape(x, planes))
    return like_given(reshape(out, (*x.shape[:2], *size)), given)


@operation
def max_unpool1d(
    x: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, output_size: Any = None
) -> Tensor:
    """Each maximum of x (N, C, L) or (C, L) at its place before `max_pool1d`. See `max_unpool2d`.

    >>> import tinygrad_lite as tg
    >>> y, places = max_pool1d(tg.tensor([[1.0, 4.0, 3.0, 2.0]]), 2, return_indices=True)
    >>> max_unpool1d(y, places, 2)
    tensor([[0., 4., 3., 0.]])
    """
    return _unpooled("max_unpool1d", 1, x, indices, kernel_size, stride, padding, output_size)


@operation
def max_unpool2d(
    x: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, output_size: Any = None
) -> Tensor:
    """Each maximum of x (N, C, H, W) or (C, H, W) at its place before `max_pool2d`, and zeros elsewhere.

    `indices`: from `max_pool2d(..., return_indices=True)`, whose other arguments these are.
    `output_size`: the size before it, where that is not the least possible.

    >>> import tinygrad_lite as tg
    >>> max_unpool2d(tg.tensor([[[7.0]]]), tg.tensor([[[2]]]), 2)
    tensor([[[0., 0.],
             [7., 0.]]])
    """
    return _unpooled("max_unpool2d", 2, x, indices, kernel_size, stride, padding, output_size)


@operation
def max_unpool3d(
    x: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, output_size: Any = None
) -> Tensor:
    """Each maximum of x (N, C, D, H, W) or (C, D, H, W) at its place before `max_pool3d`. See `max_unpool2d`.

    >>> import tinygrad_lite as tg
    >>> y, places = max_pool3d(tg.ones(1, 4, 4, 4), 2, return_indices=True)
    >>> max_unpool3d(y, places, 2).sum(), places.shape
    (tensor(8.), (1, 2, 2, 2))
    """
    return _unpooled("max_unpool3d", 3, x, indices, kernel_size, stride, padding, output_size)
