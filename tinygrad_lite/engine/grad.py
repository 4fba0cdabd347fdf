"""`grad` and `backward`, the two requests that start a walk along the tape.

Both start at roots: the nodes to differentiate, each with its cotangent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import gpu
from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.arrays.errstate import quietly
from tinygrad_lite.arrays.gpu import at_home
from tinygrad_lite.arrays.memory import owner_of, unshared
from tinygrad_lite.engine.context import is_grad_enabled, observers, recording
from tinygrad_lite.engine.tape import Leaf, Traced, traced
from tinygrad_lite.engine.walk import walk


@quietly
def grad(roots: Any, inputs: Any, retain_graph: bool | None = None, create_graph: bool = False) -> tuple[Any, ...]:
    """The gradients of the sum of `roots` with respect to the tensors `inputs`, or None. Changes nothing.

    `create_graph`: record the computation, so that the gradients are differentiable. `retain_graph`: keep saved values.
    """
    found = _walk(roots, frozenset(tensor.node for tensor in inputs), retain_graph, create_graph)
    held = _held(roots)
    return tuple(None if tensor.node not in found else _own(found[tensor.node], held) for tensor in inputs)


@quietly
def backward(roots: Any, inputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """Add the gradients of the sum of `roots` to the `.grad` of every leaf, or of those among the tensors `inputs`."""
    targets = None if inputs is None else {tensor.node: tensor for tensor in inputs}
    found = _walk(roots, None if targets is None else frozenset(targets), retain_graph, create_graph)
    held = _held(roots)
    for node, g in found.items():
        if type(node) is not Leaf:
            continue
        tensor = node.tensor() if targets is None else targets[node]
        if tensor is None:
            if not node.after:
                continue  # the program has dropped the tensor
            tensor = traced(node.array, node)
            tensor._grad = node.grad
        elif targets is None and tensor.node is not node:
            continue  # its gradient is no longer wanted
        if tensor._grad is None:
            tensor._grad = cloned(g) if create_graph else traced(unshared(g, held))
        else:
            _accumulate(tensor, g)
        if node.after:
            for hook in list(node.after.values()):
                if hook(tensor) is not None:
                    raise RuntimeError("backward: a hook of register_post_accumulate_grad_hook must return None")
            if node.tensor() is None:
                node.grad = tensor._grad


def _walk(roots: Any, targets: frozenset[Any] | None, retain_graph: bool | None, create_graph: bool) -> dict[Any, Any]:
    """`walk`, with observers called at its start and end."""
    keep = create_graph if retain_graph is None else retain_graph
    watching, found = observers.get(), None
    try:
        for observer in watching:
            observer.started(roots)
        if create_graph or gpu.several:
            with recording(create_graph or is_grad_enabled()), at_home(roots[0][1]):
                found = walk(roots, keep, create_graph, targets, watching)
        else:
            found = walk(roots, keep, False, targets, watching)
        return found
    finally:
        for observer in observers.get():
            observer.finished(found)


def _held(roots: Any) -> dict[int, Any]:
    """The arrays already owned, by id: initially the caller's cotangents."""
    held = {}
    for _, g in roots:
        array = g.array if isinstance(g, Traced) else g
        if not isinstance(array, np.generic):  # as the cotangent 1 of a scalar is
            held[id(owner_of(array))] = array
    return held


def _own(g: Any, held: dict[int, Any]) -> Any:
    """A gradient as a tensor with a contiguous array of its own: programs change gradients and views of them in place."""
    if not isinstance(g, Traced):
        return traced(unshared(g, held))
    owner = owner_of(g.array)
    if g.base is not None or not g.array.flags.c_contiguous or id(owner) in held:
        return cloned(g)
    held[id(owner)] = owner
    return g


def cloned(g: Any) -> Any:
    """A recorded, contiguous copy of a gradient."""
    with recording():
        return g.clone() if g.array.flags.c_contiguous else g.contiguous()


def _accumulate(tensor: Any, g: Any) -> None:
    if isinstance(g, Traced):
        tensor._grad = tensor._grad + g
        return
    if gpu.several:
        with at_home(g):
            tensor._grad.array += g
    else:
        tensor._grad.array += g
    changed_in_place(tensor._grad.array, "an accumulation into .grad")
