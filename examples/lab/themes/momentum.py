"""Momentum: one step size for all weights, and what a running average of gradients does about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.datasets import blobs, moons
from tinygrad_lite.optim.lr_scheduler import InverseTimeLR
from tinygrad_lite.optim.surfaces import quadratic

from .. import style, tools
from ..core import HOLDS_IF, at_least, at_most, exactly, experiment, within
from ..tools import Loss, descend, draw_bowl, first_below, parabolas


@experiment(
    11,
    title="One step size, many curvatures",
    claim="A step size that suits one curvature diverges at a higher and crawls at a lower one: descent diverges just when η > 2/λ_max.",
    numbers=[
        exactly("wrong predictions of divergence", 0, "theory: each update multiplies the steepest direction by 1 - ηλ_max"),
        at_most("largest error of the predicted number of updates", 1, "theory: ln tol / ln |1 - ηλ|; one update for rounding"),
        at_least("updates at a hundredth of the curvature, over those at the curvature", 100, "theory: ln(1/2) / ln(199/200) = 138"),
    ],
)
def one_step_size_for_all_curvatures(run):
    generator, wrong, rows = run.generator(), 0, []
    factors = (0.5, 0.9, 0.99, 1.01, 1.1)
    for condition in run.choose((10, 1000), (3, 10, 100, 1000, 10000)):
        bowl = quadratic(condition, angle=generator.uniform(0, np.pi))
        verdicts = []
        for factor in factors:  # of the rate 2 / λ_max
            path = descend(lambda w, lr=factor * 2 / condition: optim.SGD(w, lr), bowl, bowl.start, 250)
            first, last = bowl(tg.tensor(path[[0, -1]])).tolist()
            verdicts.append("diverges" if last > first else "converges")
            wrong += (last > first) != (factor > 1)
        rows.append([condition, *verdicts])
    run.table(["condition", *(f"{factor:g} · 2/λ_max" for factor in factors)], rows)
    run.judge("wrong predictions of divergence", wrong)

    rate, tolerance, flat = 0.5, 1e-3, 20  # a rate for the curvature 1, which halves its error in each update
    curvatures = np.concatenate([np.geomspace(0.01, 1, flat), np.linspace(1.15, 4.25, 32)])
    errors = abs(descend(lambda w: optim.SGD(w, rate), parabolas(curvatures), np.ones(len(curvatures)), 1500))
    counts = first_below(errors, tolerance)
    factor = abs(1 - rate * curvatures)
    predicted = np.floor(np.log(tolerance) / np.log(np.where(factor < 1, factor, np.nan))) + 1
    run.judge("largest error of the predicted number of updates", np.nanmax(abs(counts - predicted)))
    run.judge("updates at a hundredth of the curvature, over those at the curvature", counts[0] / counts[flat - 1])

    with run.figure(
        "Left: gradient descent in a bowl of condition 25, at three step sizes. Right: the updates one step size needs, by curvature.", 2
    ) as (left, right):
        draw_bowl(left, 25)
        for factor in (0.1, 0.9, 1.03):
            path = descend(lambda w, lr=factor * 2 / 25: optim.SGD(w, lr), quadratic(25), (4.0, 1.0), 25)
            left.plot(*path.T, ".-", markersize=3, linewidth=1, label=f"η = {factor:g} · 2/λ_max")
        left.set(xlim=(-4.5, 4.5), ylim=(-3.6, 2.6))
        style.name_axes(left, "w₁ (curvature 1)", "w₂ (curvature 25)", "25 updates")
        left.legend(loc="lower left")
        right.plot(curvatures, counts, "o", markersize=3, label="measured")
        style.theory(right, curvatures, predicted, "theory: ln 0.001 / ln |1 - ηλ|")
        right.axvspan(4, 4.5, color=style.COLOURS[1], alpha=0.2, label="diverges: λ > 2/η")
        style.name_axes(right, "curvature λ", "updates until the error is 0.001", "One rate for all, η = 0.5", log="xy")
        right.legend()


@experiment(
    12,
    title="One weight converges while another diverges",
    claim="The loss curves differently along different weights, so a fixed step size can make one converge and another diverge.",
    numbers=[
        at_most("weight of curvature 1, after 50 updates over before", 0.01, "theory: (1 - η)^50 = 0.009 at η = 0.09"),
        at_least("weight of curvature 25, after 50 updates over before", 1e4, "theory: (25η - 1)^50 = 70,065 at η = 0.09"),
        at_most("largest relative difference from the theory", 1e-12, "equal up to the rounding of 50 updates"),
    ],
)
def one_weight_converges_while_another_diverges(run):
    rate, curvatures, updates = 0.09, np.array([1.0, 25.0]), 50  # above 2/25, below 2/1
    start = run.generator().uniform(0.5, 2, 2)
    path = descend(lambda w: optim.SGD(w, rate), parabolas(curvatures), start, updates) / start
    theory = (1 - rate * curvatures) ** np.arange(updates + 1)[:, None]
    run.judge("weight of curvature 1, after 50 updates over before", abs(path[-1, 0]))
    run.judge("weight of curvature 25, after 50 updates over before", abs(path[-1, 1]))
    run.judge("largest relative difference from the theory", abs(path / theory - 1).max())
    turned = quadratic(25, angle=np.pi / 9)
    both = descend(lambda w: optim.SGD(w, rate), turned, turned.start, updates)
    run.remark(
        "This needs a bowl whose axes are those of the weights. In the same bowl turned by 20° the steep direction is part of both "
        f"weights, and both diverge: after 50 updates they are {both[-1, 0]:.2g} and {both[-1, 1]:.2g}."
    )
    with run.figure("Two weights of one bowl at one step size: the flat one converges and the steep one diverges.") as axes:
        for i, curvature in enumerate(curvatures):
            axes.plot(abs(path[:, i]), "o", markersize=3, label=f"weight {i + 1}, curvature {curvature:g}")
        style.theory(axes, range(updates + 1), abs(theory[:, 0]), "theory: |1 - ηλ|ᵏ")
        style.theory(axes, range(updates + 1), abs(theory[:, 1]), None)
        style.name_axes(axes, "updates k", "|w| after k updates / at the start", "η = 0.09, between 2/25 and 2/1", log="y")
        axes.legend()


def effective_rates(make: Callable[[list[Any]], Any], gradients: np.ndarray) -> np.ndarray:
    """|change| / |gradient| in each update, for given gradients (updates, weights)."""
    w = tg.zeros(gradients.shape[1], dtype=tg.float64, requires_grad=True)
    optimizer = make([w])
    recorder, found = optim.EffectiveRates(optimizer), []
    for gradient in gradients:
        w.grad = tg.tensor(gradient)
        optimizer.step()
        found.append(recorder.rates[w].copy())
    return np.array(found)


@experiment(
    13,
    title="A step size for each weight",
    claim="Momentum shrinks the effective step size of a weight that oscillates and expands that of one that moves steadily.",
    numbers=[
        within("a weight pushed one way: effective step / η, over 1/(1 - β)", 0.99, 1.01, "theory: the sum of βᵏ; 1 % after 100 updates"),
        within("a weight pushed to and fro: effective step / η, over 1/(1 + β)", 0.99, 1.01, "theory: the sum of (-β)ᵏ; 1 %"),
        at_most("in a bowl, where descent oscillates (ηλ from 1.1 to 2): largest effective step / η", 1, "the claim: it shrinks"),
        at_least("in a bowl, where descent is steady (ηλ below 0.9): smallest effective step / η", 1, "the claim: it expands"),
        at_most("in a bowl: largest deviation from 1/√(ηλ)", 0.15, "theory; 15 % for a mean over 400 points of an oscillation"),
    ],
)
def a_step_size_for_each_weight(run):
    rate, momentum, count = 0.1, 0.9, 100
    optimizers = {
        "gradient descent": lambda w: optim.SGD(w, rate),
        "momentum, β = 0.9": lambda w: optim.Momentum(w, rate, momentum),
        "Rprop": lambda w: optim.Rprop(w, rate, variant="rprop-"),
        "Adam": lambda w: optim.Adam(w, rate),
    }
    pushed = np.stack([np.ones(count), (-1.0) ** np.arange(count)], axis=1)  # steadily, and to and fro
    recorded = {name: effective_rates(make, pushed) / rate for name, make in optimizers.items()}
    steady, alternating = recorded["momentum, β = 0.9"][-1]
    run.judge("a weight pushed one way: effective step / η, over 1/(1 - β)", steady * (1 - momentum))
    run.judge("a weight pushed to and fro: effective step / η, over 1/(1 + β)", alternating * (1 + momentum))

    curvatures = np.geomspace(0.01, 1.97, 60) / rate  # ηλ from 0.01 to 1.97
    loss, w = parabolas(curvatures), tg.ones(60, dtype=tg.float64, requires_grad=True)
    optimizer = optim.Momentum([w], rate, momentum)
    recorder, logs = optim.EffectiveRates(optimizer), []
    for _ in range(450):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()
        logs.append(np.log(recorder.rates[w] / rate))
    product = rate * curvatures
    measured, theory = np.exp(np.mean(logs[50:], axis=0)), 1 / np.sqrt(product)
    run.judge("in a bowl, where descent oscillates (ηλ from 1.1 to 2): largest effective step / η", measured[product > 1.1].max())
    run.judge("in a bowl, where descent is steady (ηλ below 0.9): smallest effective step / η", measured[product < 0.9].min())
    run.judge("in a bowl: largest deviation from 1/√(ηλ)", abs(measured / theory - 1).max())
    run.remark(
        "In a bowl the iterates of momentum are multiplied by a complex z with |z - 1|² = ηλ in each update, so its effective step is "
        "η/√(ηλ): the border between shrinking and expanding is ηλ = 1, just where gradient descent begins to oscillate. Adam "
        f"shrinks the step of an oscillating weight (to {recorded['Adam'][-1, 1]:.2g} η), but expands none."
    )
    with run.figure(
        "Left: effective step sizes of two weights, one pushed one way (solid), one to and fro (dotted). Right: of momentum in bowls.", 2
    ) as (left, right):
        for (name, rates), colour in zip(recorded.items(), style.COLOURS):
            width = 4 if name == "gradient descent" else 1.6  # Adam's line lies on it
            left.plot(np.arange(1, 21), rates[:20, 0], color=colour, linewidth=width, label=name)
            left.plot(np.arange(1, 21), rates[:20, 1], color=colour, linestyle=":")
        style.name_axes(left, "updates k", "effective step / η", "Given gradients: 1, 1, 1, ... and 1, -1, 1, ...", log="y")
        left.set(ylim=(0.01, 40), xticks=range(0, 21, 5))
        left.legend()
        right.plot(product, measured, "o", markersize=3, label="momentum, β = 0.9")
        style.theory(right, product, theory, "theory: 1/√(ηλ)")
        right.axhline(1, color=style.COLOURS[6], linewidth=1, label="gradient descent")
        right.axvspan(1, 2, color=style.COLOURS[1], alpha=0.15, label="descent oscillates")
        style.name_axes(right, "step size times curvature, ηλ", "effective step / η", "In a bowl of curvature λ", log="xy")
        right.legend()


@experiment(
    16,
    title="Does a running average cancel oscillations?",
    claim="A running average of gradients cancels the steps in oscillating directions and lengthens them in steady ones.",
    verdict=HOLDS_IF,
    condition="√β < ηλ - 1, that is if gradient descent oscillates for longer than momentum does by itself",
    numbers=[
        within("distance down a slope, momentum over descent, over the theory", 0.999, 1.001, "theory: 1/(1 - β), less in the first steps"),
        at_most("path across the valley at ηλ = 1.5, momentum 0.9 over descent", 1, "the claim, for the usual momentum"),
        at_most("longest such path where √β < ηλ - 1", 1, "theory: √β against ηλ - 1, a factor an update", under_the_condition=True),
    ],
)
def a_running_average_cancels_oscillations(run):
    updates = run.choose(200, 400)
    products, betas = np.linspace(1.05, 1.95, 46), np.linspace(0.02, 0.96, run.choose(16, 48))  # ηλ, β
    slope_and_bowls = lambda w: parabolas(products)(w[1:]) - w[0]  # one weight on a slope, the others across valleys
    start = np.concatenate([[0.0], np.ones(len(products))])

    def lengths(momentum: float) -> tuple[np.ndarray, np.ndarray]:
        """Of each coordinate: the distance from first to last, and the length of the path."""
        path = descend(lambda w: optim.Momentum(w, 1.0, momentum), slope_and_bowls, start, updates)
        return abs(path[-1] - path[0]), abs(np.diff(path, axis=0)).sum(axis=0)

    net, total = lengths(0.0)
    over = np.array([lengths(beta)[1][1:] / total[1:] for beta in betas])  # (betas, products)
    net_of_momentum, total_of_momentum = lengths(0.9)
    expected = (updates - 0.9 * (1 - 0.9**updates) / 0.1) / 0.1 / updates
    run.judge("distance down a slope, momentum over descent, over the theory", net_of_momentum[0] / net[0] / expected)
    at = 1 + int(abs(products - 1.5).argmin())
    run.judge("path across the valley at ηλ = 1.5, momentum 0.9 over descent", total_of_momentum[at] / total[at])
    condition = np.sqrt(betas)[:, None] < products - 1
    run.judge("longest such path where √β < ηλ - 1", over[condition].max())
    run.table(
        ["net distance / length of the path", "gradient descent", "momentum, β = 0.9"],
        [["down a slope", net[0] / total[0], net_of_momentum[0] / total_of_momentum[0]]]
        + [
            [f"across the valley, ηλ = {products[i]:.2f}", net[i + 1] / total[i + 1], net_of_momentum[i + 1] / total_of_momentum[i + 1]]
            for i in (5, 23, 45)
        ],
    )
    run.remark(
        "Momentum damps every oscillation by √β an update, so it replaces descent's own damping ηλ - 1 rather than adding to it: "
        "where descent settles faster than that, momentum is what oscillates."
    )
    with run.figure(
        "Left: the length of the path across a valley, momentum over descent; blue is shorter. Right: three such paths.", 2
    ) as (left, right):
        mesh = left.pcolormesh(products, betas, np.log2(over), cmap=style.DIVERGING, vmin=-4, vmax=4, rasterized=True)
        left.figure.colorbar(mesh, ax=left, label="log₂ of the length, momentum / descent")
        style.theory(left, products, (products - 1) ** 2, "√β = ηλ - 1")
        style.name_axes(left, "step size times curvature, ηλ", "momentum β", "Length of the path across the valley")
        left.grid(False)
        left.legend(loc="upper left", frameon=True)
        for beta, product in ((0.0, 1.9), (0.5, 1.9), (0.9, 1.5)):
            path = descend(lambda w, beta=beta: optim.Momentum(w, 1.0, beta), parabolas([product]), np.ones(1), 30)
            right.plot(path[:, 0], ".-", markersize=4, linewidth=1, label=f"β = {beta:g}, ηλ = {product:g}")
        style.name_axes(right, "updates", "w across the valley", "Three paths across the valley")
        right.legend()


def logistic_regression(run: Any) -> tuple[Loss, np.ndarray]:
    """A convex loss of three weights on two overlapping clusters, and a start."""
    (seed,) = run.seeds(1, 1)
    x, y = blobs(200, centers=[[-1.0, 0.0], [1.0, 1.0]], std=1.0, generator=tg.Generator().manual_seed(seed))
    x, y = tg.cat([x, tg.ones(200, 1)], dim=1).double(), y.double()
    return (lambda w: nn.functional.binary_cross_entropy_with_logits(x @ w, y)), run.generator(seed).normal(size=3)


def relative_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """After each update: the distance of two iterates over the length of the first."""
    return np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)


def gradient_of(loss: Loss, point: np.ndarray) -> np.ndarray:
    w = tg.tensor(point, requires_grad=True)
    loss(w).backward()
    return w.grad.numpy()


@experiment(
    14, 79,
    title="Two ways to write momentum",
    claim="The heavy ball W⁺ = W - γηg + (1 - γ)(W - W_before) is momentum ΔW ← βΔW - ηg with other numbers: rate γη and β = 1 - γ.",
    numbers=[
        at_most("classical momentum against its formula (relative)", 1e-13, "equal up to the rounding of 100 updates"),
        at_most("heavy ball against equation 27 (relative)", 1e-13, "equal up to the rounding of 100 updates"),
        at_most("heavy ball against momentum with γη, 1 - γ (relative)", 1e-13, "equal up to the rounding of 100 updates"),
        within("first step of SGD(η, momentum = dampening = 1 - γ), over the heavy ball's, times γ", 1 - 1e-12, 1 + 1e-12,
               "PyTorch's convention does not dampen the first gradient, which so weighs 1/γ times as much"),
        at_least("that SGD against the heavy ball (relative)", 0.01, "not equal: far above rounding"),
    ],
)  # fmt: skip
def two_ways_to_write_momentum(run):
    (loss, start), rate, gamma, updates = logistic_regression(run), 0.5, 0.2, 100
    ball = descend(lambda w: optim.HeavyBall(w, rate, gamma), loss, start, updates)
    sgd = descend(lambda w: optim.SGD(w, gamma * rate, momentum=1 - gamma), loss, start, updates)
    classical = descend(lambda w: optim.Momentum(w, gamma * rate, 1 - gamma), loss, start, updates)
    dampened = descend(lambda w: optim.SGD(w, rate, momentum=1 - gamma, dampening=1 - gamma), loss, start, updates)

    equation_27, item_14, velocity = [start, start], [start], np.zeros(3)
    for _ in range(updates):
        before, w = equation_27[-2:]
        equation_27.append(w - gamma * rate * gradient_of(loss, w) + (1 - gamma) * (w - before))
        velocity = (1 - gamma) * velocity - gamma * rate * gradient_of(loss, item_14[-1])
        item_14.append(item_14[-1] + velocity)

    pairs = {
        "classical momentum against its formula (relative)": relative_difference(classical, np.array(item_14)),
        "heavy ball against equation 27 (relative)": relative_difference(ball, np.array(equation_27[1:])),
        "heavy ball against momentum with γη, 1 - γ (relative)": np.maximum(
            relative_difference(ball, sgd), relative_difference(ball, classical)
        ),
        "that SGD against the heavy ball (relative)": relative_difference(ball, dampened),
    }
    for name, differences in pairs.items():
        run.judge(name, differences.max())
    first = np.linalg.norm(dampened[1] - start) / np.linalg.norm(ball[1] - start)
    run.judge("first step of SGD(η, momentum = dampening = 1 - γ), over the heavy ball's, times γ", first * gamma)
    with run.figure("Relative distances between iterates that should be equal, and of those that are not (top line).") as axes:
        for (name, differences), marker in zip(pairs.items(), "osv^"):
            label = name.replace("that SGD", "SGD with dampening").replace(" (relative)", "")
            axes.plot(np.maximum(differences, 1e-18), marker, markersize=3, label=label)
        axes.axhline(2.0**-52, label="rounding unit of float64", **style.THEORY)
        style.name_axes(axes, "updates", "relative distance of the iterates", "Logistic regression, γ = 0.2, η = 0.5", log="y")
        axes.set(ylim=(1e-18, 1e9))
        axes.legend(loc="upper right", ncols=1)


@experiment(
    15,
    title="Nesterov's momentum looks ahead",
    claim="Nesterov's momentum takes the gradient at the extended point W + βΔW, which PyTorch's nesterov=True keeps as its parameter.",
    numbers=[
        at_most("optim.Nesterov against the lecture's three lines (relative)", 1e-14, "equal up to the rounding of 100 updates"),
        at_most("extended point against SGD(nesterov=True), constant rate (relative)", 1e-14, "equal up to the rounding of 100 updates"),
        at_least("the same, with a falling rate (relative)", 1e-3, "not equal: PyTorch applies the new rate to past gradients too"),
    ],
)
def nesterov_looks_ahead(run):
    (loss, start), rate, momentum, updates = logistic_regression(run), 0.3, 0.8, 100

    def by_hand(rates: Any) -> tuple[np.ndarray, np.ndarray]:
        """The iterates W and the extended points of the lecture's three lines."""
        w, change, points, extended = start, np.zeros(3), [start], []
        for k in range(updates):
            extended.append(w + momentum * change)
            change = momentum * change - rates(k) * gradient_of(loss, extended[-1])
            w = w + change
            points.append(w)
        return np.array(points), np.array(extended)

    constant, falling = (lambda k: rate), (lambda k: rate / (1 + 0.05 * k))
    points, extended = by_hand(constant)
    library = descend(lambda w: optim.Nesterov(w, rate, momentum), loss, start, updates)
    theirs = descend(lambda w: optim.SGD(w, rate, momentum, nesterov=True), loss, start, updates)[:-1]
    theirs_falling = descend(lambda w: optim.SGD(w, falling, momentum, nesterov=True), loss, start, updates)[:-1]
    pairs = {
        "optim.Nesterov against the lecture's three lines (relative)": relative_difference(points, library),
        "extended point against SGD(nesterov=True), constant rate (relative)": relative_difference(extended, theirs),
        "the same, with a falling rate (relative)": relative_difference(by_hand(falling)[1], theirs_falling),
    }
    for name, differences in pairs.items():
        run.judge(name, differences.max())
    caption = "Left: W and the extended point of Nesterov's method in a bowl. Right: relative distances of the iterates."
    with run.figure(caption, 2) as (left, right):
        draw_bowl(left, 10)
        bowl = quadratic(10)
        w = descend(lambda w: optim.Nesterov(w, 0.09, 0.8), bowl, (4.0, 1.5), 20)
        ahead = w + 0.8 * np.diff(w, axis=0, prepend=w[:1])
        left.plot(*w.T, "o-", markersize=4, linewidth=1, label="W")
        left.plot(*ahead.T, "x", markersize=5, label="extended point: where the gradient is taken")
        left.quiver(*w.T, *(ahead - w).T, angles="xy", scale_units="xy", scale=1, width=0.004, color=style.COLOURS[1], alpha=0.6)
        left.set(xlim=(-1.5, 4.5), ylim=(-1.5, 2.2))
        style.name_axes(left, "w₁ (curvature 1)", "w₂ (curvature 10)", "20 updates, η = 0.09, β = 0.8")
        left.legend(loc="upper left")
        for (name, differences), marker in zip(pairs.items(), "os^"):
            right.plot(np.maximum(differences, 1e-18), marker, markersize=3, label=name.replace(" (relative)", ""))
        right.axhline(2.0**-52, label="rounding unit of float64", **style.THEORY)
        style.name_axes(right, "updates", "relative distance", "Logistic regression, η = 0.3, β = 0.8", log="y")
        right.set(ylim=(1e-18, 1e9))
        right.legend(loc="upper right")


