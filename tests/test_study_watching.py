"""`study.watch`: what it measures, of which steps, and that it changes nothing."""

from __future__ import annotations

import copy
import gc
import sys
import weakref

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, optim, study
from tinygrad_lite.engine.context import observers
from tinygrad_lite.study import watching
from tinygrad_lite.study.measures import SeenLayer, SeenStep
from tinygrad_lite.study.training_words import words


def network(*layers):
    tg.manual_seed(0)
    return nn.Sequential(*[layer() if isinstance(layer, type) else layer for layer in layers])


def mlp():
    tg.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 2))


def batch(n=8, features=3):
    draw = np.random.default_rng(0)
    return tg.tensor(draw.standard_normal((n, features)).astype(np.float32)), tg.tensor(draw.integers(0, 2, n))


def steps(model, optimizer, count=1, data=None, loss=F.cross_entropy):
    x, y = data or batch()
    for _ in range(count):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()


def length(*arrays):
    return np.sqrt(sum(float((np.asarray(a, np.float64) ** 2).sum()) for a in arrays))


# -- what is measured ------------------------------------------------------------------------------


def test_outputs_gradients_weights_and_updates_are_those_of_the_step():
    model, (x, y) = mlp(), batch()
    optimizer = optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    hidden = model[1](model[0](x)).detach().numpy()
    with study.watch(model, optimizer) as watched:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        before = [p.detach().numpy().copy() for p in model[0].parameters()]
        gradients = [p.grad.numpy().copy() for p in model[0].parameters()]
        optimizer.step()
    (seen,) = watched.history
    assert seen.step == 0 and seen.rates == (0.3,) and seen.loss == pytest.approx(loss.item())
    assert list(seen.layers) == ["0", "1", "2", "3", "4"] and watched.layers["3"] == "Tanh"
    relu, first = seen.layers["1"], seen.layers["0"]
    assert [relu.mean, relu.std] == pytest.approx([hidden.mean(), hidden.std()], rel=1e-5)
    assert relu.zero == relu.saturated == (hidden == 0).mean() and relu.weight is None
    assert relu.silent == relu.dead == (hidden == 0).all(axis=0).mean()
    after = [p.detach().numpy() for p in model[0].parameters()]
    update = length(*(a - b for a, b in zip(after, before)))
    found = [first.gradient, first.weight, first.update, first.ratio]
    assert found == pytest.approx([length(*gradients), length(*before), update, update / length(*before)], rel=1e-5)
    assert first.saturated is None and first.bad_outputs == first.bad_gradients == first.bad_weights == 0


@pytest.mark.parametrize("kind, limits", [(nn.Tanh, (-0.995, 0.995)), (nn.Sigmoid, (0.0101, 0.9899))])
def test_outputs_near_the_limits_of_tanh_and_sigmoid_are_saturated(kind, limits):
    model = network(nn.Linear(1, 3), kind)
    model[0].weight.data = tg.tensor([[1.0], [50.0], [0.0]])
    model[0].bias.data = tg.tensor([0.0, 0.0, 100.0])
    optimizer, x = optim.SGD(model.parameters(), lr=0), tg.tensor([[-9.0], [0.0], [0.5], [9.0]])
    out = model(x).detach().numpy()
    with study.watch(model, optimizer) as watched:
        steps(model, optimizer, data=(x, None), loss=lambda out, _: out.sum())
    layer = watched.history[0].layers["1"]
    assert layer.saturated == ((out < limits[0]) | (out > limits[1])).mean() == 9 / 12
    assert layer.silent == layer.dead == pytest.approx(1 / 3)


@pytest.mark.parametrize("shift", [0.0, 3.0, 1e3, -1e6])
def test_the_spread_of_outputs_far_from_zero_is_exact(shift):
    model = network(nn.Identity, nn.Linear(4, 1))
    optimizer, x = optim.SGD(model.parameters(), lr=0), tg.tensor(np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32) + shift)
    with study.watch(model, optimizer) as watched:
        steps(model, optimizer, data=(x, None), loss=lambda out, _: out.sum())
    layer, numbers = watched.history[0].layers["0"], x.numpy().astype(np.float64)
    assert [layer.mean, layer.std] == pytest.approx([numbers.mean(), numbers.std()], rel=2e-3)


