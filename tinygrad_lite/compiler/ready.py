"""A program, what it presumes, and how a run of it takes effect."""

from __future__ import annotations

import collections
import functools
import itertools
import time
from operator import attrgetter, getitem, is_
from typing import Any

import numpy as np

from tinygrad_lite.arrays import default_device, errstate, get_default_dtype, hooks
from tinygrad_lite.arrays.changes import changed_again, changed_in_place, places_of_change
from tinygrad_lite.autograd.grad_mode import is_inference_mode_enabled
from tinygrad_lite.compiler.arguments import Arguments, GradPlace, Inputs, Places
from tinygrad_lite.compiler.capture import Captured, Effect, Made, Shared, filled, memory_of
from tinygrad_lite.compiler.gpu_calls import taken_apart
from tinygrad_lite.compiler.on_gpu import GPUPlan
from tinygrad_lite.compiler.passes import FUSING, PASSES
from tinygrad_lite.compiler.plan import Plan
from tinygrad_lite.compiler.program import Program
from tinygrad_lite.compiler.reach import Holder, Variables
from tinygrad_lite.compiler.stand_ins import TracedArray, TracedNumber
from tinygrad_lite.engine.context import is_grad_enabled
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.optim import Optimizer

_array, _node, _grad = attrgetter("array"), attrgetter("node"), attrgetter("_grad")


