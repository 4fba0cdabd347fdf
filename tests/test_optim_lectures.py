"""The lectures' own methods: momentum, step sizes per coordinate, explained steps, averages."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.test_optim import OPTIMIZERS, give_gradients, matrices, parameters
from tinygrad_lite import optim
from tinygrad_lite.optim import averaging
from tinygrad_lite.optim.methods.momentum import CONVENTIONS
from tinygrad_lite.utils.data import DataLoader, PresentationOrder, SequentialSampler, TensorDataset


def vector(seed=0, size=4):
    return tg.tensor(np.random.default_rng(seed).normal(size=size), requires_grad=True)


def positive(size=4, seed=1):
    """A positive definite matrix."""
    a = np.random.default_rng(seed).normal(size=(size, size))
    return tg.tensor(a @ a.T + 0.1 * np.eye(size))


def descend(make, steps=12, loss=None, seed=0):
    """The iterates of an optimizer on a quadratic."""
    a, p = positive(), vector(seed)
    optimizer = make([p])
    path = [p.detach().numpy().copy()]
    for _ in range(steps):

        def closure():
            optimizer.zero_grad()
            value = (p @ a @ p) / 2 if loss is None else loss(p)
            if not isinstance(optimizer, optim.Newton):
                value.backward()
            return value

        optimizer.step(closure)
        path.append(p.detach().numpy().copy())
    return np.array(path)


# -- gradient descent -----------------------------------------------------------------------------


def regression(n=12):
    draw = np.random.default_rng(2)
    return draw.normal(size=(n, 4)), draw.normal(size=n)


def updates_of(batches, lr):
    """The weights after each update of a linear regression, by SGD and by the lectures' formula, coordinate by coordinate."""
    p = vector()
    optimizer, by_hand, ours, theirs = optim.SGD([p], lr), p.tolist(), [], []
    for k, (x, y) in enumerate(batches):
        optimizer.zero_grad()
        tg.nn.functional.mse_loss(x @ p, y, reduction="mean").backward()
        optimizer.step()
        x, y, rate = x.tolist(), y.tolist(), lr(k) if callable(lr) else lr
        errors = [sum(w * a for w, a in zip(by_hand, row)) - d for row, d in zip(x, y)]
        by_hand = [w - rate * sum(2 * e * row[j] for e, row in zip(errors, x)) / len(x) for j, w in enumerate(by_hand)]
        ours.append(p.tolist())
        theirs.append(by_hand)
    return np.array(ours), np.array(theirs)


def test_batch_gradient_descent():
    """Items 1, 3 and 54: each coordinate goes against its derivative of the mean divergence over all instances."""
    x, y = (tg.tensor(a) for a in regression())
    np.testing.assert_allclose(*updates_of([(x, y)] * 5, 0.1), atol=1e-12)


def test_an_update_after_every_instance():
    """Item 24: T updates a pass, in order."""
    data = TensorDataset(*(tg.tensor(a) for a in regression()))
    passes = [batch for _ in range(2) for batch in DataLoader(data, sampler=SequentialSampler(data))]
    assert len(passes) == 24 and all(len(y) == 1 for _, y in passes)
    assert [y.item() for _, y in passes[:12]] == regression()[1].tolist()
    np.testing.assert_allclose(*updates_of(passes, 0.02), atol=1e-12)


def test_a_permutation_in_every_pass_and_a_rate_that_falls_with_the_updates():
    """Item 33."""
    data = TensorDataset(*(tg.tensor(a) for a in regression()))
    loader = DataLoader(data, shuffle=True)
    passes = [list(loader) for _ in range(2)]
    orders = [[y.item() for _, y in batches] for batches in passes]
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1]) == sorted(regression()[1])
    np.testing.assert_allclose(*updates_of(passes[0] + passes[1], lambda k: 0.1 / (k + 1)), atol=1e-12)


def test_minibatches():
    """Item 65: the mean gradient of n' samples drawn at random."""
    data = TensorDataset(*(tg.tensor(a) for a in regression()))
    batches = list(DataLoader(data, batch_size=4, shuffle=True))
    assert [len(y) for _, y in batches] == [4, 4, 4]
    np.testing.assert_allclose(*updates_of(batches, 0.1), atol=1e-12)


# -- momentum -----------------------------------------------------------------------------------