def test_a_unit_is_dead_that_no_sample_of_any_watched_step_woke():
    model = network(nn.Linear(3, 3, bias=False), nn.ReLU)
    model[0].weight.data = tg.eye(3)
    optimizer = optim.SGD(model.parameters(), lr=0)
    rows = [[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, 1.0, -1.0]]
    with study.watch(model, optimizer, every=1) as watched:
        for row in rows:
            steps(model, optimizer, data=(tg.tensor([row, row]), None), loss=lambda out, _: out.sum())
    found = [(seen.layers["1"].silent, seen.layers["1"].dead) for seen in watched.history]
    np.testing.assert_allclose(found, [(2 / 3, 2 / 3), (2 / 3, 1 / 3), (2 / 3, 1 / 3)])


@pytest.mark.parametrize("make, shape, dead", [
    (lambda: nn.Conv2d(1, 4, 3), (2, 1, 5, 5), 0.25),
    (lambda: nn.Conv1d(1, 4, 3), (2, 1, 5), 0.25),
    (lambda: nn.Linear(6, 4), (2, 5, 6), 0.25),
    (lambda: nn.Linear(6, 4), (6,), 0.25),
])  # fmt: skip
def test_units_are_channels_after_a_convolution_and_features_elsewhere(make, shape, dead):
    model = network(make(), nn.ReLU)
    with tg.no_grad():
        model[0].weight.abs_()
        model[0].bias.copy_(tg.tensor([-100.0, 1.0, 1.0, 1.0]))
    optimizer = optim.SGD(model.parameters(), lr=0)
    with study.watch(model, optimizer) as watched:
        steps(model, optimizer, data=(tg.ones(*shape), None), loss=lambda out, _: out.sum())
    assert watched.history[0].layers["1"].dead == dead


def test_activations_called_as_functions_are_layers_named_after_what_they_took():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.gate = nn.Linear(3, 4), nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2), nn.SiLU(), nn.Tanhshrink())

        def forward(self, x):
            h = F.relu(self.first(x))
            h = tg.tanh(self.second(h) + h)
            return self.gate(h)

    model = Model()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer) as watched:
        steps(model, optimizer, data=(batch()[0], None), loss=lambda out, _: out.sigmoid().sum())
    assert list(watched.layers) == ["first", "first → relu", "second", "Model → tanh", "gate.0", "gate.1", "gate.2"]
    assert watched.layers["first → relu"] == "relu" and watched.history[0].layers["first → relu"].dead is not None


def test_calls_of_a_shared_module_are_pooled():
    model = network(nn.Linear(2, 2), nn.ReLU)
    twice = nn.Sequential(model[0], model[1], model[0], model[1])
    optimizer, x = optim.SGD(twice.parameters(), lr=0), batch(5, 2)[0]
    outputs = []
    h = x
    for layer in twice:
        h = layer(h)
        outputs.append(h.detach().numpy())
    with study.watch(twice, optimizer) as watched:
        steps(twice, optimizer, data=(x, None), loss=lambda out, _: out.sum())
    both = np.concatenate([outputs[0], outputs[2]])
    layer = watched.history[0].layers["0"]
    assert list(watched.layers) == ["0", "1"] and [layer.mean, layer.std] == pytest.approx([both.mean(), both.std()], rel=1e-5)
    assert watched.history[0].layers["1"].zero == (np.concatenate([outputs[1], outputs[3]]) == 0).mean()


def test_a_parameter_of_two_layers_is_measured_in_both():
    model = network(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer) as watched:
        steps(model, optimizer)
    first, second = watched.history[0].layers.values()
    assert first.ratio == second.ratio > 0 and first.gradient == second.gradient and first.weight == second.weight


