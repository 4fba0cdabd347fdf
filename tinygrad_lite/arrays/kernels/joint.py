"""Normalization together with what comes before or after it.

Compiled programs call these in the place of two kernels: there it is known which arrays nobody needs any more.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from tinygrad_lite.arrays.kernels import channel_loops
from tinygrad_lite.arrays.kernels.normalization import normalize, normalize_gradient
from tinygrad_lite.arrays.row_loops import run


def sum_and_normalize(x: Any, y: Any, weight: Any, bias: Any, lead: int, groups: int, eps: float, center: bool) -> Any:
    """`x + y`, and what `normalize` returns for it."""
    rows, length = _matrix_shape(x, lead)
    if groups == 1 and weight.size == bias.size == length and x.dtype != np.float16:
        total, out, normal, rate = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype), *_saved(x, rows, length)
        matrices = [a.reshape(rows, length) for a in (x, y, total, normal, out)]
        vectors = [weight.reshape(-1), bias.reshape(-1)]
        if run(channel_loops.standardize_sum, matrices, [rate.reshape(-1)], vectors, (), (1 / length, eps), (True, True, center)):
            return total, out, normal, rate
    total = x + y
    return total, *inspect.unwrap(normalize)(total, weight, bias, lead, groups, eps, center)


def normalize_gradient_and_result(g: Any, normal: Any, rate: Any, weight: Any, bias: Any, center: bool, more: Any = None) -> Any:
    """Write the gradient of x to `g`, plus `more` if it is given, and the result of `normalize` to `normal`. Returns the result
    as a view, in the shape of `g`, and the gradients of weight and bias."""
    rows, length = normal.shape
    if rate.size == rows and weight.size == length and g.flags.c_contiguous:
        matrices = [a.reshape(rows, length) for a in (g, normal, *([] if more is None else [more]))]
        totals = [np.zeros(length, g.dtype) for _ in range(2)]
        vectors = [weight.reshape(-1), bias.reshape(-1)]
        loop = channel_loops.standardize_gradient_and_result
        if run(loop, matrices, [rate.reshape(-1)], vectors, totals, (1 / length,), (center,)):
            return normal.reshape(g.shape), totals[0].reshape(weight.shape), totals[1].reshape(bias.shape)
    needs = True, True, True
    of_x, of_weight, of_bias, *_ = inspect.unwrap(normalize_gradient)(needs, g, normal, rate, weight, bias, center)
    if more is None:
        g[...] = of_x
    else:
        np.add(more, of_x, out=g)
    normal *= weight.reshape(-1)
    normal += bias.reshape(-1)
    return normal.reshape(g.shape), of_weight, of_bias


def _matrix_shape(x: Any, lead: int) -> tuple[int, int]:
    rows = int(np.prod(x.shape[:lead], dtype=int))
    return rows, x.size // max(rows, 1)


def _saved(x: Any, rows: int, length: int) -> tuple[Any, Any]:
    return np.empty((rows, length), x.dtype), np.empty((rows, 1), x.dtype)
