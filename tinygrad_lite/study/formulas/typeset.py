"""Formulas as LaTeX: the equations of a value, and of each rule."""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence

from tinygrad_lite.study.formulas.formula import Formula, lines_of
from tinygrad_lite.study.latex import SYMBOLS, equation, name_in_latex

Equation = tuple[str, str]  # its two sides


def of_value(formula: Formula) -> list[Equation]:
    return [_written(line, formula) for line in lines_of(formula.value, "result")]


def of_shared(formula: Formula) -> list[Equation]:
    return [_written(line, formula) for line in lines_of(formula.shared, "")]


def of_rule(formula: Formula, argument: str, own: str) -> list[Equation]:
    """The equations of a rule, or of the expression `own` that it consists of."""
    return [_written(line, formula, argument) for line in lines_of(formula.rules.get(argument) or own, argument)]


@functools.cache
def rule_alone(formula: Formula, argument: str) -> str:
    """A rule's formula without its left side, or with all equations that it needs, aligned."""
    needed, lines = _lines_for(formula, argument)
    if _is_expression(needed, lines):
        return _written(lines[0], formula, argument)[1]
    return aligned([_written(line, formula) for line in needed] + [_written(line, formula, argument) for line in lines])


@functools.cache
def expression_of(formula: Formula | None, argument: str) -> str:
    """A rule's formula in Python; "" if it is not a single expression."""
    if formula is None or argument not in formula.rules or not _is_expression(*_lines_for(formula, argument)):
        return ""
    return formula.rules[argument]


def aligned(equations: Sequence[Equation]) -> str:
    body = " \\\\\n".join(f"{left} &= {right}" for left, right in equations)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _lines_for(formula: Formula, argument: str) -> tuple[list[ast.Assign], list[ast.Assign]]:
    """The lines of a rule, and before them those that it needs."""
    *value, last = lines_of(formula.value, "result")
    named = [last] if isinstance(last.targets[0], ast.Tuple) else []  # results with names of their own
    lines = lines_of(formula.rules[argument], argument)
    return _needed([*value, *named, *lines_of(formula.shared, "")], lines), lines


def _is_expression(needed: list[ast.Assign], lines: list[ast.Assign]) -> bool:
    return not needed and len(lines) == 1 and isinstance(lines[0].targets[0], ast.Name)


def _needed(before: list[ast.Assign], lines: list[ast.Assign]) -> list[ast.Assign]:
    """The lines that others, directly or not, take names from."""
    used, needed = _names_in(lines), list[ast.Assign]()
    for line in reversed(before):
        if used & _names_in(line.targets):
            needed.insert(0, line)
            used |= _names_in([line])
    return needed


def _names_in(nodes: Sequence[ast.AST]) -> set[str]:
    """Those in some code, and `h` for `h_bar`."""
    names = {each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)}
    return names | {name.removesuffix("_bar") for name in names}


def _written(line: ast.Assign, formula: Formula, gradient_of: str = "") -> Equation:
    """The two sides of a line, in a rule for `gradient_of`, where that name on the left stands for its gradient."""
    left, right = equation(line, formula.symbols)
    target = line.targets[0].value if isinstance(line.targets[0], ast.Subscript) else line.targets[0]
    if gradient_of and isinstance(target, ast.Name) and target.id == gradient_of:
        own = formula.symbols.get(target.id) or SYMBOLS.get(target.id) or name_in_latex(target.id)
        left = rf"\bar{{{own}}}{left.removeprefix(f'{{{own}}}').removeprefix(own)}"
    return left, right
