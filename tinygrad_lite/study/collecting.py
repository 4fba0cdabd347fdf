"""Collects what the layers of a model do in one step, by hooks of its modules and as an observer of the tape."""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from typing import Any, NamedTuple

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
        self.facts: dict[Module, _Facts] = {}
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
                self.facts[module] = _Facts.of(path, module)
                self.handles[module] = [
                    module.register_forward_pre_hook(lambda module, args: self.begins(module)),
                    module.register_forward_hook(lambda module, args, output: self.ends(module, output), always_call=True),
                ]

    def detach(self) -> None:
        for handles in self.handles.values():
            for handle in handles:
                handle.remove()
        self.handles.clear()
        self.running.clear()

    def begins(self, module: Module) -> None:
        if module is self.model:
            self.attach()  # modules that were added since
        if module in self.facts:  # not in a copy of the model, which has the hooks too
            self.running.append(module)

    def ends(self, module: Module, output: Any) -> None:
        facts = self.facts.get(module)
        if facts is None:
            return
        if self.running:
            self.running.pop()
        if facts.has_weights:
            self.channels = facts.kind.startswith(_CHANNELS)
        if not (facts.has_weights or facts.is_leaf) or not is_grad_enabled() or tracing.get() is not None:
            return
        array = _first_array(output)
        if array is not None:
            self.add(facts.name, facts.kind, facts.activation, array)
            self.last = weakref.ref(array), facts.name

    @quietly
    def add(self, name: str, kind: str, activation: str | None, array: Any) -> None:
        self.kinds[name] = kind
        self.outputs.setdefault(name, Outputs(activation)).add(array, 1 if array.ndim > 3 or (array.ndim == 3 and self.channels) else -1)

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        if getattr(result, "size", 0) == 1:
            self.scalars.append((node.index, result))
        if node.name in FLAT and self.running and is_array(result) and result.size:
            facts = self.facts[self.running[-1]]
            if facts.has_weights or not facts.is_leaf:  # else it is a part of an activation that is a module
                source, name = self.last[0](), facts.name
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
        for module, facts in self.facts.items():
            if facts.has_weights:
                layer = seen.layers.setdefault(facts.name, SeenLayer(facts.kind))
                lengths.write(layer, module.parameters(recurse=False))
        for held in (self.copies, self.facts):  # a copy of the model that was made in this step has its hooks, which hold them
            held.clear()
        return seen


class _Facts(NamedTuple):
    """What is asked of a module in every call of it."""

    name: str
    kind: str
    activation: str | None
    has_weights: bool
    is_leaf: bool

    @classmethod
    def of(cls, path: str, module: Module) -> _Facts:
        kind = type(module).__name__
        activation = next((name for known, name in _ACTIVATIONS.items() if isinstance(module, known)), None)
        has_weights = next(module.parameters(recurse=False), None) is not None
        return cls(path or kind, kind, activation, has_weights, next(module.children(), None) is None)


def _first_array(output: Any) -> Any:
    """The array of the first tensor in what a module returned, if it holds floating-point numbers."""
    if isinstance(output, Traced):
        array: Any = output.array
        return array if array.dtype.kind == "f" and array.size else None
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    return next((found for part in parts if (found := _first_array(part)) is not None), None)
