"""The same values in other memory layouts, for tests that compare results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def in_order(array: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    """`array` with its dims in memory in the order `dims`, longest stride first."""
    return array.transpose(dims).copy(order="C").transpose(np.argsort(dims)) if array.ndim else array.copy()


def stepped(array: np.ndarray) -> np.ndarray:
    """Every second element of memory along each dim; the gaps are nan, or the largest integer."""
    gap = np.nan if array.dtype.kind in "fc" else True if array.dtype.kind == "b" else np.iinfo(array.dtype).max
    wide = np.full([2 * n + 1 for n in array.shape], gap, array.dtype)
    places: Any = (*[slice(1, None, 2)] * array.ndim, ...)
    part = wide[places]
    part[...] = array
    return part


def offset(array: np.ndarray) -> np.ndarray:
    """Contiguous, but not at the start of its memory."""
    memory = np.zeros(array.size + 5, array.dtype)
    part = memory[3 : 3 + array.size].reshape(array.shape)
    part[...] = array
    return part


def reversed_(array: np.ndarray) -> np.ndarray:
    """With negative strides."""
    back: Any = (*[slice(None, None, -1)] * array.ndim, ...)
    return array[back].copy(order="C")[back]


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def odd_strides(array: np.ndarray) -> np.ndarray:
    """Dims of size 1 with arbitrary strides."""
    array = array.copy(order="C")
    strides = [0 if n == 1 else s for n, s in zip(array.shape, array.strides)]
    return np.lib.stride_tricks.as_strided(array, array.shape, strides)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran order": lambda a: in_order(a, tuple(range(a.ndim))[::-1]),
    "first dim last": lambda a: in_order(a, (*range(1, a.ndim), 0) if a.ndim else ()),
    "last dim first": lambda a: in_order(a, (a.ndim - 1, *range(a.ndim - 1)) if a.ndim else ()),
    "stepped": stepped,
    "offset": offset,
    "reversed": reversed_,
    "read-only": read_only,
    "odd strides": odd_strides,
}


def expanded(dim: int | None) -> Callable[[np.ndarray], np.ndarray]:
    """The first slice along `dim` (None: the first element) repeated with stride 0: other values."""

    def layout(array: np.ndarray) -> np.ndarray:
        if not array.size:
            return array
        dims = range(array.ndim) if dim is None else [dim % array.ndim] if array.ndim else []
        return np.broadcast_to(array[(*[slice(0, 1) if d in dims else slice(None) for d in range(array.ndim)], ...)], array.shape)

    return layout


def overlapping(array: np.ndarray) -> np.ndarray:
    """Overlapping windows of one piece of memory, one element apart: other values."""
    if not array.size or array.ndim < 2:
        return array
    memory = np.resize(array, sum(array.shape))
    return np.lib.stride_tricks.as_strided(memory, array.shape, [array.itemsize] * array.ndim)


# These change the values: compare with a contiguous copy of the result.
REPEATED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "expanded first dim": expanded(0),
    "expanded last dim": expanded(-1),
    "expanded": expanded(None),
    "overlapping": overlapping,
}
