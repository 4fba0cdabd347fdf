"""Running the operations of a tape again, with other leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_lite.arrays import device_of, is_array
from tinygrad_lite.arrays.changes import change_since
from tinygrad_lite.arrays.devices import to_device
from tinygrad_lite.autograd.gradients import backward
from tinygrad_lite.engine.context import recording
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.expressions import Input
from tinygrad_lite.study.values import Values, values_of


def replay(tape: Any, inputs: Mapping[Any, Any], recorder: Any) -> Any:
    """The operations and backward passes of a tape once more, on the tape of a recorder."""
    if len(tape._numbers) != len(tape.entries):
        raise RuntimeError("replay: this tape was read from JSON, which has no operations to run: record the program again")
    made = Replay(tape.entries, list(tape._numbers), tape._constants, {_input(tape, key): value for key, value in inputs.items()})
    with recorder, recording():
        made.run()
        for of in tape.passes:
            if of.complete and not of.nested and all(gradient.array is not None for gradient in of.roots.values()):
                roots = [made.tensors[number] for number in of.roots]
                gradients = [traced(as_array_like(g.array, root.array)) for g, root in zip(of.roots.values(), roots)]
                backward(roots, gradients, retain_graph=True)
    again = recorder.tape
    for old, node in zip(tape.entries, made.nodes_made()):
        if node in again._numbers:
            entry = again.entries[again._numbers[node]]
            entry.name, entry.calls, entry.module, entry.by_rule_of = old.name, old.calls, old.module, old.by_rule_of
    return again


def _input(tape: Any, key: Any) -> int:
    """What stands for an input: the number of a leaf, or the id of an array that is a constant."""
    if isinstance(key, str) and key in tape._named:
        return id(tape._named[key])
    entry = tape[key]
    if not entry.is_leaf:
        raise ValueError(f"replay: {entry.label} is no leaf: its value follows from the leaves")
    return int(entry.number)


class Replay:
    """The tensors of a tape's entries, made anew one after another.

    `nodes`: of the entries; `constants`: the arrays that each took; `given`: new values, by the number of a leaf or by the id of an
    array that is a constant.
    """

    def __init__(self, entries: list[Entry], nodes: list[Any], constants: Mapping[int, Mapping[str, Any]], given: Mapping[Any, Any]):
        self.entries, self.nodes, self.constants, self.given = entries, nodes, constants, given
        self.tensors: dict[int, Any] = {}

    def run(self) -> None:
        entry = None
        try:
            for entry in self.entries:
                self.tensors[entry.number] = self._result(entry)
        except _Refusal as refusal:
            raise RuntimeError(f"replay: {refusal}") from None
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            assert entry is not None
            where = f" ({entry.place}: {entry.source})" if entry.calls else ""
            raise RuntimeError(f"replay: {entry.label}{where} does not take these values: {error}") from None

    def nodes_made(self) -> Iterator[Any]:
        """The new node of each entry."""
        for entry in self.entries:
            tensor = self.tensors[entry.number]
            several = [each.node for each in tensor if each.node is not None] if isinstance(tensor, tuple) else []
            yield several[0].parents[0] if several else getattr(tensor, "node", None)

    def _result(self, entry: Entry) -> Any:
        node = self.nodes[entry.number]
        if entry.is_leaf:
            return self._leaf(entry)
        if entry.operation.startswith("result "):
            return self.tensors[entry.inputs[0]][node.plan.place]
        primitive = node.plan.primitive
        if not entry.inputs:
            raise _Refusal(f"{entry.label} was recorded before the block began: record the whole computation")
        if not entry.arguments:
            raise _Refusal(f"{entry.label} is an autograd.Function whose arguments are not all Tensors: the others are not on the tape")
        arguments: list[Any] = []
        for name, value in entry.arguments.items():
            argument = self._argument(entry, node, name, value)
            arguments += argument if name == primitive.star_name else [argument]
        if hasattr(node.plan, "cls"):  # of an autograd.Function, which takes Tensors and may return others beside them
            made = node.plan.cls.apply(*(each if isinstance(each, Traced) else traced(each) for each in arguments))
            return tuple(each for each in (made if isinstance(made, tuple) else (made,)) if isinstance(each, Traced))
        return primitive.apply(*arguments)

    def _argument(self, entry: Entry, node: Any, name: str, value: Any) -> Any:
        if isinstance(value, Input):
            return self.tensors[value.number]
        if type(value) is tuple:
            return tuple(self._argument(entry, node, f"{name}[{i}]", each) for i, each in enumerate(value))
        array = self.constants[entry.number].get(name)
        if array is None:
            return value.array[()] if isinstance(value, Values) and value.array is not None else value
        if id(array) in self.given:
            return as_array_like(self.given[id(array)], array)
        change = change_since(array, node.index)
        if change is not None:
            raise _Refusal(f"the argument {name!r} of {entry.label} was changed in place by {change} since it was recorded")
        return array

    def _leaf(self, entry: Entry) -> Any:
        known = self.constants.get(entry.number, {}).get("")
        if entry.number in self.given:
            array = as_array_like(self.given[entry.number], known if known is not None else np.empty((), entry.dtype))
        elif known is not None and _same(values_of(known), entry.values):
            array = known.copy()
        elif isinstance(entry.values, Values) and entry.values.array is not None:
            array = entry.values.array.copy()
        else:
            raise _Refusal(f"{entry.label} has changed since and was too large to be recorded: pass its values in `inputs`")
        return traced(array).requires_grad_()


class _Refusal(Exception):
    """Why an entry cannot be replayed."""


def as_array_like(value: Any, like: Any) -> Any:
    """A value given by the caller as an array of the dtype and device of another."""
    array = value.array if isinstance(value, Traced) else value if is_array(value) else np.asarray(value)
    return to_device(array, device_of(like)).astype(like.dtype)


def _same(now: Values, then: Any) -> bool:
    if not isinstance(then, Values) or now.shape != then.shape:
        return False
    if now.array is not None and then.array is not None:
        return np.array_equal(now.array, then.array, equal_nan=now.dtype.startswith(("float", "complex")))
    return [now.mean, now.std, now.min, now.max, now.nan] == [then.mean, then.std, then.min, then.max, then.nan]
