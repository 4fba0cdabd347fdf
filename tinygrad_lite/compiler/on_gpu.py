"""A program made ready to run again and again on a GPU.

Numbers, and the single numbers that optimizers keep on the CPU, are computed there. All else is CuPy's calls, in the order of
the program, on arrays that stay (inputs, parameters, random numbers, 0-d arrays for numbers that change) and intermediate
values. These calls become CUDA graphs if what they do depends on no number from the CPU; otherwise they are made one by one.

A plan is rehearsed before its first run, with all effects undone: CuPy has to make what NumPy made in the trace.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lite.arrays import deferred_checks, is_array
from tinygrad_lite.arrays.devices import cupy_or_explain, handle
from tinygrad_lite.arrays.gpu import is_cupy
from tinygrad_lite.arrays.memory import owner_of, start_of, strided
from tinygrad_lite.compiler.capture import Captured
from tinygrad_lite.compiler.cuda_graph import Recorder
from tinygrad_lite.compiler.gpu_calls import Values, dtype_of_cells, into_place, keep, name_of, note_check, perform_on_cpu, performed, waits
from tinygrad_lite.compiler.gpu_chains import Chain, with_chains
from tinygrad_lite.compiler.program import Call, Program, Variable
from tinygrad_lite.compiler.rehearsal import compare
from tinygrad_lite.compiler.stand_ins import Untraceable


class GPUPlan:
    """`plan.run(arrays, numbers)` returns the outputs. `numbers`: those of the call that was traced. `fuse`: the calls may become
    fewer kernels, and a graph."""

    def __init__(self, program: Program, captured: Captured, numbers: list[Any], fuse: bool = True):
        self.program, self.gpu = program, handle(captured.device)
        self.before: list[Call] = []  # numbers, and conditions on them
        self.draws: list[tuple[Call, Any]] = []  # random numbers that depend on no array, and their places
        self.actions: list[Call | Chain] = []  # what the GPU does
        self.after: list[Call] = []  # numbers that are read from the GPU
        self.on_cpu: list[Call] = []  # changes of single numbers on the CPU
        self.inputs: list[Any] = []
        self.obstacle = "" if fuse else "every call is made as in eager execution"  # why there is no graph
        self._fixed: Values = {}
        self._cells: dict[tuple[Variable, np.dtype], Variable] = {}  # 0-d arrays for numbers that change
        self._numbers = [variable for variable in program.inputs if variable.is_number]
        self._host = set(self._numbers)  # variables that are on the CPU
        self._late: set[Variable] = set()  # numbers that are read from the GPU
        self._checks: list[Call] = []
        self._stages: list[Callable[[], Any]] = []  # launches of graphs, and calls that no graph can hold
        self._aside: list[Call] = []  # those calls
        self._filled: Values = {}  # what the stages fill
        arrays = [variable for variable in program.inputs if not variable.is_number]
        self._changed = {variable.memory for call in program.calls for variable in call.written}
        self.written = [i for i, variable in enumerate(arrays) if variable.memory in self._changed]
        with self.gpu:
            self._place(arrays, captured)
            calls = self._sorted(_reads_in_between(program, self._host))
            kept = {v.memory for v in (*program.outputs, *self._fixed, *(v for c in (*self.after, *self._checks) for v in c.variables()))}
            self.actions = with_chains(calls, kept) if fuse else list(calls)
            self._ends = _ends(self.actions, kept)
            self._outside = {v.memory for v in (*self._fixed, *program.outputs)}
            recorder = Recorder()
            self._rehearse(recorder, captured.samples, numbers)
            self._peak = recorder.bytes
            self._recorder = None if self.obstacle else recorder

    @property
    def bytes(self) -> int:
        """Of the arrays that stay, and of intermediate values."""
        with self.gpu:
            pool = self._peak if self._recorder is None else self._recorder.bytes
        return sum(place.nbytes for place in (*self.inputs, *(place for _, place in self.draws))) + pool

    @property
    def form(self) -> str:
        """How the calls are made."""
        if not self._stages:
            return f"call by call: {self.obstacle or 'CUDA_LAUNCH_BLOCKING=1'}"
        graphs, names = len(self._stages) - len(self._aside), sorted({name_of(call) for call in self._aside})
        if not names:
            return "one CUDA graph"
        return f"CUDA graphs ({graphs}), and calls between them that no graph can hold ({len(self._aside)}: {', '.join(names)})"

    # -- what runs where ------------------------------------------------------------------------

    def _place(self, arrays: list[Variable], captured: Captured) -> None:
        xp = cupy_or_explain()
        for variable, sample in zip(arrays, captured.samples):
            self.inputs.append(xp.zeros_like(sample, order="C" if 0 in sample.strides else "K"))
            self._fixed[variable] = self.inputs[-1]
        for variable, value in self.program.captured.items():
            if type(value) is not np.ndarray:  # an array of the GPU, or a source of random numbers
                self._fixed[variable] = value
            elif variable in captured.tensors:
                self._fixed[variable] = value
                self._host.add(variable)
            elif variable.memory in self._changed:
                raise Untraceable("it changes an array of NumPy")
            else:
                self._fixed[variable] = xp.asarray(value)

    def _sorted(self, reads_in_between: bool) -> list[Call]:
        """The calls for the GPU; the others are put where they belong."""
        calls: list[Call] = []
        inline = False  # whether draws keep their place among the calls
        if reads_in_between:
            self.obstacle = self.obstacle or "a value that is read from the GPU decides what follows"
        for call in self.program.calls:
            operands = [v for v in call.variables() if v.dtype != object or v.memory >= 0]
            on_cpu = all(variable in self._host for variable in operands)
            result = call.result
            if any(part.function == "draw" for part in call.body):
                raise Untraceable("a kernel draws random numbers")
            if call.function == "draw":
                inline = inline or not on_cpu
                if inline:
                    self.obstacle = self.obstacle or "random numbers depend on values"
                    calls.append(call)
                else:
                    assert result is not None
                    self._fixed[result] = cupy_or_explain().zeros(result.shape, result.dtype)
                    self.draws.append((call, self._fixed[result]))
            elif call.function in ("guard", "same") or (result is not None and result.is_number):
                if on_cpu:
                    (self.before if result is None or result.host else self.on_cpu).append(call)
                    self._host.update(call.made)
                elif reads_in_between:
                    self._late.update(call.made)
                    calls.append(call)
                else:
                    self._read_after(call, calls)
            elif on_cpu and any(not variable.is_number for variable in operands):
                self.on_cpu.append(call)
                self._host.update(call.made)
            elif any(variable in self._host and not variable.is_number for variable in operands):
                raise Untraceable("an array on the CPU takes part in the work of a GPU")
            else:
                calls.append(self._with_cells(call))
                if call.function == "check":
                    self._checks.append(call)
        late = {call.result for call in self.on_cpu if call.result is not None and call.result.is_number}
        used = {variable for call in (*calls, *(call for call, _ in self.draws)) for variable in call.variables()}
        self._is_cpu_first = not late.isdisjoint({number for number, _ in self._cells} | used)
        return calls

    def _read_after(self, call: Call, calls: list[Call]) -> None:
        """Read a number when the GPU has done its work. What it is read from may change until then."""
        assert call.result is not None
        if call.function == ".item":
            array = call.arguments[0]
            copy = replace(array, name=f"{array.name}_then", memory=-2 - len(self.after))
            calls.append(Call(".copy", (array,), results=(copy,)))
            call = Call(".item", (copy,), results=call.results)
        self._late.add(call.result)  # type: ignore[arg-type]
        self.after.append(call)

    def _with_cells(self, call: Call) -> Call:
        """The call with 0-d arrays in the place of numbers, which promote as the numbers do."""
        numbers = [variable for variable in call.variables() if variable.is_number]
        if callable(call.function) and (numbers or len(call.results) > 1):
            self.obstacle = self.obstacle or f"{name_of(call)} takes a number that may change, or has several results"
        if callable(call.function) or not numbers:
            return call
        if call.function == ".fill":
            call = Call("[]=", (call.arguments[0], Ellipsis, call.arguments[1]), written=call.written, section=call.section)
        dtype = dtype_of_cells(call)
        if dtype is None or any(number in self._late for number in numbers):
            self.obstacle = self.obstacle or f"{call.function} takes a number that may change"
            return call
        return replace(call, arguments=tuple(self._cell(a, dtype) if a in numbers else a for a in call.arguments))

    def _cell(self, number: Variable, dtype: np.dtype) -> Variable:
        key = number, dtype
        if key not in self._cells:
            self._cells[key] = cell = Variable(f"{number.name}_", (), dtype, -2 - len(self._cells) - (1 << 20))
            self._fixed[cell] = cupy_or_explain().zeros((), dtype)
        return self._cells[key]

    # -- the rehearsal --------------------------------------------------------------------------

    def _rehearse(self, recorder: Recorder, samples: list[Any], numbers: list[Any]) -> None:
        """One run whose effects are undone."""
        changed = [self._fixed[v] for v in self.program.captured if v.memory in self._changed and is_array(self._fixed[v])]
        before = [(array, array.copy()) for array in changed]
        try:
            values = self._begin(numbers)
            for place, sample in zip(self.inputs, samples):
                place[...] = sample
            if self._is_cpu_first:
                perform_on_cpu(self.on_cpu, values)
            self._fill_cells(values)
            recorder.rehearse(lambda: self._perform(values, is_rehearsal=True))
        except Untraceable:
            raise
        except Exception as error:
            raise Untraceable(f"CuPy does not do what NumPy does: {type(error).__name__}: {error}") from error
        finally:
            for array, copy in before:
                array[...] = copy

    # -- runs -----------------------------------------------------------------------------------

    def run(self, arrays: list[Any], numbers: list[Any]) -> list[Any]:
        """One run. Raises Mismatch, before anything has changed, if a condition does not hold."""
        values = self._begin(numbers)
        xp = cupy_or_explain()
        with self.gpu, self._cpu_first(values) if self._is_cpu_first else contextlib.nullcontext():
            for place, array in zip(self.inputs, arrays):
                xp.copyto(place, array)
            self._fill_cells(values)
            for call, place in self.draws:
                place[...] = performed(call, values)
            is_waiting = os.environ.get("CUDA_LAUNCH_BLOCKING") == "1"
            made = self._launched(values) if not is_waiting else None
            if made is None:
                made = self._perform(values, check_at_once=is_waiting)
            if not is_waiting:
                for call in self._checks:
                    note_check(call, made)
            for i in self.written:
                xp.copyto(arrays[i], self.inputs[i])
            outputs = self._given_away(made)
            if not self._is_cpu_first:
                perform_on_cpu(self.on_cpu, values)
            read = {**values, **made}
            if self.after:
                deferred_checks.settle()
            perform_on_cpu(self.after, read)
            values.update((v, read[v]) for call in self.after for v in call.made)
        return [outputs[v] if v in outputs else values[v].copy() if is_array(values[v]) else values[v] for v in self.program.outputs]

    def _begin(self, numbers: list[Any]) -> Values:
        values = dict(self._fixed)
        values.update(zip(self._numbers, numbers))
        perform_on_cpu(self.before, values)
        return values

    @contextlib.contextmanager
    def _cpu_first(self, values: Values) -> Iterator[None]:
        """With the numbers on the CPU changed, unless an error is raised."""
        changed = [self._fixed[v] for v in self.program.captured if v in self._host and v.memory in self._changed]
        before = [(array, array.copy()) for array in changed]
        try:
            perform_on_cpu(self.on_cpu, values)
            yield
        except BaseException:
            for array, copy in before:
                array[...] = copy
            raise

    def _fill_cells(self, values: Values) -> None:
        for (number, _), cell in self._cells.items():
            self._fixed[cell].fill(values[number])

    def _perform(self, values: Values, is_rehearsal: bool = False, check_at_once: bool = False) -> Values:
        """Make the calls for the GPU one by one. Values are kept as long as somebody reads them."""
        for i, (action, ends) in enumerate(zip(self.actions, self._ends)):
            operands = {variable: values[variable] for variable in action.variables()} if is_rehearsal else {}
            if isinstance(action, Chain):
                action.run(values)
            elif action.function == "check":
                if check_at_once:
                    note_check(action, values)
            elif action.function == "draw" and is_rehearsal:
                assert action.result is not None
                values[action.result] = cupy_or_explain().zeros(action.result.shape, action.result.dtype)
            else:
                keep(action, performed(action, values), values)
            if is_rehearsal:
                compare(self.actions, i, values, operands, self._outside)
            for variable in ends:
                values.pop(variable, None)
        return values

    def _launched(self, values: Values) -> Values | None:
        """What the graphs have filled; None if there are none."""
        if not self._stages and self._recorder is not None:
            try:
                self._aside = []
                self._stages, self._filled = self._recorder.record(functools.partial(self._record, dict(values)))
            except Exception as error:  # whatever CuPy, or the driver, refuses
                self.obstacle, self._recorder = f"{type(error).__name__}: {error}", None
        if not self._stages:
            return None
        for stage in self._stages:
            stage()
        return self._filled

    def _record(self, values: Values, aside: Callable[[Callable[[], Any], bool], None]) -> Values:
        """Record the calls for the GPU."""
        refused: set[Any] = set()  # functions that CuPy does not record
        is_first = True
        for action, ends in zip(self.actions, self._ends):
            if isinstance(action, Chain):
                action.run(values)
                is_first = False
            elif action.function != "check":
                is_aside = callable(action.function) or action.function in refused or waits(action)
                if not is_aside:
                    try:
                        keep(action, performed(action, values), values)
                        is_first = is_first and self._is_view(action, values)
                    except RuntimeError as error:  # it calls a library such as cuBLAS, or brings something from the CPU
                        if action.written and list(action.keywords) != ["out"]:
                            raise  # a part may have been recorded
                        is_aside = True
                        if isinstance(error, NotImplementedError):
                            refused.add(action.function)
                if is_aside:
                    aside(into_place(action, values), is_first)
                    self._aside.append(action)
                    is_first = True
            for variable in ends:
                values.pop(variable, None)
        return values

    def _is_view(self, call: Call, values: Values) -> bool:
        """Whether a call that was made took no work."""
        memory = [values[v].data.mem for v in call.variables() if is_cupy(values[v])]
        made = [values[v] for v in call.made]
        return not call.written and all(is_cupy(found) and any(found.data.mem is known for known in memory) for found in made)

    def _given_away(self, made: Values) -> Values:
        """The outputs on the GPU. What the next run overwrites is copied; parts of one memory stay parts of one."""
        found: Values = {}
        outside = {variable.memory for variable in self.program.captured}
        fixed = {variable.memory for variable in self._fixed}
        wholes: dict[int, tuple[Any, Any]] = {}
        outputs = [v for v in dict.fromkeys(self.program.outputs) if v in made and v not in self._host and not v.is_number]
        count = collections.Counter(variable.memory for variable in outputs)
        for variable in outputs:
            array = made[variable]
            if variable.memory in outside or (made is not self._filled and variable.memory not in fixed):
                found[variable] = array
            elif count[variable.memory] == 1:
                found[variable] = array.copy("K")
            else:
                owner = owner_of(array)
                _, copy = wholes.setdefault(id(owner), (owner, owner.copy("K")))
                found[variable] = strided(copy, array.shape, array.strides, start_of(array) - start_of(owner))
        return found


def _reads_in_between(program: Program, host: set[Variable]) -> bool:
    """Whether a call for the GPU needs a number that is read from it."""
    host, late = set(host), set[Variable]()
    for call in program.calls:
        operands = [v for v in call.variables() if v.dtype != object]
        if call.result is not None and call.result.is_number:
            (host if all(v in host for v in operands) else late).update(call.made)
        elif any(variable in late for variable in operands):
            return True
    return False


def _ends(actions: list[Call | Chain], kept: set[int]) -> list[list[Variable]]:
    """What nobody reads after each action."""
    last: dict[int, int] = {}
    names: dict[int, set[Variable]] = {}
    for i, action in enumerate(actions):
        for variable in (*action.variables(), *action.made):
            if variable.memory not in kept and variable.memory != -1:
                last[variable.memory] = i
                names.setdefault(variable.memory, set()).add(variable)
    ends: list[list[Variable]] = [[] for _ in actions]
    for memory, i in last.items():
        ends[i] += names[memory]
    return ends
