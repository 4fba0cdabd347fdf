"""`grad` and `backward` with PyTorch's arguments, on top of the engine's."""

from __future__ import annotations

from typing import Any

from tinygrad_lite import roots
from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.arrays.gpu import at_home
from tinygrad_lite.autograd.function import Function
from tinygrad_lite.engine.context import recording
from tinygrad_lite.engine.tape import Traced, traced

__all__ = ["backward", "grad"]


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
    """The gradients of `outputs` (summed) with respect to `inputs`, as a tuple. Changes nothing.

    `grad_outputs`: a cotangent for each output; not needed for a scalar. `create_graph`: record the computation of the
    gradients, so that they can themselves be differentiated. `allow_unused`: return None for an input that no output
    depends on, instead of raising; `materialize_grads`: return zeros. `is_grads_batched`: `grad_outputs` hold several
    cotangents along a first dim, as do the results; each takes one backward pass.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> (dx,) = grad(x**3, x, create_graph=True)
    >>> dx.item(), grad(dx, x)[0].item()  # 3 x^2 and 6 x
    (27.0, 18.0)
    """
    if allow_unused is None:
        allow_unused = materialize_grads
    elif materialize_grads and not allow_unused:
        raise ValueError("grad: materialize_grads=True gives zeros for inputs that are not used; allow_unused=False refuses them")
    inputs = roots.tensors(inputs)
    keep = create_graph if retain_graph is None else retain_graph
    rows = _cotangents(grad_outputs) if is_grads_batched else [grad_outputs]
    walks = []
    for i, row in enumerate(rows):
        found = roots.grad(outputs, inputs, row, keep or i < len(rows) - 1, create_graph)
        unused = [i for i, g in enumerate(found) if g is None]
        if unused and not allow_unused:
            raise RuntimeError(f"grad: no output depends on input {', '.join(map(str, unused))}; pass allow_unused=True to get None there")
        walks.append(found)
    gradients = [None if column[0] is None else _stacked(column) for column in zip(*walks)] if is_grads_batched else walks[0]
    if not materialize_grads:
        return tuple(gradients)
    recorded = create_graph and not is_grads_batched
    return tuple(_zeros(x, recorded) if g is None else g for x, g in zip(inputs, gradients))


def _zeros(x: Any, create_graph: bool) -> Any:
    with at_home(x):
        zeros = traced(namespace_of(x.array).zeros_like(x.array, order="C"))
    return zeros.requires_grad_() if create_graph else zeros


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` (summed) to the `.grad` of the leaves they depend on.

    `inputs`: only fill these tensors' `.grad`; non-leaves retain theirs from here on, as with `retain_grad()`. See `grad`
    for the other arguments.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> backward([x * 2, x * x], [tg.ones(2), tg.ones(2)])
    >>> x.grad  # 2 + 2 x
    tensor([4., 6.])
    """
    roots.backward(tensors, grad_tensors, retain_graph, create_graph, inputs)


def _cotangents(batched: Any) -> list[tuple[Any, ...]]:
    """The cotangents in `is_grads_batched` arguments, one by one."""
    batched = (batched,) if isinstance(batched, Traced) else tuple(batched or ())
    sizes = {g.array.shape[:1] if isinstance(g, Traced) else () for g in batched}
    if len(sizes) != 1 or sizes <= {(), (0,)}:
        given = [g.array.shape if isinstance(g, Traced) else type(g).__name__ for g in batched]
        raise ValueError(f"grad: expected grad_outputs with one first dim that is not empty (is_grads_batched), got {given}")
    return list(zip(*batched))


def _stacked(tensors: Any) -> Any:
    with recording():
        return Stack.apply(*tensors)


class Stack(Function):
    """Tensors of one shape along a new first dim."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any) -> Any:
        arrays = [t.array for t in tensors]
        with at_home(arrays[0]):
            return traced(namespace_of(arrays[0]).stack(arrays))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return tuple(g)
