"""The pages of docs/ say what is true: their code runs, and prints what they show."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_code_of_a_page_runs(page):
    """Blocks of Python run in order in one namespace; a plain block after one that prints is its output."""
    namespace: dict[str, object] = {"__name__": page.stem}
    printed = ""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    for language, text in blocks:
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, str(page), "exec"), namespace)
            printed = out.getvalue()
        elif not language and printed:
            assert text == printed
            printed = ""


def test_the_ten_lines_of_contributing_work():
    from tests import check_op
    from tests.check_op import SAMPLES
    from tinygrad_lite.autograd import REGISTRY

    text = (DOCS.parent / "CONTRIBUTING.md").read_text()
    try:
        for code in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S):
            exec(code, {})
        (sample,) = SAMPLES["log_cosh"]
        check_op.check_op(sample)
    finally:
        SAMPLES.pop("log_cosh", None)
        REGISTRY.pop("log_cosh", None)


def test_the_first_program_of_the_readme_prints_what_it_says(capsys):
    code = re.search(r"^```python\n(.*?)^```$", (DOCS.parent / "README.md").read_text(), re.M | re.S)
    exec(code[1], {})
    assert "tensor([2., 4.])" in capsys.readouterr().out
