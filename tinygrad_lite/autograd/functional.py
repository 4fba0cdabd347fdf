"""Derivatives of functions of tensors: `tinygrad_lite.autograd.functional`.

Each takes a function and the inputs to differentiate it at: a Tensor, or a tuple of Tensors, as the function returns. With
`create_graph=True` the results can themselves be differentiated; `strict=True` raises if an output does not depend on an
input, instead of returning zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.autograd.gradients import grad
from tinygrad_lite.engine.second import through
from tinygrad_lite.engine.tape import Leaf, Traced
from tinygrad_lite.ops import ones_like, stack, zeros, zeros_like

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = Sequence[Any]
Gradients = Sequence[Any]


# -- building blocks, shared with func.py ---------------------------------------------------------


def placed(x: Any, create_graph: bool = True) -> Any:
    """`x` as a separate input; it stays connected to x on the tape if the results are to be differentiable."""
    return through(x) if create_graph and x.node is not None else x.detach().requires_grad_()


def gradients(outputs: Tensors, inputs: Tensors, cotangents: Tensors, create_graph: bool) -> Gradients:
    """J^T v: a gradient for each input, or None if no output depends on it."""
    pairs = [(y, v) for y, v in zip(outputs, cotangents) if y.node is not None]
    if not pairs:
        return [None] * len(inputs)
    ys, vs = zip(*pairs)
    return grad(ys, inputs, vs, retain_graph=True, create_graph=create_graph, allow_unused=True)


def pushed(outputs: Tensors, inputs: Tensors, tangents: Tensors, create_graph: bool) -> Gradients:
    """J v by two backward passes: J^T u is linear in u, and the transpose of that map is J.

    (J. Townsend, "A new trick for calculating Jacobian vector products", 2017.)
    """
    us, columns = pulled(outputs, inputs)
    pairs = [(g, v) for g, v in zip(columns, tangents) if g is not None]
    return gradients([g for g, _ in pairs], us, [v for _, v in pairs], create_graph)


def pulled(outputs: Tensors, inputs: Tensors) -> tuple[list[Any], Gradients]:
    """Cotangents u of the outputs, and J^T u, whose gradient with respect to u gives J v."""
    us = [zeros_like(y.detach()).requires_grad_() for y in outputs]
    close(us)
    return us, gradients(outputs, inputs, us, create_graph=True)


def close(inputs: Tensors) -> None:
    """Record that no further gradients with respect to the leaves among `inputs` will be requested."""
    for x in inputs:
        if type(x.node) is Leaf:
            x.node.closed = True


def basis(x: Any) -> Iterator[Any]:
    """The unit tensors of x's shape: for each element, 1 there and 0 elsewhere."""
    for i in range(x.numel()):
        one = zeros_like(x.detach()).reshape(-1)
        one.array[i] = 1
        yield one.reshape(x.shape)


def by_rows(outputs: Tensors, inputs: Tensors, create_graph: bool) -> list[list[Any]]:
    """The Jacobian of each output with respect to each input, with one backward pass per output element."""
    result = []
    for y in outputs:
        rows = [gradients([y], inputs, [e], create_graph) for e in basis(y)]
        result.append([_block([row[i] for row in rows], 0, y, x) for i, x in enumerate(inputs)])
    return result


def by_columns(outputs: Tensors, inputs: Tensors, create_graph: bool) -> list[list[Any]]:
    """Like `by_rows`, with one pass per input element."""
    us, found = pulled(outputs, inputs)
    columns = [[gradients([g], us, [e], create_graph) for e in basis(g)] if g is not None else [] for g in found]

    def block(j: int, y: Any, i: int, x: Any) -> Any:
        whole = _block([column[j] for column in columns[i]], -1, y, x)
        return zeros((*y.shape, *x.shape), dtype=y.dtype, device=y.device) if whole is None else whole

    return [[block(j, y, i, x) for i, x in enumerate(inputs)] for j, y in enumerate(outputs)]


def _block(parts: list[Any], dim: int, output: Any, x: Any) -> Any:
    """The Jacobian of one output with respect to one input, from its rows (or columns)."""
    like = next((part for part in parts if part is not None), None)
    if like is None:
        return None
    whole = stack([zeros_like(like) if part is None else part for part in parts], dim)
    return whole.reshape((*output.shape, *x.shape))