@experiment(
    80,
    title="A step is a weighted sum of all gradients so far",
    claim="Unrolled, a step of the heavy ball is -η Σ γ(1 - γ)ᵏ g of k updates before, and these weights sum to 1.",
    numbers=[
        at_most("largest difference of a step from the weighted sum, over |W|", 1e-14, "equal up to the rounding of 300 updates"),
        at_most("largest difference of a measured weight from γ(1 - γ)ᵏ", 1e-14, "equal up to rounding"),
        at_most("difference of the sum of the weights from 1", 1e-12, "theory: 1 - (1 - γ)^300, which is 1 to 13 digits at γ = 0.1"),
    ],
)
def a_step_is_a_weighted_sum(run):
    rate, updates, gammas = 0.5, 300, (0.1, 0.3, 0.6)

    def steps(gamma: float, gradients: np.ndarray) -> np.ndarray:
        w = tg.zeros(gradients.shape[1], dtype=tg.float64, requires_grad=True)
        optimizer, path = optim.HeavyBall([w], rate, gamma), [np.zeros(gradients.shape[1])]
        for gradient in gradients:
            w.grad = tg.tensor(gradient)
            optimizer.step()
            path.append(w.numpy(force=True).copy())
        return np.diff(path, axis=0)

    gradients = run.generator().normal(size=(updates, 5))
    found = steps(0.1, gradients)
    longest = np.linalg.norm(found.cumsum(axis=0), axis=1).max()
    expected = np.array([-rate * (0.1 * 0.9 ** np.arange(t, -1, -1)) @ gradients[: t + 1] for t in range(updates)])
    run.judge("largest difference of a step from the weighted sum, over |W|", np.linalg.norm(found - expected, axis=1).max() / longest)

    single = np.zeros((updates, 1))
    single[0] = 1  # one gradient, then none: the later steps are its weights
    weights = {gamma: -steps(gamma, single)[:, 0] / rate for gamma in gammas}
    theory = {gamma: gamma * (1 - gamma) ** np.arange(updates) for gamma in gammas}
    run.judge("largest difference of a measured weight from γ(1 - γ)ᵏ", max(abs(weights[g] - theory[g]).max() for g in gammas))
    run.judge("difference of the sum of the weights from 1", max(abs(each.sum() - 1) for each in weights.values()))
    caption = "The weight of a gradient in the step made k updates later, measured with a single gradient (bars)."
    with run.figure(caption, 3, sharey=True) as panels:
        for axes, (gamma, each), colour in zip(panels, weights.items(), style.COLOURS):
            axes.set_axisbelow(True)
            axes.bar(range(25), each[:25], color=colour, label=f"measured, sum {each.sum():.6f}")
            style.theory(axes, range(25), theory[gamma][:25], "theory: γ(1 - γ)ᵏ")
            style.name_axes(axes, "updates ago, k", "weight of the gradient" if gamma == gammas[0] else "", f"γ = {gamma:g}")
            axes.legend()


