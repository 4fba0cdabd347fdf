"""Gradients that depend on an input only formally.

Under `create_graph` PyTorch's gradient of relu is a function of its input, with derivative zero, and that of a bias is on
the tape as soon as the layer's input needs a gradient. A rule alone does not express this: `where(out <= 0, 0, g)` is not
differentiable in `out`. So a primitive may declare it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from tinygrad_lite.arrays import device_of, namespace_of, on_device
from tinygrad_lite.arrays.rules import no_gradient
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.record import Synthetic
from tinygrad_lite.engine.tape import Node, Traced, entry, traced


def constant_in(operation: Any, **inputs: str) -> None:
    """For the gradient of an input, name the inputs (or `out`) in which it is piecewise constant: its derivative with
    respect to them is zero."""
    constant = {name: tuple(names.split()) for name, names in inputs.items()}
    operation.primitive.rules_on_tape = functools.partial(_rules_on_tape, constant, ())


def joint_in(operation: Any, *inputs: str) -> None:
    """Name the inputs whose gradients PyTorch computes as one function: even a gradient that depends on nothing is on the
    tape if one of these needs a gradient, but it passes none on."""
    operation.primitive.rules_on_tape = functools.partial(_rules_on_tape, {}, inputs)


def _rules_on_tape(constant: dict[str, tuple[str, ...]], joint: tuple[str, ...], node: Node) -> Sequence[Any]:
    plan = node.plan
    names = [plan.primitive.arguments[i] for i in plan.wanted]
    nodes = {**dict(zip(names, node.parents)), "out": node}

    def on_tape(name: str, rule: Any) -> Any:
        @functools.wraps(rule, assigned=(), updated=())
        def apply(*args: Any) -> Any:
            gradient = rule(*args)
            if gradient is None:
                return None
            of = constant.get(name) or (joint if gradient.node is None else ())
            others = [nodes[name] for name in of if name in nodes]
            return _depending(gradient, others, constant=name in constant) if others else gradient

        return apply

    return [(on_tape(name, rule), *rest) for name, (rule, *rest) in zip(names, plan.rules)]


class _Dependence(Synthetic):
    """The plan of a node that passes its gradient to its first parent, if the array is on the tape, and zeros or nothing to
    the others."""

    name = "depending"

    def __init__(self, own: int, others: Sequence[Any], constant: bool):
        rules = [_identity] * own + [functools.partial(zeros, shape=other.shape) if constant else no_gradient for other in others]
        self.rules = [(rule, None, None) for rule in rules]


def _identity(g: Any) -> Any:
    return g


def zeros(g: Any, shape: tuple[int, ...] | None = None) -> Any:
    """Zeros like a gradient (or of `shape`): the rule of what is constant piece by piece."""
    array = g.array if isinstance(g, Traced) else g
    with on_device(device_of(array)):
        out = namespace_of(array).zeros(array.shape if shape is None else shape, array.dtype)
    return traced(out) if isinstance(g, Traced) else out


def _depending(tensor: Traced, others: Sequence[Any], constant: bool) -> Any:
    """The same array, also as a function of the nodes `others`, to which it passes zeros or nothing."""
    own = () if tensor.node is None else (tensor.node,)
    plan = _Dependence(len(own), others, constant)
    return traced(tensor.array, entry(plan, (*own, *others), (), tensor.array.shape, tensor.array.dtype))


@primitive
def _linear_in(out, input):
    return out


_linear_in.vjp(out=lambda g: g,
               input=no_gradient)
constant_in(_linear_in, out="input")


def linear_in(out: Any, *inputs: Any) -> Any:
    """`out`, a composition that is linear in `inputs`, at least piece by piece. Its gradient is constant in them
    and yet counts as a function of them, as where PyTorch has the whole gradient as one function of the input."""
    for x in inputs:
        if getattr(x, "node", None) is not None:
            out = _linear_in(out, x)
    return out
