"""Losses that compare predictions and targets element by element."""

from __future__ import annotations

import math
import warnings
from typing import Any

from tinygrad_lite.arrays import default_float, is_array, namespace_of, only_floats
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.losses import binary_cross_entropy_of, binary_cross_entropy_of_logits, mean_square
from tinygrad_lite.arrays.shapes import broadcast_shapes
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import abs, exp, log, to_dtype
from tinygrad_lite.ops.math.arithmetic import square, to_common_dtype
from tinygrad_lite.ops.math.clamping import at_least, clamp, clamp_min
from tinygrad_lite.ops.math.elementary import sigmoid, xlogy
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.broadcasting import broadcast_tensors
from tinygrad_lite.ops.nn.smooth_activations import _softplus
from tinygrad_lite.ops.reduction.sums import mean, sum
from tinygrad_lite.ops.typing import Tensor

__all__ = ["binary_cross_entropy_with_logits", "kl_div", "poisson_nll_loss"]


# -- what all losses share ----------------------------------------------------------------------


def reduction_of(
    name: str, reduction: str, size_average: bool | None = None, reduce: bool | None = None, more: tuple[str, ...] = ()
) -> str:
    """The requested reduction. `size_average` and `reduce` are its older form; a number is used by PyTorch's internal
    functions."""
    if size_average is not None or reduce is not None:
        return "none" if reduce is False else "sum" if size_average is False else "mean"
    if isinstance(reduction, int) and reduction in (0, 1, 2):
        return ("none", "mean", "sum")[reduction]
    if reduction not in ("none", "mean", "sum", *more):
        raise BadValue(function=name, argument="reduction", expected="reduction 'none', 'mean' or 'sum'", got=repr(reduction))
    return reduction


def reduced(loss: Any, reduction: str) -> Any:
    return mean(loss) if reduction == "mean" else sum(loss) if reduction == "sum" else loss


def _pair(name: str, x: Any, target: Any) -> Any:
    """Both broadcast to one shape."""
    a, b = raw(x), raw(target)
    if not is_array(a) or not is_array(b):
        raise BadType(expected="Tensors", got=f"{type(x).__name__} and {type(target).__name__}")
    if a.shape != b.shape:
        warnings.warn(
            f"{name}: the target's shape {b.shape} is not the input's, {a.shape}; they are broadcast, "
            "which is rarely intended",
            stacklevel=4,
        )
        return broadcast_tensors(x, target)
    return x, target


def _same_size(x: Any, target: Any) -> None:
    if x.shape != target.shape:
        raise BadValue(argument="target", expected=f"a target of the input's shape {tuple(x.shape)}", got=tuple(target.shape))


# -- distances ----------------------------------------------------------------------------------


@primitive
def _mse(input, target):
    # One tape entry where sub, square and mean make three, and one new array where they make two.
    return mean_square(input, target)


_mse.vjp(input=lambda g, input, target: _mse_slope(g, input, target),
         target=lambda g, input, target: _mse_slope(g, target, input))  # fmt: skip


def _mse_slope(g: Any, x: Any, y: Any) -> Any:
    d = x - y
    return d * (g * (2 / max(math.prod(d.shape), 1)))


@operation
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """`(input - target)^2`; `weight`: a factor for each element.

    >>> import tinygrad_lite as tg
    >>> mse_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(2.)
    """
    reduction = reduction_of("mse_loss", reduction, size_average, reduce)
    input, target = _pair("mse_loss", input, target)
    if weight is None and reduction == "mean":
        return _mse(input, target)
    return _weighted("mse_loss", square(input - target), input, weight, reduction)


def _weighted(name: str, loss: Any, x: Any, weight: Any, reduction: str) -> Any:
    """The reduction of `loss * weight`; the mean is weighted (in huber_loss, as in PyTorch, over elements)."""
    if weight is None:
        return reduced(loss, reduction)
    if weight.shape != x.shape:
        raise BadValue(argument="weight", expected=f"a weight of the input's shape {tuple(x.shape)}", got=tuple(weight.shape))
    loss = loss * weight
    return sum(loss) / sum(weight) if reduction == "mean" and name != "huber_loss" else reduced(loss, reduction)


