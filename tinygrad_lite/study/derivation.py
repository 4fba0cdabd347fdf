"""A tape as a table (a Wengert list) with values and adjoints, and as a derivation in LaTeX, line by line."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lite.study.entries import Entry, Pass
from tinygrad_lite.study.expressions import Input, argument_text, expression, one_line
from tinygrad_lite.study.formulas import FORMULAS, typeset
from tinygrad_lite.study.latex import escaped, latex, name_in_latex
from tinygrad_lite.study.stepping import sent_by
from tinygrad_lite.study.values import Values

MOST = 60  # entries of a derivation, unless more are asked for
_WRITTEN_OUT = 6  # elements of an array that is
_MARKS = set("\\`*_{}[]<>#|$~&")  # that Markdown knows


def adjoints(of: Pass | None) -> dict[int, Any]:
    """The gradient of each entry that a pass reached, by number."""
    if of is None:
        return {}
    return {**of.roots, **of.gradients, **{step.entry: step.cotangent for step in of.steps}}


def table(entries: Sequence[Entry], of: Pass | None, form: str = "text") -> str:
    """One row for each entry: number, variable, expression, value and adjoint."""
    if form not in ("text", "markdown"):
        raise ValueError(f"table: form must be 'text' or 'markdown', got {form!r}")
    found = adjoints(of)
    rows: list[tuple[str, ...]] = [("%", "variable", "expression", "value", "adjoint")]
    for entry in entries:
        values = (expression(entry), _in_words(entry.values), _in_words(found.get(entry.number)))
        rows.append((f"%{entry.number}", *map(one_line, (entry.name, *values))))
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    if form == "markdown":
        lines = [[_for_markdown(row[i]) for i in kept] for row in rows]
        lines.insert(1, ["---"] * len(kept))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(row[i].ljust(widths[i]) for i in kept).rstrip() for row in rows)


def derivation(entries: Sequence[Entry], of: Pass | None, most: int = MOST) -> str:
    """An `align*` with a line for each operation, and one for each contribution of a pass."""
    check_size("latex", entries, most)
    symbols = symbols_of(entries)
    lines = [rf"{symbols[entry.number]} &= {_forward(entry, symbols)}" for entry in entries]
    if of is not None:
        lines.append(r"&\text{and backwards:}")
        lines += [rf"\bar{{{symbols[root]}}} &= {_number(value) or 'g'}" for root, value in of.roots.items()]
        known = set(of.roots)
        for step in of.steps:
            for sent in sent_by(entries, step):
                formula = _backward(entries[step.entry], sent, symbols)
                relation = r"\mathrel{+}=" if sent.to.number in known else "="
                number = _number(sent.gradient)
                lines.append(rf"\bar{{{symbols[sent.to.number]}}} &{relation} {formula}{f' = {number}' if number else ''}")
                known.add(sent.to.number)
    body = " \\\\\n".join(lines)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"


def symbols_of(entries: Sequence[Entry]) -> dict[int, str]:
    """A LaTeX symbol for each entry: its variable's name if no other entry has it, otherwise v and its number."""
    counts = Counter(entry.name for entry in entries)
    found = {}
    for entry in entries:
        plain = counts[entry.name] == 1 and re.fullmatch(r"(?!v\d+$)[\w.]+", entry.name)
        found[entry.number] = name_in_latex(entry.name) if plain else f"v_{{{entry.number}}}"
    return found


def check_size(method: str, entries: Sequence[Entry], most: int) -> None:
    if not isinstance(most, (int, float)):
        raise TypeError(f"{method}: most must be a number of entries, got {type(most).__name__}")
    if len(entries) > most:
        raise ValueError(
            f"{method}: the tape has {len(entries):,} entries, more than most={most}; pass a larger `most`, record a smaller part, "
            "or use page(), which folds a large graph by module"
        )


def _forward(entry: Entry, symbols: Mapping[int, str]) -> str:
    value = _number(entry.values)
    if entry.is_leaf or not (entry.inputs or entry.arguments):
        sizes = " \\times ".join(map(str, entry.shape))
        return value or rf"\text{{{'a leaf' if entry.is_leaf else escaped(entry.operation)}}} \in \mathbb{{R}}^{{{sizes}}}"
    text = _in_latex(expression(entry, lambda input: f"v{input.number}"), {f"v{number}": symbol for number, symbol in symbols.items()})
    return f"{text} = {value}" if value else text


def _backward(entry: Entry, sent: Any, symbols: Mapping[int, str]) -> str:
    """A rule's formula, with the symbols of the entries for its parameters."""
    own = symbols[entry.number]
    known = {"g": rf"\bar{{{own}}}", "out": own}
    for name, value in entry.arguments.items():
        if isinstance(value, Input):
            known[name] = symbols[value.number]
        elif isinstance(value, (Values, int, float)) and not isinstance(value, bool):
            known[name] = _number(value) or rf"\mathit{{{escaped(name)}}}"
    formula = (sent.rule.latex and typeset.expression_of(FORMULAS.get(entry.operation), sent.argument)) or sent.rule.formula
    if formula:
        return _in_latex(formula, known)
    return rf"\mathrm{{vjp}}_{{\text{{{escaped(entry.operation)}}}}}\left({known['g']}\right)"


def _in_latex(text: str, symbols: Mapping[str, str]) -> str:
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return rf"\texttt{{{escaped(text)}}}"
    return latex(tree, symbols)


def _in_words(value: Any) -> str:
    """Values in a cell."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "(" + ", ".join(_in_words(part) or "-" for part in value) + ")"
    return str(value) if isinstance(value, Values) else argument_text(value)


def _number(value: Any) -> str:
    """LaTeX of a number or a few numbers, "" of more."""
    if isinstance(value, (int, float)):
        return _decimal(value)
    array = value.array if isinstance(value, Values) else None
    if array is None or array.dtype.kind not in "fiu" or not 0 < array.size <= _WRITTEN_OUT:
        return ""
    if array.ndim == 2:
        rows = r" \\ ".join(" & ".join(map(_decimal, row)) for row in array.tolist())
        return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}"
    flat = [_decimal(x) for x in array.reshape(-1).tolist()]
    return flat[0] if not array.ndim else rf"\left({', '.join(flat)}\right)"


def _decimal(x: float) -> str:
    if not math.isfinite(x):
        return r"\mathrm{NaN}" if math.isnan(x) else r"\infty" if x > 0 else r"-\infty"
    digits, _, power = f"{x:.4g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(power)}}}" if power else digits


def _for_markdown(text: str) -> str:
    return "".join(f"\\{sign}" if sign in _MARKS else sign for sign in text)
