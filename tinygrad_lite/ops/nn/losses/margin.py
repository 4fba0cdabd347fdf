"""Margin losses: for classes, pairs and triplets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import namespace_of, only_floats
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import BadIndex, BadValue
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import minimum, sqrt
from tinygrad_lite.ops.dependence import linear_in
from tinygrad_lite.ops.math.arithmetic import square
from tinygrad_lite.ops.math.clamping import clamp_min
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.indexing import gather
from tinygrad_lite.ops.nn.distances import pairwise_distance
from tinygrad_lite.ops.nn.losses.elementwise import reduced, reduction_of
from tinygrad_lite.ops.nn.piecewise_activations import relu
from tinygrad_lite.ops.nn.smooth_activations import logsigmoid
from tinygrad_lite.ops.reduction.sums import sum
from tinygrad_lite.ops.typing import Tensor

__all__ = ["cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "triplet_margin_loss"]


# -- pairs --------------------------------------------------------------------------------------


@operation
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`input` where the target is 1, `max(0, margin - input)` where it is -1.

    >>> import tinygrad_lite as tg
    >>> hinge_embedding_loss(tg.tensor([0.5, 0.25]), tg.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.7500])
    """
    reduction = reduction_of("hinge_embedding_loss", reduction, size_average, reduce)
    apart = where(target == 1, 0.0, clamp_min(margin - input, 0))
    return reduced(apart + where(target == -1, 0.0, input), reduction)


@operation
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, margin - target (input1 - input2))`: target 1 if input1 should be larger, -1 if input2 should.

    >>> import tinygrad_lite as tg
    >>> margin_ranking_loss(tg.tensor([1.0]), tg.tensor([3.0]), tg.tensor([1.0]))
    tensor(2.)
    """
    reduction = reduction_of("margin_ranking_loss", reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        shapes = [tuple(t.shape) for t in (input1, input2, target)]
        raise BadValue(expected="tensors of equally many dimensions", got=f"shapes {shapes}")
    return reduced(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


@operation
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`1 - cos(input1, input2)` where the target is 1, `max(0, cos - margin)` where it is -1.

    input1, input2 (N, D) and target (N,), or (D,) and ().

    >>> import tinygrad_lite as tg
    >>> x, y = tg.tensor([[1.0, 0.0], [1.0, 0.0]]), tg.tensor([[0.0, 2.0], [3.0, 0.0]])
    >>> cosine_embedding_loss(x, y, tg.tensor([1, -1]), reduction="none")
    tensor([1., 1.])
    """
    reduction = reduction_of("cosine_embedding_loss", reduction, size_average, reduce)
    if target.ndim > 1 or not target.ndim + 1 == input1.ndim == input2.ndim:
        shapes = [tuple(t.shape) for t in (input1, input2, target)]
        raise BadValue(expected="shapes (N, D), (N, D), (N,) or (D,), (D,), ()", got=shapes)
    tiny = 1e-12
    norms = sqrt((sum(square(input1), -1) + tiny) * (sum(square(input2), -1) + tiny))
    cosine = sum(input1 * input2, -1) / norms
    return reduced(where(target == 1, 1 - cosine, 0.0) + where(target == -1, clamp_min(cosine - margin, 0), 0.0), reduction)


# -- triplets -----------------------------------------------------------------------------------


@operation
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, margin + d(anchor, positive) - d(anchor, negative))` with the p-norm as distance.

    `swap`: use d(positive, negative) instead of d(anchor, negative) if it is smaller.

    >>> import tinygrad_lite as tg
    >>> triplet_margin_loss(tg.zeros(1, 2), tg.tensor([[1.0, 0.0]]), tg.tensor([[3.0, 0.0]]), margin=3.0)
    tensor(1.)
    """
    reduction = reduction_of("triplet_margin_loss", reduction, size_average, reduce)
    if not anchor.ndim == positive.ndim == negative.ndim:
        shapes = [tuple(t.shape) for t in (anchor, positive, negative)]
        raise BadValue(expected="tensors of equally many dimensions", got=f"shapes {shapes}")
    return _triplet(anchor, positive, negative, lambda x, y: pairwise_distance(x, y, p, eps), margin, swap, reduction)


@operation
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a custom distance (None: pairwise_distance).

    >>> import tinygrad_lite as tg
    >>> a, p, n = tg.tensor([[0.0]]), tg.tensor([[2.0]]), tg.tensor([[-2.5]])
    >>> triplet_margin_with_distance_loss(a, p, n, distance_function=lambda x, y: (x - y).abs().sum(-1))
    tensor(0.5000)
    """
    name = "triplet_margin_with_distance_loss"
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction_of(name, reduction))


