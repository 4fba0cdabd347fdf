"""Simplifications of a program. Each is a function from a program to an equivalent one."""

from __future__ import annotations

import collections
import math
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lite.arrays import axpby
from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.compiler.joined_kernels import with_results_made_by_gradients, with_sums_normalized
from tinygrad_lite.compiler.joined_products import with_products_joined
from tinygrad_lite.compiler.program import Call, Program, Variable, renamed, replaced, variables_in

LARGE = 1 << 18  # elements of a result that is not kept from the forward to the backward pass if it can be made again
SMALL = 1 << 12  # elements; below, calling a kernel costs more than its NumPy calls one by one


def with_small_kernels_taken_apart(program: Program) -> Program:
    """With the NumPy calls of kernels whose arrays are all small, in their place; and those of axpby if they can be a part of a
    compiled loop."""
    calls: list[Call] = []
    for call in program.calls:
        arrays = [variable for variable in (*call.variables(), *call.made) if not variable.is_number]
        is_small = all(math.prod(array.shape) <= SMALL for array in arrays) or (call.calls(axpby) and available())
        calls += call.body if call.body and not call.is_whole and is_small else [call]
    return replace(program, calls=calls)


def without_dead_code(program: Program) -> Program:
    """Without calls whose results nobody reads. A change of an input or a captured array is a result."""
    outside = {variable.memory for variable in (*program.inputs, *program.captured)}
    live = set(variables_in(program.outputs))
    read = {variable.memory for variable in live}  # memory that a later call reads
    kept: list[Call] = []
    for call in reversed(program.calls):
        acts = (not call.results and not call.written) or call.function == "draw"  # a condition, a step of a random stream
        if acts or any(v in live for v in call.made) or any(v.memory in read or v.memory in outside for v in call.written):
            kept.append(call)
            live.update(call.variables())
            read.update(variable.memory for variable in call.variables())
    return replace(program, calls=kept[::-1])


def without_repetitions(program: Program) -> Program:
    """With each value computed once: a call that repeats an earlier one, on operands that have not changed since, is
    replaced by its result. What is changed in place anywhere in the program is left alone."""
    written = {variable.memory for call in program.calls for variable in call.written}
    shared = collections.Counter(variable.memory for call in program.calls for variable in call.made)
    versions: dict[int, int] = collections.defaultdict(int)
    known: dict[Any, tuple[Variable | None, ...]] = {}
    names: dict[Variable, Variable] = {}
    memories: dict[int, int] = {}  # what views of a result that was dropped are views of
    conditions: set[Any] = set()
    calls: list[Call] = []

    def current(variable: Variable) -> Variable:
        while variable in names:
            variable = names[variable]
        return variable

    for call in program.calls:
        for part in (call, *call.body):
            names.update({v: replace(v, memory=memories[v.memory]) for v in part.made if v.memory in memories and v not in names})
        call = renamed(call, current)
        if call.function in ("guard", "same"):
            key = _key((call.function, call.arguments), versions, False)
            if key in conditions:
                continue
            conditions.add(key)
        for variable in call.written:
            versions[variable.memory] += 1
        if call.results and not call.written and not _is_fresh(call):
            operands = {variable.memory for variable in call.variables()}
            is_view = all(variable.memory in operands for variable in call.made if variable.memory >= 0)
            alone = not any(variable.memory in written or shared[variable.memory] > 1 for variable in call.made if variable.memory >= 0)
            if is_view or alone:
                key = _key((call.function, call.arguments, call.keywords), versions, is_view)
                if (same := known.setdefault(key, call.results)) is not call.results:
                    pairs = [(mine, first) for mine, first in zip(call.results, same) if mine is not None and first is not None]
                    names.update(pairs)
                    memories.update({mine.memory: first.memory for mine, first in pairs if mine.memory != first.memory})
                    continue
        calls.append(call)
    return replace(program, calls=calls, outputs=replaced(program.outputs, current))


def _is_fresh(call: Call) -> bool:
    """Whether each call gives something else: random numbers, uninitialized memory."""
    return call.function in ("draw", "np.empty", "np.empty_like")


def _key(value: Any, versions: dict[int, int], is_view: bool) -> Any:
    """What is equal for calls with equal results. A view is the same whatever has been written into its memory."""
    if isinstance(value, Variable):
        return value, 0 if is_view or value.is_number else versions[value.memory]
    if isinstance(value, (tuple, list)):
        return type(value).__name__, *(_key(part, versions, is_view) for part in value)
    if isinstance(value, dict):
        return tuple((name, _key(part, versions, is_view)) for name, part in sorted(value.items()))
    if isinstance(value, slice):
        return "slice", *(_key(part, versions, is_view) for part in (value.start, value.stop, value.step))
    if isinstance(value, (int, float, bool)):
        return type(value), repr(value)  # 1, 1.0 and True are equal and have different results; so have 0.0 and -0.0
    return type(value), value if isinstance(value, (str, np.dtype, type)) or callable(value) else repr(value)


