"""What a formula is, and how its lines are read."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kink:
    """A point without a derivative: the call's arguments, and what the rules give there for a gradient of ones, by argument."""

    at: tuple[Any, ...]
    gives: Mapping[str, Any]
    words: str


@dataclass(frozen=True, eq=False)
class Formula:
    """A primitive's value, and its rules where their own text is not a formula, in Python and NumPy's names.

    A formula is an expression, or several lines of which the last is one; the lines before it give names to parts. A line
    may define an element, as in `out[i] = sum(input[j] for j in range(i + 1))`; elements beyond the ends of an array are 0.
    `n` is the number of elements that a result or a sum is taken over. A rule sees the names of the value's lines, `out`, `g`,
    and `h_bar` for the gradient of a result that a line calls `h`. `shared`: lines that the rules have in common. `symbols`:
    LaTeX for names. A rule's line may define elements of its argument's gradient: `input[j] = ...`.
    """

    value: str
    rules: Mapping[str, str] = field(default_factory=dict)
    shared: str = ""
    symbols: Mapping[str, str] = field(default_factory=dict)
    kinks: tuple[Kink, ...] = ()
    note: str = ""


def lines_of(text: str, target: str) -> list[ast.Assign]:
    """The lines of a formula as assignments, its last expression to `target`."""
    found: list[ast.Assign] = []
    for statement in ast.parse("\n".join(line.strip() for line in text.strip().splitlines())).body:
        if isinstance(statement, ast.Expr):
            statement = ast.Assign([ast.Name(target, ast.Store())], statement.value, lineno=statement.lineno)
        if not isinstance(statement, ast.Assign):
            raise TypeError(f"a formula consists of assignments and expressions, got {ast.unparse(statement)!r}")
        found.append(statement)
    return found
