"""Hooks: functions registered with an object, and the handles that remove them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class RemovableHandle:
    """Removes a hook: by `handle.remove()`, or at the end of a `with` block.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([3.0], requires_grad=True)
    >>> with x.register_hook(lambda g: g * 10):
    ...     (x * 1).backward()
    >>> x.grad
    tensor([10.])
    """

    def __init__(self, hooks: dict[Any, Any]):
        self._hooks = hooks
        self.id = object()  # the hook's key; the handle itself would close a reference cycle

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


ever_hooked = False  # whether anything ever had a hook; a backward pass need not look for any if nothing had


class Hooked:
    """What has hooks: functions of its gradient."""

    __slots__ = ()

    hooks: Any  # a dict, or None

    def add_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` when the gradient is known; what it returns, if anything, replaces it."""
        global ever_hooked
        ever_hooked = True
        hooks = self.hooks = {} if self.hooks is None else self.hooks
        handle = RemovableHandle(hooks)
        retain = hooks.pop("retain", None)
        hooks[handle.id] = hook
        if retain is not None:
            hooks["retain"] = retain
        return handle

    def add_last_hook(self, retain: Callable[[Any], Any]) -> None:
        """Call `retain(gradient)` after all other hooks: `.grad` is to show what they have made of it."""
        global ever_hooked
        ever_hooked = True
        self.hooks = {**(self.hooks or {}), "retain": retain}

    def register_prehook(self, fn: Callable[[tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `fn((gradient,))` before this operation's rules; a tuple that it returns replaces the gradient."""

        def alone(g: Any) -> Any:
            returned = fn((g,))
            return returned[0] if isinstance(returned, tuple) else returned

        return self.add_hook(alone)
