"""The items of the two lectures: their statements from docs/lectures.md, and what each asks for."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "lectures.md"
ITEMS = (*map(str, range(1, 83)), *(f"N{i}" for i in range(1, 8)))

# I: a method to implement. V: a claim to verify by a number. S: something to show. The heuristics of item 38 and the
# terms of item 77 are none of them.
KINDS = {
    item: kind
    for kind, items in {
        "I": "1 3 8 14 19 20 24 33 39 54 65 71 72 73 75 78 81 82",
        "I, V": "9 15 18 35 50 53 79",
        "I, S": "4 7 13",
        "I, V, S": "51 58 74",
        "V": "2 23 28 32 34 36 37 40 49 60 61 66 70",
        "V, S": "5 6 10 11 12 16 25 26 29 30 31 41 42 43 44 45 46 47 48 52 55 57 62 63 64 67 68 69 76 80 N1 N2 N3 N4 N5 N6 N7",
        "S": "17 21 22 27 56 59",
        "heuristic": "38",
        "terms": "77",
    }.items()
    for item in items.split()
}


@dataclass(frozen=True)
class Item:
    """A statement of a lecture, and what in the library implements it, as the page has it: in Markdown."""

    number: str
    part: str
    statement: str
    library: str

    @property
    def kind(self) -> str:
        return KINDS[self.number]

    @property
    def needs_an_experiment(self) -> bool:
        return "V" in self.kind or "S" in self.kind

    @property
    def has_code(self) -> bool:
        return len(self.library) > 1  # the page has a dash where the library has nothing of its own

    @property
    def names(self) -> list[str]:
        """The library's objects: `optim.SGD`, `tg.nn.Linear`."""
        return re.findall(r"`((?:tg|optim)\.[\w.]+)`", self.library)


@functools.cache
def items() -> dict[str, Item]:
    """All items by number, in the order of the lectures."""
    found, part = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            part = line.removeprefix("## ")
        elif row := re.fullmatch(r'\| (N?\d+) <a id="item-\1"></a> \| ([^|]+) \| ([^|]+) \|', line):
            found[row[1]] = Item(row[1], part, row[2], row[3])
    return found


def place(item: str) -> int:
    """The place of an item in the order of the lectures."""
    return ITEMS.index(item)
