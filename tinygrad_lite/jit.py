"""The decorators of TorchScript: what they mark runs as the Python that it is."""

from __future__ import annotations

from typing import Any, Final

from tinygrad_lite.compat.switches import compile as _compiled

__all__ = ["Final", "export", "ignore", "is_scripting", "is_tracing", "script", "unused"]


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """`obj` (a module, a function or a class) itself: there is no compiler, and the results are the same."""
    return _compiled(obj)


def export(fn: Any) -> Any:
    """`fn` itself."""
    return fn


def unused(fn: Any) -> Any:
    """`fn` itself: in Python it may be called."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The function itself; with and without arguments, as a decorator."""
    return drop if callable(drop) else export


def is_scripting() -> bool:
    """False: this is always Python."""
    return False


def is_tracing() -> bool:
    """False."""
    return False
