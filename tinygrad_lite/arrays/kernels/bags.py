"""Rows of a table: bags of them, their norms."""

from __future__ import annotations

import numpy as np

from tinygrad_lite.arrays import Array, namespace_of
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.gpu import is_symbol, whole


def places_of_bags(name: str, offsets: Array, count: int, include_last: bool) -> tuple[Array, Array]:
    """For each bag the places of its rows, side by side up to the longest bag's, and which of them are its own."""
    if offsets.ndim != 1 or (include_last and not len(offsets)):
        raise BadValue(function=name, argument="offsets", expected="offsets of one dimension", got=f"shape {offsets.shape}")
    xp = namespace_of(offsets)
    starts = offsets[:-1] if include_last else offsets
    ends = offsets[1:] if include_last else xp.append(offsets[1:], count)
    lengths = ends - starts
    if len(offsets) and (int(offsets[0]) != 0 or int(offsets[-1]) > count or bool((lengths < 0).any())):
        raise BadValue(function=name, argument="offsets", expected=f"offsets that rise from 0 to at most {count}", got=offsets.tolist())
    within = xp.arange(int(lengths.max()) if len(lengths) else 0)
    own = within < lengths[:, None]
    return xp.where(own, starts[:, None] + within, 0), own


def renormalize(table: Array, index: Array, max_norm: float, norm_type: float) -> None:
    """Scale the rows that `index` names down to a norm of `max_norm`, in place."""
    xp = namespace_of(table)
    rows = slice(None) if is_symbol(table) else xp.unique(index)
    values = table[rows]
    norms = (xp.abs(values) ** norm_type).sum(axis=1, keepdims=True) ** (1 / norm_type)
    large = norms > max_norm
    if is_symbol(table):  # a program looks at all rows: how many are used differs from call to call
        used = xp.zeros((len(table), 1), np.bool_)
        used[index.reshape(-1)] = True
        large = large & used
    table[rows] = xp.where(large, values * (max_norm / (norms + 1e-7)).astype(table.dtype), values)


@whole
def frequency_factors(index: Array, count: int) -> Array:
    """For each element of `index` 1 over how often it occurs."""
    return 1 / namespace_of(index).bincount(index.reshape(-1), minlength=count)[index]
