"""A tape with values: every operation of a block of the program, and every step of its backward passes."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_lite.arrays import is_array
from tinygrad_lite.arrays.changes import last_change, tick
from tinygrad_lite.arrays.memory import owner_of
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.context import Observer, is_grad_enabled
from tinygrad_lite.engine.record import Result, Synthetic
from tinygrad_lite.engine.tape import Leaf, Node, Traced
from tinygrad_lite.nn import Module
from tinygrad_lite.study.entries import Contribution, Entry, Pass, Step
from tinygrad_lite.study.modules import Running, models_in
from tinygrad_lite.study.program import Stack, elements_of, name_of_result
from tinygrad_lite.study.stepping import Stepper
from tinygrad_lite.study.values import Values, values_of


class Tape:
    """The entries of a block in the order of recording, and its backward passes. Made by `record`."""

    def __init__(self, names: dict[int, str]):
        self.entries: list[Entry] = []
        self.passes: list[Pass] = []
        self._numbers: dict[Any, int] = {}  # by node, which stays alive with the tape
        self._names = names  # of leaves, by the id of their tensor's node
        # By the id of an array or of its memory, a weak reference to it and the entry that made it or took it as a constant.
        self._made: dict[int, tuple[Any, int]] = {}
        self._taken: dict[int, tuple[Any, int]] = {}
        self.modules_without_grad: dict[str, tuple[Any, ...]] = {}  # that ran under no_grad, and where they were called
        self._thread = threading.get_ident()
        self._began = tick()
        self._values_of: Callable[[Any], Values] = values_of  # of a leaf

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __getitem__(self, key: int | str | Traced) -> Entry:
        """An entry by its number, the name of its variable or parameter (the latest of that name), or the Tensor it made."""
        return self.entries[self.number_of(key)]

    def number_of(self, key: int | str | Traced) -> int:
        if isinstance(key, int):
            if not -len(self.entries) <= key < len(self.entries):
                raise IndexError(f"the tape has {len(self.entries)} entries, no entry {key}")
            return key % len(self.entries)
        if isinstance(key, str):
            for entry in reversed(self.entries):
                if key in (entry.name, f"%{entry.number}"):
                    return entry.number
            raise KeyError(f"no entry of the tape is named {key!r}; names: {', '.join(sorted({e.name for e in self.entries if e.name}))}")
        if not isinstance(key, Traced):
            raise TypeError(f"expected the number of an entry, a name or a Tensor, got {type(key).__name__}")
        if key.node is None or key.node not in self._numbers:
            raise KeyError("this tensor has no entry on the tape: it needs no gradient, or was made outside of the block")
        return self._numbers[key.node]

    def backward(self, tensor: Traced, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> Stepper:
        """`tensor.backward(...)`, recorded: a `Stepper` through the pass, before its first step.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> with tg.study.record() as tape:
        ...     y = x * x
        >>> stepper = tape.backward(y)
        >>> stepper.next().entry.operation, x.grad
        ('mul', tensor(6.))
        """
        self.number_of(tensor)
        if threading.get_ident() != self._thread:
            raise RuntimeError("this tape was recorded in another thread: step through it there")
        before = len(self.passes)
        with _Recorder(self):
            tensor.backward(gradient, retain_graph=retain_graph, create_graph=create_graph)
        return Stepper(self.entries, self.passes[before], self.number_of)

    def stepper(self, index: int = -1) -> Stepper:
        """A `Stepper` through a backward pass that the block has run."""
        if not self.passes:
            raise RuntimeError("no backward pass was recorded: call backward inside the block, or tape.backward(loss) after it")
        return Stepper(self.entries, self.passes[index], self.number_of)

    def __str__(self) -> str:
        rows = [("%", "name", "operation", "inputs", "shape", "dtype", "saved", "module", "line")]
        for e in self.entries:
            line = f"{e.calls[0].file.rpartition('/')[2]}:{e.calls[0].line}" if e.calls else ""
            inputs = " ".join(f"%{i}" for i in e.inputs)
            saved = f"{sum(e.bytes_saved.values()):,} B" if e.bytes_saved else ""
            rows.append((f"%{e.number}", e.name, e.operation, inputs, str(e.shape), e.dtype, saved, e.module, line))
        used = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join("  ".join(row[i].ljust(widths[i]) for i in used).rstrip() for row in rows)

    __repr__ = __str__

    def made(self, array: Any) -> Entry | None:
        """The entry whose result an array is, or is a view of; None if there is none."""
        for each in (array, owner_of(array)):
            known = self._made.get(id(each))
            if known is not None and known[0]() is each:
                return self.entries[known[1]]
        return None

    def taken(self, array: Any) -> Entry | None:
        """The first entry that took an array as a constant, None if there is none."""
        known = self._taken.get(id(array))
        return self.entries[known[1]] if known is not None and known[0]() is array else None

    # -- what the recorder adds --------------------------------------------------------------------

    def _note_made(self, array: Any, number: int) -> None:
        reference = weakref.ref(array), number
        self._made[id(array)] = reference
        owner = owner_of(array)
        known = self._made.get(id(owner))
        if owner is not array and (known is None or known[0]() is not owner):
            self._made[id(owner)] = weakref.ref(owner), number

    def _entry_of(self, node: Any) -> Entry:
        """A node's entry; one that is not known, such as a leaf or what was recorded before the block, is added."""
        number = self._numbers.get(node)
        if number is not None:
            return self.entries[number]
        if isinstance(getattr(node, "plan", None), Result):
            whole = self._entry_of(node.parents[0])
            place = node.plan.place
            values = whole.values[place] if isinstance(whole.values, tuple) else None
            names = [whole.name] if len(whole.shape) == 1 else elements_of(whole.name)
            name = names[place] if len(names) == len(whole.shape) else ""
            return self._add(node, (whole.number,), values=values, calls=whole.calls, module=whole.module, name=name)
        if isinstance(getattr(node, "plan", None), Synthetic):
            return self._add(node, tuple(self._entry_of(parent).number for parent in node.parents))
        if type(node) is not Leaf:
            return self._add(node, ())  # recorded before the block: where it comes from is not known
        tensor = node.tensor()
        array = node.array if tensor is None else tensor.array
        if array is not None:
            self._note_made(array, len(self.entries))
        return self._add(node, (), values=None if array is None else self._values_of(array), name=self._names.get(id(node), ""))

    def _add(self, node: Any, inputs: tuple[int, ...], **known: Any) -> Entry:
        dtype = ", ".join(map(str, node.dtype)) if isinstance(node.dtype, tuple) else str(node.dtype)
        entry = Entry(len(self.entries), node.name, inputs, node.shape, dtype, **known)
        self.entries.append(entry)
        self._numbers[node] = entry.number
        return entry


