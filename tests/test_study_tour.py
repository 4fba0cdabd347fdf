"""The pages in docs/study: their programs print what they show, and draw their pictures."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

STUDY = Path(__file__).parents[1] / "docs" / "study"
UPDATE = runpy.run_path(str(STUDY / "update.py"))
PAGES = UPDATE["PAGES"]


def pictures_in(page):
    return re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_blocks_print_what_follows_them(page, tmp_path):
    pytest.importorskip("matplotlib")
    text = page.read_text()
    blocks = list(UPDATE["blocks_of"](text))
    try:
        outputs = UPDATE["outputs_of"](page, tmp_path)
    except RuntimeError as error:
        if "pip install 'tinygrad_lite[" in str(error):
            pytest.skip("a page needs an extra that is not installed")
        raise
    for block, output in zip(blocks, outputs, strict=True):
        same_text(output, text[block.shown] if block.shown is not None else "")
    for picture in pictures_in(page):
        if picture not in UPDATE["SCREENSHOTS"]:
            same_picture(tmp_path / picture, STUDY / picture)


def same_text(printed, shown):
    """The same words and integers; the last digit of a decimal number may depend on the processor."""
    (words, decimals), (words_shown, decimals_shown) = (
        (re.sub(DECIMAL, "#", text), [float(number) for number in re.findall(DECIMAL, text)]) for text in (printed, shown)
    )
    assert words == words_shown
    np.testing.assert_allclose(decimals, decimals_shown, rtol=2e-3)


DECIMAL = r"-?\d+\.\d*(?:e[+-]\d+)?"


def same_picture(drawn, kept):
    """An SVG is drawn by this library alone; Matplotlib's versions place text a little differently."""
    if kept.suffix == ".svg":
        assert drawn.read_text() == kept.read_text()
        return
    image = pytest.importorskip("matplotlib.image")
    one, other = image.imread(drawn), image.imread(kept)
    assert one.shape == other.shape and np.abs(one - other).mean() < 0.03


def test_the_index_lists_every_page_and_every_picture_is_kept():
    index = (STUDY / "README.md").read_text()
    for page in STUDY.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name
        for picture in pictures_in(page):
            assert (STUDY / picture).exists() and (STUDY / picture).stat().st_size < 150_000, picture


@pytest.mark.parametrize("page", sorted(STUDY.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link
