"""Stopping rules, progress, gradient noise, diagnosis, and races on surfaces with known minima."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.test_curvature import model, network
from tests.test_optim_lectures import vector
from tests.test_schedules import sgd
from tinygrad_lite import optim
from tinygrad_lite.optim import noise, order_zero, progress, stopping
from tinygrad_lite.optim.curvature import Hessian
from tinygrad_lite.optim.surfaces import GALLERY, beale, quadratic, race, rosenbrock

# -- stopping, progress, noise ----------------------------------------------------------------------


def test_weight_change():
    """Item 71."""
    p = tg.tensor([3.0, 4.0], dtype=tg.float64, requires_grad=True)
    rule = stopping.WeightChange([p], tol=0.05, period=2)
    answers = []
    for _ in range(6):
        p.array *= 0.98
        answers.append(rule.update())
    assert answers == [False, True] * 3
    assert rule.change == pytest.approx(1 / 0.98**2 - 1)
    with pytest.raises(ValueError, match="WeightChange"):
        stopping.WeightChange([p], tol=0)


def test_the_mean_gradient_of_an_epoch():
    """Item 72: single gradients stay long although their mean vanishes."""
    p = tg.tensor([1.0], dtype=tg.float64, requires_grad=True)
    rule = stopping.EpochGradient([p], tol=0.1, period=4, start=8)
    answers = []
    for g in (1.0, -1.0, 2.0, -2.0) * 2 + (1.0, 1.0, 1.0, 1.0):
        p.grad = tg.tensor([g], dtype=tg.float64)
        answers.append(rule.update())
    assert answers == [False] * 7 + [True] + [False] * 4
    assert rule.mean.tolist() == [1.0]


def test_early_stopping():
    p = vector()
    rule = stopping.EarlyStopping(patience=1, min_delta=0.1, params=[p])
    seen = []
    for metric in (3.0, 2.0, 1.95, float("nan")):
        p.array[...] = metric
        seen.append(rule.update(tg.tensor(metric)))
    assert seen == [False, False, False, True]
    rule.restore()
    assert p.tolist() == [2.0] * 4
    assert not stopping.EarlyStopping(mode="max").update(1.0)
    with pytest.raises(ValueError, match="EarlyStopping"):
        stopping.EarlyStopping(mode="best")
    with pytest.raises(RuntimeError, match="restore"):
        stopping.EarlyStopping().restore()


def test_a_plateau_and_a_saddle_are_no_minimum():
    """Item 61."""
    for function, kind in [
        (lambda p: (p**2).sum(), "minimum"),
        (lambda p: p[0] ** 2 - p[1] ** 2, "saddle"),
        (lambda p: -(p**2).sum(), "maximum"),
        (lambda p: (1e-5 * p).sum(), "plateau"),
        (lambda p: p.sum(), "slope"),
    ]:
        p = tg.tensor([0.0, 0.0], dtype=tg.float64, requires_grad=True)
        assert stopping.kind_of_point(function(p), [p]) == kind


def test_progress():
    """Items 34, 39 and 70: n / n' updates are an epoch; iterations are counted until the loss is near its least value."""
    optimizer = sgd()
    counts = progress.Progress(optimizer, 1000)
    for _ in range(15):
        counts.seen(100)
        optimizer.step()
    assert (counts.updates, counts.evaluations, counts.epochs) == (optimizer.updates, 1500, 1.5) == (15, 1500, 1.5)
    assert repr(counts) == "15 updates, 1500 gradient evaluations, 1.5 epochs"
    assert progress.iterations_to([1.0, 0.1, 0.0], 0.0, 0.5) == 1
    assert progress.iterations_to([1.0, 0.1, 1.0], 0.0, 0.5) is None


