"""How the gradients of a recorded backward pass flow between the entries of its tape."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tinygrad_lite.study.entries import Entry, Pass
from tinygrad_lite.study.values import Values


@dataclass(frozen=True, eq=False)
class Link:
    """One edge of the flow: `sender`, at which `arrived` was its cotangent, sent `sent` to entry `to`, for this argument of
    it. The edge from an operation's result to the operation sends what arrived."""

    sender: Entry
    to: Entry
    argument: str
    arrived: Values
    sent: Values

    @property
    def factor(self) -> float:
        """The norm of what was sent over that of what arrived."""
        before = norm(self.arrived)
        return norm(self.sent) / before if before else math.inf


class Flow:
    """The links of one pass, by the number of the entry that they lead to, in order."""

    def __init__(self, entries: list[Entry], of: Pass):
        self.entries, self.of = entries, of
        self.cotangents: dict[int, Any] = {step.entry: step.cotangent for step in of.steps}
        self.into: dict[int, list[Link]] = {}
        self.totals: dict[int, Values] = {}  # what has arrived in the end
        for step in of.steps:
            sender = entries[step.entry]
            if not step.sent and sender.operation.startswith("result ") and sender.inputs:
                self._link(Link(sender, entries[sender.inputs[0]], "", whole(step.cotangent), whole(step.cotangent)))
            rules = iter(sender.rules)
            for sent in step.sent:
                argument = next((argument for number, argument, _ in rules if number == sent.to), "")
                self._link(Link(sender, entries[sent.to], argument, whole(step.cotangent), sent.gradient))
                self.totals[sent.to] = sent.total

    def _link(self, link: Link) -> None:
        self.into.setdefault(link.to.number, []).append(link)

    def gradient(self, number: int) -> Values | None:
        """The whole gradient of an entry, after its hooks; None if nothing arrived."""
        found = self.of.gradients.get(number, self.cotangents.get(number, self.totals.get(number, self.of.roots.get(number))))
        return None if found is None else whole(found)

    def before_hooks(self, number: int) -> Values | None:
        """The gradient of an entry as the rules have sent it."""
        return self.totals.get(number, self.of.roots.get(number))

    def chain(self, number: int) -> list[Link]:
        """The way from a root to an entry along which most has come, nearest to the root first."""
        links: list[Link] = []
        while number in self.into and len(links) < 100_000:
            best = max(self.into[number], key=lambda link: (not link.sent.finite, norm(link.sent), norm(link.arrived)))
            links.append(best)
            number = best.sender.number
        return links[::-1]


def behind(entries: list[Entry], numbers: Iterable[int]) -> set[int]:
    """The entries that those of these numbers were computed from, themselves included."""
    found, waiting = set(numbers), list(numbers)
    for number in waiting:  # grows meanwhile
        for each in entries[number].inputs:
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


def after(entries: list[Entry], number: int) -> set[int]:
    """The entries that were computed from this one, itself included."""
    found = {number}
    for entry in entries:  # inputs have smaller numbers, but for leaves, which nothing leads to
        if not found.isdisjoint(entry.inputs):
            found.add(entry.number)
    return found


def whole(value: Any) -> Values:
    """The cotangent of several results as one."""
    if isinstance(value, Values):
        return value
    parts = [part for part in value if part is not None]
    if len(parts) == 1:
        return parts[0]
    size = sum(part.size for part in parts) or 1
    known = [part for part in parts if part.mean is not None]
    mean = sum(part.mean * part.size for part in known) / size
    square = sum((part.mean**2 + part.std**2) * part.size for part in known) / size
    low, high = min((part.min for part in known), default=None), max((part.max for part in known), default=None)
    zero = sum(part.zero * part.size for part in parts) / size
    nan, inf = sum(part.nan for part in parts), sum(part.inf for part in parts)
    std = math.sqrt(max(square - mean**2, 0.0))
    return Values((size,), parts[0].dtype, None, mean if known else None, std if known else None, low, high, zero, nan, inf)


def norm(values: Values) -> float:
    """The Euclidean norm of the finite values; where their squares over- or underflow, the largest of them."""
    if values.mean is None or values.std is None or values.min is None or values.max is None:
        return 0.0
    found = math.hypot(values.mean, values.std) * math.sqrt(values.size - values.nan - values.inf)
    return max(found if math.isfinite(found) else 0.0, -values.min, values.max)


def is_function(entry: Entry) -> bool:
    """Whether an entry is that of an autograd.Function."""
    return "ctx" in entry.saved


def is_zero(values: Values) -> bool:
    return values.size > 0 and values.zero == 1.0


def argument_of(entry: Entry, name: str, entries: list[Entry]) -> Values | None:
    """The values of an argument of an entry (or "out"), as far as they were recorded."""
    if name == "out":
        return entry.values if isinstance(entry.values, Values) else None
    kept = entry.saved.get(name, entry.constants.get(name, entry.changed.get(name)))
    if isinstance(kept, Values):
        return kept
    number = source_of(entry, name)
    values = None if number is None else entries[number].values
    return values if isinstance(values, Values) else None


def source_of(entry: Entry, name: str) -> int | None:
    """The number of the entry that an argument is the result of."""
    return next((number for number, argument, _ in entry.rules if argument == name), entry.cut.get(name))


def operands(entry: Entry, entries: list[Entry]) -> dict[str, Values]:
    """The values of all arguments that are arrays."""
    names = dict.fromkeys([*(argument for _, argument, _ in entry.rules if argument), *entry.constants])
    found = {name: argument_of(entry, name, entries) for name in names}
    for number in entry.inputs:  # those of a Function, or of several inputs under one name
        if not any(number == source for source, argument, _ in entry.rules if argument):
            values = entries[number].values
            found[entries[number].name or f"%{number}"] = values if isinstance(values, Values) else None
    return {name: values for name, values in found.items() if values is not None}
