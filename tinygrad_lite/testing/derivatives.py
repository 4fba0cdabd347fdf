"""Derivatives of any order on the tape against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays import to_device, to_numpy
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.testing.cases import Case, gradients, is_float, weights_of
from tinygrad_lite.testing.diagnosis import Difference, Suspects, difference
from tinygrad_lite.testing.report import Report

STEP = 1e-5  # of the differences, whose error is of the order STEP^4
MOST = 400  # elements of which all partial derivatives are taken for a diagnosis
_RTOL, _ATOL = 2e-5, 2e-6

ORDINALS = {1: "gradient", 2: "second derivative", 3: "third derivative"}


def check_derivatives(case: Case, order: int, report: Report, subject: Callable[[str], str], skip: Sequence[str] = ()) -> set[str]:
    """Compare the derivatives up to `order` with differences along random directions. Returns the names of the inputs whose
    gradient is wrong; those in `skip` are not checked. `subject(name)` is what is wrong then: "the rule for x"."""
    wanted = [i for i in case.wanted if case.names[i] not in skip]
    if not order or not wanted:
        return set()

    def function(*xs: Any) -> list[Any]:
        arguments = case.tensors()
        for i, x in zip(wanted, xs):
            arguments[i] = x
        return case.floats(arguments)

    draw = np.random.default_rng(7)
    names, values = [case.names[i] for i in wanted], [case.args[i] for i in wanted]
    bad: set[str] = set()
    for number in range(1, order + 1):
        check = ORDINALS.get(number, f"derivative {number}")
        with report.checking(check, str(case)):
            found = _compare(function, values, draw, case.device, 10 ** (number - 1))
            for k in found:
                words = _diagnosis(function, values, k, names, case, number, subject)
                report.add(check, str(case), words.words, words.numbers)
                bad.add(names[k])
        if bad or (report.findings and report.findings[-1].check == check):
            break  # what is built on it is wrong too
        if number < order:
            shapes = [out.array.shape for out in function(*_leaves(values, case.device))]
            function = _gradient_function(function, len(values))
            values = [*values, *(np.asarray(draw.standard_normal(shape)) for shape in shapes)]
            names += [f"the incoming gradient{f' {i}' * (len(shapes) > 1)}" for i in range(len(shapes))]
    return bad


def _leaves(values: Sequence[Any], device: str) -> list[Any]:
    return [traced(to_device(value.copy(), device)).requires_grad_() for value in values]


def _gradient_function(function: Callable[..., list[Any]], count: int) -> Callable[..., list[Any]]:
    """The function of `count` inputs of `function` and of its cotangents that returns the gradients of the inputs."""

    def gradient(*arguments: Any) -> list[Any]:
        xs = [x if x.requires_grad else x.requires_grad_() for x in arguments[:count]]
        found = gradients(function(*xs), xs, arguments[count:], create_graph=True)
        return [x.detach() * 0 if g is None else g for x, g in zip(xs, found)]

    return gradient


def _compare(function: Any, values: Sequence[Any], draw: Any, device: str, scale: float) -> list[int]:
    """The places of the inputs whose gradient disagrees with differences along two random directions: the probability that
    both miss a wrong rule is zero."""
    xs = _leaves(values, device)
    outs = function(*xs)
    weights = weights_of(outs, draw)
    bad = []
    for i, (x, g) in enumerate(zip(values, gradients(outs, xs, weights))):
        analytic = np.zeros_like(x) if g is None else to_numpy(g.array)
        for _ in range(2 if x.size else 0):
            direction = np.asarray(draw.standard_normal(x.shape))
            exact, numeric = float(np.sum(analytic * direction)), _along(function, values, i, direction, weights, device)
            if not np.isclose(exact, numeric, rtol=_RTOL, atol=_ATOL * scale):
                bad.append(i)
                break
    return bad


def _along(
    function: Any, values: Sequence[Any], i: int, direction: Any, weights: Sequence[Any], device: str, step: float = STEP
) -> float:
    """The derivative of the weighted sum of the results as input i moves in `direction`, by differences."""

    def at(t: float) -> float:
        moved = [traced(to_device(np.array(v + t * direction if k == i else v), device)) for k, v in enumerate(values)]
        return sum(float(np.sum(to_numpy(out.array) * weight)) for out, weight in zip(function(*moved), weights))

    return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)


def _partials(function: Any, values: Sequence[Any], i: int, weights: Sequence[Any], device: str, step: float = STEP) -> Any:
    """The gradient of input i by differences."""
    found = np.empty(values[i].shape)
    for place in np.ndindex(found.shape):
        direction = np.zeros(found.shape)
        direction[place] = 1
        found[place] = _along(function, values, i, direction, weights, device, step)
    return found


def _diagnosis(
    function: Any, values: Sequence[Any], k: int, names: Sequence[str], case: Case, order: int, subject: Callable[[str], str]
) -> Difference:
    """What is wrong with the gradient of input k, in a sentence."""
    kind = f" {case.kind}" if case.kind else ""
    xs = _leaves(values, case.device)
    outs = function(*xs)
    what = subject(names[k])
    if _is_at_an_edge(function, values, k, outs, case.device):
        edge = "cannot be compared with differences: near these inputs the function has a kink, a jump or nan; choose others"
        of = f"the derivative of the gradients by {names[k]}" if order > 1 else what
        return Difference(f"{of} {edge}{kind}", {})
    if order > 1:
        k_of, lost = _part(function, values, k, case.device, order)
        what = f"the gradient of {names[k_of]}, right at order {order - 1}, has a derivative by {names[k]} that"
        if lost:
            hint = "; a rule computes it from detached values or NumPy arrays, which leave no trace on the tape"
            return Difference(f"{what} is missing{kind}{hint}", {})
        function = _only(function, k_of)
        outs = function(*xs)
    weights = weights_of(outs, np.random.default_rng(3))
    analytic = [None if g is None else to_numpy(g.array) for g in gradients(outs, xs, weights)]
    if values[k].size > MOST:
        return Difference(f"{what} is wrong{kind}", {})
    numeric = _partials(function, values, k, weights, case.device)
    others = {
        f"that of {names[i]}": _partials(function, values, i, weights, case.device)
        for i in range(len(values))
        if i != k and values[i].shape == values[k].shape
    }
    if order == 1 and outs and values[k].size < max(out.array.size for out in outs):
        others |= _slices(function, values, k, weights, case.device)
    found = difference(analytic[k], numeric, _suspects(case, values, k, outs, weights, others), 1e-5, 1e-6 * 10 ** (order - 1))
    if found is None:
        return Difference(f"{what} is wrong{kind}, with some incoming gradients", {})
    part = ": is a part of its rule detached, or computed by NumPy?" if order > 1 else ""
    return Difference(f"{what} {found.words}{kind}{part}", found.numbers)


def _is_at_an_edge(function: Any, values: Sequence[Any], k: int, outs: Sequence[Any], device: str) -> bool:
    """Whether differences of another step say something else, as they do at a kink."""
    draw = np.random.default_rng(9)
    direction, weights = np.asarray(draw.standard_normal(values[k].shape)), weights_of(outs, draw)
    wide, narrow = (_along(function, values, k, direction, weights, device, step) for step in (STEP, STEP / 8))
    return not np.isclose(wide, narrow, 1e-2, 1e-3)


def _part(function: Any, values: Sequence[Any], k: int, device: str, order: int) -> tuple[int, bool]:
    """Which of several results has the wrong derivative by input k, and whether the tape has none for it."""
    draw = np.random.default_rng(5)
    outs = function(*_leaves(values, device))
    for i in range(len(outs)):
        part = _only(function, i)
        if k in _compare(part, values, draw, device, 10 ** (order - 1)):
            xs = _leaves(values, device)
            made = part(*xs)
            g = gradients(made, xs, weights_of(made, draw))[k]
            return i, g is None or not to_numpy(g.array).any()
    return 0, False


def _only(function: Any, i: int) -> Callable[..., list[Any]]:
    return lambda *xs: function(*xs)[i : i + 1]


def _slices(function: Any, values: Sequence[Any], k: int, weights: Sequence[Any], device: str) -> dict[str, np.ndarray]:
    """What one slice along the dims in which input k is broadcast sends to it."""
    (weight, *more), shape = weights, values[k].shape
    lead = weight.ndim - len(shape)
    if more or any(size not in (1, whole) for size, whole in zip(shape, weight.shape[lead:])):
        return {}
    xs = _leaves([np.broadcast_to(v, weight.shape) if i == k else v for i, v in enumerate(values)], device)
    g = gradients(function(*xs), xs, weights)[k]
    if g is None or not g.array.size:
        return {}
    whole = to_numpy(g.array)
    ones = tuple(dim for dim, size in enumerate(shape) if size == 1)
    found = {}
    for name, end in (("first", 0), ("last", -1)):
        one = tuple(slice(end, end + 1 or None) if size == 1 else slice(None) for size in shape)
        of_lead = whole[(end,) * lead]
        found[f"that of the {name} slice alone, not the sum,"] = of_lead.sum(ones, keepdims=True).reshape(shape)
        found[f"that of the {name} element of each dim of size 1, not the sum,"] = whole.sum(tuple(range(lead)))[one]
        found[f"that of the {name} element alone, not the sum,"] = of_lead[one]
    return found


def _suspects(case: Case, values: Sequence[Any], k: int, outs: Sequence[Any], weights: Sequence[Any], others: Any) -> Suspects:
    """What a wrong gradient may have been mistaken for."""
    shape = values[k].shape
    arrays = {name: value for name, value in zip(case.names, case.args) if is_float(value)}
    factors = dict(arrays)
    if len(outs) == 1:
        factors |= {"of the result": to_numpy(outs[0].array), "of the incoming gradient": weights[0]}
    counts = {f"the size of dim {dim}": size for dim, size in enumerate(shape)}
    counts["the number of its elements"] = values[k].size
    for out in outs:
        if values[k].size and out.array.size > values[k].size and not out.array.size % values[k].size:
            counts["the elements of the result for each of its own"] = out.array.size // values[k].size
    return Suspects(counts, others, factors, inputs=arrays)
