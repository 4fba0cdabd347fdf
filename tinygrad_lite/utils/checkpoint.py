"""Activation checkpointing: backward recomputes activations instead of keeping them, trading time for memory.

T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.changes import change_since, tick
from tinygrad_lite.autograd.grad_mode import enable_grad, is_grad_enabled
from tinygrad_lite.autograd.graph import saved_tensors_hooks
from tinygrad_lite.ops.random.generators import generators

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]


class CheckpointError(RuntimeError):
    """The function behaved differently when it was run again."""


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """Call `function(*args, **kwargs)` without keeping its intermediate values on the tape; backward runs the function
    again to recompute them.

    `preserve_rng_state`: use the same random numbers in the second run. `context_fn` returns the contexts for the
    first and for the second run. `determinism_check="none"` skips the comparison of shapes and dtypes. `early_stop`:
    the second run stops as soon as it has recomputed everything that was saved. `use_reentrant` and `debug` are
    accepted and ignored.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> y = checkpoint(lambda x: (x * x).exp().log(), x, use_reentrant=False)
    >>> y.sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint: determinism_check must be 'default' or 'none', got {determinism_check!r}")
    if use_reentrant and kwargs:
        raise ValueError(f"checkpoint: unexpected keyword arguments with use_reentrant=True: {', '.join(kwargs)}")
    if use_reentrant and context_fn is not None:
        raise ValueError("checkpoint: context_fn needs use_reentrant=False")
    if not is_grad_enabled():
        return function(*args, **kwargs)
    first, second = context_fn() if context_fn is not None else (contextlib.nullcontext(), contextlib.nullcontext())
    segment = _Segment(function, args, kwargs, second, preserve_rng_state, determinism_check == "default", early_stop)
    with saved_tensors_hooks(segment.pack, segment.unpack), first:
        return function(*args, **kwargs)


class _Segment:
    """One call under `checkpoint`. In place of each array that the tape would have saved, it keeps a number."""

    def __init__(self, function: Any, args: Any, kwargs: Any, context: Any, preserve_rng_state: bool, check: bool, early_stop: bool):
        self.call = function, args, kwargs
        self.context = context
        self.rng = [(g, g.get_state()) for g in generators()] if preserve_rng_state else []
        self.started = tick()
        self.check = check
        self.early_stop = early_stop
        self.saved: list[Any] = []  # shape and dtype of each array
        # The arrays and when each was saved, from the second run until the tape drops them.
        self.again: list[tuple[Tensor, int]] | None = None

    def pack(self, tensor: Tensor) -> int:
        self.saved.append((tensor.array.shape, tensor.array.dtype))
        return len(self.saved) - 1

    def unpack(self, number: int) -> Tensor:
        if self.again is None:
            self.again = self.run_again()
        tensor, when = self.again[number]
        operation = change_since(tensor.array, when)
        if operation is not None:
            raise RuntimeError(
                f"backward: an array of shape {tensor.array.shape} that is needed was changed in place by {operation} inside of "
                "a checkpoint; clone the tensor first, or use the form that is not in place"
            )
        return tensor

    def run_again(self) -> list[tuple[Tensor, int]]:
        function, args, kwargs = self.call
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and (operation := change_since(value.array, self.started)):
                raise CheckpointError(
                    f"checkpoint: an argument of shape {value.array.shape} was changed in place by {operation}, "
                    "so that the function cannot be run on it again"
                )
        found: list[tuple[Tensor, int]] = []

        def pack(tensor: Tensor) -> None:
            found.append((tensor, tick()))
            if self.early_stop and len(found) == len(self.saved):
                raise _Enough

        now = [(g, g.get_state()) for g, _ in self.rng]
        try:
            for generator, state in self.rng:
                generator.set_state(state)
            with contextlib.suppress(_Enough), enable_grad(), saved_tensors_hooks(pack, _never), self.context:
                function(*args, **kwargs)
        finally:
            for generator, state in now:
                generator.set_state(state)
        if len(found) != len(self.saved):
            raise CheckpointError(
                f"checkpoint: {len(self.saved)} arrays were saved in the first run of the function, "
                f"{len(found)} in the second; it must do the same operations each time"
            )
        for (shape, dtype), (tensor, _) in zip(self.saved, found):
            if self.check and (tensor.array.shape, tensor.array.dtype) != (shape, dtype):
                raise CheckpointError(
                    f"checkpoint: an array of shape {shape} and dtype {dtype} was saved in the first run of the function, "
                    f"and in its place one of shape {tensor.array.shape} and dtype {tensor.array.dtype} in the second"
                )
        return found


class _Enough(BaseException):
    """Everything has been recomputed. (Not an Exception, which the function might catch.)"""


def _never(packed: Any) -> Any:
    raise RuntimeError("checkpoint: the function went backward through itself; leave that out of the checkpoint")


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any) -> Any:
    """Run a Sequential (or a list of functions) in `segments` pieces, all but the last under `checkpoint`.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> y = checkpoint_sequential([tg.exp, tg.log, tg.square], 2, x, use_reentrant=False)
    >>> y.backward()
    >>> y, x.grad
    (tensor([1.0000], grad_fn=<pow>), tensor([2.0000]))
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError(f"checkpoint_sequential: unexpected keyword arguments {', '.join(kwargs)}")
    layers = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(layers) // segments
    if size < 1:
        raise ValueError(f"checkpoint_sequential: {segments} segments for {len(layers)} functions")

    def run(start: int, end: int) -> Callable[[Any], Any]:
        def piece(x: Any) -> Any:
            for layer in layers[start:end]:
                x = layer(x)
            return x

        return piece

    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(run(start, start + size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return run(last, len(layers))(input)
