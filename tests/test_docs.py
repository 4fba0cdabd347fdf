"""The pages of docs/ say what is true: their code runs, and prints what they show."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lite as tg

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


def test_the_items_of_the_lectures_are_where_the_table_says():
    table = (DOCS / "optim.md").read_text().split("## The lectures' items")[1]
    names = [name for line in re.findall(r"^\| [N\d].*\|(.*)\|$", table, re.M) for name in re.findall(r"`([\w.]+)`", line)]
    assert len(names) > 30
    for name in names:
        assert eval(name, {"tg": tg, "optim": tg.optim}).__doc__, name


def lines_of_behaviour():
    text = (DOCS / "behaviour.md").read_text()
    return re.findall(r"^\| `(.+?)` \| (?:`(.+?)`|(refused)) \|", text, re.M)


@pytest.mark.parametrize("expression, value, refused", lines_of_behaviour(), ids=[line[0] for line in lines_of_behaviour()])
def test_a_line_of_the_table_of_behaviour(expression, value, refused):
    def grads(function, point, order):
        x = tg.tensor(point, dtype=tg.float64, requires_grad=True)
        y = function(x)
        for _ in range(order):
            (y,) = tg.autograd.grad(y, x, create_graph=True, materialize_grads=True)
        return y.tolist()

    names = {
        "tg": tg, "np": np, "t": tg.tensor, "F": tg.nn.functional,
        "d": lambda f, x: grads(f, x, 1), "dd": lambda f, x: grads(f, x, 2), "g": lambda f, x: grads(f, x, 1),
    }  # fmt: skip
    if refused:
        with pytest.raises((TypeError, ValueError, RuntimeError, IndexError)):
            eval(expression, names)
    else:
        assert repr(eval(expression, names)) == value
