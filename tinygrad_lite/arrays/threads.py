"""Work shared among threads: NumPy lets go of the interpreter inside its loops and products."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")

_count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_pool: ThreadPoolExecutor | None = None


def get_num_threads() -> int:
    """How many threads an operation may use (matrix products, which BLAS shares out, aside)."""
    return _count


def set_num_threads(count: int) -> None:
    """Use at most `count` threads in an operation."""
    global _count
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"set_num_threads: expected a positive integer, got {count!r}")
    _count = count
    _forget()


def _forget() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a child process has none of its parent's threads


def in_threads(tasks: Sequence[Callable[[], R]]) -> list[R]:
    """The results of `tasks`, run at once: the first by the caller, the others by the pool.

    Handing a task over costs about 40 us.
    """
    global _pool
    if _pool is None and len(tasks) > 1:
        _pool = ThreadPoolExecutor(max(_count - 1, 1), "tinygrad_lite")
    # NumPy's silence about overflow is a context variable, which a thread does not inherit.
    others = [_pool.submit(contextvars.copy_context().run, task) for task in tasks[1:]]  # type: ignore[union-attr]
    return [tasks[0](), *(other.result() for other in others)]
