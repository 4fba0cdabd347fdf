"""Capturing one call of a function as a program.

The function runs once with traced arrays in the place of those of its arguments and of all tensors that it can reach.
Then everything is as before: memory that was written, attributes, `.grad`, the state of random generators. What the
function changed is in the program, and in the capture's `effects`.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import OrderedDict
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_lite.arrays import Device
from tinygrad_lite.arrays.devices import CPU, device_of
from tinygrad_lite.arrays.gpu import is_cupy, tracing
from tinygrad_lite.arrays.memory import owner_of, start_of, strided
from tinygrad_lite.arrays.views import register_view
from tinygrad_lite.compiler.arguments import Arguments, Places, TensorPlace, replaced_in
from tinygrad_lite.compiler.host_copies import HostCopies, common_device
from tinygrad_lite.compiler.layouts import Layouts
from tinygrad_lite.compiler.program import Program, Variable
from tinygrad_lite.compiler.reach import Reach
from tinygrad_lite.compiler.stand_ins import TracedArray, TracedNumber, Untraceable
from tinygrad_lite.compiler.tracing import Trace
from tinygrad_lite.engine import context
from tinygrad_lite.engine.tape import Node, Traced, result_class, traced
from tinygrad_lite.engine.walk import operations_behind
from tinygrad_lite.ops.random.generators import source


class NeedsGraph(Untraceable):
    """A result of the function is still to be differentiated."""


class Changing(Exception):
    """Entries of objects turned out to change from call to call: they have to be inputs."""

    def __init__(self, places: list[tuple[Any, Any]]):
        self.places = places


class Shared(Exception):
    """Two inputs, or an input and a tensor that the function can reach, share memory: this call has no program."""


# -- results ---------------------------------------------------------------------------------------


@dataclass(eq=False)
class Made:
    """A result that each run makes, number `number` of the program's outputs: a tensor or a number."""

    kind: type
    variable: Variable
    number: int


@dataclass(eq=False)
class Same:
    """A result that is one of the objects of the program, or a constant."""

    value: Any


@dataclass(eq=False)
class Argument:
    """A result that is one of the inputs."""

    name: str


@dataclass(eq=False)
class ViewOf:
    """A result that is a view of the memory of an input."""

    name: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


@dataclass(eq=False)
class Effect:
    """What a run sets: an entry of a holder, or the `.grad` or array of a tensor (or of the input of that name)."""

    holder: Any
    key: Any
    value: Any


@dataclass
class Captured:
    """A program, the form of what the function returns, and what else it changes."""

    program: Program
    result: Any
    effects: list[Effect]
    reach: Reach
    made: list[Made]
    samples: list[Any]  # the arrays of the inputs
    tensors: dict[Variable, Traced]  # those whose arrays the program refers to
    device: Device


class _Sections(context.Observer):
    """Tells the trace which part of a training step is running."""

    def __init__(self, trace: Trace):
        self.trace, self.depth = trace, 0

    def started(self, roots: Any) -> None:
        self.depth += 1
        self.trace.section = "backward"

    def finished(self, found: Any) -> None:
        self.depth -= 1
        if not self.depth:
            self.trace.section = "update"


class _NoText:
    """Standard output while a function is traced: what it prints it should print in every call."""

    def __init__(self, stream: Any):
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            raise Untraceable("it prints; a program does not")
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def memory_of(arrays: Any) -> list[int]:
    """The identity of the memory of each array."""
    return [id(array) if type(array) is np.ndarray and array.base is None else _memory_of(array) for array in arrays]


def _memory_of(array: Any) -> int:
    return id(array.data.mem) if is_cupy(array) else id(owner_of(array))


