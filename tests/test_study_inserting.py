"""Inside `study.insert_grad(h)`, lines of the program run on the gradient that flows through h."""

from __future__ import annotations

import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn, study


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


def through(block, values=(1.0, 2.0, 3.0)):
    """The gradient of the sum of squares, of which `block` has changed that of h = 1 * x."""
    x = leaf(*values)
    h = x * 1
    block(h)
    (h * h).sum().backward()
    return x.grad.tolist()


def test_a_line_scales():
    def block(h):
        with study.insert_grad(h) as g:
            g *= 10

    assert through(block) == [20, 40, 60]


def test_a_line_clips():
    def block(h):
        with study.insert_grad(h) as g:
            g.clamp_(-3, 3)

    assert through(block) == [2, 3, 3]


def test_the_variable_may_be_assigned_again():
    def block(h):
        with study.insert_grad(h) as grad:
            grad = -grad.clamp(max=3) + 1

    assert through(block) == [-1, -2, -2]


def test_a_line_prints(capsys):
    def block(h):
        with study.insert_grad(h) as g:
            g.print("before", 1)
            g *= 2
            g.print()

    assert through(block) == [4, 8, 12]
    assert capsys.readouterr().out == "before 1 tensor([2., 4., 6.])\ntensor([ 4.,  8., 12.])\n"


def test_a_line_replaces_all_or_a_part():
    def all_of_it(h):
        with study.insert_grad(h) as g:
            g = tg.tensor([7.0, 8.0, 9.0])  # noqa: F841

    def in_place(h):
        with study.insert_grad(h) as g:
            g.copy_(tg.tensor([7.0, 8.0, 9.0]))

    def a_part(h):
        with study.insert_grad(h) as g:
            g[1:] = 0
            g[0] *= 5

    assert through(all_of_it) == through(in_place) == [7, 8, 9]
    assert through(a_part) == [10, 0, 0]


def test_what_is_computed_of_it_can_be_used():
    def block(h):
        with study.insert_grad(h) as g:
            largest = g.abs().max()
            g /= largest
            g[g < 0.5] = 0.0

    assert through(block) == pytest.approx([0, 4 / 6, 1])


def test_apply_calls_any_function():
    def block(h):
        with study.insert_grad(h) as g:
            g = g.apply(lambda g, most: g if g.norm() < most else g * 0, 1.0)

    assert through(block) == [0, 0, 0]
    assert through(block, (0.1, 0.1, 0.1)) == pytest.approx([0.2, 0.2, 0.2])


def test_gradient_reversal_inside_a_model_runs_at_every_step():
    class Adversary(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.head = nn.Linear(2, 2), nn.Linear(2, 1)

        def forward(self, x, reverse):
            h = self.encoder(x)
            if reverse:
                with study.insert_grad(h) as g:
                    g *= -0.5
            return self.head(h).sum()

    model, x = Adversary(), tg.ones(3, 2)
    for _ in range(2):
        model.zero_grad()
        model(x, False).backward()
        plain = model.encoder.weight.grad.clone()
        model.zero_grad()
        model(x, True).backward()
        assert model.encoder.weight.grad.tolist() == (plain * -0.5).tolist()


def test_gradients_of_gradients_go_through_the_lines():
    x = leaf(2.0)
    h = x * 1
    with study.insert_grad(h) as g:
        g *= 3
    (first,) = tg.autograd.grad((h**3).sum(), x, create_graph=True)
    (second,) = tg.autograd.grad(first.sum(), x)
    assert (first.tolist(), second.tolist()) == ([36], [3 * 3 * 6 * 2])


def test_functions_checkpoints_and_several_outputs():
    class Twice(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, k):
            return g * 2 + k * 3

    x = leaf(1.0, 2.0)
    a, b = Twice.apply(x)
    with study.insert_grad(a) as g:
        g *= 10
    (a + b).sum().backward()
    assert x.grad.tolist() == [23, 23]

    def inside(v):
        h = v * 1
        with study.insert_grad(h) as g:
            g *= 10
        return h * h

    y = leaf(1.0, 2.0)
    tg.utils.checkpoint.checkpoint(inside, y, use_reentrant=False).sum().backward()
    assert y.grad.tolist() == [20, 40]


def test_it_can_be_removed_and_an_error_in_the_block_inserts_nothing():
    x = leaf(1.0, 2.0)
    edit = study.insert_grad(x)
    with edit as g:
        g *= 10
    edit.remove()
    with pytest.raises(ZeroDivisionError), study.insert_grad(x) as g:
        g *= 1 / 0
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]


def test_a_recording_shows_what_the_lines_have_done():
    x = leaf(1.0, 2.0)
    with study.record() as tape:
        h = x.exp()
        with study.insert_grad(h) as g:
            g.zero_()
        h.sum().backward()
    why = study.explain(x, tape)
    assert (why.state, why.cause, why.causes[0].source) == ("zero", "hook", "h = x.exp()")


def test_refusals():
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match="insert_grad: expected a Tensor, got float"):
        study.insert_grad(1.0)
    with pytest.raises(RuntimeError, match="does not require grad"):
        study.insert_grad(tg.ones(2))
    with pytest.raises(TypeError, match="known only in backward"), study.insert_grad(x) as g:
        if g.norm() > 1:
            g *= 0
    with study.insert_grad(x) as g:
        g = g.sum()
    with pytest.raises(RuntimeError, match=r"must leave a Tensor of shape \(2,\) as the gradient, got shape \(\)"):
        (x * 2).sum().backward()
    y = leaf(1.0, 2.0)
    with study.insert_grad(y) as g:
        g.no_such_method()
    with pytest.raises(RuntimeError, match=r"insert_grad: .*test_study_inserting.py:\d+: g.no_such_method\(\): .*no_such_method"):
        (y * 2).sum().backward()
    assert y.grad is None
