"""Finding the operation whose gradient, or result, is not a number."""

from __future__ import annotations

import warnings
from contextvars import ContextVar
from typing import Any

from tinygrad_lite.arrays import is_array
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.autograd.table import Lines, depth_of_the_program
from tinygrad_lite.engine.tape import Node
from tinygrad_lite.engine.walk import operations_behind

__all__ = [
    "detect_anomaly",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "set_anomaly_enabled",
    "set_detect_anomaly",
]


class _Search(Lines):
    """Looks at every result, and at every gradient as it arrives."""

    def recorded(self, node: Node, arguments: Any, result: Any) -> None:
        super().recorded(node, arguments, result)
        if _has_nan(result):
            node.nan = "was the first to take it from its arguments" if any(map(_has_nan, arguments)) else "made the first"

    def started(self, roots: Any) -> None:
        _walks.set((*_walks.get(), [node for node, _ in roots]))

    def arrived(self, node: Any, gradient: Any, sender: Node) -> None:
        if bool((gradient != gradient).any()):
            raise RuntimeError(
                f"backward: {sender.name} ({_where(sender)}) returned nan values in the gradient of its input of shape "
                f"{node.shape}{_origin(_walks.get()[-1], '; the forward had nan already: ')}"
            )

    def finished(self, found: Any) -> None:
        """Where the tensor that was differentiated has nan though its gradients have not, say which operation made it."""
        *outer, roots = _walks.get()
        _walks.set(tuple(outer))
        root = next((node for node in roots if getattr(node, "nan", "")), None)
        if found is not None and root is not None:
            text = _origin(roots, f"backward: the tensor of shape {root.shape} that was differentiated has nan: ")
            warnings.warn(text, stacklevel=depth_of_the_program())


# The roots of this thread's walks, the innermost last.
_walks: ContextVar[tuple[list[Any], ...]] = ContextVar("walks", default=())


def _origin(roots: list[Any], before: str) -> str:
    """The first operation whose result had nan, in words after `before`; or nothing."""
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
    """Switch the search of `detect_anomaly` on or off: from here on, or for a `with` block.

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
    """Inside this block a backward raises at the first gradient with a nan in it, and names the
    operation and the line of the program that recorded it (if that was inside the block too). Where the
    forward had nan already, it also names the operation that made the first one, and where only the
    forward had (the gradients of a nan may be numbers), it warns and names it.

    It looks at every result and gradient of this thread, so it is for finding a mistake. `check_nan=False`:
    only note the lines.

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
        if self._before is None:  # else set_detect_anomaly() has entered already
            self._before = _state.get()
            set_anomaly_enabled(self.mode, self.check_nan)

    def __exit__(self, *exception: object) -> None:
        set_anomaly_enabled(*self._before)
        self._before = None


_observers = Lines(), _Search()

# Of this thread: what set_anomaly_enabled was given.
_state: ContextVar[tuple[bool, bool]] = ContextVar("anomaly", default=(False, True))


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Note the lines of operations that this thread records from here on (`mode`), and look at their
    results and gradients (`check_nan`)."""
    before, checked = _state.get()
    mode, check_nan = bool(mode), bool(check_nan)
    if before:
        observe_no_more(_observers[checked])
    if mode:
        observe(_observers[check_nan])
    _state.set((mode, check_nan))


def is_anomaly_enabled() -> bool:
    """Whether `detect_anomaly` is in force in this thread."""
    return _state.get()[0]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether `detect_anomaly`, where it is in force, looks at gradients."""
    return _state.get()[1]
