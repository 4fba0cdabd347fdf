"""Why a tensor has no gradient."""

from __future__ import annotations

from types import FrameType
from typing import Any, NamedTuple

from tinygrad_lite.arrays.rules import no_gradient
from tinygrad_lite.autograd.table import entries_behind
from tinygrad_lite.engine.tape import Leaf, Node, Traced
from tinygrad_lite.nn import Parameter
from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.explanation import Cause
from tinygrad_lite.study.flow import Flow, after, behind, is_function
from tinygrad_lite.study.leaving import Leaving, leaving_after, leaving_at, leaving_for, leaving_of
from tinygrad_lite.study.program import Call, variables_of
from tinygrad_lite.study.tape import Tape

_CURES = {
    "detached": "leave the detach() out, or the .data, unless no gradient is meant to flow there",
    "no_grad": "do it outside of no_grad()",
    "converted": "stay with Tensors: a number or a NumPy array carries no gradient",
    "integer": "integers, comparisons and arg-functions have no derivative: use softmax, sigmoid or a soft mask instead",
    "no create_graph": "pass create_graph=True, so that the gradient can be differentiated",
    "sampled": "use rsample() or gumbel_softmax, or the gradient of log_prob()",
}
_TEXTS = {
    "detached": "{how} takes it off the tape",
    "no_grad": "it is computed under {how}, where nothing is recorded",
    "converted": "{how} turns it into numbers, which are not on the tape",
    "integer": "{how} makes integers or booleans of it, which have no gradient",
    "no create_graph": "{how} gives a gradient whose computation was not recorded",
    "sampled": "{how} draws random numbers, which have no gradient",
}


def left(leaving: Leaving, entry: Entry | None = None) -> Cause:
    return Cause(leaving.kind, _TEXTS[leaving.kind].format(how=leaving.how), _CURES[leaving.kind], entry, leaving)


class Asked(NamedTuple):
    """Where the question was asked: the call, the name that the tensor has there, and the variables that are on the tape."""

    call: Call
    variable: str
    tracked: set[str]

    @classmethod
    def about(cls, x: Any, frame: FrameType) -> Asked:
        variables = variables_of(frame)
        name = next((name for name, value in variables.items() if value is x), "")
        tracked = {name for name, value in variables.items() if isinstance(value, Traced) and value.node is not None}
        return cls(Call(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name), name, tracked)


def off_the_tape(tensor: Traced, tape: Tape | None, asked: Asked) -> Cause:
    """Why a tensor does not require a gradient."""
    leaving = leaving_at(asked.variable, asked.call, asked.tracked) if asked.variable else None
    if tensor.array.dtype.kind not in "fc":
        if leaving is not None and leaving.kind == "integer":
            return left(leaving)
        text = f"its dtype is {tensor.array.dtype}: only floating-point tensors have gradients"
        return Cause("integer", text, "make it floating-point: tensor(2.0), .float()", None, leaving)
    if isinstance(getattr(tensor, "former", None), Leaf) or isinstance(tensor, Parameter):
        return Cause("frozen", "its requires_grad has been set to False", "requires_grad_() before the forward pass")
    if leaving is not None:
        return left(leaving)
    maker = tape.made(tensor.array) if tape is not None else None
    if maker is not None:
        return Cause("detached", f"it has the values of {maker.label}, off the tape", _CURES["detached"], maker)
    text = "it does not require a gradient, and nothing that it was computed from does"
    return Cause(
        "not required", text, "create it with requires_grad=True, call requires_grad_() before it is used, or make it an nn.Parameter"
    )


def without_a_tape(tensor: Traced, loss: Traced | None, asked: Asked | None = None) -> Cause:
    """Why a tensor on the tape has no `.grad`, as far as can be said without a recording."""
    if type(tensor.node) is Node:
        text = f"it is not a leaf but the result of {tensor.node.name}: backward passes its gradient on and keeps only those of leaves"
        cure = "call retain_grad() on it before backward; if it was meant to be a leaf, create it with the right dtype and device at once"
        return Cause("not retained", text, cure)
    if loss is None:
        text = "backward has not been called since it was created or cleared, or it is not behind the loss"
        return Cause("no backward", text, "pass the loss, explain(x, loss=loss), or a recording, explain(x, tape), to know which")
    if loss.node is None:
        return Cause("loss without a tape", "the loss itself does not require a gradient", "explain the loss: explain(loss)")
    if tensor.node in set(entries_behind([loss.node])):
        return Cause("no backward", "the loss depends on it, but backward has not been called since it was cleared", "loss.backward()")
    leaving = leaving_of(asked.variable, asked.call) if asked is not None else None
    if leaving is not None:
        return left(leaving)
    cure = "record the step with study.record(), and pass the tape to see where the way ends"
    return Cause("not behind the loss", "the loss was computed without it, or from a detached copy of it", cure)


