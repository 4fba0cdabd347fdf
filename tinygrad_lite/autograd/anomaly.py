"""Anomaly detection: finds the operation whose gradient or result contains nan."""

from __future__ import annotations

import warnings
from contextvars import ContextVar
from typing import Any

from tinygrad_lite.arrays import is_array
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.autograd.table import Lines, depth_of_the_program
from tinygrad_lite.engine.tape import Node
from tinygrad_lite.engine.walk import operations_behind

__all__ = ["detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_anomaly_enabled", "set_detect_anomaly"]


class _Search(Lines):
    """Checks every result, and every gradient as it arrives."""

    def recorded(self, node: Node, arguments: Any, result: Any) -> None:
        super().recorded(node, arguments, result)
        if _has_nan(result):
            node.nan = "was the first to take it from its arguments" if any(map(_has_nan, arguments)) else "made the first"

    def started(self, roots: Any) -> None:
        _walks.set((*_walks.get(), [node for node, _ in roots]))

    def arrived(self, node: Any, gradient: Any, sender: Node, part: Any) -> None:
        if bool((gradient != gradient).any()):
            raise RuntimeError(
                f"backward: {sender.name} ({_where(sender)}) returned nan values in the gradient of its input of shape "
                f"{node.shape}{_origin(_walks.get()[-1], '; the forward had nan already: ')}"
            )

    def finished(self, found: Any) -> None:
        """If the differentiated tensor has nan but its gradients do not, warn with the operation that produced it."""
        *outer, roots = _walks.get()
        _walks.set(tuple(outer))
        root = next((node for node in roots if getattr(node, "nan", "")), None)
        if found is not None and root is not None:
            text = _origin(roots, f"backward: the tensor of shape {root.shape} that was differentiated has nan: ")
            warnings.warn(text, stacklevel=depth_of_the_program())


# The roots of this thread's backward passes, innermost last.
_walks: ContextVar[tuple[list[Any], ...]] = ContextVar("walks", default=())


def _origin(roots: list[Any], before: str) -> str:
    """`before` and the first operation whose result had nan, or "" if none did."""
    first = next((node for node in operations_behind(roots) if getattr(node, "nan", "")), None)
    return "" if first is None else f"{before}{first.name} ({_where(first)}) {first.nan}"


def _where(node: Any) -> str:
    line = getattr(node, "line", "")
    return f"recorded at {line}" if line else "recorded outside of detect_anomaly()"


def _has_nan(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(map(_has_nan, value))
    return is_array(value) and value.dtype.kind in "fc" and bool((value != value).any())


def set_detect_anomaly(mode: bool, check_nan: bool = True) -> detect_anomaly:
    """Switch `detect_anomaly` on or off, from here on or for a `with` block.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([0.0], requires_grad=True)
    >>> with set_detect_anomaly(True):
    ...     try:
    ...         (x.sqrt() * 0).backward()
    ...     except RuntimeError as error:
    ...         print("nan" in str(error))
    True
    """
    switch = detect_anomaly(check_nan)
    switch.mode = mode
    switch.__enter__()
    return switch


class detect_anomaly:
    """Inside this block, backward raises at the first gradient that contains nan, and names the operation and the line of
    the program that recorded it (if recorded inside the block). If the forward pass already had nan, it also names the
    operation that produced it first; if only the forward pass had nan, it warns and names that operation.

    It checks every result and gradient of this thread, so use it only for debugging. `check_nan=False`: only record the
    lines.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([0.0, 1.0], requires_grad=True)
    >>> with detect_anomaly():
    ...     (x.sqrt() * 0).sum().backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: backward: sqrt (recorded at ...) returned nan values in the gradient of its input of shape (2,)
    """

    mode = True

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan
        self._before: Any = None

    def __enter__(self) -> None:
        if self._before is None:  # otherwise set_detect_anomaly() has already entered
            self._before = _state.get()
            set_anomaly_enabled(self.mode, self.check_nan)

    def __exit__(self, *exception: object) -> None:
        set_anomaly_enabled(*self._before)
        self._before = None


_observers = Lines(), _Search()

# The arguments of set_anomaly_enabled, per thread.
_state: ContextVar[tuple[bool, bool]] = ContextVar("anomaly", default=(False, True))


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """From here on, record the lines of this thread's operations (`mode`), and check their results and gradients
    (`check_nan`)."""
    before, checked = _state.get()
    mode, check_nan = bool(mode), bool(check_nan)
    if before:
        observe_no_more(_observers[checked])
    if mode:
        observe(_observers[check_nan])
    _state.set((mode, check_nan))


def is_anomaly_enabled() -> bool:
    """Whether `detect_anomaly` is active in this thread."""
    return _state.get()[0]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether an active `detect_anomaly` checks gradients."""
    return _state.get()[1]
