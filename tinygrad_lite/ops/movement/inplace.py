"""Recorded in-place changes.

`in_place(add)` is `add_`: it computes `add(x, ...)` as usual, writes the values into x's memory and moves x to the result's
position on the tape. `x[index] = value` writes directly. Other tensors on the same memory must follow: if x is a view, its
base becomes the result of an assignment to the region that x shows, and every other view of the base becomes a read of the
region it shows. Gradients of operations that saved the overwritten values raise when requested (arrays/changes.py records
the times).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from numpy import ndarray

from tinygrad_lite.arrays import DType, as_array, device_of, int64, is_array, is_number, namespace_of, owner_of, quietly, start_of
from tinygrad_lite.arrays.changes import changed_in_place, tick
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal, refusal
from tinygrad_lite.arrays.errstate import enter as be_quiet
from tinygrad_lite.arrays.errstate import leave as quiet_no_more
from tinygrad_lite.arrays.errstate import lost
from tinygrad_lite.arrays.gpu import on_gpu_of
from tinygrad_lite.arrays.indexing import Index, Region, overlaps, write
from tinygrad_lite.arrays.rules import Plan
from tinygrad_lite.arrays.signature import wraps
from tinygrad_lite.engine.context import Observer, is_grad_enabled, observers, recording, set_observers
from tinygrad_lite.engine.record import Result, Synthetic, record
from tinygrad_lite.engine.second import Through
from tinygrad_lite.engine.tape import Leaf, Node, Traced, entry, traced
from tinygrad_lite.ops.calculus import getitem, replaced, reshape, to_dtype
from tinygrad_lite.ops.movement.copying import moved
from tinygrad_lite.ops.movement.indexing import steps
from tinygrad_lite.ops.movement.masking import as_value
from tinygrad_lite.ops.movement.shape import squeeze, unsqueeze
from tinygrad_lite.ops.movement.strides import as_strided
from tinygrad_lite.ops.movement.transposing import swapaxes, swapdims, t, transpose

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_ORDER = "biufc"
_WHOLE = (Ellipsis,)


def setitem(input: Any, index: Any, value: Any) -> None:
    """`input[index] = value`, for every index that `input[index]` accepts."""
    *views, index = steps(input, index)
    for view in views:
        input = getitem(input, view)
    if not isinstance(value, Traced):
        if type(value) is int or type(value) is float:
            if not 0 <= value <= 127:  # which fits in every dtype
                value = as_value("setitem", input, value)
        elif not (is_array(value) or is_number(value)):
            raise BadType(function="setitem", argument="value", expected="a Tensor or a number as the value", got=type(value).__name__)
    elif value.array.dtype != input.array.dtype and not _converts(index, value.array):
        raise BadType(f"the value is {value.array.dtype}, the tensor {input.array.dtype}", function="setitem", hint="convert one with to()")
    assign("setitem", input, value, index)


def _converts(index: Index, value: Any) -> bool:
    """Whether PyTorch converts a value of another dtype: not for integer index tensors, nor several elements for a mask."""
    arrays = [i for i in index if is_array(i)]
    return not arrays or (len(arrays) == 1 and arrays[0].dtype.kind == "b" and value.size == 1)


@on_gpu_of()
def assign(name: str, x: Any, value: Any, index: Index = _WHOLE) -> None:
    """Write `value` directly into x at `index`, and record it."""
    array = x.array
    if _shares_places(array) and type(index) is tuple and not any(map(is_array, index)) and index != _WHOLE:
        x, index = getitem(x, index), _WHOLE  # the written region may have no such elements
        array = x.array
    check_writable(name, x)
    if isinstance(value, Traced):
        shape = value.array.shape
        if shape and shape[0] == 1:  # leading sizes of 1 may exceed input's dims
            value = reshape(value, shape[next((d for d, n in enumerate(shape) if n != 1), len(shape)) :])
        if not type(array) is type(value.array) is ndarray and device_of(array) != device_of(value.array):
            value = moved(value, device_of(array))
    token = None
    try:
        token = be_quiet()
        write(array, index, value.array if isinstance(value, Traced) else value)
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise refusal(error, name) from None
    finally:
        quiet_no_more(token) if token is not None else lost()
    changed_in_place(array, name)
    if is_grad_enabled():
        place_after_change(x, _entry(replaced, array, x, value, index))


def copy_(input: Any, src: Any, non_blocking: bool = False) -> Any:
    """Copy the values of `src`, broadcast and converted, into this tensor.

    >>> import tinygrad_lite as tg
    >>> tg.zeros(2).copy_(tg.tensor([1, 2]))
    tensor([1., 2.])
    """
    assign("copy_", input, src if isinstance(src, Traced) else traced(as_array(src)))
    return input


def fill_(input: Any, value: Any) -> Any:
    """Write one value (a number or a 0-d tensor) to every element.

    >>> import tinygrad_lite as tg
    >>> tg.zeros(2).fill_(7)
    tensor([7., 7.])
    """
    assign("fill_", input, as_value("fill_", input, value))
    return input


def zero_(input: Any) -> Any:
    """Write zeros to every element.

    >>> import tinygrad_lite as tg
    >>> tg.ones(2).zero_()
    tensor([0., 0.])
    """
    assign("zero_", input, 0)
    return input


def in_place(function: F) -> F:
    """The method that applies `function` in place: it takes the same arguments and returns the tensor itself."""
    name = f"{function.__name__.strip('_')}_"

    @wraps(function, name, f"`{name.rstrip('_')}` in place: writes the result into this tensor and returns it.")
    def method(x: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(name, x)
        try:
            if is_grad_enabled() and any(isinstance(y, Traced) and y.node is not None for y in (x, *args, *kwargs.values())):
                with _HeldBack() as entries:
                    overwrite(name, x, function(x, *args, **kwargs), entries)
            else:
                overwrite(name, x, function(x, *args, **kwargs), [])
        except Refusal as error:
            error.called(name)
            raise
        return x

    return method  # type: ignore[return-value]


class _HeldBack(Observer):
    """The operations recorded in a block. Hooks that pack saved values are called at its end, because until then the values
    may still be corrected."""

    def __enter__(self) -> list[Node]:
        self.nodes: list[Node] = []
        self.outside = observers.get()
        set_observers((self,))
        return self.nodes

    def recorded(self, node: Node, arguments: Any, result: Any) -> None:
        self.nodes.append(node)
        for observer in self.outside:
            if not observer.packs:
                observer.recorded(node, arguments, result)

    def __exit__(self, kind: Any, *exception: object) -> None:
        observers.set(self.outside)
        if kind is None:
            for observer in self.outside:
                for node in self.nodes if observer.packs else ():
                    observer.recorded(node, (), None)


def optional_inplace(function: Callable[P, R]) -> Callable[P, R]:
    """Implement the last argument of `function`, `inplace=False`: whether to write the result into the first argument."""
    changed: Callable[..., Any] = in_place(function)
    count = function.__wrapped__.__code__.co_argcount - 1  # type: ignore[attr-defined]

    @wraps(function)
    def call(*args: Any, inplace: bool = False, **kwargs: Any) -> Any:
        if len(args) > count:
            *args, inplace = args  # type: ignore[assignment]
        if not inplace:
            return function(*args, **kwargs)
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        return changed(*args, **kwargs)

    return call


def _seen_as(function: F) -> F:
    """The method that turns a tensor into a view of itself; the memory does not change."""
    name = f"{function.__name__}_"

    @wraps(function, name, f"`{name.rstrip('_')}` in place: turns this tensor into a view of itself and returns it.")
    def method(x: Any, *args: Any, **kwargs: Any) -> Any:
        leaf = x.node if type(x.node) is Leaf else None
        if leaf is not None and is_grad_enabled():
            raise RuntimeError(f"{name}: a leaf that requires grad cannot be changed in place; do it under no_grad()")
        with recording(x.node is not None):  # even under no_grad(): only positions change
            result = function(x, *args, **kwargs)
        x.array = result.array
        if leaf is not None:
            leaf.shape = x.array.shape
        else:
            _put(x, result.node)
        return x

    return method  # type: ignore[return-value]


as_strided_ = _seen_as(as_strided)
t_, squeeze_, unsqueeze_ = _seen_as(t), _seen_as(squeeze), _seen_as(unsqueeze)
transpose_, swapaxes_, swapdims_ = _seen_as(transpose), _seen_as(swapaxes), _seen_as(swapdims)


# In-place changes while a transform (func.py) runs a function: weak references to the tensors, their previous tape
# entries and values. (A transform refuses a function that changes what it captured.)
watched: ContextVar[list[tuple[Any, Any, Any]] | None] = ContextVar("watched", default=None)


def check_writable(name: str, x: Any) -> None:
    """Refuse a change that gradients could not follow."""
    changes = watched.get()
    if changes is not None:
        whole = x if x.base is None else x.base
        changes.append((weakref.ref(whole), whole.node, whole.array.copy()))
    if is_grad_enabled():
        node, base = x.node, x.base
        if type(node) is Leaf:
            raise RuntimeError(
                f"{name}: a leaf that requires grad cannot be changed in place, its gradient would be lost; "
                "do it under no_grad(), or on a clone()"
            )
        if isinstance(getattr(node if base is None else base.node, "plan", None), Through):
            raise RuntimeError(f"{name}: an input of a transformed function cannot be changed in place; clone() it first")
        if base is not None and (node is not None or base.node is not None):
            if type(base.node) is not Node:
                raise RuntimeError(
                    f"{name}: this is a view of a leaf that requires grad, which cannot be changed in place; "
                    "do it under no_grad(), or on a clone()"
                )
            if node is None:
                raise RuntimeError(f"{name}: this view of a tensor that requires grad was made under no_grad(); change it there too")
            if type(node.plan) is Result:
                made = "a Function" if _made_by_function(node) else "an operation with several results"
                raise RuntimeError(
                    f"{name}: this view was returned by {made} and cannot be changed in place; "
                    "clone() it first, or take it by an index or narrow()"
                )
    array = x.array
    if type(array) is ndarray and not array.flags.writeable:
        raise BadValue("this tensor's memory is read-only", function=name, hint="clone() it first")
    if _shares_places(array) and name not in ("fill_", "zero_"):
        raise RuntimeError(f"{name}: several elements of this tensor share one place in memory; clone() it first")


def _shares_places(array: Any) -> bool:
    """Whether several elements may share memory."""
    return not array.flags.forc and overlaps(array.shape, array.strides)


@on_gpu_of()
def overwrite(name: str, x: Any, result: Any, entries: list[Node]) -> None:
    """Write `result` into x's memory, and move x to its position on the tape. `entries`: what was recorded to compute it."""
    values, array = result.array if isinstance(result, Traced) else result, x.array
    if values.shape != array.shape:
        raise BadValue(f"the result has shape {values.shape}, which does not fit into {array.shape}", function=name)
    if values.dtype != array.dtype:
        if not fits(values.dtype, array.dtype):
            raise BadType(f"the result is {values.dtype}, which cannot be put into a tensor of {array.dtype}", function=name)
        values = quietly(values.astype)(array.dtype)
    recording = is_grad_enabled()
    node = result.node if recording and isinstance(result, Traced) else None
    if node is not None:
        _keep_what_is_saved(entries, array)
    array[...] = values
    changed_in_place(array, name)
    if not recording:
        return  # under no_grad the tensor keeps its tape entry: it is the same variable with new values
    if node is None:
        node = _entry(replaced, array, x, values, _WHOLE)
    elif node.dtype != array.dtype:
        node = to_dtype(result, array.dtype).node
    elif any(node is entry for entry in entries):
        # Rules that need the result find it in x's memory, so `values` need not be kept.
        node.saved = tuple(array if value is values else value for value in node.saved)
        node.index = tick()
    place_after_change(x, node)


