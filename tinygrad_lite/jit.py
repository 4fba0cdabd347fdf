"""TorchScript's decorators: functions run as ordinary Python."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["Final", "export", "ignore", "is_scripting", "is_tracing", "script", "unused"]


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """`obj` (a module, function or class) itself: there is no compiler, and results are the same."""
    if not callable(obj):
        raise TypeError(f"script: expected a module, a function or a class, got {type(obj).__name__}")
    return obj


def export(fn: Any) -> Any:
    """`fn` itself."""
    return fn


def unused(fn: Any) -> Any:
    """`fn` itself: it may be called in Python."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The function itself; usable as a decorator with and without arguments."""
    return drop if callable(drop) else export


def is_scripting() -> bool:
    """False: this is always Python."""
    return False


def is_tracing() -> bool:
    """False."""
    return False
