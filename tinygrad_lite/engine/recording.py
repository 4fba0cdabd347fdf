"""Writing on the tape, and who is told of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

from tinygrad_lite.arrays import as_array, namespace_of
from tinygrad_lite.engine.plan import Plan, no_gradient
from tinygrad_lite.engine.tape import Node, Traced, tick, traced

new = object.__new__


def record(plan: Plan, parents: list[Any], values: Any, shape: Any, dtype: Any) -> Node:
    """Write one entry. `values`: the arguments, the result, and what the forward function kept."""
    node = new(Node)
    node.plan = plan
    node.parents = parents
    node.saved = plan.keep(values)
    node.index = tick()
    node.shape = shape
    node.dtype = dtype
    node.hooks = None
    told = on_record  # read once: another thread may stop listening
    if told is not None:
        told(node)
        if on_result is not None:
            count = len(plan.primitive.arguments)
            on_result(node, values[:count], values[count])
    return node


# -- operations with several results --------------------------------------------------------------


class _WithoutValues:
    """What the plans of entries that no operation makes have in common: they save nothing."""

    __slots__ = ()
    fused = None
    must_return = False
    names: tuple[()] = ()


class Result(_WithoutValues):
    """The plan of an entry that is one of several results of the entry before it."""

    __slots__ = ("name", "place")
    rules: tuple[()] = ()

    def __init__(self, place: int):
        self.place = place
        self.name = f"result {place}"


def result_of(node: Node, place: int) -> Node | None:
    """The entry of result number `place` of a node; None where it cannot have a gradient."""
    if node.dtype[place].kind not in "fc":
        return None
    return _entry(Result(place), (node,), node.shape[place], node.dtype[place])


def several(plan: Plan | None, parents: list[Any], values: Any, out: tuple[Any, ...], kept: Any) -> tuple[Any, ...]:
    """Tensors for several results: one entry for the operation, and one for each of them."""
    arrays = tuple(as_array(array) for array in out)
    if plan is None:
        return tuple(traced(array) for array in arrays)
    shapes, dtypes = tuple(array.shape for array in arrays), tuple(array.dtype for array in arrays)
    node = record(plan, parents, [*values, arrays, *kept], shapes, dtypes)
    return tuple(traced(array, result_of(node, i)) for i, array in enumerate(arrays))


# -- entries that no operation makes ---------------------------------------------------------------


class _Through(_WithoutValues):
    """The plan of an entry that passes its gradient on as it is."""

    name = "through"
    rules = ((lambda g: g, None, None),)
    wanted = (0,)


_through = _Through()


def through(tensor: Traced) -> Any:
    """The same array one entry further on the tape: for derivatives by a tensor that is no leaf."""
    return traced(tensor.array, _entry(_through, (tensor.node,), tensor.array.shape, tensor.array.dtype))


def goes_through(node: Any) -> bool:
    """Whether a tensor's place is what `through` gave it."""
    return type(node) is Node and node.plan is _through


class _Refusal(_WithoutValues):
    """The plan of an entry that no gradient can pass."""

    wanted = (0,)

    def __init__(self, node: Node, message: str):
        self.name = node.name
        self.message = message
        self.rules = ((self.refuse, None, None),)

    def refuse(self, g: Any) -> Any:
        raise RuntimeError(f"backward: {self.message}")


def refusing(node: Node, message: str) -> Node:
    """An entry after `node` which lets no gradient pass to it."""
    return _entry(_Refusal(node, message), (node,), node.shape, node.dtype)


class _Formal(_WithoutValues):
    """The plan of an entry that depends on its last parents in form only: it passes its gradient on to the first, if
    there are more, and `zeros` or nothing to these."""

    __slots__ = ("rules", "wanted")
    name = "formal"

    def __init__(self, through: int, parents: Sequence[Any], zeros: bool):
        self.rules = [*_through.rules[:through], *[((partial(_zeros, p.shape) if zeros else no_gradient), None, None) for p in parents]]
        self.wanted = range(len(self.rules))


def _zeros(shape: Any, g: Any) -> Any:
    return traced(_zeros(shape, g.array)) if isinstance(g, Traced) else namespace_of(g).zeros(shape, g.dtype)


def formally(tensor: Traced, parents: Sequence[Any], zeros: bool) -> Any:
    """The same array as a function of the entries `parents` too, whose gradient is `zeros` or none."""
    first = () if tensor.node is None else (tensor.node,)
    plan = _Formal(len(first), parents, zeros)
    return traced(tensor.array, _entry(plan, (*first, *parents), tensor.array.shape, tensor.array.dtype))


def _entry(plan: Any, parents: tuple[Any, ...], shape: Any, dtype: Any) -> Node:
    node = new(Node)
    node.plan, node.parents, node.saved = plan, parents, ()
    node.index, node.shape, node.dtype, node.hooks = tick(), shape, dtype, None
    return node


# -- who is told ---------------------------------------------------------------------------------

on_record: Callable[[Node], None] | None = None  # set while anybody listens, in whichever thread
on_result: Callable[[Node, Any, Any], None] | None = None  # told of arguments and result too, while anybody listens
_listeners: ContextVar[tuple[Callable[[Node], None], ...]] = ContextVar("listeners", default=())
_count = 0  # of the listeners of all threads
_counting = threading.Lock()


def listen(note: Callable[[Node], None]) -> None:
    """From now on call `note(node)` for each operation that this thread records, before those who listened already."""
    _listeners.set((note, *_listeners.get()))
    _count_listeners(1)


def listen_no_more(note: Callable[[Node], None]) -> None:
    """Undo one `listen(note)` of this thread."""
    listeners = list(_listeners.get())
    listeners.remove(note)
    _listeners.set(tuple(listeners))
    _count_listeners(-1)


def _count_listeners(change: int) -> None:
    global on_record, _count
    with _counting:
        _count += change
        on_record = _tell if _count else None


def _tell(node: Node) -> None:
    for note in _listeners.get():
        note(node)


@contextlib.contextmanager
def held_back() -> Iterator[list[Node]]:
    """The operations recorded in this block, which whoever listens is told of at its end: until then
    what they save may still be put in order."""
    nodes: list[Node] = []
    outside = _listeners.get()
    _listeners.set((nodes.append,))
    _count_listeners(1)
    try:
        yield nodes
    finally:
        _listeners.set(outside)
        _count_listeners(-1)
    for node in nodes if outside else ():
        _tell(node)
