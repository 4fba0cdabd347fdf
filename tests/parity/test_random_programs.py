"""Random programs give the same results as in PyTorch; and the tool that compares them finds and shrinks differences."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from tests.parity import random_programs as tool  # noqa: E402

SEEDS = range(300)


@pytest.mark.parametrize("seeds", [SEEDS[i : i + 100] for i in range(0, len(SEEDS), 100)], ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_random_programs_do_what_they_do_in_pytorch(seeds):
    results = list(tool.failures(seeds, jobs=1))  # in another process: some programs end PyTorch's with a segmentation fault
    assert [seed for seed, _ in results] == list(seeds)
    found = [failure for _, failure in results if failure]
    assert not found, tool.summary(found)


def test_a_seed_is_a_program():
    assert tool.program_of(7) == tool.program_of(7) != tool.program_of(8)


def test_a_seed_is_the_same_program_in_every_process():
    """Whatever the order in which a process walks through a set of names."""
    write = "from tests.parity.random_programs import program_of; print(*map(program_of, (413495, 422113)))"
    written = {subprocess.run([sys.executable, "-c", write], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout for seed in "01"}
    assert len(written) == 1


def test_most_statements_are_accepted():
    programs = [tool.program_of(seed) for seed in range(40)]
    errors = [error for program in programs for error in tool.run(program, torch).errors]
    assert sum(map(bool, errors)) < 0.1 * len(errors)
    assert all(5 <= len(program) <= 40 for program in programs if not tool.run(program, torch).errors[-1])


PROGRAM = [
    "x1 = t.tensor([1.0, 2.0], dtype=t.float64, requires_grad=True)",
    "x2 = t.tensor([3.0, 4.0], dtype=t.float64)",
    "x3 = x2 * 2",
    "x4 = x1 * x1",
    "x4.sum().backward()",
]


@pytest.mark.parametrize(
    "change, kind",
    [
        (lambda outcome: outcome.tensors["x4"]["value"].__setitem__(0, 5.0), "value"),
        (lambda outcome: outcome.tensors["x1"]["grad"].__setitem__(0, 5.0), "grad"),
        (lambda outcome: outcome.tensors["x1"].pop("grad"), "presence of grad"),
        (lambda outcome: outcome.tensors["x4"].__setitem__("requires_grad", False), "requires_grad"),
        (lambda outcome: outcome.tensors["x4"].__setitem__("is_leaf", True), "is_leaf"),
        (lambda outcome: outcome.tensors["x4"].__setitem__("value", outcome.tensors["x4"]["value"].astype("float32")), "dtype"),
        (lambda outcome: outcome.tensors["x4"].__setitem__("value", outcome.tensors["x4"]["value"][None]), "shape"),
        (lambda outcome: outcome.tensors.pop("x4"), "presence"),
        (lambda outcome: outcome.errors.__setitem__(2, "RuntimeError: no"), "refused only here"),
        (lambda outcome: outcome.errors.__setitem__(2, "crash: KeyError: no"), "crash"),
        (lambda outcome: outcome.logs.__setitem__("hook", [[1]]), "calls of a hook"),
    ],
)
def test_every_kind_of_difference_is_found(change, kind):
    theirs, ours = tool.run(PROGRAM, torch), tool.run(PROGRAM, tool.tg)
    assert not list(tool.compare(PROGRAM, ours, theirs))
    change(ours)
    assert next(tool.compare(PROGRAM, ours, theirs)).kind == kind


def test_what_pytorch_refuses_and_we_accept_is_found():
    theirs, ours = (tool.run([*PROGRAM, "x3.nothing()"], library) for library in (torch, tool.tg))
    ours.errors[-1] = ""
    assert next(tool.compare([*PROGRAM, "x3.nothing()"], ours, theirs)).kind == "accepted only here"


def test_a_refused_backward_that_has_changed_something_is_found(monkeypatch):
    program = [*PROGRAM, "(x4 * x4).sum().backward()"]
    assert tool.difference(program) is None
    backward = tool.tg.Tensor.backward

    def changes_something(self, *args, **kwargs):
        try:
            backward(self, *args, **kwargs)
        except RuntimeError:
            leaf.append(True)
            raise

    leaf: list[bool] = []
    monkeypatch.setattr(tool.tg.Tensor, "backward", changes_something)
    monkeypatch.setattr(tool.tg.Tensor, "is_leaf", property(lambda self: bool(leaf and not leaf.pop())))
    assert tool.difference_of_refusal(program, tool.run(program, torch).errors) is None
    monkeypatch.setattr(tool.tg.Tensor, "is_leaf", property(lambda self: bool(leaf and leaf.pop())))
    assert tool.difference_of_refusal(program, tool.run(program, torch).errors).kind == "refused here, but changed: is_leaf"


def test_a_failing_program_is_shrunk(monkeypatch):
    monkeypatch.setattr(tool.tg.Tensor, "sin", lambda self: self.cos())
    program = [
        *PROGRAM,
        "x5 = x3 + 1",
        "with t.no_grad(): x6 = x2.sin()",
        "def f7(v):\n    p8 = v * 3\n    p9 = v * 2\n    return p9",
        "x7 = f7(x5)",
    ]
    found = tool.difference(program)
    assert (found.kind, found.where) == ("value", "x6")
    small, found = tool.shrunk(program, found)
    assert small == ["x2 = t.tensor([3.0, 4.0], dtype=t.float64)", "x6 = x2.sin()"]


def test_rounding_that_the_program_makes_large_is_no_difference(monkeypatch):
    program = ["x1 = t.tensor(1.1, dtype=t.float64)", "x2 = x1 * 3 - 3.3", "x3 = x2 * 1e15"]
    assert tool.difference(program) is None
    monkeypatch.setattr(tool.tg.Tensor, "__mul__", lambda self, other: tool.tg.mul(self, other) + 2e-15 * (other == 3))
    assert tool.difference(program) is None
    monkeypatch.setattr(tool.tg.Tensor, "__mul__", lambda self, other: tool.tg.mul(self, other) + 1e-3 * (other == 3))
    assert tool.difference(program).kind == "value"


