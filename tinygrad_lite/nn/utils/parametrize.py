"""Parametrizations: tensors of a module that are computed from other parameters at each access."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue, Refusal
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.nn.modules.container import ModuleDict, ModuleList
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.parameter import Parameter

__all__ = ["ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations"]

_cache: dict[tuple[int, str], Tensor] | None = None  # set inside `cached()`


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Inside this block each parametrized tensor is computed once, at its first access.

    >>> from tinygrad_lite import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    >>> with cached():
    ...     print(layer.weight is layer.weight)
    True
    >>> layer.weight is layer.weight
    False
    """
    global _cache
    before, _cache = _cache, {} if _cache is None else _cache
    try:
        yield
    finally:
        _cache = before


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied in sequence to `original` (or to `original0`, `original1`, ... if the
    first takes several).

    >>> from tinygrad_lite import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    >>> layer.parametrizations.weight
    ParametrizationList(
      (0): _WeightNorm()
    )
    """

    def __init__(self, modules: Any, original: Tensor, unsafe: bool = False):
        super().__init__(modules)
        value: Any = original
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    value = module.right_inverse(value)
        self.is_tensor = isinstance(value, Tensor)
        self.ntensors = 1 if self.is_tensor else len(value)
        for name, tensor in zip(self._names(), [value] if self.is_tensor else value):
            if isinstance(original, Parameter):
                self.register_parameter(name, Parameter(tensor.detach(), original.requires_grad))
            else:
                self.register_buffer(name, tensor)
        if not unsafe:
            with no_grad():
                result = self()
            if result.shape != original.shape or result.dtype != original.dtype:
                raise BadValue(
                    f"the result has shape {tuple(result.shape)} and dtype {result.dtype}, "
                    f"the tensor {tuple(original.shape)} and {original.dtype}",
                    function="register_parametrization",
                    hint="pass unsafe=True to allow it",
                )

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        """Accept the keys of the deprecated weight_norm and spectral_norm too."""
        above, known, name = prefix[:-1].rpartition("parametrizations.")
        for i, module in enumerate(self):
            if known and hasattr(module, "from_older"):
                for key, value in module.from_older(state_dict, above + name).items():
                    state_dict[prefix + (key if key.startswith("original") else f"{i}.{key}")] = value
        super()._load_from_state_dict(state_dict, prefix, *others)

    def _names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Change the originals so that the parametrized tensor becomes `value`, as closely as possible."""
        with no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise Refusal(f"{type(module).__name__} does not implement right_inverse, so it cannot be assigned to")
                new = module.right_inverse(new)
            for name, tensor in zip(self._names(), [new] if self.is_tensor else new):
                getattr(self, name).copy_(tensor)

    def forward(self) -> Tensor:
        first, *rest = self
        x = first(*[getattr(self, name) for name in self._names()])
        for module in rest:
            x = module(x)
        return x


def _property(name: str) -> property:
    def get(self: Any) -> Tensor:
        if _cache is None:
            return self.parametrizations[name]()
        key = id(self), name
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def set(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, set)


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """Make `module.<tensor_name>` the result of `parametrization(original)`; a second one is applied to the result of
    the first. `module.parametrizations.<tensor_name>` holds the originals.

    >>> from tinygrad_lite import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, w):
    ...         return w.triu() + w.triu(1).T
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all()), [name for name, _ in layer.named_parameters()]
    (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        before = getattr(module, tensor_name)
        parametrizations = module.parametrizations[tensor_name]
        with no_grad():
            after = parametrization(before)
        if not unsafe and (after.shape != before.shape or after.dtype != before.dtype):
            raise BadValue("shape and dtype may not change", function="register_parametrization", hint="pass unsafe=True to allow it")
        parametrizations.append(parametrization)
        return module
    if module._registered_kinds.get(tensor_name) not in ("parameter", "buffer") or getattr(module, tensor_name) is None:
        raise BadValue(f"{module._get_name()} has no parameter or buffer {tensor_name!r}", function="register_parametrization")
    made = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    base = type(module)
    if is_parametrized(module):
        base = base.__bases__[0]
    else:
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = made
    module.__class__ = _with_properties(base, tuple(module.parametrizations))
    return module


def _with_properties(base: type[Module], names: tuple[str, ...]) -> type[Module]:
    """The class of a module with parametrized tensors. Copies of the module share it, so it never changes."""
    members = {name: _property(name) for name in names}
    return type(f"Parametrized{base.__name__}", (base,), {**members, "__reduce_ex__": _reduced, "__module__": base.__module__})


def _reduced(self: Any, protocol: Any) -> Any:
    return _without_init, (type(self).__bases__[0], tuple(self.parametrizations)), self.__dict__


def _without_init(base: type[Module], names: tuple[str, ...]) -> Any:
    return object.__new__(_with_properties(base, names))


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the given tensor of the module (by default: any) is parametrized.

    >>> from tinygrad_lite import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 1))
    >>> is_parametrized(layer), is_parametrized(layer, "weight"), is_parametrized(layer, "bias")
    (True, True, False)
    """
    held = module.__dict__.get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor an ordinary parameter again: with its current value, or (`leave_parametrized=False`) with that of
    the original.

    >>> from tinygrad_lite import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    >>> [name for name, _ in remove_parametrizations(layer, "weight").named_parameters()]
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise BadValue(f"{module._get_name()} has no parametrization on {tensor_name!r}", function="remove_parametrizations")
    made = module.parametrizations[tensor_name]
    first = getattr(made, made._names()[0])
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name)
    elif made.is_tensor:
        value = first
    else:
        raise BadValue("with several originals there is none to go back to", function="remove_parametrizations")
    base = type(module).__bases__[0]
    del module.parametrizations[tensor_name]
    module.__class__ = _with_properties(base, tuple(module.parametrizations))
    if isinstance(first, Parameter):
        module.register_parameter(tensor_name, Parameter(value.detach(), first.requires_grad))
    else:
        module.register_buffer(tensor_name, value.detach())
    if not len(module.parametrizations):
        del module.parametrizations
        module.__class__ = base
    return module
