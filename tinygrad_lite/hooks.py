"""Functions that backward calls with a gradient as it passes, or when it has arrived."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_lite.engine.grad import retain_grad, retains_grad
from tinygrad_lite.engine.tape import Leaf, RemovableHandle, Traced

__all__ = ["register_hook", "register_post_accumulate_grad_hook", "retain_grad", "retains_grad"]


def register_hook(input: Traced, hook: Callable[[Traced], Traced | None]) -> RemovableHandle:
    """Call `hook(gradient)` when this tensor's gradient is known; what it returns replaces it.

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
    """Call `hook(tensor)` after a backward has added to this leaf's `.grad`."""
    if type(input.node) is not Leaf:
        raise RuntimeError("register_post_accumulate_grad_hook: expected a leaf that requires grad")
    if input.node.after is None:
        input.node.after = {}
    input.node.array = input.array  # there is a tensor to call it with even if the program drops it
    handle = RemovableHandle(input.node.after)
    input.node.after[handle.id] = hook
    return handle
