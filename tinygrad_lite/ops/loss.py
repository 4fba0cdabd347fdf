"""Losses: a prediction against a target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import namespace_of, promote
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.reduction import mean, sum
from tinygrad_lite.ops.softmaxes import log_softmax

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__: list[str] = []

METHODS: list[str] = []
IN_PLACE: list[str] = []


def reduction_of(name: str, reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """The reduction asked for; `size_average` and `reduce` are PyTorch's old way to say it."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{name}: expected reduction 'none', 'mean' or 'sum', got {reduction!r}")
    return reduction


def reduced(loss: Any, reduction: str) -> Any:
    return mean(loss) if reduction == "mean" else sum(loss) if reduction == "sum" else loss


@primitive
def _mse(x, y):
    # One entry instead of three (sub, square, mean), and no array is written but the difference.
    x, y = promote(x, y)
    d = (x - y).reshape(-1)
    return d @ d / d.size if d.size else d.sum() / 0


_mse.vjp(x=lambda g, x, y: g * _mse_slope(x, y),
         y=lambda g, x, y: g * _mse_slope(y, x))


def _mse_slope(x: Any, y: Any) -> Any:
    d = x - y
    return d * (2 / max(math.prod(d.shape), 1))


@operation
def mse_loss(
    x: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The mean of `(x - target)^2`."""
    reduction = reduction_of("mse_loss", reduction, size_average, reduce)
    if weight is None and reduction == "mean":
        return _mse(x, target)
    d = x - target
    loss = d * d if weight is None else weight * d * d
    return reduced(loss, reduction)


@primitive(keeps=("probabilities", "scale", "classes"))
def _cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing):
    # x (N, C), target (N,). The softmax is kept, so that the gradient takes no exponentials.
    xp = namespace_of(x)
    n, c = x.shape
    kept = target != ignore_index
    classes = xp.where(kept, target, 0)
    if bool(((classes < 0) | (classes >= c)).any()):
        raise IndexError(f"cross_entropy: a target is out of range; with {c} classes they go from 0 to {c - 1}")
    rows = xp.arange(n)
    top = x.max(axis=1, keepdims=True) if x.size else x
    p = x - top
    own = p[rows, classes]
    xp.exp(p, out=p)
    total = p.sum(axis=1, keepdims=True)
    loss = xp.log(total[:, 0]) - own
    scale = kept.astype(x.dtype)
    if weight is not None:
        scale *= weight[classes]
    loss *= scale
    p /= total
    if reduction == "mean":
        count = scale.sum()
        return loss.sum() / count, p, scale / count, classes
    return (loss.sum() if reduction == "sum" else loss), p, scale, classes


@_cross_entropy.fused_vjp("x")
def _(needs, g, probabilities, scale, classes):
    scale = scale * g
    out = probabilities * scale[:, None]
    out[namespace_of(out).arange(len(out)), classes] -= scale
    return out, None, None, None, None, None


@_cross_entropy.composed_of
def _(x, target, weight, ignore_index, reduction, label_smoothing):
    array = target.array
    xp = namespace_of(array)
    kept = array != ignore_index
    picked = (xp.where(kept, array, 0)[:, None] == xp.arange(x.shape[1])).astype(x.dtype)
    scale = kept.astype(x.dtype)
    if weight is not None:
        scale = scale * (picked * weight.array).sum(axis=1)
    loss = -(log_softmax(x, 1) * picked).sum(dim=1) * scale
    return loss.sum() / scale.sum() if reduction == "mean" else reduced(loss, reduction)


@operation
def cross_entropy(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Minus the log-probability of the target class under `softmax(x)`: x (N, C), target (N,) of classes."""
    reduction = reduction_of("cross_entropy", reduction, size_average, reduce)
    return _cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing)
