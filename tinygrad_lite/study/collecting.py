"""Collects what the layers of a model do in one step, by hooks of its modules and as an observer of the tape."""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from typing import Any

from tinygrad_lite.arrays import device_of, is_array, on_device, quietly
from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.autograd.observing import observe_no_more
from tinygrad_lite.engine.context import Observer, is_grad_enabled
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.nn import Module, ReLU, Sigmoid, Tanh
from tinygrad_lite.optim import Optimizer
from tinygrad_lite.study.measures import FLAT, Lengths, Outputs, SeenLayer, SeenStep

_ACTIVATIONS = {ReLU: "relu", Tanh: "tanh", Sigmoid: "sigmoid"}
_CHANNELS = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm")  # layers whose outputs have their units in dim 1


class StepObserver(Observer):
    """Tells a step of operations and of backward passes. It stays while nothing is watched: a program of `tg.compile` would
    call no hooks, and there is none for a thread that is observed."""

    step: Collected | None = None

    def stop(self) -> None:
        self.step = None
        with contextlib.suppress(ValueError):  # observed by another thread, which goes on calling it
            observe_no_more(self)

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        if self.step is not None:
            self.step.recorded(node, arguments, result)

    def started(self, roots: Any) -> None:
        if self.step is not None:
            self.step.started(roots)


class Collected:
    """What is being collected of a step that is watched."""

    def __init__(self, model: Module):
        self.model = model
        self.handles: dict[Module, list[Any]] = {}
        self.names: dict[Module, str] = {}
        self.outputs: dict[str, Outputs] = {}
        self.kinds: dict[str, str] = {}
        self.running: list[Module] = []
        self.last: tuple[Any, str] = (lambda: None, "")  # a weak reference to a layer's output, and the layer's name
        self.channels = False  # whether the last layer with parameters has its units in dim 1
        self.scalars: deque[tuple[int, Any]] = deque(maxlen=16)  # results of one element, each with its place on the tape
        self.loss: Any = None
        self.rates: dict[int, list[float]] = {}  # by id of the optimizer
        self.copies: dict[int, Any] = {}
        self.attach()

    def attach(self) -> None:
        """Add hooks to the modules that have none yet."""
        for path, module in self.model.named_modules():
            if module not in self.handles:
                self.names[module] = path or type(module).__name__
                self.handles[module] = [
                    module.register_forward_pre_hook(lambda module, args: self.begins(module)),
                    module.register_forward_hook(lambda module, args, output: self.ends(module, output), always_call=True),
                ]

    def detach(self) -> None:
        for handles in self.handles.values():
            for handle in handles:
                handle.remove()
        self.handles.clear()
        self.names.clear()
        self.running.clear()

    def begins(self, module: Module) -> None:
        if module is self.model:
            self.attach()  # modules that were added since
        if module in self.names:  # not in a copy of the model, which has the hooks too
            self.running.append(module)

    def ends(self, module: Module, output: Any) -> None:
        if module not in self.names:
            return
        if self.running:
            self.running.pop()
        array, has_weights = _first_array(output), _has_weights(module)
        if has_weights:
            self.channels = type(module).__name__.startswith(_CHANNELS)
        if array is None or not is_grad_enabled() or tracing.get() is not None or not (has_weights or _is_leaf(module)):
            return
        activation = next((name for kind, name in _ACTIVATIONS.items() if isinstance(module, kind)), None)
        self.add(self.names[module], type(module).__name__, activation, array)
        self.last = weakref.ref(array), self.names[module]

    @quietly
    def add(self, name: str, kind: str, activation: str | None, array: Any) -> None:
        self.kinds[name] = kind
        self.outputs.setdefault(name, Outputs(activation)).add(array, 1 if array.ndim > 3 or (array.ndim == 3 and self.channels) else -1)

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        if getattr(result, "size", 0) == 1:
            self.scalars.append((node.index, result))
        if node.name in FLAT and self.running and is_array(result) and result.size:
            module = self.running[-1]
            if _has_weights(module) or not _is_leaf(module):  # else it is a part of an activation that is a module
                source, name = self.last[0](), self.names[module]
                if source is not None and any(argument is source for argument in arguments):
                    name = self.last[1]
                self.add(f"{name} → {node.name}", node.name, node.name, result)

    def started(self, roots: Any) -> None:
        if len(roots) == 1:
            place = getattr(roots[0][0], "index", None)
            self.loss = next((value for index, value in self.scalars if index == place), self.loss)

    def before(self, optimizer: Optimizer) -> None:
        """Copy the parameters that an optimizer is about to change."""
        rates = (optimizer.numbers_of(group).get("lr") for group in optimizer.param_groups)
        self.rates[id(optimizer)] = [float(rate) for rate in rates if rate is not None]
        for group in optimizer.param_groups:
            for p in group["params"]:
                if id(p) not in self.copies:
                    with on_device(device_of(p.array)):
                        self.copies[id(p)] = p.array.copy()

    @quietly
    def seen(self, number: int, alive: dict[str, Any]) -> SeenStep:
        """The step, after the optimizers have made theirs. `alive`: by layer, what has been alive in steps before."""
        rates = tuple(rate for of in self.rates.values() for rate in of)
        seen = SeenStep(number, None if self.loss is None else float(self.loss.item()), rates)
        for name, outputs in self.outputs.items():
            seen.layers[name] = layer = SeenLayer(self.kinds[name])
            found = outputs.write(layer, alive.get(name))
            if found is not None:
                alive[name] = found
        lengths = Lengths(self.copies)
        for path, module in self.model.named_modules():
            if _has_weights(module):
                layer = seen.layers.setdefault(path or type(module).__name__, SeenLayer(type(module).__name__))
                lengths.write(layer, module.parameters(recurse=False))
        self.copies.clear()  # a copy of the model that was made in this step has its hooks, and with them this object
        return seen


def _has_weights(module: Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _is_leaf(module: Module) -> bool:
    return next(iter(module.children()), None) is None


def _first_array(output: Any) -> Any:
    """The array of the first tensor in what a module returned, if it holds floating-point numbers."""
    if isinstance(output, Traced):
        array: Any = output.array
        return array if array.dtype.kind == "f" and array.size else None
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    return next((found for part in parts if (found := _first_array(part)) is not None), None)
