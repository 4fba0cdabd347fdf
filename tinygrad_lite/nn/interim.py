"""Uninitialized and random arrays, until the operations that make them stand in ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_dtype, get_default_dtype
from tinygrad_lite.autograd.node import changed_in_place, traced

_random = np.random.default_rng()


def empty(shape: Any, dtype: Any = None, device: Any = None) -> Any:
    return traced(np.empty(shape, get_default_dtype() if dtype is None else as_dtype(dtype)))


def full(shape: Any, value: Any, dtype: Any = None, device: Any = None) -> Any:
    return traced(np.full(shape, value, get_default_dtype() if dtype is None else as_dtype(dtype)))


def filled(tensor: Any, values: Any) -> Any:
    tensor.array[...] = values
    changed_in_place(tensor.array, "init")
    return tensor


def uniform(tensor: Any, a: float, b: float) -> Any:
    return filled(tensor, _random.uniform(a, b, tensor.shape))


def normal(tensor: Any, mean: float, std: float) -> Any:
    return filled(tensor, _random.normal(mean, std, tensor.shape))
