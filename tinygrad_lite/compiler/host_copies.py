"""Copies of a GPU's arrays on the CPU, on which a function is traced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import CPU, Device, cupy_or_explain, default_device, device_of, with_index
from tinygrad_lite.arrays.memory import owner_of, start_of
from tinygrad_lite.compiler.stand_ins import Untraceable
from tinygrad_lite.engine.tape import Traced


class NotOnOneDevice(Untraceable):
    """Tensors are on several devices."""


def common_device(tensors: Mapping[str, Traced], inputs: Mapping[str, Traced]) -> Device:
    """The device of all tensors, or the default device if there are none. On the CPU beside those of a GPU there may be single
    numbers, such as step counts, but not among the inputs."""
    if not tensors and (default := default_device()) is not None:
        return with_index(default)
    home, first = CPU, ""
    for name, tensor in tensors.items():
        where = device_of(tensor.array)
        if where != CPU:
            if home not in (CPU, where):
                raise NotOnOneDevice(f"{first} is on {home}, {name} on {where}")
            home, first = where, name
    if home != CPU:
        for name, tensor in tensors.items():
            if device_of(tensor.array) == CPU and (tensor.array.ndim or name in inputs):
                raise NotOnOneDevice(f"{first} is on {home}, {name} on the CPU")
    return home


class HostCopies:
    """The copies made so far. Arrays that share memory have copies that do."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, np.ndarray]] = {}  # an array that owns memory and its copy, by the memory

    def of(self, array: Any) -> np.ndarray:
        """The copy of `array`, in its layout; an array of the CPU itself."""
        if type(array) is np.ndarray:
            return array
        owner = owner_of(array)
        key = id(owner.data.mem)
        if key not in self._known:
            self._known[key] = owner, _copy(owner)
        known, copy = self._known[key]
        if known is array:
            return copy
        if known is not owner:
            raise Untraceable("two arrays share the memory of a GPU, and neither knows of the other")
        return np.ndarray(array.shape, array.dtype, copy, start_of(array) - start_of(owner), array.strides)


def _copy(array: Any) -> np.ndarray:
    """An array of NumPy's with the values and the strides of `array`."""
    with array.device:
        flat = array.transpose(sorted(range(array.ndim), key=lambda d: -array.strides[d])).reshape(-1)
        if flat.size and start_of(flat) != start_of(array):
            raise Untraceable("the memory of an array has gaps")
        values = cupy_or_explain().asnumpy(flat)
    return np.ndarray(array.shape, array.dtype, values, 0, array.strides).copy("K")
