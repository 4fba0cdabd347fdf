"""Function transforms: gradients, Jacobians and batched versions of functions.

A transformed function can be transformed again (`grad(grad(f))`, `jacrev(grad(f))`). Arguments and results may be
trees: tuples, lists and dicts of Tensors."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.changes import tick
from tinygrad_lite.autograd import functional
from tinygrad_lite.autograd.grad_mode import enable_grad, is_grad_enabled
from tinygrad_lite.autograd.table import entries_behind
from tinygrad_lite.engine.tape import Leaf
from tinygrad_lite.ops import ones_like, stack, zeros, zeros_like
from tinygrad_lite.ops.movement.inplace import watched
from tinygrad_lite.ops.random.generators import draws, generators
from tinygrad_lite.stateless import functional_call, replace_all_batch_norm_modules_, stack_module_state

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip


# -- trees ----------------------------------------------------------------------------------------


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, Mapping):
        tree = tuple(tree.values())
    return [leaf for part in tree for leaf in _leaves(part)] if isinstance(tree, (tuple, list)) else [tree]


def _rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """A tree with the structure of `tree` and other leaves."""
    if isinstance(tree, Mapping):
        return {name: _rebuilt(part, leaves) for name, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = [_rebuilt(part, leaves) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return next(leaves)


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    return _rebuilt(tree, map(function, _leaves(tree)))


def _tensors(call: str, what: str, tree: Any) -> list[Tensor]:
    leaves = _leaves(tree)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise TypeError(f"{call}: expected {what} to be Tensors or tuples, lists, dicts of them, got {type(leaf).__name__}")
    return leaves


def _shapes(tensors: Sequence[Tensor]) -> list[tuple[int, ...]]:
    return [tuple(t.shape) for t in tensors]


# -- one run of a function ------------------------------------------------------------------------


class _Run:
    """One run of a function on inputs of its own, in a `with` block that ends when the transform returns. `on`: whether
    the results must stay on the tape, because they depend on more than those inputs: on the inputs of an enclosing
    transform, or on a captured tensor."""

    def __init__(self, call: str, func: Callable[..., Any], argnums: Any, has_aux: bool, args: tuple[Any, ...], kwargs: Any):
        places = argnums if isinstance(argnums, tuple) else (argnums,)
        if not places and call not in ("vjp", "jvp"):
            raise ValueError(f"{call}: argnums must name at least one argument")
        for place in places:
            if not isinstance(place, int):
                raise TypeError(f"{call}: argnums must be an int or a tuple of them, got {argnums!r}")
            if not -len(args) <= place < len(args):
                raise ValueError(f"{call}: argnums names argument {place}, but there are {len(args)} positional arguments")
        if len({place % len(args) for place in places}) < len(places):
            raise ValueError(f"{call}: argnums names an argument twice: {argnums!r}")
        outside = is_grad_enabled()
        given = tuple(args[place] for place in places)
        self.inputs = [functional.placed(x, outside) for x in _tensors(call, "the arguments to differentiate by", given)]
        self.tree = given if isinstance(argnums, tuple) else given[0]
        arguments = list(args)
        for place, value in zip(places, _rebuilt(given, iter(self.inputs))):
            arguments[place] = value
        started = tick()
        changes: list[Any] = []
        token = watched.set(changes)
        try:
            with enable_grad():
                out = func(*arguments, **kwargs)
        finally:
            watched.reset(token)
        _refuse_captured(call, changes, started, out)
        if has_aux and not (isinstance(out, tuple) and len(out) == 2):
            raise ValueError(f"{call}: with has_aux=True the function must return (output, aux)")
        self.out: Any
        self.aux: Any
        self.out, self.aux = out if has_aux else (out, None)
        self.outputs = _tensors(call, "the results", self.out)
        self.own = {id(x.node) for x in self.inputs}
        self.on = outside and self.depends(*_leaves(out))

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *exception: object) -> None:
        functional.close(self.inputs)

    def filled(self, found: Sequence[Tensor | None], like: Sequence[Tensor], on: bool | None = None) -> list[Tensor]:
        return [zeros_like(x.detach()) if g is None else self.kept(g, on) for g, x in zip(found, like)]

    def depends(self, *values: Any) -> bool:
        """Whether any of `values` depends on more than the inputs."""
        nodes = [value.node for value in values if isinstance(value, Tensor) and value.node is not None]
        return any(type(node) is Leaf and not node.closed and id(node) not in self.own for node in entries_behind(nodes))

    def kept(self, value: Any, on: bool | None = None) -> Any:
        """A result of the transform: on the tape only if it does depend on more than the inputs."""
        on = self.on if on is None else on
        if not isinstance(value, Tensor) or (on and (value.node is None or self.depends(value))):
            return value
        return value.detach()


def _refuse_captured(call: str, changes: list[Any], started: int, out: Any) -> None:
    """Refuse a function that wrote something that depends on its inputs into an outside tensor, and undo the write."""

    def captured() -> list[Any]:
        results = [t for t in _leaves(out) if isinstance(t, Tensor)]
        known = {id(t) for t in results} | {id(t.base) for t in results}
        return [
            (x, node, values)
            for x, node, values in ((reference(), node, values) for reference, node, values in changes)
            if x is not None and _is_inside(x.node, started) and not _is_inside(node, started) and id(x) not in known
        ]

    if captured():
        gc.collect()  # the function's own tensors may survive in a reference cycle
    found = captured()
    if found:
        for x, node, values in reversed(found):
            x.array[...] = values
            x.node = None  # and with it that of its views
            x._rebase(node)
        raise RuntimeError(
            f"{call}: the function changes in place a tensor of shape {tuple(found[0][0].shape)} that it did not make itself; "
            "return what it should hold instead (has_aux=True), or change a clone"
        )


def _is_inside(node: Any, started: int) -> bool:
    return node is not None and node.index > started


def grad_and_value(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that returns (gradient, value) of `func`; see `grad`.

    >>> import tinygrad_lite as tg
    >>> grad_and_value(lambda x: x**3)(tg.tensor(2.0))  # 3 x^2 and x^3
    (tensor(12.), tensor(8.))
    """

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _Run("grad", func, argnums, has_aux, args, kwargs) as run:
            if not isinstance(run.out, Tensor) or run.out.ndim:
                got = f"shape {tuple(run.out.shape)}" if isinstance(run.out, Tensor) else type(run.out).__name__
                raise RuntimeError(f"grad: the function must return a scalar (0-d) Tensor, got {got}; others: vjp, jacrev")
            with enable_grad():
                found = functional.gradients([run.out], run.inputs, [ones_like(run.out.detach())], run.on)
            gradient = _rebuilt(run.tree, iter(run.filled(found, run.inputs)))
            value = run.kept(run.out)
            return gradient, ((value, _map(run.kept, run.aux)) if has_aux else value)

    return wrapped


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a scalar function with respect to the arguments at `argnums`.

    `has_aux`: `func` returns (value, aux), and its gradient returns (gradient, aux).

    >>> import tinygrad_lite as tg
    >>> f = lambda x: x**3
    >>> grad(f)(tg.tensor(2.0)), grad(grad(f))(tg.tensor(2.0))
    (tensor(12.), tensor(12.))
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Return (func(*primals), pull), followed by aux if `has_aux`. `pull(cotangents)` is a tuple of J^T v, one entry per
    primal.

    >>> import tinygrad_lite as tg
    >>> y, pull = vjp(lambda x: x * x, tg.tensor([1.0, 2.0]))
    >>> pull(tg.tensor([1.0, 1.0]))
    (tensor([2., 4.]),)
    """
    with _Run("vjp", func, tuple(range(len(primals))), has_aux, primals, {}) as run:

        def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
            vs = _tensors("vjp", "the cotangents", cotangents)
            if [v.shape for v in vs] != [y.shape for y in run.outputs]:
                raise RuntimeError(f"vjp: the cotangents need the shapes of the outputs, {_shapes(run.outputs)}, got {_shapes(vs)}")
            on = (run.on or any(v.node is not None for v in vs)) and is_grad_enabled()
            with enable_grad():
                found = functional.gradients(run.outputs, run.inputs, vs, on)
            return _rebuilt(primals, iter(run.filled(found, run.inputs, on)))

        value = _map(run.kept, run.out)
        return (value, pull, _map(run.kept, run.aux)) if has_aux else (value, pull)


def jvp(func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """Return (func(*primals), J v), followed by aux if `has_aux`: the derivative along `tangents`, computed by two
    backward passes.

    >>> import tinygrad_lite as tg
    >>> jvp(tg.sin, (tg.tensor(0.0),), (tg.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise TypeError("jvp: expected primals and tangents to be tuples: func is called as func(*primals)")
    with _Run("jvp", func, tuple(range(len(primals))), has_aux, primals, {}) as run:
        vs = _tensors("jvp", "the tangents", tangents)
        if [v.shape for v in vs] != [x.shape for x in run.inputs]:
            raise RuntimeError(f"jvp: the tangents need the shapes of the primals, {_shapes(run.inputs)}, got {_shapes(vs)}")
        run.on = run.on or (is_grad_enabled() and any(v.node is not None for v in vs))
        with enable_grad():
            found = functional.pushed(run.outputs, run.inputs, vs, run.on)
        if strict and any(g is None for g in found):
            raise RuntimeError("jvp: an output does not depend on the primals, which strict=True refuses")
        value, tangent = _map(run.kept, run.out), _rebuilt(run.out, iter(run.filled(found, run.outputs)))
        return (value, tangent, _map(run.kept, run.aux)) if has_aux else (value, tangent)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Return (func(*primals), push): `push(*tangents)` is J v at the primals, without running `func` again.

    >>> import tinygrad_lite as tg
    >>> y, push = linearize(lambda x: x * x, tg.tensor([1.0, 2.0]))
    >>> push(tg.tensor([1.0, 1.0]))
    tensor([2., 4.])
    """
    with _Run("linearize", func, tuple(range(len(primals))), False, primals, {}) as run:
        us, pulled = functional.pulled(run.outputs, run.inputs)

        def push(*tangents: Any) -> Any:
            vs = _tensors("linearize", "the tangents", tangents)
            if _shapes(vs) != _shapes(run.inputs):
                raise ValueError(f"linearize: the tangents need the shapes of the primals, {_shapes(run.inputs)}, got {_shapes(vs)}")
            pairs = [(g, v) for g, v in zip(pulled, vs) if g is not None]
            with enable_grad():
                found = functional.gradients([g for g, _ in pairs], us, [v for _, v in pairs], run.on)
            return _rebuilt(run.out, iter(run.filled(found, run.outputs)))

        return _map(run.kept, run.out), push


def _jacobian(call: str, func: Callable[..., Any], argnums: Any, has_aux: bool, blocks_of: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _Run(call, func, argnums, has_aux, args, kwargs) as run:
            with enable_grad():
                blocks = blocks_of(run.outputs, run.inputs, run.on)
            trees = []
            for y, row in zip(run.outputs, blocks):
                filled = [
                    zeros((*y.shape, *x.shape), dtype=x.dtype, device=x.device) if block is None else run.kept(block)
                    for block, x in zip(row, run.inputs)
                ]
                trees.append(_rebuilt(run.tree, iter(filled)))
            result = _rebuilt(run.out, iter(trees))
            return (result, _map(run.kept, run.aux)) if has_aux else result

    return wrapped


def jacrev(
    func: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """The Jacobian with respect to the arguments at `argnums`, of shape (*output.shape, *input.shape), row by row.

    >>> import tinygrad_lite as tg
    >>> jacrev(lambda x: x * x)(tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_chunks("jacrev", chunk_size)
    return _jacobian("jacrev", func, argnums, has_aux, functional.by_rows)


def _check_chunks(call: str, chunk_size: int | None) -> None:
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"{call}: expected chunk_size of at least 1, got {chunk_size}")


def jacfwd(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """As `jacrev`, column by column: less work where the inputs have fewer elements than the outputs.

    >>> import tinygrad_lite as tg
    >>> jacfwd(lambda x: tg.stack([x[0] * x[1], x[0] + x[1], x[0]]))(tg.tensor([2.0, 5.0]))
    tensor([[5., 2.],
            [1., 1.],
            [1., 0.]])
    """
    return _jacobian("jacfwd", func, argnums, has_aux, functional.by_columns)


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The second derivatives with respect to the arguments at `argnums`: the Jacobian of the Jacobian.

    >>> import tinygrad_lite as tg
    >>> hessian(lambda x: (x * x * x).sum())(tg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Map `func` over a batch: over dim `in_dims` of the arguments (None: not mapped), with results stacked along
    `out_dims`.

    This is a loop that calls `func` once per batch entry and stacks the results. It is correct for any function, and
    no faster than the loop. `randomness`: whether `func` may draw random numbers ("error": it may not), and whether
    the entries get "different" ones or the "same".

    >>> import tinygrad_lite as tg
    >>> vmap(tg.dot)(tg.ones(3, 2), tg.ones(3, 2))
    tensor([2., 2., 2.])
    """

    if randomness not in ("error", "different", "same"):
        raise ValueError(f"vmap: expected randomness 'error', 'different' or 'same', got {randomness!r}")
    _check_chunks("vmap", chunk_size)

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves = _leaves(args)
        dims = _spread(in_dims if isinstance(in_dims, (tuple, list)) else (in_dims,) * len(args), args, "in_dims")
        sizes = {x.shape[d] for x, d in zip(leaves, dims) if d is not None}
        if len(sizes) != 1:
            raise ValueError(f"vmap: expected one size along the mapped dims, got {sorted(sizes) or 'no dim to map'}")
        (size,) = sizes
        results = []
        before = [(g, g.get_state()) for g in generators()] if randomness == "same" else []
        drawn = draws()
        for i in range(size):
            for generator, state in before:
                generator.set_state(state)
            entry = iter([x if d is None else x.select(d, i) for x, d in zip(leaves, dims)])
            results.append(func(*_rebuilt(args, entry), **kwargs))
            if randomness == "error" and draws() != drawn:
                raise RuntimeError("vmap: the function drew random numbers; say which by randomness='different' or 'same'")
        if not results:  # empty batch: a call on zeros gives the shapes of the results
            shapes = [[n for i, n in enumerate(x.shape) if d is None or i != d % x.ndim] for x, d in zip(leaves, dims)]
            like = func(*_rebuilt(args, (x.new_zeros(shape) for x, shape in zip(leaves, shapes))), **kwargs)
            out = _spread(out_dims, like, "out_dims")
            empty = (y.new_zeros((0, *y.shape)).movedim(0, d or 0) for y, d in zip(_tensors("vmap", "the results", like), out))
            return _rebuilt(like, empty)
        parts = zip(*[_tensors("vmap", "the results", r) for r in results])
        out = _spread(out_dims, results[0], "out_dims")
        return _rebuilt(results[0], (stack(part, dim) if dim is not None else part[0] for part, dim in zip(parts, out)))

    return wrapped


def _spread(dims: Any, tree: Any, what: str) -> list[Any]:
    """A dim for each leaf of `tree`; a single dim applies to all leaves below it."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(_leaves(tree))
    parts = tuple(tree.values()) if isinstance(tree, Mapping) else tree
    dims = tuple(dims.values()) if isinstance(dims, Mapping) else dims
    if not isinstance(parts, (tuple, list)) or not isinstance(dims, (tuple, list)) or len(dims) != len(parts):
        raise ValueError(f"vmap: {what} does not match the structure it is for: {dims!r}")
    return [d for dim, part in zip(dims, parts) for d in _spread(dim, part, what)]
