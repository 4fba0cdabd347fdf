"""The arguments of `grad` and `backward`: the tensors to differentiate, and their cotangents."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.gpu import at_home
from tinygrad_lite.engine import grad as engine
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.hooks import retain_grad


def grad(
    outputs: Any, inputs: tuple[Any, ...], grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs` (see `tensors`), None where no output depends on one."""
    if not inputs:
        raise ValueError("grad: expected at least one input")
    for i, tensor in enumerate(inputs):
        if not isinstance(tensor, Traced):
            raise TypeError(f"grad: expected Tensors as inputs, got {type(tensor).__name__} at place {i}")
        if tensor.node is None:
            raise RuntimeError(f"grad: input {i} does not require grad; call requires_grad_() before it is used")
    return engine.grad(roots_of("grad", outputs, grad_outputs, create_graph), inputs, retain_graph, create_graph)


def backward(
    outputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Add the gradients of `outputs` to the `.grad` of the leaves they depend on, or of `inputs`."""
    if inputs is not None:
        inputs = tensors(inputs)
        if not inputs:
            raise BadValue("backward: inputs is empty; leave it out to reach every leaf")
        if any(not isinstance(t, Traced) or t.node is None for t in inputs):
            raise RuntimeError("backward: every one of inputs must be a Tensor that requires grad")
    roots = roots_of("backward", outputs, grad_outputs, create_graph)
    for t in inputs or ():
        retain_grad(t)
    engine.backward(roots, inputs, retain_graph, create_graph)


def tensors(given: Any) -> tuple[Any, ...]:
    """One or several tensors as a tuple; stand-ins (GradientEdges, by `as_traced()`) are replaced by tensors."""
    if isinstance(given, Traced):
        return (given,)
    given = (given,) if hasattr(given, "as_traced") else tuple(given)
    return tuple(one.as_traced() if hasattr(one, "as_traced") else one for one in given)


def roots_of(call: str, outputs: Any, gradients: Any, create_graph: bool) -> list[tuple[Any, Any]]:
    """The nodes of `outputs`, each with its cotangent."""
    outputs = (outputs,) if isinstance(outputs, Traced) else tensors(outputs)
    if not isinstance(gradients, (tuple, list)):
        gradients = (gradients,) * (len(outputs) if gradients is None else 1)
    if len(gradients) != len(outputs):
        raise BadValue(f"{call}: got {len(outputs)} outputs but {len(gradients)} gradients for them")
    return [_root(call, output, gradient, create_graph) for output, gradient in zip(outputs, gradients)]


def _root(call: str, output: Any, gradient: Any, create_graph: bool) -> tuple[Any, Any]:
    """The node of `output`, with the given cotangent, or 1 for a scalar."""
    if not isinstance(output, Traced):
        raise TypeError(f"{call}: expected a Tensor to differentiate, got {type(output).__name__}")
    array = output.array
    if output.node is None:
        raise RuntimeError(
            f"{call}: this tensor of shape {array.shape} does not require grad: "
            "nothing it was computed from does, or it was computed under no_grad() or detached"
        )
    if gradient is None:
        if array.size != 1:
            raise RuntimeError(
                f"{call}: grad can be implicitly created only for scalar outputs, and this one has shape {array.shape}; "
                "sum() it, or pass the gradient"
            )
        if type(array) is np.ndarray and not array.ndim and not create_graph:
            return output.node, array.dtype.type(1)  # 0.2 us; np.ones_like takes 2 us
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