def capture(
    function: Any, args: Any, kwargs: Any, arguments: Arguments, reach: Reach, places: Places,
    seed: int | None = None, scale: float = 1, layouts: Layouts | None = None,
) -> Captured:  # fmt: skip
    """Run `function(*args, **kwargs)` as a program. `places`: entries that may differ from call to call, by the names that
    they have among the arguments. `seed`: what random numbers of Python and NumPy start from. `scale`: the factor of the
    values of all tensors in this run. `layouts`: those of results of earlier runs, whose values need not be computed."""
    given = {id(tensor) for tensor in arguments.tensors.values()}
    if not (given - arguments.of_places).isdisjoint(reach.of_function):
        raise Shared
    reached = {name: tensor for name, tensor in reach.tensors.items() if id(tensor) not in given}
    tensors = {**arguments.tensors, **reached}
    device = common_device(tensors, arguments.tensors)
    inputs = memory_of(tensor.array for tensor in arguments.tensors.values())
    if len({*inputs}) < len(inputs) or not {*inputs}.isdisjoint(memory_of(tensor.array for tensor in reached.values())):
        raise Shared
    trace, transaction, copies = Trace(device, layouts if device == CPU else None), _Transaction(reach, tensors), HostCopies()
    trace.types_matter = reach.asks_for_types
    token, watching = tracing.set(trace), context.observers.get()
    try:
        lifted: dict[int, TracedArray] = {}
        for name, tensor in tensors.items():
            array, where = copies.of(tensor.array), device_of(tensor.array)
            lifted[id(tensor)] = trace.array(array, name) if name in arguments.tensors else trace.given(array, name, where)
            if where != device:
                trace.on_cpu.add(lifted[id(tensor)].variable.memory)
        for tensor in tensors.values():
            tensor.array = lifted[id(tensor)]
        numbers = {name: trace.number(value, name) for name, value in arguments.numbers.items()}
        new = {name: replaced_in(value, numbers, name, transaction.entries) for name, value in arguments.given.items()}
        for name, (holder, key) in places.items():
            transaction.lifted[id(holder.owner), key] = new[name]
            if new[name] is not arguments.given[name]:
                holder.put(key, new[name])
        transaction.start(seed)
        if scale != 1:
            trace.scale([lifted[id(tensor)] for tensor in tensors.values()], scale)
        context.observers.set((*watching, _Sections(trace)))
        positional = list(new.values())[: len(args)]
        with redirect_stdout(_NoText(sys.stdout)), redirect_stderr(_NoText(sys.stderr)), np.errstate(all="ignore"):
            returned = function(*positional, **dict(zip(kwargs, list(new.values())[len(args) :])))
        if trace.error is not None:
            raise trace.error
        memory = {lifted[id(tensor)].variable.memory: (name, lifted[id(tensor)].value) for name, tensor in arguments.tensors.items()}
        form = _Forms(trace, arguments, {id(tensor) for tensor in reached.values()}, reach, memory)
        result = form.of(returned)
        effects = transaction.effects(form, arguments)
        for name, tensor in tensors.items():
            effects += transaction.changes_of(tensor, name, name in arguments.tensors, lifted[id(tensor)], form)
        transaction.check_streams()
        if trace.error is not None:
            raise trace.error
    finally:
        context.observers.set(watching)
        tracing.reset(token)
        transaction.undo(trace)
    trace.close()
    first = [lifted[id(tensor)].variable for tensor in arguments.tensors.values()]
    owners = {lifted[id(tensor)].variable: tensor for tensor in reached.values()}
    captured = {**trace.captured, **{variable: tensor.array for variable, tensor in owners.items()}}
    program = Program([*first, *(n.variable for n in numbers.values())], captured, trace.calls, [made.variable for made in form.made])
    samples = [tensor.array for tensor in arguments.tensors.values()]
    return Captured(program, result, effects, reach, form.made, samples, owners, device)


