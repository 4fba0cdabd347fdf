"""Devices: where an array lives, and moving it to another device."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from tinygrad_lite.arrays.deferred_checks import settle
from tinygrad_lite.arrays.gpu import Symbol, cupy_or_explain, is_cupy, known_count, tracing

F = TypeVar("F", bound=Callable[..., Any])

Array = Any  # numpy.ndarray or cupy.ndarray


class Device:
    """A device: `device("cpu")`, `device("cuda")`, `device("cuda:1")`, `device("cuda", 1)`.

    `type` is "cpu" or "cuda"; `index` is the GPU's number, or None for the current GPU. As a context manager
    (`with device("cuda"):`) it is the default for new tensors.

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

    def __enter__(self) -> Device:
        _before.stack = [*getattr(_before, "stack", ()), default_device()]
        set_default_device(self)
        return self

    def __exit__(self, *exception: object) -> None:
        set_default_device(_before.stack.pop())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}" + (")" if self.index is None else f", index={self.index})")


CPU = Device("cpu")

_default: Device | None = None  # None: the CPU
_before = threading.local()


def default_device() -> Device | None:
    """The default device of new tensors; None for the CPU."""
    return _default


def get_default_device() -> Device:
    """The default device of new tensors.

    >>> get_default_device()
    device(type='cpu')
    """
    return CPU if _default is None else _default


def set_default_device(device: Device | str | int | None) -> None:
    """Set the default device of new tensors (None: the CPU). Tensors made from NumPy's memory stay on the CPU."""
    global _default
    where = CPU if device is None else Device(device)
    if where.type == "cuda":
        usable(where)
    _default = None if where == CPU else where


def namespace_of(array: Array) -> ModuleType:
    """numpy or cupy, by the value's type; numbers belong to numpy."""
    if type(array) is np.ndarray or not is_cupy(array):
        return np
    return array.namespace if isinstance(array, Symbol) else sys.modules["cupy"]


def scipy_of(array: Array, part: str, wanted: str) -> ModuleType:
    """For `part` "linalg", say, `scipy.linalg` or `cupyx.scipy.linalg`, imported at the first use; `wanted` names the user
    for the error message."""
    package = ("scipy" if namespace_of(array) is np else "cupyx.scipy") + f".{part}"
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f"{wanted} needs SciPy, which is not installed: pip install 'tinygrad_lite[scipy]'") from error


def is_array(value: Any) -> bool:
    """Whether `value` is a NumPy or CuPy array (a NumPy scalar is not)."""
    return isinstance(value, np.ndarray) or is_cupy(value)


def as_array(value: Any) -> Array:
    """`value` itself if it is an array, or a 0-d array if it is a scalar (NumPy's reductions return scalars)."""
    return np.asarray(value) if isinstance(value, np.generic) or not is_array(value) else value


def usable(device: Device) -> Any:
    """CuPy's object for a GPU (None if no number was given); raises if it does not exist."""
    count = known_count()
    if device.index is None:
        return None
    if device.index >= count:
        there = "the only GPU is cuda:0" if count == 1 else f"there are {count} GPUs, cuda:0 to cuda:{count - 1}"
        raise RuntimeError(f"device {str(device)!r} does not exist: {there}")
    return cupy_or_explain().cuda.Device(device.index)


def index_of(device: Any) -> int | None:
    """The number of a GPU given as a number, as "cuda:1" or as a Device; the current one for None."""
    if device is None or (isinstance(device, int) and device < 0):
        return None
    device = Device(device)
    if device.type != "cuda":
        raise ValueError(f"cuda: expected a GPU ('cuda', 'cuda:N' or its number), got {str(device)!r}")
    return device.index


def handle(device: Any = None) -> Any:
    """CuPy's object for a GPU."""
    index = index_of(device)
    return usable(Device("cuda", index)) or cupy_or_explain().cuda.Device()


def with_index(device: Device) -> Device:
    """A GPU device with its number: the current one if none was given."""
    return device if device.index is not None else Device("cuda", int(handle().id))


def is_default(device: Device) -> bool:
    """Whether `device` (with a number, if it is a GPU) is the default device of new tensors."""
    default = get_default_device()
    return default.type == device.type and (device.type == "cpu" or with_index(default) == device)


def device_of(array: Array) -> Device:
    """The device of an array."""
    if not is_cupy(array):
        return CPU
    return getattr(array, "home", CPU) if isinstance(array, Symbol) else Device("cuda", int(array.device.id))


def namespace_for(device: Device | str | int | None) -> ModuleType:
    """The library for arrays on `device` (None: the default device)."""
    where = _default if device is None else Device(device)
    if (trace := tracing.get()) is not None:
        return trace.namespace_on(CPU if where is None else where)
    return np if where is None or where.type == "cpu" else cupy_or_explain()


def on_device(device: Device | str | int | None) -> contextlib.AbstractContextManager[Any]:
    """A context in which `namespace_for(device)` creates arrays on `device`."""
    where = _default if device is None else Device(device)
    if where is None or where.type == "cpu":
        return contextlib.nullcontext()
    return usable(where) or contextlib.nullcontext()


def to_device(array: Array, device: Device | str | int | None) -> Array:
    """`array` on `device`; the same object if it is there already."""
    if device is None:
        return array
    device = Device(device)
    if device.type == "cuda":
        usable(device)
    here = device_of(array)
    if device.type == here.type and device.index in (None, here.index):
        return array
    if (trace := tracing.get()) is not None:
        return trace.moved(array, device)
    if device.type == "cpu":
        settle()
        return sys.modules["cupy"].asnumpy(array)
    with on_device(device):
        return array.copy() if here.type == "cuda" else cupy_or_explain().asarray(array)


def filled(shape: tuple[int, ...], value: float, like: Array) -> Array:
    """A constant of one value in the dtype of `like`, and where it is."""
    return constant(np.full(shape, value, like.dtype), like)


def constant(array: Any, like: Array) -> Array:
    """`array` on the device of `like`, to be read only. GPU copies are cached, because every training step needs the same
    ones."""
    if type(array) is not np.ndarray:
        return namespace_of(like).asarray(array)
    if namespace_of(like) is np or isinstance(like, Symbol):
        return array
    with like.device:
        return _kept_constant(array.tobytes(), array.dtype.str, array.shape, like.device.id)


def kept(function: F) -> F:
    """Cache a function of sizes that returns a NumPy array or a tuple with arrays, because every training step needs the
    same ones. The arrays are read-only."""

    @functools.lru_cache(maxsize=16)  # enough for the layers of one kind in most networks
    @functools.wraps(function)
    def keeping(*args: Any) -> Any:
        result = function(*args)
        for part in result if isinstance(result, tuple) else (result,):
            if isinstance(part, np.ndarray):
                part.flags.writeable = False
        return result

    return keeping  # type: ignore[return-value]


@functools.lru_cache(maxsize=256)
def _kept_constant(values: bytes, dtype: str, shape: tuple[int, ...], device: int) -> Array:
    return cupy_or_explain().asarray(np.frombuffer(values, dtype).reshape(shape))


def to_numpy(array: Array) -> np.ndarray:
    """`array` as a NumPy array: itself on the CPU, a copy from a GPU."""
    return to_device(array, CPU)
