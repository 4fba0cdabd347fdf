"""Hooks of several tensors together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_lite.arrays.hooks import RemovableHandle
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.context import Observer, observers
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.hooks import register_hook


class _Group:
    """Some tensors' hook."""

    def __init__(self, count: int, hook: Callable[[Any], None], all_at_once: bool):
        self.count, self.hook, self.all_at_once = count, hook, all_at_once

    def arrives(self, place: int, g: Any) -> None:
        arrivals = next((o for o in observers.get() if type(o) is _Arrivals and o.group is self and not o.inner), None)
        if arrivals is None:
            observe(arrivals := _Arrivals(self))
            if not self.all_at_once:
                self.hook(g)
        arrivals.gradients[place] = g


class _Arrivals(Observer):
    """The gradients of a group that have arrived in one walk, from the first of them to the walk's end."""

    def __init__(self, group: _Group):
        self.group = group
        self.gradients: list[Any] = [None] * group.count
        self.inner = 0  # walks that began since, and so end before

    def started(self, roots: Any) -> None:
        self.inner += 1

    def finished(self, found: Any) -> None:
        if self.inner:
            self.inner -= 1
            return
        observe_no_more(self)
        if found is not None and self.group.all_at_once:
            self.group.hook(self.gradients)


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
    group = _Group(len(tensors), fn, mode == "all")
    return _Handles([register_hook(t, functools.partial(group.arrives, i)) for i, t in enumerate(tensors)])
