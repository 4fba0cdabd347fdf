"""What the tape keeps of an operation, and until when."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_lite.arrays import device_of, is_array, to_device, to_numpy
from tinygrad_lite.arrays.memory import owner_of
from tinygrad_lite.autograd import grad
from tinygrad_lite.autograd.function import Context, FunctionNode
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.study.holding import holders
from tinygrad_lite.testing.cases import Case, gradients, weights_of
from tinygrad_lite.testing.report import Report

_SMALL = 16  # bytes that may be kept in vain


@contextmanager
def _without_collector() -> Iterator[None]:
    """What is freed in this block is freed by reference counts alone."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def check_graph_is_freed(case: Case, report: Report) -> None:
    """The graph must let go of the inputs after backward, and be freed with the last result, without the collector."""
    if not case.wanted:
        return
    with report.checking("leaks", str(case)), _without_collector():
        leaves = case.tensors(case.wanted)
        inputs = [leaf * 1 if i in case.wanted else leaf for i, leaf in enumerate(leaves)]
        watched = {case.names[i]: weakref.ref(inputs[i].array) for i in case.wanted}
        outs = [out for out in case.floats(inputs) if out.node is not None]
        if not outs:
            return
        shared = {case.names[i] for i in case.wanted for out in outs if out is inputs[i] or _share(out.array, inputs[i].array)}
        gradients(outs, [leaves[i] for i in case.wanted], weights_of(outs, np.random.default_rng(0)))
        inputs.clear()
        for name, array in watched.items():
            if array() is not None and name not in shared:
                report.add("leaks", str(case), f"{name} is still kept after backward{_by_context(outs, array())}")
        results: list[Any] = [weakref.ref(out) for out in outs]
        arrays: list[Any] = [weakref.ref(out.array) for out in outs]
        outs.clear()
        if any(ref() is not None for ref in (*results, *arrays)):
            gc.collect()
            alive = next((ref() for ref in results if ref() is not None), None)
            if alive is not None:
                report.add("leaks", str(case), f"the graph is kept alive after backward by {_holder(alive)}")
            elif any(ref() is not None for ref in arrays):
                array = next(ref() for ref in arrays if ref() is not None)
                report.add("leaks", str(case), f"the result's array is kept alive after backward by {_referrer(array)}")
            else:
                report.add(
                    "leaks", str(case),
                    "the graph is a reference cycle, which only the garbage collector frees: does ctx, or a hook, hold the "
                    "result? Pass it to ctx.save_for_backward",
                )  # fmt: skip


def _share(a: Any, b: Any) -> bool:
    return owner_of(a) is owner_of(b)


def _by_context(outs: list[Any], array: Any) -> str:
    """Which attribute of a Function's context keeps an array."""
    for out in outs:
        for node in (out.node, *out.node.parents):
            if isinstance(node, FunctionNode):
                for name, value in vars(node.context).items():
                    held = value.array if isinstance(value, Traced) else value
                    if held is array or (is_array(held) and _share(held, array)):
                        return f" as ctx.{name}; pass it to ctx.save_for_backward, which backward frees"
    return ""


def _holder(tensor: Any) -> str:
    """Who holds a Tensor, in words."""
    found = holders(tensor)
    return str(found[0]) if found else _referrer(tensor)


def _referrer(value: Any) -> str:
    """What refers to a Tensor or an array, in words."""
    tensors = [each for each in gc.get_referrers(value) if isinstance(each, Traced)]
    known = gc.get_referrers(*(tensors or [value]))
    kinds = [type(each).__name__ for each in known if isinstance(each, (list, dict, set)) and each is not tensors]
    return f"a {kinds[0]} of the program" if kinds else "something outside the graph"


def check_saved_arrays(case: Case, order: int, report: Report) -> None:
    """Each array that is saved must be read: with other numbers in it, some derivative must change."""
    if not case.wanted:
        return
    told: set[str] = set()
    with report.checking("saved bytes", str(case)):
        subsets = [[i] for i in case.wanted] + [list(case.wanted)] * (len(case.wanted) > 1)
        for wanted in subsets:
            arguments = case.tensors(wanted)
            outs = [out for out in case.floats(arguments) if out.node is not None]
            nodes = {id(node): node for out in outs for node in (out.node, *out.node.parents) if node.parents}
            leaves = [arguments[i] for i in wanted]
            for node in nodes.values():
                if not all(parent in [leaf.node for leaf in leaves] for parent in node.parents):
                    continue  # not the operation itself, as in a composition of several
                if node.plan.fused is not None and len(wanted) < len(case.wanted):
                    continue  # one rule for several inputs need not ask which are wanted
                for what, nbytes, exchanged in _saved(node):
                    if what in told or nbytes < _SMALL:
                        continue
                    if not _is_read(outs, leaves, order, exchanged):
                        told.add(what)
                        names = " and ".join(case.names[i] for i in wanted)
                        hint = f"name {what}_shape for its shape"
                        if isinstance(node, FunctionNode):
                            hint = "set on ctx what is needed of it, such as its shape"
                        message = f"{what} is kept for the gradient of {names}, which reads no number of it here; leave it out, or {hint}"
                        report.add("saved bytes", str(case), message, {"bytes": nbytes})
        _check_views(case, report)


