"""What notebooks show of tapes and of the stops of a backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from tinygrad_lite.notebook import code, figure, heat_map, histogram, panel, quiet
from tinygrad_lite.study.values import Values

_FIRST, _LAST = 60, 20  # rows of a longer tape that are shown


def of_tape(summary: str, rows: Sequence[Sequence[str]]) -> str:
    """A table; the first of the rows is its head."""
    head, *body = rows
    left_out = len(body) - _FIRST - _LAST
    if left_out > 0:
        body = [*body[:_FIRST], ["⋮", f"{left_out} more", *[""] * (len(head) - 2)], *body[-_LAST:]]
    lines = [_row("th", head), *(_row("td", row) for row in body)]
    table = f'<div style="max-height: 420px; overflow: auto"><table>{"".join(lines)}</table></div>'
    return panel(f"<b>Tape</b> {quiet(summary)}", table)


def _row(kind: str, cells: Sequence[str]) -> str:
    inside = "".join(f'<{kind} style="text-align: left">{escape(cell)}</{kind}>' for cell in cells)
    return f"<tr>{inside}</tr>"


def of_stop(stop: Any) -> str:
    """A `Stop`: the entry and its line, what arrives, and what each rule sends."""
    entry, count = stop.entry, stop.position + len(stop.to_come)
    about = " · ".join(filter(None, (entry.module, f"{entry.shape} {entry.dtype}", entry.place)))
    parts = [code(entry.source) if entry.source else "", tile("g, which arrives", stop.cotangent)]
    parts.append(tile("out", entry.values))
    shown = {"out"}
    for sent in stop.sent:
        text = sent.rule.formula or sent.rule.source
        parts.append(f'<div style="margin-top: 10px">to <b>{escape(sent.to.label)}</b> {quiet(sent.argument)}</div>')
        parts.append(code(text) if text and text not in shown else "")
        shown.add(text)
        parts += [tile(name, value) for name, value in sent.saved.items() if name not in shown]
        shown.update(sent.saved)
        parts.append(tile("contribution", sent.gradient))
        if sent.total is not sent.gradient:
            parts.append(tile(f"{sent.to.name or f'%{sent.to.number}'} has so far", sent.total))
    return panel(f"{quiet(f'step {stop.position} of {count}')} <b>{escape(entry.label)}</b> {quiet(about)}", *parts)


def of_no_stop(text: str) -> str:
    return panel(f"<b>Stepper</b> {quiet(text)}")


def tile(caption: str, value: Any) -> str:
    """The figure of an array that was recorded, of several, or the text of what is none."""
    if isinstance(value, tuple) and any(isinstance(each, Values) for each in value):
        return "".join(tile(f"{caption} [{i}]", each) for i, each in enumerate(value) if each is not None)
    if not isinstance(value, Values):
        text = repr(value)
        return "" if value is None else figure(caption, f"<code>{escape(text[:200])}</code>")
    label = f"{caption} {value.shape}"
    if value.size <= 8:
        return figure(label, f"<code>{escape(str(value))}</code>")
    picture = heat_map(value.array, caption) if value.array is not None else histogram(value.histogram, caption)
    return figure(label, picture, str(value))
