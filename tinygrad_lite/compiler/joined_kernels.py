"""Passes that make one kernel of two, so that arrays are read once and memory that nobody needs any more is used again.

A kernel's gradient reads what the kernel has saved. If it is the last to do so, it may write the kernel's result there, for
products in the backward pass that need it; so the result is not kept until then. The gradient itself is written over the
gradient that came in.
"""

from __future__ import annotations

import collections
import inspect
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.kernels.activations import (
    gelu_alone,
    gelu_gradient,
    gelu_gradient_and_result,
    gelu_gradient_and_result_of,
    gelu_of,
)
from tinygrad_lite.arrays.kernels.joint import normalize_gradient_and_result, sum_and_normalize
from tinygrad_lite.arrays.kernels.normalization import normalize, normalize_gradient
from tinygrad_lite.compiler.program import Call, Program, Variable, renamed

_NORMALIZE, _NORMALIZE_GRADIENT = inspect.unwrap(normalize), inspect.unwrap(normalize_gradient)
_GELU, _GELU_GRADIENT = inspect.unwrap(gelu_of), inspect.unwrap(gelu_gradient)

_LARGE = 1 << 18  # elements, from which on gelu saves nothing where loops make that up: 2 MiB are worth 0.2 ms

# The kernels, by their gradients.
_KERNELS = {_GELU_GRADIENT: (_GELU,), _NORMALIZE_GRADIENT: (_NORMALIZE, sum_and_normalize)}


class Uses:
    """Where a program makes its variables and reads and writes memory: numbers of calls, in order."""

    def __init__(self, program: Program):
        self.makers = {variable: i for i, call in enumerate(program.calls) for variable in call.made}
        self.outside = {variable.memory for variable in (*program.inputs, *program.captured, *program.outputs)}
        self.reads: dict[int, list[int]] = collections.defaultdict(list)
        self.writes: dict[int, list[int]] = collections.defaultdict(list)
        for i, call in enumerate(program.calls):
            for variable in call.variables():
                self.reads[variable.memory].append(i)
            for variable in call.written:
                self.writes[variable.memory].append(i)

    def is_last_read(self, memory: int, i: int) -> bool:
        """Whether nobody reads or writes memory after call `i`, and it is the program's own."""
        return memory not in self.outside and not self.writes[memory] and self.reads[memory][-1:] == [i]

    def is_unwritten(self, variables: Any, first: int, last: int) -> bool:
        """Whether no call after `first` and before `last` writes to the memory of the variables."""
        return not any(first < j < last for variable in variables for j in self.writes[variable.memory])


def with_sums_normalized(program: Program) -> Program:
    """With a sum and its normalization as one kernel."""
    uses, calls = Uses(program), list(program.calls)
    for i, call in enumerate(program.calls):
        if call.function is not _NORMALIZE or not all(isinstance(x, Variable) for x in call.arguments[:3]):
            continue
        total, *rest = call.arguments
        first = uses.makers.get(total, i)
        add = program.calls[first]
        if add.function != "+" or not all(_are_alike(x, total) for x in add.arguments):
            continue
        if any(first < j < i for j in uses.reads[total.memory]) or not uses.is_unwritten((total, *add.variables()), first, i):
            continue
        joined = Call(sum_and_normalize, (*add.arguments, *rest), {}, (total, *call.results), (), call.section, (add, *call.body))
        calls[first], calls[i] = _NOTHING, joined
    return replace(program, calls=[call for call in calls if call is not _NOTHING])


_NOTHING = Call("", ())


@dataclass
class _Gradient:
    """A kernel's gradient, `call`, that is to make the kernel's result `result`, in the place of `saved`, and to write the
    gradient over `g`. `others`: the numbers of earlier calls that need the result, which come after it; `add`: that of the call
    that adds something to the gradient."""

    call: Call
    result: Variable
    saved: Variable
    g: Variable
    others: list[int]
    add: int | None = None
    kernel: int | None = None  # the number of the kernel's call, if it is not to save anything


