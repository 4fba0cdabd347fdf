"""Which experiments and tests cover each item of the lectures.

An item with something to verify or to show needs an experiment. Any other needs an experiment, or an object of the library
and a test that names the item in its docstring ("Item 67: ...").
"""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from .core import EXPERIMENTS
from .items import Item, items

TESTS = Path(__file__).parents[2] / "tests"


@dataclass(frozen=True)
class Coverage:
    item: Item
    experiments: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def is_covered(self) -> bool:
        if self.item.needs_an_experiment:
            return bool(self.experiments)
        return bool(self.experiments or (self.tests and self.item.has_code))


def coverage() -> dict[str, Coverage]:
    """The coverage of all items by number, with the experiments that are loaded."""
    tests = tests_by_item()
    return {
        number: Coverage(item, tuple(e.name for e in EXPERIMENTS.values() if number in e.items), tests.get(number, ()))
        for number, item in items().items()
    }


@functools.cache
def tests_by_item() -> dict[str, tuple[str, ...]]:
    """The tests whose docstrings name an item, as pytest takes them: "tests/test_schedules.py::test_robbins_and_monro"."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "Item" in text else ():
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                for number in items_in(ast.get_docstring(node) or ""):
                    found.setdefault(number, []).append(f"{path.relative_to(TESTS.parent).as_posix()}::{node.name}")
    return {number: tuple(names) for number, names in found.items()}


def items_in(docstring: str) -> list[str]:
    """["25", "26"] for "Items 25 and 26: in a fixed order ..."."""
    named = re.findall(r"\bItems? (N?\d+(?:(?:, | and )N?\d+)*)", docstring)
    return [number for numbers in named for number in re.findall(r"N?\d+", numbers)]


def covered() -> tuple[str, bool]:
    """The table, with its counts at the end, and whether every item is covered."""
    rows = list(coverage().values())
    lines = [f"{'item':<5} {'kind':<10} covered by"]
    for row in rows:
        library = [] if row.experiments else row.item.names or [row.item.library]
        by = [*row.experiments, *library, *row.tests] if row.is_covered else ["NOTHING"]
        lines.append(f"{row.item.number:<5} {row.item.kind:<10} {', '.join(by)}")
    numbers = [row.item.number for row in rows if row.is_covered]
    announced = sum(number.startswith("N") for number in numbers)
    lines += ["", f"{len(numbers) - announced} of 82 items of the lectures and {announced} of 7 announced ones are covered."]
    return "\n".join(lines), len(numbers) == len(rows)
