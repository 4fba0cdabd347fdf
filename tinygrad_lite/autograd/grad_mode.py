"""`no_grad` and related switches of recording, one state per thread (and per asyncio task)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any, TypeVar

from tinygrad_lite.engine.context import grad_enabled, is_grad_enabled

F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["enable_grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad", "set_grad_enabled"]


class set_grad_enabled:
    """Switch recording on or off: as a call, from here on; as a context manager, for a block; as a decorator, for each
    call.

    >>> with set_grad_enabled(False):
    ...     is_grad_enabled()
    False
    """

    def __init__(self, mode: bool):
        self.mode = bool(mode)
        before = grad_enabled.get()
        self._before = [before]
        try:  # as in _Switch
            grad_enabled.set(self.mode)
        except BaseException:
            grad_enabled.set(before)
            raise

    def __enter__(self) -> None:
        grad_enabled.set(self.mode)

    def __exit__(self, *exception: object) -> None:
        grad_enabled.set(self._before[-1])
        self._before.pop()

    def __call__(self, function: F) -> F:
        grad_enabled.set(self._before.pop())  # using it as a decorator must not switch anything here
        return _decorated(function, lambda: set_grad_enabled(self.mode), self.mode)


class _Switch:
    """A context manager and decorator that sets recording to `mode`."""

    mode: bool

    def __init__(self) -> None:
        self._before: list[bool] = []  # a stack, because an object may be entered again inside itself

    def __enter__(self) -> None:
        before = grad_enabled.get()
        self._before.append(before)
        try:
            grad_enabled.set(self.mode)
        except BaseException:  # Ctrl-C may come after any call, and then no block would restore it
            grad_enabled.set(before)
            raise

    def __exit__(self, *exception: object) -> None:
        grad_enabled.set(self._before[-1])  # first, for the same reason
        self._before.pop()

    def __call__(self, function: F) -> F:
        return _decorated(function, type(self), self.mode)

    def __new__(cls, function: Any = None, *args: Any) -> Any:
        # `@no_grad` without parentheses is a common spelling.
        if callable(function):
            return _decorated(function, cls, cls.mode)
        return super().__new__(cls)


class no_grad(_Switch):
    """Record nothing: results do not require grad.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """

    mode = False


class enable_grad(_Switch):
    """Record again inside a `no_grad` block.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([3.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     with enable_grad():
    ...         y = x * x
    ...     z = x * x
    >>> y.requires_grad, z.requires_grad
    (True, False)
    """

    mode = True


_inference = ContextVar("inference_mode", default=False)
is_inference_mode_enabled = _inference.get


class inference_mode(_Switch):
    """`no_grad` under the name that PyTorch programs use for inference; `mode=False` is `enable_grad`.

    >>> with inference_mode():
    ...     is_inference_mode_enabled(), is_grad_enabled()
    (True, False)
    """

    mode = False

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls, mode)

    def __init__(self, mode: bool = True):
        super().__init__()
        self.mode = not mode
        self._outside: list[bool] = []

    def __enter__(self) -> None:
        outside, before = _inference.get(), grad_enabled.get()
        try:
            self._outside.append(outside)
            self._before.append(before)
            _inference.set(not self.mode)
            grad_enabled.set(self.mode)
        except BaseException:
            grad_enabled.set(before)
            _inference.set(outside)
            raise

    def __exit__(self, *exception: object) -> None:
        grad_enabled.set(self._before[-1])
        _inference.set(self._outside[-1])
        self._before.pop()
        self._outside.pop()

    def __call__(self, function: F) -> F:
        return _decorated(function, lambda: inference_mode(not self.mode))


def _decorated(function: F, context: Callable[[], Any], mode: bool | None = None) -> F:
    """`function` wrapped in `context()`; `mode`, if given, is all that the context sets."""
    if isinstance(function, type):
        raise TypeError(f"expected a function to decorate, got the class {function.__name__}; decorate its methods")
    if inspect.isgeneratorfunction(function):
        return _decorated_generator(function, context)  # type: ignore[return-value]

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        before = grad_enabled.get()
        try:
            if mode is None:
                with context():
                    return function(*args, **kwargs)
            grad_enabled.set(mode)  # saves 1 us, which counts in an optimizer's step
            return function(*args, **kwargs)
        finally:  # also if Ctrl-C comes as __exit__ starts
            grad_enabled.set(before)

    return wrapped  # type: ignore[return-value]


def _decorated_generator(function: Callable[..., Any], context: Callable[[], Any]) -> Callable[..., Any]:
    # The mode applies while the generator's code runs, not while its consumer's does.
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        resume: Callable[[], Any] = generator.__next__
        try:
            while True:
                with context():
                    try:
                        item = resume()
                    except StopIteration as stop:
                        return stop.value
                try:
                    sent = yield item
                    resume = functools.partial(generator.send, sent)
                except GeneratorExit:
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)
        finally:
            with context():
                generator.close()

    return wrapped
