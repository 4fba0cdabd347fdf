"""The lecture lab: verdicts, processes that fail, the command, and what it leaves."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

import numpy as np
from PIL import Image

import tinygrad_lite as tg
from examples.lab import __main__ as command
from examples.lab import covered, docs, items, pictures, stability, style, themes
from examples.lab.core import DOES_NOT_HOLD, EXPERIMENTS, HOLDS, HOLDS_IF, Run, at_least, at_most, exactly, experiment, within
from examples.lab.processes import Job, measure
from examples.lab.results import Results
from tests import lab_experiments

ROOT = Path(__file__).parents[1]


@pytest.fixture
def empty():
    """No experiment is registered."""
    before = dict(EXPERIMENTS)
    EXPERIMENTS.clear()
    yield
    EXPERIMENTS.clear()
    EXPERIMENTS.update(before)


@pytest.fixture
def ours(empty):
    """The experiments of tests/lab_experiments.py alone."""
    lab_experiments.load()


def run(*arguments):
    """The exit code of the command, and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command.main([str(argument) for argument in arguments], lab_experiments.load)
    return code, out.getvalue(), err.getvalue()


# -- verdicts -----------------------------------------------------------------------------------


def plain_number(**options):
    return at_most("x", 1, "why", **options)


@pytest.mark.parametrize(
    "stated, under, verdict",
    [
        (0.0, 0.0, HOLDS), (0.0, 2.0, HOLDS), (1.0, 0.0, HOLDS),
        (2.0, 0.0, HOLDS_IF), (math.nan, 1.0, HOLDS_IF),
        (2.0, 2.0, DOES_NOT_HOLD), (math.inf, math.nan, DOES_NOT_HOLD),
    ],
)  # fmt: skip
def test_the_verdict_follows_from_the_numbers(empty, stated, under, verdict):
    numbers = [plain_number(), at_most("y", 1, "why", under_the_condition=True)]
    experiment(1, title="t", claim="c", numbers=numbers, verdict=HOLDS_IF, condition="it rains")(lambda run: None)
    run = Run(EXPERIMENTS["<lambda>"])
    run.judge("x", stated)
    with pytest.raises(ValueError, match="y was declared but never measured"):
        run.verdict  # noqa: B018
    run.judge("y", under)
    assert run.verdict == verdict
    with pytest.raises(ValueError, match="measured twice"):
        run.judge("x", 0)
    with pytest.raises(ValueError, match="declares no number 'z'"):
        run.judge("z", 0)


@pytest.mark.parametrize(
    "number, bounds, inside, outside",
    [
        (at_most("x", 2, ""), "≤ 2", [2, -math.inf], [2.1, math.nan]),
        (at_least("x", 2, ""), "≥ 2", [2, math.inf], [1.9, math.nan]),
        (within("x", -1, 0.5, ""), "-1 to 0.5", [-1, 0.5], [-1.1, 0.6, math.nan]),
        (exactly("x", 3, ""), "= 3", [3], [3.0000001, math.nan]),
    ],
)
def test_bounds(number, bounds, inside, outside):
    assert number.bounds() == bounds
    assert all(map(number.accepts, inside)) and not any(map(number.accepts, outside))


UNDER = at_most("y", 1, "why", under_the_condition=True)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"items": ["83"]}, "no 83"),
        ({"items": []}, "expected an item"),
        ({"numbers": []}, "a number that decides"),
        ({"numbers": [UNDER], "condition": "it rains"}, "a number that decides"),
        ({"numbers": [plain_number(), plain_number()]}, "the same name"),
        ({"verdict": "maybe"}, "expected verdict"),
        ({"verdict": HOLDS_IF}, "a condition needs"),
        ({"condition": "it rains"}, "a condition needs"),
        ({"numbers": [plain_number(), UNDER]}, "a condition needs"),
    ],
)
def test_a_wrong_declaration_is_refused(empty, wrong, message):
    options = {"title": "t", "claim": "c", "numbers": [plain_number()], **wrong}
    with pytest.raises(ValueError, match=message):
        experiment(*options.pop("items", [1]), **options)(lambda run: None)
    assert not EXPERIMENTS


def test_two_experiments_of_one_name_are_refused(ours):
    with pytest.raises(ValueError, match="there is another of this name in theme lab_experiments"):
        experiment(1, title="t", claim="c", numbers=[plain_number()])(lab_experiments.noise)


# -- the command --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A run of every fate: its folder, exit code, and what was printed."""
    folder, before = tmp_path_factory.mktemp("lab"), dict(EXPERIMENTS)
    EXPERIMENTS.clear()
    try:
        yield folder, *run("--fast", "--seed", 1, "--out", folder, "--only", ",".join(lab_experiments.OURS.keys() - {"sleeps"}))
    finally:
        EXPERIMENTS.clear()
        EXPERIMENTS.update(before)


