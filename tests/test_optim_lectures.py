"""The lectures' own methods, held to the statements that the lectures make about them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import optim
from tinygrad_lite.optim import averaging, lr_scheduler, noise, progress, stopping
from tinygrad_lite.optim.curvature import GaussNewton, Hessian, conjugate_gradients, diagonal, hvp, matrix_of, spectrum
from tinygrad_lite.optim.lr_scheduler import picture, preview, robbins_monro
from tinygrad_lite.optim.surfaces import GALLERY, beale, quadratic, race, rosenbrock


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
    path = [p.array.copy()]
    for _ in range(steps):

        def closure():
            optimizer.zero_grad()
            value = (p @ a @ p) / 2 if loss is None else loss(p)
            if not isinstance(optimizer, optim.Newton):
                value.backward()
            return value

        optimizer.step(closure)
        path.append(p.array.copy())
    return np.array(path)


# -- momentum -----------------------------------------------------------------------------------


def test_the_heavy_ball_is_classical_momentum_with_other_numbers():
    """Lecture item 79."""
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
        p.grad, before = tg.tensor(gradients[-1]), p.array.copy()
        optimizer.step()
        weights = [gamma * (1 - gamma) ** k for k in range(t + 1)]
        step = -lr * sum(w * g for w, g in zip(weights, reversed(gradients)))
        np.testing.assert_allclose(p.array - before, step, atol=1e-15)
        assert sum(weights) == pytest.approx(1 - (1 - gamma) ** (t + 1))


def test_momentum_is_pytorch_s_at_a_constant_rate_only():
    constant = [descend(lambda p, m=m: m(p, 0.05, 0.9)) for m in (optim.Momentum, optim.SGD)]
    np.testing.assert_allclose(*constant, atol=1e-14)
    falling = [descend(lambda p, m=m: m(p, lambda k: 0.05 / (k + 1), 0.9)) for m in (optim.Momentum, optim.SGD)]
    assert abs(falling[0] - falling[1]).max() > 1e-3


def test_nesterov_evaluates_at_the_extended_point():
    """Item 15: PyTorch's nesterov carries the extended point as its parameter."""
    lr, momentum, a, p = 0.05, 0.9, positive(), vector()
    optimizer, extended = optim.Nesterov([p], lr, momentum), []

    def closure():
        extended.append(p.array.copy())
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
    before = p.array.copy()
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    np.testing.assert_array_equal(p.array, before)


@pytest.mark.parametrize("source", optim.classical.CONVENTIONS)
@pytest.mark.parametrize("target", optim.classical.CONVENTIONS)
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
    with pytest.raises(ValueError, match="convert_momentum"):
        optim.convert_momentum(0.1, 0.9, "french")


# -- one step size a coordinate -------------------------------------------------------------------


def test_the_variants_of_rprop_differ_after_a_change_of_sign():
    """One coordinate whose gradient turns from +1 to -1 and stays."""
    expected = {
        "irprop-": [-0.1, -0.22, -0.22, -0.16],  # rests for a step, then goes half as far
        "rprop-": [-0.1, -0.22, -0.16, -0.088],
        "rprop+": [-0.1, -0.22, -0.1, -0.04],  # takes the last step back
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


# -- curvature --------------------------------------------------------------------------------------


def test_newton_solves_a_quadratic_in_one_step():
    """Item 18."""
    for method in (optim.Newton, optim.CGNewton):
        np.testing.assert_allclose(descend(method, 1)[-1], 0, atol=1e-8)


def test_damping():
    a, start = positive().array, vector().array
    for method in (optim.Newton, optim.CGNewton):
        path = descend(lambda p, method=method: method(p, lr=0.5, damping=0.7), 1)
        np.testing.assert_allclose(path[-1], start - 0.5 * np.linalg.solve(a + 0.7 * np.eye(4), a @ start), rtol=1e-8)


def test_newton_on_several_parameters_and_an_unused_one():
    x, y, z = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in ([1.0, 2.0], 3.0, [5.0]))
    optimizer = optim.CGNewton([x, y, z])
    optimizer.step(lambda: (x * x).sum() + (y - x[0]) ** 2)
    np.testing.assert_allclose([*x.tolist(), y.item(), z.item()], [0, 0, 0, 5], atol=1e-8)
    with pytest.raises(RuntimeError, match="singular"):
        optim.Newton([x, y, z]).step(lambda: (x * x).sum() + (y - x[0]) ** 2)