def test_the_heavy_ball_is_classical_momentum_with_other_numbers():
    """Item 79."""
    lr, gamma = 0.1, 0.3
    ball = descend(lambda p: optim.HeavyBall(p, lr, gamma))
    np.testing.assert_allclose(ball, descend(lambda p: optim.SGD(p, gamma * lr, 1 - gamma)), atol=1e-14)
    dampened = descend(lambda p: optim.SGD(p, lr, 1 - gamma, dampening=1 - gamma))
    assert abs(ball - dampened).max() > 1e-3, "PyTorch does not dampen the first step"


def test_the_unrolled_heavy_ball():
    """Item 80: the step is a weighted sum of all gradients, and with a bias correction the weights sum to one."""
    lr, gamma, p = 0.1, 0.3, vector()
    optimizer, gradients = optim.HeavyBall([p], lr, gamma), []
    for t in range(10):
        gradients.append(np.random.default_rng(t).normal(size=4))
        p.grad, before = tg.tensor(gradients[-1]), p.detach().numpy().copy()
        optimizer.step()
        weights = [gamma * (1 - gamma) ** k for k in range(t + 1)]
        step = -lr * sum(w * g for w, g in zip(weights, reversed(gradients)))
        np.testing.assert_allclose(p.detach().numpy() - before, step, atol=1e-15)
        assert sum(weights) == pytest.approx(1 - (1 - gamma) ** (t + 1))


def test_momentum_is_pytorch_s_at_a_constant_rate_only():
    """Item 14: the lecture's rate multiplies each gradient once, PyTorch's current rate all of them."""
    constant = [descend(lambda p, m=m: m(p, 0.05, 0.9)) for m in (optim.Momentum, optim.SGD)]
    np.testing.assert_allclose(*constant, atol=1e-14)
    falling = [descend(lambda p, m=m: m(p, lambda k: 0.05 / (k + 1), 0.9)) for m in (optim.Momentum, optim.SGD)]
    assert abs(falling[0] - falling[1]).max() > 1e-3


def test_nesterov_evaluates_at_the_extended_point():
    """Item 15: PyTorch's nesterov carries the extended point as its parameter."""
    lr, momentum, a, p = 0.05, 0.9, positive(), vector()
    optimizer, extended = optim.Nesterov([p], lr, momentum), []

    def closure():
        extended.append(p.detach().numpy().copy())
        optimizer.zero_grad()
        loss = (p @ a @ p) / 2
        loss.backward()
        return loss

    for _ in range(12):
        optimizer.step(closure)
    theirs = descend(lambda p: optim.SGD(p, lr, momentum, nesterov=True))
    np.testing.assert_allclose(extended, theirs[:12], atol=1e-14)


def test_nesterov_without_a_closure():
    a, p = positive(), vector()
    optimizer = optim.Nesterov([p], 0.05, 0.9)
    for _ in range(5):
        optimizer.zero_grad()
        with optimizer.extended():
            ((p @ a @ p) / 2).backward()
        optimizer.step()
    np.testing.assert_array_equal(p.array, descend(lambda p: optim.Nesterov(p, 0.05, 0.9), 5)[-1])


def test_nesterov_puts_parameters_back_after_an_error():
    p = vector()
    optimizer = optim.Nesterov([p], 0.05, 0.9)
    before = p.detach().numpy().copy()
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    np.testing.assert_array_equal(p.array, before)


@pytest.mark.parametrize("source", CONVENTIONS)
@pytest.mark.parametrize("target", CONVENTIONS)
def test_conventions_of_momentum(source, target):
    class Averaged(optim.Optimizer):
        """m <- b m + (1 - b) g;  p <- p - lr m."""

        def begin(self, group):
            return {"step": 0, "m": 0}

        def update(self, p, g, state, group):
            m = state["m"]
            m += (1 - group["momentum"]) * (g - m)
            p -= group["lr"] * m

    methods = {
        "pytorch": optim.SGD,
        "classical": optim.Momentum,
        "gamma": optim.HeavyBall,
        "average": lambda p, lr, momentum: Averaged(p, {"lr": lr, "momentum": momentum}),
    }
    numbers = optim.convert_momentum(0.05, 0.7, source, target)
    mine = descend(lambda p: methods[source](p, 0.05, 0.7))
    other = descend(lambda p: methods[target](p, *numbers))
    np.testing.assert_allclose(mine, other, atol=1e-13)


@pytest.mark.parametrize(
    "wrong", [(0.1, 0.9, "french"), (0.1, 1.0, "pytorch"), (0.1, -0.5, "average"), (0.1, 0.0, "gamma"), (0.1, 1.5, "gamma")]
)
def test_numbers_of_no_momentum_are_refused(wrong):
    with pytest.raises(ValueError, match="convert_momentum"):
        optim.convert_momentum(*wrong)


