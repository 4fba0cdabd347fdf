"""The inputs of a call: its arguments, and entries of objects that turned out to change from call to call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays.devices import device_of
from tinygrad_lite.engine.tape import Traced

Places = dict[str, tuple[Any, Any]]  # a holder and one of its keys, by the name of the entry
Names = Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]


class TensorPlace:
    """A tensor whose array the function replaces, as a place."""

    def __init__(self, tensor: Traced, name: str):
        self.owner, self.path = tensor, name

    def get(self, key: None) -> Traced:
        return self.owner

    def place(self, key: None) -> str:
        return self.path


class GradPlace(TensorPlace):
    """The `.grad` of a tensor, to which the function adds, as a place."""

    def get(self, key: None) -> Any:
        return self.owner._grad


class Inputs(NamedTuple):
    """What a run of a program is given."""

    tensors: dict[str, Traced]
    numbers: list[Any]


class Arguments:
    """The inputs of a call: `tensors` and `numbers` by name, and the `key` of calls that can share a program.

    `containers`: the ids of lists and dicts among the arguments. `of_places`: those of tensors found in places.
    """

    def __init__(self, given: dict[str, Any], static: frozenset[str] = frozenset()):
        self.given = given
        self.tensors: dict[str, Traced] = {}
        self.numbers: dict[str, Any] = {}
        self.fixed: list[Any] = []  # objects that are part of the key by identity, kept so that an id is not given twice
        self.containers: set[int] = set()
        self.of_places: set[int] = set()
        self._static = static
        self.key = tuple((name, self._key(value, name)) for name, value in given.items())

    def with_places(self, places: dict[str, Any]) -> Arguments:
        """These arguments and the values of places."""
        more = Arguments(places)
        if not self.given:
            more.of_places = {id(tensor) for tensor in more.tensors.values()}
            return more
        both = Arguments({})
        both.given = {**self.given, **more.given}
        both.tensors = {**self.tensors, **{n: t for n, t in more.tensors.items() if all(t is not known for known in self.tensors.values())}}
        both.numbers = {**self.numbers, **more.numbers}
        both.fixed, both.key = [*self.fixed, *more.fixed], (*self.key, *more.key)
        both.containers = self.containers
        both.of_places = {id(tensor) for tensor in more.tensors.values()}
        return both

    def _key(self, value: Any, name: str) -> Any:
        if isinstance(value, Traced):
            if (first := next((other for other, tensor in self.tensors.items() if tensor is value), None)) is not None:
                return "same", first
            self.tensors[name] = value
            array, grad = value.array, value._grad
            if grad is not None:
                grad = self._key(grad, f"{name}.grad")
            strides = None if array.flags.c_contiguous else array.strides
            where = None if type(array) is np.ndarray else device_of(array)
            return type(value), where, array.shape, array.dtype, strides, value.node is not None, grad
        if type(value) in (int, float) and name.partition("[")[0] not in self._static:
            self.numbers[name] = value
            return type(value)
        if isinstance(value, tuple):
            return type(value), *(self._key(part, f"{name}[{i}]") for i, part in enumerate(value))
        if type(value) is list:
            self.containers.add(id(value))
            return type(value), *(self._key(part, f"{name}[{i}]") for i, part in enumerate(value))
        if type(value) is dict:
            self.containers.add(id(value))
            return type(value), *((key, self._key(part, f"{name}[{key!r}]")) for key, part in value.items())
        if isinstance(value, (bool, int, float, str, bytes, type(None), type, np.dtype, np.generic)):
            return type(value), repr(value)
        self.fixed.append(value)
        return type(value), id(value)


def names_of(function: Any) -> Names:
    """A function that names the arguments of a call as `function` does."""
    try:
        parameters = inspect.signature(function).parameters.items()
    except (TypeError, ValueError):
        parameters = {}.items()
    names = [name for name, p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

    def named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if not kwargs and len(args) <= len(names):
            return dict(zip(names, args))
        first = names[: len(args)] + [f"argument_{i}" for i in range(len(names), len(args))]
        return {**dict(zip(first, args)), **{f"{name}=" if name in first else name: value for name, value in kwargs.items()}}

    return named


def replaced_in(value: Any, numbers: dict[str, Any], name: str, entries: list[Any]) -> Any:
    """An argument with its numbers replaced: in a list or dict in place, which `entries` notes; a tuple is made anew."""
    if name in numbers:
        return numbers[name]
    if isinstance(value, tuple):
        parts = [replaced_in(part, numbers, f"{name}[{i}]", entries) for i, part in enumerate(value)]
        if all(part is old for part, old in zip(parts, value)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if type(value) in (list, dict):
        for key, part in list(value.items() if type(value) is dict else enumerate(value)):
            new = replaced_in(part, numbers, f"{name}[{key!r}]", entries)
            if new is not part:
                value[key] = new
                entries.append((value, key, part, new))
    return value
