"""`backward` and `grad`: what is asked of the walk along the tape."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_array, is_array, namespace_for, namespace_of, on_device, owner_of
from tinygrad_lite.arrays.quiet import enter as be_quiet
from tinygrad_lite.arrays.quiet import leave as quiet_no_more
from tinygrad_lite.arrays.quiet import lost, remember
from tinygrad_lite.engine.errors import BadValue
from tinygrad_lite.engine.mode import enable_grad
from tinygrad_lite.engine.tape import GradientEdge, Leaf, Node, Traced, changed_in_place, traced
from tinygrad_lite.engine.walk import walk


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
    give zeros. `is_grads_batched`: each of `grad_outputs` holds several cotangents along a first
    dim, and so do the results; for each of them the tape is walked once.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> (dx,) = grad(x**3, x, create_graph=True)
    >>> dx.item(), grad(dx, x)[0].item()  # 3 x^2 and 6 x
    (27.0, 18.0)
    """
    inputs = (inputs,) if isinstance(inputs, Traced) else _ends(inputs)
    if not inputs:
        raise ValueError("grad: expected at least one input")
    for i, tensor in enumerate(inputs):
        if not isinstance(tensor, Traced):
            raise TypeError(f"grad: expected Tensors as inputs, got {type(tensor).__name__} at place {i}")
        if tensor.node is None:
            raise RuntimeError(f"grad: input {i} does not require grad; call requires_grad_() before it is used")
    if allow_unused is None:
        allow_unused = materialize_grads
    elif materialize_grads and not allow_unused:
        raise ValueError("grad: materialize_grads=True gives zeros for inputs that are not used; allow_unused=False refuses them")
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        rows = _cotangents(grad_outputs)
        last = len(rows) - 1
        results = [grad(outputs, inputs, row, keep or i < last, create_graph, True, allow_unused) for i, row in enumerate(rows)]
        columns = [None if column[0] is None else _stacked(column) for column in zip(*results)]
        return tuple(t.new_zeros(t.shape) if g is None and materialize_grads else g for t, g in zip(inputs, columns))
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
            if not materialize_grads:
                return None
            zeros = traced(namespace_of(tensor.array).zeros_like(tensor.array, order="C"))
            return zeros.requires_grad_() if create_graph else zeros
        if create_graph:
            owner = owner_of(g.array)
            if not g.array.flags.c_contiguous or id(owner) in taken:
                return _cloned(g)
            taken[id(owner)] = owner
            return g
        return traced(_unshared(g, taken))

    cotangents = grad_outputs if isinstance(grad_outputs, (tuple, list)) else (grad_outputs,)
    for cotangent in cotangents:
        if cotangent is not None:
            taken[id(owner_of(cotangent.array))] = cotangent.array
    return tuple(result(tensor) for tensor in inputs)


def _cotangents(batched: Any) -> list[tuple[Any, ...]]:
    """What `is_grads_batched` holds, one after another."""
    batched = (batched,) if isinstance(batched, Traced) else tuple(batched or ())
    sizes = {g.array.shape[:1] if isinstance(g, Traced) else () for g in batched}
    if len(sizes) != 1 or sizes <= {(), (0,)}:
        given = [g.array.shape if isinstance(g, Traced) else type(g).__name__ for g in batched]
        raise ValueError(f"grad: expected grad_outputs with one first dim that is not empty (is_grads_batched), got {given}")
    return list(zip(*batched))


def _stacked(tensors: Any) -> Any:
    from tinygrad_lite.autograd.batching import Stack

    with enable_grad():
        return Stack.apply(*tensors)


