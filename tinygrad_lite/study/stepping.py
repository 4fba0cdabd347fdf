"""Going through a backward pass step by step, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_lite.study.entries import Entry, Pass, Step
from tinygrad_lite.study.notebook import of_no_stop, of_stop
from tinygrad_lite.study.rules import Text, text_of_rule
from tinygrad_lite.study.values import Values

_LINES = 12  # of a rule that is a function


@dataclass(frozen=True, eq=False)
class Sent:
    """What one rule did at a stop: the argument that it is the rule for, its text, the values that it names, and its
    contribution."""

    argument: str
    rule: Text
    saved: dict[str, Any]
    to: Entry
    gradient: Values
    total: Values


@dataclass(frozen=True, eq=False)
class Stop:
    """The walk at one entry. `position` counts the steps from 1; `to_come` are the entries after it."""

    position: int
    entry: Entry
    cotangent: Values | tuple[Values | None, ...]
    sent: tuple[Sent, ...]
    to_come: Sequence[Entry]

    def __str__(self) -> str:
        entry = self.entry
        lines = [f"step {self.position} of {self.position + len(self.to_come)}: {entry.label}, {entry.shape} {entry.dtype}"]
        if entry.module:
            lines.append(f"  in {entry.module}")
        if entry.calls:
            lines.append(f"  {entry.place}: {entry.source}")
        lines.append(f"  g = {_text(self.cotangent)}")
        shown: set[str] = set()
        for sent in self.sent:
            to, rule = f"  to {sent.to.label} ({sent.argument}):", sent.rule
            if rule.formula or not rule.source:
                lines.append(f"{to} {rule.formula}".rstrip())
            elif rule.source in shown:
                lines.append(f"{to} the same rule")
            else:
                lines += [to, *(f"    {line}" for line in _beginning(rule.source))]
                shown.add(rule.source)
            for name, value in sent.saved.items():
                if name not in shown:
                    shown.add(name)
                    lines.append(f"    {name} = {_text(value)}")
            lines.append(f"    sends {_text(sent.gradient)}")
            if sent.total is not sent.gradient:
                lines.append(f"    which has now {_text(sent.total)}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return of_stop(self)


class _After(Sequence[Entry]):
    """The entries of the steps after a position. Not a tuple, which each of thousands of stops would make anew."""

    def __init__(self, entries: list[Entry], steps: list[Step], position: int):
        self._entries, self._steps, self._position = entries, steps, position

    def __len__(self) -> int:
        return len(self._steps) - self._position

    def __getitem__(self, index: Any) -> Any:
        numbers = range(self._position, len(self._steps))[index]
        if isinstance(numbers, range):
            return tuple(self._entries[self._steps[i].entry] for i in numbers)
        return self._entries[self._steps[numbers].entry]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({_text(value[0])},)" if len(value) == 1 else f"({', '.join(map(_text, value))})"
    return str(value)


def _beginning(source: str) -> list[str]:
    """The lines of a rule, the first of a long one."""
    lines = source.splitlines()
    return lines if len(lines) <= _LINES else [*lines[: _LINES - 1], "    ..."]


class Stepper:
    """A position in a recorded backward pass: before its first step, at one of them, or after the last.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> with tg.study.record() as tape:
    ...     y = (x * 3).tanh()
    >>> stepper = tape.backward(y)
    >>> print(stepper.next().sent[0].rule.formula)
    g * (1 - out * out)
    >>> stepper.run_until(operation="mul").position, stepper.next() is None
    (2, True)
    >>> stepper.prev().entry.operation
    'mul'
    """

    def __init__(self, entries: list[Entry], of: Pass, number_of: Callable[[int | str], int]):
        self.entries, self.of, self.number_of = entries, of, number_of
        self.position = 0

    @property
    def steps(self) -> list[Step]:
        return self.of.steps

    @property
    def stop(self) -> Stop | None:
        """Where the stepper is; None before the first step and after the last."""
        if not 1 <= self.position <= len(self.steps):
            return None
        step = self.steps[self.position - 1]
        entry = self.entries[step.entry]
        to_come = _After(self.entries, self.steps, self.position)
        return Stop(self.position, entry, step.cotangent, tuple(sent_by(self.entries, step)), to_come)

    def next(self) -> Stop | None:
        """The next stop; None after the last."""
        self.position = min(self.position + 1, len(self.steps) + 1)
        return self.stop

    def prev(self) -> Stop | None:
        """The stop before; None before the first."""
        self.position = max(self.position - 1, 0)
        return self.stop

    def goto(self, target: int | str) -> Stop | None:
        """The stop of this position, or at the entry of this name (a variable, or a number as `%3`)."""
        if isinstance(target, str):
            number = self.number_of(target)
            found = [i for i, step in enumerate(self.steps, 1) if step.entry == number]
            if not found:
                raise KeyError(f"goto: the walk has no step at {self.entries[number].label}")
            target = found[0]
        if not hasattr(target, "__index__"):
            raise TypeError(f"goto: target must be a position or the name of an entry, got {type(target).__name__}")
        if not 0 <= target <= len(self.steps) + 1:
            raise IndexError(f"goto: expected a position from 0 to {len(self.steps) + 1}, got {target}")
        self.position = target
        return self.stop

    def run_until(
        self, operation: str | None = None, module: str | None = None, condition: Callable[[Stop], bool] | None = None
    ) -> Stop | None:
        """The next stop at an operation of this name, in this module or one inside it, at which `condition(stop)` holds; None,
        and after the last step, if there is none."""
        if condition is not None and not callable(condition):
            raise TypeError(f"run_until: condition must be a function of a stop, got {type(condition).__name__}")
        while (stop := self.next()) is not None:
            inside = module is None or stop.entry.module == module or stop.entry.module.startswith(f"{module}.")
            if inside and operation in (None, stop.entry.operation) and (condition is None or condition(stop)):
                return stop
        return None

    def reset(self) -> None:
        """Before the first step again."""
        self.position = 0

    def gradients(self) -> dict[int, Values]:
        """What each entry has of its gradient after the steps so far, by number."""
        found = dict(self.of.roots)
        for step in self.steps[: self.position]:
            for sent in step.sent:
                found[sent.to] = sent.total
        if self.position > len(self.steps):
            found.update(self.of.gradients)
        return found

    def __str__(self) -> str:
        stop = self.stop
        if stop is not None:
            return str(stop)
        return f"{'after the last' if self.position else 'before the first'} of {len(self.steps)} steps"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        stop = self.stop
        return of_no_stop(str(self)) if stop is None else of_stop(stop)


def sent_by(entries: Sequence[Entry], step: Step) -> Iterator[Sent]:
    """What each rule of a step did."""
    entry = entries[step.entry]
    rules = iter(entry.rules)
    for sent in step.sent:  # in the order of the rules, some of which may have sent nothing
        argument, rule = next(((argument, rule) for number, argument, rule in rules if number == sent.to), ("", None))
        text = text_of_rule(entry.operation, argument, rule)
        saved = {name: entry.saved[name] for name in text.parameters if name in entry.saved}
        yield Sent(argument, text, saved, entries[sent.to], sent.gradient, sent.total)