def _triplet(anchor: Any, positive: Any, negative: Any, distance: Any, margin: float, swap: bool, reduction: str) -> Any:
    if margin <= 0:
        raise BadValue(argument="positive", expected="a positive margin", got=margin)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp_min(margin + near - far, 0), reduction)


# -- classes ------------------------------------------------------------------------------------


@operation
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum over the other classes of `max(0, margin - input[target] + input[class])^p`, divided by C.

    `input` (N, C) and target (N,) of classes, or (C,) and (). `weight`: a factor for each target class.

    >>> import tinygrad_lite as tg
    >>> multi_margin_loss(tg.tensor([0.5, 1.0, 0.0, -3.0]), tg.tensor(1))  # (1 - 1 + 0.5) / 4
    tensor(0.1250)
    """
    reduction = reduction_of("multi_margin_loss", reduction, size_average, reduce)
    if p not in (1, 2):
        raise BadValue(argument="p", expected="p of 1 or 2", got=p)
    only_floats(input)
    rows, classes = _matrix(input), raw(target).reshape(-1)
    count = rows.shape[1]
    if classes.dtype.name != "int64" or len(classes) != len(rows):
        got = f"{classes.dtype} of shape {tuple(target.shape)}"
        raise BadValue(argument="target", expected=f"a target of {len(rows)} class numbers (int64)", got=got)
    if weight is not None and tuple(weight.shape) != (count,):
        raise BadValue(argument="weight", expected=f"a weight for each of {count} classes", got=f"shape {tuple(weight.shape)}")
    _in_range(classes, 0, count)
    excess = relu(margin - gather(rows, 1, classes[:, None]) + rows)
    if p == 2:
        excess = square(excess)
    xp = namespace_of(classes)
    loss = linear_in(sum(where(classes[:, None] == xp.arange(count), 0.0, excess), 1) / count, input)
    if weight is not None:
        loss = loss * raw(weight)[classes]
    return reduced(loss.reshape(tuple(target.shape)) if reduction == "none" else loss, reduction)


def _matrix(x: Any) -> Any:
    """`x` as (N, C); a number is one class."""
    if x.ndim > 2 or 0 in x.shape[-1:]:
        raise BadValue(argument="input", expected="an input of shape (N, C) or (C,)", got=tuple(x.shape))
    return x if x.ndim == 2 else x.reshape((1, -1))


def _in_range(classes: Any, first: int, count: int) -> None:
    outside = (classes < first) | (classes >= count)
    problem = f"a class is out of range: {count} classes go from 0 to {count - 1}"
    if not left_to_program(outside, BadIndex, problem) and bool(outside.any()):
        raise BadIndex(f"class {int(classes[outside][0])} is out of range: {count} classes go from 0 to {count - 1}")


@operation
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """The sum over a sample's target classes and all others of `max(0, 1 - (input[target] - input[other]))`, divided by C.

    `input` and target (N, C) or (C,): a row of target lists classes, up to the first -1.

    >>> import tinygrad_lite as tg
    >>> multilabel_margin_loss(tg.tensor([2.0, 1.5, 0.0, -3.0]), tg.tensor([0, -1, -1, -1]))  # (1 - 0.5) / 4
    tensor(0.1250)
    """
    name = "multilabel_margin_loss"
    reduction = reduction_of(name, reduction, size_average, reduce)
    only_floats(input)
    rows, classes = _matrix(input), raw(target)
    if tuple(target.shape) != tuple(input.shape) or classes.dtype.name != "int64":
        got = f"{classes.dtype} of shape {tuple(target.shape)}"
        raise BadValue(argument="target", expected=f"a target of int64 of shape {tuple(input.shape)}", got=got)
    _in_range(classes, -1, rows.shape[1])
    xp = namespace_of(classes)
    classes = classes.reshape(tuple(rows.shape))
    count = rows.shape[1]
    listed = xp.cumsum(classes < 0, axis=1) == 0
    classes = xp.where(listed, classes, 0)
    is_target = ((classes[:, :, None] == xp.arange(count)) & listed[:, :, None]).any(axis=1)
    excess = relu(1 - gather(rows, 1, classes)[:, :, None] + rows[:, None, :])
    loss = linear_in(sum(where(listed[:, :, None] & ~is_target[:, None, :], excess, 0.0), (1, 2)) / count, input)
    return reduced(loss if input.ndim == 2 else loss.reshape(()), reduction)


@operation
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes (the last dim) of `-(target log(sigmoid(input)) + (1 - target) log(sigmoid(-input)))`.

    >>> import tinygrad_lite as tg
    >>> multilabel_soft_margin_loss(tg.zeros(1, 3), tg.tensor([[1.0, 0.0, 1.0]]))  # log(2)
    tensor(0.6931)
    """
    reduction = reduction_of("multilabel_soft_margin_loss", reduction, size_average, reduce)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced(sum(loss, -1) / input.shape[-1], reduction)
