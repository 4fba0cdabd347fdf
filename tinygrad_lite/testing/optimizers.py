"""`check_optimizer`: everything an Optimizer must satisfy."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite import ops
from tinygrad_lite.arrays import to_numpy
from tinygrad_lite.engine.tape import Leaf, traced
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.optim import Optimizer
from tinygrad_lite.testing.diagnosis import Suspects, difference
from tinygrad_lite.testing.report import Report

Arrays = Sequence[np.ndarray]
SHAPES = ((3, 4), (4,), (2, 5))


def check_optimizer(
    make: Any,
    *,
    reference: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    shapes: Sequence[tuple[int, ...]] = SHAPES,
    steps: int = 5,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    ignore: Sequence[str] = (),
    raise_exception: bool = True,
) -> Report:
    """Check an Optimizer: a subclass, or a function of the parameters that returns one, called with `options`.

    `reference(param, grad, state, step)` returns the parameter after step number `step` (from 1) in NumPy; `state` is a dict
    of the parameter's own in which it may keep what it likes. `shapes`: of the parameters; `steps`: how many are compared.

    Beyond that: it descends a quadratic bowl; equal runs are equal; a run continued from a state_dict() ends with the same
    bits; a group's options hold for it alone; parameters without a gradient stay as they are, and those of gradient zero
    (without weight decay, from the first step on) too; gradients are not changed; parameters are changed in place, stay leaves
    of their dtype, and the tape knows of the change; `foreach` makes no difference.

    >>> import tinygrad_lite as tg
    >>> class Halfway(tg.optim.Optimizer):
    ...     numbers = ()  # its state counts no steps
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, {"lr": lr})
    ...     def update(self, p, g, state, group):
    ...         p -= 0.5 * group["lr"] * g
    >>> report = check_optimizer(Halfway, reference=lambda p, g, state, step: p - 0.1 * g, raise_exception=False)
    >>> report.findings[0].message
    'step 1 of the parameter of shape (3, 4) is wrong by a factor 1/2'
    """
    if not callable(make) or (isinstance(make, type) and not issubclass(make, Optimizer)):
        raise TypeError(f"check_optimizer: expected an Optimizer subclass or a function that makes one, got {make!r}")
    report = Report(getattr(make, "__name__", type(make).__name__))
    build: Any = functools.partial(make, **(options or {}))
    run = _Runs(build, shapes, steps)
    with report.checking("construction"):
        made = build(run.parameters())
        if not isinstance(made, Optimizer):
            raise TypeError(f"expected an Optimizer, got {type(made).__name__}")
    if report.ok:
        checks: list[tuple[str, Callable[[_Runs, Report], None]]] = [
            ("parameters", _check_parameters), ("determinism", _check_repeated), ("descent", _check_descent),
            ("state_dict", _check_state), ("groups", _check_groups), ("no gradient", _check_no_gradient),
            ("zero gradient", _check_zero_gradient), ("foreach", _check_foreach),
        ]  # fmt: skip
        with report.checking("equation"):
            if reference is None:
                report.leave_out("equation", "no reference is given")
            else:
                _check_equation(run, reference, report, rtol, atol)
        for name, check in checks:
            with report.checking(name):
                check(run, report)
    return report.concluded(raise_exception, ignore)


class _Runs:
    """Runs of an optimizer from the same start with the same gradients."""

    def __init__(self, build: Callable[..., Any], shapes: Sequence[tuple[int, ...]], steps: int):
        draw = np.random.default_rng(0)
        self.build, self.steps = build, steps
        self.start = [draw.standard_normal(shape) for shape in shapes]
        self.grads = [[draw.standard_normal(shape) for shape in shapes] for _ in range(2 * steps)]

    def parameters(self, dtype: Any = np.float64) -> list[Any]:
        return [Parameter(traced(value.astype(dtype))) for value in self.start]

    def run(self, optimizer: Any, params: Sequence[Any], grads: Sequence[Any]) -> list[list[np.ndarray]]:
        """The parameters after each step; a gradient of None is none."""
        found = []
        for row in grads:
            step(optimizer, params, row)
            found.append([to_numpy(p.array).copy() for p in params])
        return found


def step(optimizer: Any, params: Sequence[Any], grads: Sequence[Any]) -> None:
    """One step with given gradients, by a closure where the optimizer needs one."""

    def closure() -> Any:
        for p, g in zip(params, grads):
            p.grad = None if g is None else traced(g.astype(p.dtype))
        return ops.tensor(sum(float((to_numpy(p.array) * g).sum()) for p, g in zip(params, grads) if g is not None))

    argument = inspect.signature(type(optimizer).step).parameters.get("closure")
    if argument is not None and argument.default is argument.empty:
        optimizer.step(closure)
    else:
        closure()
        optimizer.step()


def _option(run: _Runs, name: str) -> Any:
    return run.build(run.parameters()).defaults.get(name)


def _check_equation(run: _Runs, reference: Any, report: Report, rtol: float, atol: float) -> None:
    params = run.parameters()
    got = run.run(run.build(params), params, run.grads[: run.steps])
    values, states = [value.copy() for value in run.start], [{} for _ in run.start]  # type: ignore[var-annotated]
    before = run.start
    for number, (row, grads) in enumerate(zip(got, run.grads), 1):
        values = [np.asarray(reference(v.copy(), g.copy(), state, number)) for v, g, state in zip(values, grads, states)]
        for p, value, last, g in zip(row, values, before, grads):
            found = difference(p, value, rtol=rtol, atol=atol)
            if found is None:
                continue
            update = difference(p - last, value - last, Suspects(terms={"the gradient": g, "the parameter": last}))
            words = (update or found).words
            when = f"step {number}" if number == 1 else f"step {number} (those before are right: is something of the state lost?)"
            report.add("equation", "", f"{when} of the parameter of shape {p.shape} {words}", (update or found).numbers)
            return
        before = row


def _check_parameters(run: _Runs, report: Report) -> None:
    """A step must change the parameters' own arrays, and nothing else."""
    for dtype in (np.float64, np.float32):
        params = run.parameters(dtype)
        arrays = [p.array for p in params]
        optimizer = run.build(params)
        losses = [(p * p).sum() for p in params]
        given = [g.astype(dtype) for g in run.grads[0]]
        step(optimizer, params, [g.copy() for g in given])
        for p, array, g, loss in zip(params, arrays, given, losses):
            what = f"the parameter of shape {p.shape}"
            if p.dtype != dtype:
                report.add("parameters", what, f"a step makes a parameter of {np.dtype(dtype)} one of {p.dtype}")
                return
            if type(p.node) is not Leaf or not p.requires_grad:
                report.add("parameters", what, "after a step the parameter is no leaf any more: make it under no_grad()")
                return
            if not np.shares_memory(p.array, array):
                report.add("parameters", what, "a step replaces the parameter's array: what shares its memory keeps the old values")
                return
            if p.grad is not None and not np.array_equal(to_numpy(p.grad.array), g):
                report.add("parameters", what, "a step changes the gradient in place")
                return
            if np.array_equal(to_numpy(p.array), run.start[0].astype(dtype) if p.shape == run.start[0].shape else ()):
                report.add("parameters", what, "a step does not change the parameter")
                return
            try:
                loss.backward()
            except RuntimeError:
                continue
            message = "the tape does not know that a step changes the parameter: a graph made before it gives wrong gradients"
            report.add("parameters", what, message + "; change it by operations under no_grad(), or in update()")
            return