def test_what_fails_stops_no_other_experiment(demo):
    folder, code, out, _ = demo
    outcomes = {outcome.name: outcome for outcome in Results.load(folder / "results.json").outcomes}
    assert code == 1 and len(outcomes) == len(lab_experiments.OURS) - 1
    assert [name for name, outcome in outcomes.items() if outcome.error] == ["raises", "exits", "dies", "crashes"]
    assert "ValueError: judge: raises declares no number 'y'" in outcomes["raises"].error
    assert "in raises\n" in outcomes["raises"].error
    assert "SystemExit" in outcomes["exits"].error
    assert outcomes["dies"].error == "The process of this experiment ended with exit code 7.\n"
    assert "was ended by SIGSEGV" in outcomes["crashes"].error and "lab_experiments.py" in outcomes["crashes"].error
    assert all(outcome.error.rstrip() in out for outcome in outcomes.values())


def test_the_table_has_numbers_verdicts_and_what_changed(demo):
    _, _, out, err = demo
    assert re.search(r"^67 +Noise +holds +\d+\.\d$", out, re.M)
    assert re.search(r"^ +-0\.\d+ +\(-0\.52 to -0\.49\) +-0\.6 to -0\.4 +slope$", out, re.M)
    assert re.search(r"^ +! nan +≤ 0 +x$", out, re.M)
    assert re.search(r"^ +1 +≤ 1 +under the condition: small error$", out, re.M)
    assert re.search(r"^11 +Changed +does not hold \(CHANGED\) +\d+\.\d$", out, re.M)
    assert "changed: the verdict is 'does not hold'; 'holds' is the committed one." in out
    assert "hold: 3, hold under a condition: 1, do not hold: 2, failed: 4" in out
    assert "noise printed:\nthis is printed" in out
    assert re.search(r"^10 experiments in \d+\.\d s", out, re.M)
    assert "10/10" in err and "printed" not in err