class _Transaction:
    """What was there before a trace, to compare with and to go back to."""

    def __init__(self, reach: Reach, tensors: dict[str, Traced]):
        self.reach = reach
        self.before = {id(tensor): (tensor, tensor.array, tensor._grad, tensor.node) for tensor in tensors.values()}
        self.contents = [holder.now() for holder in reach.holders]
        self.entries: list[tuple[Any, Any, Any, Any]] = []  # replaced for the trace: container, key, old and new value
        self.lifted: dict[tuple[int, Any], Any] = {}  # the values that places have for the trace
        self.sources = list({id(s): s for s in (*reach.sources, source()) if s.device.type == "cpu"}.values())
        self.states = [s.state() for s in self.sources]
        self.streams = [(random.getstate, random.setstate), *reach.streams]
        if "numpy.random" in sys.modules:
            self.streams.append((lambda: np.random.get_state(legacy=False), np.random.set_state))
        self.stream_states = [get() for get, _ in self.streams]

    def start(self, seed: int | None) -> None:
        """Start Python's and NumPy's random numbers from `seed`."""
        if seed is not None:
            random.seed(seed)
            if "numpy.random" in sys.modules:
                np.random.seed(seed)
        self.started = [repr(get()) for get, _ in self.streams]

    def check_streams(self) -> None:
        if [repr(get()) for get, _ in self.streams] != self.started:
            raise Untraceable("it draws random numbers of Python or NumPy; use the library's own")

    def undo(self, trace: Trace) -> None:
        for container, key, old, _ in reversed(self.entries):
            container[key] = old
        for tensor, array, grad, node in self.before.values():
            tensor.array, tensor._grad, tensor.node = array, grad, node
        trace.undo()
        for holder, contents in zip(self.reach.holders, self.contents):
            holder.restore(contents)
        for s, state in zip(self.sources, self.states):
            s.restore(state)
        for (_, put), state in zip(self.streams, self.stream_states):
            put(state)

    def effects(self, form: _Forms, arguments: Arguments) -> list[Effect]:
        """What the function left in other objects."""
        found, changing = [], []
        lifted = {**{(id(container), key): new for container, key, _, new in self.entries}, **self.lifted}
        for holder, before in zip(self.reach.holders, self.contents):
            was, now = holder.entries(before), holder.entries()
            if was.keys() - now.keys():
                raise Untraceable(f"it removes something from {holder.path or 'an object'}")
            for key, value in now.items():
                place = id(holder.owner), key
                old = lifted[place] if place in lifted else was.get(key, holder)
                if value is old or (type(value) is type(old) and type(value) in (int, float, str, bool) and value == old):
                    continue
                if isinstance(holder.contents, set):
                    raise Untraceable(f"it changes a set, {holder.path}")
                if id(holder.owner) in arguments.containers:
                    raise Untraceable(f"it changes its argument {holder.path}")
                if old is holder and not isinstance(holder.contents, dict):
                    raise Untraceable(f"it adds to {holder.path or 'a list'}; return the value instead")
                if place not in lifted and id(old) not in arguments.of_places and may_be_input(old) and may_be_input(value):
                    changing.append((holder, key))
                else:
                    found.append(Effect(holder, key, form.of(value)))
        if changing:
            raise Changing(changing)
        return found

    def changes_of(self, tensor: Traced, name: str, is_input: bool, array: TracedArray, form: _Forms) -> list[Effect]:
        _, _, grad, node = self.before[id(tensor)]
        effects = []
        if tensor.node is not node:
            raise Untraceable(f"it changes requires_grad or the history of {name}")
        if tensor.array is not array:
            if not isinstance(tensor.array, TracedArray):
                raise Untraceable(f"it replaces the array of {name}")
            if not is_input:
                raise Changing([(TensorPlace(tensor, name), None)])
            if tensor.array.variable.memory in form.outside:
                raise Untraceable(f"it gives {name} the array of another tensor")
            effects.append(Effect(name, "array", form.add(TracedArray, tensor.array.variable)))
        if tensor._grad is not grad:
            effects.append(Effect(name if is_input else tensor, "grad", form.of(tensor._grad)))
        return effects


def may_be_input(value: Any) -> bool:
    """Whether an entry with this value can be an input: a number, a tensor, or a tuple, list or dict of such."""
    if isinstance(value, (tuple, list)):
        return all(map(may_be_input, value))
    if type(value) is dict:
        return all(map(may_be_input, value.values()))
    return isinstance(value, Traced) or (isinstance(value, (int, float)) and not isinstance(value, bool))


_CONSTANTS = (type(None), bool, int, float, complex, str, bytes, type, np.dtype, np.generic, slice, range, EllipsisType, Device)