def test_the_loss_is_the_number_that_backward_starts_from():
    model, (x, y) = mlp(), batch()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer) as watched:
        loss = F.cross_entropy(model(x), y)
        half = loss / 2  # not this one
        loss.backward()
        optimizer.step()
    assert watched.history[0].loss == loss.item() == 2 * half.item()


def test_forward_passes_that_accumulate_a_gradient_are_pooled():
    model = mlp()
    optimizer, (x, y) = optim.SGD(model.parameters(), lr=0.1), batch()
    with study.watch(model, optimizer) as watched:
        for part in range(2):
            F.cross_entropy(model(x[part * 4 : part * 4 + 4]), y[part * 4 : part * 4 + 4]).backward()
        optimizer.step()
    out = mlp()[0](x).detach().numpy()
    assert watched.history[0].layers["0"].mean == pytest.approx(out.mean(), rel=1e-5)


def test_the_first_tensor_of_several_outputs_counts():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            out, (h, c) = self.lstm(x)
            return {"last": self.head(out[-1]), "state": (h, c)}

    model, x = Model(), tg.randn(5, 8, 3)
    optimizer = optim.Adam(model.parameters())
    expected = model.lstm(x)[0].detach().numpy()
    with study.watch(model, optimizer) as watched:
        model(x)["last"].sum().backward()
        optimizer.step()
    assert list(watched.layers) == ["lstm", "head"]
    assert watched.history[0].layers["lstm"].mean == pytest.approx(expected.mean(), rel=1e-4)


def test_what_is_not_finite_is_counted_and_left_out():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = batch()
    x[0, 0], x[1, 1] = float("nan"), float("inf")
    with study.watch(model, optimizer, every=1) as watched:
        steps(model, optimizer, 2, (x, y))
    first, second = (seen.layers["0"] for seen in watched.history)
    assert first.bad_outputs == 10 and np.isfinite([first.mean, first.std]).all() and first.bad_weights == 0
    assert first.bad_gradients and second.bad_weights and np.isnan(watched.history[0].loss)
    assert watched.words(0) == ["0: NaN or infinite: 10 outputs, 20 gradients. 4 more layers have some."]


def test_large_numbers_and_half_precision_do_not_overflow():
    model = network(nn.Linear(2, 2, bias=False), nn.ReLU).half()
    model[0].weight.data = tg.full((2, 2), 300.0, dtype=tg.float16)
    optimizer = optim.SGD(model.parameters(), lr=0)
    with study.watch(model, optimizer) as watched:
        steps(model, optimizer, data=(tg.ones(4, 2, dtype=tg.float16), None), loss=lambda out, _: out[0, 0])
    layer = watched.history[0].layers["0"]
    assert (layer.weight, layer.mean, layer.std, layer.bad_outputs) == (600, 600, 0, 0)


# -- of which steps --------------------------------------------------------------------------------


def test_every_so_many_steps_from_the_first():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    steps(model, optimizer, 3)
    watched = study.watch(model, optimizer, every=4)
    steps(model, optimizer, 9)
    assert [seen.step for seen in watched.history] == [3, 7, 11]
    watched.close()
    steps(model, optimizer, 9)
    assert len(watched.history) == 3 and watched.curve("2", "ratio")[0] == [3, 7, 11]


def test_passes_without_gradients_do_not_count():
    model = network(nn.Linear(3, 4), nn.ReLU, nn.BatchNorm1d(4), nn.Linear(4, 2))
    other, (x, y) = copy.deepcopy(model), batch()
    found = []
    for net, looks in ((model, False), (other, True)):
        optimizer = optim.SGD(net.parameters(), lr=0.1)
        with study.watch(net, optimizer, every=1) as watched:
            for _ in range(3):
                steps(net, optimizer, data=(x, y))
                if looks:
                    with tg.no_grad():
                        net.eval()(x * 100)
                    net.train()
        found.append(watched.history)
    assert found[0] == found[1]


