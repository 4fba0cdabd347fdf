"""Why an operation, or its rule, makes NaN or infinity of finite numbers, and the usual cure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.explanation import Cause
from tinygrad_lite.study.flow import operands, source_of, whole
from tinygrad_lite.study.values import Values

_Given = dict[str, Values]


class Reason(NamedTuple):
    text: str
    cure: str


class _Case(NamedTuple):
    operations: str
    holds: Callable[[_Given], bool]
    text: str
    cure: str


def _low(given: _Given, name: str = "input") -> float:
    values = given.get(name, next(iter(given.values()), None))
    return values.min if values is not None and values.min is not None else np.inf


def _high(given: _Given, name: str = "input") -> float:
    values = given.get(name, next(iter(given.values()), None))
    return values.max if values is not None and values.max is not None else -np.inf


def _zero(name: str) -> Callable[[_Given], bool]:
    return lambda given: name not in given or given[name].zero > 0


def _infinite(given: _Given) -> bool:
    return any(values.inf for values in given.values())


def _always(given: _Given) -> bool:
    return True


_ABOVE_ZERO = "keep it above zero: clamp(min=1e-8), or add a small number; log_softmax instead of the log of a softmax"
_MASKED_ROW = "leave every row one entry that is not masked, or mask with a large negative number instead of -inf"

_FORWARD = (
    _Case("log log2 log10 logit xlogy", lambda v: _low(v) <= 0, "takes the logarithm of zero or of a negative number", _ABOVE_ZERO),
    _Case("log1p", lambda v: _low(v) <= -1, "takes the logarithm of a number that is not positive", "keep its input above -1"),
    _Case("sqrt root", lambda v: _low(v) < 0, "takes the square root of a negative number", "clamp(min=0) what goes in"),
    _Case("pow", lambda v: _low(v) < 0, "takes a negative number to a fractional power", "take it of abs(), or clamp(min=0) what goes in"),
    _Case("pow", lambda v: v["input"].zero > 0 if "input" in v else True, "takes zero to a negative power", "add a small number"),
    _Case("div", _zero("other"), "divides by zero", "add a small number to the divisor, or clamp it"),
    _Case("exp expm1 sinh cosh", lambda v: _high(v) > 11, "takes the exponential of a number so large that it overflows",
          "subtract the maximum first, as logsumexp and softmax do, or clamp what goes in"),
    _Case("acos asin", _always, "takes a number outside of [-1, 1]", "clamp what goes in to -1 + 1e-6 and 1 - 1e-6"),
    _Case("atanh erfinv", _always, "takes a number outside of (-1, 1)", "clamp what goes in to -1 + 1e-6 and 1 - 1e-6"),
    _Case("acosh", _always, "takes a number below 1", "clamp(min=1) what goes in"),
    _Case("softmax log_softmax attention logsumexp", _infinite, "has a row in which everything is -inf (masked)", _MASKED_ROW),
    _Case("attention", _always, "has a row in which everything is masked, or scores that overflow", _MASKED_ROW),
    _Case("cross_entropy", _infinite, "takes infinite logits", "find what made them infinite: it is above in the chain"),
    _Case("cross_entropy", _always, "averages over no targets: all of them are ignored", "leave at least one target that counts"),
    _Case("add sub sum mean cumsum", _infinite, "subtracts infinity from infinity", "mask with a large negative number instead of -inf"),
    _Case("mul matmul linear contract convolution", _infinite, "multiplies zero by infinity",
          "use where() instead of a product with a mask"),
    _Case("var", lambda v: max(x.size for x in v.values()) > 0, "is the variance of a single value, with the correction 0 / 0",
          "use correction=0, or more than one value"),
    _Case("mean", lambda v: min(x.size for x in v.values()) == 0, "averages over nothing", "leave out empty batches and empty selections"),
)  # fmt: skip

_EDGE = "clamp what goes in to -1 + 1e-6 and 1 - 1e-6: the derivative is infinite at the ends"
_BACKWARD = (
    _Case("sqrt root", _zero("out"), "has an infinite derivative at 0", "add a small number inside: sqrt(x + 1e-12)"),
    _Case("pow", _zero("input"), "has an infinite derivative at 0 for an exponent below 1", "add a small number to the base"),
    _Case("vector_norm hypot", _zero("out"), "has no derivative at 0", "add a small number inside: sqrt((x * x).sum() + 1e-12)"),
    _Case("div", _zero("other"), "divides by zero", "add a small number to the divisor, or clamp it"),
    _Case("log log2 log10 logit xlogy", lambda v: _low(v) <= 0, "has the derivative 1 / 0 at 0", _ABOVE_ZERO),
    _Case("acos asin atanh", _always, "has an infinite derivative at -1 and 1", _EDGE),
    _Case("acosh", _always, "has an infinite derivative at 1", "clamp what goes in to 1 + 1e-6"),
    _Case("atan2", _always, "has no derivative at (0, 0)", "keep one of its arguments away from zero"),
    _Case("svd eigh", _always, "has no derivative where singular values or eigenvalues are equal",
          "add small different numbers to the diagonal"),
    _Case("inv solve det slogdet cholesky", _always, "is nearly singular", "add a small multiple of the identity"),
)  # fmt: skip


def why_forward(operation: str, given: _Given, result: Values) -> Reason:
    """Why `operation` made NaN or infinity of these arguments, by name."""
    tainted = [name for name, values in given.items() if values.nan]
    if tainted:
        return Reason(
            f"takes {given[tainted[0]].nan} NaN in its argument {tainted[0]!r}", "look at where that comes from: data, or a parameter"
        )
    case = _case(_FORWARD, operation, given)
    if case is not None and not (operation == "pow" and not result.nan and _outgrows(given, result)):
        return Reason(case.text, case.cure)
    if result.inf and not result.nan:
        return _overflow("its result", result)
    return Reason("makes it", "look at the ranges of its inputs")


def _outgrows(given: _Given, result: Values) -> bool:
    """Whether a power is infinite because it is large: there is no zero to take a negative power of, or the base is large too."""
    base = given.get("input")
    if base is None or base.min is None or base.max is None:
        return False
    return not base.zero or max(-base.min, base.max) > float(np.finfo(result.dtype).max) ** 0.25


def why_backward(operation: str, given: _Given, arrived: Values, sent: Values) -> Reason:
    """Why a rule of `operation` made NaN or infinity of a finite cotangent. `given`: the arguments and "out"."""
    case = _case(_BACKWARD, operation, given)
    if case is None and not sent.nan:
        return _overflow("the gradient that it sends", sent)
    text = case.text if case is not None else "makes it"
    if sent.nan and arrived.zero > 0 and case is not None:
        text += ", and the gradient that arrives there is 0 (a branch that where() or a mask does not take): 0 * inf is NaN"
        cure = "make the numbers that go into the operation safe, with where() before it as well as after it"
        return Reason(text, cure)
    return Reason(text, case.cure if case is not None else "look at the values that its rule takes")


def finite(entry: Entry) -> bool:
    """Whether the values of an entry, as far as they were recorded, are finite."""
    return entry.values is None or whole(entry.values).finite


def first_forward(entries: list[Entry], numbers: set[int], spoilt: bool) -> Cause | None:
    """Why the first of these entries is not finite whose result is not although its inputs are. An infinite constant counts
    as a mask, unless no other reason is found for a loss that is not finite (`spoilt`)."""
    bad = [entries[n] for n in sorted(numbers) if not finite(entries[n]) and entries[n].by_rule_of is None]
    operations = [entry for entry in bad if not entry.is_leaf and not entry.operation.startswith("result ")]
    found = next((cause for cause in (_made(entry, entries, False) for entry in operations) if cause is not None), None)
    if found is None and spoilt:
        found = next((cause for cause in (_made(entry, entries, True) for entry in operations) if cause is not None), None)
    return found


def _made(entry: Entry, entries: list[Entry], inf_counts: bool) -> Cause | None:
    """Why the result of an operation is not finite, unless that is because the result of another is not."""
    values, given = whole(entry.values), operands(entry, entries)
    for name, each in given.items():
        source = source_of(entry, name)
        from_outside = name in entry.constants and source is None
        if not (each.nan or (each.inf and (values.nan or inf_counts))):
            continue
        if from_outside:
            text = f"{entry.operation} takes {each} in its argument {name!r}, which is data or a constant"
            return Cause("nan in the data", text, "check the data before training: isfinite(x).all()", entry)
        if source is not None and entries[source].is_leaf:
            text = f"{entries[source].name or 'the leaf'} ({name!r} of {entry.operation}) had {each.nan} NaN and {each.inf} infinite values"
            cure = "an update before made them: run from the first step under study.first_bad(), lower the learning rate, clip gradients"
            return Cause("nan in a parameter", text, cure, entry)
    made_nan = values.nan and not any(each.nan for each in given.values())
    made_inf = values.inf and entry.operation != "where" and not any(each.inf or each.nan for each in given.values())
    if not made_nan and not made_inf:
        return None
    reason = why_forward(entry.operation, given, values)
    ranges = "; ".join(f"{name}: {each}" for name, each in given.items())
    kind = f"{'nan' if values.nan else 'inf'} made by {entry.operation}"
    return Cause(kind, f"{entry.label} {reason.text} ({ranges})", reason.cure, entry)


def _case(table: tuple[_Case, ...], operation: str, given: _Given) -> _Case | None:
    return next((case for case in table if operation in case.operations.split() and case.holds(given)), None)


def _overflow(what: str, values: Values) -> Reason:
    largest = f" ({float(np.finfo(values.dtype).max):.3g} at most)" if values.dtype.startswith("float") else ""
    cure = "scale down what goes in: normalize the data, smaller weights, a lower learning rate"
    if values.dtype == "float16":
        cure = "compute it in float32, or use a GradScaler: float16 ends early"
    return Reason(f"overflows: {what} is larger than {values.dtype} holds{largest}", cure)
