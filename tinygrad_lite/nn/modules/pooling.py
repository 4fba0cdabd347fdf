"""Pooling: the maximum, mean or p-norm of windows. Inputs are (N, C, ...) or (C, ...)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.settings import Configured
from tinygrad_lite.nn.modules.utils import _pair, _single, _triple, sizes

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d",
    "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d",
    "MaxUnpool3d",
]  # fmt: skip

Sizes = int | tuple[int, ...]


class _Pool(Configured):
    """`_function` of the input and of the settings named in `_takes`, in that order."""

    _function: Callable[..., Any]
    _takes: tuple[str, ...]

    def forward(self, input: Tensor) -> Any:
        return self._function(input, *[getattr(self, name) for name in self._takes])


class _MaxPoolNd(_Pool):
    """The maximum of each window; `return_indices`: also return its flat index within its channel."""

    shown = "kernel_size stride padding dilation ceil_mode"
    _takes = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        stride = kernel_size if stride is None else stride
        super().__init__(locals())


class MaxPool1d(_MaxPoolNd):
    """The maximum of each window of (N, C, L) or (C, L); `return_indices`: also return its flat index within its
    channel.

    >>> from tinygrad_lite import nn, tensor
    >>> nn.MaxPool1d(2)(tensor([[1.0, 5.0, 2.0, 3.0]]))
    tensor([[5., 3.]])
    """

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPoolNd):
    """The maximum of each window of (N, C, H, W) or (C, H, W); `return_indices`: also return its flat index within its
    channel.

    >>> from tinygrad_lite import arange, nn
    >>> nn.MaxPool2d(2)(arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPoolNd):
    """The maximum of each window of (N, C, D, H, W) or (C, D, H, W); `return_indices`: also return its flat index within
    its channel.

    >>> from tinygrad_lite import arange, nn
    >>> nn.MaxPool3d(2)(arange(16.0).reshape(1, 2, 2, 4))
    tensor([[[[13., 15.]]]])
    """

    _function = staticmethod(F.max_pool3d)


class _MaxUnpoolNd(Configured):
    """Each maximum at its original position, 0 elsewhere: the partial inverse of max pooling."""

    shown = "kernel_size stride padding"
    _function: Callable[..., Any]
    _sizes: Callable[[Any], tuple[int, ...]]

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0):
        stride = self._sizes(kernel_size if stride is None else stride)
        kernel_size, padding = self._sizes(kernel_size), self._sizes(padding)
        super().__init__(locals())

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpoolNd):
    """Puts each maximum of MaxPool1d back at its position, with 0 elsewhere.

    >>> from tinygrad_lite import nn, tensor
    >>> values, indices = nn.MaxPool1d(2, return_indices=True)(tensor([[1.0, 5.0, 2.0, 3.0]]))
    >>> nn.MaxUnpool1d(2)(values, indices)
    tensor([[0., 5., 0., 3.]])
    """

    _function, _sizes = staticmethod(F.max_unpool1d), staticmethod(_single)


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts each maximum of MaxPool2d back at its position, with 0 elsewhere.

    >>> from tinygrad_lite import nn, tensor
    >>> values, indices = nn.MaxPool2d(2, return_indices=True)(tensor([[[1.0, 5.0], [2.0, 3.0]]]))
    >>> nn.MaxUnpool2d(2)(values, indices)
    tensor([[[0., 5.],
             [0., 0.]]])
    """

    _function, _sizes = staticmethod(F.max_unpool2d), staticmethod(_pair)


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts each maximum of MaxPool3d back at its position, with 0 elsewhere.

    >>> from tinygrad_lite import arange, nn
    >>> values, indices = nn.MaxPool3d(2, return_indices=True)(arange(8.0).reshape(1, 2, 2, 2))
    >>> nn.MaxUnpool3d(2)(values, indices).flatten()
    tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """

    _function, _sizes = staticmethod(F.max_unpool3d), staticmethod(_triple)


class _AvgPoolNd(_Pool):
    """The mean of each window."""

    shown = "kernel_size stride padding"
    _takes: tuple[str, ...] = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        stride = kernel_size if stride is None else stride
        super().__init__(locals())


class AvgPool1d(_AvgPoolNd):
    """The mean of each window: (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.AvgPool1d(2)(tensor([[1.0, 5.0, 2.0, 4.0]]))
    tensor([[3., 3.]])
    """

    _function, _takes = staticmethod(F.avg_pool1d), _AvgPoolNd._takes[:-1]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        stride = _single(kernel_size if stride is None else stride)
        super().__init__(_single(kernel_size), stride, _single(padding), ceil_mode, count_include_pad)


