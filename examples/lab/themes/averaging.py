"""The bound on the last iterate of SGD, and what averaging the iterates gains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import optim
from tinygrad_lite.nn import functional as F
from tinygrad_lite.optim import averaging
from tinygrad_lite.optim.lr_scheduler import InverseTimeLR

from .. import style
from ..core import HOLDS_IF, Run, at_least, at_most, exactly, experiment, within
from ..tools import follow, log_spaced, slope, slope_over_seeds


class Path(NamedTuple):
    """Excess losses over the updates `at`, of the last iterates and of averages: each (seeds, len(at))."""

    at: np.ndarray
    excess: dict[str, np.ndarray]
    steepest: float  # the largest mean of ‖g‖² at any update


def descend(
    w: Any,
    loss: Callable[[Any], Any],
    excess: Callable[[Any], Any],
    at: np.ndarray,
    averages: dict[str, Callable[[Any], averaging.Average]],
    **schedule: float,
) -> Path:
    """SGD on `loss(w)`, a loss for each seed from an instance drawn for each, at the rates of InverseTimeLR(**schedule) from 1."""
    optimizer = optim.SGD([w], lr=1.0)
    rates = InverseTimeLR(optimizer, **schedule)
    kept = {name: make(optimizer) for name, make in averages.items()}
    squares = []

    def update() -> None:
        optimizer.zero_grad()
        loss(w).sum().backward()
        squares.append(float((w.grad.numpy() ** 2).sum() / len(w)))
        optimizer.step()
        rates.step()

    def measure() -> np.ndarray:
        with tg.no_grad():
            return np.array([excess(each).numpy() for each in (w, *(average.averages[0] for average in kept.values()))]).T

    curves = follow(update, measure, at)
    return Path(at, dict(zip(["the last iterate", *kept], curves)), max(squares))


class Machine(NamedTuple):
    """A support vector machine: the mean hinge loss over instances x (n, d), y (n,), and a penalty λ ‖w‖² / 2."""

    x: Any
    y: Any
    penalty: float
    lowest: float

    def losses(self, w: Any, i: np.ndarray) -> Any:
        """For each run its loss at one instance: (seeds, d), (seeds,) -> (seeds,)."""
        return F.relu(1 - self.y[i] * (w * self.x[i]).sum(1)) + self.penalty / 2 * (w * w).sum(1)

    def excess(self, w: Any) -> Any:
        return F.relu(1 - self.y * (w @ self.x.T)).mean(1) + self.penalty / 2 * (w * w).sum(1) - self.lowest


def machine(draw: np.random.Generator, n: int = 300, penalty: float = 0.1) -> Machine:
    """Two overlapping classes. The minimum is that of the dual problem, by coordinate ascent (Shalev-Shwartz and Zhang 2013)."""
    x = draw.uniform(-1.5, 1.5, (n, 3))
    y = np.sign(x @ np.array([1.0, -1.0, 0.5]) + 1.5 * draw.normal(size=n))
    signed, dual, w = y[:, None] * x, np.zeros(n), np.zeros(3)
    for _ in range(50):  # enough for a gap below 1e-8
        for i, row in enumerate(signed):
            moved = min(max(dual[i] + penalty * n * (1 - row @ w) / (row @ row), 0.0), 1.0)
            w += (moved - dual[i]) * row / (penalty * n)
            dual[i] = moved
    return Machine(tg.tensor(x), tg.tensor(y), penalty, dual.mean() - penalty / 2 * w @ w)


def worst_case(updates: int, averages: dict[str, Callable[[Any], averaging.Average]], strongly: bool) -> tuple[dict[str, float], float]:
    """f(w) - f* after so many updates on the function that Harvey et al. (2019) made for them, with its lowest subgradient.

    f is the largest of the planes hᵢ·w, i = 1, ..., T + 1; plus ‖w‖²/2 where `strongly`. Each update lowers one plane and raises
    all later ones, so that the last iterate is bad, though the start is the minimum, f* = 0. The rates are 1/t or 1/√t. Also the
    largest ‖g‖².
    """
    t = np.arange(1, updates + 1)
    raised = 1 / ((2 if strongly else 8) * (updates + 1 - t))
    lowered = np.ones(updates) if strongly else np.sqrt(t / updates) / 2
    planes = np.vstack([np.tril(np.tile(raised, (updates, 1)), -1) - np.diag(lowered), raised])
    bowl = 0.5 if strongly else 0.0
    w = tg.zeros(updates, dtype=tg.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    rates = InverseTimeLR(optimizer, power=1.0 if strongly else 0.5)
    kept, squares = {name: make(optimizer) for name, make in averages.items()}, []
    for _ in t:
        heights = planes @ w.detach().numpy()
        first = int(np.argmax(heights > heights.max() - 1e-12))  # of the highest planes: any of them is a subgradient
        optimizer.zero_grad()
        (tg.tensor(planes[first]) @ w + bowl * (w @ w)).backward()
        squares.append(float((w.grad.numpy() ** 2).sum()))
        optimizer.step()
        rates.step()
    points = {"the last iterate": w.detach().numpy(), **{name: average.averages[0].numpy() for name, average in kept.items()}}
    return {name: float((planes @ point).max() + bowl * point @ point) for name, point in points.items()}, max(squares)


def mean(iterates: Any) -> averaging.Average:
    return averaging.Equal(iterates)


def polynomial(iterates: Any) -> averaging.Average:
    return averaging.PolynomialDecay(iterates, gamma=3.0)


AVERAGES: dict[str, Callable[[Any], averaging.Average]] = {"the plain mean": mean, "polynomial decay, γ = 3": polynomial}


def bowl_with_a_kink(w: Any) -> Any:
    """E ((w - x)²/2 + |w|) - its minimum, for x ~ N(1/2, 1): 1-strongly convex, with a kink at the minimum 0; mean over dimensions."""
    return (w * w / 2 - w / 2 + w.abs()).mean(1)


def two_slopes(w: Any) -> Any:
    """The largest of 2w and -w/2: convex, with a kink at the minimum 0; mean over dimensions."""
    return tg.maximum(2 * w, -w / 2).mean(1)


def svm_loss(svm: Machine, draw: np.random.Generator) -> Callable[[Any], Any]:
    return lambda w: svm.losses(w, draw.integers(len(svm.x), size=len(w)))


def bowl_loss(draw: np.random.Generator) -> Callable[[Any], Any]:
    """For each run the loss of an instance x: (w - x)²/2 + |w|."""
    return lambda w: ((w - tg.tensor(0.5 + draw.normal(size=w.shape))) ** 2 / 2 + w.abs()).sum(1)


def slopes_loss(draw: np.random.Generator) -> Callable[[Any], Any]:
    """For each run the loss of an instance x: max(2w, -w/2) + x w."""
    return lambda w: (tg.maximum(2 * w, -w / 2) + tg.tensor(draw.normal(size=w.shape)) * w).sum(1)


@experiment(
    46,
    title="The bound on the last iterate",
    claim="If f is λ-strongly convex, E‖g‖² ≤ G² and η = 1/(λt), then E f(w_T) - f* ≤ 17 G² (1 + log T) / (λT) for T > 1.",
    numbers=[
        at_most("largest part of the bound, a support vector machine", 1, "Shamir and Zhang (2013), theorem 1, with G² the largest mean of ‖g‖²"),
        at_most("largest part of the bound, a bowl with a kink", 1, "the same"),
        at_most("largest part of the bound, the worst function for each T", 1, "the same"),
        at_most("largest ‖g‖² over (2R)², a support vector machine", 1, "‖x‖ ≤ R gives ‖w‖ ≤ R/λ with these rates, and so ‖g‖ ≤ 2R: the condition holds"),
    ],
)
def the_bound_on_the_last_iterate(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(200, 400))), run.choose(1200, 10_000)
    svm, at = machine(draw), log_spaced(2, updates, 40)
    zeros = [tg.zeros(seeds, d, dtype=tg.float64, requires_grad=True) for d in (3, 4)]
    paths = {
        "a support vector machine": descend(zeros[0], svm_loss(svm, draw), svm.excess, at, {}, strong_convexity=svm.penalty),
        "a bowl with a kink": descend(zeros[1], bowl_loss(draw), lambda w: 4 * bowl_with_a_kink(w), at, {}, strong_convexity=1.0),
    }
    with run.figure(
        "Excess loss of the last iterate in units of G²/λ, for two problems and for a function made for each T, all below the bound."
    ) as axes:
        for (name, path), strength in zip(paths.items(), (svm.penalty, 1.0)):
            parts = strength * path.excess["the last iterate"] / path.steepest
            run.judge(f"largest part of the bound, {name}", (parts.mean(0) * at / (17 * (1 + np.log(at)))).max())
            style.band(axes, at, parts, name, centre=np.mean)
        lengths = 2 ** np.arange(2, run.choose(9, 11))
        worst = np.array([last["the last iterate"] / steepest for last, steepest in (worst_case(T, {}, True) for T in lengths)])
        run.judge("largest part of the bound, the worst function for each T", (worst * lengths / (17 * (1 + np.log(lengths)))).max())
        axes.plot(lengths, worst, "x", label="the worst function for each T")
        style.theory(axes, at, 17 * (1 + np.log(at)) / at, "bound: 17 (1 + log T) / T")
        style.name_axes(axes, "updates T", "λ (f(w_T) - f*) / G²", f"mean of {seeds} seeds, middle 80 %", log="xy")
        axes.legend()
    longest = float((svm.x.numpy() ** 2).sum(1).max())
    run.judge("largest ‖g‖² over (2R)², a support vector machine", paths["a support vector machine"].steepest / (4 * longest))


@experiment(
    47,
    title="The last iterate",
    claim="The last iterate converges like log T / T on strongly convex losses and like log T / √T on convex ones.",
    numbers=[
        at_most("slope, strongly convex: a support vector machine", -0.85, "log T / T has a slope of -1 + 1/log T, -0.86 at T = 1000"),
        at_most("slope, strongly convex: a bowl with a kink", -0.85, "the same"),
        at_most("slope, convex: slopes 2 and -1/2", -0.35, "log T / √T has a slope of -1/2 + 1/log T, -0.36 at T = 1000"),
        at_least("T (f - f*) / log T, strongly convex: smallest on the worst functions", 1 / 4, "Harvey et al. (2019), theorem 3.1: the log is needed"),
        at_least("√T (f - f*) / log T, convex: smallest on the worst functions", 1 / 32, "Harvey et al. (2019), the same for Lipschitz functions"),
        at_most("growth of these two ratios with T (largest slope)", 0.0, "log T is enough: the ratios do not grow"),
    ],
)
def the_last_iterate(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(200, 400))), run.choose(1000, 8000)
    svm, at = machine(draw), log_spaced(10, updates, 30)
    late = at >= updates / 30

    def start(d: int) -> Any:
        return tg.zeros(seeds, d, dtype=tg.float64, requires_grad=True)

    strong = {
        "a support vector machine": descend(start(3), svm_loss(svm, draw), svm.excess, at, {}, strong_convexity=svm.penalty),
        "a bowl with a kink": descend(start(4), bowl_loss(draw), bowl_with_a_kink, at, {}, strong_convexity=1.0),
    }
    convex = {"slopes 2 and -1/2": descend(start(4), slopes_loss(draw), two_slopes, at, {}, power=0.5)}
    lengths = 2 ** np.arange(4, run.choose(9, 11))
    growths = []
    with run.figure(
        "Excess loss of the last iterate times T (left, strongly convex) and times √T (right, convex). On ordinary problems it is level; on "
        "the functions made for each T it grows with log T.",
        2,
    ) as axes:
        for axis, strongly, kind, paths, power, least in zip(axes, (True, False), ("strongly convex", "convex"), (strong, convex), (1, 0.5), (1 / 4, 1 / 32)):
            for name, path in paths.items():
                excess = path.excess["the last iterate"]
                measured = slope_over_seeds(at[late], excess[:, late])
                run.judge(f"slope, {kind}: {name}", *measured)
                strength = svm.penalty if path is strong["a support vector machine"] else 1.0
                style.band(axis, at, strength * excess * at**power, f"{name}: slope {measured.value:.2f}", centre=np.mean)
            worst = np.array([worst_case(T, {}, strongly)[0]["the last iterate"] for T in lengths]) * lengths**power
            ratio = worst / np.log(lengths)
            growths.append(np.polyfit(np.log(lengths), np.log(ratio), 1)[0])
            factor = "T" if strongly else "√T"
            run.judge(f"{factor} (f - f*) / log T, {kind}: smallest on the worst functions", ratio.min())
            axis.plot(lengths, worst, "x", label="the worst function for each T", color=style.COLOURS[3])
            style.theory(axis, lengths, least * np.log(lengths), f"theory for these: at least log T / {1 / least:.0f}")
            style.name_axes(axis, "updates T", f"{'λ' if strongly else ''} {factor} (f(w_T) - f*)", f"{kind}: {seeds} seeds, middle 80 %", log="x")
            axis.set_ylim(0, 4)
            axis.legend(loc="upper right")
    run.judge("growth of these two ratios with T (largest slope)", max(growths))
    run.remark(
        "log T is a bound that is attained: functions made for a given T have it. On the other problems measured here it does not appear, "
        "and the last iterate converges like 1/T and 1/√T."
    )


@experiment(
    48,
    title="Averages of the iterates",
    claim="Averaging the iterates improves log T / T to 1/T, and log T / √T to 1/√T.",
    numbers=[
        at_most("slope, strongly convex: the plain mean", -0.95, "the claim: -1; 0.05 for a finite number of seeds"),
        at_most("slope, convex: the plain mean", -0.45, "the claim: -1/2"),
        at_most("slope, strongly convex: polynomial decay, γ = 3", -0.95, "-1", under_the_condition=True),
        at_most("slope, convex: polynomial decay, γ = 3", -0.45, "-1/2", under_the_condition=True),
        at_most("slope, worst strongly convex functions: polynomial decay, γ = 3", -0.95, "-1; the last iterate has -0.87", under_the_condition=True),
        at_most("slope, worst convex functions: polynomial decay, γ = 3", -0.45, "-1/2; the last iterate has -0.31", under_the_condition=True),
    ],
    verdict=HOLDS_IF,
    condition="late iterates weigh more than early ones, as in polynomial decay; the plain mean keeps log T / T on strongly convex losses",
)
def averages_of_the_iterates(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(300, 400))), run.choose(1200, 10_000)
    at, lengths = log_spaced(10, updates, 30), 2 ** np.arange(4, run.choose(9, 11))
    late, rows = at >= updates / 100, []
    problems = (
        ("strongly convex", bowl_loss(draw), bowl_with_a_kink, 1.0, {"strong_convexity": 1.0}),
        ("convex", slopes_loss(draw), two_slopes, 0.5, {"power": 0.5}),
    )
    with run.figure(
        "Excess loss times T (strongly convex) or √T (convex), so that the rates claimed for averages are level. Above: a bowl with a "
        "kink, and two slopes. Below: the functions made against the last iterate.",
        2,
        2,
    ) as ((*above,), (*below,)):
        for i, (kind, loss, exact, power, schedule) in enumerate(problems):
            w = tg.zeros(seeds, 4, dtype=tg.float64, requires_grad=True)
            path = descend(w, loss, exact, at, AVERAGES, **schedule)
            worst = [worst_case(T, AVERAGES, kind == "strongly convex")[0] for T in lengths]
            for name, excess in path.excess.items():
                measured = slope_over_seeds(at[late], excess[:, late])
                against = np.array([each[name] for each in worst])
                rows.append([kind, name, measured.value, slope(lengths, against)])
                if f"slope, {kind}: {name}" in (number.name for number in run.experiment.numbers):
                    run.judge(f"slope, {kind}: {name}", *measured)
                style.band(above[i], at, excess * at**power, name, centre=np.mean)
                below[i].plot(lengths, against * lengths**power, "o-", markersize=3, label=name)
            run.judge(f"slope, worst {kind} functions: polynomial decay, γ = 3", rows[-1][-1])
            factor = "T" if power == 1 else "√T"
            style.name_axes(above[i], "updates T", f"{factor} (f - f*)", f"{kind}: {seeds} seeds, middle 80 %", log="x")
            style.name_axes(below[i], "updates T", f"{factor} (f - f*)", f"{kind}: the worst functions", log="x")
            below[i].set_xscale("log", base=2)
            above[i].legend()
    run.table(["loss", "iterate", "slope", "slope on the worst functions"], rows)


@experiment(
    48,
    title="The mean of iterates at slowly falling rates",
    claim="The mean of the iterates converges like 1/T though the rates fall more slowly than 1/t (Polyak and Juditsky 1992).",
    numbers=[
        within("slope, the last iterate", -0.7, -0.5, "theory for rates t^-0.6: -0.6; ± 0.1"),
        within("slope, the plain mean", -1.1, -0.9, "theory: -1; ± 0.1"),
        within("T (f - f*) of the mean at the end, over d/2", 0.85, 1.25, "theory: 1 in the limit, as no method does better; ± 15 %, and 10 % for the way there"),
    ],
)
def the_mean_at_slowly_falling_rates(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(400, 400))), run.choose(2000, 20_000)
    at = log_spaced(20, updates, 30)
    curvatures = tg.tensor([0.5, 0.75, 1.0], dtype=tg.float64)

    def excess(w: Any) -> Any:
        return (curvatures * w * w).sum(1) / 2

    def loss(w: Any) -> Any:  # gradient noise of variance h in each dimension of curvature h
        return excess(w) + (curvatures**0.5 * tg.tensor(draw.normal(size=w.shape)) * w).sum(1)

    w = tg.ones(seeds, 3, dtype=tg.float64, requires_grad=True)
    path = descend(w, loss, excess, at, {"the plain mean": mean}, power=0.6)
    late = at >= updates / 10
    with run.figure("Excess loss at rates t^-0.6: the last iterate falls like T^-0.6, the mean of all iterates like 1/T.") as axes:
        for name, curve in path.excess.items():
            measured = slope_over_seeds(at[late], curve[:, late])
            run.judge(f"slope, {name}", *measured)
            style.band(axes, at, curve, f"{name}: slope {measured.value:.2f}", centre=np.mean)
        style.theory(axes, at, 1.5 / at, "the best any method can do: d / 2T")
        style.name_axes(axes, "updates T", "f(w) - f*", f"mean of {seeds} seeds, middle 80 %", log="xy")
        axes.legend()
    run.judge("T (f - f*) of the mean at the end, over d/2", updates * path.excess["the plain mean"][:, -1].mean() / 1.5)


@experiment(
    49,
    title="Without smoothness",
    claim="The rates of SGD need no smoothness of the loss: subgradients suffice.",
    numbers=[
        within("slope, hinge loss with a penalty, rates 1/(λt)", -1.1, -0.9, "theory: -1, as for smooth losses; ± 0.1"),
        within("slope, absolute error, rates 1/√t", -0.55, -0.45, "theory: -1/2, as for smooth losses; ± 0.05"),
        at_most("largest violation of f(v) ≥ f(w) + g (v - w) at kinks w", 0.0, "backward gives a subgradient g there"),
        at_least("batch descent at a constant rate on absolute errors: late excess loss over early", 0.9, "there smoothness is needed: it stays"),
    ],
)
def without_smoothness(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(800, 800))), run.choose(1200, 10_000)
    at = log_spaced(10, updates, 30)
    late = at >= updates / 20
    svm = machine(draw)
    targets = tg.tensor(np.arange(-2, 3)[:, None] + draw.uniform(-0.3, 0.3, (5, 4)))  # five numbers in each of four dimensions
    middle = targets.sort(0)[0][2]  # the median minimizes the mean absolute error

    def absolute_errors(w: Any) -> Any:
        """At one of the five numbers, drawn for each run and dimension."""
        drawn = tg.tensor(targets.numpy()[draw.integers(5, size=w.shape), np.arange(4)])
        return F.l1_loss(w, drawn, reduction="none").sum(1)

    def mean_error(w: Any) -> Any:
        return (w.unsqueeze(1) - targets).abs().mean(1).sum(1)

    def excess(w: Any) -> Any:
        return mean_error(w) - mean_error(middle.unsqueeze(0))

    zeros = [tg.zeros(seeds, d, dtype=tg.float64, requires_grad=True) for d in (3, 4)]
    paths = {
        "hinge loss with a penalty, rates 1/(λt)": descend(zeros[0], svm_loss(svm, draw), svm.excess, at, {}, strong_convexity=svm.penalty),
        "absolute error, rates 1/√t": descend(zeros[1], absolute_errors, excess, at, {}, power=0.5),
    }
    batch = tg.zeros(1, 4, dtype=tg.float64, requires_grad=True)
    descent, stuck = optim.SGD([batch], lr=0.1), []
    for _ in range(500):
        descent.zero_grad()
        mean_error(batch).sum().backward()
        descent.step()
        stuck.append(excess(batch).item())
    run.judge("batch descent at a constant rate on absolute errors: late excess loss over early", max(stuck[-50:]) / max(stuck[200:250]))
    run.judge("largest violation of f(v) ≥ f(w) + g (v - w) at kinks w", max(violation(f) for f in (F.relu, tg.abs, lambda w: tg.maximum(2 * w, -w))))
    with run.figure("Excess loss of SGD with subgradients on two losses with kinks: the slopes are those of smooth losses.") as axes:
        for name, path in paths.items():
            curve = path.excess["the last iterate"]
            measured = slope_over_seeds(at[late], curve[:, late])
            run.judge(f"slope, {name}", *measured)
            style.band(axes, at, curve, f"{name}: slope {measured.value:.2f}", centre=np.mean)
        axes.plot(np.arange(1, 501), stuck, label="absolute error, batch descent at η = 0.1", color=style.COLOURS[6], linewidth=1)
        style.theory(axes, at, 2 / np.sqrt(at), "theory: E (w - w*) f′ = η E g²/2")
        style.name_axes(axes, "updates k", "f(w) - f*", f"mean of {seeds} seeds, middle 80 %", log="xy")
        axes.legend()


def violation(f: Callable[[Any], Any]) -> float:
    """How far the line that touches f at its kink 0, with the slope that backward gives, lies above f elsewhere."""
    w = tg.zeros(1, dtype=tg.float64, requires_grad=True)
    f(w).sum().backward()
    v = tg.linspace(-1, 1, 201, dtype=tg.float64)
    with tg.no_grad():
        return max(0.0, (w.grad * v - f(v)).max().item())


@experiment(
    50,
    title="Polynomial-decay averaging",
    claim="w̄_t = (1 - (γ+1)/(t+γ)) w̄_{t-1} + (γ+1)/(t+γ) w_t with γ such as 3 reaches 1/T on strongly convex and 1/√T on convex losses.",
    numbers=[
        at_most("largest difference between the library's average and the formula", 1e-12, "equal up to rounding"),
        at_most("largest difference between the library's average and the weighted sum", 1e-12, "weights Γ(t+γ)/Γ(t), divided by their sum"),
        at_most("largest distance of a sum of weights from 1", 1e-12, "equal up to rounding"),
        at_most("largest difference between γ = 0 and the plain mean", 1e-12, "equal up to rounding"),
        exactly("the weight of the first iterate in the first average", 1, "(γ+1)/(1+γ)"),
        within("slope, strongly convex, γ = 3", -1.1, -0.9, "the claim: -1; ± 0.1"),
        within("slope, convex, γ = 3", -0.6, -0.4, "the claim: -1/2; ± 0.1"),
    ],
)
def polynomial_decay_averaging(run: Run) -> None:
    draw, seeds, updates = run.generator(), len(list(run.seeds(200, 400))), run.choose(1000, 10_000)
    gammas = (0, 1, 3, 10)
    at = log_spaced(10, updates, 30)
    late = at >= updates / 10
    makes = {f"γ = {gamma}": lambda iterates, gamma=gamma: averaging.PolynomialDecay(iterates, gamma) for gamma in gammas}

    # the formula and the weighted sum, on the iterates of one short run
    w = tg.zeros(3, dtype=tg.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=lambda k: 1 / (k + 1))
    kept = {gamma: averaging.PolynomialDecay(optimizer, gamma) for gamma in gammas}
    plain, formula, iterates = averaging.Equal(optimizer), dict.fromkeys(gammas, np.zeros(3)), []
    to_formula, to_sum, to_mean = [], [], []
    for t in range(1, 201):
        optimizer.zero_grad()
        ((w - tg.tensor(draw.normal(size=3))) ** 2).sum().backward()
        optimizer.step()
        iterates.append(w.detach().numpy().copy())
        for gamma, average in kept.items():
            share = (gamma + 1) / (t + gamma)
            formula[gamma] = (1 - share) * formula[gamma] + share * iterates[-1]
            powers = np.prod([np.arange(1.0, t + 1) + i for i in range(gamma)], axis=0, initial=1.0) * np.ones(t)  # Γ(i + γ) / Γ(i)
            to_formula.append(abs(average.averages[0].numpy() - formula[gamma]).max())
            to_sum.append(abs(average.averages[0].numpy() - powers / powers.sum() @ np.array(iterates)).max())
        to_mean.append(abs(kept[0].averages[0].numpy() - plain.averages[0].numpy()).max())
    run.judge("largest difference between the library's average and the formula", max(to_formula))
    run.judge("largest difference between the library's average and the weighted sum", max(to_sum))
    run.judge("largest difference between γ = 0 and the plain mean", max(to_mean))
    run.judge("largest distance of a sum of weights from 1", max(abs(sum(average.weights(t)) - 1) for average in kept.values() for t in (1, 10, 200)))
    run.judge("the weight of the first iterate in the first average", kept[3].weight(1))

    strong = descend(
        tg.zeros(seeds, 4, dtype=tg.float64, requires_grad=True), bowl_loss(draw), bowl_with_a_kink, at, makes, strong_convexity=1.0
    )
    convex = descend(tg.zeros(seeds, 4, dtype=tg.float64, requires_grad=True), slopes_loss(draw), two_slopes, at, makes, power=0.5)
    run.judge("slope, strongly convex, γ = 3", *slope_over_seeds(at[late], strong.excess["γ = 3"][:, late]))
    run.judge("slope, convex, γ = 3", *slope_over_seeds(at[late], convex.excess["γ = 3"][:, late]))
    with run.figure(
        "Left: the weights of 200 iterates in their average. Middle and right: excess loss times T on a bowl with a kink, and times √T on two "
        "slopes; with γ of 1 or more both are level.",
        3,
    ) as (left, middle, right):
        for gamma, average in kept.items():
            left.plot(np.arange(1, 201), average.weights(200), label=f"γ = {gamma}")
        style.name_axes(left, "iterate t", "weight in the average", "weights for T = 200")
        for axes, path, power, factor in ((middle, strong, 1, "T"), (right, convex, 0.5, "√T")):
            for name, curve in path.excess.items():
                axes.plot(at, curve.mean(0) * at**power, label=name, color=style.COLOURS[6] if name == "the last iterate" else None)
            style.name_axes(axes, "updates T", f"{factor} (f - f*)", "strongly convex" if power == 1 else "convex", log="x")
        left.legend()
        middle.legend()
