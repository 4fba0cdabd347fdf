"""Everything an operation must satisfy, from its values to the memory that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays import to_numpy
from tinygrad_lite.arrays.devices import get_default_device
from tinygrad_lite.autograd import Function
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.nn import Module
from tinygrad_lite.testing.cases import Case, case_of, gradients, is_float, outcome, results
from tinygrad_lite.testing.derivatives import check_derivatives
from tinygrad_lite.testing.diagnosis import Suspects, difference
from tinygrad_lite.testing.keeping import check_graph_is_freed, check_saved_arrays
from tinygrad_lite.testing.layouts import LAYOUTS
from tinygrad_lite.testing.report import Report
from tinygrad_lite.testing.shapes import BROADCAST, broadcast_shapes, is_elementwise, other_shapes


def check_function(
    op: Any,
    inputs: Any,
    *,
    reference: Callable[..., Any] | None = None,
    order: int = 2,
    differentiable: Sequence[int] | None = None,
    elementwise: bool | None = None,
    deterministic: bool = True,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    device: Any = None,
    ignore: Sequence[str] = (),
    raise_exception: bool = True,
) -> Report:
    """Check an operation: a primitive, a `Function`, or any function of Tensors that returns one or several.

    `inputs`: its arguments as NumPy arrays or Tensors (whose floating-point ones are converted to float64), and whatever
    else it takes. `reference`: the same function in NumPy; without it, values are not checked. `order`: how many derivatives
    are compared with finite differences. `differentiable`: the places of the inputs to differentiate by (default: all
    floating-point arrays). `elementwise`: whether it is a function of each element, which must broadcast as NumPy does and
    take 0-d and empty arrays (default: found out by trying). `deterministic=False` leaves out what needs equal results of
    equal calls. `rtol`, `atol`: of the comparison with `reference`. `device`: on which to run (default: that of new Tensors).
    `ignore`: checks whose findings do not count, by the names that a Report gives them.

    Checked are values, derivatives, dtypes, memory layouts, other shapes, that nothing is changed in place and no memory is
    shared unsaid, that the graph is freed, and that no array is kept in vain. The Report says in words what is wrong; with
    `raise_exception`, an AssertionError does.

    >>> import tinygrad_lite as tg
    >>> class Product(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x, y):
    ...         ctx.save_for_backward(x, y)
    ...         return x * y
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         x, y = ctx.saved_tensors
    ...         return g * y, 2 * g * x
    >>> report = check_function(Product, (np.array([[0.5, 2.0], [3.0, -1.0]]), np.array([1.0, 4.0])), raise_exception=False)
    >>> report.findings[0].message
    'the gradient of y is wrong by a factor 2'
    """
    if isinstance(op, Module) or (isinstance(op, type) and not issubclass(op, Function)) or not callable(op):
        raise TypeError(f"check_function: op must be a primitive, a Function or a function of Tensors, got {_kind(op)}")
    if isinstance(inputs, (tuple, list)) and not inputs:
        raise ValueError("check_function: inputs is empty; give the arguments of one call")
    if not isinstance(order, int) or order < 0:
        raise ValueError(f"check_function: order must be an int of at least 0, got {order!r}")
    case = case_of(op, inputs, differentiable, str(get_default_device() if device is None else device))
    record = getattr(op, "primitive", None)
    report = Report(record.name if record is not None else getattr(op, "__name__", type(op).__name__))
    check_case(case, report, _subject(op), reference, order, elementwise, deterministic, rtol, atol, is_in_place(op))
    return report.concluded(raise_exception, ignore)


def _kind(op: Any) -> str:
    return f"the class {op.__name__}" if isinstance(op, type) else type(op).__name__


def is_in_place(op: Any) -> bool:
    """Whether an operation is meant to change its first argument."""
    return getattr(getattr(op, "primitive", None), "writes", False)


def check_case(
    case: Case,
    report: Report,
    subject: Callable[[str], str],
    reference: Any = None,
    order: int = 2,
    elementwise: bool | None = False,
    deterministic: bool = True,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    writes: bool = False,
) -> None:
    """All checks of one call, the first of which is whether it runs at all."""
    check_value(case, reference, rtol, atol, report)
    if any(finding.error for finding in report.findings):
        return
    if deterministic:
        check_repeated(case, report)
    else:
        report.leave_out("determinism", "deterministic=False")
    if any(finding.error for finding in report.findings):
        return
    if not deterministic or any(finding.check == "determinism" for finding in report.findings):
        order, deterministic = 0, False
        report.leave_out("derivatives", "its values are random")
    bad = check_derivatives(case, order, report, subject)
    if any(finding.error for finding in report.findings):
        order = 1
    check_dtypes(case, report)
    if deterministic:
        check_layouts(case, report)
    if not writes:
        check_nothing_is_changed(case, report)
        check_aliasing(case, report)
    check_graph_is_freed(case, report)
    check_saved_arrays(case, order, report)
    if is_elementwise(case) if elementwise is None else elementwise:
        check_shapes(case, reference, min(order, 2), rtol, atol, report, subject, bad, sure=bool(elementwise))


def _subject(op: Any) -> Callable[[str], str]:
    """What a wrong gradient of an input is the fault of."""
    has_rules = getattr(op, "primitive", None) is not None
    return lambda name: f"the {'rule for' if has_rules else 'gradient of'} {name}"


def check_value(case: Case, reference: Any, rtol: float, atol: float, report: Report) -> None:
    """Compare the results with those of a function of NumPy arrays."""
    kind = f" {case.kind}" if case.kind else ""
    with report.checking("value", str(case)):
        outs = results(case.call(*case.tensors()))
        strange = next((out for out in outs if not isinstance(out, Traced)), None)
        if strange is not None:
            raise TypeError(f"expected Tensors as results, got {type(strange).__name__}")
        if reference is None:
            report.leave_out("values", "no reference is given")
            return
        expected = results(reference(*[a.copy() if isinstance(a, np.ndarray) else a for a in case.args]))
        if len(expected) != len(outs):
            report.add("value", str(case), f"returns {len(outs)} results, the reference {len(expected)}")
        suspects = Suspects(inputs={name: value for name, value in zip(case.names, case.args) if is_float(value)})
        for i, (out, want) in enumerate(zip(outs, expected)):
            found = difference(to_numpy(out.array), np.asarray(want), suspects, rtol, atol)
            if found is not None:
                what = f"result {i}" if len(outs) > 1 else "the result"
                report.add("value", str(case), f"{what} {found.words}{kind}", found.numbers)


def check_repeated(case: Case, report: Report) -> None:
    """Two equal calls must give the same bits, forward and backward."""
    with report.checking("determinism", str(case)):
        (values, found), (again, found_again) = (outcome(case, case.tensors(case.wanted)) for _ in range(2))
        if not all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(values, again)):
            report.add("determinism", str(case), "the result is another in each call with equal inputs")
            return
        for i, a, b in zip(case.wanted, found, found_again):
            if a is not None and b is not None and not np.array_equal(a, b, equal_nan=True):
                report.add("determinism", str(case), f"the gradient of {case.names[i]} is another in each call with equal inputs")


def check_dtypes(case: Case, report: Report) -> None:
    """float32 inputs must give float32 results and gradients."""
    if not any(is_float(a) for a in case.args):
        return
    with report.checking("dtype", str(case)):
        arguments = case.tensors(case.wanted, np.float32)
        outs, whole = results(case.call(*arguments)), results(case.call(*case.tensors()))
        for i, (out, want) in enumerate(zip(outs, whole)):
            if want.dtype == np.float64 and out.dtype != np.float32:
                what = f"result {i}" if len(outs) > 1 else "the result"
                report.add("dtype", str(case), f"{what} is {out.dtype} where the inputs are float32")
            elif want.dtype != np.float64 and out.dtype != want.dtype:
                report.add("dtype", str(case), f"the result is {want.dtype} for float64 inputs and {out.dtype} for float32")
        floats = [out for out in outs if out.dtype.kind == "f"]
        ones = [np.ones(out.array.shape) for out in floats]
        for i, g in zip(case.wanted, gradients(floats, [arguments[i] for i in case.wanted], ones)):
            if g is not None and g.dtype != np.float32:
                report.add("dtype", str(case), f"the gradient of {case.names[i]} is {g.dtype} where the inputs are float32")


def check_layouts(case: Case, report: Report) -> None:
    """The same values in other memory layouts must give the same results and gradients."""
    arrays = [i for i, a in enumerate(case.args) if isinstance(a, np.ndarray) and a.ndim]
    if not arrays:
        return
    with report.checking("strides", str(case)):
        plain = outcome(case, case.tensors(case.wanted))
    wrong: dict[str, list[str]] = {}
    for layout, change in LAYOUTS.items():
        args = [change(a) if i in arrays else a for i, a in enumerate(case.args)]
        other = case.on(args, f"inputs {_PLURAL.get(layout, layout)}")
        with report.checking("strides", str(other)):
            values, found = outcome(other, other.tensors(case.wanted, copy=False))
            names = [f"the gradient of {case.names[i]}" for i in case.wanted]
            parts = ["the result"] * len(values) + names
            for name, a, b in zip(parts, [*values, *found], [*plain[0], *plain[1]]):
                same = a is b if a is None or b is None else np.allclose(a, b, 1e-9, 1e-11, equal_nan=True)
                if not same:
                    wrong.setdefault(name, []).append(layout)
    for name, layouts in wrong.items():
        report.add("strides", str(case), f"{name} is wrong for inputs {', '.join(_PLURAL.get(each, each) for each in layouts)}")


_PLURAL = {
    "Fortran order": "in Fortran order", "first dim last": "with the first dim last in memory", "stepped": "with gaps in memory",
    "last dim first": "with the last dim first in memory", "offset": "that begin inside their memory",
    "reversed": "with negative strides", "read-only": "that are read-only", "odd strides": "with odd strides in dims of size 1",
}  # fmt: skip


def check_nothing_is_changed(case: Case, report: Report) -> None:
    """Neither the inputs nor the results nor the incoming gradients may be written to."""
    with report.checking("in place", str(case)):
        arguments = case.tensors(case.wanted)
        named = [(name, t) for name, t in zip(case.names, arguments) if isinstance(t, Traced)]
        before = [to_numpy(t.array).copy() for _, t in named]

        def report_changes(during: str) -> None:
            for (name, t), values in zip(named, before):
                if not np.array_equal(to_numpy(t.array), values, equal_nan=values.dtype.kind == "f"):
                    report.add("in place", str(case), f"{during} changes {name} in place; let it work on a copy")

        outs = [out for out in results(case.call(*arguments)) if out.dtype.kind == "f"]
        report_changes("forward")
        live = [out for out in outs if out.node is not None]
        if not live or any(finding.check == "in place" for finding in report.findings):
            return
        cotangents = [(out.detach() * 0.5).cos() for out in live]
        named += [("the incoming gradient", t) for t in cotangents] + [("the result", t) for t in live]
        before = [to_numpy(t.array).copy() for _, t in named]
        found = gradients(live, [arguments[i] for i in case.wanted], cotangents)
        report_changes("backward")
        for i, g in zip(case.wanted, found):
            for name, t in named:
                if g is not None and _share(g, t):
                    message = f"the gradient of {case.names[i]} shares memory with {name}; let the rule return a copy"
                    report.add("in place", str(case), message)


def check_aliasing(case: Case, report: Report) -> None:
    """A result that shares memory with an input must be declared as a view of it."""
    with report.checking("aliasing", str(case)):
        arguments = case.tensors()
        for out in results(case.call(*arguments)):
            for name, t in zip(case.names, arguments):
                if isinstance(t, Traced) and out is not t and out.base is None and _share(out, t):
                    report.add(
                        "aliasing", str(case),
                        f"the result shares memory with {name} and is not declared as a view of it: return a copy, or say "
                        "@primitive(view=True)",
                    )  # fmt: skip


def _share(a: Any, b: Any) -> bool:
    on_cpu = isinstance(a.array, np.ndarray) and isinstance(b.array, np.ndarray)
    return on_cpu and bool(a.array.size) and np.shares_memory(a.array, b.array)


def check_shapes(
    case: Case,
    reference: Any,
    order: int,
    rtol: float,
    atol: float,
    report: Report,
    subject: Callable[[str], str],
    bad: set[str],
    sure: bool,
) -> None:
    """0-d, empty and broadcast arrays. `sure`: whether one that refuses to broadcast is at fault."""
    report.checks.append("0-d, empty and broadcast shapes")
    known: set[str] = set()
    for args, kind in other_shapes(case):
        variant = case.on(args, kind)
        if kind == BROADCAST and not sure:
            try:
                case.call(*variant.tensors())
            except Exception:
                report.leave_out("broadcasting", "it refuses inputs of different shapes")
                continue
        before = len(report.findings)
        if kind == BROADCAST and reference is None:
            check_value(variant, _expanded(case), rtol, atol, report)
        else:
            check_value(variant, reference, rtol, atol, report)
        if len(report.findings) == before:
            check_derivatives(variant, 1 if bad else order, report, subject, sorted(bad))
        # One finding for each thing that is wrong suffices.
        new = report.findings[before:]
        del report.findings[before:]
        for finding in new:
            key = f"{finding.check} {kind} {finding.message.partition(' is ')[0] if finding.error is None else finding.error!r}"
            if key not in known:
                known.add(key)
                report.findings.append(finding)


def _expanded(case: Case) -> Callable[..., Any]:
    """The operation on copies of its arrays that have one shape, in place of a reference."""

    def call(*args: Any) -> Any:
        shape = broadcast_shapes(args)
        whole = [np.broadcast_to(a, shape).copy() if isinstance(a, np.ndarray) else a for a in args]
        outs = [to_numpy(out.array) for out in results(case.call(*case.on(whole, "").tensors()))]
        return outs if len(outs) > 1 else outs[0]

    return call
