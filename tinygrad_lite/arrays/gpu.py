"""GPUs: their number, the current one, their memory. Queries never fail on machines without a GPU."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TypeVar

from tinygrad_lite.arrays import devices
from tinygrad_lite.arrays.devices import Device, cupy_or_explain, usable

F = TypeVar("F", bound=Callable[..., Any])


class OutOfMemoryError(RuntimeError):
    """A GPU has no memory left for a new array."""


# -- when CuPy is first imported ----------------------------------------------------------------

several = False  # set at the first use of a GPU


def prepare(cupy: ModuleType) -> None:
    """Make CuPy's out-of-memory errors report sizes, and record whether there are several GPUs."""
    cupy.cuda.set_allocator(_telling(cupy, cupy.cuda.get_allocator()))
    global several
    try:
        several = cupy.cuda.runtime.getDeviceCount() > 1
    except Exception:  # no driver; `known_count` raises when a GPU is needed
        return


def _telling(cupy: ModuleType, allocator: Callable[[int], Any]) -> Callable[[int], Any]:
    """`allocator` with an error message that reports the requested size and the memory in use."""

    def allocate(size: int) -> Any:
        try:
            return allocator(size)
        except cupy.cuda.memory.OutOfMemoryError as error:
            pool, device = cupy.get_default_memory_pool(), cupy.cuda.Device()
            limit = pool.get_limit()
            raise OutOfMemoryError(
                f"cuda:{device.id}: out of memory: {in_words(size)} were asked for, arrays hold {in_words(pool.used_bytes())}, "
                f"CuPy's pool {in_words(pool.total_bytes())} of the {in_words(limit or device.mem_info[1])} "
                f"that {'its limit allows' if limit else 'there are'}; "
                "use smaller batches, drop tensors that are not needed, or call cuda.empty_cache()"
            ) from error

    return allocate


def in_words(size: int) -> str:
    """A number of bytes in readable units.

    >>> in_words(3 << 30)
    '3.0 GiB'
    """
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


# -- working on the arrays' GPU --------------------------------------------------------------------


def _home(values: Iterable[Any]) -> Any:
    """The GPU of the first CuPy array among `values` (arrays, tensors, and sequences of them)."""
    for value in values:
        value = getattr(value, "array", value)
        if devices.is_cupy(value):
            return value.device
        if type(value) in (list, tuple) and (found := _home(value)) is not None:
            return found
    return None


def at_home(*values: Any) -> contextlib.AbstractContextManager[Any]:
    """A context in which CuPy uses the GPU of the first CuPy array among `values`.

    CuPy uses its current GPU wherever the arrays are. With one GPU or none, there is nothing to do.
    """
    home = _home(values) if several else None
    return _NOWHERE if home is None else home


_NOWHERE = contextlib.nullcontext()


def on_gpu_of(where: Callable[[Any], Any] | None = None) -> Callable[[F], F]:
    """Run a function that works on arrays on the GPU of the first array among its arguments, or of
    `where(its first argument)`."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not several:
                return function(*args, **kwargs)
            with at_home(*args, *kwargs.values()) if where is None else at_home(where(args[0])):
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def use_home(value: Any) -> None:
    """Make the GPU of `value` CuPy's current GPU from here on."""
    home = _home([value])
    if home is not None:
        home.use()


# -- queries ------------------------------------------------------------------------------------


@functools.cache
def known_count() -> int:
    """The number of GPUs; raises, with the reason, if none can be used."""
    cupy = cupy_or_explain()
    try:
        found = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:  # whatever a missing or broken driver raises
        raise RuntimeError(f"device 'cuda': CuPy is installed, but no GPU can be used: {error}") from error
    if not found:
        raise RuntimeError("device 'cuda': CuPy is installed, but there is no GPU")
    return found


def count() -> int:
    """The number of usable GPUs: 0 without CuPy or a driver."""
    try:
        return known_count()
    except (ImportError, RuntimeError):
        return 0


def in_use() -> int:
    """The number of GPUs, or 0 if none has been used yet."""
    return count() if devices.loaded() else 0


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
    default = devices.get_default_device()
    return default.type == device.type and (device.type == "cpu" or with_index(default) == device)


def properties(device: Any = None) -> dict[str, Any]:
    """The driver's properties of a GPU."""
    return cupy_or_explain().cuda.runtime.getDeviceProperties(handle(device).id)


def memory(device: Any = None) -> tuple[int, int]:
    """The bytes used by arrays on a GPU, and the bytes that CuPy's memory pool holds for them."""
    with handle(device):
        pool = cupy_or_explain().get_default_memory_pool()
        return int(pool.used_bytes()), int(pool.total_bytes())


def free_unused() -> None:
    """Return unused memory to the GPU."""
    cupy_or_explain().get_default_memory_pool().free_all_blocks()
