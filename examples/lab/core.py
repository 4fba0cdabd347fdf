"""What an experiment is: a claim of the lectures, the numbers that decide it, and the function that measures them.

The numbers and their bounds stand in the decorator, so they are fixed before anything runs; the function only measures.
The verdict follows from the measured numbers alone:

    holds                   every number of the claim lies within its bounds
    holds if <condition>    one of them does not, but every number measured under the condition does
    does not hold           otherwise

`verdict` in the decorator is the one that was committed. A run whose verdict differs from it is reported as changed, and
the command that ran it ends with a non-zero exit code.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_lite as tg

from .items import ITEMS

HOLDS, HOLDS_IF, DOES_NOT_HOLD = "holds", "holds if", "does not hold"


@dataclass(frozen=True)
class Number:
    """A statistic, the bounds between which it must lie, and where they come from."""

    name: str
    low: float
    high: float
    why: str
    under_the_condition: bool = False

    def accepts(self, value: float) -> bool:
        return self.low <= value <= self.high  # False for nan

    def bounds(self) -> str:
        if self.low == self.high:
            return f"= {self.low:g}"
        if math.isinf(self.low):
            return f"≤ {self.high:g}"
        if math.isinf(self.high):
            return f"≥ {self.low:g}"
        return f"{self.low:g} to {self.high:g}"


def at_most(name: str, bound: float, why: str, *, under_the_condition: bool = False) -> Number:
    return Number(name, -math.inf, float(bound), why, under_the_condition)


def at_least(name: str, bound: float, why: str, *, under_the_condition: bool = False) -> Number:
    return Number(name, float(bound), math.inf, why, under_the_condition)


def within(name: str, low: float, high: float, why: str, *, under_the_condition: bool = False) -> Number:
    return Number(name, float(low), float(high), why, under_the_condition)


def exactly(name: str, value: float, why: str, *, under_the_condition: bool = False) -> Number:
    return Number(name, float(value), float(value), why, under_the_condition)


@dataclass(frozen=True)
class Experiment:
    """A claim and the function that measures it. `items` are the lectures' numbers, as strings: "41", "N3"."""

    name: str
    theme: str
    items: tuple[str, ...]
    title: str
    claim: str
    numbers: tuple[Number, ...]
    verdict: str
    condition: str
    measure: Callable[[Run], None]

    @property
    def code(self) -> str:
        return inspect.getsource(self.measure)


EXPERIMENTS: dict[str, Experiment] = {}


