"""The walk along the tape, newest entry first.

A rule is handed plain arrays where only a value is wanted, and Tensors with their place on the
tape where the gradient is itself to be differentiated (`create_graph=True`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_array, column_sums, is_array, namespace_of
from tinygrad_lite.engine.errors import freed
from tinygrad_lite.engine.mode import enable_grad
from tinygrad_lite.engine.plan import Plan, no_gradient
from tinygrad_lite.engine.recording import formally, result_of, through
from tinygrad_lite.engine.tape import Leaf, Node, Traced, change_since, last_change, traced

_by_index = attrgetter("index")


def walk(
    roots: Sequence[tuple[Any, Any]],
    *,
    keep: bool,
    create_graph: bool,
    targets: frozenset[Any] | None = None,
    gradients: dict[Any, Any] | None = None,
) -> dict[Any, Any]:
    """Carry cotangents from `roots` (pairs of node and cotangent) down the tape.

    Returns the gradients of `targets`, or of every leaf where `targets` is None. `keep`: leave the
    saved values in place for another walk. `gradients`: the dict to work in.
    """
    order = operations_behind([node for node, _ in roots])
    on_the_way: set[Any] | None = None
    if targets is not None:
        order, on_the_way = _leading_to(order, targets)
    gradients = {} if gradients is None else gradients
    hooked = False  # whether hooks have been met, and so what is to come has been checked
    for node, cotangent in roots:
        if node.hooks and not hooked:
            _check_passable(order)
            hooked = True
        if on_the_way is None or node in on_the_way:
            known = gradients.get(node)
            gradients[node] = cotangent if known is None else known + cotangent
        elif node.hooks:  # what is differentiated passes its gradient even where nothing behind it is asked for
            _run_hooks(node, cotangent, create_graph)
    owned: set[Any] = set()  # whose gradients are sums that this walk made itself, and may add into
    found: dict[Any, Any] = {}
    changed = last_change()

    for node in reversed(order):
        g = gradients.pop(node, None)
        if g is None:
            continue
        if node.hooks:
            if not hooked:
                _check_passable(order[: bisect_right(order, node.index, key=_by_index)])
                hooked = True
            g = _run_hooks(node, g, create_graph)
            changed = last_change()
        if on_the_way is not None and node in targets:  # type: ignore[operator]
            found[node] = g
            if not any(parent in on_the_way for parent in node.parents):
                continue  # nothing below it is asked for, and may have been freed
        plan = node.plan
        saved = node.saved
        if saved is None:
            raise RuntimeError(freed(node))
        if node.index < changed:
            _check_unchanged(node)
        if not plan.rules:
            _arrive_in_part(gradients, node, g)  # one of several results
            continue
        rules = plan.rules
        if create_graph:
            saved, rules = rebuilt(node), rules_on_tape(node)
        if type(g) is list:
            g = _completed(node, g, create_graph)
        if plan.fused is not None:
            g = _fused(node, g, saved, create_graph)
        for parent, (rule, place, pick) in zip(node.parents, rules):
            if on_the_way is not None and parent not in on_the_way:
                continue
            if place is not None:
                gradient = rule(g, saved[place])
            elif pick is None:
                gradient = rule(g)
            else:
                gradient = rule(g, *pick(saved))
            if gradient is None:
                _check_none_is_meant(rule, node, parent, create_graph)
                continue
            # Broadcasting undone, and the input's dtype restored, for every rule at once.
            if gradient.shape != parent.shape:
                try:
                    gradient = sum_to_shape(gradient, parent.shape)
                except RuntimeError:
                    raise _wrong_shape(gradient, node, parent) from None
            if gradient.dtype is not parent.dtype and gradient.dtype != parent.dtype:
                gradient = gradient.to(parent.dtype) if create_graph else gradient.astype(parent.dtype)
            # The sum of what arrives. The first sum is a new array, later ones go into it.
            if parent not in gradients:
                gradients[parent] = gradient
            elif parent in owned:
                known = gradients[parent]
                known += gradient
                gradients[parent] = known  # a NumPy scalar is not changed by +=
            else:
                gradients[parent] = gradients[parent] + gradient
                if not create_graph:
                    owned.add(parent)
        if saved and not keep and (plan.saves_values or _holds_arrays(saved, plan.others)):
            node.saved = None  # else there is nothing to free, and the entry may be gone through again
    for leaf, g in gradients.items():
        found[leaf] = _run_hooks(leaf, g, create_graph) if leaf.hooks else g
    return found


def _check_passable(order: list[Any]) -> None:
    """Refuse what the walk would refuse on its way, before hooks have done anything."""
    for node in reversed(order):
        if node.saved is None:
            raise RuntimeError(freed(node))
        if node.index < last_change():
            _check_unchanged(node)


def _holds_arrays(saved: Any, places: Sequence[int]) -> bool:
    """Whether arrays are among the saved values at `places`: an index may be, or hold, one."""
    if type(saved) is not tuple and type(saved) is not list:
        return True  # packed by saved_tensors_hooks
    for place in places:
        value = saved[place]
        if type(value) in (tuple, list):
            if _holds_arrays(value, range(len(value))):
                return True
        elif value is not None and type(value) is not int and is_array(value):
            return True
    return False


def operations_behind(nodes: list[Any]) -> list[Any]:
    """Every operation that `nodes` depend on, oldest first."""
    order = [node for node in set(nodes) if node.parents]
    seen = set(order)
    for node in order:  # grows as it is gone through
        for parent in node.parents:
            if parent.index and parent not in seen:  # a leaf's index is 0
                seen.add(parent)
                order.append(parent)
    order.sort(key=_by_index)
    return order


def entries_behind(nodes: list[Any]) -> list[Any]:
    """Every leaf and operation that `nodes` depend on, oldest first."""
    operations = operations_behind(nodes)
    met = [*nodes, *(parent for node in reversed(operations) for parent in node.parents)]
    return [*dict.fromkeys(node for node in met if type(node) is Leaf), *operations]


def _leading_to(order: list[Any], targets: frozenset[Any]) -> tuple[list[Any], set[Any]]:
    """The operations of `order` (oldest first) through which a gradient reaches one of `targets`; and these
    with the targets themselves."""
    on_the_way: set[Any] = set(targets)
    leading = []
    for node in order:
        if node in on_the_way or any(parent in on_the_way for parent in node.parents):
            on_the_way.add(node)
            leading.append(node)
    return leading, on_the_way


def _arrive_in_part(gradients: dict[Any, Any], result: Node, g: Any) -> None:
    """Put the gradient of one of several results in its place among the others'."""
    (node,) = result.parents
    place = result.plan.place
    parts = gradients.setdefault(node, [None] * len(node.shape))
    parts[place] = g if parts[place] is None else parts[place] + g


