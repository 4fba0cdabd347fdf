"""Dropout: random zeros, in training only."""

from __future__ import annotations

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.settings import Configured

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Configured):
    def __init__(self, p: float = 0.5, inplace: bool = False):
        if not 0 <= p <= 1:
            raise BadValue(f"dropout probability has to be between 0 and 1, but got {p}")
        super().__init__(locals())

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Sets each element to 0 with probability `p` and divides the others by 1 - p (Srivastava et al., 2014).

    >>> from tinygrad_lite import nn, ones
    >>> dropout = nn.Dropout(0.75)
    >>> dropout.eval()(ones(2))
    tensor([1., 1.])
    >>> sorted(set(dropout.train()(ones(1000)).tolist()))
    [0.0, 4.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """Dropout of whole channels of (N, C, L) or (C, L).

    >>> from tinygrad_lite import nn, ones
    >>> sums = nn.Dropout1d(0.5)(ones(1, 100, 3)).sum(-1)  # of each channel
    >>> sorted(set(sums.flatten().tolist()))
    [0.0, 6.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Dropout of whole channels of (N, C, H, W) or (C, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> sums = nn.Dropout2d(0.5)(ones(1, 100, 2, 2)).sum((-2, -1))  # of each channel
    >>> sorted(set(sums.flatten().tolist()))
    [0.0, 8.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> from tinygrad_lite import nn, ones
    >>> sums = nn.Dropout3d(0.5)(ones(1, 100, 2, 2, 2)).sum((-3, -2, -1))  # of each channel
    >>> sorted(set(sums.flatten().tolist()))
    [0.0, 16.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that preserves mean 0 and variance 1, for use after SELU (Klambauer et al., 2017): dropped elements take
    SELU's lowest value, then everything is scaled and shifted.

    >>> from tinygrad_lite import nn, randn
    >>> out = nn.AlphaDropout(0.5)(randn(100_000))
    >>> abs(out.mean().item()) < 0.05, abs(out.std().item() - 1) < 0.05
    (True, True)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_DropoutNd):
    """AlphaDropout of whole channels of (N, C, ...).

    >>> from tinygrad_lite import nn, ones
    >>> out = nn.FeatureAlphaDropout(0.5)(ones(1, 100, 2, 2))
    >>> bool((out == out[:, :, :1, :1]).all()), out.unique().shape
    (True, (2,))
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
