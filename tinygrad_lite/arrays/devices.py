"""Where an array lives, and how it gets there."""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or cupy.ndarray


class Device:
    """A place for arrays: `device("cpu")`, `device("cuda")`, `device("cuda:1")`, `device("cuda", 1)`.

    `type` is "cpu" or "cuda"; `index` is the GPU's number, or None where none was given.

    >>> Device("cuda:1").type, Device("cuda:1").index
    ('cuda', 1)
    """

    __slots__ = ("index", "type")

    def __init__(self, type: str | int | Device, index: int | None = None):
        if isinstance(type, Device):
            index = type.index
            type = type.type
        elif isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", int(type)
        elif isinstance(type, str) and ":" in type:
            if index is not None:
                raise ValueError(f"device: the index was given twice: {type!r} and {index!r}")
            type, _, number = type.partition(":")
            if not number.isdecimal():
                raise ValueError(f"device: expected a number after '{type}:', got {number!r}")
            index = int(number)
        if type not in ("cpu", "cuda"):
            raise ValueError(f"device: expected 'cpu', 'cuda' or 'cuda:N', got {type!r}")
        if index is not None and index < 0:
            raise ValueError(f"device: expected an index of 0 or more, got {index}")
        self.type: str = type
        self.index: int | None = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}" + (")" if self.index is None else f", index={self.index})")


CPU = Device("cpu")


def namespace_of(array: Array) -> ModuleType:
    """numpy or cupy, by the value's own type; numbers belong to numpy."""
    if type(array) is np.ndarray or not _is_cupy(array):
        return np
    return sys.modules["cupy"]


def _is_cupy(value: Any) -> bool:
    # An array of CuPy can only exist once somebody has imported it.
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(value, cupy.ndarray)


def scipy_of(array: Array, part: str, wanted: str) -> ModuleType:
    """`scipy.linalg`, say, for `part` "linalg", or `cupyx.scipy.linalg`; imported when first `wanted`."""
    package = ("scipy" if namespace_of(array) is np else "cupyx.scipy") + f".{part}"
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f"{wanted} needs SciPy, which is not installed: pip install 'tinygrad_lite[scipy]'") from error


def is_array(value: Any) -> bool:
    """Whether `value` is an array of one of the two libraries (a NumPy scalar is not)."""
    return isinstance(value, np.ndarray) or _is_cupy(value)


def as_array(value: Any) -> Array:
    """`value` itself if it is an array, a 0-d array if it is a scalar (NumPy reduces to scalars)."""
    return value if is_array(value) else np.asarray(value)


def cupy_or_explain() -> ModuleType:
    """The cupy module, imported when a GPU is first asked for."""
    try:
        import cupy
    except ImportError as error:
        raise ImportError(
            "device 'cuda' needs CuPy, which is not installed: "
            "pip install 'tinygrad_lite[cuda12]' (or [cuda13]), as the GPU's driver allows"
        ) from error
    return cupy


def device_of(array: Array) -> Device:
    """The device an array lives on."""
    return Device("cuda", int(array.device.id)) if _is_cupy(array) else CPU


def namespace_for(device: Device | str | int | None) -> ModuleType:
    """The library that makes arrays on `device` (None: the CPU)."""
    return np if device is None or Device(device).type == "cpu" else cupy_or_explain()


def on_device(device: Device | str | int | None) -> contextlib.AbstractContextManager[Any]:
    """A context in which new arrays of `namespace_for(device)` land on `device`."""
    where = CPU if device is None else Device(device)
    if where.type == "cpu":
        return contextlib.nullcontext()
    cupy = cupy_or_explain()
    return contextlib.nullcontext() if where.index is None else cupy.cuda.Device(where.index)


def to_device(array: Array, device: Device | str | int | None) -> Array:
    """`array` on `device`; the same object where it is there already."""
    if device is None:
        return array
    device = Device(device)
    here = device_of(array)
    if device.type == here.type and device.index in (None, here.index):
        return array
    if device.type == "cpu":
        return sys.modules["cupy"].asnumpy(array)
    with on_device(device):
        return cupy_or_explain().asarray(array)


def to_numpy(array: Array) -> np.ndarray:
    """`array` as a NumPy array: itself on the CPU, a copy from a GPU."""
    return to_device(array, CPU)