def experiment(
    *items: int | str,
    title: str,
    claim: str,
    numbers: Sequence[Number],
    verdict: str = HOLDS,
    condition: str = "",
) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Register the decorated function as the measurement of `claim`.

    `claim` is what the lecture says, in our words. `condition` completes the sentence "holds if ..." and belongs to the
    numbers that are measured `under_the_condition`.
    """

    def register(measure: Callable[[Run], None]) -> Callable[[Run], None]:
        name, theme = measure.__name__, measure.__module__.rpartition(".")[2]
        if name in EXPERIMENTS:
            raise ValueError(f"experiment {name}: there is another of this name in theme {EXPERIMENTS[name].theme}")
        if verdict not in (HOLDS, HOLDS_IF, DOES_NOT_HOLD):
            raise ValueError(f"experiment {name}: expected verdict {HOLDS!r}, {HOLDS_IF!r} or {DOES_NOT_HOLD!r}, got {verdict!r}")
        if (verdict == HOLDS_IF) > bool(condition) or bool(condition) != any(number.under_the_condition for number in numbers):
            raise ValueError(f"experiment {name}: a condition needs its text, and a number measured under it")
        if unknown := [item for item in map(str, items) if item not in ITEMS]:
            raise ValueError(f"experiment {name}: the lectures have items 1 to 82 and N1 to N7, and no {', '.join(unknown)}")
        if not items or all(number.under_the_condition for number in numbers):
            raise ValueError(f"experiment {name}: expected an item, and a number that decides whether the claim holds as stated")
        if len({number.name for number in numbers}) < len(numbers):
            raise ValueError(f"experiment {name}: two numbers have the same name")
        EXPERIMENTS[name] = Experiment(name, theme, tuple(map(str, items)), title, claim, tuple(numbers), verdict, condition, measure)
        return measure

    return register


@dataclass(frozen=True)
class Measured:
    """The value of a number, and the interval it was seen in: a 95 % confidence interval or the range over seeds."""

    number: Number
    value: float
    interval: tuple[float, float] | None

    @property
    def accepted(self) -> bool:
        return self.number.accepts(self.value)


@dataclass
class Run:
    """One run of an experiment: where it gets its seeds from, and where its numbers, figures and tables go.

    Without a folder no figure is kept.
    """

    experiment: Experiment
    fast: bool = False
    seed: int = 0
    folder: Path | None = Path("runs/lab")
    measured: list[Measured] = field(default_factory=list)
    figures: list[tuple[Path, str]] = field(default_factory=list)
    tables: list[tuple[list[str], list[list[str]]]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    used_seeds: set[int] = field(default_factory=set)

    def choose(self, fast: Any, full: Any) -> Any:
        """`fast` with --fast, otherwise `full`: for counts of updates, sizes of sweeps."""
        return fast if self.fast else full

    def seeds(self, fast: int, full: int) -> Iterator[int]:
        """Seed by seed: 1000 * self.seed, and on. The library's own stream is seeded with each before it is given."""
        for i in range(self.choose(fast, full)):
            seed = 1000 * self.seed + i
            self.used_seeds.add(seed)
            tg.manual_seed(seed)
            yield seed

    def generator(self, seed: int | None = None) -> np.random.Generator:
        """NumPy's generator of this seed; without one, of the run's first."""
        seed = 1000 * self.seed if seed is None else seed
        self.used_seeds.add(seed)
        return np.random.default_rng(seed)

    def judge(self, name: str, value: float, interval: tuple[float, float] | None = None) -> None:
        """Give the measured value of the number `name`; `interval` is its spread."""
        known = {number.name: number for number in self.experiment.numbers}
        if name not in known:
            raise ValueError(f"judge: {self.experiment.name} declares no number {name!r}, only {', '.join(map(repr, known))}")
        if any(name == each.number.name for each in self.measured):
            raise ValueError(f"judge: {name!r} was measured twice")
        ends = None if interval is None else (float(interval[0]), float(interval[1]))
        self.measured.append(Measured(known[name], float(value), ends))

    @contextmanager
    def figure(self, caption: str, columns: int = 1, rows: int = 1, height: float = 3.2, **options: Any) -> Iterator[Any]:
        """The axes of a new figure (an array of them where there are several), which is saved when the block ends.

        `caption` says what the picture shows and is its alternative text. `options` go to `matplotlib.pyplot.subplots`.
        """
        from . import style  # here, so that experiments can be listed without matplotlib

        with style.figure(columns, rows, height, **options) as (figure, axes):
            yield axes
            if self.folder is not None:
                self.figures.append((style.save(figure, self._path(self.folder, "png")), caption))

    def animation(
        self, caption: str, frames: Sequence[Any], draw: Callable[[Any, Any], None], seconds: float = 6.0, **options: Any
    ) -> None:
        """A GIF of `draw(axes, frame)` for each of `frames`, on axes that are cleared before each.

        `options` are `columns` and `height`, as of `figure`.
        """
        from . import style

        if self.folder is not None:
            path = style.animate(frames, draw, self._path(self.folder, "gif"), seconds, **options)
            self.figures.append((path, caption))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table beside the figure. Floats are given three digits."""
        shown = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
        self.tables.append((list(head), shown))

    def remark(self, text: str) -> None:
        """A sentence on what was seen, beside the numbers."""
        self.remarks.append(text)

    def _path(self, folder: Path, ending: str) -> Path:
        count = len(self.figures)
        return folder / f"{self.experiment.name}{f'-{count + 1}' if count else ''}.{ending}"

    @property
    def verdict(self) -> str:
        missing = {number.name for number in self.experiment.numbers} - {each.number.name for each in self.measured}
        if missing:
            raise ValueError(f"{self.experiment.name}: {', '.join(sorted(missing))} was declared but never measured")
        if all(each.accepted for each in self.measured if not each.number.under_the_condition):
            return HOLDS
        under = [each.accepted for each in self.measured if each.number.under_the_condition]
        return HOLDS_IF if under and all(under) else DOES_NOT_HOLD
