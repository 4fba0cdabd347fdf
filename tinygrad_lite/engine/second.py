"""Second derivatives: rules on Tensors, which are recorded themselves, and what they need on the tape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tinygrad_lite.arrays import is_array, namespace_of
from tinygrad_lite.engine.context import recording
from tinygrad_lite.engine.plan import Plan, Synthetic, no_gradient, result_of
from tinygrad_lite.engine.tape import Node, Traced, entry, traced


def replayed(node: Node, g: Any, saved: Any, walk: Any) -> list[Any]:
    """The gradients of a fused primitive's inputs through the composition it stands for."""
    plan = node.plan
    named = dict(zip(plan.names, saved))
    arguments: list[Any] = []
    for name in plan.primitive.arguments:
        if name == plan.primitive.star_name:
            arguments.extend(named[name])
        else:
            arguments.append(named[name])
    # The walk below must end at this node's inputs, and its results must still depend on them:
    # each needed input goes through an entry of its own.
    inputs = {i: through(arguments[i]) for i in plan.wanted}
    for i, tensor in inputs.items():
        arguments[i] = tensor
    with recording():
        out = plan.primitive.composition(*arguments)
    outputs = out if isinstance(out, tuple) else (out,)
    roots = [(o.node, part) for o, part in zip(outputs, g if isinstance(g, tuple) else (g,)) if o.node is not None]
    targets = frozenset(tensor.node for tensor in inputs.values())
    found = walk(roots, True, True, targets)
    result: list[Any] = [None] * len(arguments)
    for i, tensor in inputs.items():
        result[i] = found.get(tensor.node)
    return result


def rebuilt(node: Node) -> list[Any]:
    """A node's saved values as Tensors with their places on the tape."""
    plan = node.plan
    if not plan.names:
        return []
    primitive = plan.primitive
    inputs = dict(zip(plan.wanted, node.parents))

    def tensor(name: str, value: Any) -> Any:
        if hasattr(value, "on_tape"):  # what Python code of the user's own has saved (autograd.Function)
            return value.on_tape(node)
        if name == "out":
            if type(value) is tuple:
                return tuple(traced(array, result_of(node, i)) for i, array in enumerate(value))
            return traced(value, node)
        if name == primitive.star_name:
            return tuple(traced(v, inputs.get((primitive.star or 0) + i)) if is_array(v) else v for i, v in enumerate(value))
        if name in primitive.arguments and is_array(value):
            return traced(value, inputs.get(primitive.arguments.index(name)))
        return traced(value) if is_array(value) else value

    return [tensor(name, value) for name, value in zip(plan.names, node.saved)]


def rules_on_tape(node: Node) -> Sequence[Any]:
    """A node's rules, where the gradient is itself to be differentiated: what they give is a function, in form, of the
    inputs that the primitive names by `constant_in` and `joint_in` (PyTorch's gradient of relu is on the tape, with
    the derivative zero)."""
    plan = node.plan
    if type(plan) is not Plan or not (plan.primitive.constant or plan.primitive.joint):
        return plan.rules
    constant, joint = plan.primitive.constant, plan.primitive.joint
    names = [plan.primitive.arguments[i] for i in plan.wanted]
    entries = {**dict(zip(names, node.parents)), "out": node}

    def on_tape(rule: Any, of: tuple[str, ...]) -> Any:
        def apply(*args: Any) -> Any:
            gradient = rule(*args)
            if gradient is None:
                return None
            parents = [entries[name] for name in of or (joint if gradient.node is None else ()) if name in entries]
            return formally(gradient, parents, zeros=bool(of)) if parents else gradient

        apply.__wrapped__ = rule  # type: ignore[attr-defined]
        return apply

    return [(on_tape(rule, constant.get(name, ())), *rest) for name, (rule, *rest) in zip(names, plan.rules)]


class _Formal(Synthetic):
    """The plan of an entry that depends on its last parents in form only: it passes its gradient on to the first, if
    there are more, and `zeros` or nothing to these."""

    def __init__(self, name: str, through: int, parents: Sequence[Any] = (), zeros: bool = False):
        self.name = name
        rules = [_identity] * through + [partial(_zeros, parent.shape) if zeros else no_gradient for parent in parents]
        self.rules = [(rule, None, None) for rule in rules]
        self.wanted = range(len(rules))


def _identity(g: Any) -> Any:
    return g


def _zeros(shape: Any, g: Any) -> Any:
    return traced(_zeros(shape, g.array)) if isinstance(g, Traced) else namespace_of(g).zeros(shape, g.dtype)


def formally(tensor: Traced, parents: Sequence[Any], zeros: bool) -> Any:
    """The same array as a function of the entries `parents` too, whose gradient is `zeros` or none."""
    first = () if tensor.node is None else (tensor.node,)
    plan = _Formal("formal", len(first), parents, zeros)
    return traced(tensor.array, entry(plan, (*first, *parents), (), tensor.array.shape, tensor.array.dtype))


_through = _Formal("through", 1)


def through(tensor: Traced) -> Any:
    """The same array one entry further on the tape: for derivatives by a tensor that is no leaf."""
    return traced(tensor.array, entry(_through, (tensor.node,), (), tensor.array.shape, tensor.array.dtype))


def goes_through(node: Any) -> bool:
    """Whether a tensor's place is what `through` gave it."""
    return type(node) is Node and node.plan is _through