def unused(tensor: Traced, tape: Tape, asked: Asked) -> Cause:
    """Why a tensor that requires a gradient has no entry on the tape."""
    if type(tensor.node) is Node:  # one result of several
        made = tape.entries[tape._numbers[tensor.node.parents[0]]]
        return Cause("not behind the loss", "no recorded operation took it", "use it in the loss, or leave it", made)
    name = tape._names.get(id(tensor.node), asked.variable)
    taker, left_at = tape.taken(tensor.array), leaving_of(asked.variable, asked.call, leads=False)
    if taker is not None:
        off = leaving_for(asked.variable, taker.calls[0]) if taker.calls else None
        if off is not None and off.kind == "detached":
            return left(off)
        text = f"{taker.operation} took it as a constant: requires_grad was set only after that"
        return Cause("required too late", text, "call requires_grad_() before the forward pass", taker)
    path = next((path for path in tape.modules_without_grad if name == path or name.startswith(f"{path}.") or not path), None)
    if path is not None and tape.modules_without_grad[path]:
        place = tape.modules_without_grad[path][0]
        leaving = Leaving("no_grad", "no_grad()", place.file, place.line)
        return Cause("no_grad", f"module {path or 'model'} ran under no_grad()", _CURES["no_grad"], None, leaving)
    if left_at is not None:
        return left(left_at)
    text = "no operation of the recorded block took it as an input that requires a gradient"
    return Cause("not used", text, "check that forward calls the layer it belongs to, and that the block contains that call")


def not_reached(number: int, tape: Tape, flow: Flow, asked: Asked | None = None) -> list[Cause]:
    """Why no gradient has reached an entry in a pass."""
    entries, roots = tape.entries, list(flow.of.roots)
    counted = behind(entries, roots)
    if number in counted:
        return [_stopped(number, entries, flow, counted)]
    reach = after(entries, number)
    for entry in entries:  # what was taken as a constant on the way to the loss
        cut = next((n for n in entry.cut.values() if n in reach and entry.number in counted), None)
        if cut is not None:
            made = entries[cut]
            leaving = leaving_after(made.calls, entry.calls) or leaving_after(entry.calls[:1])
            text = f"{entry.operation} took {made.label} as a constant: it was detached before"
            if leaving is not None and leaving.kind in ("detached", "no_grad"):
                return [left(leaving, made)]
            return [Cause("detached", text, _CURES["detached"], entry)]
    inputs = {n for each in reach for n in entries[each].inputs}
    ends = [entries[n] for n in sorted(reach) if n not in inputs and entries[n].by_rule_of is None]
    root = entries[roots[0]]
    for end in ends:
        leaving = leaving_after(end.calls, root.calls)
        if leaving is not None:
            return [left(leaving, end)]
    here = next((call for call in root.calls if asked is not None and call.function == asked.call.function), None)
    if asked is not None and here is not None and (left_at := leaving_of(asked.variable, here)) is not None:
        return [left(left_at)]
    last = ends[-1] if ends else entries[number]  # all of it may be the work of rules
    text = f"it leads to {last.label}, which {root.label} does not depend on"
    if last.number == number:
        text = f"nothing was computed from it that {root.label} depends on"
    return [Cause("not behind the loss", text, "use that result in the loss, or call backward on it too", last)]


def _stopped(number: int, entries: list[Entry], flow: Flow, counted: set[int]) -> Cause:
    """Where between a root and an entry behind it the gradient has ended."""
    ahead = after(entries, number) & counted
    stops = [
        entries[n] for n in sorted(ahead) if n in flow.cotangents and any(m in ahead and m not in flow.into for m in entries[n].inputs)
    ]
    for entry in stops:
        step = next(step for step in flow.of.steps if step.entry == entry.number)
        if not flow.of.complete and step is flow.of.steps[-1]:
            text = "backward raised an error there, and has gone no further"
            return Cause("backward raised", text, "read that error first", entry)
        rules = [rule for n, _, rule in entry.rules if n in ahead]
        if is_function(entry):
            text = f"the backward of {entry.operation} returned None for it"
            return Cause("function", text, "return its gradient from the backward of the Function", entry)
        if rules and all(getattr(rule, "__wrapped__", rule) is no_gradient for rule in rules):
            return Cause("no derivative", f"{entry.operation} has no derivative for it", "use another operation there", entry)
    if not flow.of.complete:
        return Cause(
            "backward raised", "backward raised an error before it got there", "read that error first", stops[0] if stops else None
        )
    text = "the pass was asked for the gradients of other tensors only (inputs=..., or those of grad())"
    return Cause("not among the inputs", text, "add it to the inputs")


def kept_nowhere(tensor: Traced, complete: bool) -> Cause | None:
    """Why `.grad` is None although a gradient was found."""
    if tensor._grad is not None:
        return None
    if type(tensor.node) is Node:
        return without_a_tape(tensor, None)
    if not complete:
        return Cause("backward raised", "backward raised an error before the gradients were stored", "read that error first")
    text = "the pass found its gradient, but grad() returns gradients and sets no .grad, or .grad has been cleared since"
    return Cause("cleared", text, "use backward() instead of grad(), or read .grad before zero_grad()")