def test_a_gradient_from_two_values_of_the_loss():
    """Item 58: exact for one coordinate of a quadratic, right on average for several, and nothing else has changed."""
    w = tg.tensor([3.0], dtype=tg.float64, requires_grad=True)
    loss = order_zero.simultaneous_perturbation(lambda: (w * w).sum(), [w], 0.5)
    np.testing.assert_allclose([w.grad.item(), loss.item()], [6.0, 9.25], rtol=1e-14)
    alone = tg.tensor(3.0, dtype=tg.float64, requires_grad=True)
    loss = order_zero.simultaneous_perturbation(lambda: alone, [alone], 0.5)  # a loss that is the parameter itself
    assert (alone.item(), alone.grad.item(), loss.item()) == (3.0, 1.0, 3.0)
    tg.manual_seed(0)
    w, frozen = tg.tensor([0.1, -2.0, 0.3], requires_grad=True), tg.tensor([1.0])
    before, rows = w.detach().clone(), []
    for _ in range(4000):
        order_zero.simultaneous_perturbation(lambda: (w**3).sum() * frozen.sum(), [w, frozen])
        rows.append(w.grad.numpy().copy())
    assert tg.equal(w.detach(), before) and frozen.grad is None
    deviation = np.std(rows, axis=0) / np.sqrt(len(rows))
    np.testing.assert_array_less(abs(np.mean(rows, axis=0) - 3 * before.numpy() ** 2), 4 * deviation + 1e-3)


@pytest.mark.parametrize(
    ("loss", "width", "message"),
    [
        (lambda w: w, 0.01, r"shape \(\), got \(2,\)"),
        (lambda w: 1.0, 0.01, "got float"),
        (lambda w: np.float64(1.0), 0.01, "got float64"),
        (lambda w: w.sum(), 0, "width must be a positive number, got 0"),
        (lambda w: w.sum(), float("nan"), "width"),
    ],
)
def test_a_loss_that_gives_no_estimate_changes_nothing(loss, width, message):
    w = tg.tensor([0.1, 0.2], requires_grad=True)
    w.grad = tg.tensor([7.0, 7.0])
    with pytest.raises(ValueError, match=message):
        order_zero.simultaneous_perturbation(lambda: loss(w), [w], width)
    assert w.tolist() == tg.tensor([0.1, 0.2]).tolist() and w.grad.tolist() == [7.0, 7.0]
    with pytest.raises(ValueError, match="at least one parameter"):
        order_zero.simultaneous_perturbation(lambda: w.sum(), [w.detach()])


def test_the_gradient_of_the_whole_is_the_mean_of_the_samples():
    """Items 2 and 66."""
    weights, x, y = network()
    rows = noise.per_sample_gradients(lambda i: ((model(weights, x[i : i + 1]) - y[i]) ** 2).sum(), weights, 7)
    whole = tg.autograd.grad(((model(weights, x) - y) ** 2).sum() / 7, weights)
    whole = np.concatenate([g.numpy().reshape(-1) for g in whole])
    np.testing.assert_allclose(noise.gradient_noise(rows).mean, whole, atol=1e-12)


def test_the_gradient_of_a_batch_is_unbiased():
    """Item 66: the mean over random batches is the full gradient, up to chance."""
    weights, x, y = network()
    rows = noise.per_sample_gradients(lambda i: ((model(weights, x[i : i + 1]) - y[i]) ** 2).sum(), weights, 7)
    measured, draw, count = noise.gradient_noise(rows), np.random.default_rng(0), 4000
    rows, mean = np.array(rows.tolist()), np.array(measured.mean.tolist())
    batches = np.array([rows[draw.choice(7, 3, replace=False)].mean(0) for _ in range(count)])
    z = (batches.mean(0) - mean) / (batches.std(0) / count**0.5)
    assert abs(z).max() < 4  # of 20 entries: 0.1 % by chance


