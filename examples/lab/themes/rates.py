"""How fast: the conditions on the rates, and the number of updates that batch descent and SGD need.

Seeds run side by side: a parameter of shape (seeds, dimensions) holds one run a row, and the sum of their losses has the
gradient of each run in its row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import optim
from tinygrad_lite.nn import functional as F
from tinygrad_lite.optim.curvature import Hessian, spectrum
from tinygrad_lite.optim.lr_scheduler import InverseTimeLR, robbins_monro
from tinygrad_lite.optim.noise import per_sample_gradients
from tinygrad_lite.optim.progress import Progress, iterations_to
from tinygrad_lite.optim.stopping import kind_of_point

from .. import style
from ..core import HOLDS_IF, Run, at_least, at_most, exactly, experiment, within
from ..tools import follow, log_spaced, mean_of, slope_over_seeds

Loss = Callable[[Any, Any, Any], Any]  # weights (..., d), inputs (..., d), targets (...) -> a loss for each instance (...)


@dataclass(frozen=True)
class Problem:
    """The mean of `loss` over the instances x (n, d), y (n,), with its minimum."""

    name: str
    loss: Loss
    x: Any
    y: Any
    steepest: float  # no instance's loss has a larger curvature
    optimum: Any  # (d,)
    lowest: float

    def full_loss(self, w: Any) -> Any:
        """The loss over all instances, for each run: (seeds, d) -> (seeds,)."""
        return self.loss(w.unsqueeze(1), self.x, self.y).mean(1)

    def excess(self, w: Any) -> np.ndarray:
        """f(w) - f(w*) for each run."""
        with tg.no_grad():
            return self.full_loss(w).numpy() - self.lowest

    def distance(self, w: Any) -> np.ndarray:
        """The distance of each run from the optimum."""
        return np.linalg.norm(w.detach().numpy() - self.optimum.numpy(), axis=1)

    def curvature(self, w: Any) -> Hessian:
        return Hessian(self.loss(w, self.x, self.y).mean(), [w])


def problem(name: str, loss: Loss, x: np.ndarray, y: np.ndarray, steepest: float) -> Problem:
    """The mean of `loss` over these instances; Newton's method finds its minimum."""
    inputs, targets = tg.tensor(x), tg.tensor(y)
    w = tg.zeros(x.shape[1], dtype=tg.float64, requires_grad=True)
    newton = optim.Newton([w])
    for _ in range(12):
        newton.step(lambda: loss(w, inputs, targets).mean())
    w = w.detach()
    return Problem(name, loss, inputs, targets, steepest, w, loss(w, inputs, targets).mean().item())


def quadratic_loss(w: Any, x: Any, y: Any) -> Any:
    """A bowl of curvatures 1 and 4 about each instance; its mean is a bowl about the mean."""
    return (tg.tensor([1.0, 4.0], dtype=tg.float64) * (w - x) ** 2).sum(-1) / 2


def ridge_loss(w: Any, x: Any, y: Any, penalty: float = 0.1) -> Any:
    return (((w * x).sum(-1) - y) ** 2 + penalty * (w * w).sum(-1)) / 2


def logistic_loss(w: Any, x: Any, y: Any, penalty: float = 0.1) -> Any:
    """Classes y = 1 and -1."""
    return F.softplus(-y * (w * x).sum(-1)) + penalty / 2 * (w * w).sum(-1)


def three_problems(draw: np.random.Generator, n: int = 200, widths: Sequence[float] = (1, 1, 1)) -> list[Problem]:
    """A quadratic, ridge regression and logistic regression. The inputs come from a box, so that no instance is steep."""
    x = draw.uniform(-1.5, 1.5, (n, 3)) * np.array(widths)
    y = x @ np.array([1.0, -1.0, 0.5]) + 1.5 * draw.normal(size=n)
    longest = (x**2).sum(1).max()
    return [
        problem("quadratic", quadratic_loss, draw.normal(size=(n, 2)), np.zeros(n), 4.0),
        problem("ridge regression", ridge_loss, x, y, longest + 0.1),
        problem("logistic regression", logistic_loss, x, np.sign(y), longest / 4 + 0.1),
    ]


def bounds_on_the_curvature(each: Problem) -> tuple[float, float]:
    """λ and L: no curvature of the loss, at any w, is smaller or larger."""
    at_optimum = each.curvature(each.optimum.clone().requires_grad_())
    if each.loss is not logistic_loss:  # quadratic: the same everywhere
        return spectrum(at_optimum.__matmul__, at_optimum.gradient)[:2]
    x = each.x.numpy()
    return 0.1, 0.1 + np.linalg.eigvalsh(x.T @ x / len(x))[-1] / 4  # the softplus has curvatures from 0 to 1/4


def sgd(each: Problem, w: Any, scale: float, draw: np.random.Generator) -> Callable[[], None]:
    """SGD with one instance an update, drawn with replacement, and rates that start at 1 / steepest and end as scale / k."""
    optimizer = optim.SGD([w], lr=1 / each.steepest)
    schedule = InverseTimeLR(optimizer, delay=scale * each.steepest)

    def update() -> None:
        i = draw.integers(len(each.x), size=len(w))
        optimizer.zero_grad()
        each.loss(w, each.x[i], each.y[i]).sum().backward()
        optimizer.step()
        schedule.step()

    return update


def limit_of_k_times_the_excess(each: Problem, scale: float) -> float:
    """The limit of k E(f(wₖ) - f*) for rates scale / k, from the Hessian and the gradient noise at the optimum (Fabian 1968)."""
    w = each.optimum.clone().requires_grad_()
    curvatures, directions = np.linalg.eigh(each.curvature(w).matrix())
    gradients = per_sample_gradients(lambda i: each.loss(w, each.x[i], each.y[i]), [w], len(each.x)) @ directions
    return float((curvatures * scale**2 * gradients.var(0) / (2 * scale * curvatures - 1)).sum() / 2)


