"""Second derivatives: rules run on Tensors and so record themselves; this module gives them what they need on the tape."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import is_array
from tinygrad_lite.engine.context import recording
from tinygrad_lite.engine.record import Synthetic, result_of
from tinygrad_lite.engine.tape import Node, Traced, entry, traced


def on_tape(node: Node) -> tuple[list[Any], Any]:
    """A node's saved values as Tensors with their nodes, and its rules for them."""
    plan, primitive = node.plan, node.plan.primitive
    if primitive is None:
        return [], plan.rules
    parent_of = dict(zip(plan.wanted, node.parents))

    def tensor(name: str, value: Any) -> Any:
        if hasattr(value, "on_tape"):  # saved by user code (autograd.Function)
            return value.on_tape(node)
        if name == "out":
            if type(value) is tuple:
                return tuple(traced(array, result_of(node, i)) for i, array in enumerate(value))
            return traced(value, node)
        if name == primitive.star_name:
            return tuple(traced(v, parent_of.get(primitive.star + i)) if is_array(v) else v for i, v in enumerate(value))
        if not is_array(value):
            return value
        return traced(value, parent_of.get(primitive.arguments.index(name)) if name in primitive.arguments else None)

    rules = plan.rules if primitive.rules_on_tape is None else primitive.rules_on_tape(node)
    return [tensor(name, value) for name, value in zip(plan.names, node.saved)], rules


def replayed(node: Node, g: Any, saved: Any, walk: Any) -> list[Any]:
    """The gradients of a fused primitive's inputs, through the composition it replaces."""
    plan = node.plan
    named = dict(zip(plan.names, saved))
    arguments: list[Any] = []
    for name in plan.primitive.arguments:
        arguments.extend(named[name] if name == plan.primitive.star_name else (named[name],))
    # The walk below must end at this node's inputs, and its results must still depend on them,
    # so each input that needs a gradient gets its own node.
    inputs = {i: through(arguments[i]) for i in plan.wanted}
    arguments = [inputs.get(i, argument) for i, argument in enumerate(arguments)]
    with recording():
        out = plan.primitive.composition(*arguments)
    outputs = out if isinstance(out, tuple) else (out,)
    roots = [(o.node, part) for o, part in zip(outputs, g if isinstance(g, tuple) else (g,)) if o.node is not None]
    found = walk(roots, True, True, frozenset(tensor.node for tensor in inputs.values()))
    return [found.get(inputs[i].node) if i in inputs else None for i in range(len(arguments))]


class Through(Synthetic):
    """The plan of a node that passes its gradient on unchanged."""

    name = "through"
    rules = ((lambda g: g, None, None),)


def through(tensor: Traced) -> Any:
    """The same array one node further on the tape, for derivatives with respect to a non-leaf tensor."""
    return traced(tensor.array, entry(Through(), (tensor.node,), (), tensor.array.shape, tensor.array.dtype))