class Ready:
    """A program, and whether it is for a call."""

    def __init__(self, captured: Captured, arguments: Arguments, places: Places, fuse: bool):
        self.captured, self.key, self.places = captured, arguments.key, places
        self.get_places = [_getter(holder, key) for holder, key in places.values()]
        self.key_without_places = self.key[: len(self.key) - len(places)]
        kinds = [kind for _, kind in self.key[len(self.key_without_places) :]]
        self.kinds = kinds if all(isinstance(kind, type) for kind in kinds) else None  # if all places hold numbers
        self.fixed = arguments.fixed
        self.ambient = _ambient()
        on_gpu = captured.device.type == "cuda"
        self.program, self.counts = simplified(taken_apart(captured.program) if on_gpu and fuse else captured.program, fuse)
        self.holders = [holder for holder in captured.reach.holders if id(holder.owner) not in arguments.containers]
        self.inputs = {(id(holder.owner), key) for holder, key in places.values()}
        self._refresh()
        used = {v for call in self.program.calls for v in call.variables()} | set(self.program.outputs)
        self.tensors = [tensor for variable, tensor in captured.tensors.items() if variable in used]
        self.arrays = list(map(_array, self.tensors))
        self.everyone = list(captured.tensors.values())
        self.memory = frozenset(memory_of(map(_array, self.everyone)))
        self.nodes = list(map(_node, self.everyone))
        self.leaves = [tensor for tensor in self.everyone if tensor.node is not None]
        self.hooks = list(map(_hooks, self.leaves))
        set_here = {id(effect.holder) for effect in captured.effects if effect.key == "grad"}
        read = {id(tensor) for tensor in self.tensors}
        inputs = {id(place.owner) for place, _ in places.values() if isinstance(place, GradPlace)}
        mine = [tensor for tensor in self.everyone if id(tensor) not in inputs]
        fixed = [t for t in mine if id(t) not in set_here or id(t._grad) in read]
        self.gradients = [(t, t._grad.array) for t in fixed if t._grad is not None]
        self.with_or_without = list({id(t): t for t in (*self.leaves, *(t for t in fixed if t._grad is None))}.values())
        self.without_grad = self._without_grad()
        written = {variable.memory for call in self.program.calls for variable in call.written}
        self.written = [array for variable, array in self.program.captured.items() if variable.memory in written]
        self.replaced = [t for t in mine if id(t) in set_here and id(t._grad) not in read]
        # Most effects set a `.grad` to an output of the plan; the others take longer.
        self.sets_grad = [(e.holder, e.value.number) for e in captured.effects if _is_grad(e)]
        self.plan: Plan | GPUPlan
        if on_gpu:
            self.plan = GPUPlan(self.program, captured, list(arguments.numbers.values()), fuse)
        else:
            self.plan = Plan(self.program, captured.samples, fuse)
            self.plan.after_checks = self._drop_gradients
        self.observed = [(array, array.copy()) for array in captured.reach.arrays]
        self.marks: Any = None
        self.times: collections.deque[float] = collections.deque(maxlen=101)
        self.bare = [form.kind in (TracedArray, TracedNumber) for form in captured.made]  # not in a tensor
        for holder in self.holders:  # an optimizer's own arrangement of its state is no longer the latest
            if isinstance(holder.owner, Optimizer):
                holder.owner.share_state()

    def _refresh(self) -> None:
        """Note what the function can reach as it is now."""
        dicts = [holder for holder in self.holders if not isinstance(holder, Variables)]
        self.contents = {id(holder): holder.now() for holder in self.holders}
        self.lives = [holder.contents for holder in dicts]
        self.copies = [self.contents[id(holder)] for holder in dicts]
        filled = [live for live in self.lives if live and not isinstance(live, set)]
        self.live_values = [live.values() if isinstance(live, dict) else live for live in filled]
        self.known_values: list[Any] = []
        self.position: dict[tuple[int, Any], tuple[list[Any], int]] = {}  # where the value of an entry is noted
        for holder in dicts:
            contents = self.contents[id(holder)]
            if not isinstance(contents, set):
                for key, value in contents.items() if isinstance(contents, dict) else enumerate(contents):
                    self.position[id(holder), key] = self.known_values, len(self.known_values)
                    self.known_values.append(value)
        self.getters: list[Any] = []
        self.values: list[Any] = []
        for holder in self.holders:
            if isinstance(holder, Variables):
                for name, get in holder.names.items():
                    self.position[id(holder), name] = self.values, len(self.values)
                    self.getters.append(get)
                    self.values.append(get())
        self._sort_effects()

    def _sort_effects(self) -> None:
        """Set apart effects that advance a number in a dict, such as a step count: they and what is noted of them take 0.2 us."""
        self.advances: list[Any] = []  # dict, key, number of the output; the copy of the dict; and where the value is noted
        self.other_effects: list[Effect] = []
        for effect in self.captured.effects:
            holder, key, value = effect.holder, effect.key, effect.value
            if _is_grad(effect):
                continue
            if type(holder) is Holder and type(holder.contents) is dict and isinstance(value, Made) and self._is_noted_input(holder, key):
                self.advances.append((holder.contents, key, value.number, self.contents[id(holder)], *self.position[id(holder), key]))
            else:
                self.other_effects.append(effect)

    def _is_noted_input(self, holder: Any, key: Any) -> bool:
        return (id(holder.owner), key) in self.inputs and (id(holder), key) in self.position

    def _without_grad(self) -> list[bool]:
        return list(map(is_, map(_grad, self.with_or_without), itertools.repeat(None)))

    def is_outdated(self, changing: set[tuple[int, Any]]) -> bool:
        """Whether the program has a constant where an entry turned out to change."""
        mine = {(id(holder.owner), key) for holder in self.holders for key in holder.entries()}
        mine |= {(id(tensor), None) for tensor, grad in self.gradients if grad is not None}
        return not mine.isdisjoint(changing - self.inputs)

    def inputs_of(self, arguments: Arguments) -> Inputs | None:
        """The arguments of a call and the values of the places; None if the program is for other arguments, or there is no such
        place any more."""
        if not self.places:
            return Inputs(arguments.tensors, list(arguments.numbers.values())) if arguments.key == self.key else None
        try:
            values = [get() for get in self.get_places]
        except (KeyError, IndexError, AttributeError):
            return None
        if list(map(type, values)) == self.kinds:
            if arguments.key != self.key_without_places:
                return None
            return Inputs(arguments.tensors, [*arguments.numbers.values(), *values])
        arguments = arguments.with_places(dict(zip(self.places, values)))
        return Inputs(arguments.tensors, list(arguments.numbers.values())) if arguments.key == self.key else None

    def differs(self, inputs: Inputs | None) -> str | None:
        """Why the program is not for a call with these inputs; None if it is. Raises Shared if there is no program for them."""
        if inputs is None:
            return "its arguments have other shapes, dtypes or types"
        if _ambient() != self.ambient:
            return "gradients are switched on or off, or the default dtype or device is another"
        if not self._is_as_it_was() and (reason := self._difference()) is not None:
            return reason
        if not all(map(is_, map(_array, self.tensors), self.arrays)):
            return "a tensor has another array"
        if not all(map(is_, map(_node, self.everyone), self.nodes)):
            return "requires_grad or the history of a tensor has changed"
        if self._without_grad() != self.without_grad:
            return "a tensor's grad is None, and was not, or the reverse"
        if hooks.ever_hooked and list(map(_hooks, self.leaves)) != self.hooks:
            return "a tensor has other hooks"
        for array, before in self.observed:
            if not np.array_equal(array, before, equal_nan=array.dtype.kind == "f"):
                return f"an array of NumPy, of shape {array.shape}, has other values"
        for tensor, grad in self.gradients:
            if _grad_array(tensor) is not grad:
                return "a tensor has another grad"
        if inputs.tensors:
            memory = memory_of(map(_array, inputs.tensors.values()))
            if len({*memory}) < len(memory) or not self.memory.isdisjoint(memory):
                raise Shared
        return None

    def _is_as_it_was(self) -> bool:
        """Whether everything in reach is what it was; a quick test, which may say no although it is."""
        try:
            if self.copies != self.lives:
                return False
        except Exception:  # two tensors were compared
            return False
        if not all(map(is_, itertools.chain.from_iterable(self.live_values), self.known_values)):
            return False  # what is equal may be another: 1.0 instead of 1, a copy of a list
        return all(map(is_, [get() for get in self.getters], self.values))

    def _difference(self) -> str | None:
        for holder in self.holders:
            was, now = holder.entries(self.contents[id(holder)]), holder.entries()
            for key in {**was, **now}:
                if (id(holder.owner), key) in self.inputs:
                    continue
                old, new = was.get(key, holder), now.get(key, holder)
                same = type(new) is type(old) and isinstance(new, (int, float, str, frozenset)) and repr(new) == repr(old)
                if new is not old and not same:
                    return f"{holder.place(key)} has changed"
        self._refresh()
        return None

    def _drop_gradients(self) -> None:
        """Let go of gradients that the run replaces, as eager steps do, before memory for the new ones is needed."""
        for tensor in self.replaced:
            tensor._grad = None

    def run(self, inputs: Inputs) -> Any:
        tensors, numbers = inputs
        arrays = list(map(_array, tensors.values()))
        start = time.perf_counter()
        errstate.remember()
        token = None
        try:
            token = errstate.enter()
            found = self.plan.run(arrays, numbers)
        finally:
            errstate.leave(token) if token is not None else errstate.lost()
        self.times.append(time.perf_counter() - start)
        for i in self.plan.written:
            changed_in_place(arrays[i], "a compiled function")
        if self.marks is None:
            self.marks = places_of_change(self.written)
        changed_again(self.marks, "a compiled function")
        made = [value if bare else traced(value) for value, bare in zip(found, self.bare)]
        result = filled(self.captured.result, made, tensors)
        for tensor, number in self.sets_grad:
            tensor._grad = made[number]
        for contents, key, number, copy, noted, place in self.advances:
            contents[key] = copy[key] = noted[place] = made[number]  # so that the next comparison is quick
        for effect in self.other_effects:
            self._take_effect(effect, filled(effect.value, made, tensors), tensors)
        return result

    def _take_effect(self, effect: Effect, value: Any, tensors: dict[str, Traced]) -> None:
        holder = tensors[effect.holder] if type(effect.holder) is str else effect.holder
        if isinstance(holder, Traced):
            if effect.key == "grad":
                holder._grad = value
            else:
                holder.array = value
            return
        holder.put(effect.key, value)
        if self._is_noted_input(holder, effect.key):
            self.contents[id(holder)][effect.key] = value
            noted, place = self.position[id(holder), effect.key]
            noted[place] = value


def _getter(holder: Any, key: Any) -> Any:
    """A function that returns the value of an entry."""
    return functools.partial(getitem, holder.contents, key) if type(holder) is Holder else functools.partial(holder.get, key)


def _grad_array(tensor: Traced) -> Any:
    return None if tensor._grad is None else tensor._grad.array


def _is_grad(effect: Effect) -> bool:
    return effect.key == "grad" and isinstance(effect.holder, Traced) and isinstance(effect.value, Made)


def _hooks(tensor: Traced) -> Any:
    node = tensor.node
    return [list(found.values()) if found else [] for found in (node.hooks, getattr(node, "after", None))]  # type: ignore[union-attr]


def _ambient() -> tuple[Any, ...]:
    return is_grad_enabled(), get_default_dtype(), default_device(), is_inference_mode_enabled()


def simplified(program: Program, fuse: bool = True) -> tuple[Program, list[tuple[str, int]]]:
    """The program after all passes, and the number of its calls after each. Without `fuse`, kernels stay as they are."""
    counts = [("traced", len(program.calls))]
    for name, simpler in PASSES.items():
        if simpler in FUSING and not fuse:
            continue
        program = simpler(program)
        counts.append((name, len(program.calls)))
    return program, counts