# -- one step size a coordinate -------------------------------------------------------------------


def test_the_variants_of_rprop_differ_after_a_change_of_sign():
    """Item 20: one coordinate whose gradient changes from +1 to -1 and stays there."""
    expected = {
        "irprop-": [-0.1, -0.22, -0.22, -0.16],  # pauses for a step, then goes half as far
        "rprop-": [-0.1, -0.22, -0.16, -0.088],
        "rprop+": [-0.1, -0.22, -0.1, -0.04],  # undoes the last step
    }
    for variant, path in expected.items():
        p = tg.tensor([0.0], dtype=tg.float64, requires_grad=True)
        optimizer = optim.Rprop([p], lr=0.1, variant=variant)
        seen = []
        for g in (1.0, 1.0, -1.0, -1.0):
            p.grad = tg.tensor([g], dtype=tg.float64)
            optimizer.step()
            seen.append(p.item())
        assert seen == pytest.approx(path)
    with pytest.raises(ValueError, match="variant"):
        optim.Rprop([p], variant="rprop*")


@pytest.mark.parametrize(("losses", "third"), [([3.0, 2.0, 1.0], -0.22), ([3.0, 1.0, 2.0], -0.1)])
def test_irprop_plus_takes_back_only_what_has_raised_the_loss(losses, third):
    p = tg.tensor([0.0], dtype=tg.float64, requires_grad=True)
    optimizer = optim.Rprop([p], lr=0.1, variant="irprop+")
    for loss, g in zip(losses, (1.0, 1.0, -1.0)):
        p.grad = tg.tensor([g], dtype=tg.float64)
        optimizer.step(lambda loss=loss: loss)
    assert p.item() == pytest.approx(third)
    with pytest.raises(TypeError, match="closure"):
        optimizer.step()


def test_quickprop_arrives_at_the_second_step_on_a_diagonal_quadratic():
    """Item 20: each coordinate has a secant of its own."""
    scale = tg.tensor([1.0, 3.0, 2.0, 4.0], dtype=tg.float64)
    path = descend(lambda p: optim.QuickProp(p, lr=0.2, max_growth=5), 2, lambda p: (scale * p * p).sum() / 2)
    np.testing.assert_allclose(path[-1], 0, atol=1e-12)


def test_quickprop_is_held_back_where_the_slope_does_not_fall():
    p = tg.tensor([0.0], dtype=tg.float64, requires_grad=True)
    optimizer = optim.QuickProp([p], lr=0.1, max_growth=2.0)
    for g, expected in ((1.0, -0.1), (1.0, -0.3), (2.0, -0.7)):
        p.grad = tg.tensor([g], dtype=tg.float64)
        optimizer.step()
        assert p.item() == pytest.approx(expected)


# -- a step explained --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_explained_steps_sum_to_the_step(name):
    params = parameters(matrices(name), dtype=np.float64)
    optimizer = getattr(optim, name)(params, **OPTIMIZERS[name])
    for step in range(3):
        give_gradients(params, step)
        before = params[0].array.copy()
        explanation = optimizer.explain_step(params[0])
        assert (params[0].array == before).all()
        optimizer.step()
        np.testing.assert_allclose(explanation.total.array, params[0].array - before, rtol=1e-9, atol=1e-12)
    assert {"gradient", "history"} <= explanation.terms.keys() <= {"gradient", "history", "weight decay"}
    assert "the step" in str(explanation)
    with pytest.raises(ValueError, match="explain_step"):
        optimizer.explain_step(tg.tensor(1.0))


def test_the_terms_of_a_step_of_momentum():
    (p,) = parameters([(4,)], dtype=np.float64)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5, weight_decay=0.01)
    give_gradients([p], 0)
    optimizer.step()
    buffer, value = optimizer.state[p]["momentum_buffer"].array.copy(), p.array.copy()
    give_gradients([p], 1)
    terms = optimizer.explain_step(p).terms
    np.testing.assert_allclose(terms["gradient"].array, -0.1 * p.grad.array)
    np.testing.assert_allclose(terms["history"].array, -0.05 * buffer)
    np.testing.assert_allclose(terms["weight decay"].array, -0.001 * value)


