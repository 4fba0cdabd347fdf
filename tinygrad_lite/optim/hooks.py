"""Hooks: functions that are called around an optimizer's steps, and around saving and loading its state."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tinygrad_lite.arrays import gpu
from tinygrad_lite.arrays.hooks import RemovableHandle


class Hooks:
    """The part of Optimizer that runs hooks and counts the steps made in `updates`.

    The `step` of every subclass is wrapped when the class is defined, because a subclass may override `step` without
    calling the one above it, and its hooks must run all the same, as in PyTorch.
    """

    # For optimizers that wrap another without calling __init__.
    updates = 0
    param_groups: Any
    _in_step = False
    _step_pre_hooks: Any = MappingProxyType({})
    _step_post_hooks: Any = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.step)  # type: ignore[attr-defined]

    def _make_hooks(self) -> None:
        self._in_step = False
        self._step_pre_hooks = OrderedDict()
        self._step_post_hooks = OrderedDict()
        self._state_dict_hooks: Any = {name: OrderedDict() for name in ("pre", "post", "load_pre", "load_post")}

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return other `(args, kwargs)`."""
        return _hooked(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _hooked(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict`."""
        return _hooked(self._state_dict_hooks["pre"], hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` after `state_dict`; what it returns takes its place."""
        return _hooked(self._state_dict_hooks["post"], hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before `load_state_dict`; what it returns takes its place."""
        return _hooked(self._state_dict_hooks["load_pre"], hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after `load_state_dict`."""
        return _hooked(self._state_dict_hooks["load_post"], hook, prepend)


def _hooked(hooks: Any, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


_global_pre_hooks: Any = OrderedDict()
_global_post_hooks: Any = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before each step of any optimizer.

    >>> import tinygrad_lite as tg
    >>> handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print("before"))
    >>> tg.optim.SGD([tg.ones(1, requires_grad=True)]).step()
    before
    >>> handle.remove()
    """
    return _hooked(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after each step of any optimizer.

    >>> import tinygrad_lite as tg
    >>> handle = register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print("after"))
    >>> tg.optim.SGD([tg.ones(1, requires_grad=True)]).step()
    after
    >>> handle.remove()
    """
    return _hooked(_global_post_hooks, hook)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """A `step` with the hooks around it."""

    @functools.wraps(step)
    def hooked(self: Hooks, *args: Any, **kwargs: Any) -> Any:
        if self._in_step:  # super().step()
            return step(self, *args, **kwargs)
        if _global_pre_hooks or self._step_pre_hooks:
            args, kwargs = _after_pre_hooks(self, args, kwargs)
        self._in_step = True
        try:
            if gpu.several:
                with gpu.at_home(self.param_groups[0]["params"]):
                    result = step(self, *args, **kwargs)
            else:
                result = step(self, *args, **kwargs)
        finally:
            self._in_step = False
        self.updates += 1
        if _global_post_hooks or self._step_post_hooks:
            for hook in (*self._step_post_hooks.values(), *_global_post_hooks.values()):
                hook(self, args, kwargs)
        return result

    return hooked


def _after_pre_hooks(self: Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The arguments of `step` as its pre-hooks leave them."""
    for hook in (*_global_pre_hooks.values(), *self._step_pre_hooks.values()):
        changed = hook(self, args, kwargs)
        if changed is not None:
            if not isinstance(changed, tuple) or len(changed) != 2:
                name = type(self).__name__
                raise RuntimeError(f"{name}: a step pre-hook must return None or (args, kwargs), got {changed!r}")
            args, kwargs = changed
    return args, kwargs
