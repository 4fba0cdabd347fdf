"""GPUs: their number, the current one, their memory. Queries never fail on machines without a GPU."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from types import ModuleType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class OutOfMemoryError(RuntimeError):
    """A GPU has no memory left for a new array."""


# -- when CuPy is first imported ----------------------------------------------------------------

several = False  # set at the first use of a GPU
_cupy: ModuleType | None = None


def cupy_or_explain() -> ModuleType:
    """The cupy module, imported at the first use of a GPU."""
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


tracing: ContextVar[Any] = ContextVar("tracing", default=None)  # the trace of a program that is being made


class Symbol:
    """A stand-in for an array while its operations are being traced (see fusion.py)."""

    namespace: Any  # used instead of the module numpy or cupy
    trace: Any  # of a program, for arrays that hold a value
    value: Any


def is_symbol(value: Any) -> bool:
    """Whether `value` stands in for an array."""
    return isinstance(value, Symbol)


def kernel(function: F) -> F:
    """Mark a function on arrays as a kernel: a program that is being traced calls it as a whole."""
    return _noted_by("kernel", function)


def whole(function: F) -> F:
    """Mark a function on arrays that a program calls as one step, because values decide what it does in Python (not the
    shapes of its results). It changes no argument."""
    return _noted_by("whole", function)


def _noted_by(method: str, function: F) -> F:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        trace = tracing.get()
        return function(*args, **kwargs) if trace is None else getattr(trace, method)(function, args, kwargs)

    return call  # type: ignore[return-value]


def is_cupy(value: Any) -> bool:
    """Whether `value` is a CuPy array, or stands for an array that is being traced."""
    if isinstance(value, Symbol):
        return True
    # There are no CuPy arrays unless CuPy has been imported.
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(value, cupy.ndarray)


# -- working on the arrays' GPU --------------------------------------------------------------------


def _home(values: Iterable[Any]) -> Any:
    """The GPU of the first CuPy array among `values` (arrays, tensors, and sequences of them)."""
    for value in values:
        value = getattr(value, "array", value)
        if is_cupy(value) and hasattr(value.device, "use"):  # arrays of the CPU are traced too
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
    return 0 if _cupy is None else count()


def properties(handle: Any) -> dict[str, Any]:
    """The driver's properties of a GPU."""
    return cupy_or_explain().cuda.runtime.getDeviceProperties(handle.id)


def memory(handle: Any) -> tuple[int, int]:
    """The bytes used by arrays on a GPU, and the bytes that CuPy's memory pool holds for them."""
    with handle:
        pool = cupy_or_explain().get_default_memory_pool()
        return int(pool.used_bytes()), int(pool.total_bytes())


def free_unused() -> None:
    """Return unused memory to the GPU."""
    cupy_or_explain().get_default_memory_pool().free_all_blocks()
