"""Standardization to mean 0 and variance 1 along rows or per channel, and its gradient.

Each block of rows goes through all steps while it is in the cache. Layer normalization of 1024 x 128 with its gradient
takes 1.1 ms, on whole arrays 2.3 ms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays.blocked import by_blocks
from tinygrad_lite.arrays.devices import Array, namespace_of
from tinygrad_lite.arrays.kernels import channel_loops
from tinygrad_lite.arrays.kernels.channel_loops import by_channel
from tinygrad_lite.arrays.kernels.rows import row_products, row_sums
from tinygrad_lite.arrays.row_loops import run


def _matrix_like(x: Array) -> Array:
    """Uninitialized C-contiguous memory for a result like `x`: results are written through reshapes, which must be views."""
    return namespace_of(x).empty(x.shape, x.dtype)


# -- along rows ---------------------------------------------------------------------------------
#
# x (N, K) is N samples, each of `groups` pieces of equal length, which are standardized separately.
# weight and bias have P elements, each for K / P neighbours.


def standardize_rows(x: Array, groups: int, weight: Any, bias: Any, eps: float, center: bool) -> tuple[Array, Array, Array]:
    """The result; the standardized values before weight and bias; the reciprocals of the divisors (N, groups).

    Without `center`, nothing is subtracted, and the divisor is the root mean square.
    """
    xp = namespace_of(x)
    length = x.shape[1] // groups
    normal, out, rate = _matrix_like(x), _matrix_like(x), xp.empty((len(x), groups), x.dtype)
    vectors = [vector for vector in (weight, bias) if vector is not None]
    if groups == 1 and all(len(vector) == length for vector in vectors):
        flags = weight is not None, bias is not None, center
        if run(channel_loops.standardize, [x, normal, out], [rate.reshape(-1)], vectors, numbers=(1 / length, eps), flags=flags):
            return out, normal, rate

    def kernel(x, normal, rate, out):
        flat = normal.reshape(-1, length)
        x = x.reshape(-1, length)
        if not run(channel_loops.normalize, [x, flat], [rate.reshape(-1)], (), (), (1 / length, eps), (center,), threads=False):
            if center:
                mean = row_sums(x)
                mean /= length
                xp.subtract(x, mean[:, None], out=flat)
                x = flat
            scale = row_products(x, x)
            scale /= length
            scale += eps
            xp.sqrt(scale, out=scale)
            xp.reciprocal(scale, out=scale)
            rate[...] = scale.reshape(rate.shape)
            xp.multiply(x, scale[:, None], out=flat)
        flags = False, bias is not None
        if weight is not None and by_channel(channel_loops.standardized, [normal, out], vectors, flags=flags) is not None:
            return
        if weight is not None:
            xp.multiply(_spread(normal, weight), _column(normal, weight), out=_spread(out, weight))
            normal = out
        if bias is not None:
            xp.add(_spread(normal, bias), _column(normal, bias), out=_spread(out, bias))
        elif weight is None:
            out[...] = normal  # two arrays, because the result may be changed in place

    by_blocks(kernel, x, normal, rate, out)
    return out, normal, rate


def rows_gradient(g: Array, normal: Array, rate: Array, weight: Any, bias: Any, center: bool, needs: tuple[bool, ...]) -> list[Any]:
    """The gradients of x, weight and bias."""
    xp = namespace_of(normal)
    length = normal.shape[1] // rate.shape[1]
    of_x = _matrix_like(normal) if needs[0] else normal
    vectors = [vector for vector in (weight, bias) if vector is not None]
    if needs[0] and rate.shape[1] == 1 and all(len(vector) == length for vector in vectors):
        totals = [xp.zeros(length, normal.dtype) if needed else None for needed in needs[1:3]]
        flags = weight is not None, needs[1], needs[2], center
        read, added = [weight] if weight is not None else [], [total for total in totals if total is not None]
        if run(channel_loops.standardize_gradient, [g, normal, of_x], [rate.reshape(-1)], read, added, (1 / length,), flags):
            return [of_x, *totals]

    def kernel(g, normal, rate, of_x):
        both = by_channel(channel_loops.sums_of_products, [g, normal], [weight], 2) if needs[1] and needs[2] else None
        of_weight, of_bias = both or (_products(g, normal, weight) if needs[1] else None, _sums(g, bias) if needs[2] else None)
        if needs[0]:
            if weight is not None:
                if by_channel(channel_loops.scaled, [g, of_x], [weight]) is None:
                    xp.multiply(_spread(g, weight), _column(g, weight), out=_spread(of_x, weight))
                g = of_x
            g, flat, of_x = (a.reshape(-1, length) for a in (g, normal, of_x))
            matrices = [flat, of_x] if weight is not None else [flat, of_x, g]  # g is of_x by now, or an array of its own
            if run(channel_loops.normalize_gradient, matrices, [rate.reshape(-1)], (), (), (1 / length,), (center,), threads=False):
                return of_weight, of_bias
            along = row_products(g, flat)
            along /= length
            if center:
                mean = row_sums(g)
                mean /= length
                g = xp.subtract(g, mean[:, None], out=of_x)
            xp.subtract(g, flat * along[:, None], out=of_x)
            of_x *= rate.reshape(-1, 1)
        return of_weight, of_bias

    parts = by_blocks(kernel, g, normal, rate, of_x)
    return [of_x if needs[0] else None, *(sum(p) if p[0] is not None else None for p in zip(*parts))]


# NumPy multiplies runs by one number each more slowly than rows by a row: 32 x 32 runs of 784 floats take 240 us
# and more, with the 32 numbers repeated to a row 160 us. Runs of this length or longer are not worth repeating.
_LONG = 4096


def _by_runs(x: Array, weight: Array) -> bool:
    """Whether to combine x (N, K) with its P weights in runs of K / P neighbours, instead of row by row."""
    run = x.shape[1] // len(weight)
    return run >= _LONG or (run > 1 and type(x) is not np.ndarray)


def _spread(x: Array, weight: Array) -> Array:
    """x (N, K) in the shape to combine with its weights: (N, P, K / P), or unchanged."""
    return x.reshape(len(x), len(weight), -1) if _by_runs(x, weight) else x


def _column(x: Array, weight: Array) -> Array:
    """The weights to combine with x: as a column, or repeated to a row."""
    return weight[:, None] if _by_runs(x, weight) else weight.repeat(x.shape[1] // len(weight))


def _sums(x: Array, weight: Array) -> Array:
    """The sum of the elements of x that belong to each element of the weight."""
    if x.shape[1] == len(weight):
        return x.sum(axis=0)
    return row_sums(x.reshape(len(x) * len(weight), -1)).reshape(len(x), -1).sum(axis=0)


def _products(x: Array, y: Array, weight: Array) -> Array:
    """The sum of the products that belong to each element of the weight."""
    if x.shape[1] == len(weight):
        return namespace_of(x).einsum("ij,ij->j", x, y)
    shape = len(x) * len(weight), -1
    return row_products(x.reshape(shape), y.reshape(shape)).reshape(len(x), -1).sum(axis=0)


# -- channel by channel -------------------------------------------------------------------------
#
# x (N, C * S): S elements for each of C channels in a sample.


def channel_moments(x: Array, channels: int) -> tuple[Array, Array]:
    """The mean and variance of each channel."""
    xp = namespace_of(x)
    like = xp.empty(channels, x.dtype)
    count = max(x.size // max(channels, 1), 1)
    mean = sum(by_blocks(lambda x: _sums(x, like), x)) / count

    def squares(x):
        if (found := by_channel(channel_loops.squares, [x], [mean], 1)) is not None:
            return found[0]
        away = _spread(x, like) - _column(x, mean)
        return _products(away.reshape(x.shape), away.reshape(x.shape), like)

    return mean, sum(by_blocks(squares, x)) / count


def standardize_channels(x: Array, mean: Array, rate: Array, weight: Any, bias: Any, fixed: bool) -> Array:
    """`(x - mean) * rate * weight + bias`; as one product and one sum if mean and rate are `fixed`. (For x's own mean the
    difference comes first, because it may be small.)"""
    xp = namespace_of(x)
    out = _matrix_like(x)
    scale = rate if weight is None else rate * weight
    if fixed:
        bias = -mean * scale if bias is None else bias - mean * scale

    vectors = [*([] if fixed else [mean]), scale, *([] if bias is None else [bias])]

    def kernel(x, out):
        if by_channel(channel_loops.standardized, [x, out], vectors, flags=(not fixed, bias is not None)) is not None:
            return
        spread, x = _spread(out, mean), _spread(x, mean)
        if not fixed:
            x = xp.subtract(x, _column(out, mean), out=spread)
        xp.multiply(x, _column(out, scale), out=spread)
        if bias is not None:
            spread += _column(out, bias)

    by_blocks(kernel, x, out)
    return out


def channels_gradient(g: Array, x: Array, mean: Array, rate: Array, weight: Any, needs: tuple[bool, ...], fixed: bool) -> list[Any]:
    """The gradients of x, weight and bias; `mean` and `rate` were computed from x, unless they are `fixed`."""
    xp = namespace_of(x)
    count = max(x.size // max(len(mean), 1), 1)
    away = _matrix_like(x)
    scale = rate if weight is None else rate * weight

    def scaled(g, out):
        if by_channel(channel_loops.scaled, [g, out], [scale]) is None:
            xp.multiply(_spread(g, mean), _column(g, scale), out=_spread(out, mean))

    if fixed and not any(needs[1:]):
        by_blocks(scaled, g, away)
        return [away, None, None]

    def sums(g, x, away):
        if (found := by_channel(channel_loops.sums_of_gradient, [g, x], [mean], 2)) is not None:
            return found
        xp.subtract(_spread(x, mean), _column(x, mean), out=_spread(away, mean))
        return _sums(g, mean), _products(g, away, mean)

    of_bias, along = (sum(parts) for parts in zip(*by_blocks(sums, g, x, away)))
    along = along * rate
    slope, level = along * rate * (-1 / count), of_bias * (-1 / count)

    def kernel(g, x, away):  # (g - mean g - normal * mean(g normal)) * scale
        if by_channel(channel_loops.gradient, [g, x, away], [mean, slope, level, scale]) is not None:
            return
        spread = _spread(away, mean)
        spread *= _column(g, slope)
        spread += _spread(g, mean)
        spread += _column(g, level)
        spread *= _column(g, scale)

    if needs[0]:
        by_blocks(scaled, g, away) if fixed else by_blocks(kernel, g, x, away)
    return [away if needs[0] else None, along if needs[1] else None, of_bias if needs[2] else None]
