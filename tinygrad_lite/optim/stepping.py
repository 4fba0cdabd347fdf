"""How an optimizer's equation is brought to its parameters.

An optimizer states its equation once, on arrays (`Optimizer.update`). Here it is called: on one
parameter, block by block where that is large, so that what an equation reads and writes several
times stays in the cache; or on one flat array for many small parameters at once. Both ways give
the same bits, since an elementwise equation treats each element alone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from operator import attrgetter, is_
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import device_of, get_default_dtype, gpu, namespace_of, on_device
from tinygrad_lite.arrays.blocked import BLOCK, by_blocks
from tinygrad_lite.arrays.changes import changed_again, places_of_change
from tinygrad_lite.arrays.fusion import fused
from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.engine.tape import traced

if TYPE_CHECKING:
    from tinygrad_lite.optim.optimizer import Group, Optimizer

State = dict[str, Any]

# Up to this size a copy to the flat array and back costs less than calls of its own (an equation of
# a dozen operations: 15 us a parameter, the copies 1 us and 0.5 us for each 1000 elements).
SMALL = 1 << 13


def parts_of(optimizer: Optimizer, params: list[Any], group: Group) -> list[Alone | Together]:
    """The parts in which the parameters of a group are updated."""
    parts: list[Alone | Together] = []
    alike: dict[Any, list[Any]] = {}
    for p in params:
        begin(optimizer, p, group)
    tensors = [id(tensor) for p in params for tensor in optimizer._state[p].values()]
    together = optimizer.elementwise and len(set(tensors)) == len(tensors)  # a program may let parameters share them
    for p in params:
        array, state = p.array, optimizer._state[p]
        if together and array.size <= SMALL and array.flags.c_contiguous and not group.get("differentiable"):
            numbers = tuple(float(state[name].array) for name in optimizer.numbers)
            alike.setdefault((device_of(array), array.dtype, numbers, tuple(state)), []).append(p)
        else:
            parts.append(Alone(optimizer, p))
        del array  # Together counts who holds it
    for several in alike.values():
        ends = np.cumsum([p.array.size for p in several])
        for i in range(int(ends[-1]) // BLOCK + 1):  # a flat array should fit into the cache
            taken = [p for p, end in zip(several, ends) if end // BLOCK == i]
            if taken:
                parts.append(Alone(optimizer, taken[0]) if len(taken) == 1 else Together(optimizer, taken))
    return parts


def begin(optimizer: Optimizer, p: Any, group: Group) -> None:
    """Give a parameter the state it starts from, where it has none yet. (A program may have set an entry to None,
    or a number of the state to a Python number.)"""
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
    """A number of the state: 0-d, of the default dtype, on the CPU, as PyTorch keeps its step counts."""
    return np.asarray(value, get_default_dtype())


_array, _gradient_shape = attrgetter("array"), attrgetter("_grad.array.shape")


class Alone:
    """A parameter on its own."""

    def __init__(self, optimizer: Optimizer, p: Any):
        self.p = p
        self.tensors = optimizer._state[p]
        self.array: Any = None

    def is_current(self, optimizer: Optimizer) -> bool:
        """Whether the state is still one that can be gone on from."""
        return bool(self.tensors) or not optimizer.numbers

    def check(self, optimizer: Optimizer) -> None:
        if self.p._grad.array.shape != self.p.array.shape:
            optimizer.wrong_gradient(self.p)

    def update(self, optimizer: Optimizer, group: Group) -> None:
        """The step, after `check`."""
        if gpu.several:
            gpu.use_home(self.p)  # until the next part's, or the end of `step`
        p = self.p.array
        g = self.p._grad.array
        if group.get("differentiable"):
            return self._recorded(optimizer, group)
        state = {name: tensor.array for name, tensor in self.tensors.items()}
        group = optimizer.advance(state, group)
        # 0-d arrays too, whose arithmetic would give NumPy scalars
        if optimizer.elementwise and (p.size > optimizer.block or not p.ndim) and p.flags.c_contiguous and type(p) is np.ndarray:
            _in_blocks(optimizer, p, g, state, group)
        else:
            _apply(optimizer, p, g, state, group)
        if len(state) > len(self.tensors):
            for name in state.keys() - self.tensors.keys():
                self.tensors[name] = traced(state[name])
        if p is not self.array:
            self.array, self.places = p, places_of_change([p])
        changed_again(self.places, optimizer.step_name)

    def _recorded(self, optimizer: Optimizer, group: Group) -> None:
        """The equation on Tensors, so that it is on the tape. The state is cloned first: earlier
        steps' gradients need the values it had then."""
        numbers = optimizer.numbers
        with enable_grad():
            state = {name: t.array if name in numbers else t.clone() for name, t in self.tensors.items()}
            optimizer.apply(self.p, self.p.grad, state, optimizer.advance(state, group))
        self.tensors.update({name: value for name, value in state.items() if name not in numbers})


