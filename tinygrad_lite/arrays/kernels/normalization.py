"""Normalization of rows and of channels, for every dtype and layout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.standardize import (
    channel_moments,
    channels_gradient,
    rows_gradient,
    standardize_channels,
    standardize_rows,
)


@kernel
def normalize(x: Any, weight: Any, bias: Any, lead: Any, groups: Any, eps: Any, center: Any) -> Any:
    """The result, and what the gradient needs: the normalized rows and the reciprocals of their standard deviations."""
    shape = math.prod(x.shape[:lead]), math.prod(x.shape[lead:])
    if not x.size:
        return x.copy(), x.reshape(shape), x.reshape(shape)
    weight, bias = (None if vector is None else wide(vector).reshape(-1) for vector in (weight, bias))
    out, normal, rate = standardize_rows(wide(x).reshape(shape), groups, weight, bias, eps, center)
    return out.reshape(x.shape).astype(x.dtype, copy=False), normal, rate


@kernel
def normalize_gradient(needs: Any, g: Any, normal: Any, rate: Any, weight: Any, bias: Any, center: Any) -> Any:
    """The gradients of x, weight and bias."""
    w, b = (None if vector is None else wide(vector).reshape(-1) for vector in (weight, bias))
    if g.size:
        found = rows_gradient(wide(g).reshape(normal.shape), normal, rate, w, b, center, needs)
    else:
        found = [g, *(None if vector is None else vector * 0 for vector in (w, b))]
    shapes = g.shape, getattr(weight, "shape", None), getattr(bias, "shape", None)
    return [None if a is None else a.reshape(shape) for a, shape in zip(found, shapes)] + [None] * 4


@kernel
def batch_norm_of(x: Any, weight: Any, bias: Any, eps: Any, moments: Any, running: Any) -> Any:
    """The result, and for each channel the mean and the reciprocal of the standard deviation."""
    (matrix,), back = _as_matrices(wide(x))
    mean, var = channel_moments(matrix, x.shape[1]) if moments is None else moments
    rate = 1 / namespace_of(x).sqrt(var + var.dtype.type(eps))
    out = back(standardize_channels(matrix, mean, rate, weight, bias, running))
    return out.astype(x.dtype, copy=False), mean, rate


@kernel
def batch_norm_gradient(needs: Any, g: Any, x: Any, weight: Any, mean: Any, rate: Any, running: Any) -> Any:
    """The gradients of x, weight and bias."""
    (matrix, g), back = _as_matrices(wide(x), wide(g))
    of_x, of_weight, of_bias = channels_gradient(g, matrix, mean, rate, weight, needs, running)
    return None if of_x is None else back(of_x), of_weight, of_bias, None, None, None


def wide(x: Any) -> Any:
    """`x` in float32 if it is float16, in which a variance soon overflows."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _as_matrices(x: Any, *others: Any) -> tuple[list[Any], Any]:
    """`x` and `others` of its shape (N, C, ...) as (N, C S) or, if x is in channels-last order, as (N S, C), the others
    C-contiguous; and a function that converts back."""
    xp, shape = namespace_of(x), x.shape
    if x.ndim > 3 and not x.flags.c_contiguous and (last := xp.moveaxis(x, 1, -1)).flags.c_contiguous:
        matrices = [xp.ascontiguousarray(xp.moveaxis(a, 1, -1)).reshape(-1, shape[1]) for a in (x, *others)]
        return matrices, lambda y: xp.moveaxis(y.reshape(last.shape), -1, 1)
    size = shape[0], math.prod(shape[1:])
    return [x.reshape(size), *[xp.ascontiguousarray(a).reshape(size) for a in others]], lambda y: y.reshape(shape)


def batch_moments(x: Any) -> tuple[Any, int]:
    """The mean and variance of each channel of x (N, C, ...), and the number of elements per channel."""
    (matrix,), _ = _as_matrices(wide(x))
    return channel_moments(matrix, x.shape[1]), matrix.size // x.shape[1]
