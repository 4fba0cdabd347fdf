"""What writes a tape: the observer of the operations and backward passes of a thread."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lite.arrays import is_array
from tinygrad_lite.arrays.changes import last_change
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.context import Observer, is_grad_enabled
from tinygrad_lite.engine.tape import Node, Traced
from tinygrad_lite.nn import Module
from tinygrad_lite.study.entries import Contribution, Entry, Pass, Step
from tinygrad_lite.study.expressions import arguments_of, constants_in
from tinygrad_lite.study.modules import Running
from tinygrad_lite.study.program import Stack, name_of_result
from tinygrad_lite.study.recorded import Recorded
from tinygrad_lite.study.values import Values, values_of


def _rules(plan: Any, inputs: tuple[int, ...]) -> Iterator[tuple[int, str, Any]]:
    """For each input its number, the argument that it was, and the rule."""
    wanted = list(plan.wanted) if plan.primitive is not None else []
    for place, number in enumerate(inputs):
        argument = plan.primitive.argument_at(wanted[place]) if wanted else ""
        rule = plan.fused[0] if plan.fused is not None else plan.rules[place][0] if place < len(plan.rules) else None
        yield number, argument, rule


class Recorder(Observer):
    """Writes a tape while it observes."""

    def __init__(self, tape: Recorded, models: dict[str, Module] | None = None):
        self.tape, self.modules = tape, Running(models or {}, self._entered)
        self.pending: tuple[Entry, Stack, Node] | None = None  # whose variable is known only at the next operation
        self.running: list[tuple[Pass, Step | None]] = []  # the passes in progress, one inside the other, each with its step
        self.met: dict[int, tuple[Any, Values]] = {}  # arrays, which stay alive here, and their values, by id
        self.changed = last_change()

    def __enter__(self) -> None:
        self.modules.__enter__()
        self.tape._values_of = self._values
        observe(self)

    def __exit__(self, *exception: object) -> None:
        observe_no_more(self)
        self.modules.__exit__(*exception)
        self.modules.entered = None  # the two of them are a reference cycle, which would keep the tape alive
        self.tape._values_of = values_of
        self.met.clear()
        self._name_pending(None)

    def _entered(self, path: str) -> None:
        if not is_grad_enabled() and path not in self.tape.modules_without_grad:
            self.tape.modules_without_grad[path] = Stack().calls()

    def recorded(self, node: Node, arguments: Any, result: Any) -> None:
        stack = Stack()
        self._name_pending(stack)
        inputs = tuple(self.tape.entry_of(parent).number for parent in node.parents)
        entry = self.tape.add(node, inputs, calls=stack.calls(), module=self.modules.innermost)
        entry.values = tuple(map(self._values, result)) if isinstance(result, (tuple, list)) else self._values(result)
        entry.rules = tuple(_rules(node.plan, inputs))
        for array in result if isinstance(result, (tuple, list)) else (result,):
            self.tape.note_made(array, entry.number)
        entry.arguments = arguments_of(node.plan, arguments, inputs, self._values)
        self.tape._constants[entry.number] = dict(constants_in(node.plan, arguments))
        self._note_arguments(entry, node.plan, arguments)
        for name, value in zip(node.plan.names, node.saved if isinstance(node.saved, (tuple, list)) else ()):
            arrays = [each for each in (value if isinstance(value, tuple) else (value,)) if is_array(each)]
            entry.bytes_saved[name] = sum(array.nbytes for array in arrays)
            entry.saved[name] = tuple(map(self._values, value)) if arrays and isinstance(value, tuple) else self._values(value)
        if self.running and self.running[-1][1] is not None:
            entry.by_rule_of = self.running[-1][1].entry
        self.pending = entry, stack, node

    def _note_arguments(self, entry: Entry, plan: Any, arguments: Any) -> None:
        """The arguments that are arrays without an entry, and the leaves that have changed since they got theirs. Those of a
        Function, which has no names for them, count unless they are the result of one of its inputs."""
        names, number_of = plan.primitive.arguments, dict(zip(plan.wanted, entry.inputs))
        for place, given in enumerate(arguments):
            for i, value in enumerate(given if isinstance(given, tuple) else (given,)):
                if not is_array(value):
                    continue
                name = (f"{names[place]}[{i}]" if isinstance(given, tuple) else names[place]) if names else f"argument {place}"
                if place + i in number_of:
                    source = self.tape.entries[number_of[place + i]]
                    if source.is_leaf and self._values(value) is not source.values:
                        entry.changed[name] = self._values(value)
                    continue
                maker = self.tape.made(value)
                if not names and maker is not None and maker.number in entry.inputs:
                    continue
                entry.constants[name] = self._values(value)
                if maker is not None:
                    entry.cut[name] = maker.number
                elif self.tape.taken(value) is None:
                    self.tape._taken[id(value)] = weakref.ref(value), entry.number

    def _values(self, value: Any, anew: bool = False) -> Any:
        """The values of an array or a Tensor; anything else as it is. Those of an array met before are not computed again
        unless some array has changed in place since, or `anew`."""
        array = value.array if isinstance(value, Traced) else value
        if not (is_array(array) or isinstance(array, np.generic)):
            return array
        if self.changed != last_change():
            self.changed = last_change()
            self.met.clear()
        if anew or id(array) not in self.met:
            self.met[id(array)] = array, values_of(array)
        return self.met[id(array)][1]

    def _name_pending(self, following: Stack | None) -> None:
        if self.pending is not None:
            entry, stack, node = self.pending
            entry.name = name_of_result(stack, following, lambda value: isinstance(value, Traced) and value.node is node)
            self.pending = None

    def started(self, roots: Any) -> None:
        self._name_pending(None)
        of = Pass({self.tape.entry_of(node).number: self._values(g) for node, g in roots}, nested=bool(self.running))
        self.tape.passes.append(of)
        self.running.append((of, None))

    def reached(self, node: Any, gradient: Any) -> None:
        cotangent: Any
        if isinstance(gradient, (list, tuple)):
            cotangent = tuple(None if part is None else self._values(part) for part in gradient)
        else:
            cotangent = self._values(gradient)
        of = self.running[-1][0]
        of.steps.append(Step(self.tape.entry_of(node).number, cotangent))
        self.running[-1] = of, of.steps[-1]

    def arrived(self, node: Any, gradient: Any, sender: Any, part: Any) -> None:
        sent = self._values(part)
        total = sent if part is gradient else self._values(gradient, anew=True)  # the walk adds to a sum in place
        step = self.running[-1][1]
        assert step is not None
        step.sent.append(Contribution(self.tape.entry_of(node).number, sent, total))

    def finished(self, found: dict[Any, Any] | None) -> None:
        if not self.running:
            return  # of a walk that was in progress when the block began
        done, _ = self.running.pop()
        if found is not None:
            done.gradients = {self.tape.entry_of(node).number: self._values(g) for node, g in found.items()}
            done.complete = True