class _Forms:
    """Makes the forms of results."""

    def __init__(self, trace: Trace, arguments: Arguments, reached: set[int], reach: Reach, inputs: dict[int, tuple[str, np.ndarray]]):
        self.trace, self.reached, self.arguments, self.reach = trace, reached, arguments, reach
        self.names = {id(tensor): name for name, tensor in arguments.tensors.items()}
        self.inputs = inputs
        self.outside = {*self.inputs} | {variable.memory for variable in trace.captured}
        self.made: list[Made] = []
        self._known: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any) -> Any:
        if id(value) in self._known:
            return self._known[id(value)][1]
        form = self._of(value)
        if not isinstance(form, Same):
            self._known[id(value)] = value, form
        return form

    def _of(self, value: Any) -> Any:
        if isinstance(value, Traced):
            return self._of_tensor(value)
        if type(value) is TracedNumber:
            return self.add(TracedNumber, value.variable)
        if isinstance(value, _CONSTANTS) or (id(value) in self.reach.seen and id(value) not in self.arguments.containers):
            return Same(value)
        if isinstance(value, tuple) or type(value) is list:
            parts = list(map(self.of, value))
            if hasattr(value, "_fields"):
                return type(value)(*parts)
            return tuple(parts) if type(value) is tuple else _Parts(type(value), parts)
        if type(value) in (dict, OrderedDict):
            return _Parts(type(value), {key: self.of(part) for key, part in value.items()})
        raise Untraceable(f"it returns, or keeps, an object of type {type(value).__name__}")

    def _of_tensor(self, value: Any) -> Any:
        if id(value) in self.names:
            return Argument(self.names[id(value)])
        if id(value) in self.reached:
            return Same(value)
        if type(value.node) is Node:
            if _is_alive(value.node):
                raise NeedsGraph("a result has a gradient that is still to be computed")
        elif value.node is not None or value._grad is not None or type(value) is not result_class:
            raise Untraceable("it returns, or keeps, a new leaf of the graph")
        if type(value.array) is np.ndarray:  # made of constants alone
            value.array = self.trace.call(".copy", value.array)
        if value.array.variable.memory in self.inputs:
            self._check_place(value.array.variable)
            name, array = self.inputs[value.array.variable.memory]
            return ViewOf(name, value.array.shape, value.array.strides, start_of(value.array) - start_of(array))
        return self.add(type(value), value.array.variable)

    def _check_place(self, variable: Variable) -> None:
        """Refuse a view whose place in the memory of an argument differs from call to call."""
        makers = {made: call for call in self.trace.calls for made in call.made}
        while variable in makers:
            if any(operand.is_number for operand in makers[variable].variables()):
                raise Untraceable("it returns, or keeps, a part of an argument that differs from call to call; clone it")
            variable = next(v for v in makers[variable].variables() if v.memory == variable.memory)

    def add(self, kind: type, variable: Variable) -> Made:
        self.made.append(Made(kind, variable, len(self.made)))
        return self.made[-1]


@dataclass(eq=False)
class _Parts:
    """A list or dict that each run makes anew."""

    kind: type
    parts: Any


def filled(form: Any, made: list[Any], inputs: dict[str, Traced]) -> Any:
    """A result of a run, which has made `made`."""
    if isinstance(form, Made):
        return made[form.number]
    if isinstance(form, Same):
        return form.value
    if isinstance(form, Argument):
        return inputs[form.name]
    if isinstance(form, ViewOf):
        view = traced(strided(inputs[form.name].array, form.shape, form.strides, form.offset))
        register_view(view, inputs[form.name])
        return view
    if isinstance(form, _Parts):
        if isinstance(form.parts, dict):
            return form.kind((key, filled(part, made, inputs)) for key, part in form.parts.items())
        return form.kind(filled(part, made, inputs) for part in form.parts)
    if isinstance(form, tuple):
        parts = [filled(part, made, inputs) for part in form]
        return type(form)(*parts) if hasattr(form, "_fields") else type(form)(parts)
    return form


def are_alike(form: Any, other: Any) -> bool:
    """Whether two captures of one call have the same form of results."""
    if type(form) is not type(other):
        return False
    if isinstance(form, Made):
        return form.number == other.number
    if isinstance(form, Argument):
        return form.name == other.name
    if isinstance(form, Same):
        a, b = form.value, other.value
        return a is b or (type(a) is type(b) and isinstance(a, _CONSTANTS) and (a == b or a != a))
    if isinstance(form, ViewOf):
        return vars(form) == vars(other)
    if isinstance(form, Effect):
        return (form.key is other.key or (type(form.key) is str and form.key == other.key)) and are_alike(form.value, other.value)
    if isinstance(form, _Parts):
        form, other = form.parts, other.parts
    if isinstance(form, dict):
        return list(form) == list(other) and all(map(are_alike, form.values(), other.values()))
    if isinstance(form, (tuple, list)):
        return len(form) == len(other) and all(map(are_alike, form, other))
    return True


def _is_alive(node: Node) -> bool:
    """Whether gradients can still be computed from `node`."""
    return all(node.saved is not None for node in operations_behind([node]))