_tapes: weakref.WeakSet[Tape] = weakref.WeakSet()


def last_tape_with(tensors: Iterable[Traced]) -> Tape | None:
    """The last tape of this thread that the program still holds and that has an entry of one of these tensors."""
    alive = [tape for tape in list(_tapes) if tape._thread == threading.get_ident()]
    given = list(tensors)
    known = [tape for tape in alive if any(x.node in tape._numbers or tape.made(x.array) is not None for x in given)]
    return max(known, key=lambda tape: tape._began, default=None)


class record:
    """Inside this block, record every operation of this thread with its values, its place in the program, the module that
    called it and what it saves; and every step of a backward pass.

    `model`: the Module whose parameters and submodules give their names; without it, those in variables of the caller. Of an
    array with more than 1,024 elements, statistics are kept. Recording is for studying a step: it keeps the graph alive.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.study.record() as tape:
    ...     loss = (x * x).sum()
    ...     loss.backward()
    >>> [entry.operation for entry in tape], str(tape["x"].values)
    (['leaf', 'mul', 'sum'], '[1., 2.]')
    >>> str(tape.passes[0].gradients[0])
    '[2., 4.]'
    """

    def __init__(self, model: Module | None = None):
        if model is not None and not isinstance(model, Module):
            raise TypeError(f"record: model must be a Module, got {type(model).__name__}")
        self.model = model

    def __enter__(self) -> Tape:
        variables = sys._getframe(1)
        self._variables = {**variables.f_globals, **variables.f_locals}
        models = {"": self.model} if self.model is not None else models_in(self._variables)
        self.tape = Tape(_names_of_leaves(self._variables, models))
        _tapes.add(self.tape)
        self._recorder = _Recorder(self.tape, models)
        self._recorder.__enter__()
        return self.tape

    def __exit__(self, *exception: object) -> None:
        self._recorder.__exit__(*exception)
        variables = sys._getframe(1)
        leaves = _names_of_leaves({**variables.f_globals, **variables.f_locals}, {})
        for node, number in self.tape._numbers.items():
            entry = self.tape.entries[number]
            entry.name = entry.name or leaves.get(id(node), "")
        self._variables = {}


