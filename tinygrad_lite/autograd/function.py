"""`Function`: a user-defined operation with a hand-written backward."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from tinygrad_lite.arrays import as_array
from tinygrad_lite.arrays.changes import change_since, changed_in_place, tick
from tinygrad_lite.arrays.errors import freed
from tinygrad_lite.arrays.views import add_view
from tinygrad_lite.autograd.grad_mode import is_grad_enabled, no_grad
from tinygrad_lite.engine.context import observers
from tinygrad_lite.engine.record import result_of
from tinygrad_lite.engine.tape import Leaf, Node, Traced, traced


class Context:
    """Passes data from `forward` to `backward`: their argument `ctx`."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._saved: Any = []
        self._saved_at = 0
        self._to_save: tuple[Any, ...] = ()
        self._not_differentiable: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._place_of: dict[int, int] = {}  # each result's position, by id, until apply returns
        self._materialize = True
        self._node: Node | None = None
        self._freed = ""  # the error message once freed

    def save_for_backward(self, *tensors: Any) -> None:
        """Save tensors (inputs, results, others, or None) for `backward`, as `ctx.saved_tensors`."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Traced):
                raise TypeError(f"save_for_backward: expected Tensors, got {type(tensor).__name__}; set it on ctx instead")
        self._to_save = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Mark results as having no gradient."""
        self._not_differentiable = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Mark inputs that `forward` changed in place and returned."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` receives zeros (the default) or None for results that no gradient reaches."""
        self._materialize = bool(value)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved tensors, with their tape entries."""
        if self._freed:
            raise RuntimeError(self._freed)
        result = []
        for item in self._saved:
            if isinstance(item, tuple):  # a result: keeping the Tensor would be a reference cycle
                array, place = item
                item = traced(array, self._node and result_of(self._node, place))
            if item is not None and type(self._saved) is list:  # otherwise packed by saved_tensors_hooks
                operation = change_since(item.array, self._saved_at)
                if operation is not None:
                    raise RuntimeError(
                        f"backward: a tensor of shape {item.array.shape} saved by a Function was changed in place by {operation}"
                    )
            result.append(item)
        return tuple(result)

    def on_tape(self, node: Node) -> Context:
        """This context for a differentiable backward, with saved results on the tape."""
        context = object.__new__(type(self))
        context.__dict__.update(self.__dict__, _node=node)
        return context


class FunctionNode(Node):
    """The tape entry of a Function. Freeing it empties its context, which the program may also hold."""

    __slots__ = ("context",)

    context: Context

    @property
    def saved(self) -> Any:
        return [self.context]

    @saved.setter
    def saved(self, value: Any) -> None:
        if value is None:
            self.context._saved, self.context._freed = (), freed(self.name, self.index)


class Function:
    """Base class of operations with a hand-written backward.

    `forward(ctx, *args)` computes the result (under `no_grad`); `backward(ctx, *grads)` returns a gradient, or None, for
    each argument of forward.

    >>> import tinygrad_lite as tg
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x * x
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise TypeError("Function: a subclass must define forward as a staticmethod")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise TypeError("Function: a subclass must define backward as a staticmethod")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the operation on `args` and record it; keyword arguments follow the order of `forward`."""
        own_context = not hasattr(cls, "setup_context")  # otherwise PyTorch's other form: forward without ctx
        if kwargs:
            args = inspect.signature(cls.forward).bind(*[None] * own_context, *args, **kwargs).args[own_context:]
        ctx = Context()
        outputs: Any
        ctx.needs_input_grad = tuple(isinstance(a, Traced) and a.node is not None for a in args)
        with no_grad():
            if own_context:
                outputs = cls.forward(ctx, *args)
            else:
                outputs = cls.forward(*args)
                cls.setup_context(ctx, args, outputs)  # type: ignore[attr-defined]
        outputs = tuple(outputs) if isinstance(outputs, list) else outputs
        several = isinstance(outputs, tuple)
        results = list(outputs) if several else [outputs]
        if not all(isinstance(r, Traced) or several for r in results):
            raise TypeError(f"{cls.__name__}: forward must return a Tensor or a tuple, got {type(results[0]).__name__}")
        arguments = {id(a) for a in args}
        node = _recorded(cls, ctx, args, arguments, results) if any(ctx.needs_input_grad) and is_grad_enabled() else None
        results = [_result(r, node, ctx, arguments) if isinstance(r, Traced) else r for r in results]
        ctx._dirty = ctx._not_differentiable = ()
        ctx._place_of = {}
        return tuple(results) if several else results[0]


def _recorded(cls: type[Function], ctx: Context, args: tuple[Any, ...], arguments: set[int], results: list[Any]) -> Node:
    """The tape entry of one call of a Function."""
    tensors = [r for r in results if isinstance(r, Traced)]
    _check_dirty(cls.__name__, ctx._dirty, tensors)
    for tensor in ctx._dirty:
        changed_in_place(tensor.array, cls.__name__)
    node = FunctionNode()
    count = itertools.count()
    places_of_all = [next(count) if isinstance(r, Traced) else None for r in results]
    node.plan = _FunctionPlan(cls, ctx.needs_input_grad, places_of_all, ctx._materialize)
    node.parents = [a.node for a, needed in zip(args, ctx.needs_input_grad) if needed]
    node.context = ctx
    node.index = tick()
    node.shape = tuple(t.array.shape for t in tensors)
    node.dtype = tuple(t.array.dtype for t in tensors)
    node.hooks = None
    ctx._place_of = {id(t): place for place, t in enumerate(tensors)}
    ctx._saved = [_saved(t, ctx, arguments) for t in ctx._to_save]
    ctx._saved_at = tick()
    ctx._to_save = ()
    for observer in observers.get():
        observer.recorded(node, [a.array for a in args if isinstance(a, Traced)], [t.array for t in tensors])
    return node


def _check_dirty(name: str, dirty: tuple[Any, ...], results: list[Any]) -> None:
    """Refuse an in-place change by a Function that gradients cannot follow."""
    for tensor in dirty:
        base = tensor.base
        if not _is_one_of(tensor, results):
            raise RuntimeError(f"{name}: a tensor given to mark_dirty was not returned; forward must return each that it changed")
        if type(tensor.node) is Leaf:
            raise RuntimeError(f"{name}: a leaf that requires grad was changed in place; do it on a clone")
        if base is not None and tensor.node is not None and type(base.node) is not Node:
            raise RuntimeError(f"{name}: a view of a leaf that requires grad was changed in place; do it on a clone")


def _saved(tensor: Any, ctx: Context, arguments: set[int]) -> Any:
    """What to save for a tensor given to save_for_backward: a result's array and position, because saving the tensor would
    be a reference cycle; any other tensor as it is now."""
    if tensor is None:
        return None
    if _is_one_of(tensor, ctx._not_differentiable):
        return traced(tensor.array)
    place = ctx._place_of.get(id(tensor))
    if place is not None and (id(tensor) not in arguments or _is_one_of(tensor, ctx._dirty)):
        return tensor.array, place
    return traced(tensor.array, tensor.node) if type(tensor.node) is Node else tensor


def _result(r: Any, node: Node | None, ctx: Context, arguments: set[int]) -> Any:
    """The tensor a Function returns for the tensor `r` that its forward returned."""
    place = None
    if node is not None and not _is_one_of(r, ctx._not_differentiable):
        place = result_of(node, ctx._place_of[id(r)])
    if _is_one_of(r, ctx._dirty) and (place is not None or r.node is None):
        if place is not None:
            r._rebase(place)
        return r
    is_argument = id(r) in arguments
    if not is_argument and place is None and r.node is None:
        return r
    result = traced(r.array, place)
    if _is_one_of(r, ctx._dirty):
        return result  # changed under no_grad(), so like detach()
    base = r if is_argument and r.base is None else r.base
    if base is not None:
        add_view(base, result)
    return result


def _is_one_of(tensor: Any, others: Any) -> bool:
    return any(tensor is other for other in others)


class _NoArguments:
    arguments: tuple[()] = ()
    star_name = composition = rules_on_tape = None


class _FunctionPlan:
    """The plan of a Function's node, with its `backward` in place of rules.

    `places`: for each result of forward, its position among those that are Tensors, or None.
    """

    primitive = _NoArguments
    names = ("ctx",)
    saves_values = True
    wanted: tuple[()] = ()
    must_return = False

    def __init__(self, cls: type[Function], needs: tuple[bool, ...], places: list[int | None], materializes: bool):
        self.name = cls.__name__
        self.cls = cls
        self.places = places
        self.materializes = materializes
        self.fused = self.gradients, tuple
        self.rules = [(itemgetter(i), None, None) for i, needed in enumerate(needs) if needed]
        self.needs = needs

    def input_name(self, place: int) -> str:
        """The name of the argument behind the node's parent at `place`."""
        return f"argument {[i for i, needed in enumerate(self.needs) if needed][place]} of forward"

    def gradients(self, g: Any, ctx: Context) -> list[Any]:
        differentiable = ctx._node is not None
        arrived = [None if place is None else g[place] for place in self.places]
        parts = [part if part is None or isinstance(part, Traced) else traced(as_array(part)) for part in arrived]
        if differentiable:
            returned = self.cls.backward(ctx, *parts)
        else:
            with no_grad():
                returned = self.cls.backward(ctx, *parts)
        gradients = returned if isinstance(returned, tuple) else (returned,)
        if len(gradients) < len(self.needs) or any(extra is not None for extra in gradients[len(self.needs) :]):
            raise RuntimeError(f"{self.name}: backward returned {len(gradients)} gradients for the {len(self.needs)} arguments of forward")
        for i, gradient in enumerate(gradients):
            if gradient is not None and not isinstance(gradient, Traced):
                raise TypeError(f"{self.name}: backward returned {type(gradient).__name__} for argument {i}; expected a Tensor or None")
        return [None if t is None else t if differentiable else t.array for t in gradients]


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Make a Function's `backward` raise if it is differentiated itself.

    >>> import tinygrad_lite as tg
    >>> class Double(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     @once_differentiable
    ...     def backward(ctx, g):
    ...         return g * 2
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> Double.apply(x).backward()
    >>> x.grad
    tensor([2.])
    """

    @functools.wraps(backward)
    def wrapped(ctx: Context, *grads: Any) -> Any:
        with no_grad():
            returned = backward(ctx, *grads)
        if ctx._node is None:
            return returned
        gradients = returned if isinstance(returned, tuple) else (returned,)
        # Differentiating these gradients, by the inputs or by g, must go through _Once.
        on_the_way = [traced(None, parent) for parent in ctx._node.parents] + list(grads)
        return tuple(None if t is None else _Once.apply(t, *on_the_way) for t in gradients)

    return wrapped


class _Once(Function):
    @staticmethod
    def forward(ctx: Any, x: Any, *on_the_way: Any) -> Any:
        return traced(x.array)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        raise RuntimeError("backward: trying to differentiate twice a Function marked with @once_differentiable")
