"""State of a thread or asyncio task: whether operations are recorded, and the observers."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

# Every operation reads it: ContextVar.get takes 54 ns, an attribute of threading.local 181 ns.
grad_enabled = ContextVar("grad_enabled", default=True)
is_grad_enabled = grad_enabled.get


class recording:
    """Record operations inside this block, or (`recording(False)`) do not."""

    __slots__ = ("before", "mode")

    def __init__(self, mode: bool = True):
        self.mode = mode

    def __enter__(self) -> None:
        self.before = grad_enabled.get()
        try:
            grad_enabled.set(self.mode)
        except BaseException:  # Ctrl-C may come after the call, and then no block would restore it
            grad_enabled.set(self.before)
            raise

    def __exit__(self, *exception: object) -> None:
        grad_enabled.set(self.before)


class Observer:
    """Base class of observers of what this thread records and differentiates."""

    packs = False  # whether it replaces what a node saves; then it is called once the node is final

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        """An operation was recorded."""

    def started(self, roots: Any) -> None:
        """A walk starts at `roots`, pairs of node and cotangent."""

    def reached(self, node: Any, gradient: Any) -> None:
        """The walk is at `node`, with all of its gradient: its rules come next."""

    def arrived(self, node: Any, gradient: Any, sender: Any, part: Any) -> None:
        """A rule of `sender` has added `part` to the gradient of `node`, which is now `gradient`."""

    def finished(self, found: dict[Any, Any] | None) -> None:
        """The walk has ended, with these gradients, or None after an error."""


observers: ContextVar[tuple[Observer, ...]] = ContextVar("observers", default=())
ever_observed = False  # in any thread; every operation tests it, which takes a sixth of the time of ContextVar.get


def set_observers(watching: tuple[Observer, ...]) -> None:
    global ever_observed
    ever_observed = True
    observers.set(watching)
