"""NumPy's error state, set so that arithmetic warns of nothing: 1/0 is inf and log(-1) is nan, as everywhere in this field.

NumPy keeps what it does about such results in a context variable. `np.errstate` sets it in 3.1 us,
which is as much as a small operation costs in all; setting the variable itself takes 0.5 us.

    token = None
    try:
        token = enter()
        ...
    finally:
        leave(token) if token is not None else lost()

Ctrl-C may come after any call, also after that of `enter` has changed the state and before anybody has the
token: so it stands within the `try`. It may come as a function of Python's begins: so `leave` must be none.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

enter: Callable[[], Any]  # returns a token to leave with
leave: Callable[[Any], None]

try:
    from numpy._core.umath import _extobj_contextvar, _make_extobj
except ImportError:  # an arrangement of NumPy's own, which may change

    def enter() -> Any:
        state = np.errstate(all="ignore")
        state.__enter__()
        return state

    def leave(token: Any) -> None:
        token.__exit__(None, None, None)

    def lost() -> None:
        np.seterr(all="warn", under="ignore")  # NumPy's default

    def remember() -> None:
        pass

else:
    _QUIET = _make_extobj(all="ignore")
    enter = functools.partial(_extobj_contextvar.set, _QUIET)
    leave = _extobj_contextvar.reset

    # What the program has set, as it was when last looked at; at first NumPy's default.
    _default = contextvars.Context().run(_extobj_contextvar.get)
    _loud: contextvars.ContextVar[Any] = contextvars.ContextVar("loud", default=_default)

    def lost() -> None:
        """In the place of `leave` where the token was lost."""
        if _extobj_contextvar.get() is _QUIET:
            _extobj_contextvar.set(_loud.get())

    def remember() -> None:
        """Look at what the program has set, for `lost`. Not done by every operation: it takes 0.04 us."""
        state = _extobj_contextvar.get()
        if state is not _QUIET and state is not _loud.get():
            _loud.set(state)


def quietly(function: F) -> F:
    """`function` without warnings, where the cost of one more call does not matter."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        remember()
        token = None
        try:
            token = enter()
            return function(*args, **kwargs)
        finally:
            leave(token) if token is not None else lost()

    return call  # type: ignore[return-value]
