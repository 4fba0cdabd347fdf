"""Convolutions and transposed convolutions."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn import init
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.utils import sizes
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation.factories import empty

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

Sizes = int | tuple[int, ...]
_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """`weight` (out, in / groups, *kernel), or (in, out / groups, *kernel) if transposed, and `bias` (out,); both start
    uniform in +-1 / sqrt(fan in)."""

    rank: int
    transposed = False
    output_padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: str | Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        name = self._get_name()
        if groups <= 0:
            raise BadValue(f"groups must be a positive integer, got {groups}", function=name, got=groups)
        if in_channels % groups:
            raise BadValue(f"in_channels must be divisible by groups, got {in_channels} and {groups}", function=name)
        if out_channels % groups:
            raise BadValue(f"out_channels must be divisible by groups, got {out_channels} and {groups}", function=name)
        if padding_mode not in _PADDING_MODES:
            raise BadValue(
                function=name, argument="padding_mode", expected=f"a padding_mode among {', '.join(_PADDING_MODES)}", got=repr(padding_mode)
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = sizes(name, "kernel_size", kernel_size, self.rank)
        self.stride = sizes(name, "stride", stride, self.rank)
        self.dilation = sizes(name, "dilation", dilation, self.rank)
        self.groups = groups
        self.padding_mode = padding_mode
        self.output_padding = (0,) * self.rank
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise BadValue(function=name, argument="padding", expected="padding 'same' or 'valid' or sizes", got=repr(padding))
            if padding == "same" and any(s != 1 for s in self.stride):
                raise BadValue("padding='same' is not supported for strided convolutions", function=name)
            self.padding: Any = padding
        else:
            self.padding = sizes(name, "padding", padding, self.rank)
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty((first, second // groups, *self.kernel_size), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty((out_channels,), device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    @property
    def _reversed_padding_repeated_twice(self) -> list[int]:
        """The padding in the order of `F.pad`: before and after, from the last dim to the first."""
        if self.padding == "valid":
            return [0] * (2 * self.rank)
        if self.padding == "same":
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
            return [side for t in reversed(total) for side in (t // 2, t - t // 2)]
        return [side for p in reversed(self.padding) for side in (p, p)]

    def _check_channels(self, input: Tensor) -> None:
        if input.ndim in (self.rank + 1, self.rank + 2) and input.shape[-self.rank - 1] != self.in_channels:
            got = f"{input.shape[-self.rank - 1]} (input {tuple(input.shape)})"
            raise BadValue(function=self._get_name(), argument="input", expected=f"{self.in_channels} input channels", got=got)

    def forward(self, input: Tensor) -> Tensor:
        self._check_channels(input)
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution with given weights (subclasses call it with their own)."""
        function, padding = getattr(F, f"conv{self.rank}d"), self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, tuple(self._reversed_padding_repeated_twice), mode=self.padding_mode), 0
        return function(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        zeros, ones = (0,) * self.rank, (1,) * self.rank
        optional = [
            (self.padding != zeros, f"padding={self.padding}"),
            (self.dilation != ones, f"dilation={self.dilation}"),
            (self.output_padding != zeros, f"output_padding={self.output_padding}"),
            (self.groups != 1, f"groups={self.groups}"),
            (self.bias is None, "bias=False"),
            (self.padding_mode != "zeros", f"padding_mode={self.padding_mode}"),
        ]
        return ", ".join([text, *(note for wanted, note in optional if wanted)])


class Conv1d(_ConvNd):
    """Cross-correlation over (N, C, L) or (C, L). The output has out_channels channels and length (L + 2 padding -
    dilation (kernel_size - 1) - 1) // stride + 1.

    >>> from tinygrad_lite import nn, ones
    >>> nn.Conv1d(2, 8, 3, stride=2)(ones(1, 2, 9)).shape
    (1, 8, 4)
    """

    rank = 1


class Conv2d(_ConvNd):
    """Cross-correlation over (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn
    >>> nn.Conv2d(3, 16, 3, padding=1)
    Conv2d(3, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """

    rank = 2


class Conv3d(_ConvNd):
    """Cross-correlation over (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> nn.Conv3d(1, 4, (1, 3, 3), padding="same")(ones(1, 1, 2, 5, 5)).shape
    (1, 4, 2, 5, 5)
    """

    rank = 3


class _ConvTransposeNd(_ConvNd):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        if padding_mode != "zeros":
            raise BadValue(
                f"only \"zeros\" padding mode is supported, got {padding_mode!r}", function=type(self).__name__, got=repr(padding_mode)
            )
        if isinstance(padding, str):
            raise BadType(function=type(self).__name__, argument="padding", expected="sizes", got=repr(padding))
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype)
        self.output_padding = sizes(self._get_name(), "output_padding", output_padding, self.rank)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        self._check_channels(input)
        extra = self.output_padding if output_size is None else self._output_padding(input, output_size)
        function = getattr(F, f"conv_transpose{self.rank}d")
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _output_padding(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """The padding to add at the ends so that the result has `output_size`."""
        wanted = tuple(output_size)
        if len(wanted) == input.ndim:
            wanted = wanted[-self.rank :]
        if len(wanted) != self.rank:
            raise BadValue(function=self._get_name(), argument="output_size", expected=f"{self.rank} sizes", got=tuple(output_size))
        settings = zip(input.shape[-self.rank :], self.stride, self.padding, self.dilation, self.kernel_size)
        smallest = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in settings)
        if any(not low <= w < low + s for w, low, s in zip(wanted, smallest, self.stride)):
            largest = tuple(low + s - 1 for low, s in zip(smallest, self.stride))
            raise BadValue(f"output_size must lie from {smallest} to {largest}, got {wanted}", function=self._get_name(), got=wanted)
        return tuple(w - low for w, low in zip(wanted, smallest))


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose (gradient) of Conv1d over (N, C, L) or (C, L). The output has length (L - 1) stride - 2 padding +
    dilation (kernel_size - 1) + output_padding + 1.

    >>> from tinygrad_lite import nn, ones
    >>> nn.ConvTranspose1d(8, 2, 3, stride=2)(ones(1, 8, 4)).shape
    (1, 2, 9)
    """

    rank = 1


class ConvTranspose2d(_ConvTransposeNd):
    """The transpose (gradient) of Conv2d, over (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> up = nn.ConvTranspose2d(8, 2, 2, stride=2)
    >>> up(ones(1, 8, 3, 5)).shape, up(ones(1, 8, 3, 5), output_size=(7, 10)).shape
    ((1, 2, 6, 10), (1, 2, 7, 10))
    """

    rank = 2


class ConvTranspose3d(_ConvTransposeNd):
    """The transpose (gradient) of Conv3d, over (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> nn.ConvTranspose3d(2, 1, 2, stride=2)(ones(1, 2, 2, 3, 4)).shape
    (1, 1, 4, 6, 8)
    """

    rank = 3