def fits(dtype: DType, into: DType) -> bool:
    """Whether a result of `dtype` may be written into a tensor of dtype `into`: not from float to int."""
    return _ORDER.index(dtype.kind) <= max(_ORDER.index(into.kind), 2 * (into.kind in "iu"))


def _keep_what_is_saved(entries: list[Node], array: Any) -> None:
    """Copy `array`, which is about to change, for those `entries` that saved it."""
    memory = owner_of(array)
    copies: dict[int, Any] = {}
    for node in entries:
        node.saved = _safe(node.saved, memory, copies)


def _safe(value: Any, memory: Any, copies: dict[int, Any]) -> Any:
    """`value` with arrays that share `memory` replaced by copies."""
    if type(value) in (tuple, list):
        return tuple([_safe(part, memory, copies) for part in value])
    if not is_array(value) or owner_of(value) is not memory:
        return value
    if id(value) not in copies:
        copies[id(value)] = value.copy()
    return copies[id(value)]


def place_after_change(x: Any, node: Any) -> None:
    """Move x to `node` on the tape, and every tensor that shares its memory to a new entry."""
    if x.array.dtype.kind not in "fc":
        return  # no gradient flows through integers
    base = x.base
    if base is None:
        if node is None and x.node is None:
            return  # then only views that are leaves are on the tape
        base = x
        _put(base, node)
    elif node is not None or base.node is not None:
        _put(x, node)
        if _all_of(x.array, base.array):
            _put(base, _entry(reshape, base.array, x, base.array.shape))
        else:
            _put(base, _entry(replaced, base.array, base, x, _shown(x.array, base.array)))
    for reference in list(base.views or ()):
        view = reference()
        if view is None:
            continue
        if view is not x and _made_by_function(view.node):
            view.node = refusing(
                view.node,
                f"this tensor of shape {view.array.shape} is a view that {view.node.parents[0].name} returned, "
                "and the tensor that it shows was changed in place since; clone() one of them first",
            )
        elif base.node is not None and view.array.dtype.kind in "fc":
            if _all_of(view.array, base.array):
                _put(view, _entry(reshape, view.array, base, view.array.shape))
            else:
                _put(view, _entry(getitem, view.array, base, _shown(view.array, base.array)))