# -- public functions -----------------------------------------------------------------------------


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(inputs), J^T v): the vector-Jacobian product with `v` (one tensor per output).

    `v` may be omitted for an output with one element.

    >>> import tinygrad_lite as tg
    >>> vjp(lambda x: x * x, tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        xs, ys, alone, alone_out = _run("vjp", func, inputs, create_graph, strict)
        vs = _directions("vjp", v, ys, "output", alone_out)
        found = _filled("vjp", gradients(ys, xs, vs, create_graph), xs, create_graph, strict)
    return _result(ys, alone_out, create_graph), _result(found, alone, create_graph)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(inputs), J v): the derivative of `func` along `v` (one tensor per input).

    >>> import tinygrad_lite as tg
    >>> jvp(lambda x: x * x, tg.tensor([1.0, 2.0]), tg.tensor([1.0, 0.0]))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    with enable_grad():
        xs, ys, alone, alone_out = _run("jvp", func, inputs, create_graph, strict)
        vs = _directions("jvp", v, xs, "input", alone)
        found = _filled("jvp", pushed(ys, xs, vs, create_graph), ys, create_graph, strict)
    return _result(ys, alone_out, create_graph), _result(found, alone_out, create_graph)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian, of shape (*output.shape, *input.shape); for tuples, result[output][input].

    `strategy`: "reverse-mode" computes rows, "forward-mode" (with `vectorize`) columns, which is cheaper if the inputs have
    fewer elements than the outputs. `vectorize` has no other effect.

    >>> import tinygrad_lite as tg
    >>> jacobian(lambda x: x * x, tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f"jacobian: strategy must be 'reverse-mode' or 'forward-mode', got {strategy!r}")
    if strict and vectorize:
        raise RuntimeError("jacobian: strict=True cannot be combined with vectorize=True")
    if strategy == "forward-mode" and not vectorize:
        raise ValueError("jacobian: strategy='forward-mode' needs vectorize=True")
    with enable_grad():
        xs, ys, alone, alone_out = _run("jacobian", func, inputs, create_graph, strict)
        blocks = (by_rows if strategy == "reverse-mode" else by_columns)(ys, xs, create_graph)
        rows = []
        for y, found in zip(ys, blocks):
            shapes = [zeros((*y.shape, *x.shape), dtype=x.dtype, device=x.device) for x in xs]
            rows.append(_result(_filled("jacobian", found, shapes, create_graph, strict), alone, create_graph))
    return rows[0] if alone_out else tuple(rows)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function with one output element, of shape (*input.shape, *input.shape); for a tuple of
    inputs, result[i][j].

    >>> import tinygrad_lite as tg
    >>> hessian(lambda x: (x * x * x).sum(), tg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*xs: Any) -> Any:
        ys, alone = _several("hessian", "the output of the function", func(*xs))
        if not alone:
            raise TypeError("hessian: the function must return a single Tensor, got a tuple")
        y = _scalar("hessian", ys)
        found = _filled("hessian", gradients([y], xs, [ones_like(y.detach())], True), xs, False, strict)
        return found[0] if isinstance(inputs, Traced) else tuple(found)

    _several("hessian", "inputs", inputs)
    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(inputs), v^T H) for a function with one output element, where H is its Hessian.

    >>> import tinygrad_lite as tg
    >>> vhp(lambda x: (x * x * x).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _second("vhp", func, inputs, v, create_graph, strict)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(inputs), H v): the same as `vhp`, since the Hessian is symmetric.

    >>> import tinygrad_lite as tg
    >>> hvp(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))  # 6 x v
    (tensor(9.), tensor([  6., 120.]))
    """
    return _second("hvp", func, inputs, v, create_graph, strict)


def _second(call: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool) -> Any:
    with enable_grad():
        xs, ys, alone, alone_out = _run(call, func, inputs, create_graph, strict)
        vs = _directions(call, v, xs, "input", alone)
        y = _scalar(call, ys)
        first = _filled(call, gradients([y], xs, [ones_like(y.detach())], True), xs, False, strict)
        found = _filled(call, gradients(first, xs, vs, create_graph), xs, create_graph, strict)
    return _result(ys, alone_out, create_graph), _result(found, alone, create_graph)


def _several(call: str, what: str, value: Any) -> tuple[tuple[Any, ...], bool]:
    """A Tensor or tuple of Tensors as a tuple, and whether it was a single Tensor."""
    tensors = value if isinstance(value, tuple) else (value,)
    for tensor in tensors:
        if not isinstance(tensor, Traced):
            raise TypeError(f"{call}: expected {what} to be a Tensor or a tuple of Tensors, got {type(tensor).__name__}")
    return tensors, tensors is not value


def _run(call: str, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool) -> Any:
    given, alone = _several(call, "inputs", inputs)
    xs = tuple(placed(x, create_graph) for x in given)
    ys, alone_out = _several(call, "the output of the function", func(*xs))
    for i, y in enumerate(ys):
        if strict and y.node is None:
            raise RuntimeError(f"{call}: output {i} does not depend on the inputs, which strict=True refuses")
    return xs, ys, alone, alone_out


def _directions(call: str, v: Any, like: Tensors, what: str, alone: bool) -> Tensors:
    if v is None:
        if not alone or like[0].numel() != 1:
            raise RuntimeError(f"{call}: v can be left out only for a single {what} of one element")
        return [ones_like(like[0].detach())]
    vs, _ = _several(call, "v", v)
    if [u.shape for u in vs] != [x.shape for x in like]:
        needed, got = ([tuple(t.shape) for t in tensors] for tensors in (like, vs))
        raise RuntimeError(f"{call}: v needs the shapes of the {what}s, {needed}, got {got}")
    return [u.to(x.dtype) for u, x in zip(vs, like)]


def _scalar(call: str, ys: Tensors) -> Any:
    if len(ys) != 1 or ys[0].numel() != 1:
        raise RuntimeError(f"{call}: the function must return one element, got {', '.join(str(tuple(y.shape)) for y in ys)}")
    return ys[0]


def _filled(call: str, found: Gradients, like: Tensors, create_graph: bool, strict: bool) -> list[Any]:
    """Replace None by zeros. With `strict`, raise instead, also for results that should be differentiable and are not."""
    for i, g in enumerate(found):
        if strict and (g is None or (create_graph and g.node is None)):
            raise RuntimeError(f"{call}: the derivative at place {i} is independent of the inputs, which strict=True refuses")
    return [zeros_like(x.detach()) if g is None else g for g, x in zip(found, like)]


def _result(tensors: Tensors, alone: bool, create_graph: bool) -> Any:
    kept = tuple(tensors) if create_graph else tuple(t.detach() for t in tensors)
    return kept[0] if alone else kept
