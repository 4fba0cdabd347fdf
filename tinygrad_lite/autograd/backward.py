"""Backward: the tape read newest first.

A rule is handed plain arrays where only a value is wanted, and Tensors with their place on the
tape where the gradient is itself to be differentiated (`create_graph=True`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_array, column_sums, is_array, namespace_of, owner_of
from tinygrad_lite.arrays.quiet import enter as be_quiet
from tinygrad_lite.arrays.quiet import leave as quiet_no_more
from tinygrad_lite.autograd.mode import enable_grad
from tinygrad_lite.autograd.node import Leaf, Node, Traced, change_since, changed_in_place, last_change, tick, traced
from tinygrad_lite.autograd.primitive import Result, result_of

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
    order = _collect([node for node, _ in roots])
    if targets is not None:
        order = _leading_to(order, targets)
    on_the_way = None if targets is None else set(order)
    # `owned`: the sums that this walk made itself, whose arrays it may add into.
    gradients = {} if gradients is None else gradients
    owned: set[Any] = set()
    for node, cotangent in roots:
        if on_the_way is not None and node not in on_the_way:
            continue
        known = gradients.get(node)
        gradients[node] = cotangent if known is None else known + cotangent
    found: dict[Any, Any] = {}
    changed = last_change()

    while order:
        node = order.pop()
        if type(node) is Leaf:  # and so are all that are older
            break
        g = gradients.pop(node, None)
        if g is None:
            continue
        if node.hooks:
            g = _run_hooks(node, g, create_graph)
            changed = last_change()
        if targets is not None and node in targets:
            found[node] = g
        plan = node.plan
        if type(plan) is Result:
            _arrive_in_part(gradients, node, g)
            continue
        saved = node.saved
        if saved is None:
            raise _freed(node)
        if node.index < changed:
            _check_unchanged(node)
        if create_graph:
            saved = rebuilt(node)
        if type(g) is list:
            g = _completed(node, g, create_graph)
        contributions = None if plan.fused is None else _fused(node, g, saved, create_graph)
        for parent, (rule, where) in zip(node.parents, plan.rules):
            if on_the_way is not None and parent not in on_the_way:
                continue
            if rule is None:
                if (gradient := contributions[where]) is None:  # type: ignore[index]
                    continue
            elif where is None:
                gradient = rule(g)
            elif type(where) is int:
                gradient = rule(g, saved[where])
            else:
                gradient = rule(g, *where(saved))
            # Broadcasting undone, and the input's dtype restored, for every rule at once.
            if gradient.shape != parent.shape:
                gradient = sum_to_shape(gradient, parent.shape)
            if gradient.dtype is not parent.dtype and gradient.dtype != parent.dtype:
                gradient = gradient.to(parent.dtype) if create_graph else gradient.astype(parent.dtype)
            # The sum of what arrives. The first sum is a new array, later ones go into it.
            known = gradients.get(parent)
            if known is None:
                gradients[parent] = gradient
            elif parent in owned:
                known += gradient
                gradients[parent] = known  # a NumPy scalar is not changed by +=
            else:
                gradients[parent] = known + gradient
                if not create_graph:
                    owned.add(parent)
        if not keep and saved:
            node.saved = None
    for leaf, g in gradients.items():
        found[leaf] = _run_hooks(leaf, g, create_graph) if leaf.hooks else g
    return found


def _walk(roots: Any, keep: bool, create_graph: bool, targets: frozenset[Any] | None) -> dict[Any, Any]:
    """`walk` under the modes it needs: rules on Tensors are recorded, and arithmetic is silent."""
    token = be_quiet()
    try:
        if create_graph:
            with enable_grad():
                return walk(roots, keep=keep, create_graph=True, targets=targets, gradients=new_gradients())
        return walk(roots, keep=keep, create_graph=False, targets=targets, gradients=new_gradients())
    finally:
        quiet_no_more(token)


new_gradients: Callable[[], dict[Any, Any]] = dict  # another kind while detect_anomaly() is in force


def _collect(roots: list[Any]) -> list[Any]:
    """Every entry that `roots` depend on, oldest first."""
    seen = set(roots)
    order = list(seen)
    for node in order:  # grows as it is gone through
        for parent in node.parents:
            if parent not in seen:
                seen.add(parent)
                order.append(parent)
    order.sort(key=_by_index)
    return order


def _leading_to(order: list[Any], targets: frozenset[Any]) -> list[Any]:
    """The entries of `order` (oldest first) through which a gradient reaches one of `targets`."""
    on_the_way: set[Any] = set()
    result = []
    for node in order:
        if node in targets or any(parent in on_the_way for parent in node.parents):
            on_the_way.add(node)
            result.append(node)
    return result


def _arrive_in_part(gradients: dict[Any, Any], result: Node, g: Any) -> None:
    """Put the gradient of one of several results in its place among the others'."""
    (node,) = result.parents
    place = result.plan.place  # type: ignore[attr-defined]
    parts = gradients.setdefault(node, [None] * len(node.shape))
    parts[place] = g if parts[place] is None else parts[place] + g


