"""New tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_dtype, get_default_dtype, is_array, to_device
from tinygrad_lite.autograd import primitive
from tinygrad_lite.autograd.node import Traced, traced

__all__ = ["as_tensor", "from_numpy", "tensor"]

METHODS: list[str] = []
IN_PLACE: list[str] = []


def array_from(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """A fresh array with the values of `data`: numbers, nested lists, arrays or tensors."""
    if isinstance(data, Traced):
        data = data.array
    if is_array(data):
        array = data.astype(as_dtype(dtype) if dtype is not None else data.dtype)
    else:
        array = np.array(data)
        if dtype is not None:
            array = array.astype(as_dtype(dtype))
        elif array.dtype == np.float64:
            array = array.astype(get_default_dtype())
    return to_device(array, device)


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A new tensor with a copy of `data`."""
    return traced(array_from(data, dtype, device)).requires_grad_(requires_grad)


def from_numpy(array: np.ndarray) -> Any:
    """A tensor on the memory of a NumPy array."""
    return traced(array)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    return data if isinstance(data, Traced) else tensor(data, dtype=dtype, device=device)


@primitive
def moved(x, device):
    """`x` on another device."""
    return to_device(x, device)