def _check_views(case: Case, report: Report) -> None:
    """A small part of a large array must not keep all of it."""
    arguments = case.tensors(case.wanted)
    owners = {id(owner_of(t.array)) for t in arguments if isinstance(t, Traced)}
    outs = [out for out in case.floats(arguments) if out.node is not None]
    owners |= {id(owner_of(out.array)) for out in outs}
    for node in {id(node): node for out in outs for node in (out.node, *out.node.parents)}.values():
        for array in _arrays(node):
            owner = owner_of(array)
            if id(owner) not in owners and owner.nbytes > max(2 * array.nbytes, 1024):
                message = f"a view of {array.nbytes} bytes keeps alive an array of {owner.nbytes}; save a copy"
                report.add("saved bytes", str(case), message, {"bytes": owner.nbytes - array.nbytes})


def _arrays(node: Any) -> Iterator[Any]:
    """The arrays that a node saves."""
    for value in node.saved or ():
        for part in value if type(value) is tuple else [value]:
            if is_array(part):
                yield part
            elif isinstance(part, Context) and isinstance(part._saved, list):
                for item in part._saved:
                    if item is not None:
                        yield item[0] if isinstance(item, tuple) else item.array


Exchange = Callable[[Callable[[Any], Any]], Callable[[], None]]


def _saved(node: Any) -> Iterator[tuple[str, int, Exchange]]:
    """What a node saves: its name, its size, and a function that exchanges the arrays and returns how to undo that."""
    if isinstance(node, FunctionNode):
        saved = node.context._saved
        for i, item in enumerate(saved if isinstance(saved, list) else ()):
            if item is not None:
                array = item[0] if isinstance(item, tuple) else item.array
                yield f"saved tensor {i}, {array.shape} {array.dtype},", array.nbytes, _exchange_in_context(saved, i)
    elif node.plan.primitive is not None and node.saved is not None:
        whole = node.plan.primitive.arguments if node.plan.primitive.composition is not None else ()
        for i, (name, value) in enumerate(zip(node.plan.names, node.saved)):
            arrays = [part for part in (value if type(value) is tuple else [value]) if is_array(part)]
            if arrays and name not in whole:
                yield name, sum(array.nbytes for array in arrays), _exchange_in_node(node, i)


def _exchange_in_context(saved: list[Any], i: int) -> Exchange:
    def exchange(change: Callable[[Any], Any]) -> Callable[[], None]:
        before = saved[i]
        saved[i] = (change(before[0]), before[1]) if isinstance(before, tuple) else traced(change(before.array), before.node)
        return lambda: saved.__setitem__(i, before)

    return exchange


def _exchange_in_node(node: Any, i: int) -> Exchange:
    def exchange(change: Callable[[Any], Any]) -> Callable[[], None]:
        before = node.saved
        value = before[i]
        changed = tuple(change(v) if is_array(v) else v for v in value) if type(value) is tuple else change(value)
        node.saved = tuple(changed if k == i else v for k, v in enumerate(before))
        return lambda: setattr(node, "saved", before)

    return exchange


def _is_read(outs: list[Any], leaves: list[Any], order: int, exchange: Exchange) -> bool:
    """Whether other numbers in a saved array change a derivative, or make it fail."""
    before = _derivatives(outs, leaves, order)
    for change in (_with_nan, _with_other_numbers):
        undo = exchange(change)
        try:
            after = _derivatives(outs, leaves, order)
        except Exception:
            return True
        finally:
            undo()
        if len(before) != len(after) or not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after)):
            return True
    return False


def _with_nan(array: Any) -> Any:
    if array.dtype.kind != "f":
        return _with_other_numbers(array)
    return to_device(np.full(array.shape, np.nan, array.dtype), device_of(array))


def _with_other_numbers(array: Any) -> Any:
    values = to_numpy(array)
    if values.dtype.kind == "b":
        return to_device(~values, device_of(array))
    other = values.max(initial=0) - values[(slice(None, None, -1),) * values.ndim] + 1
    return to_device(other.astype(values.dtype), device_of(array))


def _derivatives(outs: list[Any], leaves: list[Any], order: int) -> list[Any]:
    """Gradients, and of order 2 those of their weighted sum."""
    draw = np.random.default_rng(1)
    weights = weights_of(outs, draw)
    values = [to_numpy(g.array) for g in gradients(outs, leaves, weights, retain_graph=True) if g is not None]
    if order < 2:
        return values
    cotangents = [_like(out, w).requires_grad_() for w, out in zip(weights, outs)]
    first = [g for g in gradients(outs, leaves, cotangents, create_graph=True) if g is not None]
    values += [to_numpy(g.array) for g in first]  # which may come from other rules than the first ones: see composed_of
    live = [g for g in first if g.node is not None]
    if live:
        ws = [_like(g, w) for w, g in zip(weights_of(live, draw), live)]
        second = grad(live, [*leaves, *cotangents], ws, allow_unused=True, retain_graph=True)
        values += [to_numpy(g.array) for g in second if g is not None]
    return values


def _like(tensor: Any, values: np.ndarray) -> Any:
    return traced(to_device(values.astype(tensor.dtype), device_of(tensor.array)))
