"""Dropout: random elements, or whole channels, set to zero."""

from __future__ import annotations

import math
import warnings
from typing import Any

from tinygrad_lite.arrays import device_of, only_floats
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.kernels.where import masked
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.inplace import in_place, optional_inplace
from tinygrad_lite.ops.nn.smooth_activations import SELU_ALPHA, SELU_SCALE
from tinygrad_lite.ops.random.generators import source
from tinygrad_lite.ops.typing import Tensor

__all__ = [
    "alpha_dropout", "alpha_dropout_", "dropout", "dropout_", "feature_alpha_dropout", "feature_alpha_dropout_",
    "feature_dropout", "feature_dropout_",
]  # fmt: skip


def _dropped(x: Any, p: float, training: bool, shape: Any = None) -> Any:
    """`x / (1 - p)` where an element (of an array of `shape`, by default x's) is kept, otherwise 0."""
    if _does_nothing(x, p, training):
        return x
    return _masked(x, _kept(x, p, shape), 1 / (1 - p) if p < 1 else 0.0)


@primitive
def _masked(input, kept, scale):
    return masked(input, kept, scale)


_masked.vjp(input=lambda g, kept, scale: _masked(g, kept, scale))


def _alpha_dropped(x: Any, p: float, training: bool, shape: Any = None) -> Any:
    if _does_nothing(x, p, training):
        return x
    if p == 1:
        return x * 0.0
    low = -SELU_ALPHA * SELU_SCALE
    scale = 1 / math.sqrt((1 - p) * (1 + p * low * low))  # preserves mean 0 and variance 1
    return where(_kept(x, p, shape), x, low) * scale - scale * p * low


def _does_nothing(x: Any, p: float, training: bool) -> bool:
    if not 0 <= p <= 1:
        raise BadValue(argument="p", expected="a probability p between 0 and 1", got=p)
    if not training or p == 0:
        return True
    only_floats(x)
    return False


def _kept(x: Any, p: float, shape: Any) -> Any:
    array = raw(x)
    return source(device=device_of(array)).coins(array.shape if shape is None else shape, 1 - p)


def _channels(x: Any) -> tuple[int, ...]:
    """The shape with one element per channel (dim 1) and sample."""
    if x.ndim < 2:
        raise BadValue(expected="a tensor of 2 or more dimensions", got=f"shape {tuple(x.shape)}")
    return (*x.shape[:2], *(1,) * (x.ndim - 2))


@optional_inplace
@operation
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, set each element to 0 with probability `p`, and divide the others by `1 - p`, which preserves the
    expectation (Srivastava et al., Dropout).

    >>> import tinygrad_lite as tg
    >>> dropout(tg.ones(3), training=False), dropout(tg.ones(1000), 0.5).unique()
    (tensor([1., 1., 1.]), tensor([0., 2.]))
    """
    return _dropped(input, p, training)


@optional_inplace
@operation
def feature_dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Like dropout, but whole channels (N, C, ...) are dropped or kept.

    >>> import tinygrad_lite as tg
    >>> y = feature_dropout(tg.ones(50, 4, 9))
    >>> bool((y == y[..., :1]).all())  # a channel has one value: 0 or 2
    True
    """
    return _dropped(input, p, training, _channels(input) if training and p else None)


@optional_inplace
@operation
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for selu networks: dropped elements take selu's lower limit, then the result is scaled and shifted to
    preserve mean 0 and variance 1.

    >>> import tinygrad_lite as tg
    >>> y = alpha_dropout(tg.randn(100_000), 0.2, training=True)
    >>> abs(y.mean().item()) < 0.05, abs(y.std().item() - 1) < 0.05
    (True, True)
    """
    return _alpha_dropped(input, p, training)


@optional_inplace
@operation
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Like alpha_dropout, but for whole channels (N, C, ...).

    >>> import tinygrad_lite as tg
    >>> y = feature_alpha_dropout(tg.ones(50, 4, 9), training=True)
    >>> bool((y == y[..., :1]).all())
    True
    """
    shape = _channels(input) if training and p else None
    return _alpha_dropped(input, p, training, shape)


def _dropout_nd(name: str, x: Any, p: float, training: bool, ranks: tuple[int, int], batched: bool) -> Any:
    """Drop channels of an `x` of `ranks` dimensions; the first rank has no batch dim."""
    if x.ndim not in ranks:
        expected, got = f"a tensor of {ranks[0]} or {ranks[1]} dimensions", f"shape {tuple(x.shape)}"
        if name == "dropout1d":
            raise BadValue(expected=expected, got=got)
        warnings.warn(f"{name}: expected {expected}, got {got}", stacklevel=4)
    shape = _channels(x)
    if not batched and x.ndim != ranks[1]:
        shape = (x.shape[0], *(1,) * (x.ndim - 1))
    return _dropped(x, p, training, shape)


@optional_inplace
@operation
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, L) or (C, L) with probability `p`.

    >>> import tinygrad_lite as tg
    >>> dropout1d(tg.ones(100, 4, 9)).sum(-1).unique()  # all 9 of a channel, doubled, or none
    tensor([ 0., 18.])
    """
    return _dropout_nd("dropout1d", input, p, training, (2, 3), False)


@optional_inplace
@operation
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, H, W) with probability `p`; as in PyTorch, three dims are (N, C, L).

    >>> import tinygrad_lite as tg
    >>> dropout2d(tg.ones(100, 4, 3, 3)).sum((-2, -1)).unique()
    tensor([ 0., 18.])
    """
    return _dropout_nd("dropout2d", input, p, training, (3, 4), True)


@optional_inplace
@operation
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, D, H, W) or (C, D, H, W) with probability `p`.

    >>> import tinygrad_lite as tg
    >>> dropout3d(tg.ones(100, 4, 2, 2, 2)).sum((-3, -2, -1)).unique()
    tensor([ 0., 16.])
    """
    return _dropout_nd("dropout3d", input, p, training, (4, 5), False)


dropout_ = in_place(dropout)
feature_dropout_ = in_place(feature_dropout)
alpha_dropout_ = in_place(alpha_dropout)
feature_alpha_dropout_ = in_place(feature_alpha_dropout)
