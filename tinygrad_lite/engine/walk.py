"""The backward pass: a walk along the tape, newest node first, with rules on plain arrays, or on Tensors if `create_graph`
(second.py)."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from tinygrad_lite.arrays import as_array, gpu, hooks, namespace_of, sum_to_shape
from tinygrad_lite.arrays.changes import check_saved, last_change
from tinygrad_lite.arrays.errors import wrong_gradient, wrong_return
from tinygrad_lite.arrays.gpu import use_home
from tinygrad_lite.arrays.memory import holds_arrays
from tinygrad_lite.arrays.rules import check_none_is_meant
from tinygrad_lite.engine.context import Observer
from tinygrad_lite.engine.second import on_tape, replayed
from tinygrad_lite.engine.tape import Node, Traced, traced


def walk(roots: Any, keep: bool, create_graph: bool, targets: Any = None, observers: tuple[Observer, ...] = ()) -> dict[Any, Any]:
    """Propagate cotangents from `roots` (pairs of node and cotangent) back along the tape.

    Returns the gradients of `targets`, or of every leaf if `targets` is None. `keep`: keep saved values for another walk.
    """
    order, on_the_way = _nodes(roots, targets)
    changed, several_gpus = last_change(), gpu.several
    gradients, found = _started(roots, on_the_way, create_graph), {}
    owned: set[Any] = set()  # the nodes whose gradients are sums made here, which may be added to in place
    for node in reversed(order):
        g = gradients.pop(node, None)
        if g is None:
            continue
        if several_gpus:
            use_home(g)
        if node.hooks:
            g, changed = _run_hooks(node, g, create_graph), last_change()
        if targets is not None and node in targets:
            found[node] = g
        plan, saved, rules = node.plan, node.saved, node.plan.rules
        if saved is None or node.index < changed:
            check_saved(node)
        for observer in observers:
            observer.reached(node, g)
        if create_graph or plan.fused is not None or type(g) is list or not rules:
            g, saved, rules = _prepared(node, g, gradients, create_graph)
        for parent, (rule, place, pick) in zip(node.parents, rules):
            if on_the_way is not None and parent not in on_the_way:
                continue
            gradient = rule(g, saved[place]) if place is not None else rule(g) if pick is None else rule(g, *pick(saved))
            if gradient is None:
                check_none_is_meant(rule, node, parent, create_graph)
                continue
            if several_gpus:
                use_home(gradient)  # which may differ from g's
            if gradient.shape != parent.shape or (gradient.dtype is not parent.dtype and gradient.dtype != parent.dtype):
                gradient = _fitted(gradient, parent, node, create_graph)
            total = _sum(gradients[parent], gradient, parent, set() if create_graph else owned) if parent in gradients else gradient
            gradients[parent] = total
            for observer in observers:
                observer.arrived(parent, total, node, gradient)
        if node.saved and not keep and (plan.saves_values or holds_arrays(node.saved)):
            node.saved = None  # otherwise there is nothing to free, and the node may be walked again
    for node, g in gradients.items():  # leaves, and targets with nothing needed below them
        found[node] = _run_hooks(node, g, create_graph) if node.hooks else g
    return found


_by_index, _hooks = attrgetter("index"), attrgetter("hooks")


def operations_behind(nodes: list[Any]) -> list[Any]:
    """Every operation that `nodes` depend on, oldest first."""
    order = [node for node in set(nodes) if node.parents]
    seen = set(order)
    for node in order:  # grows meanwhile
        for parent in node.parents:
            if parent.index and parent not in seen:  # a leaf's index is 0
                seen.add(parent)
                order.append(parent)
    order.sort(key=_by_index)
    return order


def _nodes(roots: Any, targets: Any) -> tuple[list[Any], Any]:
    """The operations to walk through, oldest first, and these with the `targets` they lead to (None: all do)."""
    order, on_the_way = operations_behind([node for node, _ in roots]), None
    if targets is not None:
        on_the_way, behind = set(targets), order
        order = []
        for node in behind:
            if any(parent in on_the_way for parent in node.parents):
                on_the_way.add(node)
                order.append(node)
    if hooks.ever_hooked and any(map(_hooks, order)):  # refuse whatever must be refused before the first hook runs
        for node in reversed(order):
            check_saved(node)
    return order, on_the_way


def _started(roots: Any, on_the_way: Any, create_graph: bool) -> dict[Any, Any]:
    """The initial gradients."""
    gradients: dict[Any, Any] = {}
    for node, cotangent in roots:
        if on_the_way is None or node in on_the_way:
            gradients[node] = gradients[node] + cotangent if node in gradients else cotangent
        elif node.hooks:  # an output's hooks run even if nothing behind it is needed
            _run_hooks(node, cotangent, create_graph)
    return gradients


def _fitted(gradient: Any, parent: Any, node: Node, create_graph: bool) -> Any:
    """Undo broadcasting and restore the input's dtype, for every rule in one place."""
    if gradient.shape != parent.shape:
        try:
            gradient = sum_to_shape(gradient, parent.shape)
        except RuntimeError:
            raise wrong_gradient(node, parent, gradient.shape) from None
    converted = gradient.to if create_graph else gradient.astype
    return gradient if gradient.dtype == parent.dtype else converted(parent.dtype)


def _sum(known: Any, gradient: Any, node: Any, owned: set[Any]) -> Any:
    """The sum of the gradients that have arrived at `node`. The first sum is a new array, later ones are added in place."""
    if node in owned:
        known += gradient
        return known
    owned.add(node)
    return known + gradient


def _run_hooks(node: Any, g: Any, create_graph: bool) -> Any:
    """Apply a node's hooks to its gradient."""
    for hook in list(node.hooks.values()):
        returned = hook(g if create_graph else traced(as_array(g)))
        if returned is not None:
            if not isinstance(returned, Traced) or returned.array.shape != node.shape:
                raise wrong_return("hook", returned, node.shape)
            g = returned if create_graph else returned.array
    return g


def _prepared(node: Node, g: Any, gradients: dict[Any, Any], create_graph: bool) -> tuple[Any, Any, Any]:
    """The gradient, saved values and rules of a node other than a primitive with one rule per input."""
    plan, saved, rules = node.plan, node.saved, node.plan.rules
    if not rules:  # one of several results: store its gradient among the others'
        parts = gradients.setdefault(node.parents[0], [None] * len(node.parents[0].shape))
        parts[plan.place] = g if parts[plan.place] is None else parts[plan.place] + g
        return g, saved, rules
    if create_graph:
        saved, rules = on_tape(node)
    if type(g) is list:
        g = _completed(node, g, create_graph)
    if plan.fused is not None:
        if create_graph and plan.primitive.composition is not None:
            g = replayed(node, g, saved, walk)
        else:
            rule, pick = plan.fused
            g = rule(g, *pick(saved))
    return g, saved, rules


def _completed(node: Node, parts: list[Any], create_graph: bool) -> tuple[Any, ...]:
    """Zeros for the results that no gradient has reached, unless a Function asked for None."""
    if not node.plan.materializes:
        return tuple(parts)
    like = next(part for part in parts if part is not None)
    xp = namespace_of(like.array if create_graph else like)
    zeros = (lambda *of: traced(xp.zeros(*of))) if create_graph else xp.zeros
    return tuple(zeros(shape, dtype) if part is None else part for part, shape, dtype in zip(parts, node.shape, node.dtype))
