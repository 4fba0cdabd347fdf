"""`explain`: why a gradient is None, zero, NaN, infinite, huge or tiny."""

from __future__ import annotations

import sys
from typing import Any, overload

import numpy as np

from tinygrad_lite.engine.tape import Node, Traced
from tinygrad_lite.nn import Module
from tinygrad_lite.study.blocked import sums_to_nothing, why_blocked
from tinygrad_lite.study.entries import Pass
from tinygrad_lite.study.explanation import Cause, Explanation, Explanations
from tinygrad_lite.study.flow import Flow, Link, argument_of, behind, is_zero, norm, operands
from tinygrad_lite.study.missing import Asked, kept_nowhere, not_reached, off_the_tape, unused, without_a_tape
from tinygrad_lite.study.nonfinite import finite, first_forward, why_backward
from tinygrad_lite.study.scale import HUGE, TINY, why_scaled
from tinygrad_lite.study.tape import Tape, last_tape_with
from tinygrad_lite.study.values import Values, values_of


@overload
def explain(x: Module, tape: Tape | None = None, loss: Traced | None = None) -> Explanations: ...
@overload
def explain(x: Traced | str | int, tape: Tape | None = None, loss: Traced | None = None) -> Explanation: ...
def explain(x: Any, tape: Tape | None = None, loss: Traced | None = None) -> Any:
    """Why the gradient of `x` is None, zero, NaN, infinite, huge or tiny, and what to do; or that nothing is wrong.

    `x`: a Tensor or parameter, the name or number of an entry of the tape, or a Module for all of its parameters. With a
    `tape` (of `study.record`, with the backward pass in its block) the answer names operations, modules and lines of the
    program, and shows the chain of operations along which the gradient came. Without the argument it is the last tape of this
    thread that the program still holds and that has an entry of `x`. If there is none, the answer is what the tensor itself
    and the text of the program tell, and whether `loss` depends on it. `loss` also selects the pass of the tape that started
    there; otherwise it is the last that reached `x`.

    Huge and tiny: the norm is more than a million times, or less than a millionth of, the norm at the loss.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([-1.0, -2.0], requires_grad=True)
    >>> with tg.study.record() as tape:
    ...     h = x.relu()
    ...     (h * h).sum().backward()
    >>> why = tg.study.explain(x)
    >>> why.state, why.cause
    ('zero', 'dead relu')
    """
    if tape is not None and not isinstance(tape, Tape):
        raise TypeError(f"explain: tape must be what study.record() gives, got {type(tape).__name__}")
    if loss is not None and not isinstance(loss, Traced):
        raise TypeError(f"explain: loss must be a Tensor, got {type(loss).__name__}")
    asked = Asked.about(x, sys._getframe(1))
    if tape is None and isinstance(x, (Traced, Module)):
        tape = last_tape_with([x] if isinstance(x, Traced) else x.parameters())
    if isinstance(x, Module):
        named = [(f"{asked.variable}.{name}" if asked.variable else name, each) for name, each in x.named_parameters()]
        return Explanations(_of_tensor(each, tape, loss, asked._replace(variable=name)) for name, each in named)
    if isinstance(x, Traced):
        return _of_tensor(x, tape, loss, asked)
    if tape is None or not isinstance(x, (str, int)):
        expected = "a Tensor or a Module" if tape is None else "a Tensor, a Module, or the name or number of an entry"
        raise TypeError(f"explain: expected {expected} as x, got {type(x).__name__}")
    entry = tape[x]
    flow = _flow(tape, entry.number, loss)
    if flow is None:
        return Explanation(entry.label, "None", (_no_pass(),))
    gradient = flow.gradient(entry.number)
    if gradient is None:
        return Explanation(entry.label, "None", tuple(not_reached(entry.number, tape, flow)))
    return _of_gradient(entry.label, entry.number, gradient, flow, tape)


def _of_tensor(x: Traced, tape: Tape | None, loss: Traced | None, asked: Asked) -> Explanation:
    subject = asked.variable or "this tensor"
    if x.node is None:
        return Explanation(subject, "None", (off_the_tape(x, tape, asked),))
    known = x._grad
    if tape is None:
        if known is None:
            return Explanation(subject, "None", (without_a_tape(x, loss, asked),))
        return _of_values(subject, values_of(known.array))
    if x.node not in tape._numbers:
        if known is not None:
            return _of_values(subject, values_of(known.array))
        if type(x.node) is Node and (not x.node.parents or x.node.parents[0] not in tape._numbers):
            return Explanation(subject, "None", (without_a_tape(x, loss, asked),))
        return Explanation(subject, "None", (unused(x, tape, asked),))
    number = tape.number_of(x)
    flow = _flow(tape, number, loss)
    subject = asked.variable or tape.entries[number].name or subject
    if flow is None:
        return _of_values(subject, values_of(known.array)) if known is not None else Explanation(subject, "None", (_no_pass(),))
    gradient = flow.gradient(number)
    if gradient is None:
        return Explanation(subject, "None" if known is None else "wrong", tuple(not_reached(number, tape, flow, asked)))
    found = _of_gradient(subject, number, gradient, flow, tape)
    lost = kept_nowhere(x, flow.of.complete)
    if lost is not None:
        return Explanation(subject, "None", (lost, *found.causes), gradient, found.chain, found.notes)
    changed = _changed_since(number, values_of(known.array), gradient, tape)
    if changed is None:
        return found
    return Explanation(subject, "wrong", (changed, *found.causes), gradient, found.chain, found.notes)


