"""How an optimizer's equation is brought to its parameters.

An optimizer states its equation once, on arrays (`Optimizer.update`). Here it is called: on one
parameter, block by block where that is large, so that what an equation reads and writes several
times stays in the cache; or on one flat array for many small parameters at once. Both ways give
the same bits, since an elementwise equation treats each element alone.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import get_default_dtype, namespace_of
from tinygrad_lite.arrays.blocked import BLOCK, by_blocks
from tinygrad_lite.autograd.node import changed_again, places_of_change, traced

if TYPE_CHECKING:
    from tinygrad_lite.optim.optimizer import Optimizer

State = dict[str, Any]
SMALL = 1 << 13  # up to this size a copy to the flat array and back costs less than calls of its own


def prepared(optimizer: Optimizer, params: list[Any], group: dict[str, Any]) -> list[One | Many]:
    """The parts in which the parameters of a group are updated, those that can be together."""
    parts: list[One | Many] = []
    together: dict[Any, list[Any]] = {}
    for p in params:
        _begin(optimizer, p, group)
        array = p.array
        if optimizer.elementwise and array.size <= SMALL and array.flags.c_contiguous:
            numbers = tuple(float(optimizer.state[p][name].array) for name in optimizer.numbers)
            key = (namespace_of(array), array.dtype, numbers, tuple(optimizer.state[p]))
            together.setdefault(key, []).append(p)
        else:
            parts.append(One(optimizer, p))
    for several in together.values():
        while several:
            count, total = 0, 0
            while count < len(several) and total + several[count].array.size <= BLOCK:
                total += several[count].array.size
                count += 1
            taken, several = several[:count], several[count:]
            parts.append(One(optimizer, taken[0]) if count == 1 else Many(optimizer, taken))
    return parts


def _begin(optimizer: Optimizer, p: Any, group: dict[str, Any]) -> None:
    """Give a parameter the state it starts from, where it has none yet."""
    state = optimizer.state[p]
    if not state:
        xp = namespace_of(p.array)
        for name, value in optimizer.begin(group).items():
            if name in optimizer.numbers:
                state[name] = traced(np.asarray(value, get_default_dtype()))
            else:
                state[name] = traced(xp.full_like(p.array, value))


class One:
    """A parameter on its own."""

    def __init__(self, optimizer: Optimizer, p: Any):
        self.params = [p]
        self.states = [optimizer.state[p]]
        for name in optimizer.numbers:  # they may have been shared with others in a Many
            tensor = self.states[0][name]
            tensor.array = tensor.array.copy()

    def update(self, optimizer: Optimizer, group: dict[str, Any]) -> None:
        (p,), (tensors,) = self.params, self.states
        array, g = p.array, p.grad.array
        state = {name: tensor.array for name, tensor in tensors.items()}
        group = optimizer.advance(state, group)
        if array.size > BLOCK and optimizer.elementwise and array.flags.c_contiguous and type(array) is np.ndarray:
            _in_blocks(optimizer, array, g, state, group)
        else:
            optimizer.apply(array, g, state, group)
        for name in state.keys() - tensors.keys():
            tensors[name] = traced(state[name])
        changed_again(places_of_change([array]), optimizer.step_name)


class Many:
    """Small parameters of one dtype and one history, updated as one flat array.

    Their state lives in flat arrays, which the tensors in `optimizer.state` are views of.
    """

    def __init__(self, optimizer: Optimizer, params: list[Any]):
        self.params = params
        self.states = [optimizer.state[p] for p in params]
        self.shapes = [p.array.shape for p in params]
        first = params[0].array
        total = sum(p.array.size for p in params)
        self.p, self.g = namespace_of(first).empty((2, total), first.dtype)
        self.p_views, self.g_views = self._views(self.p), self._views(self.g)
        self.state: State = {}
        for name in self.states[0]:
            tensors = [state[name] for state in self.states]
            if name in optimizer.numbers:
                self.state[name] = tensors[0].array.copy()
                views = [self.state[name]] * len(params)
            else:
                self.state[name] = namespace_of(first).empty_like(self.p)
                views = self._views(self.state[name])
                for view, tensor in zip(views, tensors):
                    view[...] = tensor.array
            for tensor, view in zip(tensors, views):
                tensor.array = view
        self.arrays: list[Any] = []
        self.places: list[Any] = []

    def _views(self, flat: Any) -> list[Any]:
        ends = np.cumsum([p.array.size for p in self.params]).tolist()
        return [flat[end - p.array.size : end].reshape(p.array.shape) for p, end in zip(self.params, ends)]

    def update(self, optimizer: Optimizer, group: dict[str, Any]) -> None:
        arrays = [p.array for p in self.params]
        for view, array in zip(self.p_views, arrays):
            view[...] = array
        for view, p in zip(self.g_views, self.params):
            view[...] = p.grad.array
        group = optimizer.advance(self.state, group)
        optimizer.apply(self.p, self.g, self.state, group)
        for view, array in zip(self.p_views, arrays):
            array[...] = view
        if len(self.state) > len(self.states[0]):
            for name in self.state.keys() - self.states[0].keys():
                for state, view in zip(self.states, self._views(self.state[name])):
                    state[name] = traced(view)
        if not self.arrays or not all(map(is_, arrays, self.arrays)):
            self.arrays, self.places = arrays, places_of_change(arrays)
        changed_again(self.places, optimizer.step_name)


def _in_blocks(optimizer: Optimizer, p: Any, g: Any, state: State, group: dict[str, Any]) -> None:
    """The equation on a large parameter, block by block, shared among threads."""
    names = [name for name in state if name not in optimizer.numbers]
    numbers = {name: state[name] for name in optimizer.numbers}

    def block(p: Any, g: Any, *arrays: Any) -> State:
        mine = {**numbers, **dict(zip(names, arrays))}
        optimizer.apply(p, g, mine, group)
        return {name: mine[name] for name in mine.keys() - state.keys()}  # begun in this step

    begun = by_blocks(block, p.reshape(-1), g.reshape(-1), *(state[name].reshape(-1) for name in names))
    for name in begun[0]:
        state[name] = np.concatenate([part[name] for part in begun]).reshape(p.shape)
