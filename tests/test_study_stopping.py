"""`study.first_bad` stops at the first NaN or infinity, forward or backward."""

from __future__ import annotations

import io
import sys

import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, study


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


def test_the_first_operation_is_named_with_its_line_module_and_ranges():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return (self.layer(x) - 100).log()

    net = nn.Sequential(Net())
    with pytest.raises(study.NonFiniteError) as caught, study.first_bad(net):
        net(tg.ones(1, 2)).sum().backward()
    error = caught.value
    assert (error.direction, error.operation, error.module) == ("forward", "log", "0")
    assert error.place.startswith(__file__) and error.inputs["input"].max < -90
    assert "return (self.layer(x) - 100).log()" in str(error) and "what to do: keep it above zero" in str(error)


def test_the_first_rule_is_named_with_the_line_of_its_operation():
    x = leaf(0.0, 4.0)
    with study.first_bad():
        root = x.sqrt()
        loss = (root * 2).sum()
        with pytest.raises(study.NonFiniteError) as caught:
            loss.backward()
    error = caught.value
    assert (error.direction, error.operation) == ("backward", "sqrt")
    assert "root = x.sqrt()" in str(error) and error.inputs["g"].max == 2 and error.inputs["out"].zero == 0.5


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_is_checked_on_arrays_and_on_tensors(create_graph):
    x = leaf(0.0, 4.0)
    with pytest.raises(study.NonFiniteError, match=r"backward: pow has an infinite derivative"), study.first_bad():
        tg.autograd.grad((x**0.5).sum(), x, create_graph=create_graph)


def test_nan_in_the_data_is_an_error_where_it_is_taken():
    layer = nn.Linear(2, 1)
    with pytest.raises(study.NonFiniteError, match="forward: linear takes 1 NaN in its argument 'input'"), study.first_bad():
        layer(tg.tensor([[1.0, float("nan")]]))


def test_an_infinite_loss_is_an_error():
    x = leaf(1.0, 2.0)
    with pytest.raises(study.NonFiniteError, match="gives the tensor that backward starts at"), study.first_bad():
        (x * float("inf")).sum().backward()


def test_a_mask_of_minus_infinity_is_no_error():
    q = tg.randn(4, 3, requires_grad=True)
    with study.first_bad():
        scores = (q @ q.T).masked_fill(tg.ones(4, 4).triu(1).bool(), -float("inf"))
        loss = (scores.softmax(-1) @ q).square().sum()
        loss.backward()
    assert q.grad.isfinite().all()


def test_only_nan_counts_without_inf():
    x = leaf(1.0, 200.0)
    with study.first_bad(inf=False):
        y = x.exp()
        with pytest.raises(study.NonFiniteError, match="subtracts infinity from infinity"):
            y - y


def test_hooks_and_cotangents_that_are_not_finite():
    x = leaf(1.0, 2.0)
    with study.first_bad():
        y = x * 2
        with pytest.raises(study.NonFiniteError, match="mul is passed a gradient that is not finite"):
            y.backward(tg.tensor([1.0, float("nan")]))
        h = x.exp()
        h.register_hook(lambda g: g / 0)
        with pytest.raises(study.NonFiniteError, match="exp has a hook that returned"):
            h.sum().backward()
        x.register_hook(lambda g: g / 0)
        with pytest.raises(study.NonFiniteError, match="leaf has a hook that returned"):
            (x * 2).sum().backward()


def test_functions_and_checkpoints():
    class Broken(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    x = leaf(1.0, 2.0)
    with study.first_bad():
        tg.utils.checkpoint.checkpoint(lambda v: v.sin().exp(), x, use_reentrant=False).sum().backward()
        with pytest.raises(study.NonFiniteError, match="backward: Broken"):
            Broken.apply(x).sum().backward()


def test_a_sound_training_step_goes_through_unchanged():
    tg.manual_seed(0)
    model, batch = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), tg.randn(5, 4)
    target = tg.tensor([0, 1, 2, 0, 1])
    F.cross_entropy(model(batch), target).backward()
    expected = [p.grad.tolist() for p in model.parameters()]
    model.zero_grad()
    with study.first_bad():
        F.cross_entropy(model(batch), target).backward()
    assert [p.grad.tolist() for p in model.parameters()] == expected
    (leaf(-1.0).log() * 1).sum()  # outside of the block nothing is checked


def test_the_debugger_opens_where_the_program_called_the_operation(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("p distance\nq\n"))
    distance = leaf(-1.0)
    with pytest.raises(study.NonFiniteError), study.first_bad(pdb=True):
        distance.sqrt()
    assert "takes the square root of a negative number" in (out := capsys.readouterr().out) and "tensor([-1.]" in out


def test_a_model_must_be_a_module():
    with pytest.raises(TypeError, match="first_bad: model must be a Module, got list"):
        study.first_bad([1])