def with_results_made_by_gradients(program: Program) -> Program:
    """With the results of kernels that the backward pass needs made by the kernels' gradients."""
    found = _gradients(program)
    held = {j for gradient in found.values() for j in gradient.others}
    alone = {gradient.kernel for gradient in found.values()}
    added = {gradient.add for gradient in found.values()}
    names: dict[Variable, Variable] = {}
    memories: dict[int, int] = {}
    number = max((variable.memory for part in program.parts() for variable in part.made), default=0) + 1

    def current(variable: Variable) -> Variable:
        if variable not in names and variable.memory in memories:
            names[variable] = replace(variable, memory=memories[variable.memory])
        return names.get(variable, variable)

    calls: list[Call] = []
    for i, call in enumerate(program.calls):
        if i in found:
            gradient = found[i]
            if gradient.kernel is None:
                joined, again = _joined(gradient, None if gradient.add is None else program.calls[gradient.add])
            else:
                joined, again = _joined_anew(gradient, program.calls[gradient.kernel], number)
                number = max(variable.memory for part in joined.body for variable in part.made) + 1
            calls.append(renamed(joined, current))
            g, again = current(gradient.g), current(again)
            for old in (*call.results[:1], *(program.calls[gradient.add].results if gradient.add is not None else ())):
                if old is not None:
                    names[old], memories[old.memory] = g, g.memory
            names[gradient.result], memories[gradient.result.memory] = again, again.memory
            calls += [renamed(program.calls[j], current) for j in gradient.others]
        elif i in alone:
            calls.append(renamed(Call(gelu_alone, call.arguments, {}, call.results[:1], section=call.section, body=call.body), current))
        elif i not in held and i not in added:
            calls.append(renamed(call, current))
    return replace(program, calls=calls)


def _gradients(program: Program) -> dict[int, _Gradient]:
    """The gradients that can make results, by the numbers of their calls."""
    uses, found = Uses(program), dict[int, _Gradient]()
    taken: set[int] = set()  # calls that are moved, or have become part of another
    for i, call in enumerate(program.calls):
        if call.function not in _KERNELS or i in taken:
            continue
        gradient = _gradient(program, uses, i)
        if gradient is not None and taken.isdisjoint(moved := {i, *gradient.others, *([] if gradient.add is None else [gradient.add])}):
            found[i] = gradient
            taken |= moved
    return found


def _gradient(program: Program, uses: Uses, i: int) -> _Gradient | None:
    """Call `i`, a gradient, if it can make the result of its kernel."""
    calls, call = program.calls, program.calls[i]
    is_gelu = call.function is _GELU_GRADIENT
    g, saved = (call.arguments[0], call.arguments[2]) if is_gelu else (call.arguments[1], call.arguments[2])
    first = uses.makers.get(saved, i)
    kernel, of_x = calls[first], call.results[0] if call.results else None
    if kernel.function not in _KERNELS[call.function] or of_x is None or not isinstance(g, Variable):
        return None
    result = kernel.results[0 if is_gelu else -3]
    if result is None or not (_are_alike(result, of_x) and _are_alike(g, of_x) and _is_dense(g)):
        return None
    if not (_are_alike(saved, of_x) if is_gelu else _is_of_rows(call, kernel)):
        return None
    own = {g.memory, saved.memory, of_x.memory, result.memory}  # written to, or gone afterwards
    if len(own) < 4 or any(uses.writes[memory] for memory in own) or not own.isdisjoint(uses.outside):
        return None
    if not (uses.is_last_read(g.memory, i) and uses.is_last_read(saved.memory, i)):
        return None
    if sum(variable.memory in own for variable in call.made) > 1 or not uses.is_unwritten(kernel.variables(), first, i):
        return None
    late = [j for j in uses.reads[result.memory] if calls[j].section == "backward"]
    views = {v for j in late for v in calls[j].variables() if v.memory == result.memory and v is not result}
    others = _followers(program, [j for j in late if j < i], i)
    if not late or others is None or not views <= {v for j in late for v in calls[j].made}:
        return None
    made = {variable.memory for j in others for variable in calls[j].made}
    read = {variable.memory for j in others for variable in calls[j].variables()} - made
    if any(memory in (g.memory, saved.memory) or uses.writes[memory] for memory in read):
        return None
    add = None if is_gelu else _added(program, uses, i, of_x)
    if add is not None and not all(uses.makers.get(x, -1) < i and uses.makers.get(x) not in others for x in calls[add].arguments[:1]):
        add = None
    can_save_nothing = is_gelu and available() and saved.dtype == np.float32 and math.prod(saved.shape) >= _LARGE
    is_alone = can_save_nothing and set(uses.reads[saved.memory]) == {i} and len(kernel.results) == 2
    return _Gradient(call, result, saved, g, others, add, first if is_alone else None)