def _flow(tape: Tape, number: int, loss: Traced | None) -> Flow | None:
    """The pass that started at `loss`; without it the last that reached the entry, or else the last."""
    if not tape.passes:
        return None
    of: Pass | None
    if loss is not None:
        root = tape.number_of(loss)
        of = next((each for each in reversed(tape.passes) if root in each.roots), None)
    else:
        of = next((each for each in reversed(tape.passes) if number in each.gradients or number in each.roots), tape.passes[-1])
        if number not in of.gradients:
            reached = (each for each in reversed(tape.passes) if any(step.entry == number for step in each.steps))
            of = next(reached, of)
    return None if of is None else Flow(tape.entries, of)


def _no_pass() -> Cause:
    return Cause("no backward", "no backward pass was recorded", "call backward inside the block of study.record(), or tape.backward(loss)")


def _of_values(subject: str, gradient: Values) -> Explanation:
    """What the gradient alone tells."""
    state = _state(gradient, 1.0)
    if state in ("zero", "nan", "inf", "huge", "tiny"):
        cure = "run the step inside study.record(), and pass the tape: explain(x, tape)"
        return Explanation(subject, state, (Cause("not recorded", "where this comes from was not recorded", cure),), gradient)
    return Explanation(subject, "sound", (), gradient)


def _state(gradient: Values, at_the_loss: float) -> str:
    if not gradient.size:
        return "sound"
    if gradient.nan or gradient.inf:
        return "nan" if gradient.nan else "inf"
    if is_zero(gradient):
        return "zero"
    growth = norm(gradient) / at_the_loss if at_the_loss else 1.0
    return "huge" if growth > HUGE else "tiny" if growth < TINY else "sound"


def _of_gradient(subject: str, number: int, gradient: Values, flow: Flow, tape: Tape) -> Explanation:
    chain = flow.chain(number)
    start = chain[0].sender.number if chain else number
    at_the_loss = max((norm(each) for each in flow.of.roots.values()), default=1.0)
    state = _state(gradient, at_the_loss)
    causes: list[Cause] = []
    changed = _changed_by_hook(chain, number, state, flow)
    if changed is not None:
        causes = [changed]
    elif state == "zero":
        causes = _why_zero(number, flow)
    elif state in ("nan", "inf"):
        causes = [_why_nonfinite(number, start, flow)]
        if causes[0].kind == "nan in a parameter" and (earlier := _spoilt_before(flow, tape)) is not None:
            causes = [earlier, *causes]
    elif state in ("huge", "tiny"):
        causes = [why_scaled(chain, flow, norm(gradient) / at_the_loss)]
    return Explanation(subject, state, tuple(causes), gradient, chain, _notes(gradient, start, flow))


def _notes(gradient: Values, start: int, flow: Flow) -> tuple[str, ...]:
    notes = []
    if gradient.finite and not finite(flow.entries[start]):
        cause = first_forward(flow.entries, behind(flow.entries, [start]), True)
        notes.append(f"note: {flow.entries[start].label} itself is not finite" + (f": {cause.text}" if cause is not None else ""))
    if 0.5 <= gradient.zero < 1:
        notes.append(f"note: {gradient.zero:.0%} of it is zero")
    return tuple(notes)


def _changed_by_hook(chain: list[Link], number: int, state: str, flow: Flow) -> Cause | None:
    """The last hook on the way that made a gradient zero, not finite, huge or tiny."""
    if state == "sound":
        return None
    for n in [*(link.sender.number for link in chain), number]:
        before, now = flow.before_hooks(n), flow.gradient(n)
        if before is None or now is None or before is now:
            continue
        entry = flow.entries[n]
        then = _state(before, 1.0), _state(now, 1.0)
        zeroed, spoilt = is_zero(now) and not is_zero(before), before.finite and not now.finite
        scaled = then[0] == "sound" and then[1] == state and state in ("huge", "tiny")
        if (zeroed and state == "zero") or spoilt or scaled:
            text = f"a hook of {entry.label} turned its gradient from {before} into {now}"
            return Cause("hook", text, "check that hook (register_hook, insert_grad)", entry)
    return None