@operation
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """`|input - target|`; `weight`: a factor for each element.

    >>> import tinygrad_lite as tg
    >>> l1_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(1.)
    """
    reduction = reduction_of("l1_loss", reduction, size_average, reduce)
    input, target = _pair("l1_loss", input, target)
    return _weighted("l1_loss", abs(input - target), input, weight, reduction)


def _huber(x: Any, y: Any, delta: float) -> Any:
    if x.dtype != y.dtype:
        x, y = to_common_dtype(x, y)
    only_floats(x, y)
    d = x - y
    m = clamp(d, -delta, delta)
    return m * (d - m / 2)


@operation
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """`d^2 / (2 beta)` where `d = |input - target|` is less than `beta`, otherwise `d - beta / 2`.

    >>> import tinygrad_lite as tg
    >>> smooth_l1_loss(tg.tensor([0.5, 3.0]), tg.zeros(2), reduction="none", beta=2.0)
    tensor([0.0625, 2.0000])
    """
    reduction = reduction_of("smooth_l1_loss", reduction, size_average, reduce)
    input, target = _pair("smooth_l1_loss", input, target)
    if beta < 0:
        raise BadValue(argument="beta", expected="beta of 0 or more", got=beta)
    return reduced(_huber(input, target, beta) * (1 / beta) if beta else abs(input - target), reduction)


@operation
def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None) -> Tensor:
    """`d^2 / 2` where `d = |input - target|` is less than `delta`, otherwise `delta (d - delta / 2)`.

    >>> import tinygrad_lite as tg
    >>> huber_loss(tg.tensor([0.5, 3.0]), tg.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = reduction_of("huber_loss", reduction)
    input, target = _pair("huber_loss", input, target)
    if delta <= 0:
        raise BadValue(argument="delta", expected="a positive delta", got=delta)
    loss = _huber(input, target, delta)
    if loss.dtype != input.dtype:
        loss = to_dtype(loss, input.dtype)
    return _weighted("huber_loss", loss, input, weight, reduction)


# -- probabilities ------------------------------------------------------------------------------


@primitive
def _bce(input, target):
    return binary_cross_entropy_of(input, target)


_bce.vjp(input=lambda g, input, target: g * (input - target) / clamp_min((1 - input) * input, 1e-12),
         target=lambda g, input: g * (log(1 - input) - log(input)))  # fmt: skip


@operation
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`-(target log(input) + (1 - target) log(1 - input))` for probabilities `input`, with logarithms clamped at -100.

    >>> import tinygrad_lite as tg
    >>> binary_cross_entropy(tg.tensor([0.5, 0.25]), tg.tensor([1.0, 0.0]), reduction="none")
    tensor([0.6931, 0.2877])
    """
    reduction = reduction_of("binary_cross_entropy", reduction, size_average, reduce)
    _same_size(input, target)
    return reduced(_times(_bce(input, target), weight), reduction)


def _times(loss: Any, weight: Any) -> Any:
    """`loss * weight`, where `weight` must broadcast to the loss's shape."""
    if weight is None:
        return loss
    loss_shape = tuple(loss.shape)
    if broadcast_shapes(loss_shape, tuple(weight.shape)) != loss_shape:
        raise BadValue(f"a weight of shape {tuple(weight.shape)} does not broadcast to {loss_shape}")
    return loss * weight


@primitive
def _bce_with_logits(input, target):
    return binary_cross_entropy_of_logits(input, target)


_bce_with_logits.vjp(input=lambda g, input, target: g * (sigmoid(input) - target),
                     target=lambda g, input: -g * input)  # fmt: skip