def _completed(node: Node, parts: list[Any], create_graph: bool) -> tuple[Any, ...]:
    """Zeros for the results that no gradient reached."""
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
    return plan.fused(g, *plan.fused_where(saved))


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
        out = plan.primitive.composition(*arguments)  # type: ignore[misc]
    outputs = out if isinstance(out, tuple) else (out,)
    roots = [(o.node, part) for o, part in zip(outputs, g if isinstance(g, tuple) else (g,)) if o.node is not None]
    targets = frozenset(tensor.node for tensor in inputs.values())
    found = walk(roots, keep=True, create_graph=True, targets=targets)
    result: list[Any] = [None] * len(arguments)
    for i, tensor in inputs.items():
        result[i] = found.get(tensor.node)
    return result


class _Through:
    """The plan of an entry that passes its gradient on as it is."""

    name = "through"
    fused = None
    names: tuple[()] = ()
    rules = ((lambda g: g, None),)
    wanted = (0,)


_through = _Through()


def through(tensor: Traced) -> Any:
    """The same array one entry further on the tape."""
    node = Node()
    node.plan = _through  # type: ignore[assignment]
    node.parents = (tensor.node,)
    node.saved = ()
    node.index = tick()
    node.shape, node.dtype = tensor.array.shape, tensor.array.dtype
    node.hooks = None
    return traced(tensor.array, node)


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


def _freed(node: Node) -> RuntimeError:
    return RuntimeError(
        f"backward: the values saved by {node.name} (entry {node.index}) were freed by an earlier backward; "
        "pass retain_graph=True to that one to go through the graph twice"
    )


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
    """`g` summed (or repeated) to `shape`: what broadcasting `shape` to g's own shape asks for."""
    if len(shape) == 1 and type(g) is np.ndarray and g.ndim > 1 and g.shape[-1] == shape[0]:
        return column_sums(g)  # of a bias
    extra = len(g.shape) - len(shape)
    if extra < 0 or any(n == 1 and m != 1 for n, m in zip(g.shape[extra:], shape)):
        raise RuntimeError(f"backward: a rule returned a gradient of shape {g.shape} for an input of shape {shape}")
    axes = (*range(extra), *(i for i, n in enumerate(shape, extra) if n == 1 and g.shape[i] != 1))
    if axes:
        g = g.sum(axis=axes, keepdims=True)
    return g.reshape(shape)


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


# -- the public calls ---------------------------------------------------------------------------


def _starting_gradient(call: str, output: Any, gradient: Any, create_graph: bool) -> Any:
    """The cotangent of `output`: the one given, or one for a scalar."""
    if not isinstance(output, Traced):
        raise TypeError(f"{call}: expected a Tensor to differentiate, got {type(output).__name__}")
    if output.node is None:
        raise RuntimeError(
            f"{call}: this tensor of shape {output.array.shape} does not require grad: "
            "nothing it was computed from does, or it was computed under no_grad() or detached"
        )
    array = output.array
    if gradient is None:
        if array.size != 1:
            raise RuntimeError(
                f"{call}: grad can be implicitly created only for scalar outputs, and this one has shape {array.shape}; "
                "sum() it, or pass the gradient"
            )
        if type(array) is np.ndarray and not array.ndim and not create_graph:
            return array.dtype.type(1)  # 0.2 us; np.ones_like takes 2
        ones = namespace_of(array).ones_like(array)
        return traced(ones) if create_graph else ones
    if not isinstance(gradient, Traced):
        raise TypeError(f"{call}: expected a Tensor (or None) as the gradient, got {type(gradient).__name__}")
    if gradient.array.shape != array.shape:
        raise ValueError(f"{call}: the gradient's shape {gradient.array.shape} is not the output's, {array.shape}")
    if gradient.array.dtype != array.dtype:
        gradient = gradient.to(array.dtype)
    return gradient if create_graph else gradient.array