@experiment(
    20,
    title="Rprop decouples the weights",
    claim="Rprop decouples the dimensions: each weight has its own step size, so the curvature of the others does not matter.",
    verdict=HOLDS_IF,
    condition="the axes of the bowl are those of the weights",
    numbers=[
        exactly("largest difference between weights of curvature 1 and 10⁶", 0, "theory: Rprop uses the sign of a gradient only",
                under_the_condition=True),
        within("slope of descent's updates over the condition number", 0.95, 1.05, "theory: 1, at the best rate 2/(λ_min + λ_max)"),
        at_most("slope of Rprop's updates over the condition number", 0.1, "the claim: 0", under_the_condition=True),
        at_most("slope of Rprop's updates over the condition number, in a turned bowl", 0.1, "the claim: 0, whatever the axes"),
    ],
)  # fmt: skip
def rprop_decouples_the_weights(run):
    variants = ("irprop-", "rprop-", "rprop+", "irprop+")
    curvatures = np.geomspace(1, 1e6, 13)
    spread = 0.0
    for variant in variants[:3]:  # irprop+ compares losses, which are sums over all weights
        path = descend(lambda w, variant=variant: optim.Rprop(w, 0.1, variant=variant), parabolas(curvatures), np.ones(13), 100)
        spread = max(spread, np.ptp(path, axis=1).max())
    run.judge("largest difference between weights of curvature 1 and 10⁶", spread)

    conditions = run.choose(np.geomspace(40, 160, 3), np.geomspace(10, 500, 7))
    starts = run.generator().uniform(0, 2 * np.pi, run.choose(6, 12))
    starts = 3 * np.stack([np.cos(starts), np.sin(starts)], axis=1)

    def updates(make: Callable[[float], Any], angle: float) -> np.ndarray:
        """Updates until all starts are within 0.001 of the minimum, by condition: (conditions, starts)."""
        paths = (descend(make(c), lambda w, c=c: quadratic(c, angle)(w).sum(), starts, int(200 + 4.5 * c)) for c in conditions)
        return np.array([first_below(np.linalg.norm(path, axis=-1), 1e-3) for path in paths])

    descent = updates(lambda c: lambda w: optim.SGD(w, 2 / (1 + c)), 0.0)
    aligned = updates(lambda c: lambda w: optim.Rprop(w, 0.1), 0.0)
    turned = updates(lambda c: lambda w: optim.Rprop(w, 0.1), np.pi / 6)
    slopes = [tools.slope(conditions, each.mean(axis=1)) for each in (descent, aligned, turned)]
    run.judge("slope of descent's updates over the condition number", slopes[0])
    run.judge("slope of Rprop's updates over the condition number", slopes[1])
    run.judge("slope of Rprop's updates over the condition number, in a turned bowl", slopes[2])
    with run.figure("Updates until the error is 0.001: Rprop ignores the condition number only if bowl and weights share axes.") as axes:
        style.band(axes, conditions, descent.T, "gradient descent, η = 2/(λ_min + λ_max)")
        style.band(axes, conditions, aligned.T, "Rprop, bowl along the axes")
        style.band(axes, conditions, turned.T, "Rprop, bowl turned by 30°")
        style.theory(axes, conditions, conditions / 2 * np.log(3 / 1e-3), "theory: κ/2 · ln(3/0.001)")
        style.name_axes(axes, "condition number κ", "updates", "Median and middle 80 % over starts", log="xy")
        axes.legend()


