"""Why a rule sends nothing, or next to nothing, of the gradient that arrives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.explanation import Cause
from tinygrad_lite.study.flow import Flow, Link, argument_of, is_function, is_zero, norm, operands, source_of
from tinygrad_lite.study.values import Values

_PRODUCTS = ("mul", "div", "matmul", "linear", "contract", "convolution", "attention", "weighted_sums", "xlogy", "prod")
_STEPS = ("sign", "floor", "ceil", "round", "trunc", "div_rounded", "remainder")
_CHOICES = ("amax", "amin", "maximum", "minimum", "max_pool", "scatter_reduce")
_SATURATING = ("sigmoid", "tanh", "erf", "erfc", "gelu", "elu", "silu", "softplus", "leaky_relu")
_CLAMPS = ("clamp", "hardtanh")
_INVARIANT = ("normalize", "batch_norm", "var")
_LOSSES = ("mse", "cross_entropy", "bce_with_logits", "bce")
_SELECTIONS = ("getitem", "split", "rows", "replaced", "into_zeros")
_NEGLIGIBLE = 1e-6  # a factor that explains a tiny gradient
_SOFTMAX = ("softmax", "log_softmax", "logsumexp")


class _Words(NamedTuple):
    kind: str
    text: str
    cure: str


def why_blocked(link: Link, flow: Flow) -> Cause:
    """Why the rule of a link sends (almost) zero although the gradient that arrives is not."""
    words = _words(link, flow)
    entry = words.entry if isinstance(words, _At) else link.sender
    return Cause(words.kind, words.text, words.cure, entry)


def sums_to_nothing(links: list[Link]) -> Cause:
    """The contributions of links to an entry cancel."""
    senders = list(dict.fromkeys(link.sender.label for link in links))
    send = "send" if len(senders) > 1 else "sends for its arguments"
    text = f"what {' and '.join(senders[:4])}{' and others' * (len(senders) > 4)} {send} to {links[0].to.label} sums to (almost) zero"
    return Cause("cancelled", text, "check the loss: what is added in one place is subtracted in another", links[0].sender)


class _At(NamedTuple):
    kind: str
    text: str
    cure: str
    entry: Entry


def _words(link: Link, flow: Flow) -> _Words | _At:
    entry, operation = link.sender, link.sender.operation
    if operation == "depending":
        text = "the gradient of a piecewise linear operation is piecewise constant: its own derivative is zero"
        return _Words("zero derivative", text, "use a smooth operation (softplus, gelu) where the gradient itself is differentiated")
    if is_function(entry):
        return _Words("function", f"the backward of {operation} returns zeros for this argument", "check the formula of its backward")
    if _underflows(link, flow):
        cure = "compute it in float32 or float64, or scale the loss up (GradScaler)"
        return _Words("underflow", f"the product is smaller than the smallest number of {link.sent.dtype}", cure)
    given, out = argument_of(entry, link.argument, flow.entries), argument_of(entry, "out", flow.entries)
    if operation == "relu":
        return _relu(given, out)
    if operation in _CLAMPS:
        if operation == "hardtanh" and given is not None and given.max is not None and given.max <= 0 and out is not None and is_zero(out):
            return _relu(given, out)
        cure = "widen the limits, or clamp only what is not differentiated"
        return _Words("clamped", f"{operation} passes no gradient outside of its limits, and its input is {_range(given)}", cure)
    if operation in _STEPS:
        cure = "leave it out of the computation of the loss, or pass the gradient straight through: x + (f(x) - x).detach()"
        return _Words("step function", f"{operation} is constant between its jumps: its derivative is zero", cure)
    if operation in _CHOICES:
        return _Words(
            "max elsewhere",
            f"{operation} passes the gradient to the elements that it chose, and they are others",
            "use a mean or logsumexp if all should learn",
        )
    if operation in ("where", "masked"):
        what = "dropout has zeroed" if operation == "masked" else "where() does not take"
        return _Words("masked", f"{what} these elements wherever a gradient arrives", "check the mask: which side of it is kept")
    if operation in _SELECTIONS:
        if operation == "replaced":
            return _Words("overwritten", "an assignment in place has overwritten these elements", "check the index")
        return _Words("not selected", f"{operation} selects other elements", "check the index")
    if operation in _SOFTMAX:
        return _softmax(operation, out)
    if operation in _LOSSES:
        if out is not None and not out.finite:
            return _Words(
                "not selected", f"{operation} averages over no targets: all of them are ignored", "leave at least one that counts"
            )
        text = f"{operation} is at its minimum: the predictions agree with the targets (its input is {_range(given)})"
        return _Words("minimum", text, "check the targets, if that is too early")
    if operation in _SATURATING:
        return _saturated(operation, given, out)
    if operation in _INVARIANT:
        if out is not None and is_zero(out):
            text = f"{operation} of a single value is always zero: it subtracts the mean"
            return _Words("cancelled", text, "check the size of the batch, and the dims")
        text = f"the mean and the spread of what {operation} returns are always the same: a loss of these alone is constant"
        return _Words("cancelled", text, "compare its elements with targets, or take the loss before the normalization")
    if operation in _PRODUCTS and (found := _factor(link, flow)) is not None:
        return found
    if link.sent.size < link.arrived.size:
        return _cancelled(entry, flow)
    if operation in ("attention",):
        return _Words("saturated attention", "the softmax in it gives all weight to one key", "scale down queries and keys")
    return _Words("zero derivative", f"the derivative of {operation} is zero here: its input is {_range(given)}", "start from other values")


def _relu(given: Values | None, out: Values | None) -> _Words:
    everywhere = out is not None and is_zero(out)
    what = (
        f"all {out.size} inputs of the relu are"
        if everywhere and out is not None
        else "wherever a gradient arrives, the input of the relu is"
    )
    cure = "a lower learning rate, a smaller or positive bias, another initialization, or leaky_relu"
    return _Words("dead relu", f"{what} zero or negative ({_range(given)})", cure)


def _saturated(operation: str, given: Values | None, out: Values | None) -> _Words:
    cure = "smaller weights or normalized inputs; for the last layer a loss that takes logits"
    return _Words(f"saturated {operation}", f"{operation} is flat there: its input is {_range(given)}, its result {_range(out)}", cure)


def _softmax(operation: str, out: Values | None) -> _Words:
    hot = (
        out is not None and out.mean is not None and out.std is not None and abs(out.mean**2 + out.std**2 - out.mean) < 1e-3 * abs(out.mean)
    )
    if operation == "log_softmax" and out is not None and out.max is not None:
        hot = out.max > -1e-3
    if hot and out is not None and out.min != out.max:
        return _Words(f"saturated {operation}", f"{operation} gives all weight to one element", "scale the logits down, by a temperature")
    text = f"the results of {operation} always sum to 1: a gradient that is the same for all of them changes nothing"
    return _Words("cancelled", text, "check the dim of the softmax, and that the loss treats its elements differently")


def _factor(link: Link, flow: Flow) -> _Words | _At | None:
    """Which factor of a product is zero, and what made it so."""
    entry = link.sender
    others = {name: values for name, values in operands(entry, flow.entries).items() if name not in (link.argument, "bias")}
    for name, values in others.items():
        if not _negligible(values):
            continue
        number = source_of(entry, name)
        what = f"its argument {name!r}"
        if number is not None:
            maker = flow.entries[number]
            what += f" ({maker.label})"
            origin = _origin(maker, flow)
            if origin.operation == "relu":
                given = argument_of(origin, "input", flow.entries)
                words = _relu(given, argument_of(origin, "out", flow.entries))
                return _At(words.kind, f"{words.text}, so that {entry.operation} multiplies by zero", words.cure, origin)
            if origin.operation in ("masked", "where"):
                return _At("masked", f"a mask has zeroed {what}", "check the mask, and the share that dropout drops", origin)
        if values.dtype == "bool":
            return _Words("masked", f"the mask {what} is all False", "check the mask")
        zeros = "all zero" if is_zero(values) else f"tiny ({_range(values)})"
        cure = (
            "initialize it with small random numbers"
            if name in ("weight", "other") and entry.operation in ("linear", "matmul")
            else "check that factor"
        )
        return _Words("multiplied by zero" if is_zero(values) else "multiplied by a tiny number", f"{what} is {zeros}", cure)
    for name, number in entry.saved.items():
        if entry.operation == "mul" and isinstance(number, (int, float)) and abs(number) < _NEGLIGIBLE:
            kind = "multiplied by a tiny number" if number else "multiplied by zero"
            return _Words(kind, f"its argument {name!r} is the number {number:.4g}", "check that factor")
    kept = next((name for name, values in others.items() if entry.operation == "mul" and _is_mask(values)), None)
    if kept is not None:
        return _Words("masked", f"the mask {kept!r} is zero wherever a gradient arrives", "check the mask: which side of it is kept")
    return None


def _origin(entry: Entry, flow: Flow) -> Entry:
    """The operation that zeroed a result: through what only moves it."""
    while entry.operation in ("reshape", "permute", "expand", "getitem", "copy", "max_pool", "mean", "sum") and entry.inputs:
        before = flow.entries[entry.inputs[0]]
        if not (isinstance(before.values, Values) and is_zero(before.values)):
            break
        entry = before
    return entry


def _negligible(values: Values) -> bool:
    return is_zero(values) or (values.finite and 0 < norm(values) < _NEGLIGIBLE)


def _is_mask(values: Values) -> bool:
    if values.dtype == "bool":
        return True
    if values.array is not None:
        return bool(np.isin(values.array, (0, 1)).all())
    return values.min == 0 and values.max == 1 and values.mean is not None and abs(values.mean - (1 - values.zero)) < 1e-6


def _cancelled(entry: Entry, flow: Flow) -> _Words:
    later = next((each for each in flow.entries[entry.number :] if entry.number in each.inputs), None)
    if later is not None and later.operation in ("batch_norm", "normalize"):
        text = f"the {later.operation} at {later.place} subtracts the mean: what is added to all values before it changes nothing"
        return _Words("cancelled", text, "leave the bias out (bias=False): the one of the normalization does its work")
    text = f"{entry.operation} sums the gradient over {entry.shape}, and its elements cancel"
    return _Words("cancelled", text, "check the loss: a constant added here does not change it")


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


def _range(values: Values | None) -> str:
    if values is None or values.min is None or values.max is None:
        return "not recorded"
    return f"{values.min:.4g}" if values.min == values.max else f"from {values.min:.4g} to {values.max:.4g}"
