"""Why a rule sends nothing, or next to nothing, of the gradient that arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.explanation import Cause
from tinygrad_lite.study.flow import Flow, Link, argument_of, is_function, is_zero, norm, operands, source_of
from tinygrad_lite.study.values import Values

_NEGLIGIBLE = 1e-6  # the norm of a factor that explains a tiny gradient


def why_blocked(link: Link, flow: Flow) -> Cause:
    """Why the rule of a link sends (almost) zero although the gradient that arrives is not."""
    entry = link.sender
    if is_function(entry):
        text = f"the backward of {entry.operation} returns zeros for this argument"
        return Cause("function", text, "check the formula of its backward", entry)
    if _underflows(link, flow):
        text = f"the product is smaller than the smallest number of {link.sent.dtype}"
        return Cause("underflow", text, "compute it in float32 or float64, or scale the loss up (GradScaler)", entry)
    found = _BY_OPERATION.get(entry.operation, _product)(link, flow)
    if found is not None:
        return found
    if link.sent.size < link.arrived.size:
        return _summed(entry, flow)
    text = f"the derivative of {entry.operation} is zero here: its input is {range_of(_given(link, flow))}"
    return Cause("zero derivative", text, "start from other values", entry)


def sums_to_nothing(links: list[Link]) -> Cause:
    """The contributions of links to an entry cancel."""
    senders = list(dict.fromkeys(link.sender.label for link in links))
    send = "send" if len(senders) > 1 else "sends for its arguments"
    text = f"what {' and '.join(senders[:4])}{' and others' * (len(senders) > 4)} {send} to {links[0].to.label} sums to (almost) zero"
    return Cause("cancelled", text, "check the loss: what is added in one place is subtracted in another", links[0].sender)


def _given(link: Link, flow: Flow) -> Values | None:
    return argument_of(link.sender, link.argument, flow.entries)


def _out(entry: Entry, flow: Flow) -> Values | None:
    return argument_of(entry, "out", flow.entries)


# -- by family of operations -----------------------------------------------------------------------


def _relu(link: Link, flow: Flow) -> Cause:
    return _dead(link.sender, _given(link, flow), flow)


def _dead(entry: Entry, given: Values | None, flow: Flow) -> Cause:
    out = _out(entry, flow)
    what = "wherever a gradient arrives, the input of the relu is"
    if out is not None and is_zero(out):
        what = f"all {out.size} inputs of the relu are"
    cure = "a lower learning rate, a smaller or positive bias, another initialization, or leaky_relu"
    return Cause("dead relu", f"{what} zero or negative ({range_of(given)})", cure, entry)


def _clamp(link: Link, flow: Flow) -> Cause:
    entry, given, out = link.sender, _given(link, flow), _out(link.sender, flow)
    below = given is not None and given.max is not None and given.max <= 0
    if entry.operation == "hardtanh" and below and out is not None and is_zero(out):  # relu6
        return _dead(entry, given, flow)
    text = f"{entry.operation} passes no gradient outside of its limits, and its input is {range_of(given)}"
    return Cause("clamped", text, "widen the limits, or clamp only what is not differentiated", entry)


def _step_function(link: Link, flow: Flow) -> Cause:
    text = f"{link.sender.operation} is constant between its jumps: its derivative is zero"
    cure = "leave it out of the computation of the loss, or pass the gradient straight through: x + (f(x) - x).detach()"
    return Cause("step function", text, cure, link.sender)


def _choice(link: Link, flow: Flow) -> Cause:
    text = f"{link.sender.operation} passes the gradient to the elements that it chose, and they are others"
    return Cause("max elsewhere", text, "use a mean or logsumexp if all should learn", link.sender)


def _mask(link: Link, flow: Flow) -> Cause:
    what = "dropout has zeroed" if link.sender.operation == "masked" else "where() does not take"
    text = f"{what} these elements wherever a gradient arrives"
    return Cause("masked", text, "check the mask: which side of it is kept", link.sender)


def _selection(link: Link, flow: Flow) -> Cause:
    return Cause("not selected", f"{link.sender.operation} selects other elements", "check the index", link.sender)


def _overwritten(link: Link, flow: Flow) -> Cause:
    return Cause("overwritten", "an assignment in place has overwritten these elements", "check the index", link.sender)


def _softmax(link: Link, flow: Flow) -> Cause:
    entry, out = link.sender, _out(link.sender, flow)
    if out is not None and out.mean is not None and out.std is not None and out.max is not None and out.min != out.max:
        of_zeros_and_ones = abs(out.mean**2 + out.std**2 - out.mean) < 1e-3 * abs(out.mean)  # their squares have the same mean
        if out.max > -1e-3 if entry.operation == "log_softmax" else of_zeros_and_ones:
            text = f"{entry.operation} gives all weight to one element"
            return Cause(f"saturated {entry.operation}", text, "scale the logits down, by a temperature", entry)
    text = f"the results of {entry.operation} always sum to 1: a gradient that is the same for all of them changes nothing"
    return Cause("cancelled", text, "check the dim of the softmax, and that the loss treats its elements differently", entry)


def _loss(link: Link, flow: Flow) -> Cause:
    entry, out = link.sender, _out(link.sender, flow)
    if out is not None and not out.finite:
        text = f"{entry.operation} averages over no targets: all of them are ignored"
        return Cause("not selected", text, "leave at least one that counts", entry)
    text = f"{entry.operation} is at its minimum: the predictions agree with the targets (its input is {range_of(_given(link, flow))})"
    return Cause("minimum", text, "check the targets, if that is too early", entry)


def _saturated(link: Link, flow: Flow) -> Cause:
    entry = link.sender
    text = f"{entry.operation} is flat there: its input is {range_of(_given(link, flow))}, its result {range_of(_out(entry, flow))}"
    cure = "smaller weights or normalized inputs; for the last layer a loss that takes logits"
    return Cause(f"saturated {entry.operation}", text, cure, entry)


def _normalization(link: Link, flow: Flow) -> Cause:
    entry, out = link.sender, _out(link.sender, flow)
    if out is not None and is_zero(out):
        text = f"{entry.operation} of a single value is always zero: it subtracts the mean"
        return Cause("cancelled", text, "check the size of the batch, and the dims", entry)
    text = f"the mean and the spread of what {entry.operation} returns are always the same: a loss of these alone is constant"
    return Cause("cancelled", text, "compare its elements with targets, or take the loss before the normalization", entry)


def _attention(link: Link, flow: Flow) -> Cause:
    text = "the softmax in it gives all weight to one key"
    return _product(link, flow) or Cause("saturated attention", text, "scale down queries and keys", link.sender)


def _joined(link: Link, flow: Flow) -> Cause:
    """What sends zeros to the place of one array among those that are joined."""
    entry = link.sender
    before = max(flow.into.get(entry.number, ()), key=lambda each: each.sent.zero, default=None)
    while before is not None and before.sent.size == before.arrived.size and before.arrived.zero >= before.sent.zero > 0:
        before = max(flow.into.get(before.sender.number, ()), key=lambda each: each.sent.zero, default=None)
    why = _BY_OPERATION.get(before.sender.operation) if before is not None else None
    if before is not None and why in _ONLY_SOME:
        return why_blocked(before, flow)
    text = f"the gradient that arrives at {entry.operation} is zero in the place of this argument"
    return Cause("not selected", text, "use that part of the result in the loss", before.sender if before is not None else entry)


def _depending(link: Link, flow: Flow) -> Cause:
    text = "the gradient of a piecewise linear operation is piecewise constant: its own derivative is zero"
    cure = "use a smooth operation (softplus, gelu) where the gradient itself is differentiated"
    return Cause("zero derivative", text, cure, link.sender)


def _product(link: Link, flow: Flow) -> Cause | None:
    """Which factor of a product is zero, and what made it so; None if that is not the reason."""
    entry = link.sender
    if entry.operation not in _PRODUCTS:
        return None
    factors = {name: values for name, values in operands(entry, flow.entries).items() if name not in (link.argument, "bias")}
    for name, values in factors.items():
        if is_zero(values) or (values.finite and 0 < norm(values) < _NEGLIGIBLE):
            return _zero_factor(entry, name, values, flow)
    for name, number in entry.saved.items():
        if entry.operation == "mul" and isinstance(number, (int, float)) and abs(number) < _NEGLIGIBLE:
            kind = "multiplied by a tiny number" if number else "multiplied by zero"
            return Cause(kind, f"its argument {name!r} is the number {number:.4g}", "check that factor", entry)
    mask = next((name for name, values in factors.items() if entry.operation == "mul" and _is_mask(values)), None)
    if mask is None:
        return None
    return Cause("masked", f"the mask {mask!r} is zero wherever a gradient arrives", "check the mask: which side of it is kept", entry)


def _zero_factor(entry: Entry, name: str, values: Values, flow: Flow) -> Cause:
    number, what = source_of(entry, name), f"its argument {name!r}"
    if number is not None:
        what += f" ({flow.entries[number].label})"
        origin = _origin(flow.entries[number], flow)
        if origin.operation == "relu":
            dead = _dead(origin, argument_of(origin, "input", flow.entries), flow)
            return Cause(dead.kind, f"{dead.text}, so that {entry.operation} multiplies by zero", dead.cure, origin)
        if origin.operation in ("masked", "where"):
            return Cause("masked", f"a mask has zeroed {what}", "check the mask, and the share that dropout drops", origin)
    if values.dtype == "bool":
        return Cause("masked", f"the mask {what} is all False", "check the mask", entry)
    is_weight = name in ("weight", "other") and entry.operation in ("linear", "matmul")
    cure = "initialize it with small random numbers" if is_weight else "check that factor"
    if is_zero(values):
        return Cause("multiplied by zero", f"{what} is all zero", cure, entry)
    return Cause("multiplied by a tiny number", f"{what} is tiny ({range_of(values)})", cure, entry)


_PRODUCTS = ("mul", "div", "matmul", "linear", "contract", "convolution", "attention", "weighted_sums", "xlogy", "prod")
_FAMILIES: dict[Callable[[Link, Flow], Cause | None], tuple[str, ...]] = {
    _relu: ("relu",),
    _clamp: ("clamp", "hardtanh"),
    _step_function: ("sign", "floor", "ceil", "round", "trunc", "div_rounded", "remainder"),
    _choice: ("amax", "amin", "maximum", "minimum", "max_pool", "scatter_reduce"),
    _mask: ("where", "masked"),
    _selection: ("getitem", "split", "rows", "into_zeros"),
    _overwritten: ("replaced",),
    _softmax: ("softmax", "log_softmax", "logsumexp"),
    _loss: ("mse", "cross_entropy", "bce_with_logits", "bce"),
    _saturated: ("sigmoid", "tanh", "erf", "erfc", "gelu", "elu", "silu", "softplus", "leaky_relu"),
    _normalization: ("normalize", "batch_norm", "var"),
    _attention: ("attention",),
    _depending: ("depending",),
    _joined: ("cat", "stack"),
}
_ONLY_SOME = (_relu, _clamp, _choice, _mask, _selection, _overwritten)  # that pass a gradient to some elements alone
_BY_OPERATION = {operation: why for why, operations in _FAMILIES.items() for operation in operations}


# -- what they look at -----------------------------------------------------------------------------


def _origin(entry: Entry, flow: Flow) -> Entry:
    """The operation that zeroed a result: through what only moves it."""
    while entry.operation in ("reshape", "permute", "expand", "getitem", "copy", "max_pool", "mean", "sum") and entry.inputs:
        before = flow.entries[entry.inputs[0]]
        if not (isinstance(before.values, Values) and is_zero(before.values)):
            break
        entry = before
    return entry


def _is_mask(values: Values) -> bool:
    if values.dtype == "bool":
        return True
    if values.array is not None:
        return bool(np.isin(values.array, (0, 1)).all())
    return values.min == 0 and values.max == 1 and values.mean is not None and abs(values.mean - (1 - values.zero)) < 1e-6


def _summed(entry: Entry, flow: Flow) -> Cause:
    """The elements of a gradient that a rule sums cancel."""
    later = next((each for each in flow.entries[entry.number :] if entry.number in each.inputs), None)
    if later is not None and later.operation in ("batch_norm", "normalize"):
        text = f"the {later.operation} at {later.place} subtracts the mean: what is added to all values before it changes nothing"
        return Cause("cancelled", text, "leave the bias out (bias=False): the one of the normalization does its work", entry)
    text = f"{entry.operation} sums the gradient over {entry.shape}, and its elements cancel"
    return Cause("cancelled", text, "check the loss: a constant added here does not change it", entry)


def _underflows(link: Link, flow: Flow) -> bool:
    """Whether what is sent is zero only because its dtype has no smaller numbers."""
    if not (link.sent.dtype.startswith("float") and is_zero(link.sent) and link.arrived.finite):
        return False
    info, bound = np.finfo(link.sent.dtype), _largest(link.arrived)
    if 0 < bound < float(info.tiny):
        return True
    if link.sender.operation in ("mul", "linear", "matmul"):
        for name in ("input", "other", "weight"):
            values = link.sender.saved.get(name)
            if name != link.argument and values is not None:
                bound *= _largest(values)
    return 0 < bound < float(info.smallest_subnormal)


def _largest(values: Any) -> float:
    """The largest magnitude among values, or of a number."""
    if not isinstance(values, Values):
        return abs(values) if isinstance(values, (int, float)) else 1.0
    return 0.0 if values.min is None or values.max is None else max(-values.min, values.max)


def range_of(values: Values | None) -> str:
    """The range of values, in words."""
    if values is None or values.min is None or values.max is None:
        return "not recorded"
    return f"{values.min:.4g}" if values.min == values.max else f"from {values.min:.4g} to {values.max:.4g}"
