"""The walk along the tape, newest entry first.

A rule is handed plain arrays where only a value is wanted, and Tensors with their place on the
tape where the gradient is itself to be differentiated (`create_graph=True`; see second.py).
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import Any

from tinygrad_lite.arrays import as_array, gpu, namespace_of, sum_to_shape
from tinygrad_lite.arrays.changes import last_change
from tinygrad_lite.arrays.gpu import use_home
from tinygrad_lite.engine.context import Observer
from tinygrad_lite.engine.plan import check_saved, holds_arrays, no_gradient
from tinygrad_lite.engine.second import rebuilt, replayed, rules_on_tape
from tinygrad_lite.engine.tape import Leaf, Node, Traced, traced

_by_index = attrgetter("index")


def walk(roots: Any, keep: bool, create_graph: bool, targets: Any = None, observers: tuple[Observer, ...] = ()) -> dict[Any, Any]:
    """Carry cotangents from `roots` (pairs of node and cotangent) down the tape.

    Returns the gradients of `targets`, or of every leaf where `targets` is None. `keep`: leave the
    saved values in place for another walk. `observers` are told of each gradient that arrives.
    """
    order, on_the_way = _entries(roots, targets)
    checked: set[bool] = set()  # not empty once hooks have been met, and so what is to come has been looked at
    gradients, found = _started(roots, on_the_way, order, checked, create_graph), {}
    owned: set[Any] = set()  # the entries whose gradients are sums made here, which may be added into
    changed, several_gpus = last_change(), gpu.several
    for node in reversed(order):
        g = gradients.pop(node, None)
        if g is None:
            continue
        if several_gpus:
            use_home(g)
        if node.hooks:
            g, changed = _run_hooks(node, g, order, checked, create_graph), last_change()
        if targets is not None and node in targets:
            found[node] = g
            if not any(parent in on_the_way for parent in node.parents):
                continue  # nothing below it is asked for, and may have been freed
        plan, saved, rules = node.plan, node.saved, node.plan.rules
        if saved is None or node.index < changed:
            check_saved(node)
        if create_graph or plan.fused is not None or type(g) is list or not rules:
            g, saved, rules = _prepared(node, g, gradients, create_graph)
        for parent, (rule, place, pick) in zip(node.parents, rules):
            if on_the_way is not None and parent not in on_the_way:
                continue
            gradient = rule(g, saved[place]) if place is not None else rule(g) if pick is None else rule(g, *pick(saved))
            if gradient is None:
                _check_none_is_meant(rule, node, parent, create_graph)
                continue
            if several_gpus:
                use_home(gradient)  # which need not be that of g
            if gradient.shape != parent.shape or (gradient.dtype is not parent.dtype and gradient.dtype != parent.dtype):
                gradient = _fitted(gradient, parent, node, create_graph)
            if parent in gradients:
                gradient = _sum(gradients[parent], gradient, parent, None if create_graph else owned)
            gradients[parent] = gradient
            if observers:
                for observer in observers:
                    observer.arrived(parent, gradient, node)
        if node.saved and not keep and (plan.saves_values or holds_arrays(node.saved, plan.others)):
            node.saved = None  # else there is nothing to free, and the entry may be gone through again
    for leaf, g in gradients.items():
        found[leaf] = _run_hooks(leaf, g, order, checked, create_graph) if leaf.hooks else g
    return found


def _started(roots: Any, on_the_way: Any, order: list[Any], checked: set[bool], create_graph: bool) -> dict[Any, Any]:
    """The gradients to begin with."""
    gradients: dict[Any, Any] = {}
    for node, cotangent in roots:
        if on_the_way is None or node in on_the_way:
            gradients[node] = gradients[node] + cotangent if node in gradients else cotangent
        elif node.hooks:  # what is differentiated passes its gradient even where nothing behind it is asked for
            _run_hooks(node, cotangent, order, checked, create_graph)
    return gradients


def _fitted(gradient: Any, node: Any, sender: Node, create_graph: bool) -> Any:
    """Broadcasting undone, and the input's dtype restored, for every rule at once."""
    if gradient.shape != node.shape:
        try:
            gradient = sum_to_shape(gradient, node.shape)
        except RuntimeError:
            raise RuntimeError(
                f"backward: {sender.name} returned a gradient of shape {gradient.shape} for {_input_name(sender, node)}, "
                f"which has shape {node.shape}"
            ) from None
    if gradient.dtype == node.dtype:
        return gradient
    return gradient.to(node.dtype) if create_graph else gradient.astype(node.dtype)


