"""Process-wide settings that make training faster."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

from tinygrad_lite.arrays.blas import library

_tuned = False


def tune() -> None:
    """Configure the process for training.

    - glibc's allocator keeps up to 256 MiB of freed memory and serves arrays of up to 32 MiB from it (`mallopt`). Each
      step frees the same large arrays that the next one allocates; returning them to the system would cost a page fault
      per 4 KiB when the memory comes back.
    - OpenBLAS's threads sleep 0.1 ms after a product instead of spinning until the next one, which would occupy the cores
      that this library's own threads need. OPENBLAS_THREAD_TIMEOUT in the environment takes precedence. (The OpenBLAS of
      NumPy 2.5 can no longer be set at run time; set the variable to 18 before Python starts.)

    Results do not change; without it a step of the benchmarks cnn and gpt takes 1.4 to 2 times as long.
    `import tinygrad_lite` calls it, unless TINYGRAD_LITE_TUNE=0 is in the environment; then a program can still call it,
    before its threads start. Only the first call has an effect.

    >>> tune()
    """
    global _tuned
    if not _tuned:
        _tuned = True
        _keep_freed_memory()
        _let_blas_threads_sleep()


def tune_by_default() -> None:
    """Call `tune()`, unless the environment forbids it."""
    if os.environ.get("TINYGRAD_LITE_TUNE", "1") != "0":
        tune()


def _keep_freed_memory() -> None:
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt  # musl does not have it
    except (OSError, AttributeError):
        return
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
    mallopt(M_MMAP_THRESHOLD, 32 << 20)  # glibc's maximum
    mallopt(M_TRIM_THRESHOLD, 256 << 20)


def release_freed_memory() -> None:
    """Give the memory that the allocator keeps back to the system. For when other arrays will be needed than before: what is
    free lies between those that stay, in pieces of the wrong sizes."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # musl does not have it
            ctypes.CDLL(None).malloc_trim(0)


def _let_blas_threads_sleep() -> None:
    """Let them sleep after 2^18 cycles instead of 2^26. OpenBLAS reads the variable when its threads start, which happens
    again after each shutdown (as around every fork)."""
    name, blas = "OPENBLAS_THREAD_TIMEOUT", library()
    if name not in os.environ and hasattr(blas, "openblas_read_env") and hasattr(blas, "blas_thread_shutdown_"):
        os.environ[name] = "18"
        blas.openblas_read_env()
        blas.blas_thread_shutdown_()
        del os.environ[name]