def test_cg_goes_on_where_the_curvature_is_negative():
    p = tg.tensor([0.5], dtype=tg.float64, requires_grad=True)
    optimizer = optim.CGNewton([p], lr=0.1)
    optimizer.step(lambda: -(p * p).sum())
    assert p.item() == pytest.approx(0.6)


def test_newton_refuses():
    p = vector()
    for method in (optim.Newton, optim.CGNewton):
        with pytest.raises(ValueError, match="damping"):
            method([p], damping=-1)
        with pytest.raises(ValueError, match="one parameter group"):
            method([{"params": [p]}, {"params": [vector()]}])
    with pytest.raises(ValueError, match="curvature"):
        optim.CGNewton([p], curvature="fisher")


def model(weights, x):
    return tg.tanh(x @ weights[0]) @ weights[1]


def network():
    draw = np.random.default_rng(0)
    weights = [tg.tensor(draw.normal(size=s), requires_grad=True) for s in ((3, 4), (4, 2))]
    return weights, tg.tensor(draw.normal(size=(7, 3))), tg.tensor(draw.normal(size=(7, 2)))


def test_hessian_products():
    weights, x, y = network()
    hessian = Hessian(((model(weights, x) - y) ** 2).sum(), weights)
    whole = hessian.matrix()
    np.testing.assert_allclose(whole, whole.T, atol=1e-10)
    gradient, eps = hessian.gradient, 1e-6
    direction = np.random.default_rng(1).normal(size=gradient.size)
    start = hessian.flat.values()
    hessian.flat.write(start + eps * direction, "test")
    moved = Hessian(((model(weights, x) - y) ** 2).sum(), weights).gradient
    np.testing.assert_allclose((moved - gradient) / eps, whole @ direction, rtol=1e-3)


def test_hvp_is_pytorch_s_shape():
    x = tg.tensor([[1.0, 2.0]], dtype=tg.float64, requires_grad=True)
    (product,) = hvp((x**3).sum(), [x], [tg.tensor([[1.0, 1.0]], dtype=tg.float64)])
    assert product.tolist() == [[6.0, 12.0]]


def test_gauss_newton_products():
    weights, x, y = network()
    outputs = model(weights, x)
    product = GaussNewton(outputs, lambda z: ((z - y) ** 2).sum() / 2, weights)
    rows = []
    for i in range(outputs.numel()):
        one = np.zeros(outputs.shape)
        one.flat[i] = 1
        rows.append(product.flat.join([g.array for g in tg.autograd.grad(outputs, weights, tg.tensor(one), retain_graph=True)]))
    jacobian = np.array(rows)
    np.testing.assert_allclose(product.matrix(), jacobian.T @ jacobian, atol=1e-10)
    np.testing.assert_allclose(product.gradient, jacobian.T @ (outputs - y).detach().array.reshape(-1), atol=1e-10)
    optimizer = optim.CGNewton(weights, damping=1.0, curvature="gauss-newton", max_iter=30)
    losses = [optimizer.step(lambda: (model(weights, x), lambda z: ((z - y) ** 2).sum() / 2)).item() for _ in range(10)]
    assert losses[-1] < 0.5 * losses[0]
    assert optimizer.products <= 300


def test_conjugate_gradients():
    a, b = positive(8).array, np.arange(8.0)
    solution = conjugate_gradients(lambda v: a @ v, b)
    np.testing.assert_allclose(a @ solution.x, b, atol=1e-6)
    assert solution.positive and solution.steps <= 16
    assert not conjugate_gradients(lambda v: -v, b).positive
    assert conjugate_gradients(lambda v: a @ v, 0 * b).x.tolist() == [0.0] * 8


