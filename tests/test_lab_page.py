"""The page of the lecture lab: one file, everything escaped; in Chromium where Playwright and Chromium are installed."""

from __future__ import annotations

import html.parser
import re

import pytest

pytest.importorskip("matplotlib")

from examples.lab.core import EXPERIMENTS
from examples.lab.page import highlight, page
from examples.lab.processes import Job, measure
from examples.lab.results import Results
from tests import lab_experiments


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder, before = tmp_path_factory.mktemp("lab"), dict(EXPERIMENTS)
    EXPERIMENTS.update(lab_experiments.OURS)
    outcomes = [measure(Job(name, True, 0, folder)) for name in ("noise", "evil", "false", "raises")]
    EXPERIMENTS.clear()
    EXPERIMENTS.update(before)
    return page(Results(outcomes, True, 0, 1.0, False), folder)


def test_the_page_is_one_file_in_which_everything_is_escaped(text):
    opened, closed, sources = [], [], []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            opened.append(tag)
            sources.extend(value for name, value in attrs if name in ("src", "href", "srcset", "action"))

        def handle_endtag(self, tag):
            closed.append(tag)

    Reader().feed(text)
    assert "script" not in opened and "tags" not in opened and "default-src 'none'" in text
    assert sorted(tag for tag in opened if tag not in ("meta", "img", "br")) == sorted(closed)
    assert all(source.startswith(("#", "data:image/png;base64,", "data:image/gif;base64,")) for source in sources)
    assert sum(source.startswith("data:") for source in sources) == 2
    assert set(re.findall(r'href="#(\w+)"', text)) <= set(re.findall(r'id="(\w+)"', text))
    assert not any(way in text for way in ("@import", "url("))


def test_the_page_says_what_was_measured(text):
    for part in (
        "4 experiments. Hold: 1, hold under a condition: 1, do not hold: 1, failed: 1.",
        "<dt>Item 67</dt><dd>Its standard deviation is σ/√n′",
        '<h2>What does not hold as stated</h2><ul><li><a href="#false">False</a>',
        '<h2>What failed</h2><ul><li><a href="#raises">Raises</a>',
        "(-0.52 to -0.49)</td><td>-0.6 to -0.4</td><td>theory: -1/2</td>",
        "<figcaption>The deviation falls.</figcaption>",
        "<p>What is printed is kept.</p>",
        "Seeds: 0, 1.",
        "declares no number &#x27;y&#x27;",
    ):
        assert part in text


def test_code_is_marked_and_unchanged():
    code = 'def f(x):  # why & <how>\n    """Text."""\n    return f"{x!r} <b>" if len(x) else 1.5\n'
    marked = highlight(code)
    assert html.unescape(re.sub(r"<[^>]+>", "", marked)) == code
    for part in ('keyword">def<', 'comment"># why &amp; &lt;how&gt;<', 'builtin">len<', 'literal">1.5<'):
        assert part in marked
    assert highlight("no python (") == "no python ("


def test_the_page_in_chromium(text, visit, tmp_path):
    (tmp_path / "lab.html").write_text(text, encoding="utf-8")
    seen = visit((tmp_path / "lab.html").as_uri())
    assert seen.title() == "The lecture lab"
    assert seen.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
    for width in (360, 1400):
        seen.set_viewport_size({"width": width, "height": 800})
        assert seen.evaluate("document.documentElement.scrollWidth") <= width, "the page itself does not scroll sideways"
    light = seen.evaluate("getComputedStyle(document.body).backgroundColor")
    seen.emulate_media(color_scheme="dark")
    assert seen.evaluate("getComputedStyle(document.body).backgroundColor") != light
    seen.locator("#noise summary").click()
    assert seen.locator("#noise pre").is_visible()