def _put(x: Any, node: Any) -> None:
    """Move x to `node` on the tape, together with its retained gradient."""
    before, x.node = x.node, node
    if type(before) is Node and before.hooks and node is not before:
        retain = before.hooks.get("retain")
        if retain is not None and retain.tensor() is x:
            del before.hooks["retain"]
            if node is not None:
                node.add_last_hook(retain)


def _made_by_function(node: Any) -> bool:
    """Whether `node` is one of several results of an operation that is not a primitive."""
    return type(node) is Node and type(node.plan) is Result and type(node.parents[0].plan) is not Plan


class _Refusal(Synthetic):
    """The plan of an entry through which no gradient can pass."""

    wanted = (0,)

    def __init__(self, node: Node, message: str):
        self.name = node.name
        self.message = message
        self.rules = ((self.refuse, None, None),)

    def refuse(self, g: Any) -> Any:
        raise RuntimeError(f"backward: {self.message}")


def refusing(node: Node, message: str) -> Node:
    """An entry after `node` that refuses to pass a gradient to it."""
    return entry(_Refusal(node, message), (node,), (), node.shape, node.dtype)


def _all_of(view: Any, base: Any) -> bool:
    """Whether `view` shows all of `base` in order, so that a change needs no index, only another shape."""
    return view.size == base.size and view.flags.c_contiguous and base.flags.c_contiguous