def excess_by_rate(make: Callable[[list[Any]], Any], rates: Any, data: tuple[Any, ...], checkpoints: Any) -> np.ndarray:
    """Minibatch regression of many seeds at once: the loss above the minimum, (rates, checkpoints, seeds).

    `make(groups)` makes an optimizer, or one and its schedule, of a parameter group a rate. `data`: x (n, d), y (n,), and
    the samples of each batch, (updates, seeds, batch).
    """
    x, y, batches = data
    best = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0]
    hessian = x.numpy().T @ x.numpy() / len(x)
    weights = [tg.zeros(batches.shape[1], x.shape[1], dtype=tg.float64, requires_grad=True) for _ in rates]
    made = make([{"params": [w], "lr": rate} for w, rate in zip(weights, rates)])
    optimizer, schedule = made if isinstance(made, tuple) else (made, None)
    found = []
    for k in range(checkpoints[-1] + 1):
        if k in checkpoints:
            error = np.array([w.numpy(force=True) for w in weights]) - best
            found.append(np.einsum("rsi,ij,rsj->rs", error, hessian, error) / 2)
        chosen = batches[min(k, len(batches) - 1)]
        optimizer.zero_grad()
        residual = (x[chosen] * tg.stack(weights).unsqueeze(2)).sum(-1) - y[chosen]
        (residual**2).mean(-1).sum().div(2).backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return np.moveaxis(np.array(found), 0, 1)


