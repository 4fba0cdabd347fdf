"""What differs between two tapes: operations added and removed, and where values and gradients part."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.study.as_json import Other
from tinygrad_lite.study.derivation import adjoints
from tinygrad_lite.study.entries import Entry, Pass
from tinygrad_lite.study.expressions import expression
from tinygrad_lite.study.values import Values

_SHOWN = 20  # lines of each kind
_FAR = 2000  # entries beyond which an alignment by difflib, which is quadratic, takes seconds


@dataclass(frozen=True, eq=False)
class Change:
    """Two entries that correspond and differ. `what`: "shape", "dtype", "arguments", "values" or "gradient". `distance`: the largest
    difference of two elements, of statistics where the elements were not kept; NaN where one is not finite and the other is."""

    what: str
    before: Entry
    after: Entry
    distance: float | None = None
    text: str = ""

    def __str__(self) -> str:
        after = "" if self.after.label == self.before.label else f" / {self.after.label}"
        place = f" ({self.before.place})" if self.before.calls else ""
        return f"{self.what} of {self.before.label}{after}{place}: {self.text}"


@dataclass(frozen=True, eq=False)
class Difference:
    """`removed`: entries of the first tape alone, `added`: of the second alone; `changes`: of those that correspond, in the order
    of the program, gradients in that of the backward pass."""

    removed: tuple[Entry, ...]
    added: tuple[Entry, ...]
    changes: tuple[Change, ...]
    pairs: tuple[tuple[Entry, Entry], ...]

    def __bool__(self) -> bool:
        return bool(self.removed or self.added or self.changes)

    def first(self, what: str) -> Change | None:
        """The first change of a kind: where "values", or each "gradient" on the way back, began to differ."""
        return next((change for change in self.changes if change.what == what), None)

    def __str__(self) -> str:
        return "\n".join(_report(self))

    __repr__ = __str__


def difference(
    before: Sequence[Entry], after: Sequence[Entry], passes: tuple[Pass | None, Pass | None], rtol: float, atol: float
) -> Difference:
    pairs, removed, added = _aligned(before, after)
    partner = {one.number: other.number for one, other in pairs}
    changes = [change for one, other in pairs for change in _changes(one, other, partner, rtol, atol)]
    changes += _gradients(pairs, passes, rtol, atol)
    return Difference(tuple(removed), tuple(added), tuple(changes), tuple(pairs))


def _aligned(before: Sequence[Entry], after: Sequence[Entry]) -> tuple[list[tuple[Entry, Entry]], list[Entry], list[Entry]]:
    """Pairs of entries that correspond, in order, and what is left of either tape."""
    one, other = [entry.operation for entry in before], [entry.operation for entry in after]
    start = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    pairs = list(zip(before[:start], after[:start]))
    middle, middle_after = list(before[start : len(before) - end]), list(after[start : len(after) - end])
    removed, added = middle, middle_after
    if middle and middle_after and max(len(middle), len(middle_after)) <= _FAR:
        keys, keys_after = ([f"{e.operation} {e.shape}" for e in part] for part in (middle, middle_after))
        removed, added = [], []
        for tag, a, b, c, d in difflib.SequenceMatcher(None, keys, keys_after, autojunk=False).get_opcodes():
            if tag == "equal":
                pairs += zip(middle[a:b], middle_after[c:d])
            else:
                removed += middle[a:b]
                added += middle_after[c:d]
    if end:
        pairs += zip(before[-end:], after[-end:])
    return pairs, removed, added


def _changes(one: Entry, other: Entry, partner: dict[int, int], rtol: float, atol: float) -> Iterator[Change]:
    for what in ("shape", "dtype"):
        if getattr(one, what) != getattr(other, what):
            yield Change(what, one, other, None, f"{getattr(one, what)} and {getattr(other, what)}")
    if _skeleton(one, partner) != _skeleton(other, None):
        yield Change("arguments", one, other, None, f"{expression(one)} and {expression(other)}")
    yield from _compared("values", one, other, one.values, other.values, rtol, atol)


def _skeleton(entry: Entry, partner: dict[int, int] | None) -> Any:
    """What an operation was called with, but for the values of arrays, which are compared as values, and for objects of which
    JSON keeps only a text."""
    inputs = tuple(number if partner is None else partner.get(number, -1) for number in entry.inputs)
    plain = {name: value for name, value in entry.arguments.items() if isinstance(value, (int, float, str, bool, type(None)))}
    return inputs, {name: repr(value) for name, value in plain.items() if not isinstance(value, Other)}


def _gradients(pairs: list[tuple[Entry, Entry]], passes: tuple[Pass | None, Pass | None], rtol: float, atol: float) -> Iterator[Change]:
    if passes[0] is None or passes[1] is None:
        return
    found, found_after = (adjoints(each) for each in passes)
    order = {step.entry: i for i, step in enumerate(passes[0].steps)}
    for one, other in sorted(pairs, key=lambda pair: order.get(pair[0].number, len(order))):
        a, b = found.get(one.number), found_after.get(other.number)
        if (a is None) != (b is None):
            yield Change("gradient", one, other, None, "none here, one there" if a is None else "one here, none there")
        else:
            yield from _compared("gradient", one, other, a, b, rtol, atol)


def _compared(what: str, one: Entry, other: Entry, a: Any, b: Any, rtol: float, atol: float) -> Iterator[Change]:
    parts = [(a, b)] if not isinstance(a, tuple) else list(zip(a, b)) if isinstance(b, tuple) else []
    for x, y in parts:
        if isinstance(x, Values) and isinstance(y, Values) and x.shape == y.shape:
            distance, kind = _distance(x, y, rtol, atol)
            if distance is not None:
                yield Change(what, one, other, distance, f"{kind} {distance:.4g}" if x.size > 1 else f"{x} and {y}")


def _distance(x: Values, y: Values, rtol: float, atol: float) -> tuple[float | None, str]:
    """How far two arrays are from each other, and in which sense; None if they agree within the tolerances."""
    if x.array is not None and y.array is not None:
        if np.allclose(x.array, y.array, rtol, atol, equal_nan=True):
            return None, ""
        with np.errstate(all="ignore"):
            away = np.abs(x.array.astype(np.result_type(x.array, np.float64)) - y.array)
        return float(away.max()), "elements differ by at most"
    if (x.nan, x.inf) != (y.nan, y.inf):
        return float("nan"), f"{x.nan} nan, {x.inf} inf and {y.nan} nan, {y.inf} inf;"
    numbers = [(getattr(x, name), getattr(y, name)) for name in ("mean", "std", "min", "max")]
    away = [abs(p - q) for p, q in numbers if p is not None and q is not None]
    agree = all(d <= atol + rtol * max(abs(p or 0), abs(x.std or 0)) for d, (p, _) in zip(away, numbers))
    return (None, "") if agree or not away else (max(away), "statistics differ by at most")


def _report(found: Difference) -> Iterator[str]:
    if not found:
        yield f"no difference in {len(found.pairs):,} entries"
        return
    for sign, entries in (("-", found.removed), ("+", found.added)):
        for entry in entries[:_SHOWN]:
            yield f"{sign} {entry.label} {entry.shape}" + (f" ({entry.place})" if entry.calls else "")
        if len(entries) > _SHOWN:
            yield f"{sign} ... and {len(entries) - _SHOWN:,} more"
    for what in ("shape", "dtype", "arguments", "values", "gradient"):
        changes = [change for change in found.changes if change.what == what]
        yield from map(str, changes[:_SHOWN])
        if len(changes) > _SHOWN:
            yield f"{what} of {len(changes) - _SHOWN:,} more entries"