def test_results_can_be_read_back(demo, tmp_path):
    folder, *_ = demo
    results = Results.load(folder / "results.json")
    results.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (folder / "results.json").read_text()
    data = json.loads((tmp_path / "again.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert data["fast"] and data["seed"] == 1 and data["machine"]["processor"] and data["machine"]["numpy"] == np.__version__
    by_name = {outcome.name: outcome for outcome in results.outcomes}
    evil, noise = by_name["evil"], by_name["noise"]
    assert evil.measured[0].value == math.inf and math.isnan(by_name["false"].measured[0].value)
    assert evil.measured[0].number == lab_experiments.OURS["evil"].numbers[0]
    assert noise.seeds == [1000, 1001] and noise.measured[0].interval == (-0.52, -0.49)
    assert [path.name for path in sorted(folder.glob("*.[pg]*"))] == ["evil.gif", "noise.png"]
    assert noise.tables[0][0] == ["n′", "deviation"] and noise.code.startswith("@experiment(67")


def test_all_as_committed_gives_exit_code_0(ours, tmp_path):
    code, out, _ = run("--fast", "--out", tmp_path / "a" / "b", "--only", "10,leaves", "--processes", 1)
    assert code == 0 and "All verdicts are the committed ones." in out
    assert (tmp_path / "a" / "b" / "lab.html").exists()


def test_the_longest_experiments_of_the_last_run_begin(ours, demo):
    chosen = [EXPERIMENTS[name] for name in ("false", "evil", "noise", "sleeps")]
    seconds = {outcome.name: outcome.seconds for outcome in Results.load(demo[0] / "results.json").outcomes}
    order = [e.name for e in command.longest_first(chosen, demo[0], fast=True)]
    assert order == ["sleeps", *sorted(("false", "evil", "noise"), key=seconds.get, reverse=True)]
    assert [e.name for e in command.longest_first(chosen, demo[0], fast=False)] == ["false", "sleeps", "evil", "noise"]


def test_experiments_begin_in_the_same_state_whatever_ran_before(ours):
    first = measure(Job("draws", True, 3, None))
    measure(Job("leaves", True, 0, None))
    assert tg.get_default_dtype() == tg.float32
    tg.rand(7)
    assert measure(Job("draws", True, 3, None)).measured == first.measured


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--only", "83"], r"there is no item '83'\. The nearest are .*Items are 1 to 82 and N1 to N7"),
        (["--only", "67,nois"], r"there is no item 'nois'\. The nearest are noise"),
        (["--only", "3"], r"item 3 has no experiment\. In the library: `optim\.SGD`"),
        (["--out", __file__], "cannot write to .*test_lab.py"),
        (["--out", f"{__file__}/lab"], "cannot write to .*: Not a directory"),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(ours, arguments, message):
    code, out, err = run("--fast", *arguments)
    assert (code, out) == (2, "") and re.search(message, err)


@pytest.mark.parametrize("arguments", [["--seed", "x"], ["--processes", "0"], ["41"]])
def test_wrong_arguments(ours, arguments):
    with pytest.raises(SystemExit, match="2"):
        run(*arguments)


def test_missing_packages_are_named(ours, monkeypatch):
    monkeypatch.setattr("examples.lab.arguments.find_spec", lambda name: None)
    assert run() == (2, "", "The lab needs matplotlib and tqdm: pip install 'tinygrad_lite[examples]'\n")


@pytest.mark.skipif(os.name == "nt", reason="there are no groups of processes to signal")
def test_ctrl_c_keeps_what_has_finished(tmp_path):
    program = (
        "import sys; from examples.lab.__main__ import main; from tests.lab_experiments import load; sys.exit(main(sys.argv[1:], load))"
    )
    arguments = ["--fast", "--only", "false,sleeps", "--processes", "2", "--out", tmp_path]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        read = ""
        while "1/2" not in read:
            read += process.stderr.read(1) or pytest.fail(read)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the experiments' processes too
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in read + err
    assert "Interrupted: 1 of 2 experiments did not finish; the others are reported." in out
    results = Results.load(tmp_path / "results.json")
    assert results.interrupted and [outcome.name for outcome in results.outcomes] == ["false"]
    assert "The run was interrupted" in (tmp_path / "lab.html").read_text()


# -- stability ----------------------------------------------------------------------------------


def test_stability_counts_the_verdicts_that_change(ours, capsys):
    assert stability.main(["--only", "changed,false,raises", "--seeds", "2", "--processes", "1"], lab_experiments.load) == 1
    out = capsys.readouterr().out
    assert re.search(r"^11 +changed +1 does not hold, 1 holds\n +seed 1: does not hold; x = 1$", out, re.M)
    assert re.search(r"^10 +false +2 does not hold$", out, re.M)
    assert "seed 2: ValueError: judge: raises declares no number 'y'" in out
    assert "3 of 6 verdicts changed: 50.0%" in out
    assert stability.main(["--only", "false", "--seeds", "1"], lab_experiments.load) == 0
    assert stability.main(["--only", "83"], lab_experiments.load) == 2


# -- pages in docs/lab --------------------------------------------------------------------------


def test_pages_from_a_run(ours, demo, tmp_path):
    folder, out = demo[0], tmp_path / "docs" / "lab"
    results = Results.load(folder / "results.json")
    results.outcomes = [outcome for outcome in results.outcomes if not outcome.error]
    shutil.copytree(ROOT / "docs" / "lab", out)
    (out / "figures").mkdir(exist_ok=True)
    (out / "figures" / "old.png").touch()
    docs.write(results, folder, out)
    index, theme = (out / "README.md").read_text(), (out / "lab_experiments.md").read_text()
    assert index.startswith("<!-- generated by") and theme.startswith("<!-- generated by")
    assert sorted(path.name for path in (out / "figures").iterdir()) == ["evil.gif", "noise.png"]
    assert "![The deviation falls.](figures/noise.png)" in theme and "| draws | 20 | = 20 | as asked |" in theme
    assert "as stated it does not hold" in theme and "<script" not in theme and "<script" not in index
    for number in items.ITEMS:
        assert f'<a id="item-{number}"></a>' in index
    failing = index.partition("## What does not hold as stated")[2].partition("## Every item")[0]
    assert "| 10 | [False](lab_experiments.md#false) | Never | does not hold | x: nan (bounds: ≤ 0) |" in failing
    assert "Noise" not in failing and results.machine["processor"].split()[0] in index and results.date[:10] in index
    for page in (index, theme):
        for link in re.findall(r"\]\(([^)#]+)", re.sub(r"\\.", "", page)):
            path = Path(os.path.normpath(out / link))
            assert path.exists() or (ROOT / path.relative_to(tmp_path)).exists() or "themes/lab_experiments" in link, link


def test_pages_are_written_from_full_runs_of_all_experiments(ours, demo, tmp_path, capsys):
    def refusal(folder, load=lab_experiments.load):
        assert docs.main([str(folder), "--out", str(tmp_path / "docs")], load) == 2
        return capsys.readouterr().err

    assert "holds no results" in refusal(tmp_path)
    assert "changed, crashes, dies, exits, raises, sleeps: not run, failed" in refusal(demo[0])
    results = Results.load(demo[0] / "results.json")
    results.outcomes = [outcome for outcome in results.outcomes if outcome.expected]
    for name in lab_experiments.OURS.keys() - {outcome.name for outcome in results.outcomes}:
        EXPERIMENTS.pop(name)
    results.save(demo[0].parent / "results.json")
    assert "a run with --fast" in refusal(demo[0].parent, lambda: None)
    results.fast = False
    results.save(demo[0].parent / "results.json")
    for name in ("noise.png", "evil.gif"):
        shutil.copy(demo[0] / name, demo[0].parent)
    assert docs.main([str(demo[0].parent), "--out", str(tmp_path / "docs")], lambda: None) == 0
    assert (tmp_path / "docs" / "lab_experiments.md").exists()


# -- figures ------------------------------------------------------------------------------------


def test_an_animation_is_small_and_has_every_frame(tmp_path):
    points = np.random.default_rng(0).normal(size=(8, 2)).cumsum(0)

    def draw(axes, k):
        axes.plot(*points[: k + 1].T)
        style.name_axes(axes, "x", "y", f"update {k}")

    path = style.animate(range(8), draw, tmp_path / "deep" / "path.gif", seconds=0.8)
    with Image.open(path) as animation:
        assert animation.n_frames == 8 and animation.info["duration"] == 100 and animation.info["loop"] == 0
        frames = [np.asarray(animation.convert("RGB")) for k in (0, 7) if animation.seek(k) is None]
    assert (frames[0] != frames[1]).any() and (frames[1][0, 0] == 255).all() and path.stat().st_size < 60_000


def test_large_pictures_are_reduced(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    frames = [Image.fromarray(pixels[:, ::k]).resize((200, 150)) for k in (1, -1, 2, 3)]
    monkeypatch.setattr(pictures, "MOST", {".png": 15_000, ".gif": 30_000})
    frames[0].save(tmp_path / "large.png")
    style.save_frames(frames, tmp_path / "large.gif", 2.0)
    for name, most in pictures.MOST.items():
        source, target = tmp_path / f"large{name}", tmp_path / f"small{name}"
        pictures.reduce(source, target)
        assert source.stat().st_size > most >= target.stat().st_size > 1000
        pictures.reduce(target, tmp_path / f"same{name}")
        assert (tmp_path / f"same{name}").read_bytes() == target.read_bytes()


# -- what is covered ----------------------------------------------------------------------------


def test_the_items_are_those_of_the_page():
    assert tuple(items.items()) == items.ITEMS and items.KINDS.keys() == set(items.ITEMS) and len(items.ITEMS) == 82 + 7
    assert items.items()["41"].part == "Lecture A: optimization" and items.items()["N7"].names[0] == "optim.surfaces.quadratic"


def test_docstrings_name_items():
    assert covered.items_in("Items 25, 26 and N3: cycles; Item 7.") == ["25", "26", "N3", "7"]
    tests = covered.tests_by_item()
    assert "tests/test_schedules.py::test_robbins_and_monro" in tests["35"] and set(tests) <= set(items.ITEMS)


def test_the_table_of_what_is_covered(ours):
    code, out, _ = run("--covered")
    table = out.splitlines()
    assert code == 1 and len([line for line in table if re.match(r"N?\d+ +\S", line) and "of 82" not in line]) == 89
    assert re.search(r"^43 +V, S +evil$", out, re.M) and re.search(r"^41 +V, S +NOTHING$", out, re.M)
    assert re.search(r"^3 +I +optim.SGD, tests/test_optim_lectures.py::test_batch_gradient_descent$", out, re.M)


@pytest.fixture
def loaded():
    """The lab's own experiments are registered, and no others."""
    themes.load()
    everything = dict(EXPERIMENTS)
    for name in [name for name, each in EXPERIMENTS.items() if each.theme not in themes.THEMES]:
        del EXPERIMENTS[name]
    yield
    EXPERIMENTS.update(everything)


def test_every_item_is_covered_and_the_count_is_the_table_s(loaded):
    table, complete = covered.covered()
    rows = covered.coverage()
    assert [number for number, row in rows.items() if row.item.needs_an_experiment and not row.experiments] == []
    assert [number for number, row in rows.items() if not row.is_covered] == []
    lines = [line for line in table.splitlines()[:-1] if line.partition(" ")[0] in items.ITEMS and "NOTHING" not in line]
    announced = sum(line.startswith("N") for line in lines)
    assert (
        table.splitlines()[-1] == f"{len(lines) - announced} of 82 items of the lectures and {announced} of 7 announced ones are covered."
    )
    assert complete


def test_the_pages_show_the_experiments_as_they_are_declared(loaded):
    for e in EXPERIMENTS.values():
        page = (ROOT / "docs" / "lab" / f"{e.theme}.md").read_text()
        section = page.partition(f'<a id="{e.name}"></a>')[2].partition('<a id="')[0]
        assert f"**Verdict.** {e.verdict}" in section, f"{e.name}: run `python -m examples.lab`, then `python -m examples.lab.docs`"
        assert all(f"| {docs.plain(number.bounds())} | {docs.plain(number.why)} |" in section for number in e.numbers), e.name