@pytest.mark.parametrize("replacement", [True, False])
def test_the_noise_of_batches(replacement):
    """Item 67: sigma / sqrt(n') with replacement; a random subset needs sqrt((n - n') / (n - 1)) as well."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(50, 3)) + 1
    measured = noise.gradient_noise(rows)
    for size in (1, 10, 40):
        distances = []
        for _ in range(3000):
            batch = draw.choice(50, size, replace=replacement)
            distances.append(((rows[batch].mean(0) - measured.mean) ** 2).sum())
        assert np.mean(distances) ** 0.5 == pytest.approx(measured.batch_std(size, replacement), rel=0.05)
    assert measured.signal_to_noise == pytest.approx(1 / measured.critical_batch_size)
    with pytest.raises(ValueError, match="batch_std"):
        measured.batch_std(51)
    with pytest.raises(ValueError, match="gradient_noise"):
        noise.gradient_noise(np.zeros(3))


# -- surfaces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", GALLERY, ids=lambda surface: surface.name)
def test_minima_of_the_gallery(surface):
    grid = np.stack(np.meshgrid(*(np.linspace(a, b, 121) for a, b in surface.box)), -1)
    values = surface(tg.tensor(grid)).array
    assert values.shape == (121, 121)
    for minimum in surface.minima:
        w = tg.tensor(np.array(minimum), requires_grad=True)
        assert surface(w).item() == pytest.approx(surface.lowest)
        np.testing.assert_allclose(Hessian(surface(w), [w]).gradient, 0, atol=1e-9)
        assert surface.curvature(minimum)[0] > 0
        assert values.min() >= surface.lowest - 1e-9


@pytest.mark.parametrize("condition", [1.0, 10.0, 1e4])
def test_a_quadratic_of_any_condition(condition):
    assert quadratic(condition, angle=0.3).curvature((1.0, 2.0)) == pytest.approx((1.0, condition))


def test_a_rate_above_two_over_the_largest_eigenvalue_diverges():
    """Item 11."""
    runs = race(quadratic(10.0), {f"{lr}": lambda p, lr=lr: optim.SGD(p, lr) for lr in (0.19, 0.21)}, 200).runs
    assert runs["0.19"].losses[-1] < 1e-6 and runs["0.21"].losses[-1] > 1e3


def test_a_race():
    result = race(rosenbrock, {
        "momentum": lambda p: optim.SGD(p, 1e-3, 0.9),
        "Newton": lambda p: optim.Newton(p),
        "L-BFGS": lambda p: optim.LBFGS(p, line_search_fn="strong_wolfe"),
        "diverging": lambda p: optim.SGD(p, 1.0),
    }, 40)
    assert result.runs["Newton"].losses[-1] < 1e-10 and result.runs["Newton"].evaluations == 40
    assert result.runs["L-BFGS"].losses[-1] < 1e-6
    assert np.isfinite(result.runs["diverging"].path).all()
    assert len(str(result).splitlines()) == 6
    assert race(beale, {"Adam": lambda p: optim.Adam(p, 0.1)}, 300).runs["Adam"].losses[-1] < 1e-3


def test_the_picture_of_a_race():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    figure = race(rosenbrock, {"Adam": lambda p: optim.Adam(p, 0.1)}, 5).plot()
    assert len(figure.axes) == 2
    plt.close(figure)


# -- diagnosis --------------------------------------------------------------------------------------


def untrained():
    """A network of 4 - 8 ReLU - 8 tanh - 3, its loss, and a batch."""
    tg.manual_seed(0)
    nn = tg.nn
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    return net, nn.functional.cross_entropy, (tg.randn(20, 4), tg.randint(0, 3, (20,)))


def test_a_diagnosis_before_training():
    """Item 56: five letters, each with numbers, as a table, and with words."""
    net, loss, batch = untrained()
    report = optim.diagnosis.diagnose(net, loss, [batch], [batch], optimizer=optim.SGD(net.parameters(), lr=0.1))
    numbers = report.numbers
    assert list(numbers) == list("ITSLO") and all(numbers.values()) and report.words["L"]
    text = str(report)
    for letter, meaning in optim.diagnosis.LETTERS.items():
        assert f"\n{letter}  {meaning}\n" in f"\n{text}"
        assert all(name in text for name in numbers[letter]) and all(sentence in text for sentence in report.words[letter])
    assert numbers["I"]["parameters p"] == 4 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3
    assert numbers["O"]["validation / training"] == 1
    length = np.linalg.norm(net[0].weight.detach().numpy())
    assert numbers["T"]["|update| / |weight| of 0.weight"] == pytest.approx(
        0.1 * numbers["S"]["0.weight: length of the gradient"] / length, rel=1e-4
    )


def test_what_ails_a_model_is_named():
    net, loss, batch = untrained()
    net[0].bias.data = tg.tensor([-100.0] * 4 + [0.0] * 4)  # half of the units are dead
    net[2].weight.data = net[2].weight.detach() * 1000  # and the next layer is saturated
    report = optim.diagnosis.diagnose(net, loss, [batch], optimizer=optim.SGD(net.parameters(), lr=1e4))
    numbers, words = report.numbers, report.words
    assert numbers["S"]["1 (ReLU): dead units"] == 0.5 and any("dead" in sentence for sentence in words["S"])
    assert numbers["S"]["3 (Tanh): saturated"] > 0.5
    assert any("diverge" in sentence for sentence in words["T"])
    assert any("take a smaller rate" in sentence for sentence in words["T"])
    report = optim.diagnosis.diagnose(net, loss, [batch], optimizer=optim.Adam(net.parameters(), lr=1e-12))
    assert any("take a larger rate" in sentence for sentence in report.words["T"])


def deep(layers, activation, scale=1.0, width=10):
    tg.manual_seed(0)
    nn = tg.nn
    net = nn.Sequential(*[m for _ in range(layers) for m in (nn.Linear(width, width), activation())], nn.Linear(width, 1))
    with tg.no_grad():
        for p in net.parameters():
            p.mul_(scale)
    return net, tg.nn.functional.mse_loss, (tg.randn(16, width), tg.randn(16, 1))


def words_of(net, loss, batch):
    return " ".join(optim.diagnosis.diagnose(net, loss, [batch]).words["S"])


@pytest.mark.parametrize("layers, activation, scale, vanishes, explodes", [
    (6, tg.nn.Sigmoid, 1.0, True, False),
    (12, tg.nn.Sigmoid, 1.0, True, False),
    (20, tg.nn.Tanh, 0.5, True, False),
    (10, tg.nn.ReLU, 30.0, False, True),
    (20, tg.nn.Identity, 3.0, False, True),
    (1, tg.nn.Sigmoid, 1.0, False, False),
    (2, tg.nn.Tanh, 1.0, False, False),
    (6, tg.nn.Tanh, 2.0, False, False),
])  # fmt: skip
def test_gradients_that_vanish_and_explode_are_named(layers, activation, scale, vanishes, explodes):
    words = words_of(*deep(layers, activation, scale))
    assert ("vanish on the way down" in words) == vanishes
    assert ("gradients explode" in words) == explodes


def test_a_gradient_that_grows_on_the_way_down_explodes():
    net, loss, batch = deep(3, tg.nn.Identity)
    with tg.no_grad():
        net[-1].weight.mul_(3e5)
        for layer in net[:-1:2]:
            layer.weight.div_(10)
    words = words_of(net, loss, batch)
    assert "explode" in words and "vanish" not in words


def test_a_layer_that_gets_no_gradient_is_named():
    net, loss, batch = deep(2, tg.nn.Identity)
    net[2].forward = lambda x: tg.nn.functional.linear(x, net[2].weight * 1e-9 + tg.eye(10), net[2].bias)
    assert "Hardly any gradient arrives at 2.weight" in words_of(net, loss, batch)


@pytest.mark.parametrize("scale", [1e5, 1e30, float("nan")])
def test_what_is_not_finite_is_reported_and_no_error(scale):
    net, loss, batch = deep(8, tg.nn.ReLU, scale)
    report = optim.diagnosis.diagnose(net, loss, [batch])
    assert "not finite" in " ".join(report.words["S"]) and "not finite" in " ".join(report.words["L"])


@pytest.mark.parametrize("make", [optim.Adam, optim.LBFGS, lambda params: optim.Nesterov(params, 0.1)])
def test_a_diagnosis_changes_nothing(make):
    net, loss, batch = untrained()
    net.append(tg.nn.Dropout(0.5))
    net[0].weight.requires_grad_(False)  # a frozen parameter does not count
    net[4].bias.grad = tg.ones(3)
    optimizer, before, drawn = make(net.parameters()), [p.array.copy() for p in net.parameters()], tg.get_rng_state().tolist()
    report = optim.diagnosis.diagnose(net, loss, [batch], optimizer=optimizer, start=before)
    assert all((p.array == old).all() for p, old in zip(net.parameters(), before))
    assert [p.grad is None for p in net.parameters()] == [True] * 5 + [False] and net[4].bias.grad.tolist() == [1, 1, 1]
    assert tg.get_rng_state().tolist() == drawn and not any(optimizer.state.values()) and net.training
    assert report.numbers["T"]["distance from the start / its length"] == 0


def test_a_diagnosis_needs_data():
    with pytest.raises(ValueError, match="at least one batch"):
        optim.diagnosis.diagnose(tg.nn.Linear(1, 1), tg.nn.functional.mse_loss, [])