def test_hooks_are_on_the_modules_in_watched_steps_only():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def hooks():
        return sum(len(found) for module in model.modules() if module._registered_hooks for found in module._registered_hooks.by_kind.values())

    watched = study.watch(model, optimizer, every=3)
    counts = [hooks()]
    for _ in range(3):
        steps(model, optimizer)
        counts.append(hooks())
    watched.close()
    assert counts == [12, 0, 0, 12] and hooks() == 0 and not optimizer._step_pre_hooks and not optimizer._step_post_hooks
    assert observers.get() == ()


def test_a_step_with_a_closure_is_one_step():
    model, (x, y) = mlp(), batch()
    optimizer = optim.LBFGS(model.parameters(), max_iter=4)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        calls.append(1)
        return loss

    before = [p.detach().numpy().copy() for p in model[0].parameters()]
    with study.watch(model, optimizer) as watched:
        optimizer.step(closure)
    after = [p.detach().numpy() for p in model[0].parameters()]
    layer = watched.history[0].layers["0"]
    assert len(calls) > 1 and len(watched.history) == 1
    assert layer.update == pytest.approx(length(*(a - b for a, b in zip(after, before))), rel=1e-4)
    assert layer.gradient == pytest.approx(length(*(p.grad.numpy() for p in model[0].parameters())), rel=1e-4)


def test_a_step_of_several_optimizers_ends_with_the_last_of_them():
    model = mlp()
    first, last = optim.SGD(model[:3].parameters(), lr=0.5), optim.Adam(model[3:].parameters(), lr=0.01)
    before = model[0].weight.detach().numpy().copy(), model[0].bias.detach().numpy().copy()
    with study.watch(model, [first, last]) as watched:
        steps(model, first)
        steps(model, first)
        assert not watched.history
        last.step()
    (seen,) = watched.history
    change = length(model[0].weight.detach().numpy() - before[0], model[0].bias.detach().numpy() - before[1])
    assert seen.rates == (0.5, 0.01) and seen.layers["0"].update == pytest.approx(change, rel=1e-5)
    assert seen.layers["4"].ratio > 0


def test_rates_are_those_of_each_group_in_the_step():
    model = mlp()
    groups = [{"params": model[0].parameters(), "lr": lambda k: 1.0 / (k + 1)}, {"params": model[2:].parameters()}]
    optimizer = optim.SGD(groups, lr=0.1)
    with study.watch(model, optimizer, every=1) as watched:
        for _ in range(3):
            steps(model, optimizer)
            optimizer.param_groups[1]["lr"] *= 0.5
    assert [seen.rates for seen in watched.history] == [(1, 0.1), (1 / 2, 0.05), (1 / 3, 0.025)]


def test_frozen_parameters_and_groups_added_later():
    model = mlp()
    model[0].requires_grad_(False)
    optimizer = optim.SGD(model[2:].parameters(), lr=0.1)
    with study.watch(model, optimizer, every=1) as watched:
        steps(model, optimizer)
        model[0].requires_grad_(True)
        optimizer.add_param_group({"params": list(model[0].parameters())})
        steps(model, optimizer)
    before, after = (seen.layers["0"] for seen in watched.history)
    assert before.weight > 0 and before.gradient is None and before.ratio is None and after.ratio > 0


def test_modules_added_later_are_seen_from_the_next_pass_on():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer, every=1) as watched:
        steps(model, optimizer)
        model.append(nn.Tanh())
        steps(model, optimizer)
    assert list(watched.history[0].layers) == list("01234") and list(watched.history[1].layers) == list("012345")
    assert watched.history[1].layers["5"].saturated is not None


def test_a_compiled_step_runs_as_written_while_it_is_watched():
    model, (x, y) = mlp(), batch()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @tg.compile(fullgraph=True)
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    losses = [step(x, y) for _ in range(3)]
    with study.watch(model, optimizer, every=2) as watched:
        losses += [step(x, y) for _ in range(5)]
    losses += [step(x, y) for _ in range(2)]
    assert [seen.step for seen in watched.history] == [3, 5, 7] and losses == sorted(losses, reverse=True)
    assert [seen.loss for seen in watched.history] == pytest.approx(losses[3:8:2], rel=1e-6) and step.programs
    assert list(watched.layers) == list("01234")


