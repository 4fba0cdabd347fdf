"""The page on watching a training in docs/study: its program runs, prints what it shows and makes its picture."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import re
import struct
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "study" / "watching.md"
BLOCKS = re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def size_of(picture):
    """Width and height of a PNG file."""
    return struct.unpack(">2I", picture.read_bytes()[16:24])


def same(printed, shown):
    """Whether two texts have the same words, and numbers that differ in their last digit at most: sums in another order do."""
    printed, shown = printed.split(), shown.split()
    return len(printed) == len(shown) and all(map(alike, printed, shown))


def alike(word, other):
    try:
        return float(word.rstrip("%.,")) == pytest.approx(float(other.rstrip("%.,")), rel=0.02, abs=1e-9)
    except ValueError:
        return word == other


def test_the_blocks_print_what_follows_them_and_make_the_files(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    namespace, checked = {"__name__": "page"}, 0
    for (language, text), (following, output) in itertools.pairwise([*BLOCKS, ("", "")]):
        if language != "python" or ("tensorboard" in text and importlib.util.find_spec("tensorboard") is None):
            continue
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, str(PAGE), "exec"), namespace)
        assert same(printed.getvalue(), output if not following else "")
        checked += bool(printed.getvalue())
    assert checked == 5 and "ended" in (tmp_path / "training.html").read_text(encoding="utf-8")
    assert size_of(tmp_path / "training.png") == size_of(PAGE.parent / "training.png")


def test_its_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8")):
        path, _, place = link.partition("#")
        target = PAGE.parent / path
        assert target.exists(), link
        assert not place or f"## {place.replace('-', ' ')}" in target.read_text(encoding="utf-8").lower(), link