def _why_zero(number: int, flow: Flow) -> list[Cause]:
    """The operations nearest to the loss that sent nothing of what arrived, the largest first."""
    found: list[tuple[float, Cause]] = []
    seen, waiting = {number}, [number]
    for n in waiting:  # grows meanwhile
        links = flow.into.get(n, [])
        if not links:
            text = "the gradient that was passed to backward is zero"
            found.append((0.0, Cause("zero gradient passed", text, "pass ones, or none for a scalar", flow.entries[n])))
        sending = [link for link in links if not is_zero(link.sent)]
        if sending:
            found.append((max(norm(link.sent) for link in sending), sums_to_nothing(sending)))
            continue
        for link in links:
            if not is_zero(link.arrived):
                found.append((norm(link.arrived), why_blocked(link, flow)))
                if found[-1][1].kind == "underflow" and (shrunk := _shrunk(link, flow)) is not None:
                    found.append((0.0, shrunk))
            elif link.sender.number not in seen:
                seen.add(link.sender.number)
                waiting.append(link.sender.number)
    found.sort(key=lambda each: -each[0])
    causes: list[Cause] = []
    for _, cause in found:
        if all((cause.kind, cause.place) != (other.kind, other.place) for other in causes):
            causes.append(cause)
    return causes


def _shrunk(link: Link, flow: Flow) -> Cause | None:
    """What has made a gradient tiny before it underflows at a link."""
    at_the_loss = max((norm(each) for each in flow.of.roots.values()), default=1.0)
    growth = norm(link.arrived) / at_the_loss if at_the_loss else 1.0
    return why_scaled(flow.chain(link.sender.number), flow, growth) if 0 < growth < TINY else None


def _why_nonfinite(number: int, root: int, flow: Flow) -> Cause:
    """The first operation behind the loss that made NaN or infinity, or else the first rule that did."""
    entries = flow.entries
    spoilt = not finite(entries[root])
    forward = first_forward(entries, behind(entries, [root]), spoilt)
    backward = _first_backward(number, flow)
    if forward is not None and (spoilt or backward is None):
        return forward
    if backward is not None:
        return _backward_cause(backward, flow)
    passed = next((each for each in flow.of.roots.values() if not each.finite), None)
    if passed is not None:
        return Cause("non-finite gradient passed", f"the gradient that was passed to backward is {passed}", "check it", entries[root])
    return Cause("sum", "finite contributions sum to more than the dtype holds", "scale the loss down", entries[number])


def _spoilt_before(flow: Flow, tape: Tape) -> Cause | None:
    """Why the first pass of the tape had a gradient that is not finite, if that was an earlier one."""
    for of in tape.passes[: tape.passes.index(flow.of)]:
        bad = next((number for number, gradient in of.gradients.items() if not gradient.finite), None)
        if bad is not None:
            before = Flow(tape.entries, of)
            chain = before.chain(bad)
            return _why_nonfinite(bad, chain[0].sender.number if chain else bad, before)
    return None


def _first_backward(number: int, flow: Flow) -> Link | None:
    """The first link on any way to an entry that sends what is not finite of what is."""
    ways, waiting = {number}, [number]
    for n in waiting:  # grows meanwhile
        for link in flow.into.get(n, []):
            if link.sender.number not in ways:
                ways.add(link.sender.number)
                waiting.append(link.sender.number)
    order = {step.entry: i for i, step in enumerate(flow.of.steps)}
    bad = [link for n in ways for link in flow.into.get(n, []) if link.arrived.finite and not link.sent.finite]
    return min(bad, key=lambda link: order[link.sender.number], default=None)


def _backward_cause(link: Link, flow: Flow) -> Cause:
    entry = link.sender
    given = operands(entry, flow.entries)
    out = argument_of(entry, "out", flow.entries)
    reason = why_backward(entry.operation, {**given, **({"out": out} if out is not None else {})}, link.arrived, link.sent)
    ranges = "; ".join(f"{name}: {each}" for name, each in given.items())
    kind = f"{'nan' if link.sent.nan else 'inf'} made by the rule of {entry.operation}"
    return Cause(kind, f"{entry.label} {reason.text} (g: {link.arrived}; {ranges})", reason.cure, entry)


def _changed_since(number: int, now: Values, gradient: Values, tape: Tape) -> Cause | None:
    """Why `.grad` is not the gradient that the pass found."""
    if _same(now, gradient):
        return None
    if is_zero(now) and not is_zero(gradient):
        return Cause("cleared", ".grad has been set to zero since", "read it before zero_grad(set_to_none=False)")
    parts = [each.gradients[number] for each in tape.passes if each.complete and number in each.gradients]
    means = [part.mean for part in parts if part.mean is not None]
    if len(parts) > 1 and now.mean is not None and np.isclose(now.mean, sum(means), rtol=1e-3, atol=1e-12):
        text = f".grad is the sum of {len(parts)} backward passes"
        return Cause("accumulated", text, "call zero_grad() before each backward, unless the sum is wanted")
    if not now.finite and gradient.finite:
        return Cause("changed", f".grad is {now}: it was there before, or has been changed since", "check what else writes to .grad")
    return None  # clipped, scaled back or added to


def _same(a: Values, b: Values) -> bool:
    if a.array is not None and b.array is not None:
        return np.array_equal(a.array, b.array, equal_nan=True)
    return (a.mean, a.std, a.nan, a.inf) == (b.mean, b.std, b.nan, b.inf)
