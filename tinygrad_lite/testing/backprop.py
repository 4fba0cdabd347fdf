"""`compare_backprop`: gradients worked out by hand against those of the tape, layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lite.arrays import to_numpy
from tinygrad_lite.autograd import grad
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.context import Observer
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.nn import Module
from tinygrad_lite.testing.cases import is_float
from tinygrad_lite.testing.diagnosis import Difference, Suspects, close, difference
from tinygrad_lite.testing.mistakes import Call, Mistake, mistakes
from tinygrad_lite.testing.report import Report


@dataclass(eq=False)
class Comparison(Report):
    """A Report on gradients by hand. `layer`: the first layer, going back from the loss, where they part from those of the
    tape ("" if they agree, or for parameters of the model itself). `compared`: the names of the gradients in that order;
    `parted`: those that differ; `consequences`: those of them that are what the mistakes before them lead to."""

    layer: str = ""
    compared: list[str] = field(default_factory=list)
    parted: list[str] = field(default_factory=list)
    consequences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        follow = f"\n  as a consequence, others differ: {', '.join(self.consequences)}" if self.consequences else ""
        return super().__str__() + follow

    __repr__ = __str__


class _Walk(Observer):
    """Notes the calls of operations, and the order in which backward reaches nodes and leaves."""

    def __init__(self) -> None:
        self.calls: dict[Any, Call] = {}
        self.order: list[Any] = []

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        self.calls[node] = Call(node, list(arguments), result)

    def reached(self, node: Any, gradient: Any) -> None:
        self.order.append(node)

    def arrived(self, node: Any, gradient: Any, sender: Any, part: Any) -> None:
        if not node.parents and node not in self.order:
            self.order.append(node)


def compare_backprop(
    by_hand: Callable[[dict[str, np.ndarray], Any], Any],
    model: Module,
    loss: Callable[..., Any],
    batch: Any,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    raise_exception: bool = True,
) -> Comparison:
    """Compare a backward pass written by hand in NumPy with the tape's.

    `by_hand(parameters, batch)` takes copies of the parameters by name and the batch, as float64 arrays, and returns the
    gradients of the loss: a dict by the names of parameters, or a list in their order. The dict may also hold gradients by
    the outputs of layers, under the names of the modules. `batch`: the input, or a tuple of the input and what else the loss
    takes; the loss is `loss(model(input), *rest)`. The model itself is not changed: a copy of it runs in float64.

    The Comparison names the first layer, going back from the loss, whose gradients differ, and what the mistake looks like:
    a factor such as the batch size, the sign, a transposed matrix, an activation whose derivative is left out. With
    `raise_exception`, a difference raises an AssertionError with that text.

    >>> import tinygrad_lite as tg
    >>> model = tg.nn.Linear(3, 1, bias=False)
    >>> def by_hand(parameters, batch):
    ...     x, y = batch
    ...     error = x @ parameters["weight"].T - y
    ...     return {"weight": 2 * error.T @ x}  # not divided by the number of examples
    >>> batch = np.arange(15.0).reshape(5, 3), np.ones((5, 1))
    >>> report = compare_backprop(by_hand, model, tg.nn.functional.mse_loss, batch, raise_exception=False)
    >>> report.findings[0].message
    'the gradient of weight is wrong by a factor 5: the batch size (a sum where a mean is meant?)'
    """
    if not isinstance(model, Module):
        raise TypeError(f"compare_backprop: model must be a Module, got {type(model).__name__}")
    for name, function in (("by_hand", by_hand), ("loss", loss)):
        if not callable(function):
            raise TypeError(f"compare_backprop: {name} must be callable, got {type(function).__name__}")
    tape = _Tape(copy.deepcopy(model).double(), copy.deepcopy(loss).double() if isinstance(loss, Module) else loss, batch)
    given = _by_name(by_hand({name: to_numpy(p.array).copy() for name, p in tape.parameters.items()}, _copied(tape.batch, batch)), tape)
    report = Comparison(getattr(by_hand, "__name__", "by_hand"), checks=["gradients by hand"])
    report.compared = [name for name in tape.names if name in given or name in tape.parameters]
    expected, factor = tape.gradients, 1.0  # by a backward pass with the mistakes found so far
    with ExitStack() as made:
        for name in report.compared:
            g, tolerances = given.get(name), (rtol, atol * tape.scale(name))
            if difference(g, tape.gradients[name], rtol=rtol, atol=tolerances[1]) is None:
                continue
            report.parted.append(name)
            # The factor so far may be one of another gradient alone. One that is missing is no consequence of a zero.
            known = [1.0] if g is None else list(dict.fromkeys((factor, 1.0)))
            if report.findings and g is not None and any(close(g, each * expected[name], *tolerances) for each in known):
                report.consequences.append(name)
                continue
            tries = [_explained(tape, name, g, expected[name], each, *tolerances) for each in known]
            found, mistake = min(tries, key=lambda each: (each[1] is None, each[1] is not None and "factor" in each[0].numbers))
            if mistake is not None:
                made.enter_context(mistake.made())
                expected = tape.walked()
            factor *= found.numbers.get("factor", 1.0) if g is None or g.any() else 0.0
            what = f"the gradient {'of' if name in tape.parameters else 'by the output of'} {name} {found.words}"
            report.add("gradients by hand", tape.described(name), what, found.numbers)
    if report.parted:
        report.layer = tape.layer_of(report.parted[0])
        agreeing = report.compared[: report.compared.index(report.parted[0])]
        report.subject += f": going back from the loss, the gradients part first at {tape.described_layer(report.layer)}"
        report.subject += f" (right until then: {', '.join(agreeing)})" if agreeing else ""
    return report.concluded(raise_exception)  # type: ignore[return-value]


def _copied(arrays: tuple[Any, ...], batch: Any) -> Any:
    values = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arrays)
    return values if isinstance(batch, (tuple, list)) else values[0]


def _by_name(given: Any, tape: _Tape) -> dict[str, np.ndarray]:
    """What by_hand returned, by name."""
    if isinstance(given, (list, tuple)):
        if len(given) != len(tape.parameters):
            raise ValueError(f"compare_backprop: by_hand returned {len(given)} gradients for {len(tape.parameters)} parameters")
        given = dict(zip(tape.parameters, given))
    if not isinstance(given, Mapping):
        raise TypeError(f"compare_backprop: by_hand must return a dict or a list of gradients, got {type(given).__name__}")
    unknown = [name for name in given if name not in tape.gradients]
    if unknown:
        raise ValueError(f"compare_backprop: by_hand returned gradients of {unknown}; known are {list(tape.gradients)}")
    values = {name: to_numpy(g.array) if isinstance(g, Traced) else g for name, g in given.items() if g is not None}
    return {name: np.asarray(g, np.float64) for name, g in values.items()}


class _Tape:
    """The same step on the tape."""

    def __init__(self, model: Module, loss: Callable[..., Any], batch: Any):
        self.model = model
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        parts = batch if isinstance(batch, (tuple, list)) else (batch,)
        arrays = [to_numpy(part.array) if isinstance(part, Traced) else part for part in parts]
        self.batch = tuple(a.astype(np.float64) if is_float(a) else a for a in arrays)
        self.size = len(self.batch[0]) if np.ndim(self.batch[0]) else 1
        self.outputs: dict[str, Any] = {}
        handles = [
            module.register_forward_hook(lambda module, args, out, path=path: self._note(path, out))
            for path, module in model.named_modules()
            if path
        ]
        state = copy.deepcopy(dict(model.named_buffers()))
        observe(walk := _Walk())
        try:
            x, *rest = (traced(a.copy()) if isinstance(a, np.ndarray) else a for a in self.batch)
            self.loss = loss(model(x), *rest)
            if not isinstance(self.loss, Traced) or self.loss.array.size != 1 or self.loss.node is None:
                raise ValueError("compare_backprop: loss must return a Tensor with one element that depends on the parameters")
            self.calls = walk.calls
            self.gradients = self.walked()
        finally:
            observe_no_more(walk)
            for handle in handles:
                handle.remove()
        for name, buffer in model.named_buffers():
            buffer.array[...] = state[name].array
        x, *rest = (traced(a.copy()) if isinstance(a, np.ndarray) else a for a in self.batch)
        if loss(model(x), *rest).item() != self.loss.item():
            raise ValueError("compare_backprop: the loss is another in each call; call model.eval(), or leave dropout out")
        places = {id(node): place for place, node in enumerate(walk.order)}
        tensors = {**self.outputs, **self.parameters}
        self.names = sorted(self.gradients, key=lambda name: places.get(id(tensors[name].node), len(places)))

    def _note(self, path: str, out: Any) -> None:
        if isinstance(out, Traced) and out.node is not None and all(out.node is not other.node for other in self.outputs.values()):
            self.outputs[path] = out

    def walked(self) -> dict[str, np.ndarray]:
        """The gradients by the names of parameters and layers."""
        tensors = {**self.outputs, **self.parameters}
        found = grad(self.loss, list(tensors.values()), retain_graph=True, materialize_grads=True)
        return {name: to_numpy(g.array) for name, g in zip(tensors, found)}

    def scale(self, name: str) -> float:
        return max(1.0, float(np.abs(self.gradients[name]).max(initial=0)))

    def layer_of(self, name: str) -> str:
        return name.rpartition(".")[0] if name in self.parameters else name

    def described_layer(self, path: str) -> str:
        module = self.model.get_submodule(path)
        text = repr(module).partition("\n")[0]
        return f"layer {path}, {text}" if path else f"the model's own parameters, {type(module).__name__}"

    def described(self, name: str) -> str:
        return f"{name} {self.gradients[name].shape}, a batch of {self.size}"

    def path_of(self, node: Any) -> str:
        return next((path for path, out in self.outputs.items() if out.node is node), "")

    def suspects(self, name: str) -> Suspects:
        true = self.gradients[name]
        counts = {"the batch size": self.size}
        for path, out in reversed(self.outputs.items()):
            counts[f"the number of elements of the output of {path}"] = out.array.size
        others = {f"that of {other}": g for other, g in self.gradients.items() if other != name and g.shape == true.shape}
        terms = {f"the parameter {name} itself (weight decay)": to_numpy(self.parameters[name].array)} if name in self.parameters else {}
        return Suspects(counts, others, terms=terms)


def _explained(
    tape: _Tape, name: str, given: Any, expected: np.ndarray, factor: float, rtol: float, atol: float
) -> tuple[Difference, Mistake | None]:
    """How a gradient differs from the expected one, and the mistake that makes it so, if it is one that is made often."""
    expected = factor * expected
    found = difference(given, expected, tape.suspects(name), rtol, atol) or Difference("is right alone", {})
    if given is None or given.shape != expected.shape or "factor" in found.numbers:
        return found, None
    for mistake in mistakes(tape.calls, tape.path_of):
        with mistake.made():
            wrong = factor * tape.walked()[name]
        if close(wrong, expected, rtol, atol):
            continue  # it is without effect here
        words = f"is that of a backward pass which {mistake.words}"
        again = difference(given, wrong, Suspects({"the batch size": tape.size}), max(rtol, 1e-5), max(atol, 1e-9))
        if again is None:
            return Difference(words, found.numbers), mistake
        if "factor" in again.numbers:
            return Difference(f"{words}, and {again.words}", again.numbers), mistake
    return found, None
