"""The pages in docs/ are correct: their code runs and prints what they show."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lite as tg

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def run_page(page):
    """Run a page's Python blocks in one namespace; a plain block after one that prints must equal its output."""
    namespace: dict[str, object] = {"__name__": page.stem}
    printed = ""
    blocks = re.findall(r"^```([^\n]*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    for language, text in blocks:
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, str(page), "exec"), namespace)
            printed = out.getvalue()
        elif not language and printed:
            assert text == printed
            printed = ""
    return namespace


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_code_of_a_page_runs(page):
    run_page(page)


@pytest.mark.parametrize("page, count", [("engine.md", 8), ("how-it-works.md", 3)])
def test_a_page_quotes_the_engine_as_it_stands(page, count):
    quotes = re.findall(r"^```python (\S+\.py)\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
    assert len(quotes) >= count
    for path, text in quotes:
        assert text in (Path(tg.__file__).parent / path).read_text(), f"{path} has changed: {text}"


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


def test_the_programs_of_the_readme_run_and_the_network_learns():
    tg.manual_seed(0)
    namespace = run_page(DOCS.parent / "README.md")
    assert namespace["loss"].item() < 1e-4


def test_the_picture_in_the_readme_shows_the_real_tape():
    script = runpy.run_path(str(DOCS / "draw_tape.py"))
    assert script["PICTURE"].read_text() == script["picture"](), "run `python docs/draw_tape.py`"


def targets_in(text):
    """The link targets in a Markdown page: its headings, as GitHub writes them, and its anchors."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted(DOCS.glob("lab/*.md")), *sorted(DOCS.parent.glob("*.md"))], ids=lambda page: f"{page.parent.name}/{page.name}"
)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.M | re.S)  # f[i](x) in code is no link
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if not link.startswith("https://"):
            path, _, place = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not place or place in targets_in(target.read_text()), link


def test_the_version_is_the_same_everywhere():
    assert f'version = "{tg.__version__}"' in (DOCS.parent / "pyproject.toml").read_text()


ITEMS = [*map(str, range(1, 83)), *(f"N{i}" for i in range(1, 8))]


def test_the_page_of_the_lectures_has_every_item_and_names_what_there_is():
    rows = re.findall(r'^\| (N?\d+) <a id="item-(N?\d+)"></a> \|.*\|(.*)\|$', (DOCS / "lectures.md").read_text(), re.M)
    assert [number for number, _, _ in rows] == [anchor for _, anchor, _ in rows] == ITEMS
    names = [name for _, _, where in rows for name in re.findall(r"`((?:tg|optim)\.[\w.]+)`", where)]
    assert len(names) > 100
    for name in names:
        assert eval(name, {"tg": tg, "optim": tg.optim}).__doc__, name


def test_the_glossary_has_the_lectures_terms():
    """Item 77."""
    text = (DOCS / "lab" / "glossary.md").read_text()
    terms = [
        "batch gradient descent", "minibatch sgd", "sgd), in the narrow sense", "incremental", "online learning", "epoch", "iteration, update",
        "learning rate", "empirical risk", "expected risk", "divergence of the iterates", "saddle", "plateau", "valley", "condition number",
        "momentum", "heavy ball", "averaging", "strongly convex", "robbins-monro",
    ]  # fmt: skip
    defined = " ".join(re.findall(r"^- \*\*(.+?)\*\*", text, re.M | re.S)).lower()
    assert [term for term in terms if term not in defined] == []
    assert set(re.findall(r"README\.md#item-(\w+)", text)) <= set(ITEMS)


def test_docstrings_name_items_that_exist():
    cited = 0
    for path in sorted((DOCS.parent / "tinygrad_lite").rglob("*.py")):
        anchors = re.findall(r"#item-(\w+)", path.read_text())
        assert set(anchors) <= set(ITEMS), path
        assert "lecture item " not in path.read_text(), f"{path}: cite docs/lectures.md#item-1 instead"
        cited += len(anchors)
        for numbers in re.findall(r"\bitems? ((?:N?\d+(?:, | and | to )?)+)", re.sub(r"\s+", " ", path.read_text())):
            assert set(re.findall(r"N?\d+", numbers)) <= set(ITEMS), (path, numbers)
    assert cited > 60


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
