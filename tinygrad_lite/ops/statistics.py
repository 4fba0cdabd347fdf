"""Mean and spread, quantiles, counts, correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.reduction import Dims, _mean, axes_of, count, kept, require_float
from tinygrad_lite.ops.shape import reshape

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = ["std", "std_mean", "var", "var_mean"]

METHODS = ["std", "var"]
IN_PLACE: list[str] = []


# -- variance -----------------------------------------------------------------------------------


@primitive
def _var(x, axes, correction, keepdim):
    wide = x if x.itemsize > 2 else x.astype(np.float32)
    out = wide - wide.sum(axis=axes, keepdims=True) / count(x.shape, axes)
    out *= out
    return (out.sum(axis=axes, keepdims=keepdim) / _freedom(x.shape, axes, correction)).astype(x.dtype, copy=False)


def _freedom(shape: tuple[int, ...], axes: Any, correction: float) -> float:
    return max(count(shape, axes) - correction, 0)


def _var_rule(g: Any, x: Any, axes: Any, correction: float) -> Any:
    centred = x - _mean(x, axes, True)
    freedom = _freedom(x.shape, axes, correction)
    slope = centred * (2 / freedom) if freedom else centred * centred / 0.0  # inf, as in PyTorch; nan where 0
    return reshape(g, kept(x.shape, axes)) * slope


# A primitive: as a composition it took five entries and three more arrays of x's size.
_var.vjp(x=_var_rule)


@primitive
def root(x):
    """The square root, with gradient 0 at 0: so have std and norms in PyTorch."""
    return namespace_of(x).sqrt(x)


root.vjp(x=lambda g, out: g * (out != 0) / (2 * (out + (out == 0))))


def _spread(name: str, x: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> tuple[Any, float, bool]:
    """What var and its three relatives have in common: their checks, axes and correction."""
    if isinstance(dim, bool):  # var(x, False), var(x, unbiased=False): an older form of the call
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}: give unbiased or correction, not both")
    require_float(name, x)
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return axes_of(name, dim, x.ndim), correction, keepdim


@operation
def var(
    x: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """The variance over `dim` (an int, several, or None for all): squared distances from the mean,
    summed and divided by `n - correction` (1 where not given; `unbiased=False` means 0).

    >>> import tinygrad_lite as tg
    >>> tg.var(tg.tensor([1.0, 2.0, 3.0, 4.0]), correction=0)
    tensor(1.2500)
    """
    return _var(x, *_spread("var", x, dim, unbiased, keepdim, correction))


@operation
def std(
    x: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """The square root of `var`. Where it is 0, so is its gradient."""
    return root(_var(x, *_spread("std", x, dim, unbiased, keepdim, correction)))


@operation
def var_mean(
    x: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over the same dims."""
    axes, correction, keepdim = _spread("var_mean", x, dim, unbiased, keepdim, correction)
    return _var(x, axes, correction, keepdim), _mean(x, axes, keepdim)


@operation
def std_mean(
    x: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over the same dims."""
    axes, correction, keepdim = _spread("std_mean", x, dim, unbiased, keepdim, correction)
    return root(_var(x, axes, correction, keepdim)), _mean(x, axes, keepdim)