def _entry(operation: Any, out: Any, x: Any, *rest: Any) -> Any:
    """The tape entry of `out` as the result of `operation(x, *rest)`: recorded, not run."""
    y = rest[0]  # no other argument may be a tensor
    nodes = [x.node, y.node if isinstance(y, Traced) else None]
    on_tape = (nodes[0] is not None) + 2 * (nodes[1] is not None)
    if not on_tape:
        return None
    values = [x.array, y.array if isinstance(y, Traced) else y, *rest[1:], out]
    plan = operation.primitive.plans[on_tape]
    return record(plan, [node for node in nodes if node is not None], values, out.shape, out.dtype)


def _shown(view: Any, base: Any) -> Index:
    """The index of the elements of `base` that `view` shows."""
    if not base.size or not view.size:
        return Region(view.shape, ((0,),) * view.ndim, (0,))
    first, item = start_of(view) - start_of(base), base.itemsize
    if base.flags.c_contiguous:
        return Region(view.shape, tuple((s // item,) for s in view.strides), (first // item,))
    # Split the distance in memory by base's strides, from the longest to the shortest.
    xp = namespace_of(base)
    distance = xp.full(view.shape, first, int64)
    for dim, (size, stride) in enumerate(zip(view.shape, view.strides)):
        distance += (xp.arange(size) * stride).reshape((-1,) + (1,) * (view.ndim - dim - 1))
    index = [distance * 0] * base.ndim
    for dim in sorted(range(base.ndim), key=lambda d: -base.strides[d]):
        if base.shape[dim] > 1:
            index[dim], distance = distance // base.strides[dim], distance % base.strides[dim]
    return tuple(index)