@experiment(
    41,
    title="SGD on strongly convex losses",
    claim="With rates 1/k, SGD on a strongly convex loss needs O(1/ε) updates: f(w) - f* falls like 1/k.",
    numbers=[
        within("slope, quadratic", -1.1, -0.9, "theory: -1; ± 0.1 for a finite number of seeds"),
        within("slope, ridge regression", -1.1, -0.9, "theory: -1; ± 0.1"),
        within("slope, logistic regression", -1.1, -0.9, "theory: -1; ± 0.1"),
        at_most("largest deviation from the theory's constant", 0.15, "Fabian (1968) gives the limit; 15 % for finitely many seeds and updates"),
    ],
)
def sgd_on_strongly_convex_losses(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(1000, 1000))), run.choose(1000, 10_000)
    at, deviations = log_spaced(10, updates, 30), []
    late = at >= updates / 10
    with run.figure("Excess loss of SGD with rates 1/k on three strongly convex losses: parallel to the theory's line of slope -1.") as axes:
        for each in three_problems(draw, n=100):
            scale = 1 / np.linalg.eigvalsh(each.curvature(each.optimum.clone().requires_grad_()).matrix())[0]
            w = tg.zeros(seeds, len(each.optimum), dtype=tg.float64, requires_grad=True)
            excess = follow(sgd(each, w, scale, draw), lambda w=w, each=each: each.excess(w), at)
            measured, limit = slope_over_seeds(at[late], excess[:, late]), limit_of_k_times_the_excess(each, scale)
            run.judge(f"slope, {each.name}", *measured)
            deviations.append(abs(at[-1] * excess[:, -1].mean() / limit - 1))
            style.band(axes, at, excess / limit, f"{each.name}: slope {measured.value:.2f}", centre=np.mean)
        style.theory(axes, at, 1 / at, "theory: C / k")
        style.name_axes(axes, "updates k", "(f(w) - f*) / C", f"mean of {seeds} seeds, middle 80 %", log="xy")
        axes.legend()
    run.judge("largest deviation from the theory's constant", max(deviations))


def kink(w: Any) -> Any:
    """The 1-norm: convex, with a kink at its minimum."""
    return w.abs().sum(-1)


def flat_bottom(w: Any) -> Any:
    """About w⁴/2 near the minimum, w² far from it: convex and smooth, and without curvature at the minimum."""
    return ((1 + w**4) ** 0.5 - 1).sum(-1)


@experiment(
    42,
    title="SGD on convex losses",
    claim="With rates 1/√k, SGD on a convex loss that need not be strongly convex converges like 1/√k.",
    numbers=[
        within("slope, a kink: ‖w‖₁", -0.55, -0.45, "theory: -1/2; ± 0.05 for a finite number of seeds"),
        within("slope, a flat bottom: Σ √(1 + w⁴) - 1", -0.6, -0.4, "theory: -1/2; ± 0.1, as the flat bottom forgets the start slowly"),
        at_most("largest deviation from the theory's constant", 0.25, "equilibrium, E (w - η g)² = E w²; 25 % for finitely many seeds and updates"),
    ],
)
def sgd_on_convex_losses(run: Run) -> None:
    draw, seeds, updates, d = run.generator(), len(list(run.seeds(500, 500))), run.choose(1500, 15_000), 5
    at, deviations = log_spaced(10, updates, 30), []
    late = at >= updates / 30
    with run.figure("Excess loss of SGD with rates 1/√k on two convex losses without curvature: parallel to the theory's line.") as axes:
        # Gradients g = f′ + noise of variance 1. In equilibrium E (w f′) = η E g² / 2 for each of the d coordinates; at the kink
        # w f′ = f and g² = 2, at the flat bottom w f′ = 4 f and g² = 1.
        for f, name, limit in ((kink, "a kink: ‖w‖₁", d), (flat_bottom, "a flat bottom: Σ √(1 + w⁴) - 1", d / 8)):
            w = tg.ones(seeds, d, dtype=tg.float64, requires_grad=True)
            optimizer = optim.SGD([w], lr=1.0)
            schedule = InverseTimeLR(optimizer, power=0.5)

            def update(f: Any = f, w: Any = w, optimizer: Any = optimizer, schedule: Any = schedule) -> None:
                noise = tg.tensor(draw.normal(size=(seeds, d)))
                optimizer.zero_grad()
                (f(w).sum() + (noise * w).sum()).backward()
                optimizer.step()
                schedule.step()

            excess = follow(update, lambda f=f, w=w: f(w).detach().numpy(), at)
            measured = slope_over_seeds(at[late], excess[:, late])
            run.judge(f"slope, {name}", *measured)
            deviations.append(abs(np.mean(excess[:, late] * np.sqrt(at[late])) / limit - 1))
            style.band(axes, at, excess / limit, f"{name}; slope {measured.value:.2f}", centre=np.mean)
        style.theory(axes, at, at**-0.5, "theory: C / √k")
        style.name_axes(axes, "updates k", "(f(w) - f*) / C", f"mean of {seeds} seeds, middle 80 %", log="xy")
        axes.legend()
    run.judge("largest deviation from the theory's constant", max(deviations))


