"""Cross-entropy: the negative log-probability of the target class."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import int64, is_array, namespace_of, only_floats, uint8
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.cross_entropy import cross_entropy_gradient, cross_entropy_of, sample_weights
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.dependence import linear_in
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.indexing import gather
from tinygrad_lite.ops.movement.transposing import movedim
from tinygrad_lite.ops.nn.linear import linear
from tinygrad_lite.ops.nn.losses.elementwise import reduced, reduction_of
from tinygrad_lite.ops.nn.softmax import _log_softmax
from tinygrad_lite.ops.reduction.sums import sum
from tinygrad_lite.ops.typing import Tensor

# -- class indices -----------------------------------------------------------------------------


def _checked(name: str, x: Any, target: Any, weight: Any) -> tuple[Any, Any]:
    """The arrays of `target` and `weight`, checked to fit an `x` of shape (N, C, ...)."""
    only_floats(x)
    x, target, weight = raw(x), raw(target), raw(weight)
    dtype = getattr(target, "dtype", None)
    if dtype != int64 and dtype != uint8:
        raise BadType(
            function=name, argument="target", expected="a target of int64, the classes' numbers", got=dtype or type(target).__name__
        )
    n, classes, *others = x.shape
    if target.shape != (n, *others):
        expected = (n, *others)
        raise BadValue(
            function=name, argument="target", expected=f"a target of shape {expected} for an input of shape {x.shape}", got=target.shape
        )
    if weight is not None:
        if not is_array(weight):
            raise BadType(function=name, argument="weight", expected="a Tensor", got=type(weight).__name__)
        if weight.shape != (classes,):
            raise BadValue(
                function=name, argument="weight", expected=f"a weight for each of {classes} classes", got=f"shape {weight.shape}"
            )
        if weight.dtype != x.dtype:
            raise BadType(function=name, argument="weight", expected=f"a weight of {x.dtype}, as the input", got=weight.dtype)
    return target, weight


@operation
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-probability of the target class: `input` (N, C, ...) or (C,), target (N, ...) or ().

    The mean is weighted by `weight[target]`; targets equal to `ignore_index` do not count.

    >>> import tinygrad_lite as tg
    >>> log_p = tg.log(tg.tensor([[0.25, 0.75], [0.5, 0.5]]))
    >>> nll_loss(log_p, tg.tensor([1, 0]))
    tensor(0.4904)
    """
    reduction = reduction_of("nll_loss", reduction, size_average, reduce)
    return _single("nll_loss", _nll, input, target, weight, ignore_index, reduction)