def _cloned(g: Any) -> Any:
    """A copy of a gradient on the tape, with its elements in order in memory, as all gradients that are handed out:
    programs take views of them, and change them in place."""
    with enable_grad():
        return g.clone() if g.array.flags.c_contiguous else g.contiguous()


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` (summed) to the `.grad` of the leaves they depend on.

    `inputs`: only these tensors' `.grad`; those that are no leaves retain it from here on, as by `retain_grad()`.
    See `grad` for the other arguments.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> backward([x * 2, x * x], [tg.ones(2), tg.ones(2)])
    >>> x.grad  # 2 + 2 x
    tensor([4., 6.])
    """
    keep = create_graph if retain_graph is None else retain_graph
    targets = None
    if inputs is not None:
        inputs = (inputs,) if isinstance(inputs, Traced) else _ends(inputs)
        if not inputs:
            raise BadValue("backward: inputs is empty; leave it out to reach every leaf")
        if any(not isinstance(t, Traced) or t.node is None for t in inputs):
            raise RuntimeError("backward: every one of inputs must be a Tensor that requires grad")
        targets = frozenset(t.node for t in inputs)
    roots = _roots("backward", tensors, grad_tensors, create_graph)
    for t in inputs or ():
        retain_grad(t)
    found = _walk(roots, keep, create_graph, targets)
    # The arrays that belong to somebody already: first of all to the caller.
    taken = {} if grad_tensors is None or create_graph else {id(owner_of(g)): g for _, g in roots if is_array(g)}
    into = {} if inputs is None else {t.node: t for t in inputs}
    for node, g in found.items():
        if inputs is None:
            tensor = node.tensor()
            if tensor is None:
                if not node.after:
                    continue  # the program has dropped it
                tensor = traced(node.array, node)
                tensor._grad = node.grad
            elif tensor.node is not node:
                continue  # its gradient is no longer asked for
        elif type(node) is Leaf:
            tensor = into[node]
        else:
            continue  # what is no leaf keeps its gradient as it passes
        if tensor._grad is None:
            tensor._grad = _cloned(g) if create_graph else traced(_unshared(g, taken))
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
    else:
        token = None
        try:
            token = be_quiet()
            known.array += g
        finally:
            quiet_no_more(token) if token is not None else lost()
        changed_in_place(known.array, "an accumulation into .grad")


def retain_grad(x: Traced) -> None:
    """Keep `.grad` of this tensor too, though it is not a leaf."""
    if x.node is None:
        raise RuntimeError("retain_grad: this tensor does not require grad")
    if type(x.node) is Leaf or retains_grad(x):
        return
    x.node.hooks = {**(x.node.hooks or {}), "retain": _Retain(x)}


class _Retain:
    """The hook of a tensor that keeps its gradient, wherever on the tape its changes in place move it."""

    __slots__ = ("tensor",)

    def __init__(self, x: Traced):
        self.tensor = weakref.ref(x)  # to hold the tensor would close a circle with its node

    def __call__(self, g: Traced) -> None:
        tensor = self.tensor()
        if tensor is not None:
            known = tensor._grad
            tensor._grad = _cloned(g) if known is None else g + known if g.node is not None else traced(as_array(known.array + g.array))


def retains_grad(x: Traced) -> bool:
    """Whether `retain_grad` was called on this tensor, which is not a leaf."""
    return type(x.node) is Node and "retain" in (x.node.hooks or {})


def _unshared(g: Any, taken: dict[int, Any]) -> Any:
    """`g` as an array that nobody else holds (`taken`: what is held). A rule may have returned one array
    for two inputs, or a view of the gradient that came in."""
    if type(g) is np.ndarray and g.base is None:  # as most are
        if g.flags.carray and id(g) not in taken:  # contiguous and writable
            taken[id(g)] = g
            return g
        return g.copy()
    g = as_array(g)
    owner = owner_of(g)
    if not g.flags.c_contiguous or (type(g) is np.ndarray and not g.flags.writeable) or owner.size != g.size or id(owner) in taken:
        return g.copy()
    taken[id(owner)] = owner
    return g


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
        raise BadValue(f"{call}: the gradient's shape {gradient.array.shape} is not the output's, {array.shape}")
    if gradient.array.dtype != array.dtype:
        gradient = gradient.to(array.dtype)
    return gradient if create_graph else gradient.array


def _ends(ends: Any) -> tuple[Any, ...]:
    """Tensors, of which some may be given as GradientEdges."""
    ends = (ends,) if type(ends) is GradientEdge else tuple(ends)
    return tuple(map(_at, ends)) if GradientEdge in map(type, ends) else ends


def _at(end: Any) -> Any:
    """The tensor of a GradientEdge, or one that stands in its place."""
    if type(end) is not GradientEdge:
        return end
    node = end.node
    tensor = node.tensor() if type(node) is Leaf else None
    if tensor is not None:
        return tensor
    xp = namespace_for(end.device)
    with on_device(end.device):
        return traced(xp.broadcast_to(xp.zeros((), node.dtype), node.shape), node)  # an element's memory, whatever the shape


def _roots(call: str, outputs: Any, gradients: Any, create_graph: bool) -> list[tuple[Any, Any]]:
    outputs = (outputs,) if isinstance(outputs, Traced) else _ends(outputs)
    if gradients is None:
        gradients = (None,) * len(outputs)
    elif not isinstance(gradients, (tuple, list)):
        gradients = (gradients,)
    if len(gradients) != len(outputs):
        raise BadValue(f"{call}: got {len(outputs)} outputs but {len(gradients)} gradients for them")
    return [
        (o.node if isinstance(o, Traced) else None, _starting_gradient(call, o, g, create_graph))
        for o, g in zip(outputs, gradients)
    ]


def _walk(roots: Any, keep: bool, create_graph: bool, targets: frozenset[Any] | None) -> dict[Any, Any]:
    """`walk` under the modes it needs: rules on Tensors are recorded, and arithmetic is silent."""
    remember()
    token = None
    try:
        token = be_quiet()
        if create_graph:
            with enable_grad():
                return walk(roots, keep=keep, create_graph=True, targets=targets, gradients=new_gradients())
        return walk(roots, keep=keep, create_graph=False, targets=targets, gradients=new_gradients())
    finally:
        quiet_no_more(token) if token is not None else lost()


new_gradients: Callable[[], dict[Any, Any]] = dict  # another kind while detect_anomaly() is in force


def wrap_walks(wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Have every walk from here on done by `wrapper(walk)`."""
    globals()["_walk"] = wrapper(_walk)
