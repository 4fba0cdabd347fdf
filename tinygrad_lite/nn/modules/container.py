"""Modules that contain other modules or parameters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.nn.modules.module import Module, framed
from tinygrad_lite.nn.parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class _Numbered(Module):
    """Base of Sequential and ModuleList: submodules named "0", "1", ..., accessed like a list."""

    def _all(self) -> list[Any]:
        return list(self._modules.values())

    def _replace_all(self, modules: Iterable[Module]) -> None:
        modules = list(modules)
        for name in list(self._modules):
            del self._modules[name]
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def _name_at(self, idx: Any) -> str:
        names = list(self._modules)
        idx = idx.__index__()
        if not -len(names) <= idx < len(names):
            raise IndexError(f"{self._get_name()}: index {idx} is out of range, there are {len(names)} modules")
        return names[idx]

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return self._sliced(idx)
        return self._modules[self._name_at(idx)]

    def _sliced(self, idx: slice) -> Any:
        return type(self)(self._all()[idx])  # type: ignore[call-arg]

    def __setitem__(self, idx: Any, module: Module) -> None:
        setattr(self, self._name_at(idx), module)

    def __delitem__(self, idx: Any) -> None:
        modules = self._all()
        del modules[idx if isinstance(idx, slice) else idx.__index__()]
        self._replace_all(modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def append(self, module: Module) -> Any:
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        if not isinstance(module, Module):
            raise TypeError(f"insert: expected a Module, got {type(module).__name__}")
        modules = self._all()
        if not -len(modules) <= index <= len(modules):
            raise IndexError(f"{self._get_name()}.insert: index {index} is out of range, there are {len(modules)} modules")
        modules.insert(index, module)
        self._replace_all(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        if not isinstance(modules, Iterable):
            raise TypeError(f"{self._get_name()}.extend: expected an iterable of modules, got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, key: Any) -> Module:
        module = self[key]
        del self[key]
        return module

    def __iadd__(self, modules: Any) -> Any:
        return self.extend(modules)


class Sequential(_Numbered):
    """Modules applied in order; given as arguments, or as an OrderedDict with names.

    >>> from tinygrad_lite import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
    )
    """

    def __init__(self, *args: Any):
        super().__init__()
        named = len(args) == 1 and isinstance(args[0], OrderedDict)
        for name, module in args[0].items() if named else enumerate(args):
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        held = self.__dict__
        for name, kind in self._registered_kinds.items():  # self._modules.values(), without building a list
            if kind == "module":
                input = held[name](input)
        return input

    def _sliced(self, idx: slice) -> Sequential:
        return type(self)(OrderedDict(list(self._modules.items())[idx]))

    def __delitem__(self, idx: Any) -> None:
        if not isinstance(idx, slice):
            self._name_at(idx)
        super().__delitem__(idx)

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential: expected a Sequential to be added, got {type(other).__name__}")
        return Sequential(*self, *other)

    def __mul__(self, other: int) -> Sequential:
        if not isinstance(other, int):
            raise TypeError(f"Sequential: expected an int to be multiplied with, got {type(other).__name__}")
        if other <= 0:
            raise ValueError(f"Sequential: expected a positive number of repetitions, got {other}")
        return Sequential(*(self._all() * other))

    __rmul__ = __mul__

    def __imul__(self, other: int) -> Sequential:
        self._replace_all(self * other)
        return self


class ModuleList(_Numbered):
    """A list of modules that parameters(), to() and the like see.

    >>> from tinygrad_lite import nn
    >>> layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
    >>> len(layers), [name for name, _ in layers.named_parameters()][:3]
    (3, ['0.weight', '0.bias', '1.weight'])
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        if modules is not None:
            self += modules

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Equal neighbours are printed once: `(0-3): 4 x Linear(...)`."""
        lines, start = [], 0
        for text, same in groupby(map(repr, self)):
            count = len(list(same))
            name = f"({start})" if count == 1 else f"({start}-{start + count - 1})"
            lines.append(f"{name}: {text}" if count == 1 else f"{name}: {count} x {text}")
            start += count
        return framed(self, "", lines)


def _pairs(name: str, given: Any) -> list[tuple[str, Any]]:
    """Names and values from a mapping or an iterable of pairs."""
    if isinstance(given, (Mapping, ModuleDict, ParameterDict)):
        return list(given.items())
    if not isinstance(given, Iterable):
        raise TypeError(f"{name}: expected a mapping or an iterable of pairs, got {type(given).__name__}")
    pairs = [tuple(pair) if isinstance(pair, Iterable) else (pair,) for pair in given]
    for i, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ValueError(f"{name}: expected pairs of a name and a value, element {i} has length {len(pair)}")
    return pairs


class ModuleDict(Module):
    """A dict of modules that parameters(), to() and the like see.

    >>> from tinygrad_lite import nn
    >>> heads = nn.ModuleDict({"age": nn.Linear(4, 1), "kind": nn.Linear(4, 3)})
    >>> heads["kind"], list(heads.state_dict())[:2]
    (Linear(in_features=4, out_features=3, bias=True), ['age.weight', 'age.bias'])
    """

    def __init__(self, modules: Any = None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        self._modules.clear()

    def pop(self, key: str) -> Module:
        return self._modules.pop(key)

    def keys(self) -> Any:
        return self._modules.keys()

    def items(self) -> Any:
        return self._modules.items()

    def values(self) -> Any:
        return self._modules.values()

    def update(self, modules: Any) -> None:
        for key, module in _pairs("ModuleDict.update", modules):
            self[key] = module


def _as_parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class ParameterList(Module):
    """A list of parameters. Tensors become Parameters; other values stay as they are.

    >>> from tinygrad_lite import nn, ones
    >>> scales = nn.ParameterList([ones(2), ones(3)])
    >>> scales[1].requires_grad, list(scales.state_dict())
    (True, ['0', '1'])
    """

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        self._size = 0
        if values is not None:
            self += values

    def _at(self, idx: Any) -> str:
        idx = idx.__index__()
        if not -self._size <= idx < self._size:
            raise IndexError(f"ParameterList: index {idx} is out of range, there are {self._size} values")
        return str(idx % self._size)

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return type(self)(list(self)[idx])
        return getattr(self, self._at(idx))

    def __setitem__(self, idx: Any, param: Any) -> None:
        setattr(self, self._at(idx), _as_parameter(param))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(self._size)])

    def append(self, value: Any) -> ParameterList:
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend: expected an iterable of parameters, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def extra_repr(self) -> str:
        return "\n".join(f"  ({i}): {_described(value)}" for i, value in enumerate(self))


class ParameterDict(Module):
    """A dict of parameters. Tensors become Parameters; other values stay as they are.

    >>> from tinygrad_lite import nn, ones
    >>> scales = nn.ParameterDict({"left": ones(2), "right": ones(3)})
    >>> scales["left"].requires_grad, list(scales.state_dict())
    (True, ['left', 'right'])
    """

    def __init__(self, parameters: Any = None):
        super().__init__()
        self._names: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._names = dict(state["_names"])

    def _attribute(self, key: Any) -> str:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: expected a string for the key, got {type(key).__name__}")
        if key not in self._names and hasattr(type(self), key):
            raise KeyError(f"attribute {key!r} already exists")
        return key

    def __getitem__(self, key: str) -> Any:
        if key not in self._names:
            raise KeyError(key)
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, self._attribute(key), _as_parameter(value))
        self._names[key] = None

    def __delitem__(self, key: str) -> None:
        del self._names[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._names))

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def __or__(self, other: Any) -> ParameterDict:
        result = self.copy()
        result.update(other)
        return result

    def __ior__(self, other: Any) -> ParameterDict:
        self.update(other)
        return self

    def copy(self) -> ParameterDict:
        return ParameterDict(OrderedDict(self.items()))

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def pop(self, key: str) -> Any:
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        key = next(reversed(self))
        return key, self.pop(key)

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        return ParameterDict((key, default) for key in keys)

    def keys(self) -> Any:
        return self._names.keys()

    def items(self) -> list[tuple[str, Any]]:
        return [(key, self[key]) for key in self]

    def values(self) -> list[Any]:
        return [self[key] for key in self]

    def update(self, parameters: Any) -> None:
        for key, value in _pairs("ParameterDict.update", parameters):
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(f"  ({key}): {_described(value)}" for key, value in self.items())


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    where = f" ({value.device})" if value.is_cuda else ""
    return f"{kind} containing: [{value.dtype} of size {'x'.join(map(str, value.shape))}{where}]"
