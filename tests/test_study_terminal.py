"""`python -m tinygrad_lite.study script.py`: the stepper at a prompt."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_lite as tg
from tinygrad_lite import study
from tinygrad_lite.study.script import main

PROGRAM = """\
import sys
import tinygrad_lite as tg
from tinygrad_lite import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 1)])

    def forward(self, x):
        hidden = self.blocks[0](x).tanh()
        return self.blocks[1](hidden)

class Trainer:
    def __init__(self, model):
        self.model = model

    def step(self, x, scale):
        loss = (self.model(x) * scale).mean()
        loss.backward()
        return loss

tg.manual_seed(0)
trainer, scale = Trainer(Net()), tg.tensor(2.0, requires_grad=True)
for epoch in range(3):
    last = trainer.step(tg.ones(4, 2), scale)
print("ended", *sys.argv[1:])
"""


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A function that runs a program with lines of input, and gives the exit status and what the prompt printed."""
    monkeypatch.setenv("TINYGRAD_LITE_CACHE", str(tmp_path))

    def run(program, *lines, arguments=(), options=()):
        script = tmp_path / "train.py"
        script.write_text(program)
        out = io.StringIO()
        status = main([*options, str(script), *arguments], io.StringIO("".join(f"{line}\n" for line in lines)), out)
        return status, out.getvalue().replace(str(script), "train.py").replace("(study) ", "")

    return run


def answers(text):
    """What was printed, in paragraphs that begin with a step."""
    return [part.split("\n") for part in ("\n" + text).split("\nstep ")[1:]]


def test_it_stops_at_a_backward_pass_and_steps_both_ways(session, capsys):
    status, text = session(PROGRAM, "next", "n 2", "prev", "continue end", arguments=["--fast", "x"])
    assert status == 0 and capsys.readouterr().out == "ended --fast x\n"
    assert text.startswith("Backward pass 1: 5 steps, 10 entries on the tape.")
    assert [part[0] for part in answers(text)] == [
        "1 of 5: %9 loss = mean, () float32", "2 of 5: %8 mul, (4, 1) float32", "4 of 5: %3 hidden = tanh, (4, 3) float32",
        "3 of 5: %6 linear, (4, 1) float32",
    ]  # fmt: skip
    assert "  train.py:19: loss = (self.model(x) * scale).mean()" in answers(text)[0]


def test_modules_and_leaves_have_the_names_of_the_program(session):
    _, text = session(PROGRAM, "entries", "quit")
    assert "%0 model.blocks.0.weight = leaf  (3, 2) float32" in text and "%7 scale = leaf" in text
    assert "model.blocks.1  train.py:12" in text


def test_goto_until_and_reset(session):
    _, text = session(
        PROGRAM, "until model.blocks", "goto hidden", "goto 1", "until 11", "u mul", "reset", "u mul", "until loss", "goto %6", "q"
    )
    heads = [part[0].split(",")[0] for part in answers(text)]
    assert heads == [
        "1 of 5: %9 loss = mean", "3 of 5: %6 linear", "4 of 5: %3 hidden = tanh", "1 of 5: %9 loss = mean", "4 of 5: %3 hidden = tanh",
        "2 of 5: %8 mul", "3 of 5: %6 linear",
    ]  # fmt: skip
    assert "*** until: no later step matches mul; names of operations: mean, mul, linear, tanh" in text
    assert "Before the first of 5 steps: next goes to the first." in text
    assert "*** until: no later step matches loss" in text


def test_values_rules_and_gradients_are_shown(session):
    program = "import tinygrad_lite as tg\nx = tg.tensor([0.0, 2.0], requires_grad=True)\ny = (x * 3).tanh()\ny.sum().backward()\n"
    _, text = session(
        program, "gradients", "goto y", "print", "print x", "values out", "rule", "prev", "gradients x", "next 2", "gradients x", "p z"
    )
    assert "out = (2,) float32\n[0.      , 0.999988]" in text
    assert "x = (2,) float32\n[0., 2.]" in text
    assert "lambda g, out: g * (1 - out * out)\n  \\bar{y} \\, (1 - y^{2})" in text
    assert "no line of gradients has 'x' in it" in text and "%0 x = leaf: [3.0000e+00, 7.36" in text
    assert "*** no entry of the tape is named 'z'; names: x, y" in text


