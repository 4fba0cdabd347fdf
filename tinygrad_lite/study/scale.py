"""Where along its way a gradient grows or shrinks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tinygrad_lite.study.blocked import range_of, sums_to_nothing, why_blocked
from tinygrad_lite.study.explanation import Cause
from tinygrad_lite.study.flow import Flow, Link, argument_of, norm, operands, whole

HUGE = 1e6  # the norm of a gradient against that at the loss, from which on something is wrong
TINY = 1e-6
_CANCELLED = 1e-5  # the norm of a sum against that of its largest part
_STEEP = ("sqrt", "root", "log", "log2", "log10", "vector_norm", "acos", "asin")
_SMALLER = "smaller initial weights, normalization between the layers, residual connections"


def why_scaled(chain: Sequence[Link], flow: Flow, growth: float) -> Cause:
    """Why a gradient is `growth` times the one at the loss: by one operation, or by a little at each of many."""
    for link in chain if growth < 1 else ():
        links, rest = flow.into[link.to.number], flow.gradient(link.to.number)
        if len(links) > 1 and rest is not None and norm(rest) < _CANCELLED * max(norm(each.sent) for each in links):
            return sums_to_nothing(links)
    factors = [(math.log(link.factor), link) for link in chain if 0 < link.factor < math.inf]
    total = math.log(growth)
    most, steepest = max(factors, key=lambda each: each[0] * total, default=(0.0, None))
    if steepest is not None and most / total > 0.5:
        return _forward(chain, steepest, growth) or _by_one(steepest, flow, growth)
    by_operation: dict[str, list[float]] = {}
    for log, each in factors:
        if log * total > 0:
            by_operation.setdefault(each.sender.operation, []).append(log)
    parts = sorted(by_operation.items(), key=lambda item: -sum(item[1]) * total)[:3]
    means = [(name, math.exp(sum(logs) / len(logs)), len(logs)) for name, logs in parts]
    text = ", ".join(f"{name} multiplies it by {mean:.3g}" + (f" on average, {n} times" if n > 1 else "") for name, mean, n in means)
    entry = next(link.sender for link in chain if link.sender.operation == parts[0][0]) if parts else None
    if growth > 1:
        return Cause("exploding", text or "many contributions add up", f"{_SMALLER}, clip_grad_norm_", entry)
    cure = "relu or gelu instead of sigmoid or tanh, initial weights that keep the scale (kaiming, xavier), normalization, skip connections"
    return Cause("vanishing", text, cure, entry)


def _forward(chain: Sequence[Link], steep: Link, growth: float) -> Cause | None:
    """Whether the operation that a gradient grows at is so steep because the values have grown on the way to it."""
    before = chain[list(chain).index(steep) + 1 :]
    values = [whole(link.sender.values) for link in reversed(before) if link.sender.values is not None]
    sizes = [norm(each) / math.sqrt(each.size) for each in values if each.size]
    ratios = [math.log(b / a) for a, b in itertools.pairwise(sizes) if a and b]
    if growth < 1 or len(ratios) < 4 or sum(ratios) < math.log(1e3) or max(ratios) > sum(ratios) / 2:
        return None
    entry = steep.sender
    text = f"the values grow by {math.exp(sum(ratios)):.3g} over {len(ratios)} operations, and {entry.operation} multiplies by them"
    return Cause("exploding", text, _SMALLER, entry)


def _by_one(link: Link, flow: Flow, growth: float) -> Cause:
    """Why one operation makes a gradient tiny or huge."""
    entry, by = link.sender, f"multiplies the gradient by {link.factor:.3g}"
    if growth < 1:
        cause = why_blocked(link, flow)
        return cause if cause.kind != "zero derivative" else Cause("tiny derivative", f"{entry.operation} {by}", "check its inputs", entry)
    given = operands(entry, flow.entries)
    if entry.operation == "div" and "other" in given:
        text = f"the divisor is {range_of(given['other'])}, and {by}"
        return Cause("divided by a tiny number", text, "add a small number to the divisor, or clamp it", entry)
    values = argument_of(entry, link.argument, flow.entries)
    close = values is not None and values.min is not None and values.min < 1e-3
    if entry.operation in _STEEP or (entry.operation == "pow" and close):
        text = f"the derivative of {entry.operation} grows without bound, and its input is {range_of(values)}: it {by}"
        return Cause("steep", text, "keep the input away from there: add a small number, or clamp", entry)
    ranges = ", ".join(f"{name} is {range_of(each)}" for name, each in given.items() if name != link.argument)
    cure = "normalize the data or the loss (mean instead of sum), or scale that factor down"
    return Cause("multiplied by a large number", f"{entry.operation} {by}" + (f": {ranges}" if ranges else ""), cure, entry)
