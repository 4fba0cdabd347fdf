"""Mean and variance, quantiles, covariance, counts."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import device_of, float32, float64, int64, is_array, namespace_of, order
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.histograms import bincount_of, histogram_of
from tinygrad_lite.arrays.kernels.reductions import variance
from tinygrad_lite.arrays.shapes import count, with_ones
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import canonical_dim, operation, raw
from tinygrad_lite.ops.calculus import matmul, sqrt
from tinygrad_lite.ops.creation.factories import linspace
from tinygrad_lite.ops.math.clamping import clamp
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.diagonals import diagonal
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.movement.transposing import movedim, transpose
from tinygrad_lite.ops.nondifferentiable import nondifferentiable
from tinygrad_lite.ops.reduction.extremes import amax, amin
from tinygrad_lite.ops.reduction.sums import Dims, _mean, axes_of, require_float, sum
from tinygrad_lite.ops.reduction.values_indices import values_at
from tinygrad_lite.ops.typing import Tensor

__all__ = ["bincount", "corrcoef", "cov", "histc", "nanquantile", "quantile", "std", "std_mean", "var", "var_mean"]


# -- variance -----------------------------------------------------------------------------------


@primitive
def _var(input, axes, correction, keepdim):
    return variance(input, axes, max(count(input.shape, axes) - correction, 0), keepdim)


def _var_rule(g: Any, input: Any, axes: Any, correction: float) -> Any:
    centred = input - _mean(input, axes, True)
    freedom = count(input.shape, axes) - correction
    g = reshape(g, with_ones(input.shape, axes))
    if axes is None and freedom <= 0:  # PyTorch's conventions, also for a negative `freedom`
        return g * where(centred == 0, math.nan, math.inf)
    return g * (2 / freedom if freedom else math.inf) * centred


# A primitive, because a composition takes five tape entries and three more arrays of x's size.
_var.vjp(input=_var_rule)


@primitive
def root(input):
    """The square root, with gradient 0 at 0, as std and norms in PyTorch."""
    return namespace_of(input).sqrt(input)


root.vjp(input=lambda g, out: g * (out != 0) / (2 * (out + (out == 0))))


def _spread(x: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> tuple[Any, float, bool]:
    """The checks, axes and correction that var, std, var_mean and std_mean share."""
    if isinstance(dim, bool):  # var(x, False), var(x, unbiased=False): the older form
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise BadType("give unbiased or correction, not both")
    require_float(x)
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return axes_of(dim, x.ndim), correction, keepdim


@operation
def var(input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None) -> Tensor:
    """The variance over `dim` (an int, several, or None for all): the sum of squared distances from the mean, divided by
    `n - correction` (default 1; `unbiased=False` means 0).

    >>> import tinygrad_lite as tg
    >>> tg.var(tg.tensor([1.0, 2.0, 3.0, 4.0]), correction=0)
    tensor(1.2500)
    """
    return _var(input, *_spread(input, dim, unbiased, keepdim, correction))


@operation
def std(input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None) -> Tensor:
    """The square root of `var`. Where it is 0, the gradient is 0.

    >>> import tinygrad_lite as tg
    >>> tg.std(tg.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    return root(_var(input, *_spread(input, dim, unbiased, keepdim, correction)))


@operation
def var_mean(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over the same dims.

    >>> import tinygrad_lite as tg
    >>> tg.var_mean(tg.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    axes, correction, keepdim = _spread(input, dim, unbiased, keepdim, correction)
    return _var(input, axes, correction, keepdim), _mean(input, axes, keepdim)


@operation
def std_mean(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over the same dims.

    >>> import tinygrad_lite as tg
    >>> tg.std_mean(tg.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    axes, correction, keepdim = _spread(input, dim, unbiased, keepdim, correction)
    return root(_var(input, axes, correction, keepdim)), _mean(input, axes, keepdim)


# -- quantiles ----------------------------------------------------------------------------------


@operation
def quantile(input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """The `q`-quantiles of all elements (dim=None) or along `dim`.

    `q`: a number from 0 to 1, or a 1-d tensor of them, which becomes the first dim of the result. `interpolation`: "linear"
    between the two neighbours, or "lower", "higher", "nearest", "midpoint". nan if any element is nan.

    >>> import tinygrad_lite as tg
    >>> tg.quantile(tg.tensor([1.0, 2.0, 3.0, 5.0]), 0.5)
    tensor(2.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@operation
def nanquantile(
    input: Tensor, q: float | Tensor, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """Like `quantile`, ignoring nan.

    >>> import tinygrad_lite as tg
    >>> tg.nanquantile(tg.tensor([1.0, float("nan"), 3.0]), 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(name: str, x: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str) -> Any:
    if x.dtype not in (float32, float64):
        raise BadType(function=name, expected="a float32 or float64 tensor", got=x.dtype)
    if not math.prod(x.shape):
        raise BadValue(f"the tensor of shape {tuple(x.shape)} has no elements")
    if interpolation not in _INTERPOLATIONS:
        raise BadValue(argument="interpolation", expected=f"interpolation {', '.join(map(repr, _INTERPOLATIONS))}", got=repr(interpolation))
    xp = namespace_of(raw(x))
    if isinstance(q, Traced) or is_array(q):
        if q.dtype != x.dtype or q.ndim > 1:
            raise BadValue(argument="q", expected=f"q of {x.dtype} and at most 1 dim", got=f"{q.dtype} of shape {tuple(q.shape)}")
    elif isinstance(q, (int, float)):
        q = xp.asarray(q, dtype=x.dtype)
    else:
        raise BadType(argument="q", expected="a number or a Tensor as q", got=type(q).__name__)
    inside = (raw(q) >= 0) & (raw(q) <= 1)
    if not left_to_program(~inside, BadValue, "expected q from 0 to 1") and not inside.all():
        raise BadValue(argument="q", expected="q from 0 to 1", got=raw(q))
    # The n elements go along the first axis, where the quantiles will be.
    axis = None if dim is None else canonical_dim(dim, x.ndim)
    shape = with_ones(x.shape, axis if x.ndim else ()) if keepdim else () if axis is None else (*x.shape[:axis], *x.shape[axis + 1 :])
    x = reshape(x, (-1,)) if axis is None or not x.ndim else movedim(x, axis, 0)
    array = raw(x)
    n, numbers = len(array), (array == array).sum(axis=0)
    last = xp.maximum(numbers - 1, 0) if name == "nanquantile" else xp.full_like(numbers, n - 1)
    ranks = reshape(q, (-1,) + (1,) * (x.ndim - 1)) * last.astype(x.dtype)
    exact = raw(ranks)
    if name == "quantile":
        exact = xp.where(numbers < n, x.dtype.type(n - 1), exact)  # the last element is nan
    places = order(array, 0)

    def at(rank: Any) -> Any:
        return values_at(x, xp.take_along_axis(places, rank.astype(int64), 0), 0)

    if interpolation in ("lower", "higher", "nearest"):
        result = at({"lower": xp.floor, "higher": xp.ceil, "nearest": xp.rint}[interpolation](exact))
    else:
        below = xp.floor(exact)
        low, high = at(below), at(xp.ceil(exact))
        result = low + (high - low) * (ranks - below if interpolation == "linear" else 0.5)
    return reshape(result, (*q.shape, *shape))


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


# -- covariance ---------------------------------------------------------------------------------


@operation
def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariance matrix of variables (rows) over observations (columns); for one variable (1-d), its variance.

    `correction`: as in `var`. `fweights`: integer counts of each observation. `aweights`: the weight of each observation.

    >>> import tinygrad_lite as tg
    >>> tg.cov(tg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise BadValue(expected="at most 2 dims", got=f"the shape {tuple(input.shape)}")
    if input.dtype.kind == "b":
        raise BadType(expected="numbers", got="a bool tensor")
    input = reshape(input, (1, -1)) if input.ndim < 2 else input
    single, n = input.shape[0] == 1, input.shape[1]
    weights = None
    for which, w, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        if w is None:
            continue
        if w.ndim > 1 or math.prod(w.shape) != n or w.dtype.kind not in kinds:
            what = "integers" if kinds == "iu" else "floating-point numbers"
            raise BadValue(expected=f"{n} {what} as {which}", got=f"{w.dtype} of shape {tuple(w.shape)}")
        negative = raw(w) < 0
        if not left_to_program(negative, BadValue, f"{which} must not be negative") and negative.any():
            raise BadValue(f"{which} must not be negative")
        weights = w if weights is None else weights * w
    if weights is None:
        freedom: Any = max(n - correction, 0)
        centred = input - sum(input, 1, True) / n if n else input * 1.0
        return _squared(centred, centred, freedom, single)
    total = sum(weights)
    if not left_to_program(raw(total) == 0, BadValue, "the weights sum to zero") and total == 0:
        raise BadValue("the weights sum to zero")
    centred = input - sum(input * weights, 1, True) / total
    freedom = total - (correction if aweights is None else correction * sum(weights * aweights) / total)
    return _squared(centred, centred * weights, clamp(freedom, 0), single)


def _squared(x: Any, y: Any, freedom: Any, single: bool) -> Any:
    out = matmul(x, transpose(y, 0, 1)) / freedom
    return reshape(out, ()) if single else out


@operation
def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of variables (rows) over observations (columns).

    >>> import tinygrad_lite as tg
    >>> tg.corrcoef(tg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(input)
    if not c.ndim:
        return c / c
    spread = sqrt(diagonal(c))
    return clamp(c / reshape(spread, (-1, 1)) / spread, -1, 1)


# -- counts -------------------------------------------------------------------------------------


@primitive
def _bincount(input, weights, minlength):
    return bincount_of(input, weights, minlength)


_bincount.vjp(weights=lambda g, input: g[input])


@operation
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """The count of each of 0, 1, 2, ... in the 1-d integer tensor `input` (or the sum of its `weights`).

    >>> import tinygrad_lite as tg
    >>> tg.bincount(tg.tensor([0, 1, 1, 3]))
    tensor([1, 2, 0, 1])
    """
    if input.dtype.kind not in "iu":
        raise BadType(expected="integers", got=input.dtype)
    if input.ndim != 1:
        raise BadValue(expected="a 1-D tensor", got=f"the shape {tuple(input.shape)}")
    if minlength < 0:
        raise BadValue(argument="minlength", expected="a minlength of 0 or more", got=minlength)
    if weights is not None and tuple(weights.shape) != tuple(input.shape):
        raise BadValue(argument="weights", expected=f"weights of shape {tuple(input.shape)}", got=tuple(weights.shape))
    return _bincount(input, weights, minlength)


@nondifferentiable
def _histc(input, edges):
    return histogram_of(input, edges)


@operation
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """The number of elements in each of `bins` equal bins from `min` to `max` (if these are equal, from the smallest to the
    largest element). Elements outside are not counted.

    >>> import tinygrad_lite as tg
    >>> tg.histc(tg.tensor([1.0, 2.0, 2.5]), bins=2, min=0, max=3)
    tensor([1., 2.])
    """
    require_float(input)
    if bins < 1:
        raise BadValue(expected="one bin or more", got=bins)
    if min > max:
        raise BadValue(f"min {min} is larger than max {max}")
    if min == max and 0 not in input.shape:
        min, max = float(amin(input)), float(amax(input))
    if not math.isfinite(min) or not math.isfinite(max):
        raise BadValue(f"the range from {min} to {max} is not finite")
    if min == max:
        min, max = min - 1, max + 1
    return _histc(input, linspace(min, max, bins + 1, dtype=input.dtype, device=device_of(raw(input))))