def _single(name: str, loss: Any, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    """`loss` for a batch, or for a single sample without a batch dim."""
    if x.ndim > 1:
        return loss(name, x, target, weight, ignore_index, reduction)
    if not x.ndim:
        raise BadValue(argument="input", expected="an input of shape (N, C, ...) or (C,)", got="a 0-d one")
    out = loss(name, x[None], target.reshape(-1), weight, ignore_index, reduction)
    return out.reshape(()) if reduction == "none" else out


def _nll(name: str, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    target, weight = _checked(name, x, target, weight)
    scale, classes = sample_weights(x.dtype, target, x.shape[1], weight, ignore_index)
    if not target.size:
        return reduced(linear_in(sum(x, 1) * 0, x), reduction)
    if x.ndim == 2:
        loss = -x[namespace_of(classes).arange(len(classes)), classes]  # 10 us faster than gather
    else:
        loss = -gather(x, 1, classes[:, None])[:, 0]
    loss = linear_in(loss, x)
    if scale is None:
        return reduced(loss, reduction)
    loss = where(target == ignore_index, 0.0, loss * scale)
    return sum(loss) / scale.sum() if reduction == "mean" else reduced(loss, reduction)


@primitive(keeps=("exponentials", "total", "scale", "places"))
def _cross_entropy(input, target, weight, ignore_index, reduction):
    """`input` (N, C), target (N,): `nll_loss(log_softmax(input, 1), ...)` in one pass."""
    return cross_entropy_of(input, target, weight, ignore_index, reduction)


@_cross_entropy.fused_vjp("input")
def _(needs, g, exponentials, total, scale, places):
    return cross_entropy_gradient(g, exponentials, total, scale, places)


@_cross_entropy.composed_of
def _(x, target, weight, ignore_index, reduction):
    return _nll("cross_entropy", _log_softmax(x, 1), target, weight, ignore_index, reduction)


# -- the loss -----------------------------------------------------------------------------------


@operation
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log-probability of the target under `softmax(input)`.

    `input`: logits of shape (N, C, ...), or (C,) for one sample. target: class indices of shape (N, ...), or probabilities
    of `input`'s shape. The mean is weighted by `weight[target]` (for probabilities: over N); class indices equal to
    `ignore_index` do not count. `label_smoothing`: the fraction of each target spread evenly over all classes.

    >>> import tinygrad_lite as tg
    >>> cross_entropy(tg.tensor([[0.0, 0.0], [100.0, 0.0]]), tg.tensor([1, 0]), reduction="none")
    tensor([0.6931, 0.0000])
    """
    name = "cross_entropy"
    reduction = reduction_of(name, reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise BadValue(argument="label_smoothing", expected="label_smoothing between 0 and 1", got=label_smoothing)
    if raw(input).shape == raw(target).shape:
        return _of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    hard = _single(name, _of_classes, input, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return hard
    even = _single(name, _of_even_target, input, target, weight, ignore_index, reduction)
    return (1 - label_smoothing) * hard + label_smoothing * even


def _of_classes(name: str, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    target, weight = _checked(name, x, target, weight)
    if x.ndim == 2:
        return _cross_entropy(x, target, weight, ignore_index, reduction)
    loss = _cross_entropy(movedim(x, 1, -1).reshape((-1, x.shape[1])), target.reshape(-1), weight, ignore_index, reduction)
    return loss.reshape(target.shape) if reduction == "none" else loss


def _of_even_target(name: str, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    """The loss for a uniform target."""
    target, weight = raw(target), raw(weight)
    logs = _log_softmax(x, 1)
    if weight is not None:
        logs = logs * weight.reshape((-1,) + (1,) * (x.ndim - 2))
    loss = where(target == ignore_index, 0.0, -sum(logs, 1) / x.shape[1])
    if reduction != "mean":
        return reduced(loss, reduction)
    scale, _ = sample_weights(x.dtype, target, x.shape[1], weight, ignore_index)
    return sum(loss) / (target.size if scale is None else scale.sum())


def _of_probabilities(x: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float) -> Any:
    if not x.ndim or target.dtype.kind != "f":
        raise BadType(argument="target", expected=f"probabilities as a target of the input's shape {tuple(x.shape)}", got=target.dtype)
    if ignore_index >= 0:
        raise BadValue(f"ignore_index={ignore_index} is for targets that are class numbers")
    dim = 1 if x.ndim > 1 else 0
    classes = x.shape[dim]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / max(classes, 1)
    only_floats(x)
    loss = -_log_softmax(x, dim) * target
    if weight is not None:
        if tuple(weight.shape) != (classes,):
            raise BadValue(argument="weight", expected=f"a weight for each of {classes} classes", got=f"shape {tuple(weight.shape)}")
        loss = loss * weight.reshape((-1,) + (1,) * (x.ndim - 1 - dim))
    if reduction == "none":
        return sum(loss, dim)
    if reduction == "sum":
        return sum(loss)
    return sum(loss) / (math.prod(x.shape) / classes if classes else math.nan)  # without classes there is no mean


@operation
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """`cross_entropy(linear(input, linear_weight, linear_bias), target, ...)`.

    `input` (N, in) or (in,), linear_weight (C, *more, in) and linear_bias (C, *more) give logits (N, C, *more). `options`
    tells PyTorch how to split the work; here the logits are computed whole, with the same values.

    >>> import tinygrad_lite as tg
    >>> linear_cross_entropy(tg.ones(5, 3), tg.zeros(4, 3), tg.tensor([0, 1, 2, 3, 0]))  # log(4)
    tensor(1.3863)
    """
    if input.ndim not in (1, 2) or linear_weight.ndim < 2:
        raise BadValue(
            argument="input",
            expected="input (N, in) or (in,) and linear_weight (C, ..., in)",
            got=f"{tuple(input.shape)} and {tuple(linear_weight.shape)}",
        )
    *outer, inner = linear_weight.shape
    if input.shape[-1] != inner:
        raise BadValue(f"input has {input.shape[-1]} features, linear_weight {inner}")
    if linear_bias is not None and tuple(linear_bias.shape) != tuple(outer):
        raise BadValue(argument="linear_bias", expected=f"linear_bias of shape {tuple(outer)}", got=tuple(linear_bias.shape))
    if len(outer) > 1 and input.ndim == 1:
        raise BadValue(f"a linear_weight of {linear_weight.ndim} dims needs a batch, input (N, {inner})")
    rows = linear_weight.reshape((-1, inner))
    logits = linear(input, rows, None if linear_bias is None else linear_bias.reshape((-1,)))
    logits = logits.reshape((*input.shape[:-1], *outer))
    if ignore_index is not None and tuple(target.shape) == tuple(logits.shape):
        raise BadValue(f"ignore_index={ignore_index} is for targets that are class numbers")
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(logits, target, weight, None, ignored, None, reduction, label_smoothing)
