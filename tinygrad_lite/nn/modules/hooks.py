"""Hooks that a module calls before and after its forward and backward computation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.hooks import RemovableHandle
from tinygrad_lite.autograd import Function
from tinygrad_lite.autograd.grad_mode import is_grad_enabled
from tinygrad_lite.nn.modules.registry import Holder


class Hooks:
    """The hooks of one module. A module without hooks has no such object, and no overhead."""

    def __init__(self) -> None:
        self.by_kind: dict[str, dict[Any, tuple[Callable[..., Any], dict[str, bool]]]] = {}

    def add(self, kind: str, hook: Callable[..., Any], prepend: bool = False, **options: bool) -> RemovableHandle:
        hooks = self.by_kind.setdefault(kind, {})
        handle = RemovableHandle(hooks)
        later = list(hooks.items()) if prepend else []
        for other, _ in later:
            del hooks[other]
        hooks[handle.id] = hook, options
        hooks.update(later)
        return handle

    def copy(self) -> Hooks:
        copied = Hooks()
        copied.by_kind = {kind: dict(hooks) for kind, hooks in self.by_kind.items()}
        return copied

    def of(self, kind: str) -> list[tuple[Callable[..., Any], dict[str, bool]]]:
        return list(self.by_kind.get(kind, {}).values())

    def call(self, module: Holder, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`module.forward`, with all of its hooks."""
        for hook, options in self.of("forward_pre"):
            args, kwargs = _before(hook, options, module, args, kwargs)
        boundary = Boundary(module, self) if self.of("backward") or self.of("backward_pre") else None
        if boundary is not None:
            args = boundary.enter(args)
        called, output = 0, None
        hooks = self.of("forward")
        try:
            output = module.forward(*args, **kwargs)
            for hook, options in hooks:
                called += 1
                returned = hook(module, args, kwargs, output) if options["with_kwargs"] else hook(module, args, output)
                output = output if returned is None else returned
        except Exception:
            for hook, options in hooks[called:]:
                if options["always_call"]:
                    _ = hook(module, args, kwargs, output) if options["with_kwargs"] else hook(module, args, output)
            raise
        return output if boundary is None else boundary.leave(output)


def hooks_of(module: Holder, kind: str) -> list[Callable[..., Any]]:
    """The hooks of one kind; none if the module has no hooks."""
    hooks = module._registered_hooks
    return [] if hooks is None else [hook for hook, _ in hooks.of(kind)]


def add_hook(module: Holder, kind: str, hook: Callable[..., Any], prepend: bool = False, **options: bool) -> RemovableHandle:
    """Register `hook` for an event: "forward_pre", "forward", "backward_pre", "backward", "load", ..."""
    hooks = module._registered_hooks
    if hooks is None:
        module.__dict__["_registered_hooks"] = hooks = Hooks()
    return hooks.add(kind, hook, prepend, **options)


def _before(
    hook: Callable[..., Any], options: dict[str, bool], module: Holder, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not options["with_kwargs"]:
        returned = hook(module, args)
        if returned is None:
            return args, kwargs
        return returned if isinstance(returned, tuple) else (returned,), kwargs
    returned = hook(module, args, kwargs)
    if returned is None:
        return args, kwargs
    if not (isinstance(returned, tuple) and len(returned) == 2):
        raise RuntimeError(f"forward pre-hook: expected None or a tuple (args, kwargs) to be returned, got {returned!r}")
    return returned


class Boundary:
    """Where gradients enter and leave a module in one call of it: two entries on the tape that pass everything on, and
    call the hooks during backward."""

    def __init__(self, module: Holder, hooks: Hooks):
        self.module, self.hooks = module, hooks
        self.grad_output: tuple[Any, ...] = ()
        self.inputs: int | None = None  # their number, if none of them needs a gradient

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if not is_grad_enabled() or not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            self.inputs = len(args)
            return args
        return _passed(args, self._at_input)

    def leave(self, output: Any) -> Any:
        several = isinstance(output, (tuple, list))
        outputs = _passed(tuple(output) if several else (output,), self._at_output)
        return type(output)(outputs) if type(output) in (tuple, list) else output if several else outputs[0]

    def _at_output(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, _ in self.hooks.of("backward_pre"):
            gradients = _replaced("backward pre-hook", gradients, hook(self.module, gradients))
        self.grad_output = gradients
        if self.inputs is not None:
            for hook, _ in self.hooks.of("backward"):
                if hook(self.module, (None,) * self.inputs, gradients) is not None:
                    raise RuntimeError("backward hook: no input of the module needs a gradient, so none can be replaced")
        return gradients

    def _at_input(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, _ in self.hooks.of("backward"):
            gradients = _replaced("backward hook", gradients, hook(self.module, gradients, self.grad_output))
        self.grad_output = ()
        return gradients


def _replaced(name: str, gradients: tuple[Any, ...], returned: Any) -> tuple[Any, ...]:
    if returned is None:
        return gradients
    returned = returned if isinstance(returned, tuple) else (returned,)
    if len(returned) != len(gradients):
        raise RuntimeError(f"{name}: expected {len(gradients)} gradients (or None) to be returned, got {len(returned)}")
    for before, after in zip(gradients, returned):
        if after is not None and not isinstance(after, Tensor):
            raise TypeError(f"{name}: expected a Tensor or None to be returned, got {type(after).__name__}")
        if before is not None and after is not None and (after.shape, after.dtype) != (before.shape, before.dtype):
            raise RuntimeError(
                f"{name}: expected a gradient of shape {tuple(before.shape)} and dtype {before.dtype} to be returned, "
                f"got {tuple(after.shape)} and {after.dtype}"
            )
    return returned


def _passed(values: tuple[Any, ...], on_the_way_back: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> tuple[Any, ...]:
    """`values`, one entry further on the tape. The function there sees a gradient (or None) for each of them, and
    returns the gradients to continue with."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not places or not is_grad_enabled():
        return values

    def backward(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        known = dict(zip(places, gradients))
        returned = on_the_way_back(tuple(known.get(i) for i in range(len(values))))
        return tuple(returned[i] for i in places)

    passed = list(values)
    for i, tensor in zip(places, _Passage.apply(backward, *[values[i] for i in places])):
        passed[i] = tensor
    return tuple(passed)


class _Passage(Function):
    @staticmethod
    def forward(ctx: Any, backward: Any, *tensors: Any) -> Any:
        ctx.set_materialize_grads(False)
        ctx.on_the_way_back = backward
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (None, *ctx.on_the_way_back(gradients))
