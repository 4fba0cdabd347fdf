"""A picture of a small tape as SVG: values forward, gradients backward."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_lite.study.derivation import adjoints, check_size
from tinygrad_lite.study.drawing import for_xml, short
from tinygrad_lite.study.entries import Entry, Pass

WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 200, 78, 50, 24, 20  # of a box, between boxes, around the picture, in pixels
INK, ACCENT = "#57606a", "#b5400e"
_LETTERS = 17  # of a value or a name that fit in a box

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>{title}</title>
<style>
  text {{ font: 13px Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #24292f; }}
  .operation {{ font-weight: bold; }}
  .note {{ font-size: 11px; fill: {ink}; }}
  .right {{ text-anchor: end; }}
  .gradient {{ fill: {accent}; }}
  path {{ fill: none; stroke-width: 1.5; }}
  .forward {{ stroke: {ink}; marker-end: url(#forward); }}
  .backward {{ stroke: {accent}; marker-end: url(#backward); stroke-dasharray: 4 3; }}
</style>
<defs>
<marker id="forward" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">\
<polygon points="0,0 8,4 0,8" fill="{ink}"/></marker>
<marker id="backward" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">\
<polygon points="0,0 8,4 0,8" fill="{accent}"/></marker>
</defs>
<rect width="{width}" height="{height}" fill="#ffffff"/>
"""


def svg(entries: Sequence[Entry], of: Pass | None, most: int, title: str) -> str:
    """Boxes from left to right by depth; solid arrows forward, dashed ones where a pass has sent a gradient."""
    check_size("svg", entries, most)
    gradients = adjoints(of)
    corners = _layout(entries)
    width = max((x for x, _ in corners), default=0) + WIDTH + EDGE
    height = max((y for _, y in corners), default=0) + HEIGHT + EDGE
    sent = {(step.entry, each.to) for step in of.steps for each in step.sent} if of is not None else set()
    parts = [HEAD.format(width=round(width), height=round(height), title=for_xml(title), ink=INK, accent=ACCENT)]
    for entry in entries:
        places = len(entry.inputs)
        for i, number in enumerate(entry.inputs):
            x, y = corners[entry.number]
            tip = x, y + HEIGHT * (i + 1) / (places + 1)
            tail = corners[number][0] + WIDTH, corners[number][1] + HEIGHT / 2
            parts.append(_arrow("forward", tail, tip, -4))
            if (entry.number, number) in sent:
                parts.append(_arrow("backward", tip, tail, 4))
    for entry in entries:
        value = "" if entry.values is None else short(entry.values)
        gradient = short(gradients[entry.number]) if gradients.get(entry.number) is not None else ""
        parts.append(_box(corners[entry.number], entry, value, gradient))
    return "".join([*parts, "</svg>\n"])


def _layout(entries: Sequence[Entry]) -> list[tuple[float, float]]:
    """The upper left corner of each box. A column is one deeper than the deepest of its inputs, a leaf just before its first use;
    boxes of a column are in the order of the mean height of their inputs."""
    depth: list[int] = []
    for entry in entries:
        depth.append(max((depth[number] + 1 for number in entry.inputs), default=0))
    for entry in reversed(entries):
        for number in entry.inputs:
            if not entries[number].inputs:
                depth[number] = min(depth[entry.number] - 1, depth[number]) if depth[number] else depth[entry.number] - 1
    columns: dict[int, list[Entry]] = {}
    for entry in entries:
        columns.setdefault(depth[entry.number], []).append(entry)
    height: dict[int, float] = {}
    for _, column in sorted(columns.items()):
        wanted: dict[int, float] = {}
        for entry in column:
            known = [height[number] for number in entry.inputs if number in height]
            wanted[entry.number] = sum(known) / len(known) if known else float(len(wanted)) * (HEIGHT + DOWN)
        low = float("-inf")
        for entry in sorted(column, key=lambda entry: wanted[entry.number]):
            low = height[entry.number] = max(wanted[entry.number], low)
            low += HEIGHT + DOWN
    return [(EDGE + depth[entry.number] * (WIDTH + ACROSS), EDGE + height[entry.number]) for entry in entries]


def _arrow(kind: str, tail: tuple[float, float], tip: tuple[float, float], shift: int) -> str:
    """A curve between the sides of two boxes."""
    (x1, y1), (x2, y2) = tail, tip
    bend = ACROSS / 2 if x2 > x1 else -ACROSS / 2
    y1, y2 = y1 + shift, y2 + shift
    return f'<path class="{kind}" d="M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"/>\n'


def _box(corner: tuple[float, float], entry: Entry, value: str, gradient: str) -> str:
    left, top = corner

    def text(row: int, kind: str, word: str) -> str:
        word = word if len(word) <= _LETTERS else f"{word[: _LETTERS - 1]}…"
        return f'<text x="{left + (WIDTH - 10 if "right" in kind else 10):.1f}" y="{top + row:.1f}" class="{kind}">{for_xml(word)}</text>\n'

    hint = f"{entry.label} {entry.shape} {entry.dtype}" + (f"\n{entry.place}: {entry.source}" if entry.calls else "")
    place, fill = f'x="{left:.1f}" y="{top:.1f}" width="{WIDTH}" height="{HEIGHT}"', "#ddf4ff" if entry.is_leaf else "#ffffff"
    return (
        f'<g><title>{for_xml(hint)}</title>\n<rect {place} rx="6" fill="{fill}" stroke="{INK}"/>\n'
        + text(20, "operation", entry.name or entry.operation) + text(20, "note right", entry.operation if entry.name else str(entry.shape))
        + text(44, "", "value") + text(44, "right", value)
        + (text(65, "gradient", "gradient") + text(65, "gradient right", gradient) if gradient else "")
        + "</g>\n"
    )  # fmt: skip