def _roots(call: str, outputs: Any, gradients: Any, create_graph: bool) -> list[tuple[Any, Any]]:
    outputs = (outputs,) if isinstance(outputs, Traced) else tuple(outputs)
    if gradients is None:
        gradients = (None,) * len(outputs)
    elif not isinstance(gradients, (tuple, list)):
        gradients = (gradients,)
    if len(gradients) != len(outputs):
        raise ValueError(f"{call}: got {len(outputs)} outputs but {len(gradients)} gradients for them")
    return [
        (o.node if isinstance(o, Traced) else None, _starting_gradient(call, o, g, create_graph))
        for o, g in zip(outputs, gradients)
    ]


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` (summed) with respect to `inputs`, as a tuple. Nothing is changed.

    `grad_outputs`: a cotangent for each output; not needed for a scalar. `create_graph`: record
    the computation of the gradients, so that they can be differentiated in turn. `allow_unused`:
    give None for an input that no output depends on, instead of raising; `materialize_grads`:
    give zeros.
    """
    inputs = (inputs,) if isinstance(inputs, Traced) else tuple(inputs)
    if not inputs:
        raise ValueError("grad: expected at least one input")
    if is_grads_batched:
        raise ValueError("grad: is_grads_batched is not supported; call grad once for each cotangent")
    for i, tensor in enumerate(inputs):
        if not isinstance(tensor, Traced):
            raise TypeError(f"grad: expected Tensors as inputs, got {type(tensor).__name__} at place {i}")
        if tensor.node is None:
            raise RuntimeError(f"grad: input {i} does not require grad; call requires_grad_() before it is used")
    if allow_unused is None:
        allow_unused = materialize_grads
    keep = create_graph if retain_graph is None else retain_graph
    roots = _roots("grad", outputs, grad_outputs, create_graph)
    found = _walk(roots, keep, create_graph, frozenset(t.node for t in inputs))
    unused = [i for i, tensor in enumerate(inputs) if tensor.node not in found]
    if unused and not allow_unused:
        raise RuntimeError(
            f"grad: no output depends on input {', '.join(map(str, unused))}; pass allow_unused=True to get None there"
        )
    taken: dict[int, Any] = {}

    def result(tensor: Traced) -> Any:
        g = found.get(tensor.node)
        if g is None:
            return traced(namespace_of(tensor.array).zeros_like(tensor.array)) if materialize_grads else None
        if create_graph:
            return _in_order(g)
        return traced(_unshared(g, taken))

    cotangents = grad_outputs if isinstance(grad_outputs, (tuple, list)) else (grad_outputs,)
    for cotangent in cotangents:
        if cotangent is not None:
            taken[id(owner_of(cotangent.array))] = cotangent.array
    return tuple(result(tensor) for tensor in inputs)


def _in_order(g: Any) -> Any:
    """`g` with its elements in order in memory, as all gradients that are handed out: programs take views of them."""
    if g.array.flags.c_contiguous:
        return g
    with enable_grad():
        return g.contiguous()


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` (summed) to the `.grad` of the leaves they depend on.

    `inputs`: only these tensors' `.grad`. See `grad` for the other arguments.
    """
    keep = create_graph if retain_graph is None else retain_graph
    targets = None
    if inputs is not None:
        inputs = (inputs,) if isinstance(inputs, Traced) else tuple(inputs)
        if not inputs:
            raise ValueError("backward: inputs is empty; leave it out to reach every leaf")
        if any(not isinstance(t, Traced) or t.node is None for t in inputs):
            raise RuntimeError("backward: every one of inputs must be a Tensor that requires grad")
        targets = frozenset(t.node for t in inputs)
    roots = _roots("backward", tensors, grad_tensors, create_graph)
    found = _walk(roots, keep, create_graph, targets)
    taken = {id(owner_of(g)): g for _, g in roots if not create_graph and is_array(g)}
    into = {} if inputs is None else {t.node: t for t in inputs}
    for node, g in found.items():
        tensor = node.tensor() if inputs is None else into[node]
        if tensor is not None:
            accumulate(tensor, g, taken)
            if type(node) is Leaf and node.after:
                for hook in list(node.after.values()):
                    hook(tensor)


def accumulate(tensor: Any, g: Any, taken: dict[int, Any]) -> None:
    """Add `g` to `tensor.grad`; `taken` holds the arrays that belong to somebody already."""
    known = tensor.grad
    if known is None:
        tensor.grad = g if isinstance(g, Traced) else traced(_unshared(g, taken))
    elif isinstance(g, Traced):
        tensor.grad = known + g
    elif known.node is None:
        token = be_quiet()
        try:
            known.array += g
        finally:
            quiet_no_more(token)
        changed_in_place(known.array, "an accumulation into .grad")
    else:
        tensor.grad = traced(known.array + g)


def _unshared(g: Any, taken: dict[int, Any]) -> Any:
    """`g` as an array that nobody else holds. A rule may have returned one array for two inputs,
    or a view of the gradient that came in."""
    if type(g) is np.ndarray:
        whole = g.flags.carray  # contiguous and writable
    else:
        g = as_array(g)
        whole = g.flags.c_contiguous
    owner = g if g.base is None else owner_of(g)
    if not whole or owner.size != g.size or id(owner) in taken:
        return g.copy()
    taken[id(owner)] = owner
    return g