# -- it changes nothing ----------------------------------------------------------------------------


def conv():
    tg.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2)
    )


def transformer():
    tg.manual_seed(0)
    return nn.Sequential(nn.LayerNorm(3), nn.TransformerEncoderLayer(3, 1, 8), nn.Linear(3, 2))


@pytest.mark.parametrize("model, make, shape", [
    (mlp, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), (8, 3)),
    (conv, lambda p: optim.AdamW(p, lr=0.01), (8, 1, 6, 6)),
    (transformer, lambda p: optim.Adam(p), (8, 3)),
])  # fmt: skip
def test_training_is_the_same_to_the_last_bit(model, make, shape):
    ends = []
    for every in (None, 1, 3):
        net = model()
        optimizer = make(net.parameters())
        x, y = tg.tensor(np.random.default_rng(1).standard_normal(shape).astype(np.float32)), batch()[1]
        if every is None:
            steps(net, optimizer, 7, (x, y))
        else:
            with study.watch(net, optimizer, every=every):
                steps(net, optimizer, 7, (x, y))
        ends.append([p.detach().numpy() for p in net.parameters()] + [np.asarray(tg.get_rng_state().tolist())])
    for other in ends[1:]:
        for a, b in zip(ends[0], other):
            np.testing.assert_array_equal(a, b)


def test_no_graph_and_no_output_is_kept():
    model, (x, y) = mlp(), batch()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    gone = []
    gc.disable()
    try:
        with study.watch(model, optimizer, every=1):
            out = model(x)
            gone.append(weakref.ref(out.array))
            loss = F.cross_entropy(out, y)
            loss.backward()
            gone.append(weakref.ref(loss))
            del out, loss
            F.cross_entropy(model(x), y)  # a graph that no backward frees
            tensor = model(x)
            gone.append(weakref.ref(tensor.array))
            del tensor
            assert [ref() for ref in gone] == [None] * 3
            optimizer.step()
    finally:
        gc.enable()


def test_a_copy_of_the_model_is_not_watched():
    model = mlp()
    optimizer, (x, _) = optim.SGD(model.parameters(), lr=0.1), batch()
    with study.watch(model, optimizer) as watched:
        copied = copy.deepcopy(model)
        copied(x * 1000)
        steps(model, optimizer)
    assert watched.history[0].layers["0"].mean == pytest.approx(mlp()[0](x).mean().item(), rel=1e-5)
    assert sys.getrefcount(watched) < 10


def test_a_copy_of_the_model_does_not_keep_what_was_collected():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer) as watched:
        collected = watched._observer.step
        copied = copy.deepcopy(model)
        steps(model, optimizer)
    copied(batch()[0])
    assert not collected.copies and not collected.facts and not collected.running


def test_an_error_in_the_block_ends_the_watch():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ZeroDivisionError), study.watch(model, optimizer) as watched:
        steps(model, optimizer)
        raise ZeroDivisionError
    assert watched.closed and len(watched.history) == 1 and observers.get() == ()


def test_a_forward_pass_that_fails_leaves_the_next_ones_whole():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer) as watched:
        with pytest.raises(ValueError):
            model(tg.ones(2, 99))
        steps(model, optimizer)
    assert list(watched.layers) == list("01234")


# -- what it gives ---------------------------------------------------------------------------------


@pytest.fixture
def watched():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer, every=2) as watched:
        steps(model, optimizer, 9)
    return watched