def _completed(node: Node, parts: list[Any], create_graph: bool) -> tuple[Any, ...]:
    """Zeros for the results that no gradient reached, unless a Function asked for None."""
    if not node.plan.materializes:
        return tuple(parts)
    like = next(part for part in parts if part is not None)
    xp = namespace_of(like.array if create_graph else like)
    filled = []
    for part, shape, dtype in zip(parts, node.shape, node.dtype):
        if part is None:
            part = xp.zeros(shape, dtype)
            part = traced(part) if create_graph else part
        filled.append(part)
    return tuple(filled)


def _fused(node: Node, g: Any, saved: Any, create_graph: bool) -> Sequence[Any]:
    plan = node.plan
    if create_graph and plan.primitive.composition is not None:
        return _replayed(node, g, saved)
    rule, pick = plan.fused
    return rule(g, *pick(saved))


def _replayed(node: Node, g: Any, saved: Any) -> list[Any]:
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
    with enable_grad():
        out = plan.primitive.composition(*arguments)
    outputs = out if isinstance(out, tuple) else (out,)
    roots = [(o.node, part) for o, part in zip(outputs, g if isinstance(g, tuple) else (g,)) if o.node is not None]
    targets = frozenset(tensor.node for tensor in inputs.values())
    found = walk(roots, keep=True, create_graph=True, targets=targets)
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
        if name == "ctx":  # of a Function
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


def _check_unchanged(node: Node) -> None:
    """Refuse to go on with a saved array that was changed in place since."""
    if not isinstance(node.saved, (tuple, list)):
        return  # packed by saved_tensors_hooks
    for name, value in zip(node.plan.names, node.saved):
        for array in value if type(value) is tuple else (value,):
            operation = change_since(array, node.index) if is_array(array) else None
            if operation is not None:
                what = "its result" if name == "out" else f"its argument {name!r}"
                raise RuntimeError(
                    f"backward: the gradient of {node.name} needs {what} of shape {array.shape}, which {operation} "
                    "has changed in place since; clone the tensor first, or use the form that is not in place"
                )


def sum_to_shape(g: Any, shape: tuple[int, ...]) -> Any:
    """`g` summed to `shape`: what broadcasting `shape` to g's own shape asks for."""
    if len(shape) == 1 and type(g) is np.ndarray and g.ndim > 1 and g.shape[-1] == shape[0]:
        return column_sums(g)  # of a bias
    extra = len(g.shape) - len(shape)
    if extra < 0 or any(m != 1 and n != m for n, m in zip(g.shape[extra:], shape)):
        raise RuntimeError(f"expected a gradient that sums to shape {shape}, got shape {g.shape}")
    axes = (*range(extra), *(i for i, n in enumerate(shape, extra) if n == 1 and g.shape[i] != 1))
    if axes:
        g = g.sum(axis=axes, keepdims=True)
    return g.reshape(shape)


def _wrong_shape(gradient: Any, node: Node, parent: Any) -> RuntimeError:
    return RuntimeError(
        f"backward: {node.name} returned a gradient of shape {gradient.shape} for {_input_name(node, parent)}, "
        f"which has shape {parent.shape}"
    )


def _check_none_is_meant(rule: Any, node: Node, parent: Any, create_graph: bool) -> None:
    """A Function may have no gradient for an input, the composition of a primitive may not depend on one, and a
    primitive may say `no_gradient`. Another rule that returns none has forgotten something."""
    while hasattr(rule, "__wrapped__"):
        rule = rule.__wrapped__
    if rule is no_gradient:
        return
    if node.plan.must_return and (not create_graph or node.plan.primitive.composition is None):
        raise RuntimeError(
            f"backward: the rule of {node.name} for {_input_name(node, parent)} returned None; "
            "return zeros where the gradient is zero"
        )


def _input_name(node: Node, parent: Any) -> str:
    return node.plan.input_name(next(i for i, other in enumerate(node.parents) if other is parent))


def _run_hooks(node: Any, g: Any, create_graph: bool) -> Any:
    for hook in list(node.hooks.values()):
        given = g if create_graph else traced(as_array(g))
        returned = hook(given)
        if returned is not None:
            if not isinstance(returned, Traced) or returned.array.shape != node.shape:
                got = tuple(returned.array.shape) if isinstance(returned, Traced) else type(returned).__name__
                raise ValueError(f"hook: expected a gradient of shape {node.shape} (or None) to be returned, got {got}")
            g = returned if create_graph else returned.array
    return g


