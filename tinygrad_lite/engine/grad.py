"""`grad` and `backward`: what is asked of the walk along the tape."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tinygrad_lite.arrays import gpu, is_array, namespace_of
from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.gpu import at_home
from tinygrad_lite.arrays.memory import owner_of, unshared
from tinygrad_lite.arrays.quiet import enter as be_quiet
from tinygrad_lite.arrays.quiet import leave as quiet_no_more
from tinygrad_lite.arrays.quiet import lost, remember
from tinygrad_lite.engine.context import is_grad_enabled, observers, recording
from tinygrad_lite.engine.tape import Leaf, Node, Traced, traced
from tinygrad_lite.engine.walk import walk


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> tuple[Any, ...]:
    """The gradients of `outputs` (summed) by `inputs`, None where no output depends on one. Nothing is changed.

    `grad_outputs`: a cotangent for each output; not needed for a scalar. `create_graph`: record the computation
    of the gradients, so that they can be differentiated in turn. `retain_graph`: keep what is saved for another walk.
    """
    inputs = tensors(inputs)
    if not inputs:
        raise ValueError("grad: expected at least one input")
    for i, tensor in enumerate(inputs):
        if not isinstance(tensor, Traced):
            raise TypeError(f"grad: expected Tensors as inputs, got {type(tensor).__name__} at place {i}")
        if tensor.node is None:
            raise RuntimeError(f"grad: input {i} does not require grad; call requires_grad_() before it is used")
    roots = _roots("grad", outputs, grad_outputs, create_graph)
    found = _walk(roots, retain_graph, create_graph, frozenset(t.node for t in inputs))
    taken: dict[int, Any] = {}
    for cotangent in grad_outputs if isinstance(grad_outputs, (tuple, list)) else (grad_outputs,):
        if cotangent is not None:
            taken[id(owner_of(cotangent.array))] = cotangent.array
    return tuple(_result(found.get(tensor.node), taken, create_graph) for tensor in inputs)


def _result(g: Any, taken: dict[int, Any], create_graph: bool) -> Any:
    """What `grad` returns for a gradient: an array that nobody else holds, with its elements in order."""
    if g is None or not create_graph:
        return None if g is None else traced(unshared(g, taken))
    owner = owner_of(g.array)
    if not g.array.flags.c_contiguous or id(owner) in taken:
        return _cloned(g)
    taken[id(owner)] = owner
    return g


def _cloned(g: Any) -> Any:
    """A copy of a gradient on the tape, with its elements in order in memory, as all gradients that are handed out:
    programs take views of them, and change them in place."""
    with recording():
        return g.clone() if g.array.flags.c_contiguous else g.contiguous()


def backward(
    outputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `outputs` (summed) to the `.grad` of the leaves they depend on.

    `inputs`: only these tensors' `.grad`; those that are no leaves retain it from here on, as by `retain_grad()`.
    See `grad` for the other arguments.
    """
    targets = None
    if inputs is not None:
        inputs = tensors(inputs)
        if not inputs:
            raise BadValue("backward: inputs is empty; leave it out to reach every leaf")
        if any(not isinstance(t, Traced) or t.node is None for t in inputs):
            raise RuntimeError("backward: every one of inputs must be a Tensor that requires grad")
        targets = {t.node: t for t in inputs}
    roots = _roots("backward", outputs, grad_outputs, create_graph)
    for t in inputs or ():
        retain_grad(t)
    found = _walk(roots, retain_graph, create_graph, None if targets is None else frozenset(targets))
    # The arrays that belong to somebody already: first of all to the caller.
    taken = {} if grad_outputs is None or create_graph else {id(owner_of(g)): g for _, g in roots if is_array(g)}
    for node, g in found.items():
        if type(node) is not Leaf:
            continue  # it keeps its gradient as that passes
        tensor = node.tensor() if targets is None else targets[node]
        if tensor is None:
            if not node.after:
                continue  # the program has dropped it
            tensor = traced(node.array, node)
            tensor._grad = node.grad
        elif targets is None and tensor.node is not node:
            continue  # its gradient is no longer asked for
        if tensor._grad is None:
            tensor._grad = _cloned(g) if create_graph else traced(unshared(g, taken))
        else:
            accumulate(tensor, g)
        if node.after:
            for hook in list(node.after.values()):
                if hook(tensor) is not None:
                    raise RuntimeError("backward: a hook of register_post_accumulate_grad_hook must return None")
            if node.tensor() is None:
                node.grad = tensor._grad