def test_a_table_has_a_row_for_each_layer(watched):
    lines = watched.table().splitlines()
    assert lines[0].startswith("step 8, loss ") and lines[0].endswith("learning rate 0.1")
    assert lines[1].split() == ["layer", "kind", "mean", "std", "zero", "saturated", "silent", "dead", "|gradient|", "|weight|", "update/weight"]
    assert [line.split()[:2] for line in lines[2:7]] == [["0", "Linear"], ["1", "ReLU"], ["2", "Linear"], ["3", "Tanh"], ["4", "Linear"]]
    assert watched.table(0).startswith("step 0")
    assert repr(watched) == "<watch of Sequential, closed: 5 steps of 5 layers>"


def test_a_notebook_shows_the_table(watched):
    html = watched._repr_html_()
    assert html.count("<tr>") == 6 and "step 8" in html
    watched.history[-1].layers["<b>"] = SeenLayer("<i>")
    assert "<b>&lt;" not in watched._repr_html_() and "&lt;b&gt;" in watched._repr_html_() and "<i>" not in watched._repr_html_()


@pytest.mark.parametrize("layers, expected", [
    ({"a": SeenLayer("ReLU", dead=0.5)}, "a: 50% of the units have been 0 for every sample so far"),
    ({"a": SeenLayer("ReLU", dead=0.0, silent=0.6)}, "a: 60% of the units are 0 for every sample of this step"),
    ({"a": SeenLayer("Tanh", saturated=0.9)}, "a: 90% of the outputs are saturated"),
    ({"a": SeenLayer("Linear", ratio=0.3)}, "a: the step changed it by 30% of its length: take a smaller learning rate"),
    ({"a": SeenLayer("Linear", ratio=1e-8)}, "take a larger learning rate"),
    ({"a": SeenLayer("Linear", gradient=1e-6), "b": SeenLayer("Linear", gradient=1.0)}, "vanish on the way down: 1 at b, 1e-06 at a"),
    ({"a": SeenLayer("Linear", gradient=1e4), "b": SeenLayer("Linear", gradient=1.0)}, "grow on the way down: 1 at b, 1e+04 at a"),
    ({"a": SeenLayer("Linear", bad_gradients=1)}, "a: NaN or infinite: 1 gradients."),
])  # fmt: skip
def test_what_is_wrong_is_said(layers, expected):
    (sentence,) = words(SeenStep(0, layers=layers))
    assert expected in sentence


