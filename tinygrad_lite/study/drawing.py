"""A tape as a graph for Mermaid and for Graphviz (DOT), and the words that a picture shows of an entry."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

from tinygrad_lite.study.derivation import adjoints, check_size
from tinygrad_lite.study.entries import Entry, Pass
from tinygrad_lite.study.expressions import one_line
from tinygrad_lite.study.values import Values

_LONGEST = 40  # characters of a line in a box


def lines_of(entry: Entry, gradients: dict[int, Any], both: bool = True) -> list[str]:
    """What a box shows: variable and operation, shape, value, gradient."""
    title = f"{entry.name} = {entry.operation}" if entry.name else entry.operation
    found = [_cut(title), f"%{entry.number} {entry.shape} {entry.dtype}"]
    for word, value in (("value", entry.values), ("gradient", gradients.get(entry.number))):
        if value is not None and both:
            found.append(f"{word} {short(value)}")
    return found


def short(value: Any) -> str:
    """Values in a few characters: two numbers, or mean and standard deviation."""
    if isinstance(value, tuple):
        return _cut("; ".join("-" if part is None else short(part) for part in value))
    if not isinstance(value, Values) or value.dtype.startswith("complex"):
        return _cut(str(value))
    if value.array is not None and 0 < value.size <= 2:
        return ", ".join(f"{float(x):.4g}" for x in value.array.reshape(-1))
    if value.mean is None:
        return "not finite" if value.size else "empty"
    return f"{value.mean:.3g} ± {value.std:.3g}" + ("" if value.finite else " !")


def mermaid(entries: Sequence[Entry], of: Pass | None, most: int) -> str:
    """A Mermaid flowchart: solid edges forward, labelled with the argument; a box for each module."""
    check_size("mermaid", entries, most)
    gradients = adjoints(of)

    def box(entry: Entry) -> str:
        text = "<br>".join(map(_for_mermaid, lines_of(entry, gradients)))
        opening, closing = ('(["', '"])') if entry.is_leaf else ('["', '"]')
        return f"n{entry.number}{opening}{text}{closing}"

    lines = ["flowchart TD"]
    for i, (module, inside) in enumerate(_by_module(entries)):
        if module:
            lines += [f'  subgraph m{i}["{_for_mermaid(module)}"]', *(f"    {box(entry)}" for entry in inside), "  end"]
        else:
            lines += [f"  {box(entry)}" for entry in inside]
    for entry in entries:
        for number, argument in _edges(entry):
            label = f'|"{_for_mermaid(argument)}"|' if argument else ""
            lines.append(f"  n{number} -->{label} n{entry.number}")
    return "\n".join(lines) + "\n"


def dot(entries: Sequence[Entry], of: Pass | None) -> str:
    """A Graphviz digraph: an edge for each input, labelled with the argument; a cluster for each module."""
    gradients = adjoints(of)

    def box(entry: Entry) -> str:
        text = "\\l".join(map(_for_dot, lines_of(entry, gradients))) + "\\l"
        style = ', style="rounded,filled", fillcolor="#ddf4ff"' if entry.is_leaf else ""
        return f'n{entry.number} [label="{text}"{style}];'

    lines = ["digraph tape {", "  rankdir=TB;", '  node [shape=box, fontname="Helvetica"];']
    for i, (module, inside) in enumerate(_by_module(entries)):
        if module:
            lines += [f"  subgraph cluster_{i} {{", f'    label="{_for_dot(module)}";', *(f"    {box(e)}" for e in inside), "  }"]
        else:
            lines += [f"  {box(entry)}" for entry in inside]
    for entry in entries:
        for number, argument in _edges(entry):
            label = f' [label="{_for_dot(argument)}"]' if argument else ""
            lines.append(f"  n{number} -> n{entry.number}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def _edges(entry: Entry) -> Iterator[tuple[int, str]]:
    """The inputs of an entry, each with its argument if there are several."""
    arguments = {place: argument for place, (_, argument, _) in enumerate(entry.rules)}
    for place, number in enumerate(entry.inputs):
        yield number, arguments.get(place, "") if len(entry.inputs) > 1 else ""


def _by_module(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """The entries of each module, leaves at the first operation that takes them."""
    module_of = {entry.number: entry.module for entry in entries if not entry.is_leaf}
    for entry in reversed(entries):
        for number in entry.inputs:
            if entries[number].is_leaf:
                module_of[number] = entry.module
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(module_of.get(entry.number, ""), []).append(entry)
    return list(found.items())


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _for_mermaid(text: str) -> str:
    """Text in quotation marks: signs that Mermaid or HTML knows as entities, which Mermaid writes with # for &."""
    return "".join(sign if sign.isalnum() or sign in " .,=%()+-" else f"#{ord(sign)};" for sign in one_line(text))


def _for_dot(text: str) -> str:
    return "".join(f"\\{sign}" if sign in '"\\' else sign for sign in one_line(text))


def for_xml(text: str) -> str:
    """Text between tags or in an attribute; the characters that XML does not have are not printed either."""
    return html.escape(one_line(text))