@experiment(
    43,
    title="Batch descent on strongly convex losses",
    claim="Batch descent on a strongly convex loss contracts, ‖wₖ - w*‖ ≤ cᵏ ‖w₀ - w*‖, and so needs O(log 1/ε) updates. "
    "At the rate 2/(L + λ), c = (κ - 1)/(κ + 1).",
    numbers=[
        at_most("largest ‖wₖ - w*‖ / (cᵏ ‖w₀ - w*‖)", 1 + 1e-6, "the claim; 1e-6 for rounding"),
        within("log of the contraction / log c, ridge regression", 0.99, 1.01, "theory: 1, as both extreme curvatures contract by c; ± 1 %"),
        within("updates for a factor e in ε · 2 log 1/c, ridge regression", 0.95, 1.05, "theory: 1, as f is quadratic in w; ± 5 % for whole numbers"),
    ],
)
def batch_descent_on_strongly_convex_losses(run: Run) -> None:
    draw, seeds = run.generator(), len(list(run.seeds(20, 50)))
    largest = 0.0
    with run.figure("Distance from the optimum under batch descent: straight lines, none above the bound cᵏ.") as axes:
        for each in three_problems(draw, widths=(1, 0.6, 0.3)):
            low, high = bounds_on_the_curvature(each)
            c, updates = (high - low) / (high + low), 0
            w = tg.tensor(each.optimum.numpy() + draw.normal(size=(seeds, len(each.optimum))), requires_grad=True)
            optimizer = optim.SGD([w], lr=2 / (high + low))
            distances, losses = [each.distance(w)], [each.excess(w)]
            while c**updates > 1e-9:
                optimizer.zero_grad()
                each.full_loss(w).sum().backward()
                optimizer.step()
                updates += 1
                distances.append(each.distance(w))
                losses.append(each.excess(w))
            k, ratios = np.arange(updates + 1), np.array(distances).T / distances[0][:, None]
            largest = max(largest, (ratios / c**k).max())
            style.band(axes, k, ratios, f"{each.name}, c = {c:.2f}")
            axes.plot(k, c**k, **style.THEORY, label="theory: cᵏ" if each.name == "quadratic" else None)
            if each.name == "ridge regression":
                half = updates // 2
                run.judge(
                    f"log of the contraction / log c, {each.name}",
                    *mean_of([np.polyfit(k[half:], np.log(run_[half:]), 1)[0] / np.log(c) for run_ in ratios]),
                )
                tolerances = np.geomspace(1e-3, 1e-12, 50)
                needed = [[iterations_to(run_, 0.0, eps) for eps in tolerances] for run_ in np.array(losses).T]
                run.judge(
                    f"updates for a factor e in ε · 2 log 1/c, {each.name}",
                    *mean_of([np.polyfit(-np.log(tolerances), row, 1)[0] * 2 * np.log(1 / c) for row in needed]),
                )
        style.name_axes(axes, "updates k", "‖wₖ - w*‖ / ‖w₀ - w*‖", f"{seeds} starts, median and middle 80 %", log="y")
        axes.legend()
    run.judge("largest ‖wₖ - w*‖ / (cᵏ ‖w₀ - w*‖)", largest)


@experiment(
    44,
    title="Batch descent on convex losses",
    claim="Batch descent on a convex loss needs O(1/ε) updates: f(wₖ) - f* falls like 1/k, or faster.",
    numbers=[
        within("slope, least squares", -1.1, -0.9, "theory: -1, as a mean over curvatures 1, 1/2, 1/4, ... and over starts; ± 0.1 for few of them"),
        within("slope, a flat bottom: Σ √(1 + w⁴) - 1", -2.1, -1.9, "theory: -2, from dw/dk = -2 η w³; ± 0.1, as the start is not far enough"),
        at_most("largest f - f* over the bound L ‖w₀ - w*‖² / (4k + 2)", 1 + 1e-9, "Drori and Teboulle (2014), rate 1/L; 1e-9 for rounding"),
        at_least("smallest f - f* over the bound, worst function for k", 1 - 1e-9, "they show that a Huber function attains it, another for each k"),
    ],
)
def batch_descent_on_convex_losses(run: Run) -> None:
    draw, seeds, updates, d = run.generator(), len(list(run.seeds(200, 200))), run.choose(1000, 10_000), 20
    at = log_spaced(10, updates, 30)
    x = draw.normal(size=(400, d)) * 2.0 ** (-np.arange(d) / 2)  # features of ever smaller scale
    half_hessian, steepest = tg.tensor(x.T @ x / 800), float(np.linalg.eigvalsh(x.T @ x / 400)[-1])
    problems = (
        ("least squares", lambda w: ((w @ half_hessian) * w).sum(1), steepest),  # targets without noise: f* = 0, at w* = 0
        ("a flat bottom: Σ √(1 + w⁴) - 1", flat_bottom, 3.0),  # its second derivative is at most 2.6
    )
    over = []
    with run.figure("Excess loss of batch descent on convex losses, as a part of L ‖w₀ - w*‖²: the crosses lie on the bound, all else below.") as axes:
        for name, f, smoothness in problems:
            w = tg.tensor(3 * draw.normal(size=(seeds, d)), requires_grad=True)
            squares, optimizer = (w.detach().numpy() ** 2).sum(1), optim.SGD([w], lr=1 / smoothness)

            def update(f: Any = f, w: Any = w, optimizer: Any = optimizer) -> None:
                optimizer.zero_grad()
                f(w).sum().backward()
                optimizer.step()

            parts = follow(update, lambda f=f, w=w: f(w).detach().numpy(), at) / (smoothness * squares)[:, None]
            late = at >= updates / 20
            measured = slope_over_seeds(at[late], parts[:, late])
            run.judge(f"slope, {name}", *measured)
            over.append((parts * (4 * at + 2)).max())
            style.band(axes, at, parts, f"{name}; slope {measured.value:.2f}", centre=np.mean)
        ks = at[:: len(at) // 4]
        worst = [after_descent_on_the_worst_function(k) for k in ks]
        axes.plot(ks, worst, "x", label="the worst function for each k", color=style.COLOURS[3])
        style.theory(axes, at, 1 / (4 * at + 2), "the bound: 1 / (4k + 2)")
        style.name_axes(axes, "updates k", "(f(w) - f*) / (L ‖w₀ - w*‖²)", f"mean of {seeds} starts, middle 80 %", log="xy")
        axes.legend()
    run.judge("largest f - f* over the bound L ‖w₀ - w*‖² / (4k + 2)", max(over))
    run.judge("smallest f - f* over the bound, worst function for k", min(np.array(worst) * (4 * ks + 2)))


def after_descent_on_the_worst_function(updates: int) -> float:
    """f(wₖ) after k updates at the rate 1 from w₀ = 1, on the Huber function for this k (L = 1, f* = 0)."""
    w = tg.ones(1, dtype=tg.float64, requires_grad=True)
    optimizer, origin, delta = optim.SGD([w], lr=1.0), tg.zeros(1, dtype=tg.float64), 1 / (2 * updates + 1)
    for _ in range(updates):
        optimizer.zero_grad()
        F.huber_loss(w, origin, delta=delta).backward()
        optimizer.step()
    return F.huber_loss(w, origin, delta=delta).item()


@experiment(
    36,
    title="Rates k^-p",
    claim="η ∝ 1/k is the fastest falling rate that satisfies both conditions, and the best for strongly convex losses.",
    numbers=[
        exactly("powers that robbins_monro judges as the sums do", 7, "Σ k^-p is infinite for p ≤ 1, Σ k^-2p finite for p > 1/2: ok for 0.6 to 1"),
        exactly("power with the smallest excess loss at η = 0.2 k^-p / λ", 1.0, "the claim, for any constant factor"),
        exactly("power with the smallest excess loss at η = k^-p / λ", 1.0, "the claim, with the factor of item 46", under_the_condition=True),
        within("slope at p = 1, η = k^-p / λ", -1.1, -0.9, "theory: -1; ± 0.1 for a finite number of seeds", under_the_condition=True),
        at_most("largest deviation from the exact expectation", 0.2, "four standard errors of 5 % (the mean of 800 squared normal numbers)", under_the_condition=True),
    ],
    verdict=HOLDS_IF,
    condition="the rates are 1/(λk), and not a small part of that",
)
def powers_of_k(run: Run) -> None:
    draw, seeds, d, updates = run.generator(), len(list(run.seeds(200, 200))), 4, run.choose(1500, 15_000)
    powers, factors = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1], [1.0, 0.2]
    schedules = [lambda k, c=c, p=p: c * (k + 1) ** -p for c in factors for p in powers]
    judged = [bool(robbins_monro(schedule)) == (0.5 < p <= 1) for schedule, p in zip(schedules, powers)]
    run.judge("powers that robbins_monro judges as the sums do", sum(judged))

    # the mean of a normal distribution, one draw an update: f = w² / 2, λ = 1; a run for each schedule, seed and dimension
    runs = [tg.ones(seeds, d, dtype=tg.float64, requires_grad=True) for _ in schedules]
    optimizer = optim.SGD([{"params": [w], "lr": schedule} for w, schedule in zip(runs, schedules)])

    def update() -> None:
        optimizer.zero_grad()
        errors = tg.stack(runs) - tg.tensor(draw.normal(size=(seeds, d)))
        ((errors * errors).sum() / 2).backward()
        optimizer.step()

    at = log_spaced(10, updates, 30)
    excess = follow(update, lambda: np.array([(w.detach().numpy() ** 2).sum(1) / 2 for w in runs]).T, at)
    exact = np.array([expected_excess(schedule, at, d) for schedule in schedules])
    ends = excess[:, :, -1].mean(1).reshape(len(factors), len(powers))
    run.judge("power with the smallest excess loss at η = k^-p / λ", powers[ends[0].argmin()])
    run.judge("power with the smallest excess loss at η = 0.2 k^-p / λ", powers[ends[1].argmin()])
    run.judge("slope at p = 1, η = k^-p / λ", *slope_over_seeds(at, excess[powers.index(1.0)]))
    run.judge("largest deviation from the exact expectation", abs(excess[:, :, -1].mean(1) / exact[:, -1] - 1).max())
    with run.figure(
        "Left: excess loss with rates k^-p / λ. Right: after the last update, over p, for two factors; 1/k is best with the larger one only.",
        2,
    ) as (left, right):
        for i in (0, 2, 4, 5, 6):
            left.plot(at, excess[i].mean(0), label=f"p = {powers[i]}")
            style.theory(left, at, exact[i], "exact expectation" if i == 6 else "")
        style.name_axes(left, "updates k", "f(w) - f*", "η = k^-p / λ", log="xy")
        left.legend()
        for factor, measured, expected in zip(factors, excess.reshape(len(factors), len(powers), seeds, -1), exact.reshape(len(factors), len(powers), -1)):
            right.errorbar(powers, measured[:, :, -1].mean(1), 1.96 * measured[:, :, -1].std(1) / seeds**0.5, fmt="o", label=f"η = {factor:g} k^-p / λ")
            style.theory(right, powers, expected[:, -1], "exact expectation" if factor == 1 else "")
        style.name_axes(right, "power p", f"f(w) - f* after {updates} updates", "mean over seeds, 95 % interval", log="y")
        right.legend()
    run.remark(
        "p = 0.5 violates Σ η² < ∞ and yet its excess loss falls, like k^-0.5: the two conditions are sufficient and not necessary. "
        "At p = 1.1 the early noise is never quite forgotten, as later rates cannot travel far enough."
    )


