"""Starting and stopping observers of what this thread records and differentiates (see engine/context.py)."""

from __future__ import annotations

from tinygrad_lite.engine.context import Observer, observers, set_observers


def observe(observer: Observer) -> None:
    """From here on, call `observer` before the existing ones."""
    set_observers((observer, *observers.get()))


def observe_no_more(observer: Observer) -> None:
    """Undo one `observe(observer)`."""
    watching = list(observers.get())
    watching.remove(observer)
    observers.set(tuple(watching))
