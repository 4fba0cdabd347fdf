"""Hooks of an entry of the tape, and what takes them out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class RemovableHandle:
    """Takes a hook out again: `handle.remove()`, or leaving a `with` block.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([3.0], requires_grad=True)
    >>> with x.register_hook(lambda g: g * 10):
    ...     (x * 1).backward()
    >>> x.grad
    tensor([10.])
    """

    def __init__(self, hooks: dict[Any, Any]):
        self._hooks = hooks
        self.id = object()  # the hook's key: the handle itself as one would close a circle

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def hooked(node: Any, hook: Callable[[Any], Any]) -> RemovableHandle:
    """Call `hook(gradient)` when the gradient of this entry is known."""
    if node.hooks is None:
        node.hooks = {}
    hooks = node.hooks
    handle = RemovableHandle(hooks)
    retain = hooks.pop("retain", None)
    hooks[handle.id] = hook
    if retain is not None:  # what is retained is what the hooks made of it
        hooks["retain"] = retain
    return handle


class Hookable:
    """What an entry of the tape has for hooks of its own."""

    __slots__ = ()

    def register_prehook(self, fn: Callable[[tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `fn((gradient,))` before this operation's rules are; the tuple that it returns, if any, replaces it.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> y = x * x
        >>> handle = y.grad_fn.register_prehook(lambda gradients: (10 * gradients[0],))
        >>> y.sum().backward()
        >>> x.grad
        tensor([20., 40.])
        """

        def alone(g: Any) -> Any:
            returned = fn((g,))
            return returned[0] if isinstance(returned, tuple) else returned

        return hooked(self, alone)
