"""Norms of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays import in_order, namespace_of


def vector_norm_of(x: Any, ord: Any, dims: Any, keepdim: Any) -> Any:
    """The norm of order `ord` over `dims`."""
    xp = namespace_of(x)
    if x.dtype == np.float16:  # 300 squared overflows
        return vector_norm_of(x.astype(np.float32), ord, dims, keepdim).astype(np.float16)
    if ord == 2:
        if len(dims) == x.ndim and not keepdim:
            flat = x.reshape(-1)
            return xp.sqrt(flat.dot(flat))
        return xp.sqrt(in_order((x * x).sum(axis=dims, keepdims=keepdim)))
    if ord == 0:
        return in_order((x != 0).sum(axis=dims, keepdims=keepdim, dtype=x.dtype))
    x = xp.abs(x)
    if ord == math.inf:
        return in_order(x.max(axis=dims, keepdims=keepdim))
    if ord == -math.inf:
        return in_order(x.min(axis=dims, keepdims=keepdim))
    if ord == 1:
        return in_order(x.sum(axis=dims, keepdims=keepdim))
    return in_order((x**ord).sum(axis=dims, keepdims=keepdim)) ** (1 / ord)