def test_of_a_sound_step_nothing_is_said():
    model = network(nn.Linear(3, 32), nn.ReLU, nn.Linear(32, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer, every=1) as watched:
        steps(model, optimizer, 3, batch(64))
    assert watched.words() == []


def test_a_long_history_is_thinned(monkeypatch):
    monkeypatch.setattr(watching, "MOST", 8)
    model = network(nn.Linear(3, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer, every=1) as watched:
        steps(model, optimizer, 30)
    numbers = [seen.step for seen in watched.history]
    assert len(numbers) <= 8 and numbers[0] == 0 and numbers[-1] == 29 and numbers == sorted(numbers)


def test_the_diagnosis_is_reachable_and_not_watched():
    model, (x, y) = mlp(), batch()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer) as watched:
        report = watched.diagnose(F.cross_entropy, [(x * 100, y)], [(x, y)])
        steps(model, optimizer)
    assert watched.report is report and report.numbers["T"]["rate of the optimizer"] == 0.1 and report.words["L"]
    assert watched.history[0].layers["0"].mean == pytest.approx(mlp()[0](x).mean().item(), rel=1e-5)
    assert list(watched.layers) == list("01234")


def test_the_report_of_a_diagnosis_is_a_table_in_html():
    report = optim.diagnosis.diagnose(mlp(), F.cross_entropy, [batch()])
    report.words["O"].append("<script>")
    html = report._repr_html_()
    assert html.count("<table>") == 5 and "parameters p" in html and "<script>" not in html
    assert html.count("<tr>") == sum(map(len, report.numbers.values()))


# -- pictures and event files ----------------------------------------------------------------------


def test_a_picture_has_an_axes_for_each_curve(watched, tmp_path):
    pytest.importorskip("matplotlib")
    figure = watched.plot(tmp_path / "training.png")
    assert (tmp_path / "training.png").stat().st_size > 10_000 and len(figure.axes) == 6
    gradients = next(axes for axes in figure.axes if axes.get_title() == "gradient: length")
    found = {tuple(line.get_ydata()) for line in gradients.lines}
    assert found == {tuple(watched.curve(name, "gradient")[1]) for name in "024"} and gradients.get_yscale() == "log"
    assert len(figure.legends[0].get_texts()) == 5


def test_curves_go_to_given_axes(watched):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots(1, 2)
    assert watched.plot(axes[0], ["ratio"]) is figure and len(axes[0].lines) == 3 and not axes[1].lines
    watched.plot(axes, ["loss", "rate"])
    assert list(axes[1].lines[0].get_ydata()) == [0.1] * 5
    with pytest.raises(ValueError, match="plot: 1 curves need as many axes, got 2"):
        watched.plot(axes, "loss")
    with pytest.raises(ValueError, match="'speed' is not among what can be plotted: loss, rate, mean"):
        watched.plot(None, ["speed"])


def test_names_that_are_formulas_are_drawn_as_they_are(watched, tmp_path):
    pytest.importorskip("matplotlib")
    watched.layers["_$x^$"] = "Linear"
    assert watched.plot(tmp_path / "a.svg").legends[0].get_texts()[-1].get_text() == "\u200a_\\$x^\\$"


def test_event_files_read_back(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer, every=2) as watched:
        steps(model, optimizer, 3)
        watched.tensorboard(tmp_path / "runs")
        steps(model, optimizer, 4)
    found = EventAccumulator(str(tmp_path / "runs")).Reload()
    assert {"loss", "rate/0", "ratio/0", "dead/1", "std/4"} <= set(found.Tags()["scalars"])
    for tag, (at, values) in {"ratio/0": watched.curve("0", "ratio"), "saturated/3": watched.curve("3", "saturated")}.items():
        assert [event.step for event in found.Scalars(tag)] == at == [0, 2, 4, 6]
        assert [event.value for event in found.Scalars(tag)] == pytest.approx(values)
    assert [event.value for event in found.Scalars("loss")] == pytest.approx([seen.loss for seen in watched.history])


def test_without_tensorboard_it_says_what_to_install(watched, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(ImportError, match=r"pip install 'tinygrad_lite\[tensorboard\]'"):
        watched.tensorboard(tmp_path / "runs")
    assert not list(tmp_path.iterdir())


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, kind, message", [
    ((3, None), TypeError, "model must be a Module, got int"),
    ((mlp(), 3), TypeError, "optimizer must be an Optimizer or a list of them, got int"),
    ((mlp(), ["a"]), TypeError, "optimizer must be an Optimizer or a list of them, got str"),
    ((mlp(), []), ValueError, "optimizer is an empty list"),
])  # fmt: skip
def test_what_cannot_be_watched_is_refused(arguments, kind, message):
    with pytest.raises(kind, match=f"watch: {message}"):
        study.watch(*arguments)
    assert observers.get() == ()


@pytest.mark.parametrize("every", [0, -1, 2.5, True, "10"])
def test_every_is_a_whole_number(every):
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="watch: every must be a whole number from 1 on"):
        study.watch(model, optimizer, every=every)
    assert not optimizer._step_pre_hooks and observers.get() == ()


def test_what_there_is_not_is_named(watched):
    with pytest.raises(KeyError, match="no layer is named '9'; there are 0, 1, 2, 3, 4"):
        watched.curve("9", "ratio")
    with pytest.raises(ValueError, match="'speed' is not among what is measured: mean, std"):
        watched.curve("0", "speed")
    with study.watch(watched.model, watched.optimizers) as empty:
        pass
    with pytest.raises(RuntimeError, match=r"no step has been watched yet: the optimizer's step\(\) ends one"):
        empty.table()
    assert "no step has been watched yet" in empty._repr_html_()
