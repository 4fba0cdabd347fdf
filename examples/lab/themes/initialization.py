"""Initialization, the cost of an iteration, and a diagnosis by five letters."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim, study
from tinygrad_lite.datasets import moons
from tinygrad_lite.optim.diagnosis import LETTERS, diagnose

from .. import style, tools
from ..core import HOLDS_IF, at_least, at_most, exactly, experiment, within
from ..tools import multiply_adds


def variances(layers: int, width: int, fill: Callable[[Any], Any], activation: Callable[[Any], Any]) -> np.ndarray:
    """The mean square of 100 samples' activations before the first layer and after each, over the input's."""
    with tg.no_grad():
        y = tg.randn(100, width, dtype=tg.float64)
        found = [y.square().mean().item()]
        for _ in range(layers):
            y = activation(y @ fill(tg.empty(width, width, dtype=tg.float64)).T)
            found.append(y.square().mean().item())
    return np.array(found) / found[0]


def predicted(layers: int, factor: float, activation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The same in a wide layer, where z is normal with variance `factor` q: q <- E activation(z)^2."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(81)
    q = [1.0]
    for _ in range(layers):
        q.append(float((weights * activation(np.sqrt(factor * q[-1]) * nodes) ** 2).sum() / weights.sum()))
    return np.array(q)


@experiment(
    53,
    title="The variance of a forward pass",
    claim="Weights drawn from N(0, σ²/m), with m the fan-in and σ² small, keep the variance of the activations level through depth.",
    verdict=HOLDS_IF,
    condition="σ² is not small but makes up for the activation: 1 without one, 2 with ReLU",
    numbers=[
        at_least("σ² = 0.01, as stated: variance after the last layer, over the input's", 0.5, "the claim: level, within a factor of 2"),
        within("σ² = 1, no activation: variance after the last layer, over the input's", 0.5, 2, "theory: 1, in wide layers",
               under_the_condition=True),
        within("σ² = 2, ReLU: variance after the last layer, over the input's", 0.5, 2, "theory: 1, in wide layers",
               under_the_condition=True),
        within("N(0, 1/100): slope of ln variance over layers, over ln(m/100)", 0.9, 1.1, "theory: a layer multiplies it by m/100"),
        within("N(0, 1/m²): slope of ln variance over layers, over ln(1/m)", 0.95, 1.05, "theory: a layer multiplies it by 1/m"),
    ],
)  # fmt: skip
def the_variance_of_a_forward_pass(run):
    layers, width = run.choose((12, 250), (20, 300))
    identity, relu = (lambda z: z), (lambda z: np.maximum(z, 0))
    scaled = lambda variance: lambda w: nn.init.scaled_normal_(w, sigma=variance**0.5)
    starts = {  # how weights are drawn, m times their variance, the activation and its NumPy twin
        "N(0, 1/m), no activation": (scaled(1), 1, identity, identity),
        "N(0, 2/m), ReLU": (scaled(2), 2, tg.relu, relu),
        "N(0, 1/m), tanh": (scaled(1), 1, tg.tanh, np.tanh),
        "N(0, 0.01/m), no activation": (scaled(0.01), 0.01, identity, identity),
        "N(0, 1/100), no activation": (lambda w: nn.init.normal_(w, 0, 0.1), width / 100, identity, identity),
        "N(0, 1/m²), no activation": (lambda w: nn.init.normal_(w, 0, 1 / width), 1 / width, identity, identity),
    }
    found = {name: [] for name in starts}
    for _ in run.seeds(10, 20):
        for name, (fill, _, activation, _) in starts.items():
            found[name].append(variances(layers, width, fill, activation))
    typical = {name: np.exp(np.mean(np.log(each), axis=0)) for name, each in found.items()}  # geometric means
    last = {name: each[-1] for name, each in typical.items()}
    run.judge("σ² = 0.01, as stated: variance after the last layer, over the input's", last["N(0, 0.01/m), no activation"])
    run.judge("σ² = 1, no activation: variance after the last layer, over the input's", last["N(0, 1/m), no activation"])
    run.judge("σ² = 2, ReLU: variance after the last layer, over the input's", last["N(0, 2/m), ReLU"])

    def slope(name: str) -> float:
        return float(np.polyfit(range(layers + 1), np.log(typical[name]), 1)[0])

    run.judge("N(0, 1/100): slope of ln variance over layers, over ln(m/100)", slope("N(0, 1/100), no activation") / np.log(width / 100))
    run.judge("N(0, 1/m²): slope of ln variance over layers, over ln(1/m)", slope("N(0, 1/m²), no activation") / np.log(1 / width))
    run.remark(
        f"With tanh and σ² = 1 the variance sinks slowly, to {last['N(0, 1/m), tanh']:.2g} of the input's after {layers} layers: "
        "tanh shortens every activation, the less the smaller it is."
    )
    with run.figure("The variance of the activations by depth, over that of the input: only a scale of the fan-in keeps it level.") as axes:
        for (name, each), colour in zip(found.items(), style.COLOURS):
            style.band(axes, range(layers + 1), each, name, color=colour)
            _, factor, _, twin = starts[name]
            label = "theory, wide layers" if colour == style.COLOURS[5] else None
            style.theory(axes, range(layers + 1), predicted(layers, factor, twin), label)
        style.name_axes(axes, "layer", "variance / the input's", f"Width {width}; median and middle 80 % over seeds", log="y")
        axes.set(ylim=(1e-12, 1e14), xticks=range(0, layers + 1, 5))
        axes.legend(ncols=2, loc="upper left", fontsize=7)


def cost_of_an_iteration(sizes: Sequence[int], samples: int) -> tuple[int, int, int, float, float]:
    """Of a network of these layers: its weights, the multiply-adds of a forward and a backward pass, and their seconds."""
    model = nn.Sequential(*[m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())][:-1])
    x, y = tg.randn(samples, sizes[0]), tg.randn(samples, sizes[-1])
    weights = list(model.parameters())
    with study.record(model) as tape:
        loss = nn.functional.mse_loss(model(x), y)
        between = len(tape)
        tg.autograd.grad(loss, weights, create_graph=True)
    forward, backward = multiply_adds(tape.entries[:between], tape), multiply_adds(tape.entries[between:], tape)
    best = [np.inf, np.inf]
    for _ in range(3):
        begun = time.perf_counter()
        loss = nn.functional.mse_loss(model(x), y)
        middle = time.perf_counter()
        loss.backward()
        best = [min(best[0], middle - begun), min(best[1], time.perf_counter() - middle)]
    return sum(a * b for a, b in itertools.pairwise(sizes)), forward, backward, *best


@experiment(
    55,
    title="An iteration costs n p",
    claim="Forward, backward and update use each of the p weights once per sample, so an iteration costs O(np).",
    numbers=[
        within("slope of the multiply-adds over n", 0.999, 1.001, "theory: 1"),
        within("slope of the multiply-adds over p", 0.95, 1.05, "theory: 1; 5 % for the first layer, which passes nothing on"),
        exactly("forward multiply-adds over n p", 1, "the claim: each weight once per sample"),
        at_most("backward multiply-adds over n p", 2, "theory: one to pass the gradient on, one for the weight's own gradient"),
        within("backward / forward multiply-adds, over 2 - m₀m₁/p", 1 - 1e-9, 1 + 1e-9, "theory: the first layer passes nothing on"),
    ],
)
def an_iteration_costs_n_p(run):
    next(run.seeds(1, 1))
    counts, widths = run.choose([16, 64, 256], [16, 32, 64, 128, 256, 512, 1024]), run.choose([16, 64, 256], [16, 32, 64, 128, 256, 512])
    shape = lambda width: [width, width, width, width, width]
    by_samples = np.array([cost_of_an_iteration(shape(64), n) for n in counts])
    by_weights = np.array([cost_of_an_iteration(shape(width), 64) for width in widths])
    uneven = cost_of_an_iteration([50, 20, 80, 30, 10], 32)
    work = lambda rows: rows[:, 1] + rows[:, 2]
    run.judge("slope of the multiply-adds over n", tools.slope(counts, work(by_samples)))
    run.judge("slope of the multiply-adds over p", tools.slope(by_weights[:, 0], work(by_weights)))
    run.judge("forward multiply-adds over n p", float(uneven[1] / (32 * uneven[0])))
    run.judge("backward multiply-adds over n p", float((by_weights[:, 2] / (64 * by_weights[:, 0])).max()))
    run.judge("backward / forward multiply-adds, over 2 - m₀m₁/p", uneven[2] / uneven[1] / (2 - 50 * 20 / uneven[0]))
    run.remark(
        "Each weight is used once per sample to pass the gradient on, as the lecture counts, and its own gradient takes as much again: "
        "the backward pass costs almost twice the forward pass, and an iteration almost 3 n p."
    )
    run.table(
        ["weights p", "forward / (n p)", "backward / (n p)", "milliseconds forward", "milliseconds backward"],
        [[int(p), f / (64 * p), b / (64 * p), 1e3 * s, 1e3 * t] for p, f, b, s, t in by_weights],
    )
    caption = "The multiply-adds of one iteration, by samples and by weights, and its time."
    with run.figure(caption, 3) as (left, middle, right):
        for axes, sizes, rows, label in ((left, counts, by_samples, "samples n"), (middle, by_weights[:, 0], by_weights, "weights p")):
            axes.plot(sizes, rows[:, 1], "o", label="forward")
            axes.plot(sizes, rows[:, 2], "s", label="backward")
            per = np.array(counts) * rows[:, 0] if label == "samples n" else 64 * rows[:, 0]
            style.theory(axes, sizes, per, "theory: n p, and (2 - m₀m₁/p) n p")
            style.theory(axes, sizes, 1.75 * per, None)
            style.name_axes(axes, label, "multiply-adds", "64 units a layer" if label == "samples n" else "64 samples", log="xy")
        right.plot(by_weights[:, 0], 1e3 * by_weights[:, 3], "o-", label="forward")
        right.plot(by_weights[:, 0], 1e3 * by_weights[:, 4], "s-", label="backward")
        style.name_axes(right, "weights p", "milliseconds", "Time of 64 samples (not judged)", log="xy")
        for axes in (left, middle, right):
            axes.legend()


def patients(generator: Any) -> dict[str, tuple[Any, ...]]:
    """Models of two moons: two healthy ones, and one for each planted fault. Arguments for `diagnose`, with its optimizer."""
    x, y = moons(1000, noise=0.1, generator=generator)
    test = moons(1000, noise=0.1, generator=generator)
    loss = nn.functional.cross_entropy

    def network(width: int) -> Any:
        return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 2))

    def trained(model: Any, data: tuple[Any, Any], updates: int) -> Any:
        optimizer = optim.Adam(model.parameters(), lr=0.03)
        for _ in range(updates):
            optimizer.zero_grad()
            loss(model(data[0]), data[1]).backward()
            optimizer.step()
        return model

    def with_rate(model: Any, rate: float) -> Any:
        return optim.SGD(model.parameters(), lr=rate)

    healthy, saturated, convex = (trained(model, (x, y), 60) for model in (network(8), network(8), nn.Linear(2, 2)))
    with tg.no_grad():
        saturated[0].weight.mul_(1000)
    symmetric = network(8)
    with tg.no_grad():
        for p in symmetric.parameters():
            p.zero_()  # all units alike: no gradient tells them apart
    few = (x[:20], tg.randint(0, 2, (20,)))  # random labels, which can only be learnt by heart
    overfitted = trained(network(64), few, 400)
    return {
        "none, convex model": (convex, loss, [(x, y)], [test], with_rate(convex, 0.01)),
        "none, network": (healthy, loss, [(x, y)], [test], with_rate(healthy, 0.01)),
        "T: rate too high": (healthy, loss, [(x, y)], [test], with_rate(healthy, 100.0)),
        "S: first weights × 1000": (saturated, loss, [(x, y)], [test], with_rate(saturated, 1e-6)),
        "L: all weights 0": (symmetric, loss, [(x, y)], [test], with_rate(symmetric, 1e-6)),
        "O: random labels": (overfitted, loss, [few], [test], with_rate(overfitted, 1e-6)),
    }


SIGNS = {  # what the report says under each letter if there is a fault; I speaks of seconds, and is left out
    "T": ("diverge", "smaller rate", "not finite"),
    "S": ("saturated", "dead", "vanish", "explode"),
    "L": ("There are directions of negative curvature", "No curvature at all"),
    "O": ("overfits",),
}


@experiment(
    56,
    title="A diagnosis by five letters",
    claim="What can go wrong has five letters, I, T, S, L and O; a report by these letters finds faults that were planted.",
    numbers=[
        exactly("planted faults that their letter (T, S, L, O) does not name, all seeds", 0, "the claim"),
        exactly("letters T, S and O that name a fault in the healthy network, all seeds", 0, "no false alarms"),
        exactly("letters that name a fault in a convex model, all seeds", 0, "no false alarms; its Hessian has no negative eigenvalue"),
        exactly("I: n p of the report over n p", 1, "the count that the cost follows; its seconds are not judged"),
        exactly("letters without a number or a sentence, all seeds", 0, "each letter has something to say"),
    ],
)
def a_diagnosis_by_five_letters(run):
    named: dict[str, list[list[bool]]] = {}
    empty, products = 0, []
    for seed in run.seeds(3, 12):
        for fault, (model, loss, batches, validation, optimizer) in patients(tg.Generator().manual_seed(seed)).items():
            report = diagnose(model, loss, batches, validation, optimizer=optimizer)
            words = {letter: " ".join(report.words[letter]) for letter in LETTERS}
            named.setdefault(fault, []).append([any(sign in words[letter] for sign in signs) for letter, signs in SIGNS.items()])
            empty += sum(not report.numbers[letter] and not report.words[letter] for letter in LETTERS)
            numbers = report.numbers["I"]
            n_p = len(batches[0][0]) * sum(p.numel() for p in model.parameters())
            products.append(numbers["parameters p"] * numbers["samples n of a batch"] / n_p)
    letters, share = list(SIGNS), {fault: np.mean(each, axis=0) for fault, each in named.items()}
    count = {fault: np.sum(each, axis=0) for fault, each in named.items()}
    healthy, convex, seeds = count["none, network"], count["none, convex model"], len(named["none, network"])
    missed = sum(seeds - each[letters.index(fault[0])] for fault, each in count.items() if fault[0] in letters)
    run.judge("planted faults that their letter (T, S, L, O) does not name, all seeds", missed)
    run.judge("letters T, S and O that name a fault in the healthy network, all seeds", healthy.sum() - healthy[letters.index("L")])
    run.judge("letters that name a fault in a convex model, all seeds", convex.sum())
    run.judge("I: n p of the report over n p", max(products, key=lambda each: abs(each - 1)))
    run.judge("letters without a number or a sentence, all seeds", empty)
    run.remark(
        f"L finds negative curvature in {healthy[letters.index('L')]} of {seeds} healthy networks too, which are still in training: "
        "it tells where a network is, and only with T whether that is a fault."
    )
    with run.figure("How often the report names a fault under each letter, by the fault that was planted.") as axes:
        table = np.array(list(share.values()))
        mesh = axes.imshow(table, cmap=style.SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
        axes.figure.colorbar(mesh, ax=axes, label="share of seeds")
        for (i, j), value in np.ndenumerate(table):
            axes.text(j, i, f"{value:.0%}", ha="center", va="center", color="black" if value > 0.5 else "white", fontsize=8)
        axes.grid(False)
        axes.set_xticks(range(len(letters)), [f"{letter}\n{LETTERS[letter]}" for letter in letters], fontsize=7)
        axes.set_yticks(range(len(share)), list(share))
        style.name_axes(axes, "letter of the report", "planted fault", f"{seeds} seeds")
