"""The state of a module: its contents, and how a state is loaded."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays import on_device, to_device
from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.nn.modules.hooks import hooks_of
from tinygrad_lite.nn.modules.registry import DOWN, Holder, walk
from tinygrad_lite.nn.parameter import Parameter, UninitializedParameter
from tinygrad_lite.ops.creation.conversion import array_of


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """The keys that `load_state_dict` found missing or unexpected.

    >>> from tinygrad_lite import nn, ones
    >>> nn.Linear(2, 1).load_state_dict({"weight": ones(1, 2), "scale": ones(1)}, strict=False)
    IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['scale'])
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if any(self) else "<All keys matched successfully>"


EXTRA = "_extra_state"


def own_state(module: Holder, loading: bool = False) -> dict[str, Any]:
    """The state of one module alone, by attribute name (`loading`: without computing the extra state).

    >>> from tinygrad_lite import nn
    >>> list(own_state(nn.BatchNorm1d(2)))
    ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
    """
    values = {**module._parameters, **module._buffers}
    passing = module._non_persistent_buffers_set
    state = {name: value for name, value in values.items() if value is not None and name not in passing}
    method = type(module).set_extra_state if loading else type(module).get_extra_state
    if not method.__qualname__.startswith("Module."):  # a subclass overrides it
        state[EXTRA] = None if loading else module.get_extra_state()
    return state


def load_state(root: Holder, given_state: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """`Module.load_state_dict`: first compare everything, then copy everything.

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> load_state(layer, {"weight": ones(1, 2)}, strict=True, assign=False), layer.weight.tolist()
    (<All keys matched successfully>, [[1.0, 1.0]])
    """
    if not isinstance(given_state, Mapping):
        raise TypeError(f"load_state_dict: expected a dict of tensors by name, got {type(given_state).__name__}")
    metadata = getattr(given_state, "_metadata", {})
    given_state = OrderedDict(given_state)
    given_state._metadata = metadata  # type: ignore[attr-defined]
    loading = _Loading()
    missing: list[str] = []
    unexpected: list[str] = []
    wrong: list[str] = []
    paths, hooks = set(), []
    for path, module, way in walk(root):
        if way == DOWN:
            paths.add(path)
            local = {**metadata.get(path, {}), "assign_to_params_buffers": assign, "loading": loading}
            prefix = f"{path}." if path else ""
            module._load_from_state_dict(given_state, prefix, local, True, missing, unexpected, wrong)
        else:
            hooks += [(hook, module) for hook in hooks_of(module, "load")]
    unexpected += [key for key in given_state if key not in loading.known and _owner(key, paths) in loading.looked_at]
    if wrong or not hooks:
        _refuse(root, wrong, missing, unexpected, strict)
    for load in loading.found:
        load()
    result = IncompatibleKeys(missing, unexpected)
    for hook, module in hooks:  # which may change the lists
        hook(module, result)
    _refuse(root, wrong, missing, unexpected, strict)
    return result


class _Loading:
    """The findings of one call of `load_state`."""

    def __init__(self) -> None:
        self.looked_at: set[str] = set()  # paths of the modules whose state was looked up
        self.known: set[str] = set()  # keys of that state
        self.found: list[Callable[[], None]] = []  # each stores one value


def load_own_state(
    module: Holder,
    state: Mapping[str, Any],
    prefix: str,
    metadata: dict[str, Any],
    strict: bool,
    missing: list[str],
    wrong: list[str],
) -> None:
    """`Module._load_from_state_dict`: compare a module's own state with the given one. Values are stored once the states
    of all modules are compared, or at once outside of load_state_dict."""
    loading = metadata.get("loading") or _Loading()
    loading.looked_at.add(prefix[:-1])
    for name, own in own_state(module, loading=True).items():
        key = prefix + name
        loading.known.add(key)
        if key not in state:
            if strict:
                missing.append(key)
            continue
        given = state[key]
        if name == EXTRA:
            loading.found.append(partial(module.set_extra_state, given))
            continue
        try:
            array = array_of(given)
        except (TypeError, RuntimeError) as error:
            wrong.append(f"{key}: {error}")
            continue
        if array is None:
            wrong.append(f"{key}: expected a Tensor or an array, got {type(given).__name__}")
        elif array.shape not in (own.array.shape, own.array.shape or (1,)) and not isinstance(own, UninitializedParameter):
            wrong.append(f"size mismatch for {key}: got shape {array.shape}, the model's is {own.array.shape}")
        elif metadata.get("assign_to_params_buffers"):
            loading.found.append(partial(take_over, module, name, own, given if isinstance(given, Tensor) else traced(array)))
        else:
            loading.found.append(partial(copy_into, own, array))
    if "loading" not in metadata:
        for load in loading.found:
            load()


def _owner(key: str, paths: set[str]) -> str:
    """The path of the innermost module above a key."""
    path = key
    while path:
        path = path.rpartition(".")[0]
        if path in paths:
            break
    return path


def _refuse(root: Holder, wrong: list[str], missing: list[str], unexpected: list[str], strict: bool) -> None:
    """Raise an error that lists everything that is wrong, if anything is."""
    kinds = [("Unexpected", unexpected), ("Missing", missing)] if strict else []
    keys = [f"{kind} key(s) in state_dict: " + ", ".join(f'"{key}"' for key in found) for kind, found in kinds if found]
    if keys or wrong:
        raise RuntimeError(f"Error(s) in loading state_dict for {root._get_name()}:\n\t" + "\n\t".join(keys + wrong))


def copy_into(own: Tensor, array: Any) -> None:
    """Write the values of `array` into a parameter or buffer."""
    if isinstance(own, UninitializedParameter):
        own.materialize(array.shape)
    with on_device(own.device):
        own.array[...] = to_device(array, own.device).reshape(own.array.shape)
    changed_in_place(own.array, "load_state_dict")


def take_over(module: Holder, name: str, own: Tensor, given: Tensor) -> None:
    """Make `module` hold `given` itself in place of `own`."""
    if isinstance(own, Parameter):
        given = given if isinstance(given, Parameter) else Parameter(given)
        given.requires_grad_(own.requires_grad)
    module.__dict__[name] = given
