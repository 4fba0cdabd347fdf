"""Checks of values on a GPU, without waiting for it.

A GPU works on while Python goes ahead; to look at a value is to wait for all of it. So a check of values
there (is an index in range?) only leaves a flag on the GPU, and whoever next reads a value from it looks at
the flags first. With CUDA_LAUNCH_BLOCKING=1 in the environment, as for PyTorch, every check waits at once.
"""

from __future__ import annotations

import os
import threading
from typing import Any

Array = Any  # of CuPy

# For each kind of failure on each GPU: a 0-d bool there, whether it happened.
flags: dict[tuple[int, type[Exception], str], Array] = {}
_lock = threading.Lock()


def refuse(bad: Array, kind: type[Exception], message: str, what: str = "", values: Array = None) -> None:
    """Let the next reading of a value from the GPU raise `kind(message)` if any of `bad` (CuPy, bool) is True.

    "{}" in the message stands for `what` the values are, with the first bad one of `values` where it is known.
    """
    found = bad.any()
    if os.environ.get("CUDA_LAUNCH_BLOCKING") == "1":
        if bool(found):
            raise kind(message.format(f"{what} {values[bad][0].item()}" if values is not None else what))
        return
    key = (found.device.id, kind, message.format(f"a certain {what}"))
    with _lock:
        known = flags.get(key)
        flags[key] = found if known is None else known | found


def refuse_outside(index: Array, low: int, high: int, message: str) -> None:
    """`refuse` with an IndexError where an index does not lie in `low` to `high - 1`."""
    with index.device:
        refuse((index < low) | (index >= high), IndexError, message, "index", index)


def settle() -> None:
    """Raise for what was found meanwhile."""
    with _lock:
        taken = dict(flags)
        flags.clear()
    for (device, kind, message), flag in taken.items():
        if bool(flag.get()):
            raise kind(
                f"{message} (found on cuda:{device}, which ran ahead of the program: the call is one since the last value "
                "that was read; CUDA_LAUNCH_BLOCKING=1 makes it raise at once)"
            )
