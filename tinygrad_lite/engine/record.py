"""Recording an operation on the tape."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import as_array
from tinygrad_lite.arrays.changes import tick
from tinygrad_lite.arrays.views import register_view
from tinygrad_lite.engine import context
from tinygrad_lite.engine.tape import Node, Traced, entry, new, traced


def record(plan: Any, parents: Any, values: Any, shape: Any, dtype: Any) -> Node:
    """The node of an operation. `values`: the arguments, the result, and what the forward function kept."""
    node = new(Node)  # inlined `entry`: a call costs 5 % of the time spent here
    node.plan, node.parents, node.saved = plan, parents, plan.keep(values)
    node.index, node.shape, node.dtype = tick(), shape, dtype
    node.hooks = None
    if context.ever_observed:
        count = len(plan.primitive.arguments)
        for observer in context.observers.get():
            observer.recorded(node, values[:count], values[count])
    return node


class Synthetic:
    """Base of the plans of nodes that no operation creates: they save nothing."""

    __slots__ = ()
    fused = None
    must_return = saves_values = False
    primitive = None
    names: Any = ()
    rules: Any = ()


class Result(Synthetic):
    """The plan of a node that is one of several results of its parent."""

    __slots__ = ("name", "place")

    def __init__(self, place: int):
        self.place = place
        self.name = f"result {place}"


def result_of(node: Node, place: int) -> Node | None:
    """The node of result number `place` of a node; None if it cannot have a gradient."""
    if node.dtype[place].kind not in "fc":
        return None
    return entry(Result(place), (node,), (), node.shape[place], node.dtype[place])


def record_several(plan: Any, parents: Any, values: Any, out: tuple[Any, ...], kept: Any, source: Any) -> tuple[Any, ...]:
    """Tensors for several results (views of `source`, if it is a Tensor): one node for the operation, and one for each."""
    arrays = tuple(map(as_array, out))
    results = tuple(map(traced, arrays))
    if plan is not None:
        shapes, dtypes = tuple(array.shape for array in arrays), tuple(array.dtype for array in arrays)
        node = record(plan, parents, [*values, arrays, *kept], shapes, dtypes)
        for place, result in enumerate(results):
            result.node = result_of(node, place)
    if isinstance(source, Traced):
        for result in results:
            register_view(result, source)
    return results
