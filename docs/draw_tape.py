"""Draws docs/tape.svg: the tape of y = (x * w + b).tanh(), with the value and the gradient of each entry.

    python docs/draw_tape.py

`tape_of` gives the entries and their inputs, the tensors give the numbers. A test fails when the file differs
from what this script draws.
"""

from __future__ import annotations

from pathlib import Path

import tinygrad_lite as tg

PICTURE = Path(__file__).with_name("tape.svg")
CORNERS = {"x": (20, 20), "w": (20, 120), "b": (210, 166), "x * w": (210, 70), "x * w + b": (400, 118), "y": (590, 118)}
WIDTH, HEIGHT = 150, 74
INK, ACCENT = "#57606a", "#b5400e"

HEAD = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 260" width="760" height="260" role="img">
<title>The tape of y = (x * w + b).tanh()</title>
<style>
  text {{ font: 14px Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #24292f; }}
  .operation {{ font-weight: bold; }}
  .note {{ font-size: 12px; fill: {INK}; }}
  .right {{ text-anchor: end; }}
  .gradient {{ fill: {ACCENT}; }}
  path {{ stroke-width: 1.5; }}
  .forward {{ stroke: {INK}; marker-end: url(#forward); }}
  .backward {{ stroke: {ACCENT}; marker-end: url(#backward); stroke-dasharray: 4 3; }}
</style>
<defs>
<marker id="forward" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">
<polygon points="0,0 8,4 0,8" fill="{INK}"/></marker>
<marker id="backward" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">
<polygon points="0,0 8,4 0,8" fill="{ACCENT}"/></marker>
</defs>
<rect width="760" height="260" fill="#ffffff"/>
<text x="400" y="34">y = (x * w + b).tanh()</text>
<text x="400" y="56" class="note">solid: values, while the operations run</text>
<text x="400" y="74" class="note gradient">dashed: gradients, during y.backward()</text>
"""


def entries() -> list[tuple[str, str, list[str], float, float]]:
    """The tape, oldest entry first: (name, operation, names of its inputs, value, gradient)."""
    x, w, b = (tg.tensor(value, requires_grad=True) for value in (0.5, 2.0, -0.5))
    product = x * w
    total = product + b
    y = total.tanh()
    tensors = {"x": x, "w": w, "b": b, "x * w": product, "x * w + b": total, "y": y}
    for tensor in tensors.values():
        tensor.retain_grad()  # backward() leaves gradients on leaves only, unless asked
    tape = tg.tape_of(y, tensors)
    y.backward()
    found = []
    for entry in tape:
        tensor, inputs = tensors[entry.name], [tape[i].name for i in entry.inputs]
        assert tensor.grad is not None
        found.append((entry.name, entry.operation, inputs, tensor.item(), tensor.grad.item()))
    return found


def box(name: str, operation: str, value: float, gradient: float) -> str:
    left, top = CORNERS[name]
    title, note, fill = (name, "leaf", "#ddf4ff") if operation == "leaf" else (operation, name, "#ffffff")

    def text(row: int, kind: str, word: str) -> str:
        x = left + WIDTH - 10 if "right" in kind else left + 10
        return f'<text x="{x}" y="{top + row}" class="{kind}">{word}</text>\n'

    return (
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" stroke="{INK}"/>\n'
        + text(20, "operation", title) + text(20, "note right", note)
        + text(42, "", "value") + text(42, "right", f"{value:.4f}")
        + text(62, "gradient", "gradient") + text(62, "gradient right", f"{gradient:.4f}")
    )  # fmt: skip


def arrows(source: str, target: str, shift: float) -> str:
    """Two arrows side by side, from the box of `source` to that of `target` and back. Points are complex numbers."""
    start = complex(*CORNERS[source]) + complex(WIDTH + 1, HEIGHT / 2)
    end = complex(*CORNERS[target]) + complex(-1, HEIGHT / 2 + shift)

    def path(kind: str, tail: complex, head: complex) -> str:
        return f'<path class="{kind}" d="M{tail.real:.1f},{tail.imag:.1f} L{head.real:.1f},{head.imag:.1f}"/>\n'

    return path("forward", start - 5j, end - 5j) + path("backward", end + 5j, start + 5j)


def picture() -> str:
    parts = []
    for name, operation, inputs, value, gradient in entries():
        parts += [arrows(source, name, (24 * i - 12) * (len(inputs) - 1)) for i, source in enumerate(inputs)]
        parts.append(box(name, operation, value, gradient))
    return "".join([HEAD, *parts, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(picture())