def test_effective_rates():
    (p,) = parameters([(4,)], dtype=np.float64)
    optimizer = optim.SGD([p], lr=0.1)
    recorder = optim.EffectiveRates(optimizer)
    give_gradients([p], 0)
    optimizer.step()
    np.testing.assert_allclose(recorder.rates[p], 0.1)
    recorder.remove()
    optimizer.step()


# -- averages ---------------------------------------------------------------------------------------


AVERAGES = {
    "Equal": lambda p: averaging.Equal(p),
    "Suffix": lambda p: averaging.Suffix(p, 4),
    "Exponential": lambda p: averaging.Exponential(p, 0.7),
    "PolynomialDecay": lambda p: averaging.PolynomialDecay(p),
    "Stochastic": lambda p: averaging.Stochastic(p, every=3, start=2),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_an_average_is_the_weighted_sum_of_the_iterates(name):
    p = vector()
    optimizer = optim.Adam([p], lr=0.1)
    average, iterates = AVERAGES[name](optimizer), []
    for step in range(9):
        p.grad = vector(step).detach()
        optimizer.step()
        iterates.append(p.detach().numpy().copy())
        weights = average.weights(len(iterates))
        assert sum(weights) == pytest.approx(1) and min(weights) >= 0
        np.testing.assert_allclose(average.averages[0].array, np.array(weights) @ np.array(iterates), rtol=1e-12)
    with average.in_place():
        np.testing.assert_array_equal(p.array, average.averages[0].array)
    np.testing.assert_array_equal(p.array, iterates[-1])
    other = AVERAGES[name]([vector()])
    other.load_state_dict(average.state_dict())
    assert other.count == 9 and other.averages[0].tolist() == average.averages[0].tolist()
    with pytest.raises(ValueError, match="loaded averages"):
        AVERAGES[name]([vector(size=3)]).load_state_dict(average.state_dict())
    average.copy_to()
    np.testing.assert_array_equal(p.array, average.averages[0].array)


def test_polynomial_decay():
    """Item 50."""
    assert averaging.PolynomialDecay([vector()], 0).weights(5) == pytest.approx([0.2] * 5)
    average = averaging.PolynomialDecay([vector()], 3)
    assert average.weight(1) == 1
    assert averaging.Equal([vector()]).weights(4) == [0.25] * 4
    assert averaging.Suffix([vector()], 3).weights(4) == [0, 0, 0.5, 0.5]


def test_averaging_quiets_the_noise_of_a_constant_rate():
    """Items 31 and 48: the last iterate stays noisy, the mean does not."""
    last, mean = [], []
    for seed in range(20):
        draw, p = np.random.default_rng(seed), vector(seed)
        optimizer = optim.SGD([p], lr=0.2)
        average = averaging.Suffix(optimizer, 50)
        for _ in range(400):
            p.grad = p.detach() + tg.tensor(draw.normal(size=4))
            optimizer.step()
        last.append(float((p.array**2).sum()))
        mean.append(float((average.averages[0].array ** 2).sum()))
    assert np.mean(mean) < 0.2 * np.mean(last)


# -- the start ----------------------------------------------------------------------------------------


def test_a_forward_pass_keeps_its_variance_from_a_scaled_start():
    """Item 53: W_ij ~ N(0, sigma^2 / m) with fan-in m. Layers of any width then preserve the variance of their input."""
    tg.manual_seed(0)
    z = tg.randn(500, 400)
    for fan_in, fan_out in ((400, 100), (100, 900), (900, 300)):
        z = z @ tg.nn.init.scaled_normal_(tg.empty(fan_out, fan_in), sigma=1.0).T
        assert z.var().item() == pytest.approx(1, rel=0.25)


# -- the order of presentation -------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "cycles"), [("fixed", True), ("shuffle-once", True), ("reshuffle", False)])
def test_the_same_order_in_every_pass_ends_in_a_cycle(order, cycles):
    """Items 25, 26 and 31: at a constant rate SGD never settles, and in a fixed order it cycles once per pass."""
    data = np.random.default_rng(0).normal(size=8)
    p = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.2)
    presentation = PresentationOrder(data, order, generator=tg.Generator().manual_seed(1))
    passes = []
    for _ in range(40):
        passes.append([])
        for i in presentation:
            optimizer.zero_grad()
            ((p - data[i]) ** 2 / 2).backward()
            optimizer.step()
            passes[-1].append(p.item())
    assert np.ptp(passes[-1]) > 0.1, "it does not rest"
    assert np.allclose(passes[-1], passes[-2], atol=1e-12) == cycles
