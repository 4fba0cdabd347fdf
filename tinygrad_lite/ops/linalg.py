"""Products of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygrad_lite.arrays import promote
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.shape import reshape, transpose

if TYPE_CHECKING:
    pass

__all__ = ["matmul"]

METHODS = __all__
IN_PLACE: list[str] = []



@primitive
def linear(x, weight, bias=None):
    """`x @ weight.T + bias`: x (..., in), weight (out, in), bias (out,) or None -> (..., out)."""
    out = x @ weight.T
    if bias is not None:
        out += bias
    return out


linear.vjp(x=lambda g, weight: matmul(g, weight),
           weight=lambda g, x: matmul(transpose(_rows(g), 0, 1), _rows(x)),
           bias=lambda g: g)


def _rows(x):
    return x if len(x.shape) == 2 else reshape(x, (-1, x.shape[-1]))


@primitive
def matmul(x, y):
    x, y = promote(x, y)
    return x @ y


matmul.vjp(x=lambda g, y: matmul(g, transpose(y, -1, -2)),
           y=lambda g, x: matmul(transpose(x, -1, -2), g))
