"""Random tensors. Every function accepts a `generator`; by default it uses the device's own."""

from __future__ import annotations

import math
import operator
from typing import Any

from tinygrad_lite.arrays import as_array, device_of, is_array, namespace_of, quietly
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.dtypes import DType, as_dtype, as_float, epsilon, float32, float64, int64, limits
from tinygrad_lite.arrays.errors import BadType, Refusal
from tinygrad_lite.arrays.gpu import is_symbol, on_gpu_of
from tinygrad_lite.arrays.randomness import Source
from tinygrad_lite.arrays.shapes import broadcast_shapes
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import canonical_shape, operation, raw
from tinygrad_lite.ops.calculus import where
from tinygrad_lite.ops.creation.factories import as_made, creator, dtype_or_default, size_given
from tinygrad_lite.ops.movement.inplace import assign
from tinygrad_lite.ops.random.generators import Generator, source
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = [
    "bernoulli", "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm",
]  # fmt: skip


# -- new tensors --------------------------------------------------------------------------------


def _floating(dtype: Any) -> DType:
    dtype = dtype_or_default(dtype)
    if dtype.kind != "f":
        raise Refusal(argument="dtype", expected="a floating-point dtype", got=dtype)
    return dtype


@creator
def rand(
    *shape: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> AnyTensor:  # fmt: skip
    """Uniform in [0, 1).

    >>> import tinygrad_lite as tg
    >>> tg.rand(2, 3).shape
    (2, 3)
    """
    return as_made(source(generator, device).uniform(size_given(shape, size), _floating(dtype)), requires_grad)


@creator
def randn(
    *shape: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> AnyTensor:  # fmt: skip
    """Normal with mean 0 and variance 1.

    >>> import tinygrad_lite as tg
    >>> tg.randn(2, 3).shape
    (2, 3)
    """
    return as_made(source(generator, device).normal(size_given(shape, size), _floating(dtype)), requires_grad)


@creator
def randint(
    low: Any = 0, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> AnyTensor:  # fmt: skip
    """Integers from `low` to `high - 1`; `randint(high, size)` starts at 0.

    >>> import tinygrad_lite as tg
    >>> tg.randint(5, (100,)).max() < 5
    tensor(True)
    """
    if size is None and not hasattr(high, "__index__"):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    dtype = int64 if dtype is None else as_dtype(dtype)
    values = _integers(low, high, size_given((), size), source(generator, device), dtype)
    return as_made(values.astype(dtype, copy=False), requires_grad)


def _integers(low: Any, high: Any, shape: tuple[int, ...], drawn_from: Source, dtype: DType) -> Any:
    low, high = operator.index(low), operator.index(high)
    if low >= high:
        raise Refusal(argument="low", expected="low < high", got=f"{low} and {high}")
    first, last = (0, 1) if dtype.kind == "b" else limits(dtype)
    if low < first or high - 1 > last:
        raise Refusal(f"{dtype} does not hold all of {low} to {high - 1}")
    return drawn_from.integers(low, high, shape)


@creator
def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = int64, device: Any = None, requires_grad: bool = False
) -> AnyTensor:  # fmt: skip
    """0 to n - 1 in random order.

    >>> import tinygrad_lite as tg
    >>> tg.randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    if n < 0:
        raise Refusal(expected="n of 0 or more", got=n)
    dtype = as_dtype(dtype)
    if dtype.kind == "b" or n - 1 > limits(dtype)[1]:
        raise Refusal(f"{dtype} does not hold all of 0 to {n - 1}", function="randperm")
    return as_made(source(generator, device).permutation(operator.index(n)).astype(dtype, copy=False), requires_grad)


def _like(x: Any, dtype: Any, device: Any) -> tuple[Any, Any]:
    return x.dtype if dtype is None else dtype, device_of(raw(x)) if device is None else device


@creator
@operation
def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:  # fmt: skip
    """`rand` with the shape, and by default the dtype and device, of `input`.

    >>> import tinygrad_lite as tg
    >>> tg.rand_like(tg.ones(2, 3)).shape
    (2, 3)
    """
    dtype, device = _like(input, dtype, device)
    return rand(tuple(input.shape), generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


@creator
@operation
def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:  # fmt: skip
    """`randn` with the shape, and by default the dtype and device, of `input`.

    >>> import tinygrad_lite as tg
    >>> tg.randn_like(tg.ones(2, 3)).shape
    (2, 3)
    """
    dtype, device = _like(input, dtype, device)
    return randn(tuple(input.shape), generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


@creator
@operation
def randint_like(
    input: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`randint` with the shape, and by default the dtype and device, of `input`.

    >>> import tinygrad_lite as tg
    >>> (tg.randint_like(tg.ones(100), 3, 6) >= 3).all()
    tensor(True)
    """
    dtype, device = _like(input, dtype, device)
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, tuple(input.shape), generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


@creator
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> AnyTensor:  # fmt: skip
    """Normal with the given means and standard deviations: tensors (of one shape), or two numbers and a size.

    >>> import tinygrad_lite as tg
    >>> tg.normal(tg.tensor([0.0, 100.0]), tg.tensor([0.0, 0.0]))
    tensor([  0., 100.])
    """
    given = mean, std
    mean, std = map(raw, given)
    if size is not None:
        shape = canonical_shape((size,))
    elif is_array(mean) or is_array(std):
        like = mean if is_array(mean) else std
        shape = broadcast_shapes(getattr(mean, "shape", ()), getattr(std, "shape", ()))
        dtype, device = like.dtype, device_of(like)
    else:
        raise BadType("two numbers need a size")
    deferred = is_symbol(std) and left_to_program(std < 0, Refusal, "expected a standard deviation of 0 or more")
    if not deferred and (bool((std.min() if std.size else 0) < 0) if is_array(std) else std < 0):
        raise Refusal(expected="a standard deviation of 0 or more", got=std)
    values = source(generator, device).normal(shape, _floating(dtype))
    result = _drawn_by(values * std + mean, *given)
    return result.requires_grad_() if requires_grad else result


def _drawn_by(values: Any, *parameters: Any) -> Any:
    """A tensor of random values; the gradients of the distribution's parameters are zero."""
    result = traced(as_array(values))
    for parameter in parameters:
        if isinstance(parameter, Traced) and parameter.requires_grad:
            result = where(namespace_of(values).asarray(True), result, parameter)
    return result


def _probability(name: str, p: Any) -> Any:
    if is_array(p):
        deferred = is_symbol(p) and left_to_program((p < 0) | (p > 1), Refusal, f"{name}: expected probabilities from 0 to 1")
        if not deferred and p.size and not bool((p.min() >= 0) & (p.max() <= 1)):
            raise Refusal(function=name, expected="probabilities of 0 to 1", got=f"{p.min()} to {p.max()}")
        return p
    if not 0 <= p <= 1:
        raise Refusal(function=name, expected="a probability of 0 to 1", got=p)
    return p


def _coins(p: Any, like: Any, generator: Generator | None) -> Any:
    wide = float64 if is_array(p) and p.dtype == float64 else float32
    return (source(generator, device_of(like)).uniform(like.shape, wide) < p).astype(like.dtype)


@operation
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with probability given by each element of `input` (or by `p`), otherwise 0.

    >>> import tinygrad_lite as tg
    >>> tg.bernoulli(tg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    like = raw(input)
    if p is None and like.dtype.kind != "f":
        raise Refusal(expected="floating-point probabilities", got=like.dtype)
    values = _coins(_probability("bernoulli", like if p is None else raw(p)), like, generator)
    return _drawn_by(values, input, p) if isinstance(input, Traced) else values


@quietly
@operation
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """Category indices, drawn with probabilities proportional to the weights in the last dim of `input` (one or two dims):
    `num_samples` per row.

    Without replacement, selects the categories with the smallest exponential variate / weight (Efraimidis and Spirakis
    2006).

    >>> import tinygrad_lite as tg
    >>> tg.multinomial(tg.tensor([0.0, 3.0, 0.0]), 1)
    tensor([1])
    """
    weights = raw(input)
    if weights.ndim not in (1, 2) or weights.dtype.kind != "f":
        raise Refusal(expected="real weights in 1 or 2 dims", got=f"{weights.dtype} of shape {weights.shape}")
    if num_samples <= 0 or (not replacement and num_samples > weights.shape[-1]):
        raise Refusal(f"{num_samples} samples cannot be drawn from {weights.shape[-1]} categories")
    xp = namespace_of(weights)
    usual, positive = xp.isfinite(weights) & (weights >= 0), (weights > 0).sum(axis=-1)
    if is_symbol(weights):
        left_to_program(~usual, Refusal, "expected weights that are finite and not negative")
        left_to_program(positive < (1 if replacement else num_samples), Refusal, "too few weights are positive")
    elif not bool(usual.all()):
        raise Refusal(expected="weights that are finite and not negative")
    elif bool((positive < (1 if replacement else num_samples)).any()):
        raise Refusal("too few weights are positive")
    chosen = source(generator, device_of(weights)).choices(weights, num_samples, replacement)
    return traced(chosen.astype(int64, copy=False)) if isinstance(input, Traced) else chosen


@operation
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Counts with the means given by `input`.

    >>> import tinygrad_lite as tg
    >>> tg.poisson(tg.tensor([0.0, 0.0]))
    tensor([0., 0.])
    """
    rate = raw(input)
    deferred = is_symbol(rate) and left_to_program(rate < 0, Refusal, "expected rates of 0 or more")
    if not deferred and rate.size and bool(rate.min() < 0):
        raise Refusal(expected="rates of 0 or more", got=rate.min())
    values = source(generator, device_of(rate)).poisson(rate).astype(as_float(rate[:0] if rate.ndim else rate).dtype)
    return traced(values) if isinstance(input, Traced) else values


# -- in place -----------------------------------------------------------------------------------


def _draw(name: str, x: Any, values: Any) -> Any:
    assign(name, x, values)
    return x


def _real(name: str, x: Any) -> DType:
    if x.array.dtype.kind != "f":
        raise BadType(function=name, expected="a floating-point tensor", got=x.array.dtype)
    return x.array.dtype


@on_gpu_of()
def normal_(input: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers.

    >>> import tinygrad_lite as tg
    >>> tg.zeros(3).normal_(mean=5.0, std=0.0)
    tensor([5., 5., 5.])
    """
    if std < 0:
        raise Refusal(function="normal_", expected="a standard deviation of 0 or more", got=std)
    values = source(generator, device_of(input.array)).normal(input.array.shape, _real("normal_", input))
    return _draw("normal_", input, values * std + mean)


@operation
def uniform_(input: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers uniform in [from_, to).

    >>> import tinygrad_lite as tg
    >>> (tg.zeros(100).uniform_(2, 3) >= 2).all()
    tensor(True)
    """
    if from_ > to:
        raise Refusal(argument="from_", expected="from_ <= to", got=f"{from_} and {to}")
    first, last = limits(_real("uniform_", input))
    if from_ < first or to > last:
        raise Refusal(f"{input.array.dtype} does not reach from {from_} to {to}")
    values = source(generator, device_of(input.array)).uniform(input.array.shape, input.array.dtype)
    return _draw("uniform_", input, values * (to - from_) + from_)


@operation
def random_(input: Tensor, from_: int | None = None, to: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fill with integers from `from_` to `to - 1`; `random_(to)` starts at 0; without bounds, from all integers that the
    dtype holds exactly.

    >>> import tinygrad_lite as tg
    >>> (tg.zeros(100).random_(2, 5) < 5).all()
    tensor(True)
    """
    low, high = (0, from_) if to is None else (from_, to)
    if high is None:
        kind = input.array.dtype
        high = 2 if kind.kind == "b" else int(2 / epsilon(kind)) + 1 if kind.kind == "f" else limits(kind)[1]
    drawn_from = source(generator, device_of(input.array))
    return _draw("random_", input, _integers(low or 0, high, input.array.shape, drawn_from, input.array.dtype))


@on_gpu_of()
def bernoulli_(input: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 with probability `p` (a number or a tensor), otherwise 0.

    >>> import tinygrad_lite as tg
    >>> tg.zeros(3).bernoulli_(1.0)
    tensor([1., 1., 1.])
    """
    return _draw("bernoulli_", input, _coins(_probability("bernoulli_", raw(p)), input.array, generator))


@on_gpu_of()
def exponential_(input: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponential numbers, of density lambd exp(-lambd x).

    >>> import tinygrad_lite as tg
    >>> (tg.zeros(100).exponential_() > 0).all()
    tensor(True)
    """
    if lambd <= 0:
        raise Refusal(function="exponential_", argument="lambd", expected="a positive lambd", got=lambd)
    values = source(generator, device_of(input.array)).exponential(input.array.shape, _real("exponential_", input))
    return _draw("exponential_", input, values / lambd)


@on_gpu_of()
def log_normal_(input: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers whose logarithms are normal.

    >>> import tinygrad_lite as tg
    >>> (tg.zeros(100).log_normal_() > 0).all()
    tensor(True)
    """
    if std <= 0:
        raise Refusal(function="log_normal_", expected="a positive standard deviation", got=std)
    values = source(generator, device_of(input.array)).normal(input.array.shape, _real("log_normal_", input)) * std + mean
    return _draw("log_normal_", input, namespace_of(values).exp(values))


@on_gpu_of()
def cauchy_(input: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with Cauchy numbers, of density sigma / (pi (sigma^2 + (x - median)^2)).

    >>> import tinygrad_lite as tg
    >>> tg.zeros(2, 3).cauchy_().shape
    (2, 3)
    """
    if sigma <= 0:
        raise Refusal(function="cauchy_", argument="sigma", expected="a positive sigma", got=sigma)
    values = source(generator, device_of(input.array)).uniform(input.array.shape, _real("cauchy_", input)) - 0.5
    return _draw("cauchy_", input, namespace_of(values).tan(math.pi * values) * sigma + median)


@on_gpu_of()
def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the number of trials of success probability `p` up to the first success: 1, 2, ...

    >>> import tinygrad_lite as tg
    >>> (tg.zeros(100).geometric_(0.5) >= 1).all()
    tensor(True)
    """
    if not 0 < p < 1:
        raise Refusal(function="geometric_", expected="a probability between 0 and 1", got=p)
    values = source(generator, device_of(input.array)).exponential(input.array.shape, float64) / -math.log1p(-p)
    return _draw("geometric_", input, namespace_of(values).ceil(values))
