"""Checks of values on a GPU that do not wait for it.

A GPU works asynchronously, and reading a value waits for all pending work. A check of values (is an index in range?)
therefore only sets a flag on the GPU, and the next read of any value tests the flags first. With CUDA_LAUNCH_BLOCKING=1 in
the environment, as in PyTorch, every check waits at once.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from tinygrad_lite.arrays.gpu import Symbol

Array = Any  # of CuPy

# For each kind of failure on each GPU: a 0-d bool on that GPU, True if it happened.
flags: dict[tuple[int, type[Any], str, str, str], Array] = {}
_lock = threading.Lock()


def refuse(bad: Array, kind: type[Any], message: str, what: str = "", values: Array = None, function: str = "") -> None:
    """Make the next read from the GPU raise `kind(message)` if any of `bad` (CuPy, bool) is True.

    "{}" in the message stands for `what` the values are, followed by the first bad one of `values` if known.
    """
    found = bad.any()
    if isinstance(found, Symbol):
        found.trace.check(found, kind, message.format(what), function)
        return
    if os.environ.get("CUDA_LAUNCH_BLOCKING") == "1":
        if bool(found):
            first = None if values is None else values[bad][0].item()
            raise kind(message.format(what if first is None else f"{what} {first}"), function=function, got=first)
        return
    note(found, kind, message.format(f"a certain {what}"), what, function)


def note(found: Array, kind: type[Any], message: str, what: str = "", function: str = "") -> None:
    """Make the next read from the GPU raise `kind(message)` if `found`, a 0-d bool, is True."""
    key = (found.device.id, kind, function, what, message)
    with _lock:
        known = flags.get(key)
        flags[key] = found if known is None else known | found


def left_to_program(bad: Array, kind: type[Any], message: str) -> bool:
    """Whether `bad` belongs to a program that is being traced: each run of it raises `kind(message)` if any is True."""
    if isinstance(bad, Symbol):
        refuse(bad, kind, message)
    return isinstance(bad, Symbol)


def refuse_outside(index: Array, low: int, high: int, kind: type[Any], message: str, function: str) -> None:
    """Like `refuse`: IndexError if an index is not in `low` to `high - 1`."""
    with index.device:
        refuse((index < low) | (index >= high), kind, message, "index", index, function)


def settle() -> None:
    """Raise the error of any check that has failed so far."""
    with _lock:
        taken = dict(flags)
        flags.clear()
    for (device, kind, function, what, message), flag in taken.items():
        if bool(flag.get()):
            raise kind(
                f"{message} (found on cuda:{device}, which ran ahead of the program: the call is one since the last value "
                "that was read; CUDA_LAUNCH_BLOCKING=1 makes it raise at once)",
                function=function,
                argument=what,  # of the function that was called then, whoever reads a value now
            )
