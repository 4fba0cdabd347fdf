"""`grad` and `backward`: what is asked of the walk along the tape.

Both begin at roots: the nodes of what is differentiated, each with its cotangent.
"""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import gpu, is_array
from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.arrays.gpu import at_home
from tinygrad_lite.arrays.memory import owner_of, unshared
from tinygrad_lite.arrays.quiet import quietly
from tinygrad_lite.engine.context import is_grad_enabled, observers, recording
from tinygrad_lite.engine.tape import Leaf, Traced, traced
from tinygrad_lite.engine.walk import walk

Roots = list[tuple[Any, Any]]


@quietly
def grad(roots: Roots, inputs: Any, retain_graph: bool | None = None, create_graph: bool = False) -> tuple[Any, ...]:
    """The gradients of the sum of `roots` by the tensors `inputs`, None where no root depends on one. Nothing is changed.

    `create_graph`: record the computation of the gradients, so that they can be differentiated in turn.
    `retain_graph`: keep what is saved for another walk.
    """
    found = _walk(roots, frozenset(tensor.node for tensor in inputs), retain_graph, create_graph)
    held = _held(roots)
    return tuple(None if tensor.node not in found else _own(found[tensor.node], held) for tensor in inputs)


@quietly
def backward(roots: Roots, inputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """Add the gradients of the sum of `roots` to the `.grad` of every leaf, or of those of the tensors `inputs` that are
    leaves. (The others' is retained by a hook, as it passes.)"""
    targets = None if inputs is None else {tensor.node: tensor for tensor in inputs}
    found = _walk(roots, None if targets is None else frozenset(targets), retain_graph, create_graph)
    held = _held(roots)
    for node, g in found.items():
        if type(node) is not Leaf:
            continue
        tensor = node.tensor() if targets is None else targets[node]
        if tensor is None:
            if not node.after:
                continue  # the program has dropped it
            tensor = traced(node.array, node)
            tensor._grad = node.grad
        elif targets is None and tensor.node is not node:
            continue  # its gradient is no longer wanted
        _accumulate(tensor, g, held, create_graph)
        if node.after:
            for hook in list(node.after.values()):
                if hook(tensor) is not None:
                    raise RuntimeError("backward: a hook of register_post_accumulate_grad_hook must return None")
            if node.tensor() is None:
                node.grad = tensor._grad


def _walk(roots: Roots, targets: frozenset[Any] | None, retain_graph: bool | None, create_graph: bool) -> dict[Any, Any]:
    """`walk`, with whoever watches told where it begins and how it ends."""
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


def _held(roots: Roots) -> dict[int, Any]:
    """The arrays that belong to somebody already, by id: to begin with, the cotangents to the caller."""
    arrays = (getattr(g, "array", g) for _, g in roots)
    return {id(owner_of(array)): array for array in arrays if is_array(array)}


def _own(g: Any, held: dict[int, Any]) -> Any:
    """A gradient as a tensor whose array nobody else holds, itself no view, with its elements in order in memory:
    programs take views of gradients, and change them in place."""
    if not isinstance(g, Traced):
        return traced(unshared(g, held))
    owner = owner_of(g.array)
    if g.base is not None or not g.array.flags.c_contiguous or id(owner) in held:
        return cloned(g)
    held[id(owner)] = owner
    return g


def cloned(g: Any) -> Any:
    """A recorded copy of a gradient, with its elements in order in memory."""
    with recording():
        return g.clone() if g.array.flags.c_contiguous else g.contiguous()


def _accumulate(tensor: Any, g: Any, held: dict[int, Any], create_graph: bool) -> None:
    known = tensor._grad
    if known is None:
        tensor._grad = cloned(g) if create_graph else _own(g, held)
    elif create_graph:
        tensor._grad = known + g
    else:
        with at_home(g):
            known.array += g
        changed_in_place(known.array, "an accumulation into .grad")
