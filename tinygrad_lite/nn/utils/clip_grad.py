"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.ops.creation.conversion import tensor
from tinygrad_lite.ops.linalg.norms import vector_norm
from tinygrad_lite.ops.movement.joining import stack

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Parameters = Tensor | Iterable[Tensor]


def _all(parameters: Parameters) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


@no_grad()
def get_total_norm(tensors: Parameters, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """The norm of all tensors, taken as one vector.

    >>> from tinygrad_lite import tensor
    >>> get_total_norm([tensor([3.0]), tensor([[4.0]])])
    tensor(5.)
    """
    norms = [vector_norm(t.detach(), norm_type) for t in _all(tensors)]
    if not norms:
        return tensor(0.0)
    total = vector_norm(stack([n.to(norms[0].device) for n in norms]), norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise Refusal(
            f"The total norm of order {norm_type} for gradients is non-finite, so it cannot be clipped. "
            "To scale the gradients by it anyway, set error_if_nonfinite=False",
        )
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Parameters, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
    """Scale the gradients by max_norm / (total_norm + 1e-6) if that makes them smaller.

    >>> from tinygrad_lite import tensor
    >>> w = tensor([0.0, 0.0], requires_grad=True)
    >>> w.grad = tensor([3.0, 4.0])
    >>> clip_grads_with_norm_([w], 1.0, total_norm=tensor(10.0))  # 10: with those of other parameters
    >>> w.grad
    tensor([0.3000, 0.4000])
    """
    scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for parameter in _all(parameters):
        if parameter.grad is not None:
            parameter.grad.mul_(scale.to(parameter.grad.device))


def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients in place so that their norm, taken as one vector, is at most `max_norm`. Return their former
    norm.

    >>> from tinygrad_lite import nn, tensor
    >>> w = nn.Parameter(tensor([0.0, 0.0]))
    >>> (w * tensor([3.0, 4.0])).sum().backward()
    >>> clip_grad_norm_([w], 1.0), w.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    parameters = _all(parameters)
    total = get_total_norm([p.grad for p in parameters if p.grad is not None], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """`clip_grad_norm_` under its deprecated name."""
    return clip_grad_norm_(*args, **kwargs)


@no_grad()
def clip_grad_value_(parameters: Parameters, clip_value: float, foreach: bool | None = None) -> None:
    """Clip each element of the gradients to [-clip_value, clip_value], in place.

    >>> from tinygrad_lite import tensor
    >>> w = tensor([0.0, 0.0], requires_grad=True)
    >>> w.grad = tensor([0.5, -4.0])
    >>> clip_grad_value_([w], 1.0)
    >>> w.grad
    tensor([ 0.5000, -1.0000])
    """
    for parameter in _all(parameters):
        if parameter.grad is not None:
            parameter.grad.clamp_(-float(clip_value), float(clip_value))
