"""Applies an optimizer's equation to its parameters.

An optimizer states its equation once, on arrays (`Optimizer.update`). This module calls it on one parameter, block by block
if the parameter is large, so that values used several times stay in the cache; or on one flat array that holds many small
parameters. Both give the same bits, because an elementwise equation treats each element alone.

Ownership: an optimizer never replaces a parameter's array. It updates the array in place, because a program may share its
memory (`detach`, `numpy`, `from_numpy`, views) and the tape may have saved it. The arrays of the state belong to the
optimizer, which may replace them; the Tensors in `optimizer.state` stay the same objects.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from operator import attrgetter, is_
from typing import Any, ClassVar, Protocol

import numpy as np

from tinygrad_lite.arrays import address_range, device_of, get_default_dtype, gpu, namespace_of, on_device
from tinygrad_lite.arrays.blocked import BLOCK, as_one_loop, by_blocks
from tinygrad_lite.arrays.changes import changed_again, places_of_change
from tinygrad_lite.arrays.fusion import fused
from tinygrad_lite.arrays.gpu import Symbol
from tinygrad_lite.arrays.loops import SMALLEST
from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.optim.flat import Parts
from tinygrad_lite.optim.state_dicts import Group

State = dict[str, Any]


class Method(Protocol):
    """What this module needs of an `Optimizer`; see there."""

    elementwise: ClassVar[bool]
    block: ClassVar[int]
    threads: ClassVar[bool]
    numbers: ClassVar[tuple[str, ...]]
    step_name: str
    _state: Any

    def start(self, p: Any, group: Group) -> State: ...
    def advance(self, state: State, group: Group) -> Group: ...
    def apply(self, p: Any, g: Any, state: State, group: Group) -> None: ...
    def wrong_gradient(self, p: Any) -> None: ...


# Up to about this size, copying to a flat array and back costs less than an equation call per parameter. 20
# matrices of 64 x 64: SGD 124 us instead of 152, Adam 279 instead of 449; of 90 x 90: 229 instead of 186, 720 instead of 911.
SMALL = 1 << 13


def parts_of(optimizer: Method, params: list[Any], group: Group) -> list[SingleTensor | MultiTensor]:
    """The parts in which a group's parameters are updated."""
    parts: list[SingleTensor | MultiTensor] = []
    alike: dict[Any, list[Any]] = {}
    for p in params:
        begin(optimizer, p, group)
    tensors = [id(tensor) for p in params for tensor in optimizer._state[p].values()]
    together = optimizer.elementwise and len(set(tensors)) == len(tensors)  # parameters may share gradients
    shared = _overlapping([p.array for p in params])
    for i, p in enumerate(params):
        array, state = p.array, optimizer._state[p]
        small = array.size <= SMALL and array.flags.c_contiguous and i not in shared
        if together and small and not group.get("differentiable"):
            numbers = tuple(float(state[name].array) for name in optimizer.numbers)
            alike.setdefault((device_of(array), array.dtype, numbers, tuple(state)), []).append(p)
        else:
            parts.append(SingleTensor(optimizer, p))
    for several in alike.values():
        ends = np.cumsum([p.array.size for p in several])
        for i in range(int(ends[-1]) // BLOCK + 1):  # a flat array should fit into the cache
            taken = [p for p, end in zip(several, ends) if end // BLOCK == i]
            if taken:
                parts.append(SingleTensor(optimizer, taken[0]) if len(taken) == 1 else MultiTensor(optimizer, taken))
    return parts


def _overlapping(arrays: list[Any]) -> set[int]:
    """The indices of arrays that share memory with another: each update must see the earlier ones."""
    found, last, owner = set(), 0, 0
    for start, end, i in sorted((*address_range(array), i) for i, array in enumerate(arrays)):
        if start < last:
            found |= {owner, i}
        if end > last:
            last, owner = end, i
    return found


def begin(optimizer: Method, p: Any, group: Group) -> None:
    """Initialize a parameter's state if it has none. (A program may have set an entry to None, or a number of the state to
    a Python number.)"""
    state = optimizer._state[p]
    for name, value in list(state.items()):
        if value is None:
            del state[name]
        elif name in optimizer.numbers and isinstance(value, (int, float)):
            state[name] = traced(as_number(value))
    if not state:
        with on_device(device_of(p.array)):
            for name, value in optimizer.start(p.array, group).items():
                state[name] = traced(value)


def as_number(value: float) -> Any:
    """A number of the state as PyTorch stores step counts: 0-d, of the default dtype, on the CPU."""
    return np.asarray(value, get_default_dtype())


_array, _gradient, _shape = attrgetter("array"), attrgetter("_grad.array"), attrgetter("shape")


class SingleTensor:
    """A parameter updated on its own."""

    def __init__(self, optimizer: Method, p: Any):
        self.p = p
        self.tensors = optimizer._state[p]
        self.array: Any = None

    def is_current(self, optimizer: Method) -> bool:
        """Whether the next step can continue from this state."""
        return bool(self.tensors) or not optimizer.numbers

    def may_stay(self) -> bool:
        return True

    def check(self, optimizer: Method) -> None:
        if self.p._grad.array.shape != self.p.array.shape:
            optimizer.wrong_gradient(self.p)

    def update(self, optimizer: Method, group: Group) -> None:
        """Make the step, after `check`."""
        if gpu.several:
            gpu.use_home(self.p)  # until the next part, or the end of `step`
        p = self.p.array
        g = self.p._grad.array
        if group.get("differentiable"):
            return self._recorded(optimizer, group)
        state = {name: tensor.array for name, tensor in self.tensors.items()}
        group = optimizer.advance(state, group)
        _apply(optimizer, p, g, state, group)
        if len(state) > len(self.tensors):
            for name in state.keys() - self.tensors.keys():
                self.tensors[name] = traced(state[name])
        if p is not self.array:
            self.array, self.places = p, places_of_change([p])
        changed_again(self.places, optimizer.step_name)

    def _recorded(self, optimizer: Method, group: Group) -> None:
        """Apply the equation to Tensors, so that the step is on the tape. The state is cloned first, because the gradients
        of earlier steps need its old values."""
        numbers = optimizer.numbers
        with enable_grad():
            state = {name: t.array if name in numbers else t.clone() for name, t in self.tensors.items()}
            optimizer.apply(self.p, self.p.grad, state, optimizer.advance(state, group))
        self.tensors.update({name: value for name, value in state.items() if name not in numbers})


class MultiTensor:
    """Small parameters of one dtype and one history, updated as one flat array.

    A step gathers values and gradients into flat arrays and scatters the new values back. The state lives in flat arrays;
    the Tensors in `optimizer.state` are views of them.
    """

    def __init__(self, optimizer: Method, params: list[Any]):
        self.params = params
        self.states = [optimizer._state[p] for p in params]
        self.shapes = [p.array.shape for p in params]
        self.arrays: list[Any] = []  # the parameters' arrays in the last step
        self.may_stay()
        with on_device(device_of(params[0].array)):
            self._lay_out(optimizer.numbers)

    def _lay_out(self, numbers: tuple[str, ...]) -> None:
        first, size = self.params[0].array, sum(p.array.size for p in self.params)
        xp = namespace_of(first)
        p, g = xp.empty((2, size), first.dtype)
        self.p, self.g = Parts(p, self.shapes), Parts(g, self.shapes)
        self.state: State = {}
        self.numbers: State = {}  # the state's numbers, one entry per parameter
        for name in self.states[0]:
            tensors = [state[name] for state in self.states]
            if name in numbers:
                self.state[name] = tensors[0].array.copy()
                self.numbers[name] = np.full(len(tensors), self.state[name])
                views = [self.numbers[name][i : i + 1].reshape(()) for i in range(len(tensors))]
            else:
                parts = Parts(xp.empty_like(p), self.shapes)
                parts.gather([tensor.array for tensor in tensors])
                self.state[name], views = parts.flat, parts.views
            for tensor, view in zip(tensors, views):
                tensor.array = view
        self._note()

    def _note(self) -> None:
        """Record the parameters' state for `is_current`."""
        self.entries = self._entries()
        self.counted = [values.tobytes() for values in self.numbers.values()]

    def is_current(self, optimizer: Method) -> bool:
        """Whether the flat arrays still hold the state: no entry was replaced by another tensor or other memory, and no
        step count was changed. (Without a Python loop: 0.1 us per parameter.)"""
        try:
            entries = self._entries()
        except AttributeError:  # not a Tensor
            return False
        if len(entries) != len(self.entries) or not all(map(is_, entries, self.entries)):
            return False
        return not self.numbers or [values.tobytes() for values in self.numbers.values()] == self.counted

    def _entries(self) -> list[Any]:
        return list(map(_array, chain.from_iterable(map(dict.values, self.states))))

    def may_stay(self) -> bool:
        """Whether the parameters' arrays are those of the last step, or at least share no memory."""
        self.now = list(map(_array, self.params))
        self.same = len(self.arrays) > 0 and all(map(is_, self.now, self.arrays))
        return self.same or not _overlapping(self.now)

    def check(self, optimizer: Method) -> None:
        """Refuse shapes that do not match; call `may_stay` first."""
        self.gradients = list(map(_gradient, self.params))
        if list(map(_shape, self.gradients)) == self.shapes and (self.same or list(map(_shape, self.now)) == self.shapes):
            return
        for p, shape in zip(self.params, self.shapes):
            if p.grad.array.shape != p.array.shape:
                optimizer.wrong_gradient(p)
            if p.array.shape != shape:
                raise ValueError(f"{optimizer.step_name}: the state is of a parameter of {shape}, which is {p.array.shape} by now")

    def update(self, optimizer: Method, group: Group) -> None:
        """Make the step, after `check`."""
        if gpu.several:
            gpu.use_home(self.now)
        if not self.same:
            self.arrays, self.places = self.now, places_of_change(self.now)
            self.gather, self.scatter = self.p.exchange_with(self.now)
        self.gather()
        self.g.gather(self.gradients)
        group = optimizer.advance(self.state, group)
        _apply(optimizer, self.p.flat, self.g.flat, self.state, group)
        self.scatter()
        self.gradients = []
        for name, values in self.numbers.items():
            values[...] = self.state[name]
        if len(self.state) > len(self.states[0]):
            for name in self.state.keys() - self.states[0].keys():
                for state, view in zip(self.states, Parts(self.state[name], self.shapes).views):
                    state[name] = traced(view)
            self._note()
        elif self.numbers:
            self.counted = [values.tobytes() for values in self.numbers.values()]
        changed_again(self.places, optimizer.step_name)


def _apply(optimizer: Method, p: Any, g: Any, state: State, group: Group) -> None:
    """Apply the equation: on a GPU as one kernel; on a CPU, if `p` is large, as one compiled loop or block by block."""
    on_cpu = type(p) is np.ndarray
    if not optimizer.elementwise or isinstance(p, Symbol) or (on_cpu and p.ndim and p.size < SMALLEST):
        optimizer.apply(p, g, state, group)
        return
    equation, arrays = _equation(optimizer, state, group)
    if not on_cpu:
        state.update(fused(equation, [p, g, *arrays]) or {})
        return
    # An equation with threads of its own, SGD's: a loop takes 84 us instead of 190 for 400,000 elements, but not less for 65,536.
    worth_a_loop = optimizer.threads or p.size > 1 << 17
    if worth_a_loop and (begun := as_one_loop(equation, [p, g, *arrays])) is not None:
        state.update(begun)
        return
    # 0-d arrays too: their arithmetic would return NumPy scalars.
    if (p.ndim and p.size <= optimizer.block) or not p.flags.c_contiguous:
        optimizer.apply(p, g, state, group)
        return
    flat = [a.reshape(-1) for a in (p, g, *arrays)]
    parts = by_blocks(equation, *flat, block=optimizer.block, threads=optimizer.threads)
    for name in parts[0]:
        state[name] = np.concatenate([part[name] for part in parts]).reshape(p.shape)


def _equation(optimizer: Method, state: State, group: Group) -> tuple[Callable[..., State], list[Any]]:
    """The equation as a function of `p`, `g` and the state's arrays (or blocks of them), and those arrays. The function
    returns the state entries that the step created."""
    names = [name for name in state if name not in optimizer.numbers]
    numbers = {name: state[name] for name in optimizer.numbers}

    def equation(p: Any, g: Any, *arrays: Any) -> State:
        mine = {**numbers, **dict(zip(names, arrays))}
        optimizer.apply(p, g, mine, group)
        return {name: mine[name] for name in mine if name not in state}

    return equation, [state[name] for name in names]
