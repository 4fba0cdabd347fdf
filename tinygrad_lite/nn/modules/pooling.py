"""Pooling: a window's maximum, mean or p-norm. Inputs are (N, C, ...) or (C, ...)."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.settings import Configured
from tinygrad_lite.nn.modules.utils import _pair, _single, _triple, sizes
from tinygrad_lite.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "FractionalMaxPool2d", "FractionalMaxPool3d",
    "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d",
    "MaxUnpool3d",
]  # fmt: skip

Sizes = int | tuple[int, ...]


class _MaxPoolNd(Configured):
    """The maximum of each window; `return_indices`: also its flat place in the input's plane."""

    shown = "kernel_size stride padding dilation ceil_mode"

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

    def _options(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices


class MaxPool1d(_MaxPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool1d(input, *self._options())


class MaxPool2d(_MaxPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(input, *self._options())


class MaxPool3d(_MaxPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool3d(input, *self._options())


class _MaxUnpoolNd(Configured):
    """Each maximum at the place it came from, 0 elsewhere: partial inverse of max pooling."""

    shown = "kernel_size stride padding"


class MaxUnpool1d(_MaxUnpoolNd):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0):
        stride = _single(kernel_size if stride is None else stride)
        kernel_size, padding = _single(kernel_size), _single(padding)
        super().__init__(locals())

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpoolNd):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0):
        stride = _pair(kernel_size if stride is None else stride)
        kernel_size, padding = _pair(kernel_size), _pair(padding)
        super().__init__(locals())

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpoolNd):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0):
        stride = _triple(kernel_size if stride is None else stride)
        kernel_size, padding = _triple(kernel_size), _triple(padding)
        super().__init__(locals())

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _AvgPoolNd(Configured):
    """The mean of each window."""

    shown = "kernel_size stride padding"

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

    def _options(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override


class AvgPool1d(_AvgPoolNd):
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

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, *self._options()[:-1])


class AvgPool2d(_AvgPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, *self._options())


class AvgPool3d(_AvgPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool3d(input, *self._options())


class _LPPoolNd(Configured):
    """The sum over each window of x^norm_type, to the power 1 / norm_type."""

    shown = "norm_type kernel_size stride ceil_mode"

    def __init__(self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False):
        super().__init__(locals())

    def _options(self) -> tuple[Any, ...]:
        return float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode


class LPPool1d(_LPPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool1d(input, *self._options())


class LPPool2d(_LPPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(input, *self._options())


class LPPool3d(_LPPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool3d(input, *self._options())


class _AdaptiveAvgPoolNd(Configured):
    """Means over windows chosen so that the result has `output_size` (None: as the input)."""

    shown = "output_size"

    def __init__(self, output_size: Any):
        super().__init__(locals())


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPoolNd(Configured):
    """Maxima over windows chosen so that the result has `output_size` (None: as the input)."""

    shown = "output_size"

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(locals())


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _FractionalMaxPoolNd(Configured):
    """The maximum of windows that lie at random steps: as many as `output_size` says, or `output_ratio`
    times the input's size (Graham, 2014). `_random_samples` fixes the steps: a number from 0 to 1 for each
    sample, channel and dim."""

    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        name, rank = type(self).__name__, int(type(self).__name__[-2])
        kernel_size = sizes(name, "kernel_size", kernel_size, rank)
        if any(k <= 0 for k in kernel_size):
            raise ValueError(f"{name}: expected a kernel_size greater than 0, got {kernel_size}")
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: expected either output_size or output_ratio")
        output_size = None if output_size is None else sizes(name, "output_size", output_size, rank)
        output_ratio = None if output_ratio is None else sizes(name, "output_ratio", output_ratio, rank)
        if output_ratio is not None and not all(0 < ratio < 1 for ratio in output_ratio):
            raise ValueError(f"{name}: expected an output_ratio between 0 and 1, got {output_ratio}")
        arguments = {"kernel_size": kernel_size, "output_size": output_size, "output_ratio": output_ratio}
        super().__init__({**arguments, "return_indices": return_indices})
        self.register_buffer("_random_samples", _random_samples)

    def _options(self) -> tuple[Any, ...]:
        return self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    def forward(self, input: Tensor) -> Any:
        return F.fractional_max_pool2d(input, *self._options())


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    def forward(self, input: Tensor) -> Any:
        return F.fractional_max_pool3d(input, *self._options())