def with_checks_first(program: Program) -> Program:
    """With checks of values that depend on nothing that the program changes before everything else: a refused input has then
    changed nothing."""
    written = {variable.memory for call in program.calls for variable in call.written}
    maker = {variable: call for call in program.calls for variable in call.made}
    first: dict[Call, None] = {}

    def needed(call: Call, found: list[Call]) -> bool:
        """Whether a call may come first, after those added to `found`."""
        if call in first or call in found:
            return True
        if call.written or _is_fresh(call) or any(v.memory in written for v in (*call.variables(), *call.made) if not v.is_number):
            return False
        if not all(needed(maker[variable], found) for variable in call.variables() if variable in maker):
            return False
        found.append(call)
        return True

    for call in program.calls:
        found: list[Call] = []
        if call.function == "check" and needed(call, found):
            first.update(dict.fromkeys(found))
    return replace(program, calls=[*first, *(call for call in program.calls if call not in first)])


def with_large_results_made_again(program: Program) -> Program:
    """With what a kernel makes as the sum, difference or product of two arrays that are needed anyway, such as gelu's result,
    made again where the backward pass needs it, and not kept until then."""
    calls = program.calls
    outside = {variable.memory for variable in (*program.inputs, *program.captured, *program.outputs)}
    reads: dict[int, list[int]] = collections.defaultdict(list)
    writes: dict[int, list[int]] = collections.defaultdict(list)
    for i, call in enumerate(calls):
        for variable in call.variables():
            reads[variable.memory].append(i)
        for variable in call.written:
            writes[variable.memory].append(i)
    chosen: list[tuple[Variable, Call, int]] = []
    for i, call in enumerate(calls):
        for result in call.made if call.section == "forward" else ():
            late = [j for j in reads[result.memory] if calls[j].section == "backward"]
            operation = _last_operation(call, result)
            if operation is None or not late or result.memory in outside or writes[result.memory]:
                continue
            stay = all(reads[v.memory][-1] >= late[0] for v in operation.variables())
            stay = stay and not any(i < j <= late[0] for v in operation.variables() for j in writes[v.memory])
            views = {v for j in late for v in calls[j].variables() if v.memory == result.memory and v is not result}
            if stay and views <= {v for j in late for v in calls[j].made}:
                chosen.append((result, operation, late[0]))
    again: dict[int, Call] = {}
    memories: dict[int, tuple[int, int]] = {}  # the memory that takes another's place, and from which call on
    names: dict[Variable, Variable] = {}
    number = max((variable.memory for part in program.parts() for variable in part.made), default=0)
    for result, operation, first in chosen[:-1]:  # the last one made is needed first, so nothing is saved
        number += 1
        names[result] = copy = Variable(f"{result.name}_again", result.shape, result.dtype, number)
        memories[result.memory] = number, first
        again[first] = Call(operation.function, operation.arguments, results=(copy,), section="backward")
    found: list[Call] = []
    for i, call in enumerate(calls):
        found += [again[i]] if i in again else []

        def current(variable: Variable, i: int = i) -> Variable:
            memory, first = memories.get(variable.memory, (0, i + 1))
            return variable if i < first else names.setdefault(variable, replace(variable, memory=memory))

        found.append(renamed(call, current))
    return replace(program, calls=found)


def _last_operation(kernel: Call, result: Variable) -> Call | None:
    """The one operation that writes a large result of a kernel, if its operands are known outside."""
    if math.prod(result.shape) < LARGE:
        return None
    parts = [part for part in kernel.body if any(variable.memory == result.memory for variable in part.written)]
    known = {*kernel.variables(), *kernel.made}
    if len(parts) != 1 or parts[0].function not in ("np.add", "np.subtract", "np.multiply") or parts[0].keywords != {"out": result}:
        return None
    operands = parts[0].arguments
    after = kernel.body[kernel.body.index(parts[0]) + 1 :]
    changed = {variable.memory for part in after for variable in part.written}
    alike = all(isinstance(v, Variable) and v in known and v.shape == result.shape and v.dtype == result.dtype for v in operands)
    return parts[0] if alike and changed.isdisjoint(variable.memory for variable in operands) else None


# Those that change which kernels are called, or what they do.
FUSING = frozenset({with_small_kernels_taken_apart, with_sums_normalized, with_results_made_by_gradients, with_products_joined})

PASSES = {
    "small kernels taken apart": with_small_kernels_taken_apart,
    "repetitions removed": without_repetitions,
    "dead code removed": without_dead_code,
    "checks first": with_checks_first,
    "sums normalized": with_sums_normalized,
    "results made by gradients": with_results_made_by_gradients,
    "large results made again": with_large_results_made_again,
    "products joined": with_products_joined,
}