def test_spectrum_and_diagonal():
    a = positive(10).array
    values = np.linalg.eigvalsh(a)
    ends = spectrum(lambda v: a @ v, np.zeros(10))
    assert (ends.smallest, ends.largest) == pytest.approx((values[0], values[-1]))
    assert ends.condition == pytest.approx(values[-1] / values[0])
    np.testing.assert_allclose(a @ ends.vector, ends.largest * ends.vector, atol=1e-8)
    tg.manual_seed(0)
    np.testing.assert_allclose(diagonal(lambda v: a @ v, np.zeros(10), 4000), np.diag(a), atol=0.15 * a.max())
    np.testing.assert_array_equal(matrix_of(lambda v: a @ v, np.zeros(10)), a)


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
        iterates.append(p.array.copy())
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
            p.grad = tg.tensor(p.array + draw.normal(size=4))
            optimizer.step()
        last.append((p.array**2).sum())
        mean.append((average.averages[0].array ** 2).sum())
    assert np.mean(mean) < 0.2 * np.mean(last)


# -- schedules --------------------------------------------------------------------------------------


def sgd(lr=0.1):
    p = tg.tensor([0.0], requires_grad=True)
    p.grad = tg.tensor([0.0])
    return optim.SGD([p], lr=lr)


@pytest.mark.parametrize(("options", "expected"), [
    ({}, [0.1 / k for k in range(1, 6)]),
    ({"power": 0.5}, [0.1 / k**0.5 for k in range(1, 6)]),
    ({"delay": 4}, [0.4 / (4 + k) for k in range(5)]),
    ({"strong_convexity": 2.0}, [1 / (2 * k) for k in range(1, 6)]),
])
def test_inverse_time(options, expected):
    optimizer = sgd()
    schedule = lr_scheduler.InverseTimeLR(optimizer, **options)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected)
    with pytest.raises(ValueError, match="InverseTimeLR"):
        lr_scheduler.InverseTimeLR(optimizer, power=-1)


VERDICTS = [  # (schedule, the sum of rates is infinite, that of squares finite)
    (lambda o: lr_scheduler.InverseTimeLR(o), True, True),
    (lambda o: lr_scheduler.InverseTimeLR(o, power=0.6), True, True),
    (lambda o: lr_scheduler.InverseTimeLR(o, power=0.5), True, False),
    (lambda o: lr_scheduler.InverseTimeLR(o, power=1.1), False, True),
    (lambda o: lr_scheduler.ExponentialLR(o, 0.9), False, True),
    (lambda o: lr_scheduler.StepLR(o, 10), False, True),
    (lambda o: lr_scheduler.ConstantLR(o), True, False),
    (lambda o: lr_scheduler.CosineAnnealingLR(o, 10), True, False),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 10), True, False),
    (lambda o: lr_scheduler.PolynomialLR(o), False, True),
    (lambda o: lr_scheduler.LinearLR(o, end_factor=0.0), False, True),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.LinearLR(o), lr_scheduler.InverseTimeLR(o)], [5]), True, True),
    (lambda o: 0.1, True, False),
    (lambda o: lambda k: 1 / (k + 1), True, True),
    (lambda o: lambda k: (k + 1) ** -0.7, True, True),
    (lambda o: lambda k: (k + 1) ** -1.2, False, True),
    (lambda o: lambda k: (k + 1) ** -0.4, True, False),
    (lambda o: lambda k: 0.999**k, False, True),
    (lambda o: lambda k: 0.0, False, True),
    (lambda o: lambda k: 0.1 + 0.05 * math.sin(k), True, False),
    (lambda o: lambda k: (1 + (k % 2)) / (k + 1), True, True),
]


@pytest.mark.parametrize("i", range(len(VERDICTS)))
def test_robbins_and_monro(i):
    """Items 35, 36 and 74."""
    make, travels, settles = VERDICTS[i]
    verdict = robbins_monro(make(sgd()))
    assert (verdict.travels, verdict.settles) == (travels, settles)
    assert bool(verdict) == (travels and settles)
    assert str(verdict).startswith("ok" if verdict else "no: ")


