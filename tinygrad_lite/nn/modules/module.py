"""Module: named parameters, buffers and submodules, and a forward computation.

Everything a module holds is in its `__dict__`, like the attributes of any Python object, so reading an attribute has
no overhead. Beside it, `_registered_kinds` records for each registered name whether it is a "parameter", a "buffer"
or a "module", in the order of registration. `_parameters`, `_buffers` and `_modules` are views of the two."""

from __future__ import annotations

import copy
import functools
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays import as_dtype, is_floating, to_device
from tinygrad_lite.arrays.hooks import RemovableHandle
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.nn.modules.hooks import Hooks, add_hook, hooks_of
from tinygrad_lite.nn.modules.registry import DOWN, OWN, UP, forget, keep_out_of_state, member, put, refuse_unless, register, view_of, walk
from tinygrad_lite.nn.modules.state import IncompatibleKeys, load_own_state, load_state, own_state
from tinygrad_lite.nn.parameter import Buffer, Parameter

__all__ = ["Module"]

M = TypeVar("M", bound="Module")


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
    _registered_hooks: Hooks | None = None  # set on the instance once there is a hook
    _non_persistent_buffers_set: frozenset[str] = frozenset()
    _version: int | None = None  # version of the state's format, which state_dict() records and _load_from_state_dict receives

    def __init__(self) -> None:
        self.__dict__["training"] = True
        self.__dict__["_registered_kinds"] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._registered_hooks is None:
                return self.forward(*args, **kwargs) if kwargs else self.forward(*args)
            return self._registered_hooks.call(self, args, kwargs)
        except TooDeep:
            raise
        except RecursionError as error:
            raise TooDeep(self) from error

    def __getattr__(self, name: str) -> Any:
        # Called only for missing names; programs call it from their own overrides.
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # -- registration ---------------------------------------------------------------------------

    _parameters = view_of("parameter", "Parameters by name; None where declared absent.")
    _buffers = view_of("buffer", "Buffers by name.")
    _modules = view_of("module", "Submodules by name.")

    def __setattr__(self, name: str, value: Any) -> None:
        registered = self.__dict__.get("_registered_kinds")
        known = registered.get(name) if registered is not None else None
        if isinstance(value, Parameter):
            kind = "parameter"
        elif known == "parameter":
            kind = known
            refuse_unless(value is None, "parameter", name, value)
        elif isinstance(value, Module):
            kind = "module"
        elif known == "module":
            kind = known
            refuse_unless(value is None, "child module", name, value)
        elif isinstance(value, Buffer) or known == "buffer":
            kind = "buffer"
            refuse_unless(value is None or isinstance(value, Tensor), "buffer", name, value)
        else:
            object.__setattr__(self, name, value)
            return
        if registered is None:
            raise AttributeError(f"cannot assign {kind} {name!r} before Module.__init__() call")
        taken = {"parameter": type(self), "buffer": self}.get(kind)  # a module replaces anything
        if known != kind and taken is not None and hasattr(taken, name):
            raise KeyError(f"attribute {name!r} already exists")
        put(self, kind, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        forget(self, name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None declares the name without a parameter."""
        if isinstance(param, Parameter) and param.grad_fn is not None:
            raise ValueError(f"register_parameter: {name!r} is the result of an operation; a parameter must be a leaf")
        register(self, "parameter", name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not trained; `persistent=False` keeps it out of state_dict().

        >>> from tinygrad_lite import nn, zeros
        >>> layer = nn.Module()
        >>> layer.register_buffer("mean", zeros(2))
        >>> list(layer.state_dict()), list(layer.parameters())
        (['mean'], [])
        """
        register(self, "buffer", name, tensor, Tensor)
        keep_out_of_state(self, name, not persistent)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name that need not be an identifier."""
        register(self, "module", name, module, Module)

    add_module = register_module

    # -- iteration -------------------------------------------------------------------------

    def named_modules(self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """This module and all modules below it, each with its path ("" for this one, "block.0.norm").

        >>> from tinygrad_lite import nn
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh()))
        >>> [name for name, _ in model.named_modules()]
        ['', '0', '1', '1.0']
        """
        memo = set() if memo is None else memo
        for path, module, way in walk(self, prefix=prefix, seen=memo if remove_duplicate else None):
            if way == DOWN:
                yield path, module

    def modules(self) -> Iterator[Module]:
        """This module and all modules below it, each once."""
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

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their paths; a parameter with several names appears once."""
        return self._named_members("parameter", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter of this module and of the modules below it: what an optimizer takes."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their paths."""
        return self._named_members("buffer", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as "layers.0.norm"; "" is this one.

        >>> from tinygrad_lite import nn
        >>> nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh())).get_submodule("1.0")
        Tanh()
        """
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute {name!r} (get_submodule({target!r}))")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"{name!r} is not a Module (get_submodule({target!r}))")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` at a path; `strict`: only where a module exists already."""
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
        return member(self, "parameter", target)

    def get_buffer(self, target: str) -> Tensor:
        return member(self, "buffer", target)

    # -- conversion ----------------------------------------------------------------------

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Call `fn` on every submodule, then on this module.

        >>> from tinygrad_lite import nn
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> model = model.apply(lambda m: nn.init.ones_(m.weight) if isinstance(m, nn.Linear) else None)
        >>> model[1].weight.tolist()
        [[1.0, 1.0, 1.0]]
        """
        for _, module, way in walk(self, Module.apply, twins=False):
            if way == OWN:
                module.apply(fn)
            elif way == UP:
                fn(module)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Switch training mode on or off: dropout drops, batch norm uses the batch.

        >>> from tinygrad_lite import nn
        >>> model = nn.Sequential(nn.Dropout())
        >>> model.train(False)[0].training
        False
        """
        if not isinstance(mode, bool):
            raise ValueError(f"train: expected True or False, got {mode!r}")
        for _, module, way in walk(self, Module.train, twins=False):
            if way == OWN:
                module.train(mode)
            elif way == DOWN:
                module.training = mode
        return self

    def eval(self: M) -> M:
        return self.train(False)

    def share_memory(self: M) -> M:
        """Returns this module; see `Tensor.share_memory_`."""
        return self

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Make the parameters trainable, or freeze them."""
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
        """Replace every parameter, gradient and buffer by `fn(tensor)`. Parameters remain the same objects, so
        optimizers and tied layers follow."""
        for _, module, way in walk(self, Module._apply, twins=False):
            if way == OWN:
                module._apply(fn)
            elif way == UP:
                for parameter in module.parameters(recurse=False):
                    parameter.data = fn(parameter.data)
                    if parameter.grad is not None:
                        parameter.grad = fn(parameter.grad.detach())
                for name, buffer in module.named_buffers(recurse=False):
                    module.__dict__[name] = fn(buffer)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Convert floating-point parameters and buffers to another dtype, and move all of them to another device:
        `Tensor.to`, in place.

        >>> from tinygrad_lite import float64, nn
        >>> nn.Linear(2, 3).to(float64).weight.dtype
        dtype('float64')
        """
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
        """Convert every parameter and buffer to `dst_type`."""
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

    # -- state -------------------------------------------------------------------------------

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """Parameters and persistent buffers by path. The tensors share this module's memory; with `keep_vars` they are
        the parameters themselves.

        >>> from tinygrad_lite import nn
        >>> {name: tensor.shape for name, tensor in nn.Sequential(nn.Linear(2, 3)).state_dict().items()}
        {'0.weight': (3, 2), '0.bias': (3,)}
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = {}
        metadata = getattr(destination, "_metadata", {})
        for path, module, way in walk(self, Module.state_dict):
            below = f"{prefix}{path}." if path else prefix
            if way == OWN:
                module.state_dict(destination=destination, prefix=below, keep_vars=keep_vars)
            elif way == DOWN:
                for hook in hooks_of(module, "state_dict_pre"):
                    hook(module, below, keep_vars)
                metadata[below[:-1]] = {"version": module._version}
                module._save_to_state_dict(destination, below, keep_vars)
            else:
                for hook in hooks_of(module, "state_dict"):
                    hook(module, destination, below, metadata[below[:-1]])
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Put the state of this module alone into `destination`; a subclass may add to it."""
        for name, value in own_state(self).items():
            destination[prefix + name] = value if keep_vars or not isinstance(value, Tensor) else value.detach()

    def get_extra_state(self) -> Any:
        """State beyond parameters and buffers. A subclass that defines it also defines set_extra_state."""
        raise RuntimeError(f"{self._get_name()} has no extra state")

    def set_extra_state(self, state: Any) -> None:
        raise RuntimeError(f"{self._get_name()} takes no extra state")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy values (Tensors, NumPy arrays, or tensors of another library) by path into parameters and buffers.

        `strict`: refuse missing and unexpected keys. Wrong shapes are always refused. One error reports everything
        that is wrong, and nothing has changed then (unless a post-hook needs to see the values first). `assign`: use
        the given tensors themselves instead of copying their values.

        >>> from tinygrad_lite import nn
        >>> model, other = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> model.load_state_dict(other.state_dict())
        <All keys matched successfully>
        >>> bool((model.weight == other.weight).all())
        True
        """
        return load_state(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Find the state of this module alone in `state_dict`, under `prefix`. A subclass may first convert the keys of
        an older version (`local_metadata.get("version")`, None if unknown)."""
        for hook in hooks_of(self, "load_pre"):
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        load_own_state(self, state_dict, prefix, local_metadata, strict, missing_keys, error_msgs)

    # -- hooks -----------------------------------------------------------------------------------

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call `hook(module, args)` before forward; its return value replaces the args. `with_kwargs`: `hook(module,
        args, kwargs)`, which returns both."""
        return add_hook(self, "forward_pre", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; its return value replaces the output. `with_kwargs`:
        `hook(module, args, kwargs, output)`.

        >>> from tinygrad_lite import nn, ones
        >>> layer = nn.Linear(2, 3)
        >>> handle = layer.register_forward_hook(lambda module, args, output: print(output.shape))
        >>> out = layer(ones(4, 2))
        (4, 3)
        >>> handle.remove()
        """
        return add_hook(self, "forward", hook, prepend, with_kwargs=with_kwargs, always_call=always_call)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; its return value replaces them."""
        return add_hook(self, "backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are known; its return value
        replaces grad_input."""
        return add_hook(self, "backward", hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before state_dict collects the state."""
        return add_hook(self, "state_dict_pre", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, metadata)` after state_dict has collected the state; it may change it."""
        return add_hook(self, "state_dict", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, ...)` before load_state_dict compares; it may change the dict."""
        return add_hook(self, "load_pre", hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after load_state_dict; it may change the lists of keys."""
        return add_hook(self, "load", hook)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return self.register_full_backward_hook(hook)

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., Any], with_module: bool = False) -> RemovableHandle:
        """The deprecated form of `register_load_state_dict_pre_hook`: without `with_module`, `hook(state_dict, prefix,
        ...)`."""
        return add_hook(self, "load_pre", hook if with_module else functools.partial(_without_module, hook))

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return add_hook(self, "state_dict", hook)

    # -- copies ----------------------------------------------------------------------------------

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill a copied or unpickled module; its table of names and its hooks are its own."""
        self.__dict__.update(state)
        self.__dict__["_registered_kinds"] = dict(state["_registered_kinds"])
        if "_registered_hooks" in state:
            self.__dict__["_registered_hooks"] = state["_registered_hooks"].copy()

    def __deepcopy__(self: M, memo: dict[Any, Any]) -> M:
        # All modules below are made before any is filled, so that filling one does not recurse into the next.
        empty = []
        for _, module, way in walk(self, Module.__deepcopy__, seen=set()):
            if way == DOWN and id(module) not in memo:
                reduced: Any = module.__reduce_ex__(4)
                make, args, *rest = reduced
                memo[id(module)] = made = make(*copy.deepcopy(args, memo))
                empty.append((made, *rest, *(None,) * (3 - len(rest))))
        for made, state, items, pairs, *_ in empty:
            if state is not None:
                made.__setstate__(copy.deepcopy(state, memo))
            for item in items or ():  # for a module that is also a list or a dict
                made.append(copy.deepcopy(item, memo))
            for key, value in pairs or ():
                made[copy.deepcopy(key, memo)] = copy.deepcopy(value, memo)
        return memo[id(self)]

    # -- repr ----------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """The text between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        try:
            children = [f"({name}): {module!r}" for name, module in self._modules.items()]
        except TooDeep:
            raise
        except RecursionError as error:
            raise TooDeep(self) from error
        return framed(self, extra, children)

    def _repr_html_(self) -> str:
        from tinygrad_lite.notebook import of_module  # for notebooks alone

        return of_module(self)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name[0].isdigit()]


def _without_module(hook: Callable[..., Any], module: Module, *args: Any) -> Any:
    return hook(*args)


class TooDeep(RecursionError):
    """Raised, or passed on, by a module at the end of Python's stack."""

    def __init__(self, module: Module):
        super().__init__(
            f"{module._get_name()}: calls nest deeper than the {sys.getrecursionlimit()} that Python allows: modules within "
            "modules, or a function that calls itself; sys.setrecursionlimit(n) allows more"
        )


def framed(module: Module, extra: str, children: list[str]) -> str:
    """The name of a module with its settings and its children in parentheses, one per line."""
    lines = [*(extra.split("\n") if extra else ()), *(child.replace("\n", "\n  ") for child in children)]
    body = extra if not children and len(lines) < 2 else "\n  " + "\n  ".join(lines) + "\n"
    return f"{module._get_name()}({body})"
