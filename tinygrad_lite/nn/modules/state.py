"""The state of a module: what it consists of, and how another is loaded."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import on_device, to_device
from tinygrad_lite.autograd.node import changed_in_place, traced
from tinygrad_lite.nn.modules.hooks import hooks_of
from tinygrad_lite.nn.parameter import Parameter, UninitializedParameter
from tinygrad_lite.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_lite.nn.modules.module import Module


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` found missing in the state it was given, and what it did not expect.

    >>> from tinygrad_lite import nn, ones
    >>> nn.Linear(2, 1).load_state_dict({"weight": ones(1, 2), "scale": ones(1)}, strict=False)
    IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['scale'])
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if any(self) else "<All keys matched successfully>"


def own_state(module: Module) -> dict[str, Any]:
    """What the state of a module alone has, under the names of its attributes.

    >>> from tinygrad_lite import nn
    >>> list(own_state(nn.BatchNorm1d(2)))
    ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
    """
    values = {**module._parameters, **module._buffers}
    passing = module._non_persistent_buffers_set
    state = {name: value for name, value in values.items() if value is not None and name not in passing}
    if type(module).get_extra_state.__qualname__ != "Module.get_extra_state":  # a subclass has its own
        state["_extra_state"] = module.get_extra_state()
    return state


def load_state(root: Module, given_state: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """`Module.load_state_dict`: first everything is compared, then everything is copied.

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> load_state(layer, {"weight": ones(1, 2)}, strict=True, assign=False), layer.weight.tolist()
    (<All keys matched successfully>, [[1.0, 1.0]])
    """
    if not isinstance(given_state, Mapping):
        raise TypeError(f"load_state_dict: expected a dict of tensors by name, got {type(given_state).__name__}")
    given_state = dict(given_state)
    state: dict[str, tuple[Module, str, Any]] = {}  # for each key its module, its name there, its value
    for path, module in list(root.named_modules(remove_duplicate=False)):
        prefix = f"{path}." if path else ""
        for hook in hooks_of(module, "load_pre"):
            hook(module, given_state, prefix, {}, strict, [], [], [])
        state.update((prefix + name, (module, name, value)) for name, value in own_state(module).items())
    missing = [key for key in state if key not in given_state]
    unexpected = [key for key in given_state if key not in state]
    wrong = []
    if strict and unexpected:
        wrong.append("Unexpected key(s) in state_dict: " + ", ".join(f'"{key}"' for key in unexpected))
    if strict and missing:
        wrong.append("Missing key(s) in state_dict: " + ", ".join(f'"{key}"' for key in missing))
    for key, (_, name, own) in state.items():
        given = given_state.get(key)
        if key not in given_state or name == "_extra_state":
            continue
        if not isinstance(given, (Tensor, np.ndarray, np.generic)):
            wrong.append(f"{key}: expected a Tensor or an array, got {type(given).__name__}")
        elif tuple(given.shape) != own.array.shape and not isinstance(own, UninitializedParameter):
            wrong.append(f"size mismatch for {key}: got shape {tuple(given.shape)}, the model's is {own.array.shape}")
    if wrong:
        raise RuntimeError(f"Error(s) in loading state_dict for {root._get_name()}:\n\t" + "\n\t".join(wrong))
    for key, (module, name, own) in state.items():
        if key in given_state:
            given = given_state[key]
            if name == "_extra_state":
                module.set_extra_state(given)
            elif assign:
                take_over(module, name, own, given)
            else:
                copy_into(own, given)
    result = IncompatibleKeys(missing, unexpected)
    for module in list(root.modules()):
        for hook in hooks_of(module, "load"):
            hook(module, result)
    return result


def copy_into(own: Tensor, given: Any) -> None:
    """Write the values of `given` into a parameter or buffer."""
    if isinstance(own, UninitializedParameter):
        own.materialize(given.shape)
    with on_device(own.device):
        own.array[...] = to_device(given.array if isinstance(given, Tensor) else np.asarray(given), own.device)
    changed_in_place(own.array, "load_state_dict")


def take_over(module: Module, name: str, own: Tensor, given: Any) -> None:
    """Let `module` hold `given` itself in the place of `own`."""
    given = given if isinstance(given, Tensor) else traced(np.asarray(given))
    if isinstance(own, Parameter) and not isinstance(given, Parameter):
        given = Parameter(given, own.requires_grad)
    module.__dict__[name] = given