@experiment(
    19,
    title="Learning rates that decay or adapt",
    claim="Decaying rates, and rates that adapt to each weight, improve convergence.",
    numbers=[
        at_most("excess loss at the end, decaying over constant rate", 1, "the claim; each with the best of its rates, mean over seeds"),
        at_most("updates to a twentieth of the excess loss, Adam over gradient descent", 1, "the claim; each with the best of its rates"),
    ],
)
def rates_that_decay_or_adapt(run):
    generator, seeds, updates = run.generator(), run.choose(8, 30), run.choose(400, 1500)
    scales = np.geomspace(1, 5, 8)  # of the features: condition number 25
    x = scales * generator.normal(size=(1000, 8))
    y = x @ (generator.choice([-1, 1], 8) / scales) + 2 * generator.normal(size=1000)  # each feature matters alike
    data = tg.tensor(x), tg.tensor(y), generator.integers(1000, size=(updates, seeds, 10))
    checkpoints = np.unique(np.geomspace(1, updates, 40).astype(int))
    coarse, fine = np.geomspace(1.5e-3, 0.03, 4), np.geomspace(2e-3, 0.04, 4)

    def decaying(groups: list[Any]) -> tuple[Any, Any]:
        optimizer = optim.SGD(groups)
        return optimizer, InverseTimeLR(optimizer, delay=updates / 10)

    methods = {
        "SGD, constant rate": (optim.SGD, coarse),
        "SGD, rate 1/(1 + k/delay)": (decaying, coarse),
        "Adagrad": (optim.Adagrad, 10 * fine),
        "RMSprop": (optim.RMSprop, fine),
        "Adam": (optim.Adam, fine),
    }
    found = {name: excess_by_rate(make, rates, data, checkpoints) for name, (make, rates) in methods.items()}
    last = {name: each[:, -1].mean(-1).min() for name, each in found.items()}
    target = found["Adam"][0, 0].mean() / 20
    reached = {name: checkpoints[(each.mean(-1) < target).any(0).argmax()] for name, each in found.items()}
    run.judge("excess loss at the end, decaying over constant rate", last["SGD, rate 1/(1 + k/delay)"] / last["SGD, constant rate"])
    run.judge("updates to a twentieth of the excess loss, Adam over gradient descent", reached["Adam"] / reached["SGD, constant rate"])
    best = {name: int(each[:, -1].mean(-1).argmin()) for name, each in found.items()}
    run.table(
        ["method", "best rate", "excess loss at the end", "updates to a twentieth"],
        [[name, float(methods[name][1][i]), float(last[name]), reached[name]] for name, i in best.items()],
    )
    with run.figure("Loss above the minimum of minibatch regression, each method at the rate that ends lowest.") as axes:
        for name, each in found.items():
            style.band(axes, checkpoints, each[best[name]].T, name)
        style.name_axes(axes, "updates", "loss above the minimum", "Median and middle 80 % over seeds", log="xy")
        axes.legend()


