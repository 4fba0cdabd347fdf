"""CuPy, and the GPUs themselves: how many, which one is in use, their memory. Asking never fails for want of one."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class OutOfMemoryError(RuntimeError):
    """A GPU has no memory left for a new array."""


# -- when CuPy is first imported ----------------------------------------------------------------

several = False  # known once somebody has asked for a GPU
_cupy: ModuleType | None = None


def cupy_or_explain() -> ModuleType:
    """The cupy module, imported when a GPU is first asked for."""
    global _cupy
    if _cupy is None:
        try:
            cupy = importlib.import_module("cupy")
        except ImportError as error:
            found = "is not installed" if getattr(error, "name", "") == "cupy" else f"cannot be imported ({error})"
            raise ImportError(
                f"device 'cuda' needs CuPy, which {found}: "
                "pip install 'tinygrad_lite[cuda12]' (or [cuda13], as the GPU's driver allows; ROCm: see docs/gpu.md)"
            ) from error
        _prepare(cupy)
        _cupy = cupy
    return _cupy


def _prepare(cupy: ModuleType) -> None:
    """Let CuPy's want of memory be told in bytes, and note whether there are several GPUs."""
    cupy.cuda.set_allocator(_telling(cupy, cupy.cuda.get_allocator()))
    global several
    try:
        several = cupy.cuda.runtime.getDeviceCount() > 1
    except Exception:  # no driver; `known_count` says so where a GPU is needed
        return


def _telling(cupy: ModuleType, allocator: Callable[[int], Any]) -> Callable[[int], Any]:
    """`allocator`, whose failure says how much was asked for and how much is held."""

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
    """A number of bytes.

    >>> in_words(3 << 30)
    '3.0 GiB'
    """
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


class Symbol:
    """What stands for an array of CuPy while its operations are only written down (see fusion.py)."""

    namespace: Any  # in the place of the module cupy


def is_cupy(value: Any) -> bool:
    """Whether `value` is an array of CuPy."""
    # An array of CuPy can only exist once somebody has imported it.
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(value, (cupy.ndarray, Symbol))


# -- at work where the arrays are ----------------------------------------------------------------


def _home(values: Iterable[Any]) -> Any:
    """The GPU of the first CuPy array among `values` (arrays, tensors, and sequences of them)."""
    for value in values:
        value = getattr(value, "array", value)
        if is_cupy(value):
            return value.device
        if type(value) in (list, tuple) and (found := _home(value)) is not None:
            return found
    return None


def at_home(*values: Any) -> contextlib.AbstractContextManager[Any]:
    """A context in which CuPy works on the GPU of the first of its arrays among `values`.

    CuPy works on its current GPU, whichever holds the arrays. Where there is one or none, there is nothing to do.
    """
    home = _home(values) if several else None
    return _NOWHERE if home is None else home


_NOWHERE = contextlib.nullcontext()


def on_gpu_of(where: Callable[[Any], Any] | None = None) -> Callable[[F], F]:
    """Let a function that works on arrays itself work on their GPU: the first one's among its arguments, or of
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
    """Let CuPy work on that GPU from here on."""
    home = _home([value])
    if home is not None:
        home.use()


# -- questions ----------------------------------------------------------------------------------


@functools.cache
def known_count() -> int:
    """How many GPUs there are; raises, and says why, where none can be used."""
    cupy = cupy_or_explain()
    try:
        found = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:  # whatever a missing or broken driver raises
        raise RuntimeError(f"device 'cuda': CuPy is installed, but no GPU can be used: {error}") from error
    if not found:
        raise RuntimeError("device 'cuda': CuPy is installed, but there is no GPU")
    return found


def count() -> int:
    """How many GPUs can be used: none without CuPy, or without a driver."""
    try:
        return known_count()
    except (ImportError, RuntimeError):
        return 0


def in_use() -> int:
    """How many GPUs there are, or 0 as long as nobody has asked for one."""
    return 0 if _cupy is None else count()


def properties(handle: Any) -> dict[str, Any]:
    """What the driver says of a GPU, of which CuPy's object is given."""
    return cupy_or_explain().cuda.runtime.getDeviceProperties(handle.id)


def memory(handle: Any) -> tuple[int, int]:
    """The bytes that arrays use on a GPU, and the bytes that CuPy's memory pool holds for them."""
    with handle:
        pool = cupy_or_explain().get_default_memory_pool()
        return int(pool.used_bytes()), int(pool.total_bytes())


def free_unused() -> None:
    """Give the memory that no array uses back to the GPU."""
    cupy_or_explain().get_default_memory_pool().free_all_blocks()
