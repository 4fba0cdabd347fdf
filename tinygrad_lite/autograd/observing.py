"""Beginning and ending to watch what this thread records and differentiates (engine/context.py says what is told)."""

from __future__ import annotations

from tinygrad_lite.engine.context import Observer, observers


def observe(observer: Observer) -> None:
    """Tell `observer` from now on, before those who already watch."""
    observers.set((observer, *observers.get()))


def observe_no_more(observer: Observer) -> None:
    """Undo one `observe(observer)`."""
    watching = list(observers.get())
    watching.remove(observer)
    observers.set(tuple(watching))
