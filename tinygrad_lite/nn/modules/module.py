"""Module: parameters, buffers and submodules under names, and a forward computation.

What a module holds is in one place, its `__dict__`, like the attributes of any Python object, so
reading one costs nothing. Beside it stands `_registered_kinds`, which tells for each registered name
whether it is a "parameter", a "buffer" or a "module", in the order of registration. `_parameters`,
`_buffers` and `_modules` are views of the two.
"""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinygrad_lite.arrays import as_dtype, is_floating, to_device
from tinygrad_lite.autograd.node import changed_in_place, traced
from tinygrad_lite.nn.modules.hooks import Hooks
from tinygrad_lite.nn.parameter import Buffer, Parameter, UninitializedParameter
from tinygrad_lite.tensor import RemovableHandle, Tensor

__all__ = ["Module"]

M = TypeVar("M", bound="Module")


class Registered(MutableMapping[str, Any]):
    """The parameters (or buffers, or modules) of a module by name, to be read and written."""

    def __init__(self, module: Module, kind: str):
        self._module, self._kind = module, kind

    def __getitem__(self, name: str) -> Any:
        if self._module._registered_kinds.get(name) != self._kind:
            raise KeyError(name)
        return self._module.__dict__[name]

    def __setitem__(self, name: str, value: Any) -> None:
        _put(self._module, self._kind, name, value)

    def __delitem__(self, name: str) -> None:
        self[name]
        del self._module._registered_kinds[name], self._module.__dict__[name]

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

    def __repr__(self) -> str:
        return repr(dict(self))


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` found missing in the state it was given, and what it did not expect."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if any(self) else "<All keys matched successfully>"


class Module:
    """Base class of all layers and models.

    A subclass calls `super().__init__()`, assigns its parameters and submodules to attributes, and
    defines `forward`:

    >>> from tinygrad_lite import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden, self.out = nn.Linear(2, 8), nn.Linear(8, 1)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).tanh())
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    training: bool
    _registered_kinds: dict[str, str]
    _registered_hooks: Hooks | None = None  # in the instance once there is a hook
    _non_persistent_buffers_set: frozenset[str] = frozenset()

    if TYPE_CHECKING:  # parameters and submodules are attributes that no checker can foresee

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self) -> None:
        self.__dict__["training"] = True
        self.__dict__["_registered_kinds"] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._registered_hooks is None:
            return self.forward(*args, **kwargs)
        return self._registered_hooks.call(self, args, kwargs)

    # -- what is registered ----------------------------------------------------------------------

    _parameters = property(lambda self: Registered(self, "parameter"), doc="Parameters by name; None where declared absent.")
    _buffers = property(lambda self: Registered(self, "buffer"), doc="Buffers by name.")
    _modules = property(lambda self: Registered(self, "module"), doc="Submodules by name.")

    def __setattr__(self, name: str, value: Any) -> None:
        registered = self.__dict__.get("_registered_kinds")
        known = registered.get(name) if registered is not None else None
        if isinstance(value, Parameter):
            kind = "parameter"
        elif known == "parameter":
            kind = known
            _refuse_unless(value is None, "parameter", name, value)
        elif isinstance(value, Module):
            kind = "module"
        elif known == "module":
            kind = known
            _refuse_unless(value is None, "child module", name, value)
        elif isinstance(value, Buffer) or known == "buffer":
            kind = "buffer"
            _refuse_unless(value is None or isinstance(value, Tensor), "buffer", name, value)
        else:
            object.__setattr__(self, name, value)
            return
        if registered is None:
            raise AttributeError(f"cannot assign {kind} {name!r} before Module.__init__() call")
        if known != kind and kind == "parameter" and hasattr(type(self), name):
            raise KeyError(f"attribute {name!r} already exists")
        _put(self, kind, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._registered_kinds.pop(name, None)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None declares a name that holds none."""
        if isinstance(param, Parameter) and param.grad_fn is not None:
            raise ValueError(f"register_parameter: {name!r} is the result of an operation; a parameter must be a leaf")
        _register(self, "parameter", name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not trained; `persistent=False` keeps it out of state_dict()."""
        _register(self, "buffer", name, tensor, Tensor)
        _keep_out_of_state(self, name, not persistent)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name that need not be an identifier."""
        _register(self, "module", name, module, Module)

    add_module = register_module

    # -- walking over it -------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each with its path ("" for this one, "block.0.norm")."""
        memo = set() if memo is None else memo
        if remove_duplicate:
            if self in memo:
                return
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        for _, module in self.named_children():
            yield module

    def _named_members(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, held in list(module._registered_kinds.items()):
                value = module.__dict__[name]
                if held != kind or value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their paths; one that stands under several names appears once."""
        return self._named_members("parameter", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """What an optimizer is given: every parameter of this module and of those below it."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their paths."""
        return self._named_members("buffer", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as "layers.0.norm"; "" is this one."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute {name!r} (get_submodule({target!r}))")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"{name!r} is not a Module (get_submodule({target!r}))")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` at a path; `strict`: only where one stands already."""
        if not target:
            raise ValueError("set_submodule: the path is empty")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: expected a Module, got {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not isinstance(getattr(parent, name, None), Module):
            raise AttributeError(f"{parent._get_name()} has no module {name!r}")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "layers.0.weight"."""
        return _member(self, "parameter", target)

    def get_buffer(self, target: str) -> Tensor:
        return _member(self, "buffer", target)

    # -- changing all of it ----------------------------------------------------------------------

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Call `fn` on every submodule, then on this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Training mode on (or off): dropout drops, batch norm uses the batch."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: expected True or False, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: M) -> M:
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Train the parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.parameters():
            if parameter.grad is not None:
                if set_to_none:
                    parameter.grad = None
                else:
                    parameter.grad.detach_().zero_()

    def _apply(self: M, fn: Callable[[Tensor], Tensor]) -> M:
        """Put `fn(tensor)` in the place of every parameter, gradient and buffer. Parameters stay the
        same objects, so that optimizers and tied layers follow."""
        for module in self.children():
            module._apply(fn)
        for parameter in self.parameters(recurse=False):
            parameter.data = fn(parameter.data)
            if parameter.grad is not None:
                parameter.grad = fn(parameter.grad.detach())
        for name, buffer in self.named_buffers(recurse=False):
            self.__dict__[name] = fn(buffer)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Floating-point parameters and buffers in another dtype, all of them on another device; as
        `Tensor.to`, but in place."""
        for argument in (*args, *kwargs.values()):
            dtype = argument.dtype if isinstance(argument, Tensor) else argument
            if isinstance(dtype, (np.dtype, type)) and not is_floating(as_dtype(dtype)):
                raise TypeError(f"{self._get_name()}.to: expected a floating-point dtype, got {as_dtype(dtype)}")

        def convert(tensor: Tensor) -> Tensor:
            moved = tensor.to(*args, **kwargs)
            if is_floating(tensor.dtype) or moved.dtype == tensor.dtype:
                return moved
            return traced(to_device(tensor.array, moved.device))

        return self._apply(convert)

    def _to_floating(self: M, dtype: Any) -> M:
        return self._apply(lambda t: t.to(dtype) if is_floating(t.dtype) else t)

    def type(self: M, dst_type: Any) -> M:
        """Every parameter and buffer in `dst_type`."""
        return self._apply(lambda t: t.to(dst_type))

    def float(self: M) -> M:
        return self._to_floating(np.float32)

    def double(self: M) -> M:
        return self._to_floating(np.float64)

    def half(self: M) -> M:
        return self._to_floating(np.float16)

    def cpu(self: M) -> M:
        return self._apply(lambda t: t.cpu())

    def cuda(self: M, device: Any = None) -> M:
        return self._apply(lambda t: t.cuda(device))

    # -- its state -------------------------------------------------------------------------------

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """Parameters and persistent buffers by path. The tensors show this module's memory;
        `keep_vars` gives the parameters themselves."""
        hooks = self._registered_hooks
        for hook, _ in hooks.of("state_dict_pre") if hooks is not None else ():
            hook(self, prefix, keep_vars)
        result: dict[str, Any] = OrderedDict() if destination is None else destination
        for name, value in _own_state(self).items():
            result[prefix + name] = value if keep_vars or not isinstance(value, Tensor) else value.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=result, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook, _ in hooks.of("state_dict") if hooks is not None else ():
            hook(self, result, prefix, {})
        return result

    def get_extra_state(self) -> Any:
        """State beyond parameters and buffers; a subclass that defines it also defines set_extra_state."""
        raise RuntimeError(f"{self._get_name()} has no extra state")

    def set_extra_state(self, state: Any) -> None:
        raise RuntimeError(f"{self._get_name()} takes no extra state")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy values (Tensors or NumPy arrays) by path into parameters and buffers.

        `strict`: refuse where a key is missing or unexpected. Wrong shapes are always refused. All
        that is wrong is told at once, and nothing is changed then. `assign`: take over the given
        tensors instead of copying their values.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of tensors by name, got {type(state_dict).__name__}")
        state_dict = dict(state_dict)
        state: dict[str, tuple[Module, str, Any]] = {}  # for each key its module, its name there, its value
        for path, module in list(self.named_modules(remove_duplicate=False)):
            prefix = f"{path}." if path else ""
            if module._registered_hooks is not None:
                for hook, _ in module._registered_hooks.of("load_pre"):
                    hook(module, state_dict, prefix, {}, strict, [], [], [])
            state.update((prefix + name, (module, name, value)) for name, value in _own_state(module).items())
        missing = [key for key in state if key not in state_dict]
        unexpected = [key for key in state_dict if key not in state]
        wrong = []
        for key, (_, name, own) in state.items():
            given = state_dict.get(key)
            if key not in state_dict or name == "_extra_state":
                continue
            if not isinstance(given, (Tensor, np.ndarray, np.generic)):
                wrong.append(f"{key}: expected a Tensor or an array, got {type(given).__name__}")
            elif tuple(given.shape) != own.array.shape and not isinstance(own, UninitializedParameter):
                wrong.append(f"size mismatch for {key}: got shape {tuple(given.shape)}, the model's is {own.array.shape}")
        if strict and missing:
            wrong.insert(0, "Missing key(s) in state_dict: " + ", ".join(map(repr, missing)))
        if strict and unexpected:
            wrong.insert(0, "Unexpected key(s) in state_dict: " + ", ".join(map(repr, unexpected)))
        if wrong:
            raise RuntimeError(f"Error(s) in loading state_dict for {self._get_name()}:\n\t" + "\n\t".join(wrong))
        for key, (module, name, own) in state.items():
            if key in state_dict:
                given = state_dict[key]
                if name == "_extra_state":
                    module.set_extra_state(given)
                elif assign:
                    _take_over(module, name, own, given)
                else:
                    if isinstance(own, UninitializedParameter):
                        own.materialize(given.shape)
                    own.array[...] = to_device(given.array if isinstance(given, Tensor) else np.asarray(given), own.device)
                    changed_in_place(own.array, "load_state_dict")
        result = IncompatibleKeys(missing, unexpected)
        for module in list(self.modules()):
            if module._registered_hooks is not None:
                for hook, _ in module._registered_hooks.of("load"):
                    hook(module, result)
        return result

    # -- hooks -----------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns takes the place of the args.
        `with_kwargs`: `hook(module, args, kwargs)`, which returns both."""
        return _hooks_of(self).add("forward_pre", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; what it returns takes the output's place.
        `with_kwargs`: `hook(module, args, kwargs, output)`."""
        return _hooks_of(self).add("forward", hook, prepend, with_kwargs=with_kwargs, always_call=always_call)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; what it
        returns takes their place."""
        return _hooks_of(self).add("backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are known;
        what it returns takes the place of grad_input."""
        return _hooks_of(self).add("backward", hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before state_dict collects."""
        return _hooks_of(self).add("state_dict_pre", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, metadata)` after state_dict has collected; it may change it."""
        return _hooks_of(self).add("state_dict", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, ...)` before load_state_dict compares; it may change the dict."""
        return _hooks_of(self).add("load_pre", hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after load_state_dict; it may change the lists of keys."""
        return _hooks_of(self).add("load", hook)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return self.register_full_backward_hook(hook)

    # -- what it looks like ----------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {module!r}" for name, module in self._modules.items()]
        return framed(self, extra, children)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name[0].isdigit()]


# Functions and not methods: a subclass is free to use these names.


def _put(module: Module, kind: str, name: str, value: Any) -> None:
    kinds = module._registered_kinds
    if kinds.get(name) != kind:  # it takes its place behind what is there
        kinds.pop(name, None)
        module.__dict__.pop(name, None)
        kinds[name] = kind
    if isinstance(value, Buffer):
        _keep_out_of_state(module, name, not value.persistent)
    module.__dict__[name] = value


def _keep_out_of_state(module: Module, name: str, out: bool) -> None:
    others = module._non_persistent_buffers_set - {name}
    module._non_persistent_buffers_set = others | {name} if out else others


def _refuse_unless(allowed: bool, kind: str, name: str, value: Any) -> None:
    if not allowed:
        expected = {"parameter": "Parameter or None", "child module": "Module or None", "buffer": "Buffer, Tensor or None"}
        raise TypeError(f"cannot assign {type(value).__name__} as {kind} {name!r} ({expected[kind]} expected)")


def _register(module: Module, kind: str, name: Any, value: Any, accepted: type) -> None:
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
    _put(module, kind, name, value)


def _member(module: Module, kind: str, target: str) -> Any:
    path, _, name = target.rpartition(".")
    holder = module.get_submodule(path)
    if holder._registered_kinds.get(name) != kind:
        raise AttributeError(f"{holder._get_name()} has no {kind} {name!r} (get_{kind}({target!r}))")
    return holder.__dict__[name]


def _own_state(module: Module) -> dict[str, Any]:
    """What the state of a module alone has, under the names of its attributes."""
    values = {**module._parameters, **module._buffers}
    passing = module._non_persistent_buffers_set
    state = {name: value for name, value in values.items() if value is not None and name not in passing}
    if type(module).get_extra_state is not Module.get_extra_state:
        state["_extra_state"] = module.get_extra_state()
    return state


def _take_over(module: Module, name: str, own: Tensor, given: Any) -> None:
    given = given if isinstance(given, Tensor) else traced(np.asarray(given))
    if isinstance(own, Parameter) and not isinstance(given, Parameter):
        given = Parameter(given, own.requires_grad)
    module.__dict__[name] = given


def _hooks_of(module: Module) -> Hooks:
    if module._registered_hooks is None:
        module.__dict__["_registered_hooks"] = Hooks()
    return module._registered_hooks  # type: ignore[return-value]


def framed(module: Module, extra: str, children: list[str]) -> str:
    """The name of a module with its settings and its children in parentheses, a line each."""
    lines = [*(extra.split("\n") if extra else ()), *(child.replace("\n", "\n  ") for child in children)]
    body = extra if not children and len(lines) < 2 else "\n  " + "\n  ".join(lines) + "\n"
    return f"{module._get_name()}({body})"