@operation
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy(sigmoid(input), target)`, accurate for any `input`; `pos_weight`: a factor for the term of
    targets 1.

    >>> import tinygrad_lite as tg
    >>> binary_cross_entropy_with_logits(tg.tensor([0.0, 100.0]), tg.tensor([1.0, 0.0]), reduction="none")
    tensor([  0.6931, 100.0000])
    """
    name = "binary_cross_entropy_with_logits"
    reduction = reduction_of(name, reduction, size_average, reduce)
    _same_size(input, target)
    if pos_weight is None:
        loss = _bce_with_logits(input, target)
    else:
        loss = (1 - target) * input + (1 + (pos_weight - 1) * target) * _softplus(-input, 1.0, math.inf)
    if loss.dtype != target.dtype and target.dtype.kind == "f":  # the target's dtype, as in PyTorch
        loss = to_dtype(loss, target.dtype)
    return reduced(_times(loss, weight), reduction)


@operation
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """`target (log(target) - input)` for log-probabilities `input` and probabilities `target` (with `log_target`,
    log-probabilities too). `reduction="batchmean"` divides the sum by the first size: the divergence per sample.

    >>> import tinygrad_lite as tg
    >>> kl_div(tg.log(tg.tensor([0.5, 0.5])), tg.tensor([1.0, 0.0]), reduction="sum")
    tensor(0.6931)
    """
    reduction = reduction_of("kl_div", reduction, size_average, reduce, ("batchmean",))
    only_floats(input, target)
    loss = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        return sum(loss) / input.shape[0] if input.ndim else sum(loss)
    return reduced(loss, reduction)


@operation
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of counts `target` at rate `exp(input)` (or `input`, if `log_input` is False).

    `full` adds Stirling's approximation of `log(target!)` for targets above 1.

    >>> import tinygrad_lite as tg
    >>> poisson_nll_loss(tg.tensor([0.0]), tg.tensor([5.0]))  # exp(0) - 5 * 0
    tensor(1.)
    """
    reduction = reduction_of("poisson_nll_loss", reduction, size_average, reduce)
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        many = where(target > 1, target, 1.0)
        stirling = many * log(many) - many + 0.5 * log(2 * math.pi * many)
        loss = loss + where(target > 1, stirling, 0.0)
    return reduced(loss, reduction)


@operation
def gaussian_nll_loss(input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Tensor:
    """`(log(var) + (input - target)^2 / var) / 2`, the negative log-likelihood of a normal distribution with mean `input`.
    `var`: of `input`'s shape, without its last dim, or with one dim of size 1; it is clamped below by `eps`. `full` adds
    `log(2 pi) / 2`.

    >>> import tinygrad_lite as tg
    >>> gaussian_nll_loss(tg.tensor([1.0]), tg.tensor([3.0]), tg.tensor([1.0]))  # (log(1) + 2^2 / 1) / 2
    tensor(2.)
    """
    reduction = reduction_of("gaussian_nll_loss", reduction)
    if isinstance(var, (int, float)):
        var = namespace_of(raw(input)).full(tuple(input.shape), var, default_float(input.dtype))
    shape, given = tuple(input.shape), tuple(var.shape)
    if given != shape:
        if shape[:-1] == given:
            var = var.reshape((*given, 1))
        elif len(shape) != len(given) or [v for n, v in zip(shape, given) if n != v] != [1]:
            raise BadValue(f"a var of shape {given} does not fit an input of {shape}")
    negative = raw(var) < 0
    if not left_to_program(negative, BadValue, "var has negative elements") and bool(negative.any()):
        raise BadValue("var has negative elements")
    var = at_least(var, eps)
    loss = 0.5 * (log(var) + square(input - target) / var)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@operation
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """`log(1 + exp(-target * input))`, for targets 1 and -1.

    >>> import tinygrad_lite as tg
    >>> soft_margin_loss(tg.tensor([0.0, 0.0]), tg.tensor([1.0, -1.0]))  # log(2)
    tensor(0.6931)
    """
    reduction = reduction_of("soft_margin_loss", reduction, size_average, reduce)
    if target.dtype != input.dtype:
        target = to_dtype(target, input.dtype)
    return reduced(_softplus(-target * input, 1.0, math.inf), reduction)