def test_where_and_list_show_the_program(session):
    _, text = session(PROGRAM, "goto hidden", "where", "list", "l", "l 1", "l .", "l 900")
    assert "  train.py(26)<module>()\n-> last = trainer.step(tg.ones(4, 2), scale)\n  train.py(19)step()" in text
    assert "  in module model" in text
    assert "  11 ->         hidden = self.blocks[0](x).tanh()" in text
    assert "  18        def step(self, x, scale):" in text
    assert text.count("   1    import sys") == 1 and "*** list: " in text and "has 27 lines" in text


def test_a_long_tape_is_listed_around_the_present_entry(session):
    program = (
        "import tinygrad_lite as tg\nx = tg.tensor(1.0, requires_grad=True)\nh = x\nfor _ in range(200):\n    h = h.sin()\nh.backward()\n"
    )
    _, text = session(program, "goto 100", "entries", "entries %20", "gradients")
    listed = [line for line in text.splitlines() if re.match(r"[> ] %", line)]
    assert len(listed) == 50 + 3 and [line for line in listed if line[0] == ">"] == ["> %101 h = sin (%100) () float32    train.py:5"]
    assert "... and 151 more; entries TEXT shows those with TEXT in their line" in text


def test_continue_goes_to_the_next_pass_or_further(session):
    _, text = session(PROGRAM, "continue", "c 1", "c")
    assert [line.split(":")[0] for line in text.splitlines() if line.startswith("Backward")] == [f"Backward pass {i}" for i in (1, 2, 3)]
    _, text = session(PROGRAM, "continue 2", "c")
    assert "Backward pass 2" not in text and "Backward pass 3" in text


def test_what_runs_to_the_end_is_not_recorded(session):
    program = f"{PROGRAM}\nfrom tinygrad_lite.engine.context import observers\nassert not observers.get()\n1 / 0\n"
    status, text = session(program, "c end")
    assert status == 1 and "raised ZeroDivisionError on the way to its end." in text and text.count("Backward pass") == 1
    with study.record() as tape:
        tg.ones(2, requires_grad=True).exp()
    assert len(tape) == 2


def test_a_training_loop_does_not_keep_its_graphs(session):
    _, text = session(PROGRAM, "c", "c", "c")
    assert text.count("10 entries on the tape") == 3


def test_a_graph_that_is_kept_stays_on_the_tape(session):
    program = "import tinygrad_lite as tg\nx = tg.tensor(1.0, requires_grad=True)\nh = x.exp()\n(h * 2).backward(retain_graph=True)\n(h * 3).backward()\n"
    _, text = session(program, "c", "goto h", "where")
    assert "Backward pass 2: 2 steps, 4 entries" in text and "-> h = x.exp()" in text


def test_passes_inside_a_hook_are_part_of_the_outer_stop(session):
    program = (
        "import tinygrad_lite as tg\nx = tg.tensor(1.0, requires_grad=True)\nz = tg.tensor(1.0, requires_grad=True)\nh = x.exp()\n"
        "h.register_hook(lambda g: (z * 5).backward())\n(h * 2).backward()\n"
    )
    _, text = session(program, "n", "c")
    assert text.count("Backward pass") == 1 and "step 2 of 2: %1 h = exp" in text


def test_options_give_commands_and_an_empty_line_repeats(session):
    _, text = session(PROGRAM, "", "q", options=["-c", "next", "-c", "next"])
    assert [part[0][0] for part in answers(text)] == ["1", "2", "3", "4"]


def test_help_names_every_command_and_its_short_form(session):
    _, text = session(PROGRAM, "help", "help u", "help nothing", "frobnicate", "next x", "goto", "goto 99", "until", "print 3")
    for command in ("next", "prev", "goto", "until", "where", "print", "gradients", "list", "entries", "reset", "continue", "quit", "help"):
        assert f"\n{command}" in text
    assert text.count("until OPERATION") == 2
    assert "*** help: there is no command 'nothing'" in text and "*** there is no command 'frobnicate'; help lists them" in text
    assert "*** the count: expected a number, got 'x'" in text and "*** goto: name a step" in text and "got 99" in text


def test_after_the_last_step_there_is_no_entry(session):
    _, text = session(PROGRAM, "next 99", "where", "gradients scale", "prev", "q")
    assert "After the last of 5 steps" in text and "*** after the last of 5 steps: there is no entry here; use next or prev" in text
    assert "%7 scale = leaf: " in text and answers(text)[-1][0].startswith("5 of 5")


