"""Hooks that backward calls with a gradient as it passes, or once it has arrived."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from tinygrad_lite.arrays.hooks import RemovableHandle
from tinygrad_lite.engine.context import recording
from tinygrad_lite.engine.grad import cloned
from tinygrad_lite.engine.tape import Leaf, Node, Traced


def register_hook(input: Traced, hook: Callable[[Traced], Traced | None]) -> RemovableHandle:
    """Call `hook(gradient)` when this tensor's gradient is known; a returned value replaces it.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> handle = x.register_hook(lambda g: 10 * g)
    >>> x.sum().backward()
    >>> x.grad
    tensor([10., 10.])
    """
    if input.node is None:
        raise RuntimeError("register_hook: this tensor does not require grad")
    return input.node.add_hook(hook)


def register_post_accumulate_grad_hook(input: Traced, hook: Callable[[Traced], None]) -> RemovableHandle:
    """Call `hook(tensor)` after backward has added to this leaf's `.grad`."""
    if type(input.node) is not Leaf:
        raise RuntimeError("register_post_accumulate_grad_hook: expected a leaf that requires grad")
    if input.node.after is None:
        input.node.after = {}
    input.node.array = input.array  # so that there is a tensor to pass even if the program drops it
    handle = RemovableHandle(input.node.after)
    input.node.after[handle.id] = hook
    return handle


def retain_grad(input: Traced) -> None:
    """Keep the `.grad` of this non-leaf tensor too."""
    if input.node is None:
        raise RuntimeError("retain_grad: this tensor does not require grad")
    if type(input.node) is Leaf or retains_grad(input):
        return
    input.node.add_last_hook(_Retained(input))


def retains_grad(input: Traced) -> bool:
    """Whether `retain_grad` was called on this non-leaf tensor."""
    return type(input.node) is Node and "retain" in (input.node.hooks or {})


class _Retained:
    """The hook of a tensor that keeps its gradient, wherever in-place changes move it on the tape."""

    __slots__ = ("tensor",)

    def __init__(self, x: Traced):
        self.tensor = weakref.ref(x)  # holding the tensor would be a reference cycle with its node

    def __call__(self, g: Traced) -> None:
        tensor = self.tensor()
        if tensor is not None:
            known = tensor._grad
            with recording(g.node is not None):
                tensor._grad = cloned(g) if known is None else g + known
