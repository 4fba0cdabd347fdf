"""Finding the operation whose gradient is not a number."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.autograd import backward as _backward
from tinygrad_lite.autograd.recording import listen, listen_no_more
from tinygrad_lite.autograd.table import note_line

__all__ = [
    "detect_anomaly",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "set_anomaly_enabled",
    "set_detect_anomaly",
]


class Checked(dict[Any, Any]):
    """The gradients of a walk, each looked at as it arrives. The walk takes an entry's gradient out
    just before it asks for those of the entry's inputs: so the last one out has sent what arrives."""

    sender: Any = None

    def pop(self, node: Any, *default: Any) -> Any:
        self.sender = node
        return super().pop(node, *default)

    def __setitem__(self, node: Any, gradient: Any) -> None:
        sender = self.sender
        if sender is not None and bool((gradient != gradient).any()):
            line = getattr(sender, "line", "")
            where = f"recorded at {line}" if line else "recorded outside of detect_anomaly()"
            raise RuntimeError(
                f"backward: {sender.name} ({where}) returned nan values in the gradient of its input of shape {node.shape}"
            )
        super().__setitem__(node, gradient)


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
    operation and the line of the program that recorded it (if that was inside the block too).

    It looks at every gradient, so it is for finding a mistake. `check_nan=False`: only note the lines.

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
            self._before = _state
            set_anomaly_enabled(self.mode, self.check_nan)

    def __exit__(self, *exception: object) -> None:
        set_anomaly_enabled(*self._before)
        self._before = None


kinds: list[Any] = [dict, Checked]  # of gradients: as they come, and looked at

_state = (False, True)  # of set_anomaly_enabled


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Note the lines of operations from here on (`mode`), and look at their gradients (`check_nan`)."""
    global _state
    mode, check_nan = bool(mode), bool(check_nan)
    if mode is not _state[0]:
        (listen if mode else listen_no_more)(note_line)
    _backward.new_gradients = kinds[mode and check_nan]
    _state = mode, check_nan


def is_anomaly_enabled() -> bool:
    """Whether `detect_anomaly` is in force."""
    return _state[0]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether `detect_anomaly`, where it is in force, looks at gradients."""
    return _state[1]