def _check_repeated(run: _Runs, report: Report) -> None:
    first, second = (run.run(run.build(params), params, run.grads) for params in (run.parameters(), run.parameters()))
    if not all(np.array_equal(a, b, equal_nan=True) for x, y in zip(first, second) for a, b in zip(x, y)):
        report.add("determinism", "", "two equal runs end with different parameters: is there state that they share?")


def _check_descent(run: _Runs, report: Report) -> None:
    params = run.parameters()
    optimizer = run.build(params)
    scales = [np.linspace(0.5, 1.5, value.size).reshape(value.shape) for value in run.start]

    def height() -> float:
        return sum(float((scale * to_numpy(p.array) ** 2).sum()) / 2 for scale, p in zip(scales, params))

    before = height()
    for _ in range(100):
        step(optimizer, params, [scale * to_numpy(p.array) for scale, p in zip(scales, params)])
    after = height()
    if not after < before:
        how = "climbs" if after > before else "does not descend" if after == before else "reaches nan on"
        report.add("descent", "100 steps", f"it {how} a quadratic bowl", {"before": before, "after": after})


def _check_state(run: _Runs, report: Report) -> None:
    params = run.parameters()
    optimizer = run.build(params)
    run.run(optimizer, params, run.grads[: run.steps])
    saved = copy.deepcopy(optimizer.state_dict())
    others = [Parameter(traced(to_numpy(p.array).copy())) for p in params]
    other = run.build(others)
    other.load_state_dict(saved)
    rest = run.grads[run.steps :]
    for number, (a, b) in enumerate(zip(run.run(optimizer, params, rest), run.run(other, others, rest)), 1):
        for x, y in zip(a, b):
            if not np.array_equal(x, y, equal_nan=True):
                message = f"a run continued from state_dict() differs from the run itself at its step {number}"
                held = [name for name, value in vars(optimizer).items() if _is_own_state(name, value)]
                hint = f": {', '.join(held)} of the optimizer is not in it" if held else ""
                numbers = {"largest difference": float(np.abs(x - y).max())}
                report.add("state_dict", f"the parameter of shape {x.shape}", message + hint, numbers)
                return