def _is_of_rows(call: Call, kernel: Call) -> bool:
    """Whether a normalization has one weight and bias for each column, and gradients for all."""
    needs, g, saved, _, weight, bias, _ = call.arguments
    vectors = all(isinstance(v, Variable) and v.shape == saved.shape[1:] and v in kernel.arguments for v in (weight, bias))
    return vectors and needs[:3] == (True, True, True) and saved.dtype == g.dtype and len(call.made) == 3


def _followers(program: Program, first: list[int], end: int) -> list[int] | None:
    """The calls `first` and those before `end` that need what they make; None if they cannot come after call `end`."""
    found: list[int] = []
    made: set[int] = set()
    for j in range(first[0], end + 1) if first else ():
        call = program.calls[j]
        if j in first or any(variable.memory in made for variable in (*call.variables(), *call.made)):
            if j == end or call.written or not call.results:
                return None
            found.append(j)
            made.update(variable.memory for variable in call.made)
    return found


def _added(program: Program, uses: Uses, i: int, of_x: Variable) -> int | None:
    """The call that adds the result `of_x` of call `i` to something, if nobody else reads that."""
    if len(uses.reads[of_x.memory]) != 1:
        return None
    (j,) = uses.reads[of_x.memory]
    call, total = program.calls[j], program.calls[j].result
    if call.function != "+" or call.arguments[1] is not of_x or not all(_are_alike(x, of_x) for x in (*call.arguments, total)):
        return None
    assert total is not None
    is_free = total.memory not in uses.outside and not uses.writes[total.memory] and not uses.writes[call.arguments[0].memory]
    return j if is_free and total.memory != of_x.memory else None


def _joined(found: _Gradient, add: Call | None) -> tuple[Call, Variable]:
    """The kernel that makes the gradient and the result, and the result."""
    call, g, saved, result = found.call, found.g, found.saved, found.result
    last = call.result if add is None else add.result
    body = [*call.body, *([] if add is None else [add]), Call("[]=", (g, ..., last), written=(g,), section=call.section)]
    if call.function is _GELU_GRADIENT:
        body.append(Call("*=", (saved, call.arguments[1]), written=(saved,), section=call.section))
        return Call(gelu_gradient_and_result, call.arguments, written=(g, saved), section=call.section, body=tuple(body)), saved
    *_, weight, bias, _ = call.arguments
    body += [Call(f, (saved, v), written=(saved,), section=call.section) for f, v in (("*=", weight), ("+=", bias))]
    again = replace(result, name=f"{result.name}_again", memory=saved.memory)
    body.append(Call(".reshape", (saved, result.shape), results=(again,), section=call.section))
    arguments = (*call.arguments[1:], *([] if add is None else add.arguments[:1]))
    results = (again, *call.results[1:])
    return Call(normalize_gradient_and_result, arguments, {}, results, (g, saved), call.section, tuple(body)), again


def _joined_anew(found: _Gradient, kernel: Call, number: int) -> tuple[Call, Variable]:
    """The kernel that makes the gradient and the result from the operands alone, and the result. `number`: the first free one of
    a memory."""
    made = {variable for part in kernel.body for variable in part.made}
    memories = {memory: number + i for i, memory in enumerate(sorted({variable.memory for variable in made}))}
    names: dict[Variable, Variable] = {}

    def current(variable: Variable) -> Variable:
        if variable in made and variable not in names:
            names[variable] = replace(variable, name=f"{variable.name}_again", memory=memories[variable.memory])
        return names.get(variable, variable)

    call, g = found.call, found.g
    body = [replace(renamed(part, current), section=call.section) for part in (*kernel.body, *call.body)]
    body.append(Call("[]=", (g, ..., call.result), written=(g,), section=call.section))
    again, arguments = current(found.result), (g, call.arguments[1], call.arguments[3])
    return Call(gelu_gradient_and_result_of, arguments, {}, (again,), (g,), call.section, tuple(body)), again


def _are_alike(x: Any, y: Variable) -> bool:
    return isinstance(x, Variable) and not x.is_number and x.shape == y.shape and x.dtype == y.dtype


def _is_dense(variable: Variable) -> bool:
    """Whether an array is C-contiguous."""
    step = variable.dtype.itemsize
    for size, stride in zip(reversed(variable.shape), reversed(variable.strides)):
        if stride != step:
            return False
        step *= size
    return True