def accumulate(tensor: Any, g: Any) -> None:
    """Add `g`, an array or a Tensor, to the `.grad` that a tensor has."""
    known = tensor._grad
    if isinstance(g, Traced):
        tensor._grad = known + g
        return
    token = None
    try:
        token = be_quiet()
        with at_home(g):
            known.array += g
    finally:
        quiet_no_more(token) if token is not None else lost()
    changed_in_place(known.array, "an accumulation into .grad")


def retain_grad(input: Traced) -> None:
    """Keep `.grad` of this tensor too, though it is not a leaf."""
    if input.node is None:
        raise RuntimeError("retain_grad: this tensor does not require grad")
    if type(input.node) is Leaf or retains_grad(input):
        return
    input.node.hooks = {**(input.node.hooks or {}), "retain": Retained(input)}


def retains_grad(x: Traced) -> bool:
    """Whether `retain_grad` was called on this tensor, which is not a leaf."""
    return type(x.node) is Node and "retain" in (x.node.hooks or {})


class Retained:
    """The hook of a tensor that keeps its gradient, wherever on the tape its changes in place move it."""

    __slots__ = ("tensor",)

    def __init__(self, x: Traced):
        self.tensor = weakref.ref(x)  # to hold the tensor would close a circle with its node

    def __call__(self, g: Traced) -> None:
        tensor = self.tensor()
        if tensor is not None:
            known = tensor._grad
            with recording(g.node is not None):
                tensor._grad = _cloned(g) if known is None else g + known


# -- where it begins ------------------------------------------------------------------------------


def tensors(ends: Any) -> tuple[Any, ...]:
    """One or several tensors as a tuple, of which some may be given by what stands for them (`as_traced()`)."""
    if isinstance(ends, Traced):
        return (ends,)
    ends = (ends,) if hasattr(ends, "as_traced") else tuple(ends)
    return tuple(end.as_traced() if hasattr(end, "as_traced") else end for end in ends)


def _roots(call: str, outputs: Any, gradients: Any, create_graph: bool) -> list[tuple[Any, Any]]:
    outputs = (outputs,) if isinstance(outputs, Traced) else tensors(outputs)
    if not isinstance(gradients, (tuple, list)):
        gradients = (gradients,) * (len(outputs) if gradients is None else 1)
    if len(gradients) != len(outputs):
        raise BadValue(f"{call}: got {len(outputs)} outputs but {len(gradients)} gradients for them")
    return [_root(call, output, gradient, create_graph) for output, gradient in zip(outputs, gradients)]


def _root(call: str, output: Any, gradient: Any, create_graph: bool) -> tuple[Any, Any]:
    """Where the walk begins with `output`, at its entry: with the gradient given, or with one for a scalar."""
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
            return output.node, array.dtype.type(1)  # 0.2 us; np.ones_like takes 2
        with at_home(array):
            ones = namespace_of(array).ones_like(array)
        return output.node, traced(ones) if create_graph else ones
    if not isinstance(gradient, Traced):
        raise TypeError(f"{call}: expected a Tensor (or None) as the gradient, got {type(gradient).__name__}")
    if gradient.array.shape != array.shape:
        raise BadValue(f"{call}: the gradient's shape {gradient.array.shape} is not the output's, {array.shape}")
    if gradient.array.dtype != array.dtype:
        gradient = gradient.to(array.dtype)
    return output.node, gradient if create_graph else gradient.array


def _walk(roots: Any, retain_graph: bool | None, create_graph: bool, targets: frozenset[Any] | None) -> dict[Any, Any]:
    """`walk` as it is asked for: rules on Tensors are recorded, arithmetic is silent, and whoever watches is told."""
    keep = create_graph if retain_graph is None else retain_graph
    remember()
    watching, found, token = observers.get(), None, None
    try:
        token = be_quiet()
        for observer in watching:
            observer.started(roots)
        if create_graph or gpu.several:
            with recording(create_graph or is_grad_enabled()), at_home(roots[0][1]):
                found = walk(roots, keep, create_graph, targets, watching)
        else:
            found = walk(roots, keep, False, targets, watching)
        return found
    finally:
        quiet_no_more(token) if token is not None else lost()
        for observer in observers.get():
            observer.finished(found)
