"""Noise and batch size: items 65 to 74."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.nn.functional import mse_loss, softplus
from tinygrad_lite.optim.lr_scheduler import ExponentialLR, InverseTimeLR, robbins_monro
from tinygrad_lite.optim.noise import gradient_noise, per_sample_gradients
from tinygrad_lite.optim.progress import Progress, iterations_to
from tinygrad_lite.optim.stopping import EpochGradient, WeightChange
from tinygrad_lite.utils.data import BatchSampler, DataLoader, GrowingBatch, PresentationOrder, TensorDataset, geometric

from .. import style
from ..core import HOLDS_IF, Run, at_least, at_most, exactly, experiment, within
from ..tools import contours, mean_of, slope

# -- the gradient of a batch ------------------------------------------------------------------------


def gradients_of_a_network(draw: np.random.Generator, n: int = 1000) -> np.ndarray:
    """The gradients of n samples, (n, 25), at the initial weights of a small tanh network with noisy targets."""
    x = draw.normal(size=(n, 4))
    y = tg.tensor(np.sin(x.sum(1)) + 0.5 * draw.normal(size=n))
    x = tg.tensor(x)
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    return per_sample_gradients(lambda i: mse_loss(network(x[i]).squeeze(0), y[i]), list(network.parameters()), n)


@experiment(
    65,
    70,
    title="An epoch of minibatch steps",
    claim="Each step follows the mean gradient of n′ samples drawn at random (equation 26); n/n′ steps use all n samples: an epoch.",
    numbers=[
        at_most("largest difference of a weight between SGD and equation 26", 1e-12, "an equality, in float64"),
        exactly("steps in an epoch", 1000, "n = 10⁶ and n′ = 1000, as in the lecture (10⁵ and 100 with --fast)"),
        exactly("least uses of a sample in an epoch", 1, "a reshuffled pass uses every sample"),
        exactly("most uses of a sample in an epoch", 1, "a reshuffled pass uses no sample twice"),
        within("share of samples that n draws with replacement miss", 0.36, 0.376, "theory: (1 − 1/n)ⁿ = 1/e = 0.368; ± 0.008"),
    ],
)
def an_epoch_of_minibatch_steps(run: Run) -> None:
    (seed,) = run.seeds(1, 1)
    draw = run.generator(seed)

    # Equation 26 by hand, on a small data set: W - eta (1/n') sum over B of the gradients of single samples.
    x, true = tg.tensor(draw.normal(size=(120, 2)) * [1.0, 0.5]), tg.tensor([2.0, -1.0], dtype=tg.float64)
    y = x @ true + 0.5 * tg.tensor(draw.normal(size=120))
    w, by_hand, largest = tg.zeros(2, dtype=tg.float64, requires_grad=True), np.zeros(2), 0.0
    optimizer, path = optim.SGD([w], lr=0.2), [np.zeros(2)]
    for _ in range(3):
        for batch, target, indices in DataLoader(TensorDataset(x, y, tg.arange(120)), batch_size=12, shuffle=True):
            optimizer.zero_grad()
            mse_loss(batch @ w, target).backward()
            optimizer.step()
            by_hand = by_hand - 0.2 / 12 * sum(2 * (x[i] @ by_hand - y[i]).item() * x[i].numpy() for i in indices.tolist())
            largest = max(largest, abs(w.detach().numpy() - by_hand).max())
            path.append(w.detach().numpy().copy())
    run.judge("largest difference of a weight between SGD and equation 26", largest)

    # The lecture's numbers: how often is a sample used in an epoch?
    n, size = run.choose((10**5, 100), (10**6, 1000))
    data = TensorDataset(tg.arange(n))
    weight = tg.zeros(1, requires_grad=True)
    optimizer = optim.SGD([weight], lr=1e-3)
    progress, uses = Progress(optimizer, n), np.zeros(n, dtype=int)
    for (indices,) in DataLoader(data, batch_size=size, shuffle=True):
        optimizer.zero_grad()
        (weight * len(indices)).sum().backward()
        progress.seen(len(indices))
        optimizer.step()
        uses[indices.numpy()] += 1
    assert progress.epochs == 1
    run.judge("steps in an epoch", progress.updates)
    run.judge("least uses of a sample in an epoch", uses.min())
    run.judge("most uses of a sample in an epoch", uses.max())
    drawn = np.bincount(list(PresentationOrder(data, "with-replacement")), minlength=n)
    run.judge("share of samples that n draws with replacement miss", np.mean(drawn == 0))

    caption = (
        "Left: three epochs of ten minibatch steps each over the contours of the full loss; the path is noisy, but heads for the "
        "minimum. Right: in an epoch of a reshuffled order every sample is used once; of n samples drawn with replacement, more "
        "than a third are missed."
    )
    with run.figure(caption, columns=2) as (left, right):
        contours(left, lambda p: ((x[:, 0] * p[0][..., None] + x[:, 1] * p[1][..., None] - y) ** 2).mean(-1), (-0.5, 3), (-2, 0.5))
        left.plot(*np.array(path).T, ".-", label="minibatch steps, n′ = 12")
        left.plot(*np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0], "k*", markersize=9, label="minimum")
        left.legend()
        style.name_axes(left, "first weight", "second weight", "SGD, n = 120")
        times = np.arange(6)
        right.bar(times - 0.2, [np.mean(uses == k) for k in times], 0.4, label="reshuffled")
        right.bar(times + 0.2, [np.mean(drawn == k) for k in times], 0.4, label="with replacement")
        poisson = np.exp(-1) / np.cumprod([1, *range(1, 6)])
        style.theory(right, times, poisson, "Poisson, mean 1")
        right.legend()
        style.name_axes(right, "uses in one epoch", "share of the samples", f"n = {n:,}, n′ = {size:,}")


@experiment(
    66,
    title="The gradient of a minibatch is unbiased",
    claim="The gradient g_B of a random batch is a random vector whose mean is the full gradient g.",
    numbers=[
        at_most("distance of the mean over all 56 batches from g", 1e-12, "an equality: n = 8, n′ = 3, all subsets, in float64"),
        at_most("largest |z| of 25 weights, random subsets", 4.3, "exceeded with probability 25 · 1.7e-5 = 0.0004 if unbiased"),
        at_most("largest |z| of 25 weights, with replacement", 4.3, "exceeded with probability 25 · 1.7e-5 = 0.0004 if unbiased"),
        at_least("largest |z| where batches come from the lower half", 10, "the same test must find a bias that is there"),
    ],
)
def the_gradient_of_a_minibatch_is_unbiased(run: Run) -> None:
    (seed,) = run.seeds(1, 1)
    draw = run.generator(seed)
    gradients = gradients_of_a_network(draw)
    n, size, batches = 1000, 50, run.choose(2000, 20_000)

    every = [gradients[list(batch)].mean(0) for batch in itertools.combinations(range(8), 3)]
    run.judge("distance of the mean over all 56 batches from g", np.linalg.norm(np.mean(every, 0) - gradients[:8].mean(0)))

    noise = gradient_noise(gradients)
    finite = np.sqrt((n - size) / (n - 1))

    def subset() -> Any:
        return next(iter(BatchSampler(PresentationOrder(range(n), "reshuffle"), size, drop_last=True)))

    lower = np.argsort(gradients[:, -1])[: n // 2]  # those that pull the last weight down most
    ways: dict[str, tuple[Callable[[], Any], float]] = {
        "largest |z| of 25 weights, random subsets": (subset, finite),
        "largest |z| of 25 weights, with replacement": (lambda: draw.integers(0, n, size), 1.0),
        "largest |z| where batches come from the lower half": (lambda: draw.choice(lower, size), 1.0),
    }
    scores = {}
    for name, (batch, factor) in ways.items():
        mean = np.mean([gradients[batch()].mean(0) for _ in range(batches)], axis=0)
        scores[name] = (mean - noise.mean) / (noise.std / np.sqrt(size) * factor / np.sqrt(batches))
        run.judge(name, abs(scores[name]).max())

    caption = (
        f"z-scores of the mean gradient over {batches:,} random batches, one for each of 25 weights, with random batches they "
        "spread like a standard normal. Batches drawn from half of the samples only are found out (right, mind the scale)."
    )
    with run.figure(caption, columns=2) as (left, right):
        z = np.linspace(-4.5, 4.5, 200)
        edges = np.linspace(-4.5, 4.5, 19)
        subsets, replaced, halved = scores.values()
        left.hist([subsets, replaced], edges, density=True, label=["random subsets", "with replacement"])
        style.theory(left, z, np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), "standard normal")
        left.legend()
        style.name_axes(left, "z-score", "density", "drawn from all samples")
        right.hist(halved, 20, color=style.COLOURS[2])
        style.name_axes(right, "z-score", "weights", "drawn from half of them")


@experiment(
    67,
    title="The noise of a minibatch",
    claim="The standard deviation of a minibatch gradient is σ/√n′, for a random subset B of the data.",
    verdict=HOLDS_IF,
    condition="the batch is drawn with replacement (or n′ ≪ n); for a random subset, multiply by √((n − n′)/(n − 1))",
    numbers=[
        within("deviation of a subset of a tenth over σ/√n′", 0.98, 1.02, "the claim, ± 2 %; n = 1000, n′ = 100"),
        within("deviation of a subset of half over σ/√n′", 0.98, 1.02, "the claim, ± 2 %; n = 1000, n′ = 500"),
        within("slope with replacement", -0.51, -0.49, "theory: −1/2; ± 0.01", under_the_condition=True),
        within("ratio with replacement, n′ = 100", 0.98, 1.02, "theory: 1; ± 2 %", under_the_condition=True),
        within("ratio of a subset of a tenth, with the factor", 0.98, 1.02, "theory: 1; the factor is 0.949", under_the_condition=True),
        within("ratio of a subset of half, with the factor", 0.98, 1.02, "theory: 1; the factor is 0.707", under_the_condition=True),
        within("ratio of a subset of a hundredth, without it", 0.98, 1.02, "n′ ≪ n: the factor is 0.995", under_the_condition=True),
    ],
)
def the_noise_of_a_minibatch(run: Run) -> None:
    (seed,) = run.seeds(1, 1)
    draw = run.generator(seed)
    gradients = gradients_of_a_network(draw)
    n, sizes, batches = 1000, np.array([1, 3, 10, 30, 100, 250, 500]), run.choose(4000, 40_000)
    noise = gradient_noise(gradients)
    units = (gradients - noise.mean) / noise.std  # each weight in units of its own σ

    squares = np.zeros((2, len(sizes), units.shape[1]))  # of the noise of each weight
    for _ in range(batches // 2000):
        rows = np.repeat(np.arange(2000), n).reshape(2000, n)
        for way, orders in enumerate((draw.integers(0, n, (2000, n)), draw.random((2000, n)).argsort(1))):
            for i, size in enumerate(sizes):  # the first n' of an order are a batch
                uses = np.bincount((rows * n + orders)[:, :size].ravel(), minlength=2000 * n).reshape(2000, n)
                squares[way, i] += ((uses @ units / size) ** 2).mean(0) / (batches // 2000)
    with_replacement, subset = np.sqrt(squares.mean(2))

    lecture = 1 / np.sqrt(sizes)
    exact = lecture * np.sqrt((n - sizes) / (n - 1))
    at = {int(size): i for i, size in enumerate(sizes)}
    run.judge("deviation of a subset of a tenth over σ/√n′", subset[at[100]] / lecture[at[100]])
    run.judge("deviation of a subset of half over σ/√n′", subset[at[500]] / lecture[at[500]])
    run.judge("slope with replacement", slope(sizes, with_replacement))
    run.judge("ratio with replacement, n′ = 100", with_replacement[at[100]] / lecture[at[100]])
    run.judge("ratio of a subset of a tenth, with the factor", subset[at[100]] / exact[at[100]])
    run.judge("ratio of a subset of half, with the factor", subset[at[500]] / exact[at[500]])
    run.judge("ratio of a subset of a hundredth, without it", subset[at[10]] / lecture[at[10]])

    caption = (
        "The deviation of a batch's gradient from the full gradient, for 25 weights in units of their own σ (root mean square). With "
        "replacement it falls like 1/√n′. A random subset is less noisy, since it repeats no sample; one of all n is not noisy at all."
    )
    with run.figure(caption, columns=2) as (left, right):
        fine = np.linspace(1, 1000, 500)
        for axes, scale, curve in ((left, 1.0, 1 / np.sqrt(fine)), (right, lecture, np.ones_like(fine))):
            axes.plot(sizes, with_replacement / scale, "o", label="with replacement")
            axes.plot(sizes, subset / scale, "s", label="random subset")
            style.theory(axes, fine, curve, "σ/√n′")
            axes.plot(fine, curve * np.sqrt((n - fine) / (n - 1)), "k:", label="σ/√n′ · √((n − n′)/(n − 1))")
        style.name_axes(left, "batch size n′", "deviation of the gradient over σ", "n = 1000", log="xy")
        left.set_ylim(0.3 * with_replacement[-1], None)
        left.legend()
        style.name_axes(right, "batch size n′", "deviation over σ/√n′", "the same, in units of σ/√n′")


# -- a bowl with the noise of samples ---------------------------------------------------------------


def bowl(w: Any, targets: Any, curvature: Any) -> Any:
    """The sum over all runs of 1/2 sum_j h_j (w_j - x_j)^2: w and targets are (runs, d), the curvature h is (d,)."""
    return 0.5 * (curvature * (w - targets) ** 2).sum()


@experiment(
    69,
    title="At a constant rate, SGD does not converge",
    claim="At a constant rate the iterates keep moving about the minimum; their variance is proportional to 1/n′ and, if small, to η.",
    numbers=[
        within("slope of the variance over n′", -1.03, -0.97, "theory: −1; ± 0.03"),
        within("slope of the variance over η/(2 − ηh)", 0.97, 1.03, "theory: 1; ± 0.03"),
        at_most("largest deviation from η h σ²/(n′(2 − ηh))", 0.1, "theory: 0; 10 % of the value for the smallest samples"),
        within("late variance over early variance", 0.93, 1.07, "theory: 1, it does not fall; ± 7 %"),
        at_most("distance of batch descent from the minimum", 1e-12, "without noise the same steps converge"),
    ],
)
def a_constant_rate_does_not_converge(run: Run) -> None:
    draw = run.generator()
    runs, steps, n = run.choose(300, 600), run.choose(400, 1600), 500
    curvature = tg.tensor([1.0, 0.5], dtype=tg.float64)
    data = draw.normal(size=(n, 2))
    data -= data.mean(0)  # the minimum is at 0
    sigma = data.std(0)

    def iterates(rate: float, size: int) -> np.ndarray:
        """The squares of the weights of all runs, (steps, runs, 2), from the minimum on; batches with replacement."""
        w, seen = tg.zeros(runs, 2, dtype=tg.float64, requires_grad=True), []
        optimizer = optim.SGD([w], lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            bowl(w, tg.tensor(data[draw.integers(0, n, (runs, size))].mean(1)), curvature).backward()
            optimizer.step()
            seen.append(w.detach().numpy() ** 2)
        return np.array(seen)

    rates, sizes = np.array(run.choose([0.1, 0.4, 0.8], [0.1, 0.2, 0.4, 0.8])), np.array(run.choose([1, 4, 16], [1, 2, 4, 8, 16]))
    theory = lambda rate, size: rate * curvature.numpy() * sigma**2 / (size * (2 - rate * curvature.numpy()))
    burnt = steps // 4  # the slowest, 1 - 0.1 * 0.5 a step, has forgotten its start by then
    by_rate = {rate: iterates(rate, 4)[burnt:] for rate in rates}
    by_size = {size: iterates(0.2, size)[burnt:] for size in sizes}
    over_rates = np.array([seen.mean((0, 1)) for seen in by_rate.values()])
    over_sizes = np.array([seen.mean((0, 1)) for seen in by_size.values()])
    run.judge("slope of the variance over n′", slope(sizes, over_sizes[:, 0]))
    run.judge("slope of the variance over η/(2 − ηh)", slope(rates / (2 - rates), over_rates[:, 0]))
    theory_rates, theory_sizes = np.array([theory(rate, 4) for rate in rates]), np.array([theory(0.2, size) for size in sizes])
    off = max(abs(over_rates / theory_rates - 1).max(), abs(over_sizes / theory_sizes - 1).max())
    run.judge("largest deviation from η h σ²/(n′(2 − ηh))", off)
    third = (steps - burnt) // 3
    run.judge("late variance over early variance", by_rate[0.4][-third:].mean() / by_rate[0.4][:third].mean())

    w = tg.tensor([[3.0, -3.0]], dtype=tg.float64, requires_grad=True)
    optimizer, batch = optim.SGD([w], lr=0.4), tg.tensor(data.mean(0, keepdims=True))
    noisy = tg.tensor([[3.0, -3.0]], dtype=tg.float64, requires_grad=True)
    minibatch = optim.SGD([noisy], lr=0.4)
    distances = []
    for _ in range(200):
        for p, method, target in ((w, optimizer, batch), (noisy, minibatch, tg.tensor(data[draw.integers(0, n, (1, 4))].mean(1)))):
            method.zero_grad()
            bowl(p, target, curvature).backward()
            method.step()
        distances.append([np.linalg.norm(p.detach().numpy()) for p in (w, noisy)])
    run.judge("distance of batch descent from the minimum", distances[-1][0])

    caption = (
        "Left: batch descent converges, minibatch SGD at the same constant rate does not. Middle and right: the variance of the "
        "weights about the minimum, and the theory η h σ²/(n′(2 − ηh)) for a bowl of curvature h."
    )
    with run.figure(caption, columns=3) as (left, middle, right):
        left.plot(distances, label=["batch", "minibatch, n′ = 4"])
        left.legend()
        style.name_axes(left, "steps", "distance from the minimum", "η = 0.4", log="y")
        for axes, x, measured, fit, title in (
            (middle, rates, over_rates, theory_rates, "n′ = 4"),
            (right, sizes, over_sizes, theory_sizes, "η = 0.2"),
        ):
            for j, marker in enumerate("os"):
                axes.plot(x, measured[:, j], marker, label=f"curvature {curvature[j].item():g}")
                style.theory(axes, x, fit[:, j], "theory" if j else "_")
            axes.legend()
            style.name_axes(axes, "rate η" if axes is middle else "batch size n′", "variance of the weight", title, log="xy")
            style.mark_x(axes, x)


# -- linear regression --------------------------------------------------------------------------------


class Regression:
    """Noisy linear regression on n samples with d weights, and its exact minimum. The eigenvalues of the Hessian are those
    given: the inputs are whitened first."""

    def __init__(self, draw: np.random.Generator, n: int, eigenvalues: Any, noise: float = 1.0):
        d = len(eigenvalues)
        x = draw.normal(size=(n, d))
        x = np.linalg.qr(x)[0] * np.sqrt(n * np.asarray(eigenvalues) / 2)  # Hessian 2 x^T x / n
        y = x @ np.ones(d) + noise * draw.normal(size=n)
        self.best = np.linalg.lstsq(x, y, rcond=None)[0]
        self.x, self.y, self.n, self.d = tg.tensor(x), tg.tensor(y), n, d
        self.eigenvalues = np.asarray(eigenvalues)
        self.data = TensorDataset(self.x, self.y)

    def excess(self, w: Any) -> float:
        """The full loss at w above its minimum."""
        return float((self.eigenvalues * (w.detach().numpy() - self.best) ** 2).sum() / 2)

    def start(self) -> Any:
        return tg.zeros(self.d, dtype=tg.float64, requires_grad=True)

    def epoch(self, w: Any, optimizer: Any, loader: Iterable[Any]) -> Iterable[int]:
        """Train for one pass; yields the size of each batch after its step, while the gradient still exists."""
        for x, y in loader:
            optimizer.zero_grad()
            mse_loss(x @ w, y).backward()
            optimizer.step()
            yield len(x)


@experiment(
    71,
    72,
    title="When to stop",
    claim="To stop, compare the weights an epoch apart, or average an epoch's gradients: single steps and gradients are too noisy.",
    numbers=[
        at_most("change of the weights over an epoch against η t′ times its mean gradient", 1e-12, "an equality at a constant rate"),
        at_most("distance from the minimum at the stop, over its bound", 1, "theory, without noise: at most tol ‖W‖/(1 − (1 − ηλ)^t′)"),
        at_most("excess loss at the stop, an epoch apart over a step apart", 0.2, "a step apart stops too early: a factor of 5"),
        exactly("share of runs that the mean gradient of an epoch stops", 1, "the claim"),
        exactly("share of runs that a single gradient stops", 0, "the same tolerance, but noise keeps the gradients long"),
        exactly("epochs with replacement that a tolerance below the noise stops", 0, "a twentieth of what noise moves in an epoch"),
    ],
)
def when_to_stop(run: Run) -> None:
    rate, size, period, tol = 0.05, 20, 20, 0.02
    epochs, names = run.choose(24, 80), ("weights, a step apart", "weights, an epoch apart", "one gradient", "mean gradient of an epoch")
    stops, curves, over_bound, restless, largest = [], [], [], [], 0.0
    for seed in run.seeds(4, 20):
        task = Regression(run.generator(seed), size * period, np.geomspace(0.2, 2, 10))
        w = task.start()
        optimizer = optim.SGD([w], lr=rate)
        long = tol / (rate * period) * np.linalg.norm(task.best)  # a mean gradient as long moves the weights by tol an epoch
        step, apart = WeightChange([w], tol, period=1), WeightChange([w], tol, period)
        single, mean = EpochGradient([w], long, period=1), EpochGradient([w], long, period)
        stop, curve = np.full(4, np.nan), []  # the excess loss where each rule stops; what each rule looks at
        for _ in range(epochs):
            before = w.detach().numpy().copy()
            for _ in task.epoch(w, optimizer, DataLoader(task.data, size, shuffle=True)):
                for i, rule in enumerate((step, apart, single, mean)):
                    if rule.update() and np.isnan(stop[i]):
                        stop[i] = task.excess(w)
                        if rule is apart:
                            left, factor = np.linalg.norm(w.detach().numpy() - task.best), 1 - (1 - rate * task.eigenvalues[0]) ** period
                            over_bound.append(left / (tol * np.linalg.norm(w.detach().numpy()) / factor))
            moved, pull = np.linalg.norm(w.detach().numpy() - before), np.linalg.norm(mean.mean)
            largest = max(largest, abs(moved - rate * period * pull))
            curve.append([task.excess(w), step.change, apart.change, np.linalg.norm(single.mean), pull])
        stops.append(stop)
        curves.append(curve)

        # Batches with replacement: noise alone moves the weights by `wander` in an epoch.
        residual = float(((task.x @ tg.tensor(task.best) - task.y) ** 2).mean())
        shrink = 1 - rate * task.eigenvalues
        variance = 2 * rate * residual / (size * (1 + shrink))  # of each weight, stationary
        wander = np.sqrt((2 * variance * (1 - shrink**period)).sum()) / np.linalg.norm(task.best)
        rule = WeightChange([w], wander / 20, period)
        for _ in range(epochs // 2):
            drawn = DataLoader(task.data, size, sampler=PresentationOrder(task.data, "with-replacement"))
            restless.append(sum(rule.update() for _ in task.epoch(w, optimizer, drawn)))

    stopped = np.isfinite(stops).mean(0)
    loss = np.nansum(stops, axis=0) / np.maximum(1, np.isfinite(stops).sum(0))
    run.judge("change of the weights over an epoch against η t′ times its mean gradient", largest)
    run.judge("distance from the minimum at the stop, over its bound", max(over_bound), (min(over_bound), max(over_bound)))
    run.judge("excess loss at the stop, an epoch apart over a step apart", loss[1] / loss[0])
    run.judge("share of runs that the mean gradient of an epoch stops", stopped[3])
    run.judge("share of runs that a single gradient stops", stopped[2])
    run.judge("epochs with replacement that a tolerance below the noise stops", sum(restless))
    run.table(
        ["rule", "stops", "mean excess loss there"],
        [[name, f"{share:.0%} of the runs", float(value) if share else "–"] for name, share, value in zip(names, stopped, loss)],
    )
    caption = (
        "What the rules look at, at the end of each epoch (median and middle 80 % of the seeds). Changes over a step are small from the "
        "beginning, and single gradients stay long to the end; an epoch's change and its mean gradient follow the loss down."
    )
    with run.figure(caption, columns=3) as (left, middle, right):
        x, history = np.arange(1, epochs + 1), np.moveaxis(np.array(curves), 2, 0)
        style.band(left, x, history[0], "loss")
        style.name_axes(left, "epochs", "loss above its minimum", "training", log="y")
        for axes, at, labels, limit, title in (
            (middle, (1, 2), ("a step apart", "an epoch apart"), tol, "relative change of the weights"),
            (right, (3, 4), ("one gradient", "mean of an epoch"), long, "length of the gradient"),
        ):
            for i, label in zip(at, labels):
                style.band(axes, x, history[i], label)
            axes.axhline(limit, color="black", linewidth=0.8, linestyle=":", label="tolerance")
            axes.legend()
            style.name_axes(axes, "epochs", title, title, log="y")


@experiment(
    73,
    title="Let the batch grow",
    claim="Start with small batches, to advance fast, and let n′ grow to n, to reduce the noise.",
    numbers=[
        at_most("excess loss after equal work, growing over always n′ = 8", 0.1, "at n′ = n no noise is left; a factor of 10"),
        at_most("excess loss after equal work, growing over always n′ = n", 0.1, "few full batches do not get far; the same margin"),
        at_most("updates of growing over updates of n′ = 8", 1 / 3, "theory: 4 passes each of n/8, n/16, …, against all of n/8; below 1/3"),
        at_most("excess loss, growing when steps turn back over always n′ = 8", 0.1, "n′ doubles when an epoch undoes the last one"),
    ],
)
def let_the_batch_grow(run: Run) -> None:
    n, passes, rate = run.choose((256, 24, 0.1), (512, 40, 0.1))
    names = ("always 8", "always n", "growing", "when steps turn back", "falling rate", "noise scale")
    losses: dict[str, list[list[float]]] = {name: [] for name in names}
    updates: dict[str, list[int]] = {name: [] for name in names}
    sizes: dict[str, list[int]] = {name: [] for name in names}
    for seed in run.seeds(3, 10):
        task = Regression(run.generator(seed), n, np.geomspace(0.2, 2, 10))
        for name in names:
            w = task.start()
            optimizer = optim.SGD([w], lr=rate)
            progress = Progress(optimizer, n)

            def noise_scale(k: int, w: Any = w, task: Regression = task) -> int:
                """The size at which the noise of a batch is as long as the full gradient."""
                with tg.no_grad():
                    single = 2 * (task.x @ w - task.y)[:, None] * task.x
                return int(np.clip(gradient_noise(single.numpy()).critical_batch_size, 8, n))

            schedules = {"always n": lambda k: n, "growing": geometric(8, 2, every=4), "noise scale": noise_scale}
            batches = GrowingBatch(PresentationOrder(task.data, "reshuffle"), schedules.get(name, lambda k: 8))
            loader = DataLoader(task.data, batch_sampler=batches)
            curve, used, last_move = [task.excess(w)], [], 0.0
            for k in range(passes):
                if name == "falling rate":
                    optimizer.param_groups[0]["lr"] = rate * 8 / min(geometric(8, 2, every=4)(k), n)
                before = w.detach().numpy().copy()
                seen = list(task.epoch(w, optimizer, loader))
                move = w.detach().numpy() - before
                if name == "when steps turn back" and np.sum(move * last_move) < 0:
                    batches.grow(2)
                last_move = move
                progress.seen(sum(seen))
                used.append(max(seen))
                curve.append(task.excess(w))
            assert progress.epochs == passes
            losses[name].append(curve)
            updates[name].append(progress.updates)
            sizes[name] = used
    last = {name: np.array(curves)[:, -1].mean() for name, curves in losses.items()}
    run.judge("excess loss after equal work, growing over always n′ = 8", last["growing"] / last["always 8"])
    run.judge("excess loss after equal work, growing over always n′ = n", last["growing"] / last["always n"])
    run.judge("updates of growing over updates of n′ = 8", np.mean(updates["growing"]) / np.mean(updates["always 8"]))
    run.judge("excess loss, growing when steps turn back over always n′ = 8", last["when steps turn back"] / last["always 8"])
    rows = [[name, int(np.mean(updates[name])), float(last[name])] for name in names]
    run.table(["batches", "updates", "mean excess loss at the end"], rows)
    run.remark(
        "The noise scale Var/|g|² (McCandlish et al. 2018) grows the batch to n as soon as the steep directions have converged, long "
        "before the flat ones have: at a small rate it saves updates, not work."
    )
    caption = (
        f"Loss above its minimum after equal numbers of passes over n = {n} samples (left), and the batch sizes (right). Small batches "
        "advance fast and then stall in their noise; full batches hardly advance. A batch that doubles every four passes does as a "
        "rate that is halved then, with far fewer updates."
    )
    with run.figure(caption, columns=2) as (left, right):
        x = np.arange(passes + 1)
        for name in names:
            line = {"linestyle": ":" if name == "falling rate" else "-"}
            style.band(left, x, losses[name], name, **line)
            right.plot(x[1:], sizes[name], drawstyle="steps-mid", label=name, **line)
        left.legend()
        style.name_axes(left, "epochs", "loss above its minimum", f"η = {rate}", log="y")
        style.name_axes(right, "epochs", "batch size n′", "last seed", log="y")


# -- rates that stop short, epochs --------------------------------------------------------------------


@experiment(
    74,
    title="Rates that stop short",
    claim="A rate η^t with η < 1 is wrong, since its sum is finite, 1/(1 − η); a rate that falls like 1/t is right.",
    numbers=[
        within("distance left at a rate of 0.6^t, from 5", 2.49, 2.51, "theory: 5 − 1/(1 − 0.6) = 2.5; slope 1 on the way"),
        at_most("distance left at a rate of 1/t, from 5", 0.1, "theory: 0; it arrives after about e^4.4 = 83 steps"),
        at_least("distance left at a constant rate of 0.75", 0.25, "its noise never dies: near √(η/(2 − η)) · 0.5 = 0.39"),
        exactly("verdicts of robbins_monro that the runs confirm", 6, "travels and settles, for the three rates"),
    ],
)
def rates_that_stop_short(run: Run) -> None:
    draw = run.generator()
    runs, steps, far = run.choose(100, 200), run.choose(1500, 10_000), 5.0
    schedules: dict[str, Callable[[Any], Any]] = {
        "0.6^t": lambda optimizer: ExponentialLR(optimizer, 0.6),
        "1/t": lambda optimizer: InverseTimeLR(optimizer),
        "constant": lambda optimizer: 0.75,
        "1/√t": lambda optimizer: InverseTimeLR(optimizer, power=0.5),
    }
    distances, verdicts = {}, {}
    for name, make in schedules.items():
        w = tg.full((runs,), far, dtype=tg.float64, requires_grad=True)
        optimizer = optim.SGD([w], lr=0.75 if name == "constant" else 1.0)
        schedule = make(optimizer)
        verdicts[name] = robbins_monro(schedule)
        seen = []
        for _ in range(steps):
            optimizer.zero_grad()
            sample = tg.tensor(0.5 * draw.normal(size=runs))
            nn.functional.huber_loss(w, sample, reduction="sum").backward()  # its slope is 1 from a distance of 1 on
            optimizer.step()
            if name != "constant":
                schedule.step()
            seen.append(w.detach().numpy().copy())
        distances[name] = np.array(seen)

    # What the runs say: does it arrive, and is the noise of its last tenth much less than that of the first after arriving?
    rms = {name: np.sqrt((seen**2).mean(1)) for name, seen in distances.items()}
    confirmed = 0
    for name in ("0.6^t", "1/t", "constant"):
        arrives = rms[name][-1] < 1.0
        settles = not arrives or distances[name][-1].std() < 0.5 * distances[name][steps // 10].std()
        confirmed += int(verdicts[name].travels == arrives) + int(verdicts[name].settles == settles)
    run.judge("distance left at a rate of 0.6^t, from 5", rms["0.6^t"][-1])
    run.judge("distance left at a rate of 1/t, from 5", rms["1/t"][-1])
    run.judge("distance left at a constant rate of 0.75", rms["constant"][-1])
    run.judge("verdicts of robbins_monro that the runs confirm", confirmed)
    run.table(["rate", "robbins_monro", "distance left"], [[name, str(verdicts[name]), float(rms[name][-1])] for name in schedules])
    run.remark(
        "The sum of the squares of 1/√t is infinite, yet here its noise dies too, only more slowly: the conditions of Robbins and "
        "Monro are sufficient, not necessary. And η^t is harmless where the way is shorter than 1/(1 − η)."
    )
    caption = (
        f"Distance from the minimum of a loss with slope 1 (root mean square of {runs} runs). At 0.6^t all steps together are 2.5 long, "
        "so the run stops 2.5 short of the minimum, which 1/t reaches. A constant rate arrives first, and stays noisy."
    )
    with run.figure(caption) as axes:
        x = np.arange(1, steps + 1)
        for name in schedules:
            axes.plot(x, rms[name], label=name)
        early = x < 150
        style.theory(axes, x, far - (1 - 0.6**x) / (1 - 0.6), "5 − Σ 0.6^t")
        axes.plot(x[early], far - np.cumsum(1 / x)[early], "k:", linewidth=1.2, label="5 − Σ 1/t")
        axes.legend(ncols=2)
        style.name_axes(axes, "steps", "distance from the minimum", "start at 5", log="xy")


@experiment(
    68,
    title="Fewer epochs",
    claim="A step of minibatch SGD costs n′p instead of np, and about as many steps suffice: training takes T n′ p instead of T n p.",
    numbers=[
        within("updates with n′ = 64 over updates with n = 512, both at η = 0.5", 0.8, 1.25, "theory at a small rate: 1; ± a quarter"),
        at_most("epochs with n′ = 16 over epochs of batch descent, each at its best rate", 0.5, "fewer; a factor of 2 as the margin"),
    ],
)
def fewer_epochs(run: Run) -> None:
    n, hidden, target = 512, 8, 0.2
    rates, seeds = np.array(run.choose([0.5, 2.0], [0.25, 0.5, 1.0, 2.0])), list(run.seeds(5, 12))
    draw = run.generator()
    x, y = tg.datasets.moons(n, noise=0.2)
    y = y.float()
    weight = tg.tensor(np.repeat(rates, len(seeds)).astype(np.float32))[:, None]  # a rate for each run
    starts = {
        "first": draw.normal(size=(len(seeds), 2, hidden)) / np.sqrt(2),
        "bias": np.zeros((len(seeds), 1, hidden)),
        "last": draw.normal(size=(len(seeds), hidden, 1)) / np.sqrt(hidden),
    }

    def epochs_to_the_target(size: int, most: int) -> np.ndarray:
        """For each run, a rate and a seed, the epochs until the loss over all samples stays below the target."""
        first, bias, last = (tg.tensor(np.tile(v, (len(rates), 1, 1)).astype(np.float32), requires_grad=True) for v in starts.values())
        optimizer = optim.SGD([first, bias, last], lr=1.0)

        def losses(x: Any, y: Any) -> Any:
            z = (tg.tanh(x @ first + bias) @ last).squeeze(-1)
            return softplus(z) - y * z  # the cross-entropy of logits

        every, history = max(4, n // size // 8), []
        for step in range(most):
            if step % every == 0:
                with tg.no_grad():
                    history.append(losses(x, y).mean(1).numpy())
                if (history[-1] < 0.9 * target).all():
                    break
            batch = draw.integers(0, n, (len(weight), size)) if size < n else slice(None)
            optimizer.zero_grad()
            (losses(x[batch], y[batch]) * weight).mean(1).sum().backward()
            optimizer.step()
        first_below = [iterations_to(run, 0.0, target) for run in np.array(history).T.tolist()]
        return np.array([np.inf if k is None else k * every * size / n for k in first_below]).reshape(len(rates), len(seeds))

    sizes = np.array(run.choose([16, 64, 512], [4, 16, 64, 256, 512]))
    epochs = {size: epochs_to_the_target(size, run.choose(1200, 4000)) for size in sizes}
    median = {size: np.median(each, axis=1) for size, each in epochs.items()}
    (half,) = np.flatnonzero(rates == 0.5)
    paired = 512 / 64 * epochs[64][half] / epochs[512][half]
    run.judge("updates with n′ = 64 over updates with n = 512, both at η = 0.5", *mean_of(paired))
    run.judge("epochs with n′ = 16 over epochs of batch descent, each at its best rate", median[16].min() / median[512].min())
    run.table(["batch size n′", *(f"epochs at η = {rate:g}" for rate in rates)], [[size, *map(float, median[size])] for size in sizes])
    caption = (
        f"A tanh network on two moons, trained until the loss over all 512 samples stays below {target} (medians of {len(seeds)} seeds). "
        "As long as noise does not matter, a small batch needs as many updates as all samples do (left), so the work is proportional "
        "to n′ (right); for very small batches noise costs updates."
    )
    with run.figure(caption, columns=2) as (left, right):
        for i, rate in enumerate(rates):
            needed = np.array([median[size][i] for size in sizes])
            left.plot(sizes, needed * n / sizes, "o-", label=f"η = {rate:g}")
            right.plot(sizes, needed, "o-", label=f"η = {rate:g}")
        style.theory(left, sizes, np.full(len(sizes), median[512][half] * 1.0), "as many as batch descent, η = 0.5")
        style.theory(right, sizes, median[512][half] * sizes / n, "proportional to n′, η = 0.5")
        style.name_axes(left, "batch size n′", "updates T", "updates", log="xy")
        style.name_axes(right, "batch size n′", "epochs (T n′/n)", "work", log="xy")
        for axes in (left, right):
            style.mark_x(axes, sizes)
            axes.legend()