def _names_of_leaves(variables: dict[str, Any], models: dict[str, Module]) -> dict[int, str]:
    """The names of parameters and of tensors in variables, by the id of their node."""
    named = [(name, value) for name, value in variables.items() if isinstance(value, Traced) and not name.startswith("_")]
    for prefix, model in models.items():
        named += [(f"{prefix}.{name}" if prefix else name, value) for name, value in model.named_parameters()]
    return {id(value.node): name for name, value in named if type(value.node) is Leaf}


def _rules(plan: Any, inputs: tuple[int, ...]) -> Iterator[tuple[int, str, Any]]:
    """For each input its number, the argument that it was, and the rule."""
    wanted = list(plan.wanted) if plan.primitive is not None else []
    for place, number in enumerate(inputs):
        argument = plan.primitive.argument_at(wanted[place]) if wanted else ""
        rule = plan.fused[0] if plan.fused is not None else plan.rules[place][0] if place < len(plan.rules) else None
        yield number, argument, rule


class _Recorder(Observer):
    """Writes a tape while it observes."""

    def __init__(self, tape: Tape, models: dict[str, Module] | None = None):
        self.tape, self.modules = tape, Running(models or {}, self._entered)
        self.pending: tuple[Entry, Stack] | None = None  # whose variable is known only at the next operation
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
        self.tape._values_of = values_of
        self.met.clear()
        self._name_pending(None)

    def _entered(self, path: str) -> None:
        if not is_grad_enabled() and path not in self.tape.modules_without_grad:
            self.tape.modules_without_grad[path] = Stack().calls()

    def recorded(self, node: Node, arguments: Any, result: Any) -> None:
        stack = Stack()
        self._name_pending(stack)
        inputs = tuple(self.tape._entry_of(parent).number for parent in node.parents)
        entry = self.tape._add(node, inputs, calls=stack.calls(), module=self.modules.innermost)
        entry.values = tuple(map(self._values, result)) if isinstance(result, (tuple, list)) else self._values(result)
        entry.rules = tuple(_rules(node.plan, inputs))
        for array in result if isinstance(result, (tuple, list)) else (result,):
            self.tape._note_made(array, entry.number)
        self._note_arguments(entry, node.plan, arguments)
        for name, value in zip(node.plan.names, node.saved if isinstance(node.saved, (tuple, list)) else ()):
            arrays = [each for each in (value if isinstance(value, tuple) else (value,)) if is_array(each)]
            entry.bytes_saved[name] = sum(array.nbytes for array in arrays)
            entry.saved[name] = tuple(map(self._values, value)) if arrays and isinstance(value, tuple) else self._values(value)
        if self.running and self.running[-1][1] is not None:
            entry.by_rule_of = self.running[-1][1].entry
        self.pending = entry, stack

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

    def _values(self, value: Any) -> Any:
        """The values of an array or a Tensor; anything else as it is. Those of an array met before are not computed again
        unless some array has changed in place since."""
        array = value.array if isinstance(value, Traced) else value
        if not (is_array(array) or isinstance(array, np.generic)):
            return array
        if self.changed != last_change():
            self.changed = last_change()
            self.met.clear()
        if id(array) not in self.met:
            self.met[id(array)] = array, values_of(array)
        return self.met[id(array)][1]

    def _name_pending(self, following: Stack | None) -> None:
        if self.pending is not None:
            entry, stack = self.pending
            entry.name = name_of_result(stack, following)
            self.pending = None

    def started(self, roots: Any) -> None:
        self._name_pending(None)
        of = Pass({self.tape._entry_of(node).number: self._values(g) for node, g in roots})
        self.tape.passes.append(of)
        self.running.append((of, None))

    def reached(self, node: Any, gradient: Any) -> None:
        cotangent: Any
        if isinstance(gradient, (list, tuple)):
            cotangent = tuple(None if part is None else self._values(part) for part in gradient)
        else:
            cotangent = self._values(gradient)
        of = self.running[-1][0]
        of.steps.append(Step(self.tape._entry_of(node).number, cotangent))
        self.running[-1] = of, of.steps[-1]

    def arrived(self, node: Any, gradient: Any, sender: Any, part: Any) -> None:
        sent = self._values(part)
        if part is not gradient:
            self.met.pop(id(gradient), None)  # a sum, to which the walk adds in place
        total = sent if part is gradient else self._values(gradient)
        step = self.running[-1][1]
        assert step is not None
        step.sent.append(Contribution(self.tape._entry_of(node).number, sent, total))

    def finished(self, found: dict[Any, Any] | None) -> None:
        if not self.running:
            return  # of a walk that was in progress when the block began
        done, _ = self.running.pop()
        if found is not None:
            done.gradients = {self.tape._entry_of(node).number: self._values(g) for node, g in found.items()}
            done.complete = True