class AvgPool2d(_AvgPoolNd):
    """The mean of each window: (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> nn.AvgPool2d(2, stride=1, padding=1)(ones(1, 2, 2))  # padding counts as zeros
    tensor([[[0.2500, 0.5000, 0.2500],
             [0.5000, 1.0000, 0.5000],
             [0.2500, 0.5000, 0.2500]]])
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPoolNd):
    """The mean of each window: (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import arange, nn
    >>> nn.AvgPool3d((1, 2, 2))(arange(8.0).reshape(1, 2, 2, 2)).flatten()
    tensor([1.5000, 5.5000])
    """

    _function = staticmethod(F.avg_pool3d)


class _LPPoolNd(_Pool):
    """The sum over each window of x^norm_type, to the power 1 / norm_type."""

    shown = "norm_type kernel_size stride ceil_mode"
    _takes = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False):
        super().__init__(locals())


class LPPool1d(_LPPoolNd):
    """(Sum over each window of x^norm_type)^(1 / norm_type): (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, tensor
    >>> nn.LPPool1d(2, 2)(tensor([[3.0, 4.0, 6.0, 8.0]]))
    tensor([[ 5., 10.]])
    """

    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPoolNd):
    """(Sum over each window of x^norm_type)^(1 / norm_type): (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> nn.LPPool2d(2, 2)(ones(1, 4, 4))  # sqrt(4)
    tensor([[[2., 2.],
             [2., 2.]]])
    """

    _function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPoolNd):
    """(Sum over each window of x^norm_type)^(1 / norm_type): (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> nn.LPPool3d(1, 2)(ones(1, 2, 2, 4)).flatten()  # norm_type 1: the sum
    tensor([8., 8.])
    """

    _function = staticmethod(F.lp_pool3d)


class _AdaptiveAvgPoolNd(_Pool):
    """Means of windows chosen so that the result has `output_size` (None: same as the input)."""

    shown = "output_size"
    _takes = ("output_size",)

    def __init__(self, output_size: Any):
        super().__init__(locals())


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Means of windows chosen so that the result has `output_size`: (N, C, L) or (C, L).

    >>> from tinygrad_lite import arange, nn
    >>> nn.AdaptiveAvgPool1d(2)(arange(6.0).reshape(1, 6))
    tensor([[1., 4.]])
    """

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Means of windows chosen so that the result has `output_size` (None: same as the input): (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> nn.AdaptiveAvgPool2d(1)(ones(2, 8, 7, 5)).shape, nn.AdaptiveAvgPool2d((None, 2))(ones(2, 8, 7, 5)).shape
    ((2, 8, 1, 1), (2, 8, 7, 2))
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Means of windows chosen so that the result has `output_size` (None: same as the input): (N, C, D, H, W) or (C, D,
    H, W).

    >>> from tinygrad_lite import nn, ones
    >>> nn.AdaptiveAvgPool3d((1, 2, None))(ones(1, 8, 4, 7, 5)).shape
    (1, 8, 1, 2, 5)
    """

    _function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPoolNd(_Pool):
    """Maxima of windows chosen so that the result has `output_size` (None: same as the input)."""

    shown = "output_size"
    _takes = ("output_size", "return_indices")

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(locals())


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maxima of windows chosen so that the result has `output_size`: (N, C, L) or (C, L).

    >>> from tinygrad_lite import arange, nn
    >>> nn.AdaptiveMaxPool1d(2)(arange(6.0).reshape(1, 6))
    tensor([[2., 5.]])
    """

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Maxima of windows chosen so that the result has `output_size` (None: same as the input): (N, C, H, W) or (C, H,
    W).

    >>> from tinygrad_lite import arange, nn
    >>> nn.AdaptiveMaxPool2d(2)(arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maxima of windows chosen so that the result has `output_size` (None: same as the input): (N, C, D, H, W) or (C, D,
    H, W).

    >>> from tinygrad_lite import nn, ones
    >>> nn.AdaptiveMaxPool3d((1, 2, None))(ones(1, 8, 4, 7, 5)).shape
    (1, 8, 1, 2, 5)
    """

    _function = staticmethod(F.adaptive_max_pool3d)


class _FractionalMaxPoolNd(_Pool):
    """The maxima of windows at random positions; their number is given by `output_size`, or by `output_ratio` times the
    input's size (Graham, 2014). `_random_samples` fixes the positions: a number from 0 to 1 for each sample, channel
    and dim."""

    _rank: int
    _takes = ("kernel_size", "output_size", "output_ratio", "return_indices", "_random_samples")

    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        name, rank = self._get_name(), self._rank
        kernel_size = sizes(name, "kernel_size", kernel_size, rank)
        if any(k <= 0 for k in kernel_size):
            raise BadValue(function=name, argument="kernel_size", expected="a kernel_size greater than 0", got=kernel_size)
        if (output_size is None) == (output_ratio is None):
            raise BadValue(function=name, argument="output_size", expected="either output_size or output_ratio")
        output_size = None if output_size is None else sizes(name, "output_size", output_size, rank)
        output_ratio = None if output_ratio is None else sizes(name, "output_ratio", output_ratio, rank)
        if output_ratio is not None and not all(0 < ratio < 1 for ratio in output_ratio):
            raise BadValue(function=name, argument="output_ratio", expected="an output_ratio between 0 and 1", got=output_ratio)
        arguments = {"kernel_size": kernel_size, "output_size": output_size, "output_ratio": output_ratio}
        super().__init__({**arguments, "return_indices": return_indices})
        self.register_buffer("_random_samples", _random_samples)


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """The maxima of windows at random positions (Graham, 2014): (N, C, H, W) or (C, H, W).

    Give either `output_size` or `output_ratio`, the size of the result as a fraction of the input's.

    >>> from tinygrad_lite import nn, ones
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(ones(1, 3, 10, 10)).shape
    (1, 3, 7, 7)
    """

    _function, _rank = staticmethod(F.fractional_max_pool2d), 2


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """The maxima of windows at random positions (Graham, 2014): (N, C, D, H, W) or (C, D, H, W).

    Give either `output_size` or `output_ratio`, the size of the result as a fraction of the input's.

    >>> from tinygrad_lite import nn, ones
    >>> nn.FractionalMaxPool3d(2, output_size=(2, 5, 7))(ones(1, 3, 4, 10, 10)).shape
    (1, 3, 2, 5, 7)
    """

    _function, _rank = staticmethod(F.fractional_max_pool3d), 3
