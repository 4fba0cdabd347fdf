"""Work shared among threads: NumPy lets go of the interpreter inside its loops and products."""

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
    """What the environment asks for, by the variable that the field's libraries read; else every core there is."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list is about parallel work within parallel work
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_count = _first_count()
_pool: ThreadPoolExecutor | None = None
_in_pool = threading.local()


def get_num_threads() -> int:
    """How many threads an operation may use: at first OMP_NUM_THREADS of the environment, or as many as there are cores."""
    return _count


def set_num_threads(count: int) -> None:
    """Use at most `count` threads in an operation, whatever the environment said."""
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
    os.register_at_fork(after_in_child=_forget)  # a child process has none of its parent's threads


def in_threads(tasks: Sequence[Callable[[], R]]) -> list[R]:
    """The results of `tasks`, run at once: the first by the caller, the others by the pool.

    Handing a task over costs about 40 us.
    """
    global _pool
    if len(tasks) < 2 or hasattr(_in_pool, "yes"):  # threads of the pool that wait for others could wait for ever
        return [task() for task in tasks]
    if _pool is None:
        from concurrent.futures import ThreadPoolExecutor  # 40 ms, a third of importing the package

        _pool = ThreadPoolExecutor(max(_count - 1, 1), "tinygrad_lite", lambda: setattr(_in_pool, "yes", True))
    # NumPy's silence about overflow is a context variable, which a thread does not inherit.
    others = [_pool.submit(contextvars.copy_context().run, task) for task in tasks[1:]]
    return [tasks[0](), *(other.result() for other in others)]


# -- products within threads ----------------------------------------------------------------------

_blas_lock = threading.Lock()
_blas_held = 0  # how many `one_blas_thread` blocks there are just now
_blas_count = 1  # what BLAS had before the first of them


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keeps BLAS, where it can be told so, from using threads of its own, for tasks that multiply
    matrices: two of its calls that each want all threads wait for one another, and two halves of a
    convolution at once took as long as one after the other."""
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
