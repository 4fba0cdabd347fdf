"""Settings of the whole process that make training faster."""

from __future__ import annotations

import ctypes
import os
import sys

from tinygrad_lite.arrays.blas import library

_tuned = False


def tune() -> None:
    """Set the process up for training.

    - glibc's allocator keeps up to 256 MiB of freed memory and serves arrays of up to 32 MiB from it (`mallopt`). A
      step frees the same large arrays that the next one asks for; each return to the system costs a page fault per
      4 KiB when the memory comes back.
    - OpenBLAS's threads sleep 0.1 ms after a product instead of waiting awake for the next one, which holds the cores
      that this library's own threads need. Where OPENBLAS_THREAD_TIMEOUT is set in the environment, it stands. (The
      OpenBLAS of NumPy 2.5 cannot be told any more; set the variable to 18 before Python starts.)

    Values are unchanged; without it a step of the benchmarks cnn and gpt takes 1.4 to 2 times as long.
    `import tinygrad_lite` calls it, unless TINYGRAD_LITE_TUNE=0 is in the environment; a program that sets this can
    still call it, before its threads start. Only the first call does anything.

    >>> tune()
    """
    global _tuned
    if not _tuned:
        _tuned = True
        _keep_freed_memory()
        _let_blas_threads_sleep()


def tune_by_default() -> None:
    """`tune()`, unless the environment forbids it."""
    if os.environ.get("TINYGRAD_LITE_TUNE", "1") != "0":
        tune()


def _keep_freed_memory() -> None:
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt  # there is none in musl
    except (OSError, AttributeError):
        return
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
    mallopt(M_MMAP_THRESHOLD, 32 << 20)  # glibc allows no more
    mallopt(M_TRIM_THRESHOLD, 256 << 20)


def _let_blas_threads_sleep() -> None:
    """After 2^18 cycles instead of 2^26. OpenBLAS reads the variable when its threads start, which they do anew after
    they were shut down (as around every fork)."""
    name, blas = "OPENBLAS_THREAD_TIMEOUT", library()
    if name not in os.environ and hasattr(blas, "openblas_read_env") and hasattr(blas, "blas_thread_shutdown_"):
        os.environ[name] = "18"
        blas.openblas_read_env()
        blas.blas_thread_shutdown_()
        del os.environ[name]
