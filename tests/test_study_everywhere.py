"""Every tool of `study` on every kind of program: gradients of gradients, Functions, checkpoints, hooks, changes in place and
operations with several results."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import study
from tinygrad_lite.utils.checkpoint import checkpoint


class Cube(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * g * x * x


class SumAndDifference(tg.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        return a + b, a - b

    @staticmethod
    def backward(ctx, g, h):
        return g + h, g - h


class DoubledInPlace(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):
        return 2 * g


def gradient_penalty(w):
    y = (w * w * w).tanh().sum()
    (g,) = tg.autograd.grad(y, w, create_graph=True)
    return y + (g * g).sum()


def third_derivative(w):
    y = w.sin()
    for _ in range(2):
        (y,) = tg.autograd.grad(y.sum(), w, create_graph=True)
    return (y * w).sum()


def function(w):
    return Cube.apply(w).sum()


def function_under_grad(w):
    (g,) = tg.autograd.grad(Cube.apply(w).sum(), w, create_graph=True)
    return (g * g).sum()


def function_of_several_results(w):
    total, difference = SumAndDifference.apply(w, w * w)
    return (total * difference).sum()


def function_in_place(w):
    return (DoubledInPlace.apply(w * 3) * w).sum()


def checkpointed(w):
    return checkpoint(lambda v: (v * v).tanh(), w.exp(), use_reentrant=False).sum()


def checkpointed_reentrant(w):
    return checkpoint(lambda v: (v * v).tanh(), w.exp(), use_reentrant=True).sum()


def hooked(w):
    h = w.exp()
    h.register_hook(lambda g: g * 2)
    w.register_hook(lambda g: g.clamp(max=1.0))
    return (h * w).sum()


def hooked_before_an_operation(w):
    h = w * w
    h.grad_fn.register_prehook(lambda arrived: (arrived[0] * 3,))
    return h.sum()


def in_place(w):
    h = w * 2
    h += w
    h[0] = w[1] * w[2]
    h.mul_(w).relu_()
    return h.sum()


def in_place_through_a_view(w):
    h = w * 2
    h.view(2, 2)[1].mul_(3)
    return (h * w).sum()


def several_results(w):
    a, b = w.split(2)
    top, _places = w.topk(2)
    return (a * b).sum() + (top * w.unbind()[0]).sum()


def several_losses(w):
    h = w * w
    h.sum().backward(retain_graph=True)
    return (h * h).sum()


def broadcast_and_shared(w):
    return (w[:, None] * w[None, :] + w).sum() * w.sum()


def batch_norm_and_dropout(w):
    tg.manual_seed(0)
    return (F.dropout(F.batch_norm(w.reshape(2, 2), None, None, training=True), 0.5) * w[:2]).sum()


PROGRAMS = [
    gradient_penalty, third_derivative, function, function_under_grad, function_of_several_results, function_in_place,
    checkpointed, checkpointed_reentrant, hooked, hooked_before_an_operation, in_place, in_place_through_a_view, several_results, several_losses,
    broadcast_and_shared, batch_norm_and_dropout,
]  # fmt: skip
EVERY = pytest.mark.parametrize("program", PROGRAMS, ids=[program.__name__ for program in PROGRAMS])


OTHERS = [1.5, -0.5, 2.0, 0.75]  # in the same order, which is that of topk


def leaf(values=(0.5, -1.0, 1.5, 0.25)):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def plain(program):
    """The loss and the gradient of a program that nothing looks at."""
    w = leaf()
    loss = program(w)
    loss.backward()
    return loss.detach().numpy(), w.grad.numpy()


def recorded(program, backward=True):
    w = leaf()
    with study.record() as tape:
        loss = program(w)
        if backward:
            loss.backward()
    return tape, w, loss


@EVERY
def test_recording_changes_no_result(program):
    _, w, loss = recorded(program)
    value, gradient = plain(program)
    np.testing.assert_array_equal(loss.detach().numpy(), value)
    np.testing.assert_array_equal(w.grad.numpy(), gradient)


@EVERY
def test_the_stepper_ends_at_the_gradient_and_goes_back_to_the_beginning(program):
    tape, w, loss = recorded(program, backward=False)
    before = 0.0 if w.grad is None else w.grad.numpy().copy()
    stepper = tape.backward(loss)
    stops = []
    while (stop := stepper.next()) is not None:
        stops.append(str(stop))
    np.testing.assert_array_equal(stepper.gradients()[tape.number_of(w)].array + before, w.grad.numpy())
    while (stop := stepper.prev()) is not None:
        assert str(stop) == stops.pop()
    assert not stops and stepper.gradients().keys() == {tape.number_of(loss)}


@EVERY
def test_it_has_a_page(program, tmp_path):
    tape, _, _ = recorded(program)
    text = tape.page(tmp_path / "page.html").read_text(encoding="utf-8")
    data = json.loads(text.split('<script id="data" type="application/json">')[1].partition("</script")[0])
    assert [e["operation"] for e in data["entries"]] == [e.operation for e in tape]
    assert [[s["entry"] for s in each["steps"]] for each in data["passes"]] == [[s.entry for s in each.steps] for each in tape.passes]


@EVERY
def test_explain_finds_nothing_wrong(program):
    tape, w, loss = recorded(program)
    why = study.explain(w, tape, loss)
    assert why.chain and why.chain[-1].to.number == tape.number_of(w) and str(why)
    assert why.sound or (why.cause == "accumulated" and program is several_losses)


@EVERY
def test_memory_is_what_dropping_the_graph_frees(program):
    w = leaf()
    loss = program(w)
    kept = study.memory(loss)
    assert kept.total == sum(kept.by("operation").values()) and str(kept)
    loss.backward()
    assert study.memory(loss).total == 0


@EVERY
def test_it_goes_through_every_export(program):
    tape, _, _ = recorded(program)
    again = study.Tape.from_json(tape.json())
    assert again.json() == tape.json()
    for form in ("table", "latex", "mermaid", "dot", "svg"):
        assert getattr(again, form)() == getattr(tape, form)()
    ET.fromstring(tape.svg())
    assert not tape.diff(again)


@EVERY
def test_two_recordings_have_no_difference(program):
    (one, _, _), (other, _, _) = recorded(program), recorded(program)
    assert not one.diff(other, rtol=0, atol=0)


@EVERY
def test_a_replay_computes_the_same_again(program):
    tape, _, _ = recorded(program)
    again = tape.replay()
    assert len(again) == len(tape)
    for entry in tape:
        if isinstance(entry.values, study.Values):
            np.testing.assert_array_equal(again[entry.number].values.array, entry.values.array)


@EVERY
def test_a_replay_with_other_leaves_is_a_run_with_them(program):
    tape, _, _ = recorded(program)
    again = tape.replay({"w": OTHERS})
    np.testing.assert_allclose(again["loss"].values.array, program(leaf(OTHERS)).item())


@EVERY
def test_paths_sum_to_the_gradient(program):
    if "hook" in program.__name__:
        pytest.skip("paths leaves hooks out")
    w = leaf()
    loss = program(w)
    if program is several_losses:
        w.grad = None
    found = study.paths(loss, w, top=10_000)
    for layer in found.layers:
        assert sum(path.share for path in layer.paths) + layer.rest == pytest.approx(1)
    loss.backward()
    np.testing.assert_allclose(found.gradient.array, w.grad.numpy())


@EVERY
def test_first_bad_lets_it_through(program):
    w = leaf()
    with study.first_bad():
        program(w).backward()
    np.testing.assert_array_equal(w.grad.numpy(), plain(program)[1])


@EVERY
def test_a_line_can_be_inserted_into_its_gradient(program):
    w = leaf()
    h = w * 1
    with study.insert_grad(h) as g:
        g *= 0
    program(h).backward()
    assert not w.grad.numpy().any()


@EVERY
def test_a_notebook_shows_it(program):
    tape, _, _ = recorded(program)
    assert f"{len(tape)} entries" in tape._repr_html_()
    stepper = tape.stepper()
    while stepper.next() is not None:
        assert stepper._repr_html_()
