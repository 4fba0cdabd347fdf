"""A training that is watched as one HTML file, which is written again and reloads itself while the training lasts.

training.html, training.css and training.js beside this file are the template; page.css and values.js are those of the page
of a tape.
"""

from __future__ import annotations

import math
import os
import time
from html import escape
from pathlib import Path
from typing import Any

from tinygrad_lite.files import atomic_write
from tinygrad_lite.notebook import panel, quiet
from tinygrad_lite.optim.diagnosis import LETTERS
from tinygrad_lite.study.measures import SeenStep
from tinygrad_lite.study.page import filled
from tinygrad_lite.study.training_plot import LOGARITHMIC, TITLES
from tinygrad_lite.study.training_words import COLUMNS, SHARES, headline, rows, words

_CHARTS = ("loss", "rate", "std", "gradient", "ratio", "saturated", "dead", "weight")
_NUMBERS = 60_000  # in the curves of a page, which keeps fewer steps of a model with more layers
_STEPS = 50, 500  # of a page, at least and at most
_SHARE = 50  # at least so many times as long as writing takes goes by before the next


class Page:
    """The file, and when it was last written."""

    def __init__(self, path: str | os.PathLike[str], seconds: float):
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"page: path must be a str or a path, got {type(path).__name__}")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
            raise ValueError(f"page: seconds must be a number from 0 on, got {seconds!r}")
        self.path, self.seconds = Path(path), seconds
        self.due = 0.0

    def seen(self, watched: Any, seen: SeenStep) -> None:
        if time.monotonic() >= self.due:
            self.write(watched)

    def write(self, watched: Any) -> None:
        begun = time.monotonic()
        data = data_of(watched, self.seconds)
        text = filled("training.html", data["title"], data, ("page.css", "training.css"), ("values.js", "training.js")).encode()
        atomic_write.written(os.fspath(self.path), lambda file: file.write(text))
        now = time.monotonic()
        self.due = now + max(self.seconds, _SHARE * (now - begun))

    close = write


def html_of(watched: Any) -> str:
    """The last step as a table, for a notebook."""
    if not watched.history:
        return panel(f"<b>Watch</b> {quiet('no step has been watched yet')}")
    seen = watched.history[-1]
    head, *body = rows(seen)
    lines = [_row("th", head), *(_row("td", cells) for cells in body)]
    sentences = "".join(f"<div>{escape(sentence)}</div>" for sentence in words(seen))
    return panel(f"<b>Watch</b> {quiet(headline(seen))}", f"<table>{''.join(lines)}</table>", sentences)


def _row(kind: str, cells: list[str]) -> str:
    sides = ("left", "left", *["right"] * (len(cells) - 2))
    return "<tr>" + "".join(f'<{kind} style="text-align: {side}">{escape(cell)}</{kind}>' for side, cell in zip(sides, cells)) + "</tr>"


def data_of(watched: Any, seconds: float) -> dict[str, Any]:
    """What the page shows, as JSON takes it."""
    history = _thinned(watched.history, _NUMBERS // (max(len(watched.layers), 1) * len(COLUMNS)))
    last = watched.history[-1] if watched.history else None
    layers = [
        {
            "name": name, "kind": kind,
            "curves": {field: [_at(seen, name, field) for seen in history] for field in COLUMNS},
        }
        for name, kind in watched.layers.items()
    ]  # fmt: skip
    report = watched.report
    return {
        "title": f"Training of {type(watched.model).__name__}", "live": not watched.closed, "every": watched.every,
        "written": round(time.time() * 1000), "seconds": max(seconds, 1), "steps": [seen.step for seen in history],
        "loss": [_number(seen.loss) for seen in history], "rates": [list(map(_number, seen.rates)) for seen in history],
        "layers": layers, "words": words(last) if last else [], "headline": headline(last) if last else "",
        "charts": [[field, TITLES[field], field in LOGARITHMIC, field in SHARES] for field in _CHARTS],
        "columns": [[field, title, field in SHARES] for field, title in COLUMNS.items()],
        "report": None if report is None else [
            [letter, meaning, [[name, _number(value)] for name, value in report.numbers[letter].items()], report.words[letter]]
            for letter, meaning in LETTERS.items()
        ],
    }  # fmt: skip


def _thinned(history: list[SeenStep], most: int) -> list[SeenStep]:
    """At most so many steps, evenly spaced, with the first and the last."""
    most = min(max(most, _STEPS[0]), _STEPS[1])
    if len(history) <= most:
        return history
    return [history[i * (len(history) - 1) // (most - 1)] for i in range(most)]


def _at(seen: SeenStep, name: str, field: str) -> float | str | None:
    layer = seen.layers.get(name)
    return None if layer is None else _number(getattr(layer, field))


def _number(value: float | None) -> float | str | None:
    """A number of five digits; text if it is not finite."""
    return value if value is None else float(f"{value:.5g}") if math.isfinite(value) else str(value)
