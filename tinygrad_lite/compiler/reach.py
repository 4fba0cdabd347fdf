"""What a function can reach: the objects it refers to, through variables, attributes, lists and dicts.

A compiled program is valid as long as these are what they were. Each `Holder` is one object with replaceable contents, for
example a module's attributes, a parameter group, a list, or the global variables that a function names.
"""

from __future__ import annotations

import collections
import copy
import functools
import io
import random
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_lite.arrays.randomness import Source
from tinygrad_lite.compiler.stand_ins import Untraceable
from tinygrad_lite.engine.tape import Traced

LARGE = 10_000  # a list or dict with more entries is data: it may hold no tensors
_ATOMS = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, type, Source)
_LIBRARY = __name__.partition(".")[0]
_INSTALLED = tuple({sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib", "platstdlib")})
_CONTAINERS = (dict, list, set, collections.deque)


class Holder:
    """An object, and the dict, list, deque or set of its contents."""

    derived: tuple[str, ...] = ()  # attributes that follow from the others

    def __init__(self, owner: Any, contents: Any, path: str):
        self.owner, self.contents, self.path = owner, contents, path

    def now(self) -> Any:
        """A copy of the contents."""
        kind = next((kind for kind in (dict, set) if isinstance(self.contents, kind)), list)
        return kind(self.contents)

    def entries(self, contents: Any = None) -> dict[Any, Any]:
        """The contents (or a copy of them) as a dict, without what follows from the rest."""
        contents = self.contents if contents is None else contents
        if isinstance(contents, set):
            return {"elements": frozenset(contents)}
        found = dict(contents) if isinstance(contents, dict) else dict(enumerate(contents))
        return {key: value for key, value in found.items() if key not in self.derived} if self.derived else found

    def get(self, key: Any) -> Any:
        return self.contents[key]

    def put(self, key: Any, value: Any) -> None:
        if isinstance(self.contents, dict) or key < len(self.contents):
            self.contents[key] = value
        else:
            self.contents.append(value)

    def restore(self, before: Any) -> None:
        contents = self.contents
        if isinstance(contents, dict):
            if contents.keys() != before.keys():
                contents.clear()
            dict.update(contents, before)  # a Counter's own update would add
        elif isinstance(contents, set):
            contents.clear()
            contents.update(before)
        else:
            contents.clear()
            contents.extend(before)

    def place(self, key: Any) -> str:
        """The name of an entry in a program."""
        if isinstance(key, str):
            return f"{self.path}.{key}" if self.path else key
        return f"{self.path}[{key!r}]"


class Variables(Holder):
    """Named values outside a dict: global variables that a function names, variables of the functions around it, attributes
    of classes, slots."""

    def __init__(self, owner: Any, names: Mapping[str, Callable[[], Any]], put: Callable[[str, Any], None], path: str = ""):
        self.owner, self.names, self._put, self.path = owner, names, put, path

    @property
    def contents(self) -> dict[str, Any]:
        return {name: get() for name, get in self.names.items()}

    def get(self, key: Any) -> Any:
        return self.names[key]()

    def put(self, key: Any, value: Any) -> None:
        self._put(key, value)

    def restore(self, before: Any) -> None:
        for name, value in before.items():
            if self.names[name]() is not value:
                self._put(name, value)


class Compiled:
    """Base of functions that have a program: what they can reach is what the function behind them can, and attributes that
    the user has given them."""

    __wrapped__: Any
    derived: tuple[str, ...]


class Reach:
    """Everything that `function` can reach: `holders`, `tensors` by name, and sources of random numbers."""

    def __init__(self, function: Any, arguments: dict[str, Any]):
        self.holders: list[Holder] = []
        self.tensors: dict[str, Traced] = {}
        self.sources: list[Source] = []
        self.streams: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []  # of Python and NumPy: get and set the state
        self.arrays: list[np.ndarray] = []
        self.asks_for_types = False  # whether a function of the user may look at the type of a number
        self.seen: dict[int, Any] = {}
        self._names: dict[int, str] = {}  # of the tensors
        self._queue: collections.deque[tuple[Any, str]] = collections.deque()
        self._later: collections.deque[tuple[Any, str]] = collections.deque()  # so that parameters have the names of modules
        self._queue.append((function, ""))
        self._walk()
        self.of_function = set(self.seen)  # what it can reach without its arguments
        self._queue.extend((value, name) for name, value in arguments.items())
        self._walk()

    def _walk(self) -> None:
        while self._queue or self._later:
            is_late = not self._queue
            value, path = (self._later if is_late else self._queue).popleft()
            if id(value) in self.seen:
                continue
            if not is_late and "param_groups" in getattr(value, "__dict__", ()):
                self._later.append((value, path))
                continue
            self.seen[id(value)] = value
            self._look_at(value, path)

    def _look_at(self, value: Any, path: str) -> None:
        if isinstance(value, Traced):
            self._look_at_tensor(value, path)
        elif isinstance(value, Source):
            self.sources.append(value)
        elif isinstance(value, np.ndarray):
            self.arrays.append(value)
        elif isinstance(value, type):
            if is_users(value.__module__):
                self._look_at_class(value)
        elif isinstance(value, _ATOMS):
            pass
        elif isinstance(value, _CONTAINERS):
            self._hold(Holder(value, value, path))
        elif isinstance(value, (tuple, frozenset)):
            self._queue.extend((part, f"{path}[{i}]") for i, part in enumerate(value))
        elif isinstance(value, types.MappingProxyType):
            self._queue.append((dict(value), path))
        elif isinstance(value, types.FunctionType):
            self._look_at_function(value)
        elif isinstance(value, types.MethodType):
            self._queue.append((value.__self__, "" if value.__func__.__name__ == "__call__" else path))
            self._queue.append((value.__func__, path))
        elif isinstance(value, functools.partial):
            self._queue.extend((part, path) for part in (value.func, value.args, value.keywords))
        elif isinstance(value, types.ModuleType):
            if is_users(value.__name__):
                self._look_at_module(value)
        elif isinstance(value, Compiled):
            self._look_at_object(value, "")
            self._queue.append((value.__wrapped__, path))
        else:
            self._look_at_other(value, path)

    def _look_at_other(self, value: Any, path: str) -> None:
        if isinstance(value, functools._lru_cache_wrapper):
            if is_users(value.__module__):
                raise Untraceable(f"it can reach a cache, {value.__name__}, whose contents would be traced")
        elif isinstance(value, io.IOBase):
            raise Untraceable(f"it can reach a file, {path}; reading and writing would happen once")
        elif isinstance(value, random.Random):
            self.streams.append((value.getstate, value.setstate))
        elif isinstance(value, np.random.Generator):
            bits = value.bit_generator
            self.streams.append((lambda: copy.deepcopy(bits.state), lambda state: setattr(bits, "state", state)))
        elif isinstance(value, np.random.RandomState):
            self.streams.append((lambda: value.get_state(legacy=False), value.set_state))
        elif isinstance(value, Iterator):
            name = path or type(value).__name__
            raise Untraceable(f"it can reach an iterator, {name}, which would be advanced; pass what comes from it")
        elif isinstance(getattr(value, "__dict__", None), dict) or is_users(type(value).__module__):
            self._look_at_object(value, path)

    def _look_at_tensor(self, tensor: Traced, path: str) -> None:
        name, number = path or "tensor", 1
        while name in self.tensors:
            number += 1
            name = f"{path or 'tensor'}_{number}"
        self._names[id(tensor)] = name
        self.tensors[name] = tensor
        self._queue.append((tensor._grad, f"{name}.grad"))
        self._queue.append((tensor.base, f"{name}.base"))
        node = tensor.node
        if node is not None:
            self._queue.extend((hooks, "") for hooks in (node.hooks, getattr(node, "after", None)) if hooks)

    def _hold(self, holder: Holder) -> None:
        self.holders.append(holder)
        entries = holder.entries()
        if len(entries) > LARGE:
            if any(isinstance(value, Traced) for value in entries.values()):
                raise Untraceable(f"it can reach {len(entries)} tensors, in {holder.path or 'a list'}; stack them")
            return
        for key, value in entries.items():  # what is kept for a tensor has its name
            name = self._names.get(id(key)) if isinstance(key, Traced) else None
            self._queue.append((value, name or (holder.path if isinstance(value, frozenset) else holder.place(key))))

    def _look_at_object(self, value: Any, path: str) -> None:
        if isinstance(getattr(value, "__dict__", None), dict):
            holder = Holder(value, vars(value), path)
            holder.derived = getattr(type(value), "derived", ())
            self._hold(holder)
        slots = [name for base in type(value).__mro__ for name in _listed(vars(base).get("__slots__", ()))]
        names = [name for name in slots if name not in ("__dict__", "__weakref__")]
        if names and is_users(type(value).__module__):
            getters = {name: functools.partial(getattr, value, name, None) for name in names}
            self._hold(Variables(value, getters, functools.partial(setattr, value), path))
        self._queue.extend((base, "") for base in type(value).__mro__ if is_users(base.__module__))

    def _look_at_class(self, value: type) -> None:
        attributes = vars(value)
        names = [name for name, part in attributes.items() if name not in _OF_CLASSES and not isinstance(part, _DESCRIPTORS)]
        getters: dict[str, Callable[[], Any]] = {name: functools.partial(_attribute, value, name) for name in names}
        getters["number of attributes"] = functools.partial(len, attributes)
        self._hold(Variables(value, getters, functools.partial(setattr, value), value.__name__))
        for part in attributes.values():
            self._queue.extend((function, "") for function in _functions_of(part))

    def _look_at_module(self, module: types.ModuleType) -> None:
        variables = vars(module)
        names = [name for name, part in variables.items() if not name.startswith("__") and not _is_foreign(part)]
        getters = {name: functools.partial(variables.get, name) for name in names}
        self._hold(Variables(module, getters, variables.__setitem__, module.__name__))

    def _look_at_function(self, function: types.FunctionType) -> None:
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
        filled = {name: cell for name, cell in cells.items() if _is_filled(cell)}
        if filled:
            names = {name: functools.partial(getattr, cell, "cell_contents") for name, cell in filled.items()}
            self._hold(Variables(function, names, lambda name, value: setattr(filled[name], "cell_contents", value)))
        for value in (function.__defaults__, function.__kwdefaults__):
            self._queue.append((value, ""))
        if vars(function):
            self._queue.append((vars(function), ""))
        variables = function.__globals__
        if not is_users(variables.get("__name__")):  # the function's own __module__ may be copied from one that it wraps
            return
        mentioned = _names(function.__code__)
        self.asks_for_types = self.asks_for_types or "type" in mentioned
        named = [name for name in mentioned if name in variables]
        if named:
            self._hold(Variables(function, {name: functools.partial(variables.get, name) for name in named}, variables.__setitem__))


_OF_CLASSES = (
    "__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__qualname__", "__firstlineno__", "__static_attributes__",
)  # fmt: skip
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)


def _attribute(owner: type, name: str) -> Any:
    return vars(owner).get(name)


def _functions_of(part: Any) -> list[Any]:
    if isinstance(part, property):
        return [f for f in (part.fget, part.fset) if f is not None]
    return [part.__func__] if isinstance(part, (staticmethod, classmethod)) else []


def _listed(slots: Any) -> Any:
    return (slots,) if isinstance(slots, str) else slots


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _is_foreign(value: Any) -> bool:
    """Whether a value is a module, function or class that is not the user's."""
    module = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return isinstance(value, (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)) and not is_users(module)


def _names(code: types.CodeType) -> list[str]:
    """The global names and attributes that a function's code mentions, and the functions inside it."""
    found = dict.fromkeys(code.co_names)
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            found.update(dict.fromkeys(_names(part)))
    return list(found)


@functools.cache
def is_users(module: str | None) -> bool:
    """Whether a module is the user's own: not this library's, Python's, or an installed package's."""
    top = (module or "").partition(".")[0]
    if top in (_LIBRARY, "numpy", "builtins"):
        return False
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    if file is None:  # of Python's own, or of a program that runs as text
        return top not in sys.stdlib_module_names
    return not file.startswith(_INSTALLED) or any(map(_is_ours, vars(sys.modules[module or ""]).values()))


def _is_ours(value: Any) -> bool:
    """Whether a module that has this value uses the library: it is then a user's, even if it is installed."""
    name = getattr(value, "__name__" if isinstance(value, types.ModuleType) else "__module__", None)
    return isinstance(name, str) and name.partition(".")[0] == _LIBRARY
