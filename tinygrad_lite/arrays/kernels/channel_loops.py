"""Normalization as compiled loops (see row_loops.py): of channels, on matrices (N, C * S) with S elements for each of C
channels in a sample, and along rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import Array
from tinygrad_lite.arrays.row_loops import Row, Term, run

# Channels of this length are rows of their own; shorter ones are repeated to a row of a sample.
_LONG = 32


def by_channel(
    function: Callable[..., None], each: Sequence[Array], vectors: Sequence[Array], sums: int = 0, flags: tuple[bool, ...] = ()
) -> list[Array] | None:
    """Call `function(row, *each, *vectors, *sums, *flags)` as a loop over matrices, with vectors of one number per channel;
    returns the `sums` of each channel, to which the function adds by `add_up`. None if that is not possible; then nothing has
    changed."""
    x, channels = each[0], len(vectors[0])
    if type(x) is not np.ndarray or not x.size or not all(a.flags.c_contiguous for a in each):
        return None
    length = x.shape[1] // channels
    if length < _LONG:
        columns = [v.repeat(length) if length > 1 else v for v in vectors]
        totals = [np.zeros(x.shape[1], x.dtype) for _ in range(sums)]
        if not run(function, each, (), columns, totals, flags=(True, *flags), threads=False):
            return None
        return [total.reshape(channels, length).sum(axis=1) for total in totals]
    matrices = [a.reshape(-1, length) for a in each]
    totals = [np.empty(len(matrices[0]), x.dtype) for _ in range(sums)]
    if not run(function, matrices, [*(np.tile(v, len(x)) for v in vectors), *totals], flags=(False, *flags), threads=False):
        return None
    return [total.reshape(-1, channels).sum(axis=0) for total in totals]


def add_up(row: Row, total: Term, x: Term, samples: bool) -> None:
    """Add the elements of x to the sum of their channel. `samples`: whether a row is a whole sample, not one channel."""
    if samples:
        row.add_up(total, x)
    else:
        total[...] = row.sum(x)


# -- by the moments of channels -----------------------------------------------------------------


def squares(row: Row, x: Term, mean: Term, total: Term, samples: bool) -> None:
    away = x - mean
    add_up(row, total, away * away, samples)


def standardized(row: Row, x: Term, out: Term, *rest: Any) -> None:
    *vectors, _, shifted, biased = rest
    if shifted:
        x = x - vectors[0]
    x = x * vectors[shifted]
    out[...] = x + vectors[-1] if biased else x


def sums_of_gradient(row: Row, g: Term, x: Term, mean: Term, of_bias: Term, along: Term, samples: bool) -> None:
    add_up(row, of_bias, g, samples)
    add_up(row, along, g * (x - mean), samples)


def gradient(row: Row, g: Term, x: Term, of_x: Term, mean: Term, slope: Term, level: Term, scale: Term, samples: bool) -> None:
    of_x[...] = ((x - mean) * slope + g + level) * scale


def scaled(row: Row, g: Term, out: Term, scale: Term, samples: bool) -> None:
    out[...] = g * scale


def sums_of_products(row: Row, g: Term, normal: Term, like: Term, of_weight: Term, of_bias: Term, samples: bool) -> None:
    add_up(row, of_weight, g * normal, samples)
    add_up(row, of_bias, g, samples)


# -- along rows ---------------------------------------------------------------------------------


def _normalized(row: Row, x: Term, rate: Term, share: Term, eps: Term, center: bool) -> Term:
    if center:
        x = x - row.sum(x) * share
    rate[...] = 1 / row.sqrt(row.sum(x * x) * share + eps)
    return x * rate


def _through_normalized(row: Row, g: Term, normal: Term, rate: Term, share: Term, center: bool) -> Term:
    along = normal * (row.sum(g * normal) * share)
    if center:
        g = g - row.sum(g) * share
    return (g - along) * rate


def normalize(row: Row, x: Term, normal: Term, rate: Term, share: Term, eps: Term, center: bool) -> None:
    normal[...] = _normalized(row, x, rate, share, eps, center)


def normalize_gradient(row: Row, normal: Term, of_x: Term, *rest: Any) -> None:
    """`of_x` holds g at first, unless g is an argument."""
    *given, rate, share, center = rest
    of_x[...] = _through_normalized(row, given[0] if given else of_x, normal, rate, share, center)


def standardize(row: Row, x: Term, normal: Term, out: Term, rate: Term, *rest: Any) -> None:
    *vectors, share, eps, weighted, biased, center = rest
    x = _normalized(row, x, rate, share, eps, center)
    normal[...] = x
    if weighted:
        x = x * vectors[0]
    if biased:
        x = x + vectors[-1]
    out[...] = x


def standardize_sum(row: Row, x: Term, y: Term, total: Term, normal: Term, out: Term, rate: Term, *rest: Any) -> None:
    x = x + y
    total[...] = x
    standardize(row, x, normal, out, rate, *rest)


def standardize_gradient(row: Row, g: Term, normal: Term, of_x: Term, rate: Term, *rest: Any) -> None:
    *vectors, share, weighted, of_weight, of_bias, center = rest
    if of_weight:
        row.add_up(vectors[weighted], g * normal)
    if of_bias:
        row.add_up(vectors[-1], g)
    if weighted:
        g = g * vectors[0]
    of_x[...] = _through_normalized(row, g, normal, rate, share, center)


def standardize_gradient_and_result(row: Row, g: Term, normal: Term, *rest: Any) -> None:
    """Writes the gradient to `g`, plus a matrix if one is given, and to `normal` the result of `standardize`."""
    *given, rate, weight, bias, of_weight, of_bias, share, center = rest
    row.add_up(of_weight, g * normal)
    row.add_up(of_bias, g)
    found = _through_normalized(row, g * weight, normal, rate, share, center)
    g[...] = given[0] + found if given else found
    row.store_late(normal, normal * weight + bias)