def _is_own_state(name: str, value: Any) -> bool:
    """Whether an attribute of an optimizer is one that its class has added."""
    plain = Optimizer([Parameter(ops.zeros(1))], {"lr": 0.1})
    return name not in vars(plain) and name not in Optimizer.derived and not name.startswith("_abc") and not callable(value)


def _check_groups(run: _Runs, report: Report) -> None:
    if not isinstance(_option(run, "lr"), (int, float)):
        report.leave_out("groups", "its option lr is not a number")
        return
    params = run.parameters()
    optimizer = run.build([{"params": params[:1]}, {"params": params[1:], "lr": 0.0}])
    after = run.run(optimizer, params, run.grads[: run.steps])[-1]
    moved = [i for i, (value, start) in enumerate(zip(after, run.start)) if not np.array_equal(value, start)]
    if 0 not in moved:
        report.add("groups", "", "with a second group of lr=0 the first does not move either")
    elif len(moved) > 1:
        report.add("groups", "", "a parameter moves although its group has lr=0: does it read the group's options?")
        return
    params = run.parameters()
    alone = run.run(run.build(params), params, run.grads[: run.steps])[-1]
    if not np.allclose(after[0], alone[0], 1e-6, 1e-12):
        report.add("groups", "", "a parameter moves otherwise if another group has lr=0: do the groups share state?")


def _check_no_gradient(run: _Runs, report: Report) -> None:
    params = run.parameters()
    optimizer = run.build(params)
    grads = [[None if i == 0 else g for i, g in enumerate(row)] for row in run.grads[: run.steps]]
    after = run.run(optimizer, params, grads)[-1]
    if not np.array_equal(after[0], run.start[0]):
        report.add("no gradient", "", "a parameter without a gradient moves")


def _check_zero_gradient(run: _Runs, report: Report) -> None:
    if _option(run, "weight_decay"):
        report.leave_out("zero gradient", "weight decay moves parameters")
        return
    params = run.parameters()
    after = run.run(run.build(params), params, [[np.zeros_like(value) for value in run.start]] * run.steps)[-1]
    for value, start in zip(after, run.start):
        if not np.isfinite(value).all():
            report.add("zero gradient", "", "a gradient of zeros makes parameters nan or infinite: is there an eps in the divisor?")
            return
        if not np.allclose(value, start, 1e-12, 1e-12):
            report.add("zero gradient", "", "a parameter moves although its gradient has always been zero")
            return


def _check_foreach(run: _Runs, report: Report) -> None:
    if "foreach" not in run.build(run.parameters()).defaults:
        report.leave_out("foreach", "it has no such option")
        return
    ends = []
    for foreach in (True, False):
        params = run.parameters()
        optimizer = run.build(params)
        for group in optimizer.param_groups:
            group["foreach"] = foreach
        ends.append(run.run(optimizer, params, run.grads)[-1])
    if not all(np.allclose(a, b, 1e-9, 1e-12) for a, b in zip(*ends)):
        report.add("foreach", "", "foreach=True and foreach=False end with different parameters")