def expected_excess(schedule: Callable[[int], float], at: np.ndarray, d: int) -> np.ndarray:
    """The exact E f(wₖ) on f = ‖w‖²/2 with gradient noise of variance 1 in each of d dimensions, from w₀ = (1, ..., 1)."""
    square, squares = 1.0, []
    for k in range(max(at)):
        square = (1 - schedule(k)) ** 2 * square + schedule(k) ** 2
        squares.append(square)
    return d * np.array(squares)[at - 1] / 2


@experiment(
    35,
    title="The two conditions on the rates",
    claim="SGD converges almost surely to a global or local minimum if Σ η = ∞ and Σ η² < ∞.",
    numbers=[
        exactly("schedules that robbins_monro judges as the sums do", 5, "the sums of 1/k, k^-0.75, a constant, 0.9^k and k^-1.5 are known"),
        at_least("runs that stay near a minimum, 1/k", 0.99, "almost surely: all in the limit; 1 % may still be leaving the maximum"),
        at_least("runs that stay near a minimum, 0.5 k^-0.75", 0.99, "almost surely: all in the limit; 1 % may still be leaving the maximum"),
        at_most("runs that stay near a minimum, 0.2", 0.01, "Σ η² = ∞: the noise goes on, with a standard deviation of √(η / 8) = 0.16"),
        at_most("runs that stay near a minimum, 0.1 · 0.9^k", 0.3, "Σ η = 1 from near the maximum is too short a way for most"),
        at_most("runs that stay near a minimum, 0.2 k^-1.5", 0.3, "Σ η = 0.5 from near the maximum is too short a way for most"),
    ],
)
def two_conditions_on_the_rates(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(1000, 1000))), run.choose(1600, 16_000)
    schedules: dict[str, tuple[bool, Callable[[int], float]]] = {
        "1/k": (True, lambda k: 1 / (k + 1)),
        "0.5 k^-0.75": (True, lambda k: 0.5 * (k + 1) ** -0.75),
        "0.2": (False, lambda k: 0.2),
        "0.1 · 0.9^k": (False, lambda k: 0.1 * 0.9**k),
        "0.2 k^-1.5": (False, lambda k: 0.2 * (k + 1) ** -1.5),
    }
    judged = [bool(robbins_monro(schedule)) == good for good, schedule in schedules.values()]
    run.judge("schedules that robbins_monro judges as the sums do", sum(judged))

    # two minima, at -1 and 1, and a maximum at 0, near which all runs start
    starts = 0.1 * draw.normal(size=seeds)
    runs = [tg.tensor(starts, requires_grad=True) for _ in schedules]
    optimizer = optim.SGD([{"params": [w], "lr": schedule} for w, (_, schedule) in zip(runs, schedules.values())])

    def update() -> None:
        optimizer.zero_grad()
        w, noise = tg.stack(runs), tg.tensor(draw.normal(size=seeds))
        (((w * w - 1) ** 2 + 1) ** 0.5 + noise * w).sum().backward()
        optimizer.step()

    at = np.union1d(log_spaced(1, updates // 2, 80), np.linspace(updates // 2, updates, 80).astype(int))
    weights = follow(update, lambda: np.array([w.detach().numpy() for w in runs]).T, at)
    half = list(at).index(updates // 2)
    near = abs(abs(weights) - 1) < 0.2
    stays = np.logical_and.accumulate(near[:, :, ::-1], axis=2)[:, :, ::-1].mean(1)  # near a minimum from then on
    with run.figure(
        "Left: one run with each schedule, from near the maximum at 0 between the minima at ±1. Right: the share of runs within 0.2 of a "
        "minimum from then on: nearly all where both sums are as they should, few or none elsewhere.",
        2,
    ) as (left, right):
        for name, path, share in zip(schedules, weights[:, 0], stays):
            run.judge(f"runs that stay near a minimum, {name}", share[half], share_interval(share[half], seeds))
            left.plot(at, path, label=f"η = {name}", linewidth=1)
            right.plot(at[:half], share[:half], label=f"η = {name}")
        style.name_axes(left, "updates k", "w", "one run", log="x")
        style.name_axes(right, "updates k", "share of runs", f"near a minimum from update k to {updates}, {seeds} runs", log="x")
        right.legend(loc="center right")
    run.remark("Each condition that is broken has its own fault: the constant rate jumps from one minimum to the other, the other two stop short.")


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `count` runs."""
    z = 1.96
    centre, half = share + z * z / (2 * count), z * (share * (1 - share) / count + z * z / (4 * count**2)) ** 0.5
    return (centre - half) / (1 + z * z / count), (centre + half) / (1 + z * z / count)


def network_losses(params: Sequence[Any], x: Any, y: Any, decay: float = 0.01) -> Any:
    """The losses of networks with tanh units and one output, or none hidden; one a seed: inputs (seeds or 1, n, 2) -> (seeds,)."""
    *hidden, output, output_bias = params
    z = ((tg.tanh(x @ hidden[0] + hidden[1]) if hidden else x) @ output + output_bias).squeeze(-1)
    losses = F.softplus(-y * z).mean(1)
    return losses + decay / 2 * sum((p * p).sum((1, 2)) for p in params) if decay else losses


@experiment(
    37,
    title="Convex and non-convex losses",
    claim="SGD converges to the optimum of a convex loss, and to a local minimum of a non-convex one.",
    numbers=[
        at_most("largest excess loss over that of the starts, logistic regression", 0.01, "the optimum from every start; 1 % for the noise at the end"),
        at_least("runs of the network that end within 0.05 of a local minimum", 0.9, "the claim; 0.05 is a quarter of the gap between minima, and 10 % may still be on the way"),
        exactly("local minima among 20 of the points that batch descent then finds", 20, "the Hessian there has positive eigenvalues only"),
        within("runs of the network that reach the lowest minimum", 0.2, 0.8, "local means not always lowest: neither all runs nor none, with room for chance"),
    ],
)
def convex_and_non_convex_losses(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(150, 400))), run.choose(800, 8000)
    at = log_spaced(1, updates, 40)

    convex = three_problems(draw)[2]
    w = tg.tensor(3 * draw.normal(size=(seeds, 3)), requires_grad=True)
    at_start = convex.excess(w).mean()
    excess = follow(sgd(convex, w, 5.0, draw), lambda: convex.excess(w), at)
    run.judge("largest excess loss over that of the starts, logistic regression", excess[:, -1].max() / at_start)

    # exclusive or, learned by two tanh units with weight decay
    x = tg.tensor([[[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]], dtype=tg.float64)
    y = tg.tensor([[-1.0, 1.0, 1.0, -1.0]], dtype=tg.float64)
    shapes = [(seeds, 2, 2), (seeds, 1, 2), (seeds, 2, 1), (seeds, 1, 1)]
    params = [tg.tensor(draw.normal(size=shape), requires_grad=True) for shape in shapes]
    optimizer = optim.SGD(params, lr=lambda k: 0.5 / (1 + k / 50) ** 0.75)

    def update() -> None:
        i = draw.integers(4, size=(seeds, 1))
        optimizer.zero_grad()
        network_losses(params, x[0][i], y[0][i]).sum().backward()
        optimizer.step()

    losses = follow(update, lambda: network_losses(params, x, y).detach().numpy(), at)
    descent = optim.SGD(params, lr=0.5, momentum=0.9)  # to the minimum of the basin each run is in
    for _ in range(400):
        descent.zero_grad()
        network_losses(params, x, y).sum().backward()
        descent.step()
    minima = network_losses(params, x, y).detach().numpy()
    ended = (losses[:, -1] - minima < 0.05).mean()
    run.judge("runs of the network that end within 0.05 of a local minimum", ended, share_interval(ended, seeds))
    lowest = (losses[:, -1] < minima.min() + 0.05).mean()
    run.judge("runs of the network that reach the lowest minimum", lowest, share_interval(lowest, seeds))
    kinds = []
    for i in range(20):
        one = [p[i : i + 1].detach().requires_grad_() for p in params]
        kinds.append(kind_of_point(network_losses(one, x, y).sum(), one))
    run.judge("local minima among 20 of the points that batch descent then finds", kinds.count("minimum"))
    with run.figure(
        "Full loss over the updates, 30 runs each. Left, logistic regression: all runs meet at the optimum. Right, a network: the runs "
        "end at one of two local minima.",
        2,
    ) as (left, right):
        left.plot(at, excess[:30].T + convex.lowest, color=style.COLOURS[0], linewidth=0.8, alpha=0.6)
        style.theory(left, at[[0, -1]], [convex.lowest] * 2, "the optimum, by Newton's method")
        style.name_axes(left, "updates k", "full loss", "convex: logistic regression", log="xy")
        right.plot(at, losses[:30].T, color=style.COLOURS[1], linewidth=0.8, alpha=0.6)
        for level in np.unique(minima.round(3)):
            style.theory(right, at[[0, -1]], [level] * 2, f"{(abs(minima - level) < 2e-3).mean():.0%} of the runs: {level:.3f}")
        style.name_axes(right, "updates k", "full loss", "not convex: exclusive or, two tanh units", log="x")
        for axes in (left, right):
            axes.legend()


@experiment(
    38,
    title="A learning-rate range test",
    claim="In general learning rates are found by heuristics.",
    numbers=[
        at_least("largest best rate over the smallest", 100, "features in units a hundred times smaller alone raise the curvature 10⁴-fold"),
        at_most("gain with one rate for all tasks, as a part of the best, worst task", 0.7, "no rate suits all: one task forgoes 30 % of what it could gain"),
        at_least("gain with the range test's rate, as a part of the best, worst task", 0.7, "the heuristic forgoes less than 30 % in every task"),
    ],
)
def a_range_test(run: Run) -> None:
    seeds, updates = len(list(run.seeds(20, 50))), run.choose(50, 200)
    rates = 10 ** np.arange(-4, 1.1, 0.5)
    x, y = tg.datasets.moons(400, 0.15)
    x, y = x.double(), 2 * y.double() - 1
    units = 16
    tasks = {
        "logistic regression": (x, [(seeds, 2, 1), (seeds, 1, 1)]),
        "the same, features × 100": (100 * x, [(seeds, 2, 1), (seeds, 1, 1)]),
        "a network of 16 tanh units": (x, [(seeds, 2, units), (seeds, 1, units), (seeds, units, 1), (seeds, 1, 1)]),
    }

    def train(x: Any, shapes: list[tuple[int, ...]], rate: Any) -> np.ndarray:
        """The losses of the batches (updates, seeds), and at last of all data."""
        draw = run.generator()  # the same starts and batches for each rate
        width = 1.0 if len(shapes) > 2 else 0.0  # the linear model starts at zero
        params = [tg.tensor(width * draw.normal(size=shape) / shape[1] ** 0.5, requires_grad=True) for shape in shapes]
        optimizer, losses = optim.SGD(params, lr=rate), []
        for _ in range(updates):
            i = draw.integers(len(x), size=(seeds, 20))
            optimizer.zero_grad()
            each = network_losses(params, x[i], y[i], 0.0)
            each.sum().backward()
            optimizer.step()
            losses.append(each.detach().numpy())
        losses.append(network_losses(params, x.unsqueeze(0), y.unsqueeze(0), 0.0).detach().numpy())
        return np.array(losses)

    def growing(k: int) -> float:
        return 10 ** (-5 + 7 * k / updates)

    starts, swept, found = [], [], []
    with run.figure(
        "Left: loss of a batch while the rate grows, once for each task; a dot marks a third of the rate with the lowest loss. Right: loss "
        "of all data after training at a constant rate, with the same dots.",
        2,
    ) as (left, right):
        for (name, task), colour in zip(tasks.items(), style.COLOURS):
            after = np.array([train(*task, rate)[-1] for rate in rates])
            swept.append(np.median(after, axis=1))
            losses = train(*task, growing)[:-1]
            starts.append(np.median(losses[:5]))
            smooth = np.apply_along_axis(lambda row: np.convolve(row, np.ones(5) / 5, "valid"), 0, losses)
            tested = np.array([growing(k + 2) for k in range(len(smooth))])
            suggested = tested[smooth.argmin(0)] / 3
            found.append(np.median(np.exp(np.interp(np.log(suggested), np.log(rates), np.log(swept[-1])))))
            style.band(left, tested, smooth.T, name, color=colour)
            style.band(right, rates, after.T, name, color=colour)
            rate = np.median(suggested)
            right.plot(rate, found[-1], "o", color=colour)
            left.plot(rate, np.interp(rate, tested, np.median(smooth, axis=1)), "o", color=colour)
        style.name_axes(left, "rate η", "loss of a batch", f"range test, {seeds} seeds", log="xy")
        style.name_axes(right, "rate η", f"loss after {updates} updates", "constant rates", log="xy")
        left.legend()
        for axes in (left, right):
            axes.set_ylim(0.02, 20)
    fall = np.array(starts)[:, None] - np.array(swept)  # of the loss, from before training
    run.judge("largest best rate over the smallest", rates[fall.argmax(1)].max() / rates[fall.argmax(1)].min())
    run.judge("gain with one rate for all tasks, as a part of the best, worst task", (fall / fall.max(1)[:, None]).min(0).max())
    run.judge("gain with the range test's rate, as a part of the best, worst task", ((np.array(starts) - found) / fall.max(1)).min())


@experiment(
    39,
    title="Iterations to a tolerance",
    claim="Convergence is measured by the iterations until f(wₖ) - f* < ε, with f the loss of all data, though SGD sees one instance an update.",
    numbers=[
        within("power of 1/ε in SGD's iterations", 0.85, 1.15, "theory for rates 1/k: 1; ± 0.15, as each run crosses ε several times"),
        within("batch descent's iterations for each tenth of ε, over log 10 / (2 log 1/c)", 0.9, 1.1, "theory: 1, c = 1 - η λ; ± 10 % for whole numbers"),
        at_least("share of SGD's later updates with the full loss within ε", 0.98, "ε is ten times the mean excess at the end, and five times that halfway"),
        at_most("the same share for the loss of the instance just seen", 0.2, "even at w* the losses of instances differ by much more than ε"),
    ],
)
def iterations_to_a_tolerance(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(200, 200))), run.choose(1000, 6000)
    each = three_problems(draw, n=40)[0]
    low, high = bounds_on_the_curvature(each)

    w = tg.zeros(seeds, 2, dtype=tg.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=1 / each.steepest)
    schedule = InverseTimeLR(optimizer, delay=each.steepest / low)
    seen = []

    def update() -> None:
        i = draw.integers(len(each.x), size=seeds)
        optimizer.zero_grad()
        losses = each.loss(w, each.x[i], each.y[i])
        seen.append(losses.detach().numpy())
        losses.sum().backward()
        optimizer.step()
        schedule.step()

    history = follow(update, lambda: each.excess(w), range(1, updates + 1))
    batch = tg.zeros(1, 2, dtype=tg.float64, requires_grad=True)
    descent, batch_history = optim.SGD([batch], lr=0.2 / high), []
    while not batch_history or batch_history[-1] > 1e-12:
        descent.zero_grad()
        each.full_loss(batch).sum().backward()
        descent.step()
        batch_history.append(each.excess(batch)[0])

    end = history[:, -updates // 10 :].mean()
    tolerances = np.geomspace(5 * end, 50 * end, 12)
    reached = [[iterations_to(one, 0.0, eps) for eps in tolerances] for one in history]
    needed = np.array([[updates if k is None else k + 1 for k in row] for row in reached])
    slope_ = slope_over_seeds(1 / tolerances, needed)
    run.judge("power of 1/ε in SGD's iterations", *slope_)
    small = np.geomspace(1e-3, 1e-11, 9)
    batch_needed = [iterations_to(batch_history, 0.0, eps) for eps in small]
    per_tenth = -2 * np.log(1 - 0.2 * low / high) / np.log(10)
    run.judge("batch descent's iterations for each tenth of ε, over log 10 / (2 log 1/c)", -np.polyfit(np.log10(small), batch_needed, 1)[0] * per_tenth)
    eps, half = 10 * end, updates // 2
    run.judge("share of SGD's later updates with the full loss within ε", (history[:, half:] < eps).mean())
    run.judge("the same share for the loss of the instance just seen", (abs(np.array(seen)[half:] - each.lowest) < eps).mean())
    with run.figure(
        "Left: one run of SGD on a quadratic. The loss of all data comes within ε of the minimum and stays there; that of single "
        "instances never does. Right: iterations to ε, growing like 1/ε for SGD and like log 1/ε for batch descent.",
        2,
    ) as (left, right):
        k = np.arange(1, updates + 1)
        left.plot(k[::5], abs(np.array(seen)[::5, 0] - each.lowest), ".", markersize=2, color=style.COLOURS[6], label="|loss of one instance - f*|")
        left.plot(k, history[0], label="f(w) - f*, all data")
        left.axhline(eps, color="black", linewidth=0.8)
        left.annotate("ε", (1, eps * 1.2))
        style.name_axes(left, "updates k", "loss above the minimum", "one run of SGD", log="xy")
        style.band(right, 1 / tolerances, needed, f"SGD, rates 1/k: power {slope_.value:.2f}", centre=np.mean)
        style.theory(right, 1 / tolerances, needed.mean() * (1 / tolerances) / (1 / tolerances).mean(), "slope 1")
        right.plot(1 / small, batch_needed, "o-", markersize=3, label="batch descent: log 1/ε")
        style.name_axes(right, "1 / ε", "iterations to ε", f"{seeds} seeds, mean and middle 80 %", log="xy")
        for axes in (left, right):
            axes.legend()


@experiment(
    40,
    title="Bowls below and above",
    claim="A λ-strongly convex function lies above a quadratic bowl of curvature λ that touches it, at any point.",
    numbers=[
        at_least("smallest gap to the bowl below, quadratic", -1e-9, "f(v) ≥ f(w) + ∇f(w)·(v - w) + λ/2 ‖v - w‖² at all pairs; 1e-9 for rounding"),
        at_least("smallest gap to the bowl below, ridge regression", -1e-9, "the same, with λ from the Hessian"),
        at_least("smallest gap to the bowl below, logistic regression", -1e-9, "the same, with λ = the penalty"),
        at_least("smallest gap to the bowl above, all three", -1e-9, "f(v) ≤ the same with L; for logistic regression L = penalty + largest eigenvalue of XᵀX / 4n"),
        at_most("largest deviation of spectrum from eigvalsh", 1e-9, "relative; the Lanczos iteration is exact after as many steps as dimensions"),
        at_most("smallest curvature far out, logistic regression without penalty", 1e-3, "not strongly convex: the curvature p (1 - p) tends to 0"),
    ],
)
def bowls_below_and_above(run: Run) -> None:
    draw, pairs = run.generator(), run.choose(300, 3000)
    list(run.seeds(1, 1))
    deviations, above = [], []
    with run.figure(
        "Each loss along a line through its minimum, between the bowls of curvature λ (below) and L (above) that touch it at three points.", 3
    ) as axes:
        for each, axis in zip(three_problems(draw, widths=(1, 0.6, 0.3)), axes):
            low, high = bounds_on_the_curvature(each)
            w = tg.tensor(each.optimum.numpy() + 2 * draw.normal(size=(pairs, len(each.optimum))), requires_grad=True)
            v = tg.tensor(each.optimum.numpy() + 2 * draw.normal(size=(pairs, len(each.optimum))))
            values = each.full_loss(w)
            values.sum().backward()
            apart = (v - w).detach()
            plane = values.detach() + (w.grad * apart).sum(1)
            squares = (apart * apart).sum(1) / 2
            with tg.no_grad():
                there = each.full_loss(v)
            run.judge(f"smallest gap to the bowl below, {each.name}", (there - plane - low * squares).min().item())
            above.append((plane + high * squares - there).min().item())
            for _ in range(5):  # at random points: the matrix-free ends of the spectrum, against those of the matrix
                hessian = each.curvature(tg.tensor(2 * draw.normal(size=len(each.optimum)), requires_grad=True))
                ends, exact = spectrum(hessian.__matmul__, hessian.gradient), np.linalg.eigvalsh(hessian.matrix())
                deviations += [abs(ends.smallest / exact[0] - 1), abs(ends.largest / exact[-1] - 1)]
            draw_bowls(axis, each, low, high)
    run.judge("smallest gap to the bowl above, all three", min(above))
    run.judge("largest deviation of spectrum from eigvalsh", max(deviations))
    far = tg.tensor(each.optimum.numpy() * 50, requires_grad=True)
    without = Hessian(logistic_loss(far, each.x, each.y, penalty=0.0).mean(), [far])
    run.judge("smallest curvature far out, logistic regression without penalty", spectrum(without.__matmul__, without.gradient).smallest)


def draw_bowls(axes: Any, each: Problem, low: float, high: float) -> None:
    """The loss along the diagonal through the optimum, and the bowls that touch it at three points."""
    t = np.linspace(-3, 3, 121)
    direction = np.ones(len(each.optimum)) / len(each.optimum) ** 0.5
    line = tg.tensor(each.optimum.numpy() + t[:, None] * direction, requires_grad=True)
    values = each.full_loss(line)
    values.sum().backward()
    height, slopes = values.detach().numpy(), line.grad.numpy() @ direction
    for i, colour in zip((20, 60, 95), style.COLOURS[1:]):
        for curvature in (low, high):
            axes.plot(t, height[i] + slopes[i] * (t - t[i]) + curvature / 2 * (t - t[i]) ** 2, color=colour, linewidth=1)
        axes.plot(t[i], height[i], "o", color=colour, markersize=5)
    axes.plot(t, height, color=style.COLOURS[0], linewidth=2.2, label="loss")
    axes.set_ylim(height.min() - np.ptp(height) / 3, height.max() + np.ptp(height) / 3)
    style.name_axes(axes, "w - w* along the diagonal", "full loss", f"{each.name}: λ = {low:.2f}, L = {high:.2f}")
    axes.legend()


@experiment(
    45,
    title="Updates, gradient evaluations, seconds",
    claim="Batch descent converges faster, but SGD makes T updates for each of its own, T being the number of instances.",
    numbers=[
        at_least("updates of SGD in the seconds of one batch update, over T", 0.5, "the claim in seconds; half of T for other costs of an update"),
        exactly("updates of SGD for the evaluations of one batch update, over T", 1, "gradient evaluations as counted", under_the_condition=True),
        at_most("largest excess loss of batch descent over SGD's after as many updates", 1, "batch is faster by updates", under_the_condition=True),
        at_least(
            "batch descent's evaluations over SGD's, to a tenth of the first excess loss",
            10,
            "a factor T per update, with T = 2000 or more, less the further updates that SGD needs",
            under_the_condition=True,
        ),
    ],
    verdict=HOLDS_IF,
    condition="cost is counted in gradient evaluations; in seconds, an update has costs that do not depend on the number of instances",
)
def updates_evaluations_seconds(run: Run) -> None:
    draw, seeds, instances, d = run.generator(), len(list(run.seeds(20, 40))), run.choose(2000, 8000), 10
    x = draw.uniform(-1.5, 1.5, (instances, d)) * np.geomspace(1, 0.1, d)
    loss, y = partial(logistic_loss, penalty=0.001), np.sign(4 * x.sum(1) + draw.normal(size=instances))
    each = problem("logistic regression", loss, x, y, (x**2).sum(1).max() / 4 + 0.001)
    smoothness = np.linalg.eigvalsh(x.T @ x / instances)[-1] / 4 + 0.001

    def batch_descent(w: Any) -> tuple[Callable[[], None], Progress]:
        optimizer = optim.SGD([w], lr=1 / smoothness)
        progress = Progress(optimizer, instances)

        def update() -> None:
            optimizer.zero_grad()
            each.loss(w, each.x, each.y).mean().backward()
            progress.seen(instances)
            optimizer.step()

        return update, progress

    def single_instances(w: Any) -> tuple[Callable[[], None], Progress]:
        optimizer = optim.SGD([w], lr=lambda k: 1 / (each.steepest * (1 + k / 500)))
        progress = Progress(optimizer, instances)

        def update() -> None:
            i = draw.integers(instances, size=len(w))
            optimizer.zero_grad()
            each.loss(w, each.x[i], each.y[i]).sum().backward()
            progress.seen(1)  # in each run
            optimizer.step()

        return update, progress

    def zeros(runs: int) -> Any:
        return tg.zeros(runs, d, dtype=tg.float64, requires_grad=True)

    curves, one, many = {}, zeros(1), zeros(seeds)
    first = each.excess(one)[0]
    for name, w, method, last in (("batch descent", one, batch_descent, 200), ("SGD", many, single_instances, instances)):
        update, progress = method(w)
        at = log_spaced(1, last, 40)
        excess = follow(update, lambda w=w: each.excess(w), at)
        timed, _ = method(zeros(1))
        curves[name] = (at, at * progress.evaluations / progress.updates, at * seconds_of(timed), excess)
    units = ("updates", "gradient evaluations", "seconds")
    batch, single = curves["batch descent"], curves["SGD"]
    arrived = [iterations_to(curve[3].mean(0), 0.0, first / 10) for curve in (batch, single)]
    run.judge("updates of SGD in the seconds of one batch update, over T", batch[2][0] / single[2][0] / instances)
    run.judge("updates of SGD for the evaluations of one batch update, over T", batch[1][0] / single[1][0] / instances)
    common = batch[0] <= single[0][-1]
    ratio = batch[3][0] / np.interp(np.log(batch[0]), np.log(single[0]), single[3].mean(0))
    run.judge("largest excess loss of batch descent over SGD's after as many updates", ratio[common].max())
    run.judge("batch descent's evaluations over SGD's, to a tenth of the first excess loss", batch[1][arrived[0]] / single[1][arrived[1]])
    with run.figure(
        "Excess loss of batch descent and SGD over updates, gradient evaluations and seconds: batch descent is ahead by updates, SGD by "
        "evaluations until a high accuracy is wanted.",
        3,
        sharey=True,
    ) as axes:
        for axis, column, unit in zip(axes, range(3), units):
            for name, curve in curves.items():
                style.band(axis, curve[column], curve[3], name, centre=np.mean)
            style.name_axes(axis, unit, "f(w) - f*" if not column else "", f"T = {instances} instances" if not column else "", log="xy")
            axis.legend()
    run.table(
        ["to a tenth of the first excess loss", *curves],
        [[unit, *(curve[column][i] for curve, i in zip((batch, single), arrived))] for column, unit in enumerate(units)],
    )


def seconds_of(update: Callable[[], None], repeats: int = 20) -> float:
    """The median time of an update."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        update()
        times.append(time.perf_counter() - begun)
    return float(np.median(times))
