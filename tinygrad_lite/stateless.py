"""Calling modules with tensors that they do not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.ops import stack

__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call `module` with other tensors, given by name, in place of its parameters and buffers.

    `tie_weights`: a tensor that the module holds under several names is replaced under all of them. `strict`: the
    names must be exactly those of the module.

    >>> import tinygrad_lite as tg
    >>> functional_call(tg.nn.Linear(2, 1, bias=False), {"weight": tg.ones(1, 2)}, tg.tensor([1.0, 2.0]))
    tensor([3.])
    """
    dicts = parameter_and_buffer_dicts
    dicts = dicts if isinstance(dicts, (tuple, list)) else (dicts,)
    if not all(isinstance(d, Mapping) for d in dicts):
        raise TypeError("functional_call: expected a dict of tensors by name, or a sequence of such dicts")
    given = {name: tensor for d in dicts for name, tensor in d.items()}
    if len(given) != sum(map(len, dicts)):
        raise ValueError("functional_call: a name appears in several of the dicts, so that it is ambiguous")
    held = {f"{path}.{name}".lstrip("."): (part, name) for path, part in module.named_modules() for name in _held(part)}
    unexpected, missing = given.keys() - held.keys(), held.keys() - given.keys()
    if tie_weights:
        value_of = {id(getattr(*held[name])): tensor for name, tensor in given.items() if name in held}
        for name in missing:
            part, own = held[name]
            if id(getattr(part, own)) in value_of:
                given[name] = value_of[id(getattr(part, own))]
        missing = held.keys() - given.keys()
    if strict and (unexpected or missing):
        raise RuntimeError(f"functional_call: unexpected names {sorted(unexpected)}, missing names {sorted(missing)}")
    before = []
    try:
        for name, tensor in given.items():
            if name in held:
                part, own = held[name]
                before.append((part.__dict__, own, part.__dict__[own]))
                part.__dict__[own] = tensor
        return module(*(args if isinstance(args, tuple) else () if args is None else (args,)), **(kwargs or {}))
    finally:
        for attributes, own, tensor in reversed(before):
            attributes[own] = tensor


def _held(module: Any) -> list[str]:
    return [name for held in (module._parameters, module._buffers) for name, tensor in held.items() if tensor is not None]


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of modules of one class, by name, each stacked along a new dim 0: for `vmap` of
    `functional_call` over an ensemble. The parameters are new leaves.

    >>> import tinygrad_lite as tg
    >>> parameters, buffers = stack_module_state([tg.nn.Linear(2, 3) for _ in range(4)])
    >>> {name: tuple(p.shape) for name, p in parameters.items()}
    {'weight': (4, 3, 2), 'bias': (4, 3)}
    """
    if not models:
        raise ValueError("stack_module_state: expected at least one module, got none")
    if len({(type(m), m.training) for m in models}) > 1:
        raise ValueError("stack_module_state: expected modules of one class, all in training or all in evaluation")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    leaves = {
        name: stack([p[name].detach() for p in parameters]).requires_grad_(first.requires_grad)
        for name, first in parameters[0].items()
    }
    return leaves, {name: stack([b[name] for b in buffers]) for name in buffers[0]}


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Make every batch normalization in the module `root` drop its running statistics and use those of the batch, so
    that a call has no side effects. Return `root`."""
    for module in root.modules():
        if hasattr(module, "num_batches_tracked"):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return root