class Together:
    """Small parameters of one dtype and one history, updated as one flat array.

    Their state lives in flat arrays, which the tensors in `optimizer.state` are views of. So does a
    parameter whose array nobody else holds; the others are copied in and out.
    """

    def __init__(self, optimizer: Optimizer, params: list[Any]):
        self.params = params
        self.states = [optimizer._state[p] for p in params]
        self.shapes = [p.array.shape for p in params]
        with on_device(device_of(params[0].array)):
            self._lay_out(optimizer.numbers)
        self._move_in()

    def _lay_out(self, numbers: tuple[str, ...]) -> None:
        first, params = self.params[0].array, self.params
        xp = namespace_of(first)
        self.p, self.g = xp.empty((2, sum(p.array.size for p in params)), first.dtype)
        self.p_views, self.g_views = self._views(self.p), self._views(self.g)
        self.state: State = {}
        self.numbers: State = {}  # those of the state as each parameter has them
        for name in self.states[0]:
            tensors = [state[name] for state in self.states]
            if name in numbers:
                self.state[name] = tensors[0].array.copy()
                self.numbers[name] = np.full(len(params), self.state[name])
                views = [self.numbers[name][i : i + 1].reshape(()) for i in range(len(params))]
            else:
                self.state[name] = xp.empty_like(self.p)
                views = self._views(self.state[name])
                for view, tensor in zip(views, tensors):
                    view[...] = tensor.array
            for tensor, view in zip(tensors, views):
                tensor.array = view
        self.arrays: list[Any] = []
        self._note()

    def _note(self) -> None:
        """What the parameters' state is after this, for `is_current`."""
        self.parts = self._parts()
        self.counted = [values.tobytes() for values in self.numbers.values()]

    def is_current(self, optimizer: Optimizer) -> bool:
        """Whether the state is as the last step left it, or changed in place: another tensor or other memory in the
        place of an entry, or another step count, would not be seen. (Without a loop of Python: 0.1 us a parameter.)"""
        try:
            parts = self._parts()
        except AttributeError:  # of no Tensor
            return False
        if len(parts) != len(self.parts) or not all(map(is_, parts, self.parts)):
            return False
        return not self.numbers or [values.tobytes() for values in self.numbers.values()] == self.counted

    def _parts(self) -> list[Any]:
        return list(map(_array, chain.from_iterable(map(dict.values, self.states))))

    def _move_in(self) -> None:
        """Put each array that only its parameter holds (and this call's argument) into the flat one."""
        for p, view in zip(self.params, self.p_views):
            if type(p.array) is np.ndarray and p.array.base is None and getrefcount(p.array) <= 2:
                view[...] = p.array
                p.array = view

    def _views(self, flat: Any) -> list[Any]:
        ends = np.cumsum([p.array.size for p in self.params]).tolist()
        return [flat[end - p.array.size : end].reshape(p.array.shape) for p, end in zip(self.params, ends)]

    def check(self, optimizer: Optimizer) -> None:
        self.now = list(map(_array, self.params))
        self.same = len(self.arrays) > 0 and all(map(is_, self.now, self.arrays))  # as in the last step, and so their shapes
        if list(map(_gradient_shape, self.params)) == self.shapes and (self.same or [a.shape for a in self.now] == self.shapes):
            return
        for p, shape in zip(self.params, self.shapes):
            if p.grad.array.shape != p.array.shape:
                optimizer.wrong_gradient(p)
            if p.array.shape != shape:
                raise ValueError(f"{optimizer.step_name}: the state is of a parameter of {shape}, which is {p.array.shape} by now")

    def update(self, optimizer: Optimizer, group: Group) -> None:
        """The step, after `check`."""
        if gpu.several:
            gpu.use_home(self.p)
        if not self.same:
            arrays = self.arrays = self.now
            self.outside = [(view, array) for view, array in zip(self.p_views, arrays) if array is not view]
            self.places = places_of_change([self.p, *(array for _, array in self.outside)])
        # Assigning to kept views: 0.1 us an array; np.concatenate takes twice that.
        for view, array in self.outside:
            view[...] = array
        for view, p in zip(self.g_views, self.params):
            view[...] = p._grad.array
        group = optimizer.advance(self.state, group)
        _apply(optimizer, self.p, self.g, self.state, group)
        for view, array in self.outside:
            array[...] = view
        for name, values in self.numbers.items():
            values[...] = self.state[name]
        if len(self.state) > len(self.states[0]):
            for name in self.state.keys() - self.states[0].keys():
                for state, view in zip(self.states, self._views(self.state[name])):
                    state[name] = traced(view)
            self._note()
        elif self.numbers:
            self.counted = [values.tobytes() for values in self.numbers.values()]
        changed_again(self.places, optimizer.step_name)


def _apply(optimizer: Optimizer, p: Any, g: Any, state: State, group: Group) -> None:
    """The equation, on a GPU as one kernel."""
    if type(p) is np.ndarray or not optimizer.elementwise:
        optimizer.apply(p, g, state, group)
        return
    equation, arrays = _equation(optimizer, state, group)
    state.update(fused(equation, [p, g, *arrays]) or {})


def _in_blocks(optimizer: Optimizer, p: Any, g: Any, state: State, group: Group) -> None:
    """The equation on a large parameter, block by block."""
    equation, arrays = _equation(optimizer, state, group)
    flat = [a.reshape(-1) for a in (p, g, *arrays)]
    begun = by_blocks(equation, *flat, block=optimizer.block, threads=optimizer.threads)
    for name in begun[0]:
        state[name] = np.concatenate([part[name] for part in begun]).reshape(p.shape)


def _equation(optimizer: Optimizer, state: State, group: Group) -> tuple[Callable[..., State], list[Any]]:
    """The equation as a function of `p`, `g` and arrays (all or a part of the state's, which are given too);
    it returns those that it began in this step."""
    names = [name for name in state if name not in optimizer.numbers]
    numbers = {name: state[name] for name in optimizer.numbers}

    def equation(p: Any, g: Any, *arrays: Any) -> State:
        mine = {**numbers, **dict(zip(names, arrays))}
        optimizer.apply(p, g, mine, group)
        return {name: mine[name] for name in mine if name not in state}

    return equation, [state[name] for name in names]
