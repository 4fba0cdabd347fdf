"""What holds for a thread, or an asyncio task: whether operations are recorded, and who watches."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

# For each thread and each asyncio task. Every operation asks once: ContextVar.get takes 54 ns, threading.local 181.
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
        except BaseException:  # Ctrl-C may come after any call: then no block is entered, and none would set it back
            grad_enabled.set(self.before)
            raise

    def __exit__(self, *exception: object) -> None:
        grad_enabled.set(self.before)


class Observer:
    """Someone who watches what this thread records and differentiates; a subclass says what it looks at.

    `packs`: it replaces what an entry saves, and so is told of the entry once that is final.
    """

    packs = False

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        """An operation was recorded."""

    def started(self, roots: Any) -> None:
        """A walk begins at `roots`, pairs of entry and cotangent."""

    def arrived(self, node: Any, gradient: Any, sender: Any) -> None:
        """A rule of `sender` has added to the gradient of `node`, which is `gradient` now."""

    def finished(self, found: dict[Any, Any] | None) -> None:
        """That walk has ended, with these gradients; or (None) by an error."""


observers: ContextVar[tuple[Observer, ...]] = ContextVar("observers", default=())


def observe(observer: Observer) -> None:
    """From here on tell `observer`, before those who watch already."""
    observers.set((observer, *observers.get()))


def observe_no_more(observer: Observer) -> None:
    """Undo one `observe(observer)`."""
    watching = list(observers.get())
    watching.remove(observer)
    observers.set(tuple(watching))