def _sum(known: Any, gradient: Any, node: Any, owned: set[Any] | None) -> Any:
    """The sum of what has arrived at `node`. The first sum is a new array, later ones go into it."""
    if owned is None:
        return known + gradient
    if node in owned:
        known += gradient
        return known
    owned.add(node)
    return known + gradient


def _run_hooks(node: Any, g: Any, order: list[Any], checked: set[bool], create_graph: bool) -> Any:
    """What an entry's hooks make of its gradient. What the walk would refuse on its way it refuses before the first
    of them has done anything."""
    if not checked:
        checked.add(True)
        for later in reversed(order[: bisect_right(order, node.index, key=_by_index)]):
            if later.saved is None or later.index < last_change():
                check_saved(later)
    for hook in list(node.hooks.values()):
        returned = hook(g if create_graph else traced(as_array(g)))
        if returned is not None:
            if not isinstance(returned, Traced) or returned.array.shape != node.shape:
                got = tuple(returned.array.shape) if isinstance(returned, Traced) else type(returned).__name__
                raise ValueError(f"hook: expected a gradient of shape {node.shape} (or None) to be returned, got {got}")
            g = returned if create_graph else returned.array
    return g


def _prepared(node: Node, g: Any, gradients: dict[Any, Any], create_graph: bool) -> tuple[Any, Any, Any]:
    """The gradient, saved values and rules of an entry that is more than a primitive with a rule for each input."""
    plan, saved, rules = node.plan, node.saved, node.plan.rules
    if not rules:
        _arrive_in_part(gradients, node, g)  # one of several results
        return g, saved, rules
    if create_graph:
        saved, rules = rebuilt(node), rules_on_tape(node)
    if type(g) is list:
        g = _completed(node, g, create_graph)
    if plan.fused is not None:
        if create_graph and plan.primitive.composition is not None:
            g = replayed(node, g, saved, walk)
        else:
            rule, pick = plan.fused
            g = rule(g, *pick(saved))
    return g, saved, rules


def _arrive_in_part(gradients: dict[Any, Any], result: Node, g: Any) -> None:
    """Put the gradient of one of several results in its place among the others'."""
    (node,), place = result.parents, result.plan.place
    parts = gradients.setdefault(node, [None] * len(node.shape))
    parts[place] = g if parts[place] is None else parts[place] + g


# -- which entries ---------------------------------------------------------------------------------


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


def _entries(roots: Any, targets: Any) -> tuple[list[Any], Any]:
    """The operations to walk through, oldest first; and which entries lead to `targets` (None: all may), these included."""
    order = operations_behind([node for node, _ in roots])
    if targets is None:
        return order, None
    on_the_way, leading = set(targets), []
    for node in order:
        if node in on_the_way or any(parent in on_the_way for parent in node.parents):
            on_the_way.add(node)
            leading.append(node)
    return leading, on_the_way


# -- what a rule is given and returns --------------------------------------------------------------


def _completed(node: Node, parts: list[Any], create_graph: bool) -> tuple[Any, ...]:
    """Zeros for the results that no gradient reached, unless a Function asked for None."""
    if not node.plan.materializes:
        return tuple(parts)
    like = next(part for part in parts if part is not None)
    xp = namespace_of(like.array if create_graph else like)
    zeros = (lambda *of: traced(xp.zeros(*of))) if create_graph else xp.zeros
    return tuple(zeros(shape, dtype) if part is None else part for part, shape, dtype in zip(parts, node.shape, node.dtype))


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
