"""Markdown from plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence


def plain(text: str) -> str:
    """The text with Markdown's signs and HTML made harmless; `code` stays code. It may stand in a table."""
    pieces = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(piece.replace("|", "\\|") if piece.startswith("`") and piece.endswith("`") else escaped(piece) for piece in pieces)


def escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\*\[\]|`~$]|\b_|_\b)", r"\\\1", text)


def anchor(name: str) -> str:
    return f' <a id="{name}"></a>'


def row(text: str) -> str:
    """A line of a quotation."""
    return f"> {text}  "


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
