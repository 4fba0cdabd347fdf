"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import as_dtype, device_of, is_array, namespace_of, only_floats
from tinygrad_lite.arrays.kernels.softmax import log_softmax_gradient, log_softmax_of, softmax_gradient, softmax_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import canonical_dim, operation, raw
from tinygrad_lite.ops.calculus import exp, to_dtype
from tinygrad_lite.ops.random.generators import source
from tinygrad_lite.ops.typing import Tensor

__all__ = ["log_softmax", "softmax"]


@primitive
def _softmax(input, dim):
    only_floats(input)
    return softmax_of(input, dim)


def _softmax_rule(g: Any, out: Any, dim: int) -> Any:
    return softmax_gradient(g, out, dim) if is_array(g) else out * (g - (g * out).sum(axis=dim, keepdims=True))


_softmax.vjp(input=_softmax_rule)


@primitive
def _log_softmax(input, dim):
    only_floats(input)
    return log_softmax_of(input, dim)


def _log_softmax_rule(g: Any, out: Any, dim: int) -> Any:
    return log_softmax_gradient(g, out, dim) if is_array(g) else g - exp(out) * g.sum(axis=dim, keepdims=True)


_log_softmax.vjp(input=_log_softmax_rule)


@operation
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """`exp(input) / exp(input).sum(dim)`: positive, and summing to 1 along `dim`.

    >>> import tinygrad_lite as tg
    >>> tg.softmax(tg.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    if dtype is not None:
        input = to_dtype(input, as_dtype(dtype))
    return _softmax(input, canonical_dim(dim, len(input.shape)))


@operation
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax(input, dim)`, computed without overflow.

    >>> import tinygrad_lite as tg
    >>> tg.log_softmax(tg.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    if dtype is not None:
        input = to_dtype(input, as_dtype(dtype))
    return _log_softmax(input, canonical_dim(dim, len(input.shape)))


@operation
def softmin(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """`softmax(-x, dim)`

    >>> import tinygrad_lite as tg
    >>> softmin(tg.tensor([0.0, 1000.0]), dim=0)
    tensor([1., 0.])
    """
    return softmax(-x, dim, dtype)


@operation
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A differentiable random sample: the softmax of logits plus Gumbel noise at temperature `tau` (Jang et al.,
    Categorical reparameterization with Gumbel-softmax).

    `hard`: the value is one-hot, but the gradient is that of the soft sample. `eps` has no effect.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.gumbel_softmax(tg.tensor([[0.0, 100.0]]), hard=True).argmax(1)
    tensor([1])
    """
    only_floats(logits)
    array = raw(logits)
    noise = -namespace_of(array).log(source(device=device_of(array)).exponential(array.shape, array.dtype))
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    values = raw(soft)
    dim = canonical_dim(dim, soft.ndim)
    places = namespace_of(values).arange(values.shape[dim]).reshape((-1,) + (1,) * (values.ndim - 1 - dim))
    chosen = values.argmax(axis=dim, keepdims=True) == places
    return soft + (chosen - values)
