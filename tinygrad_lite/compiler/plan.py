"""A program made ready to run again and again.

Most arrays have one place for all runs: views are made once, NumPy writes its results into arrays that stay, and what
depends on constants alone is computed in advance. What a kernel returns, and numbers, are made in each run. So a run is a
list of functions with their arguments.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.compiler.actions import Action, draw, fill, in_place, into, is_basic, several, with_ellipsis
from tinygrad_lite.compiler.chains import Slots
from tinygrad_lite.compiler.combining import combined, note_last_uses
from tinygrad_lite.compiler.late import Late, late_in, likes, view_of, with_values
from tinygrad_lite.compiler.layouts import as_traced, empty_of, untouched
from tinygrad_lite.compiler.native import piece_of, ufunc_of
from tinygrad_lite.compiler.nests import Piece
from tinygrad_lite.compiler.numbers import Numbers, set_by_one, set_by_two
from tinygrad_lite.compiler.program import IN_PLACE, Call, Program, Variable, last_uses, leaves, operation_of, perform, replaced
from tinygrad_lite.compiler.stand_ins import Untraceable
from tinygrad_lite.compiler.tracing import arrays_in

_UNINITIALIZED = ("np.empty", "np.empty_like")
_PAGES = 1 << 16  # bytes; larger buffers get their memory when they are written to: not if a loop keeps their values in registers
SMALL = 1 << 12  # a kernel's results up to this number of elements are copied to their place


class Plan:
    """`plan.run(arrays, numbers)` returns the outputs. `samples`: arrays like the inputs. `fuse`: consecutive calls may become one
    compiled function."""

    def __init__(self, program: Program, samples: list[np.ndarray], fuse: bool = True):
        self.program, self.fuse = program, fuse and available()
        self.fixed: dict[Variable, Any] = dict(program.captured)
        self.late: dict[Variable, Late] = {}
        self.slots: list[Any] = []
        self.before = Numbers()
        self.actions: list[Action] = []
        self.inputs: list[np.ndarray] = []
        self.pieces: dict[int, Piece] = {}  # those actions, by number, that compiled functions can do
        self._slots_of: dict[int, int] = {}  # those of late arrays, by the ids of the arrays that stand for them
        self._made_here: set[int] = set()  # the ids of those whose runs' arrays a loop may make
        self._cells: dict[tuple[Variable, np.dtype], np.ndarray] = {}
        self._last: dict[int, int] = {}  # the last action that reads a slot
        for variable in program.inputs:
            if variable.is_number:
                self._make_late(variable)
            else:
                sample = samples[len(self.inputs)]
                self.inputs.append(np.zeros_like(sample, order="C" if 0 in sample.strides else "K"))
                self.fixed[variable] = self.inputs[-1]
        self.numbers = len(self.slots)
        self._written = {variable.memory for call in program.calls for variable in call.written}
        self._changing = {variable.memory for variable in (*program.inputs, *program.captured)} | self._written
        arrays = [variable for variable in program.inputs if not variable.is_number]
        self.written = [i for i, variable in enumerate(arrays) if variable.memory in self._written]
        outside = {variable.memory for variable in program.captured}
        self.bytes = 0
        self._pool: dict[int, list[np.ndarray]] = {}
        self._taken: dict[int, np.ndarray] = {}  # by the memory's number
        self.after_checks: Callable[[], None] | None = None  # what to do when no input can be refused any more
        last_check = max((i for i, call in enumerate(program.calls) if call.function == "check"), default=-1)
        ends = last_uses(program.calls, program.outputs)
        with np.errstate(all="ignore"):
            if last_check < 0:
                self._do(self._checked)
            for i, call in enumerate(program.calls):
                first = len(self.actions)
                self._place(call)
                if i == last_check:
                    self._do(self._checked)
                for number in range(first, len(self.actions)):
                    if number in self.pieces:
                        self.pieces[number].number = i
                for memory in ends.get(i, ()):
                    if (buffer := self._taken.pop(memory, None)) is not None:
                        self._pool.setdefault(buffer.nbytes, []).append(buffer)
        self.outputs = [self._operand(variable) for variable in program.outputs]
        self._set_copies(outside)
        note_last_uses(self.pieces.values(), program, ends)
        self.actions, moved, self._kept = combined(self.actions, self.pieces, Slots(self.slots, self._slots_of, self._made_here))
        self._last = {slot: moved.get(number, number) for slot, number in self._last.items()}
        self._free()

    def run(self, arrays: list[np.ndarray], numbers: list[Any]) -> list[Any]:
        """One run. Raises Mismatch, before anything has changed, if a condition does not hold. The caller sees to it that NumPy
        warns of nothing."""
        slots = self.slots
        for place, array in zip(self.inputs, arrays):
            np.copyto(place, array)
        slots[: self.numbers] = numbers
        self.before.do(numbers)
        for function, arguments in self.actions:
            function(*arguments)
        for i in self.written:
            np.copyto(arrays[i], self.inputs[i])
        copies = [memory.copy() for memory in self.shared]
        found = [
            slots[output.slot] if type(output) is Late else output if keep is True else output.copy() if keep is False
            else np.ndarray(output.shape, output.dtype, copies[keep[0]], keep[1], output.strides)
            for output, keep in zip(self.outputs, self.keep)
        ]  # fmt: skip
        for slot in self.results:
            slots[slot] = None
        return found

    def _set_copies(self, outside: set[int]) -> None:
        """How each output is given away: itself (True), as a copy (False), or as a part of a copy of memory that it shares with
        others, at an offset."""
        self.keep: list[Any] = []
        self.shared: list[np.ndarray] = []
        count = collections.Counter(variable.memory for variable in dict.fromkeys(self.program.outputs) if variable.memory >= 0)
        numbers: dict[int, int] = {}
        for variable, output in zip(self.program.outputs, self.outputs):
            memory = variable.memory
            if memory in outside or isinstance(output, Late):
                self.keep.append(True)
            elif count[memory] > 1 and memory in self._taken:
                if memory not in numbers:
                    numbers[memory] = len(self.shared)
                    self.shared.append(self._taken[memory])
                self.keep.append((numbers[memory], start_of(output) - start_of(self._taken[memory])))
            else:
                self.keep.append(False)

    # -- operands -------------------------------------------------------------------------------

    def _operand(self, variable: Variable) -> Any:
        return self.fixed[variable] if variable in self.fixed else self.late[variable]

    def _make_late(self, variable: Variable, like: np.ndarray | None = None) -> int:
        if like is not None:
            self._slots_of[id(like)] = len(self.slots)
        self.late[variable] = Late(len(self.slots), like)
        self._last[len(self.slots)] = len(self.actions)  # the action that fills it, until another reads it
        self.slots.append(None)
        return len(self.slots) - 1

    def _new(self, variable: Variable, like: np.ndarray | None = None) -> np.ndarray:
        """A place for an array until its last use."""
        array = empty_of(variable) if like is None else np.empty_like(like, order="K", subok=False)
        size = -(-array.nbytes // 64) * 64
        free = self._pool.get(size)
        if free:
            buffer = free.pop()
        else:
            buffer = np.zeros(size, np.uint8) if size < _PAGES else untouched((size,), np.dtype(np.uint8))
            self.bytes += size
        self._taken[variable.memory] = buffer
        self.fixed[variable] = np.ndarray(array.shape, array.dtype, buffer, strides=array.strides)
        return self.fixed[variable]

    def _resolver(self, operands: tuple[Any, ...]) -> Callable[[], Any]:
        """A function that returns the operands of the run."""
        slots = self.slots
        late = late_in(operands)
        for operand in late:
            self._last[operand.slot] = len(self.actions)
        if not late:
            return lambda: operands
        if all(isinstance(o, Late) or not late_in(o) for o in operands):
            places = [(i, o.slot) for i, o in enumerate(operands) if isinstance(o, Late)]

            def resolved() -> list[Any]:
                found = list(operands)
                for i, slot in places:
                    found[i] = slots[slot]
                return found

            return resolved
        return lambda: with_values(operands, slots)

    def _performed(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Callable[[], Any]:
        """A function that does a call on the operands of the run."""
        resolved, rest, names = self._resolver(arguments), self._resolver(tuple(keywords.values())), list(keywords)
        if not names:
            return lambda: perform(function, tuple(resolved()), {})
        return lambda: perform(function, tuple(resolved()), dict(zip(names, rest())))

    def _checked(self) -> None:
        if self.after_checks is not None:
            self.after_checks()

    def _do(self, action: Callable[..., Any], arguments: tuple[Any, ...] = ()) -> None:
        self.actions.append((action, arguments))

    def _free(self) -> None:
        """Let go of what a run has made after its last use."""
        kept = {o.slot for o in self.outputs if isinstance(o, Late)} | set(range(self.numbers))
        numbers = {late.slot for variable, late in self.late.items() if variable.is_number}
        self.results = sorted(kept - set(range(self.numbers)) - numbers)
        ends: dict[int, list[int]] = {}
        for slot, action in self._last.items():
            if slot not in kept and slot not in numbers:
                ends.setdefault(action, []).append(slot)
        actions: list[Action] = []
        for i, call in enumerate(self.actions):
            actions.append(call)
            if i in ends:
                actions.append((_let_go, (self.slots, ends[i])))
        self.actions = actions

    # -- compiled functions ---------------------------------------------------------------------

    def _compute(self, out: np.ndarray, function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self._note(piece_of(function, arguments, keywords, out))
        self.actions.append(into(out, function, arguments, keywords))

    def _note(self, piece: Piece | None) -> None:
        if piece is not None and self.fuse:
            self.pieces[len(self.actions)] = piece

    # -- calls ----------------------------------------------------------------------------------

    def _place(self, call: Call) -> None:
        arguments, keywords = replaced((call.arguments, call.keywords), self._operand)
        result = call.result
        if callable(call.function):
            self._place_kernel(call, arguments, keywords)
        elif call.function in ("guard", "same") or (result is not None and result.is_number):
            self._place_number(call, arguments, keywords)
        elif result is None:
            self._place_change(call, arguments, keywords)
        elif late_in((arguments, keywords)):
            self._place_late(call, arguments, keywords)
        elif call.function == "draw":
            self._changing.add(result.memory)
            self._do(draw(self._new(result), arguments))
        else:
            self._place_fixed(call, arguments, keywords)

    def _place_number(self, call: Call, arguments: Any, keywords: Any) -> None:
        slots, result = self.slots, call.result
        reads = [late.slot for late in late_in((arguments, keywords))]
        is_of_array = any(isinstance(part, np.ndarray) for part in leaves((arguments, keywords)))
        if result is None:
            self.before.add((self._performed(call.function, arguments, keywords), ()), reads, None, is_of_array)
            return
        slot = self._make_late(result)
        action: Action
        if result.host and not keywords and (operation := operation_of(call.function, len(arguments))) and not is_of_array:
            places = [part.slot if isinstance(part, Late) else self._constant(part) for part in arguments]
            action = (set_by_one if len(places) == 1 else set_by_two), (slots, slot, operation, *places)
        else:
            performed = self._performed(call.function, arguments, keywords)

            def compute() -> None:
                value = performed()
                slots[slot] = value.item() if isinstance(value, np.generic) else value

            action = compute, ()
        if result.host:
            self.before.add(action, reads, slot, is_of_array)
        else:
            self._do(*action)

    def _constant(self, value: Any) -> int:
        """A slot that holds the same in all runs."""
        self.slots.append(value)
        return len(self.slots) - 1

    def _place_fixed(self, call: Call, arguments: Any, keywords: Any) -> None:
        """A call whose operands have their places: so has its result."""
        result = call.result
        assert result is not None
        found = perform(call.function, arguments, keywords)
        if result.dtype == object:  # several results
            self._changing.add(result.memory)
            places = self.fixed[result] = [np.array(part) for part in found]
            self._do(functools.partial(several, call.function, arguments, keywords, places))
            return
        array = np.asarray(found)
        self.fixed[result] = array
        operands = [variable for variable in call.variables() if variable.memory >= 0]
        is_view = any(np.may_share_memory(array, self.fixed[variable]) for variable in operands)
        if is_view and any(variable.memory == result.memory for variable in operands):
            return
        if not is_view and array.size and any(variable.memory == result.memory for variable in operands):
            raise Untraceable(f"{call.function} made a view, and makes a copy in the program")
        if call.function in _UNINITIALIZED:
            self._new(result, array)
            return
        if not any(self._is_changing(variable) for variable in call.variables()) and result.memory not in self._changing:
            return  # the same in every run
        self._changing.add(result.memory)
        self._compute(self._new(result, array), call.function, arguments, keywords)

    def _is_changing(self, variable: Variable) -> bool:
        return variable.memory in self._changing or (variable.memory < 0 and variable.dtype == object)

    def _place_late(self, call: Call, arguments: Any, keywords: Any) -> None:
        """A call on what the run makes."""
        result, function, slots = call.result, call.function, self.slots
        assert result is not None
        if (with_cells := self._with_cells(call, arguments)) is not None:
            self._changing.add(result.memory)
            self._compute(self._new(result), function, with_cells, {})
            return
        by_number = any(variable.is_number for variable in call.variables())
        if by_number and result.memory in self._written and any(v.memory == result.memory for v in call.variables()):
            raise Untraceable("a part of a tensor whose place differs from call to call is changed in place")
        self._changing.add(result.memory)
        performed = self._performed(function, arguments, keywords)
        if result.dtype == object:
            slot = self._make_late(result)
            self._do(lambda: slots.__setitem__(slot, performed()))
            return
        resolved = self._resolver(arguments)
        ufunc = ufunc_of(function, len(arguments))
        if ufunc is not None and not keywords and result.memory not in {v.memory for v in call.variables()}:
            shape, dtype = result.shape, result.dtype
            if np.prod(shape, dtype=int) * dtype.itemsize < _PAGES:
                out = self._new(result)
                self._do(lambda: ufunc(*resolved(), out=out))
                return
            like = empty_of(result, untouched)
            place = self._make_late(result, like)
            self._made_here.add(id(like))
            if (known := likes(arguments)) is not None:
                self._note(piece_of(function, known, {}, like))

            def compute() -> None:
                slots[place] = new = np.empty_like(like)
                ufunc(*resolved(), out=new)

            self._do(compute)
            return
        if function == ".dot" and len(result.shape) == 2:
            product = self._new(result)
            dot: Callable[..., Any] = np.dot
            self._do(lambda: dot(*resolved(), product))
            return
        if result.memory not in {v.memory for v in call.variables()}:
            slot = self._make_late(result)
            self._do(lambda: slots.__setitem__(slot, _apart(np.asarray(performed()), resolved())))
            return
        slot = self._make_late(result, view_of(function, arguments, keywords))
        self._do(lambda: slots.__setitem__(slot, np.asarray(performed())))

    def _with_cells(self, call: Call, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The operands of a ufunc with 0-d arrays in the place of numbers, which promote as the numbers do."""
        function = call.function.removesuffix("=") if call.function in IN_PLACE else call.function
        if call.keywords or ufunc_of(function, 2) is None or len(call.arguments) != 2:
            return None
        number = next((v for v in call.arguments if isinstance(v, Variable) and v.is_number), None)
        other = next((a for a in arguments if isinstance(a, np.ndarray)), None)
        if number is None or other is None:
            return None
        dtype = np.result_type(other.dtype, 0.0 if number.dtype.kind == "f" else 0)
        return tuple(self._cell(number, dtype) if isinstance(a, Late) else a for a in arguments)

    def _cell(self, number: Variable, dtype: np.dtype) -> np.ndarray:
        """A 0-d array that holds a number during the run."""
        key = number, dtype
        if key not in self._cells:
            self._cells[key] = cell = np.zeros((), dtype)
            slot = self.late[number].slot
            if number.host:
                self.before.add((fill, (cell, self.slots, slot)), [slot], None, False)
            else:
                self._do(fill, (cell, self.slots, slot))
        return self._cells[key]

    def _place_change(self, call: Call, arguments: Any, keywords: Any) -> None:
        """A change in place, or a check."""
        function = call.function
        if late_in((arguments, keywords)) and (with_cells := self._with_cells(call, arguments)) is not None:
            arguments = with_cells
        if not late_in((arguments, keywords)):
            if function in IN_PLACE:
                piece = piece_of(function.removesuffix("="), arguments, keywords, arguments[0])
            elif function == "[]=" and is_basic(arguments[1]):
                target = np.ndarray.__getitem__(arguments[0], with_ellipsis(arguments[1]))
                piece = piece_of(".copy", (arguments[2],), {}, target)
            else:
                piece = piece_of(function, arguments, {}, keywords["out"]) if list(keywords) == ["out"] else None
            self._note(piece)
            self.actions.append(in_place(function, arguments, keywords))
            return
        if function in IN_PLACE and (known := likes(arguments)) is not None:
            self._note(piece_of(function.removesuffix("="), known, keywords, known[0]))
        self._do(self._performed(ufunc_of(function, len(arguments)) or function, arguments, keywords))

    def _place_kernel(self, call: Call, arguments: Any, keywords: Any) -> None:
        slots, performed = self.slots, self._performed(call.function, arguments, keywords)
        memory = {variable.memory for variable in call.variables()}
        small: list[tuple[int, np.ndarray]] = []
        large: list[tuple[int, int, np.ndarray | None]] = []
        for i, variable in enumerate(call.results):
            if variable is None or variable in self.fixed or variable in self.late:
                continue
            self._changing.add(variable.memory)
            if variable.memory not in memory and np.prod(variable.shape, dtype=int) <= SMALL:
                small.append((i, self._new(variable)))
            else:
                like = None if variable.memory in memory else empty_of(variable, untouched)
                large.append((i, self._make_late(variable, like), like))
        if not small and not large:
            self._do(performed)
            return

        def run() -> None:
            found = list(arrays_in(performed()))
            for i, place in small:
                np.copyto(place, found[i])
            for i, slot, like in large:
                slots[slot] = found[i] if like is None else as_traced(found[i], like)

        self._do(run)


def _let_go(slots: list[Any], which: list[int]) -> None:
    for slot in which:
        slots[slot] = None


def _apart(found: np.ndarray, operands: Iterable[Any]) -> np.ndarray:
    """What a call has made, which has to have memory of its own."""
    if found.base is None:
        return found
    return found.copy() if any(isinstance(x, np.ndarray) and np.may_share_memory(found, x) for x in operands) else found