VARIATIONS: dict[str, Callable[[list[Any], float], Any]] = {
    "SGD, momentum 0.9": lambda params, rate: optim.SGD(params, rate, momentum=0.9),
    "Momentum": lambda params, rate: optim.Momentum(params, rate),
    "HeavyBall": lambda params, rate: optim.HeavyBall(params, 10 * rate, gamma=0.1),
    "Nesterov": lambda params, rate: optim.Nesterov(params, rate),
    "SGD, nesterov=True": lambda params, rate: optim.SGD(params, rate, momentum=0.9, nesterov=True),
    "RMSprop": lambda params, rate: optim.RMSprop(params, rate / 5),
    "Adagrad": optim.Adagrad,
    "Adadelta": lambda params, rate: optim.Adadelta(params, 100 * rate),
    "Adam": lambda params, rate: optim.Adam(params, rate / 2),
    "AdamW": lambda params, rate: optim.AdamW(params, rate / 2),
    "Adamax": lambda params, rate: optim.Adamax(params, rate / 2),
    "NAdam": lambda params, rate: optim.NAdam(params, rate / 2),
    "RAdam": lambda params, rate: optim.RAdam(params, rate / 2),
    "Adafactor": lambda params, rate: optim.Adafactor(params, rate),
    "Rprop": lambda params, rate: optim.Rprop(params, rate / 10),
}


