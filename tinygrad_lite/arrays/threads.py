"""Work shared among threads: NumPy releases the interpreter lock inside its loops and products."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from tinygrad_lite.arrays.blas import library
from tinygrad_lite.arrays.errors import BadValue

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

R = TypeVar("R")


def _first_count() -> int:
    """The number given by OMP_NUM_THREADS, which numerical libraries read; otherwise the number of cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list gives numbers for nested levels
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_count = _first_count()
_pool: ThreadPoolExecutor | None = None
_in_pool = threading.local()


def get_num_threads() -> int:
    """The maximum number of threads per operation: initially OMP_NUM_THREADS or the number of cores."""
    return _count


def set_num_threads(count: int) -> None:
    """Use at most `count` threads per operation, overriding the environment."""
    global _count
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise BadValue(function="set_num_threads", expected="a positive integer", got=repr(count))
    _count = count
    _forget()
    if (blas := _blas()) is not None:
        blas[1](count)


def _forget() -> None:
    global _pool, _blas_lock, _blas_held
    _pool, _blas_lock, _blas_held = None, threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a child process does not have its parent's threads


def in_threads(tasks: Sequence[Callable[[], R]]) -> list[R]:
    """The results of `tasks`, run concurrently: the first by the caller, the others by the pool.

    Submitting a task costs about 40 us.
    """
    global _pool
    if len(tasks) < 2 or hasattr(_in_pool, "yes"):  # pool threads that wait for one another could deadlock
        return [task() for task in tasks]
    if _pool is None:
        from concurrent.futures import ThreadPoolExecutor  # 40 ms, a third of importing the package

        _pool = ThreadPoolExecutor(max(_count - 1, 1), "tinygrad_lite", lambda: setattr(_in_pool, "yes", True))
    # NumPy's error state is a context variable, which a thread does not inherit.
    others = [_pool.submit(contextvars.copy_context().run, task) for task in tasks[1:]]
    return [tasks[0](), *(other.result() for other in others)]


# -- products within threads ----------------------------------------------------------------------

_blas_lock = threading.Lock()
_blas_held = 0  # the number of active `one_blas_thread` blocks
_blas_count = 1  # BLAS's number of threads before the first of them


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside this block BLAS uses one thread, if that can be set, for tasks that multiply matrices. Two concurrent calls
    that each want all threads wait for each other: two halves of a convolution took as long as one after the other."""
    global _blas_held, _blas_count
    if (blas := _blas()) is None:
        yield
        return
    get, set = blas
    with _blas_lock:
        if not _blas_held:
            _blas_count = get()
            set(1)
        _blas_held += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_held -= 1
            if not _blas_held:
                set(_blas_count)


@functools.cache
def _blas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """The functions of NumPy's OpenBLAS that get and set its number of threads."""
    for name in ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads"):
        if hasattr(library(), name.format("set")):
            return getattr(library(), name.format("get")), getattr(library(), name.format("set"))
    return None
