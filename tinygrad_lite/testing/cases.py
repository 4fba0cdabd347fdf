"""One call of the function under test: its arguments as NumPy arrays, and the same call on Tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_lite.arrays import to_device, to_numpy
from tinygrad_lite.autograd import Function, grad
from tinygrad_lite.engine.tape import Traced, traced


def is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


@dataclass(frozen=True)
class Case:
    """A call `call(*args)`. `args`: floating-point arrays are float64. `names`: of the arguments. `wanted`: the places of
    those to differentiate by. `kind`: what is special about the arguments, such as "on empty arrays"."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    names: tuple[str, ...]
    wanted: tuple[int, ...]
    device: str = "cpu"
    kind: str = ""
    takes_arrays: bool = False  # in the tuples and lists among the arguments, as a primitive does; otherwise Tensors

    def __str__(self) -> str:
        shown = [f"{name} {_described(value)}" for name, value in zip(self.names, self.args)]
        return ", ".join(shown) + (f" ({self.kind})" if self.kind else "")

    def on(self, args: Sequence[Any], kind: str) -> Case:
        """The call with other arguments."""
        return replace(self, args=tuple(args), kind=kind)

    def tensors(self, requires_grad: Sequence[int] = (), dtype: Any = None, copy: bool = True) -> list[Any]:
        """The arguments with new Tensors for arrays; floating-point ones in `dtype`. `copy=False`: they share the arrays'
        memory and layout."""

        def converted(value: Any, inside: bool = False) -> Any:
            if type(value) in (tuple, list):  # an index, or several arrays in one argument
                return type(value)(converted(part, True) for part in value)
            if not isinstance(value, np.ndarray):
                return value
            if dtype is not None and value.dtype.kind == "f":
                value = value.astype(dtype)
            elif copy:
                value = value.copy()
            array = to_device(value, self.device)
            return array if inside and self.takes_arrays else traced(array)

        made = list(map(converted, self.args))
        for i in requires_grad:
            made[i].requires_grad_()
        return made

    def floats(self, arguments: Sequence[Any]) -> list[Any]:
        """The results with a floating-point dtype."""
        return [out for out in results(self.call(*arguments)) if out.dtype.kind == "f"]


def results(out: Any) -> list[Any]:
    """The results of a call in a list, those in tuples inside it too, without None."""
    if isinstance(out, (tuple, list)):
        return [each for part in out for each in results(part)]
    return [] if out is None else [out]


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    text = repr(value)
    return text if len(text) < 40 else f"{text[:37]}..."


def case_of(op: Any, inputs: Any, differentiable: Sequence[int] | None, device: str) -> Case:
    """The case of a primitive, a Function or any other function of Tensors."""
    args = tuple(map(_as_argument, inputs if isinstance(inputs, (tuple, list)) else (inputs,)))
    record = getattr(op, "primitive", None) or getattr(op, "nondifferentiable", None)
    call = op.apply if isinstance(op, type) and issubclass(op, Function) else op
    names = _names(record, op, len(args))
    if differentiable is not None:
        wanted = tuple(differentiable)
    elif record is not None:
        wanted = tuple(i for i, value in enumerate(args) if is_float(value) and record.argument_at(i) in record.differentiable)
    else:
        wanted = tuple(i for i, value in enumerate(args) if is_float(value))
    return Case(call, args, names, wanted, device, takes_arrays=record is not None)


def _as_argument(value: Any) -> Any:
    """An argument as a NumPy array, in float64 if its dtype is a floating-point one; anything else as it is."""
    if isinstance(value, Traced):
        value = to_numpy(value.array)
    return value.astype(np.float64) if is_float(value) else value


def _names(record: Any, op: Any, count: int) -> tuple[str, ...]:
    if record is not None:
        star = record.star if record.star is not None else count
        return tuple(record.argument_at(i) if i < star else f"{record.star_name}[{i - star}]" for i in range(count))
    is_function = isinstance(op, type) and issubclass(op, Function)
    has_setup = hasattr(op, "setup_context")
    op = op.forward if hasattr(op, "forward") else op  # a Function, or a Module
    try:
        parameters = list(inspect.signature(op).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    if is_function and not has_setup:
        parameters = parameters[1:]
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return tuple(plain[i] if i < len(plain) else f"input {i}" for i in range(count))


def weights_of(outs: Sequence[Any], draw: Any) -> list[Any]:
    """A random cotangent in float64 for each result."""
    return [np.asarray(draw.standard_normal(out.array.shape)) for out in outs]


def gradients(outs: Sequence[Any], inputs: Sequence[Any], weights: Sequence[Any], **options: Any) -> list[Any]:
    """The gradients of the sum of `outs` times `weights` (arrays or Tensors), None where nothing arrives."""
    live = [(out, weight) for out, weight in zip(outs, weights) if out.node is not None]
    if not live or not inputs:
        return [None] * len(inputs)
    cotangents = [w if isinstance(w, Traced) else traced(to_device(w.astype(o.dtype), o.device)) for o, w in live]
    return list(grad([out for out, _ in live], list(inputs), cotangents, allow_unused=True, **options))


def outcome(case: Case, arguments: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The results of a call on Tensors and its gradients, as NumPy arrays; the cotangents are always the same."""
    outs = results(case.call(*arguments))
    floats = [out for out in outs if out.dtype.kind == "f"]
    weights = [np.cos(np.arange(out.array.size)).reshape(out.array.shape) for out in floats]
    found = gradients(floats, [arguments[i] for i in case.wanted], weights)
    return [to_numpy(out.array) for out in outs], [None if g is None else to_numpy(g.array) for g in found]
