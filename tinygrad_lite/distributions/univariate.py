"""Univariate distributions: Normal, Uniform, Bernoulli, Categorical."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite import ops
from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.distributions.distribution import Distribution, together
from tinygrad_lite.nn.functional import binary_cross_entropy_with_logits
from tinygrad_lite.ops.arguments import raw

__all__ = ["Bernoulli", "Categorical", "Normal", "Uniform"]


class Normal(Distribution):
    """The normal distribution with mean `loc` and standard deviation `scale`.

    >>> import tinygrad_lite as tg
    >>> Normal(0.0, 2.0).log_prob(tg.tensor([0.0, 2.0]))
    tensor([-1.6121, -2.1121])
    """

    has_rsample = True
    parameters = ("loc", "scale")

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = together(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)
        self._require(self.loc == self.loc, "loc", loc, "a number")
        self._require(self.scale > 0, "scale", scale, "greater than 0")

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)
    stddev = property(lambda self: self.scale)
    variance = property(lambda self: self.scale**2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = ops.randn(self._shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + noise * self.scale

    def log_prob(self, value: Any) -> Tensor:
        distance = (self._known(value, lambda v: v == v, "a number") - self.loc) / self.scale
        return -0.5 * distance**2 - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def cdf(self, value: Any) -> Tensor:
        """The probability of a value less than or equal to `value`."""
        value = self._known(value, lambda v: v == v, "a number")
        return 0.5 * (1 + ops.erf((value - self.loc) / (self.scale * math.sqrt(2))))

    def icdf(self, value: Any) -> Tensor:
        """The inverse of `cdf`: the `value`-quantile."""
        return self.loc + self.scale * math.sqrt(2) * ops.erfinv(2 * ops.as_tensor(value) - 1)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class Uniform(Distribution):
    """The uniform distribution on [low, high).

    >>> u = Uniform(0.0, 4.0)
    >>> u.mean, u.log_prob(1.0).exp()
    (tensor(2.), tensor(0.2500))
    """

    has_rsample = True
    parameters = ("low", "high")

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None):
        self.low, self.high = together(low, high)
        super().__init__(self.low.shape, (), validate_args)
        self._require(self.low < self.high, "low", low, "less than high" if is_symbol(raw(high)) else f"less than high, {high}")

    mean = property(lambda self: (self.low + self.high) / 2)
    variance = property(lambda self: (self.high - self.low) ** 2 / 12)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.low + ops.rand(self._shape(sample_shape), dtype=self.low.dtype, device=self.low.device) * (self.high - self.low)

    def log_prob(self, value: Any) -> Tensor:
        value = self._inside(value)
        inside = (value >= self.low) & (value < self.high)
        return inside.to(self.low.dtype).log() - (self.high - self.low).log()

    def cdf(self, value: Any) -> Tensor:
        """The probability of a value less than or equal to `value`."""
        return ((self._inside(value) - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Any) -> Tensor:
        """The inverse of `cdf`: the `value`-quantile."""
        return ops.as_tensor(value) * (self.high - self.low) + self.low

    def _inside(self, value: Any) -> Tensor:
        return self._known(value, lambda v: (v >= self.low) & (v <= self.high), "between low and high")

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()


class _ByProbsOrLogits(Distribution):
    """A distribution that takes either of two parameters and computes the other when needed."""

    parameters = ("probs", "logits")
    probs: Tensor
    logits: Tensor

    def _one_of(self, probs: Any, logits: Any) -> Any:
        if (probs is None) == (logits is None):
            raise ValueError(f"{type(self).__name__}: expected either probs or logits, but not both")
        return probs if logits is None else logits

    def __getattr__(self, name: str) -> Any:
        if name not in self.parameters or not any(known in vars(self) for known in self.parameters):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        vars(self)[name] = value = self._probs_of() if name == "probs" else self._logits_of()
        return value

    def _probs_of(self) -> Tensor:
        raise NotImplementedError

    def _logits_of(self) -> Tensor:
        raise NotImplementedError

    def _inner_probs(self) -> Tensor:
        """The probabilities, clamped so that their logarithms stay finite."""
        least = float(np.finfo(self.probs.dtype).eps)
        return self.probs.clamp(least, 1 - least)


class Bernoulli(_ByProbsOrLogits):
    """1 with probability `probs` (or log-odds `logits`), else 0.

    >>> import tinygrad_lite as tg
    >>> b = Bernoulli(0.25)
    >>> b.variance, b.log_prob(tg.tensor([0.0, 1.0])).exp()
    (tensor(0.1875), tensor([0.7500, 0.2500]))
    """

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        (given,) = together(self._one_of(probs, logits))
        setattr(self, "probs" if logits is None else "logits", given)
        super().__init__(given.shape, (), validate_args)
        if logits is None:
            self._require((given >= 0) & (given <= 1), "probs", probs, "between 0 and 1")
        else:
            self._require(given == given, "logits", logits, "a number")

    mean = property(lambda self: self.probs)
    variance = property(lambda self: self.probs * (1 - self.probs))

    def _probs_of(self) -> Tensor:
        return self.logits.sigmoid()

    def _logits_of(self) -> Tensor:
        p = self._inner_probs()
        return p.log() - (-p).log1p()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return ops.bernoulli(self.probs.detach().expand(self._shape(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        value = self._known(value, lambda v: (v == 0) | (v == 1), "0 or 1")
        return _minus_cross_entropy(self.logits, value)

    def entropy(self) -> Tensor:
        return -_minus_cross_entropy(self.logits, self.probs)


def _minus_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    logits, target = ops.broadcast_tensors(logits, target.to(logits.dtype))
    return -binary_cross_entropy_with_logits(logits, target, reduction="none")


class Categorical(_ByProbsOrLogits):
    """Class numbers 0 to K - 1, with probabilities proportional to `probs` (*batch_shape, K), or with `logits`, the
    inputs of a softmax.

    >>> import tinygrad_lite as tg
    >>> Categorical(tg.tensor([1.0, 3.0])).log_prob(tg.tensor([0, 1])).exp()
    tensor([0.2500, 0.7500])
    """

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        given = self._one_of(probs, logits)
        if given.ndim < 1:
            raise ValueError("Categorical: expected probs or logits of at least one dimension")
        super().__init__(given.shape[:-1], (), validate_args)
        if logits is None:
            total = given.sum(-1)
            self._require((given >= 0).all(-1) & (total > 0) & (total < math.inf), "probs", probs, "of at least 0, finite, not all 0")
            self.probs = given / given.sum(-1, keepdim=True)
        else:
            self._require(given.logsumexp(-1).isfinite(), "logits", logits, "below infinity, not all -infinity")
            self.logits = given - given.logsumexp(-1, keepdim=True)

    mode = property(lambda self: (self.probs if "probs" in vars(self) else self.logits).argmax(dim=-1))

    def _probs_of(self) -> Tensor:
        return self.logits.softmax(-1)

    def _logits_of(self) -> Tensor:
        return self._inner_probs().log()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        rows = self.probs.detach().reshape(-1, self.probs.shape[-1])
        drawn = ops.multinomial(rows, math.prod(sample_shape), replacement=True)
        return drawn.T.reshape(self._shape(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        count = self.probs.shape[-1]
        value = self._known(value, lambda v: (v >= 0) & (v < count) & (v % 1 == 0), f"a class number from 0 to {count - 1}")
        place, logits = ops.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, place[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=float(np.finfo(self.logits.dtype).min))
        return -(logits * self.probs).sum(-1)
