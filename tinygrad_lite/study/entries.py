"""What a tape with values consists of: entries, and the steps of backward passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tinygrad_lite.study.program import Call, source_line
from tinygrad_lite.study.values import Values


@dataclass(eq=False)
class Entry:
    """One operation of the tape, one result of an operation that has several, or one leaf.

    `inputs`: the numbers of the entries that its gradient flows to. `saved`: by the name that a rule gives it, what the tape
    keeps for the rules. `rules`: for each input its number, the argument, and the function. `calls`: where the program called
    it, innermost first. `module`: the name of the module whose forward called it. `by_rule_of`: the number of the entry whose
    rule called it, in a backward pass with create_graph=True. `constants`: the arrays among its arguments that have no entry,
    by argument; `cut`: for those of them that are the result of an entry and were taken off the tape, its number. `changed`:
    by argument, the values of leaves that have changed since their entry was made, as an optimizer changes them.
    `arguments`: all of them by name, those on the tape as `Input`.
    """

    number: int
    operation: str
    inputs: tuple[int, ...]
    shape: Any
    dtype: str
    values: Values | tuple[Values, ...] | None = None
    saved: dict[str, Any] = field(default_factory=dict)
    bytes_saved: dict[str, int] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    module: str = ""
    name: str = ""
    rules: tuple[tuple[int, str, Any], ...] = ()
    by_rule_of: int | None = None
    constants: dict[str, Values] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Values] = field(default_factory=dict)

    @property
    def is_leaf(self) -> bool:
        return self.operation == "leaf"

    @property
    def place(self) -> str:
        """`file:line`, or "" for a leaf."""
        return f"{self.calls[0].file}:{self.calls[0].line}" if self.calls else ""

    @property
    def source(self) -> str:
        """The line of the program that called the operation."""
        return source_line(self.calls[0].file, self.calls[0].line) if self.calls else ""

    @property
    def label(self) -> str:
        """`%3 h = tanh`"""
        return f"%{self.number} {self.name + ' = ' if self.name else ''}{self.operation}"


@dataclass(frozen=True, eq=False)
class Contribution:
    """What a rule sent to an input, and what the input has with it so far."""

    to: int
    gradient: Values
    total: Values


@dataclass(eq=False)
class Step:
    """The walk at one entry: its cotangent, and what its rules sent. The cotangents of several results are a tuple, with None
    for one that nothing has reached."""

    entry: int
    cotangent: Values | tuple[Values | None, ...]
    sent: list[Contribution] = field(default_factory=list)


@dataclass(eq=False)
class Pass:
    """One backward pass: its steps in order, and the gradients found, by the numbers of their entries. `nested`: whether a rule
    of another pass ran it, as checkpoint's does."""

    roots: dict[int, Values]
    steps: list[Step] = field(default_factory=list)
    gradients: dict[int, Values] = field(default_factory=dict)
    complete: bool = False
    nested: bool = False