@experiment(
    81,
    title="Variations on momentum",
    claim="Momentum has many variations. The heavy ball and Nesterov's need √κ updates where gradient descent needs κ.",
    numbers=[
        within("slope of gradient descent's updates over the condition number", 0.95, 1.05, "theory: 1, at the best rate"),
        within("slope of the heavy ball's updates over the condition number", 0.45, 0.6, "theory: 1/2; a factor k in the error adds 0.03"),
        within("slope of Nesterov's updates over the condition number", 0.45, 0.6, "theory: 1/2, in the limit of large κ; here 0.02 more"),
        exactly("variations that do not train a network on two moons", 0, "down to a third of its first loss, at one of three rates"),
    ],
)
def variations_on_momentum(run):
    conditions = run.choose(np.geomspace(64, 256, 3), np.geomspace(64, 1024, 5))
    start = run.generator().choice([-1.0, 1.0], 30)

    def updates(most: Callable[[float], float], method: Any, numbers: Callable[[float], dict[str, float]]) -> np.ndarray:
        """Updates until the largest error is a millionth of its start, for bowls of 30 weights, by condition number."""
        paths = (
            descend(lambda w, c=c: method(w, **numbers(c)), parabolas(np.geomspace(1, c, 30)), start, int(most(c)))
            for c in conditions
        )
        return np.array([first_below(abs(path).max(axis=1), 1e-6) for path in paths])

    q, many, few = lambda c: (c**0.5 - 1) / (c**0.5 + 1), lambda c: 8 * c, lambda c: 30 * c**0.5
    counts = {
        "gradient descent": updates(many, optim.SGD, lambda c: {"lr": 2 / (1 + c)}),
        "the heavy ball": updates(few, optim.Momentum, lambda c: {"lr": 4 / (1 + c**0.5) ** 2, "momentum": q(c) ** 2}),
        "Nesterov": updates(few, optim.Nesterov, lambda c: {"lr": 1 / c, "momentum": q(c)}),
    }
    for name, each in counts.items():
        run.judge(f"slope of {name}'s updates over the condition number", tools.slope(conditions, each))

    needed = {name: updates_on_moons(run, make) for name, make in VARIATIONS.items()}
    run.judge("variations that do not train a network on two moons", sum(np.isnan(each) for _, each in needed.values()))
    run.table(["on two moons", "rate", "updates to a third of the loss"], [[name, rate, str(k)] for name, (rate, k) in needed.items()])
    with run.figure("Updates until the error is a millionth, by condition number.") as axes:
        for name, each in counts.items():
            axes.plot(conditions, each, "o", markersize=4, label=name)
        style.theory(axes, conditions, conditions / 2 * np.log(1e6), "theory: κ/2, √κ and √κ/2, times ln 10⁶")
        for factor in (1, 1 / 2):
            style.theory(axes, conditions, factor * np.sqrt(conditions) * np.log(1e6), None)
        style.name_axes(axes, "condition number κ", "updates", "Each method at its best numbers for κ", log="xy")
        axes.legend()


def updates_on_moons(run: Any, make: Callable[[list[Any], float], Any]) -> tuple[float, float]:
    """The first rate, and the number of updates, that train a network of 16 units to a third of its first loss; or nan."""
    (seed,) = run.seeds(1, 1)
    x, y = moons(100, noise=0.1, generator=tg.Generator().manual_seed(seed))
    y = y.float().unsqueeze(1)
    for rate in (0.1, 0.4, 0.03):
        tg.manual_seed(seed)
        model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        optimizer = make(list(model.parameters()), rate)

        def closure(optimizer: Any = optimizer, model: Any = model) -> Any:
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(x), y)
            loss.backward()
            return loss

        first = optimizer.step(closure).item()
        for k in range(2, 500):
            if optimizer.step(closure).item() < first / 3:
                return rate, k
    return np.nan, np.nan