def test_a_scheduler_without_a_known_form_is_tested_numerically():
    verdict = robbins_monro(lr_scheduler.LambdaLR(sgd(), lambda k: 1 / (k + 1)))
    assert verdict.how == "numerical" and verdict and verdict.power == pytest.approx(1, abs=0.01)


def test_a_preview_changes_nothing():
    optimizer = sgd()
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    before = (optimizer.param_groups[0]["lr"], schedule.last_epoch)
    assert preview(schedule, 4) == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    assert (optimizer.param_groups[0]["lr"], schedule.last_epoch) == before
    assert len(picture(schedule, 30, width=20, height=5).splitlines()) == 6
    assert picture(0.5, 3, height=1).startswith("0.5 |")


def test_exponential_decay_stops_short():
    """Item 74: eta^t travels a finite distance, 1/t does not."""
    reached = []
    for make in (lambda o: lr_scheduler.ExponentialLR(o, 0.5), lambda o: lr_scheduler.InverseTimeLR(o)):
        p = tg.tensor([0.0], requires_grad=True)
        optimizer = optim.SGD([p], lr=1.0)
        schedule = make(optimizer)
        for _ in range(1000):
            p.grad = tg.tensor([-1.0])
            optimizer.step()
            schedule.step()
        reached.append(p.item())
    assert reached[0] == pytest.approx(2, abs=1e-4) and reached[1] > 7


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
    """Item 72: single gradients stay long where their mean vanishes."""
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
    """Items 34 and 70: n / n' updates are an epoch."""
    optimizer = sgd()
    counts = progress.Progress(optimizer, 1000)
    for _ in range(15):
        counts.seen(100)
        optimizer.step()
    assert (counts.updates, counts.evaluations, counts.epochs) == (15, 1500, 1.5)
    assert repr(counts) == "15 updates, 1500 gradient evaluations, 1.5 epochs"
    assert progress.iterations_to([1.0, 0.1, 0.0], 0.0, 0.5) == 1
    assert progress.iterations_to([1.0, 0.1, 1.0], 0.0, 0.5) is None


def test_the_gradient_of_the_whole_is_the_mean_of_the_samples():
    """Items 2 and 66."""
    weights, x, y = network()
    rows = noise.per_sample_gradients(lambda i: ((model(weights, x[i : i + 1]) - y[i]) ** 2).sum(), weights, 7)
    whole = tg.autograd.grad(((model(weights, x) - y) ** 2).sum() / 7, weights)
    whole = np.concatenate([g.array.reshape(-1) for g in whole])
    np.testing.assert_allclose(noise.gradient_noise(rows).mean, whole, atol=1e-12)


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


def test_a_diagnosis():
    nn = tg.nn
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    net[0].bias.data = tg.tensor([-100.0] * 4 + [0.0] * 4)  # half of the units are dead
    net[2].weight.data = net[2].weight.detach() * 1000  # and the next layer is saturated
    x, y = tg.randn(40, 4), tg.randint(0, 3, (40,))
    before = [p.array.copy() for p in net.parameters()]
    report = optim.diagnosis.diagnose(
        net, nn.functional.cross_entropy, [(x[:20], y[:20])], [(x[20:], y[20:])],
        optimizer=optim.SGD(net.parameters(), lr=1e4), start=before,
    )  # fmt: skip
    numbers = report.numbers
    assert numbers["S"]["1 (ReLU): dead units"] == 0.5
    assert numbers["S"]["3 (Tanh): saturated"] > 0.5
    assert numbers["T"]["distance from the start / its length"] == 0
    assert numbers["I"]["parameters p"] == sum(p.size for p in before)
    assert numbers["O"]["validation loss"] > 0
    assert any("diverge" in sentence for sentence in report.words["T"])
    assert any("dead" in sentence for sentence in report.words["S"])
    assert all((p.array == old).all() and p.grad is None for p, old in zip(net.parameters(), before)), "nothing is changed"
    for letter in "ITSLO":
        assert f"\n{letter}  " in f"\n{report}"
    with pytest.raises(ValueError, match="batch"):
        optim.diagnosis.diagnose(net, nn.functional.cross_entropy, [])
