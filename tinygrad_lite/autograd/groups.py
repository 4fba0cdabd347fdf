"""Hooks of several tensors together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from tinygrad_lite.autograd.hooks import register_hook
from tinygrad_lite.engine.grad import wrap_walks
from tinygrad_lite.engine.handles import RemovableHandle
from tinygrad_lite.engine.tape import Traced

# The gradients that have arrived in the walk that is going on, for each group of tensors.
_arrived: ContextVar[dict[_Group, list[Any]]] = ContextVar("arrived")


class _Group:
    """Some tensors' hook."""

    def __init__(self, count: int, hook: Callable[[Any], None], all_at_once: bool):
        self.count, self.hook, self.all_at_once = count, hook, all_at_once

    def arrives(self, place: int, g: Any) -> None:
        arrived = _arrived.get()
        if not self.all_at_once and self not in arrived:
            self.hook(g)
        arrived.setdefault(self, [None] * self.count)[place] = g


class _Handles(RemovableHandle):
    """Takes a group's hook out of all its tensors."""

    def __init__(self, handles: list[RemovableHandle]):
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(tensors: Sequence[Traced], fn: Callable[[Any], None], *, mode: str = "all") -> RemovableHandle:
    """Call `fn` in each backward that reaches one of `tensors`: with the list of their gradients, None where none
    arrived (`mode="all"`), or with the gradient that is known first (`mode="any"`).

    >>> import tinygrad_lite as tg
    >>> x, y, z = (tg.ones((), requires_grad=True) for _ in range(3))
    >>> handle = register_multi_grad_hook((x, y, z), print)
    >>> (2 * x + 3 * y).backward()
    [tensor(2.), tensor(3.), None]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"register_multi_grad_hook: expected mode 'all' or 'any', got {mode!r}")
    if any(not isinstance(t, Traced) or t.node is None for t in tensors):
        raise RuntimeError("register_multi_grad_hook: expected Tensors that require grad")
    _watch_walks()
    group = _Group(len(tensors), fn, mode == "all")
    return _Handles([register_hook(t, functools.partial(group.arrives, i)) for i, t in enumerate(tensors)])


@functools.cache
def _watch_walks() -> None:
    """From here on, tell groups when a walk is over. Programs without any are not to pay for it."""
    wrap_walks(_watched)


def _watched(walk: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        token = _arrived.set({})
        try:
            found = walk(*args)
            for group, gradients in _arrived.get().items():
                if group.all_at_once:
                    group.hook(gradients)
            return found
        finally:
            _arrived.reset(token)

    return call
