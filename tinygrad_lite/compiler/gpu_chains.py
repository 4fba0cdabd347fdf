"""Consecutive elementwise calls of a program as one kernel of a GPU, by way of `cupy.fuse`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.fusion import Step, kernel_of
from tinygrad_lite.compiler.native import ufunc_of
from tinygrad_lite.compiler.program import IN_PLACE, Call, Variable

_FUNCTIONS = {
    "add", "subtract", "multiply", "divide", "negative", "absolute", "exp", "log", "log1p", "expm1", "sqrt", "square", "reciprocal",
    "tanh", "sin", "cos", "maximum", "minimum", "power", "sign", "floor", "ceil", "less", "less_equal", "greater", "greater_equal",
    "equal", "not_equal",
}  # fmt: skip
_BOOL = np.dtype(bool)
LONGEST = 32  # calls in a chain


class Link:
    """A call that may be part of a chain: `function` of `operands`, written into `out`, or into a new array for `result`."""

    def __init__(self, call: Call):
        self.call = call
        function = call.function.removesuffix("=") if call.function in IN_PLACE else call.function
        ufunc = ufunc_of(function, len(call.arguments))
        self.function = "" if ufunc is None else ufunc.__name__
        self.operands, self.result = call.arguments, call.result
        self.out = call.arguments[0] if call.function in IN_PLACE else call.keywords.get("out")
        self.arrays = [v for v in (*call.variables(), *call.made) if not v.is_number]
        self.main: Any = self.result if self.out is None else self.out

    def is_possible(self) -> bool:
        main = self.main
        if self.function not in _FUNCTIONS or not self.call.keywords.keys() <= {"out"} or not isinstance(main, Variable):
            return False
        floats = {v.dtype for v in self.arrays if v.dtype != _BOOL}
        return (
            len(floats) == 1 and next(iter(floats)) in (np.float32, np.float64) and main.dtype in (*floats, _BOOL)
            and all(v.shape in (main.shape, ()) for v in self.arrays)
            and all(type(a) in (int, float) or (isinstance(a, Variable) and not a.is_number) for a in self.operands)
        )  # fmt: skip

    @property
    def kind(self) -> tuple[tuple[int, ...], Any]:
        """What is the same for all calls of a chain."""
        return self.main.shape, next(v.dtype for v in self.arrays if v.dtype != _BOOL)


class Chain:
    """Calls that are one kernel. `needed`: the memory that is read after it."""

    def __init__(self, links: Sequence[Link], needed: set[int]):
        made = dict.fromkeys(link.result for link in links if link.result is not None)
        self.arrays = list(dict.fromkeys(v for link in links for v in link.arrays if v not in made))
        places = {variable: i for i, variable in enumerate(self.arrays)}
        self.numbers: list[Any] = []
        steps: list[Step] = []
        for link in links:
            operands = tuple(places[a] if isinstance(a, Variable) else self._number(a) for a in link.operands)
            steps.append((link.function, operands, None if link.out is None else places[link.out]))
            if link.result is not None:
                places[link.result] = len(self.arrays) + sum(step[2] is None for step in steps) - 1
        self.written = tuple(dict.fromkeys(link.out for link in links if link.out is not None))
        self.made = [variable for variable in made if variable.memory in needed]
        self.kernel = kernel_of(len(self.arrays), tuple(steps), tuple(places[variable] for variable in self.made))

    def _number(self, value: Any) -> int:
        self.numbers.append(value)
        return -len(self.numbers)

    def variables(self) -> list[Variable]:
        return self.arrays

    def run(self, values: dict[Variable, Any]) -> None:
        found = self.kernel(*(values[variable] for variable in self.arrays), *self.numbers)
        values.update(zip(self.made, found if len(self.made) > 1 else (found,)))


def with_chains(calls: Sequence[Call], kept: set[int]) -> list[Call | Chain]:
    """The calls, with chains in the place of those that can be one kernel. `kept`: the memory that is read after the last."""
    actions: list[Call | Chain] = []
    run: list[Link] = []
    needed_after = _needed(calls, kept)

    def finish(end: int) -> None:
        actions.extend([Chain(run, needed_after[end])] if len(run) > 1 else [link.call for link in run])
        run.clear()

    for i, call in enumerate(calls):
        link = Link(call) if isinstance(call.function, str) else None
        if link is None or not link.is_possible():
            finish(i)
            actions.append(call)
            continue
        if run and (link.kind != run[0].kind or len(run) == LONGEST or not _is_clear([*run, link])):
            finish(i)
        run.append(link)
    finish(len(calls))
    return actions


def _needed(calls: Sequence[Call], kept: set[int]) -> list[set[int]]:
    """For each call the memory that it or a later one reads; at last what is kept."""
    needed = [kept]
    for call in reversed(calls):
        needed.append(needed[-1] | {variable.memory for variable in call.variables()})
    return needed[::-1]


def _is_clear(links: Sequence[Link]) -> bool:
    """Whether what the calls write is known to them by one name only, so that no element is read as another."""
    names: dict[int, set[Variable]] = {}
    for link in links:
        for variable in link.arrays:
            names.setdefault(variable.memory, set()).add(variable)
    return all(len(names[link.out.memory]) == 1 for link in links if link.out is not None)
