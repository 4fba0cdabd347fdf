"""What a module holds by name: parameters, buffers and submodules.

These are functions on modules, not methods, so that subclasses are free to use their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol, TypeVar

from tinygrad_lite.nn.parameter import Buffer


class Holder(Protocol):
    """What the files below module.py ask of a Module."""

    _registered_kinds: dict[str, str]
    _non_persistent_buffers_set: frozenset[str]

    def get_extra_state(self) -> Any: ...
    def set_extra_state(self, state: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...


H = TypeVar("H", bound=Holder)


class Registered(MutableMapping[str, Any]):
    """A mutable mapping of a module's parameters (or buffers, or modules) by name."""

    def __init__(self, module: Holder, kind: str):
        self._module, self._kind = module, kind

    def __getitem__(self, name: str) -> Any:
        if self._module._registered_kinds.get(name) != self._kind:
            raise KeyError(name)
        return self._module.__dict__[name]

    def __setitem__(self, name: str, value: Any) -> None:
        put(self._module, self._kind, name, value)

    def __delitem__(self, name: str) -> None:
        self[name]
        forget(self._module, name)
        del self._module.__dict__[name]

    def keys(self) -> Any:
        return [name for name, kind in self._module._registered_kinds.items() if kind == self._kind]

    def values(self) -> Any:
        held = self._module.__dict__
        return [held[name] for name, kind in self._module._registered_kinds.items() if kind == self._kind]

    def items(self) -> Any:
        return list(zip(self.keys(), self.values()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return sum(kind == self._kind for kind in self._module._registered_kinds.values())

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __repr__(self) -> str:
        return repr(dict(self))


def view_of(kind: str, doc: str) -> Any:
    """The property of a module for one kind of registered objects; assigning to it replaces them."""

    def put_all(module: Holder, values: Mapping[str, Any]) -> None:
        values, registered = dict(values), Registered(module, kind)
        registered.clear()
        registered.update(values)

    return property(lambda module: Registered(module, kind), put_all, doc=doc)


DOWN, UP, OWN = "down", "up", "own"


def walk(
    root: H, method: Callable[..., Any] | None = None, prefix: str = "", seen: set[Any] | None = None, twins: bool = True
) -> Iterator[tuple[str, H, str]]:
    """`root` and all modules below it with their paths: each as DOWN before its contents and as UP after them.

    It does not recurse, since modules may nest deeper than Python's stack. `method`: the name of a Module method; a
    submodule that overrides it appears once, as OWN, to be called, and handles its own contents. `seen`: modules to
    skip; those met are added. `twins`: whether a module that its parent holds under two names appears twice."""
    name = method.__name__ if method else ""
    above: list[tuple[str, H]] = []
    levels: list[Iterator[tuple[str, H]]] = [iter([(prefix, root)])]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            if above:
                yield (*above.pop(), UP)
            continue
        path, module = entry
        if seen is not None:
            if module in seen:
                continue
            seen.add(module)
        if method and module is not root and (getattr(type(module), name) is not method or name in module.__dict__):
            yield path, module, OWN
            continue
        yield path, module, DOWN
        above.append(entry)
        held = [(f"{path}.{at}" if path else at, child) for at, child in module._modules.items() if child is not None]
        levels.append(iter(held if twins else {id(child): (at, child) for at, child in held}.values()))


def put(module: Holder, kind: str, name: str, value: Any) -> None:
    """Store `value` under `name` in `module`."""
    kinds = module._registered_kinds
    if kinds.get(name) != kind:  # it goes to the end
        forget(module, name)
        module.__dict__.pop(name, None)
        kinds[name] = kind
    if isinstance(value, Buffer):
        keep_out_of_state(module, name, not value.persistent)
    module.__dict__[name] = value


def forget(module: Holder, name: str) -> None:
    """Unregister `name`; an attribute of that name stays."""
    module._registered_kinds.pop(name, None)
    if name in module._non_persistent_buffers_set:
        keep_out_of_state(module, name, False)


def keep_out_of_state(module: Holder, name: str, out: bool) -> None:
    """Keep a buffer out of the state_dict, or (`out=False`) include it again."""
    others = module._non_persistent_buffers_set - {name}
    module._non_persistent_buffers_set = others | {name} if out else others


def refuse_unless(allowed: bool, kind: str, name: str, value: Any) -> None:
    """Raise unless the value may be assigned to a registered name."""
    if not allowed:
        expected = {"parameter": "Parameter or None", "child module": "Module or None", "buffer": "Buffer, Tensor or None"}
        raise TypeError(f"cannot assign {type(value).__name__} as {kind} {name!r} ({expected[kind]} expected)")


def register(module: Holder, kind: str, name: Any, value: Any, accepted: type) -> None:
    """Check a new name and its value (None, or of type `accepted`), and store it in `module`."""
    if "_registered_kinds" not in module.__dict__:
        raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
    if not isinstance(name, str):
        raise TypeError(f"register_{kind}: expected a string for the name, got {type(name).__name__}")
    if "." in name or not name:
        raise KeyError(f'{kind} name can\'t contain ".", nor be empty: {name!r}')
    if hasattr(module, name) and module._registered_kinds.get(name) != kind:
        raise KeyError(f"attribute {name!r} already exists")
    if value is not None and not isinstance(value, accepted):
        raise TypeError(f"cannot assign {type(value).__name__} as {kind} {name!r} ({accepted.__name__} or None expected)")
    put(module, kind, name, value)


def member(module: Holder, kind: str, target: str) -> Any:
    """The object at a path such as "layers.0.weight"."""
    path, _, name = target.rpartition(".")
    holder = module.get_submodule(path)
    if holder._registered_kinds.get(name) != kind:
        raise AttributeError(f"{holder._get_name()} has no {kind} {name!r} (get_{kind}({target!r}))")
    return holder.__dict__[name]
