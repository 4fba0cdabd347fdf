"""The block that records: `with record() as tape`."""

from __future__ import annotations

import sys
from typing import Any

from tinygrad_lite.engine.tape import Leaf, Traced
from tinygrad_lite.nn import Module
from tinygrad_lite.study.modules import models_in
from tinygrad_lite.study.program import variables_of
from tinygrad_lite.study.recorder import Recorder
from tinygrad_lite.study.tape import Tape


class record:
    """Inside this block, record every operation of this thread with its values, its place in the program, the module that
    called it and what it saves; and every step of a backward pass.

    `model`: the Module whose parameters and submodules give their names; without it, those in variables of the caller. Of an
    array with more than 1,024 elements, statistics are kept. Recording is for studying a step: it keeps the graph alive, and a
    step of an MLP (784-512-256-10, batch 128) takes 2.1 to 2.6 times as long.

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
        self._variables = {**variables.f_globals, **variables_of(variables)}
        models = {"": self.model} if self.model is not None else models_in(self._variables)
        self.tape = Tape(_names_of_leaves(self._variables, models))
        self._recorder = Recorder(self.tape, models)
        self._recorder.__enter__()
        return self.tape

    def __exit__(self, *exception: object) -> None:
        self._recorder.__exit__(*exception)
        frame = sys._getframe(1)
        variables = {**frame.f_globals, **variables_of(frame)}
        taken = {id(array) for arrays in self.tape._constants.values() for name, array in arrays.items() if name}
        for name, value in {**self._variables, **variables}.items():
            if isinstance(value, Traced) and id(value.array) in taken:
                self.tape._named[name] = value.array
        leaves = _names_of_leaves(variables, {})
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