def test_nonfinite_gradients_are_found(session):
    program = (
        "import tinygrad_lite as tg\nx = tg.tensor([0.0, 1.0], requires_grad=True)\nr = x.sqrt()\nloss = (r * 2).sum()\nloss.backward()\n"
    )
    _, text = session(program, "until nonfinite", "q")
    assert answers(text)[-1][0].startswith("3 of 3: %1 r = sqrt")


@pytest.mark.parametrize("terminal", [False, True])
def test_colour_is_for_terminals(terminal, tmp_path, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    class Out(io.StringIO):
        def isatty(self):
            return terminal

    (tmp_path / "a.py").write_text(PROGRAM)
    main([str(tmp_path / "a.py")], io.StringIO("goto 3\nfoo\nlist\nq\n"), out := Out())
    assert ("\033[" in out.getvalue()) is terminal
    monkeypatch.setenv("NO_COLOR", "1")
    main([str(tmp_path / "a.py")], io.StringIO("goto 3\nfoo\nlist\nq\n"), out := Out())
    assert "\033[" not in out.getvalue()


# -- programs that do not get there ----------------------------------------------------------------


def test_a_script_that_raises(session):
    status, text = session("import tinygrad_lite as tg\n\ndef f(x):\n    return x / 0\n\nf(1)\n")
    assert status == 1 and text.startswith('Traceback (most recent call last):\n  File "train.py", line 6, in <module>')
    assert "ZeroDivisionError" in text and "runpy" not in text
    assert "train.py raised ZeroDivisionError before its first backward pass. Correct the error" in text
    status, text = session("import tinygrad_lite as tg\ntg.tensor(1.0, requires_grad=True).exp().backward()\n1 / 0\n", "c")
    assert status == 1 and "raised ZeroDivisionError after 1 backward pass." in text
    status, text = session("x = = 2")
    assert status == 1 and "SyntaxError" in text


def test_a_rule_that_raises_opens_the_prompt_there(session):
    program = """\
import tinygrad_lite as tg

class Bad(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        raise ArithmeticError("no gradient today")

x = tg.tensor(1.0, requires_grad=True)
y = Bad.apply(x.sin()).exp()
y.backward()
"""
    status, text = session(program, "where", "c")
    assert status == 1 and "It raised ArithmeticError at the step below: no gradient today" in text
    assert "raised ArithmeticError in its backward pass 1. Correct" in text
    assert "%2 Bad" in answers(text)[0][0] and "-> y = Bad.apply(x.sin()).exp()" in text


def test_a_script_without_a_backward_pass(session):
    status, text = session("import tinygrad_lite as tg\nx = tg.tensor(1.0, requires_grad=True)\ncost = (x * 2).exp()\n")
    assert status == 1
    assert text.endswith("It recorded 2 operations, the last at train.py:3: cost = (x * 2).exp(). Call cost.backward() there.\n")
    status, text = session("import tinygrad_lite as tg\nx = tg.tensor(1.0).exp()\n")
    assert status == 1 and "recorded no operation that needs a gradient. Create a tensor with requires_grad=True" in text
    status, text = session("raise SystemExit")
    assert status == 1 and "ended without a backward pass" in text


def test_a_script_s_own_exit_status_passes():
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0


def test_a_path_that_is_no_script(tmp_path):
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "none.py", "does not exist")):
        assert main([str(path)], io.StringIO(), out := io.StringIO()) == 2
        assert out.getvalue() == f"{path} {words}: give the path of a Python program that calls backward\n"


def test_nothing_is_left_behind(session):
    argv, path = list(sys.argv), list(sys.path)
    session(PROGRAM, "quit")
    session("import sys\nsys.argv.append('x')\nsys.path.append('y')\n1 / 0")
    assert (sys.argv, sys.path) == (argv, path)
    x = tg.tensor(1.0, requires_grad=True)
    with study.record() as tape:
        x.exp()
    assert len(tape) == 2


def test_input_may_come_from_a_pipe(tmp_path):
    (tmp_path / "helper.py").write_text("SCALE = 2.0\n")
    script = tmp_path / "program.py"
    script.write_text(
        "from helper import SCALE\nimport tinygrad_lite as tg\nx = tg.tensor(SCALE, requires_grad=True)\n(x * x).backward()\nprint('end')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(tg.__file__).parents[1])}
    command = [sys.executable, "-m", "tinygrad_lite.study", str(script)]
    found = subprocess.run(command, input="gradients\nnext\ngradients\ncontinue\n", capture_output=True, text=True, env=environment)
    assert found.returncode == 0 and not found.stderr and found.stdout.endswith("end\n")
    assert "%0 x = leaf: 4." in found.stdout
