"""Surfaces: where gradients vanish away from a minimum, what noise does about it, and how methods travel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import optim
from tinygrad_lite.optim.surfaces import GALLERY, Surface, beale, bounded_saddle, plateau, saddle, valley

from .. import style, tools
from ..core import HOLDS_IF, at_least, at_most, exactly, experiment, within
from ..tools import descend, first_below


def draw(axes: Any, surface: Surface, levels: int = 14) -> None:
    """The contours of a surface, evenly spaced in the logarithm of the height, and its minima."""
    (left, right), (bottom, top) = surface.box
    grid = np.meshgrid(np.linspace(left, right, 90), np.linspace(bottom, top, 90))
    heights = surface(tg.tensor(np.stack(grid, -1))).numpy()
    heights = np.log(heights - heights.min() + 1e-3 * np.ptp(heights))
    axes.contour(*grid, heights, levels=levels, colors="#999999", linewidths=0.6, linestyles="solid")
    axes.plot(*np.array(surface.minima).reshape(-1, 2).T, "k*", markersize=8, zorder=3)
    axes.set(xlim=surface.box[0], ylim=surface.box[1])


def length_of_gradient(surface: Surface, points: Any) -> np.ndarray:
    """|gradient| at points of shape (..., 2)."""
    w = tg.tensor(np.array(points, np.float64), requires_grad=True)
    surface(w).sum().backward()
    return np.linalg.norm(w.grad.numpy(), axis=-1)


@experiment(
    59,
    title="Valleys, saddles and plateaus",
    claim="Valleys, plateaus and saddles slow training because the gradient is almost 0 there, away from the optimum.",
    numbers=[
        at_most("zoo: largest gradient at a minimum", 1e-12, "the minima are exact, up to rounding"),
        at_least("zoo: smallest curvature at a minimum", 1e-4, "they are minima: both eigenvalues are positive, 1/1000 at least"),
        at_most("gradient at three flat places, over the steepest of the surface", 0.01, "the claim: almost 0; a hundredth is little"),
        within("valley: slope of the updates over its length", 0.98, 1.02, "theory: 1, as the curvature along it is 1/length"),
        within("saddle: updates per factor e nearer to it, over 1/ln(1 + η)", 0.98, 1.02, "theory: the offset grows by 1 + η in an update"),
        within("plateau: updates over the theory", 0.9, 1.1, "theory: the integral of dr/(η|g|), exact for η → 0; 10 % for η = 0.2"),
    ],
)
def valleys_saddles_and_plateaus(run):
    at_minima = [(surface, point) for surface in GALLERY for point in surface.minima]
    run.judge("zoo: largest gradient at a minimum", max(float(length_of_gradient(*each)) for each in at_minima))
    run.judge("zoo: smallest curvature at a minimum", min(surface.curvature(point)[0] for surface, point in at_minima))
    flat = {valley(): (-4.0, 0.0), bounded_saddle: (0.0, 1e-3), plateau: (4.2, 0.0)}
    shares = []
    for surface, place in flat.items():
        grid = np.stack(np.meshgrid(*(np.linspace(*side, 61) for side in surface.box)), -1)
        shares.append(float(length_of_gradient(surface, place) / length_of_gradient(surface, grid).max()))
    run.judge("gradient at three flat places, over the steepest of the surface", max(shares))

    lengths, rate = run.choose(np.geomspace(10, 80, 4), np.geomspace(10, 1280, 8)), 0.5
    along = []
    for length in lengths:
        path = descend(lambda w: optim.SGD(w, rate), valley(length), (-4.0, 1.0), int(10 * length))
        along.append(first_below(abs(path[:, 0]), 0.04))
    run.judge("valley: slope of the updates over its length", tools.slope(lengths, along))

    offsets = np.geomspace(1e-12, 1e-3, 10)
    starts = np.stack([np.zeros(10), offsets], axis=1)
    path = descend(lambda w: optim.SGD(w, rate), lambda w: bounded_saddle(w).sum(), starts, 100)
    escapes = first_below(-abs(path[:, :, 1]), -0.5)
    per_factor = -np.polyfit(np.log(offsets), escapes, 1)[0]
    run.judge("saddle: updates per factor e nearer to it, over 1/ln(1 + η)", per_factor * np.log(1 + rate))

    radii, slow = np.linspace(1.5, run.choose(3.4, 4.0), 6), 0.2
    starts = np.stack([radii, np.zeros(6)], axis=1)
    path = descend(lambda w: optim.SGD(w, slow), lambda w: plateau(w).sum(), starts, run.choose(250, 1500))
    down = first_below(path[:, :, 0], 1.0)
    fine = [np.linspace(1.0, radius, 4000) for radius in radii]
    integral = np.array([np.trapezoid(np.exp(r**2 / 2) / r, r) / slow for r in fine])
    run.judge("plateau: updates over the theory", float((down[-3:] / integral[-3:]).mean()))

    updates = run.choose(60, 300)
    with run.figure(f"The zoo: contours, minima (stars), and {updates} updates of gradient descent.", 4, 2, height=3.0) as axes:
        for each, surface in zip(axes.ravel(), GALLERY):
            draw(each, surface)
            speed = 0.5 / max(surface.curvature(point)[1] for point in (surface.start, *surface.minima))
            path = descend(lambda w, speed=speed: optim.SGD(w, speed), surface, surface.start, updates)
            inside = np.isfinite(path).all(1) & (abs(path).max(1) < 1e3)
            each.plot(*path[inside].T, ".-", markersize=3, linewidth=1)
            each.set(title=surface.name, xticks=[surface.box[0][0], 0, surface.box[0][1]], yticks=[surface.box[1][0], 0, surface.box[1][1]])
    with run.figure("Updates of gradient descent across three flat places, and the theory.", 3) as (left, middle, right):
        left.plot(lengths, along, "o")
        style.theory(left, lengths, lengths / rate * np.log(100), "theory: length/η · ln 100")
        style.name_axes(left, "length of the valley", "updates to a hundredth", "Valley, η = 0.5", log="xy")
        middle.plot(offsets, escapes, "o")
        style.theory(middle, offsets, np.log(0.5 / offsets) / np.log(1 + rate), "theory: ln(0.5/offset) / ln(1 + η)")
        style.name_axes(middle, "offset from the saddle's ridge", "updates until |y| > 0.5", "Saddle, η = 0.5", log="x")
        right.plot(radii, down, "o")
        style.theory(right, radii, integral, "theory: ∫ dr / (η r exp(-r²/2))")
        style.name_axes(right, "distance from the minimum", "updates until it is 1", "Plateau, η = 0.2", log="y")
        for axes in (left, middle, right):
            axes.legend()


double_well = Surface(
    "a poor and a good minimum",
    lambda x, y: (x**2 - 1) ** 2 / 4 + 0.1 * x + y**2 / 2,
    start=(1.0, 0.0),
    box=((-2.0, 2.0), (-2.0, 2.0)),
)


@experiment(
    76,
    title="What noise helps to leave",
    claim="The noise of single samples helps to leave poor minima and saddles, but not plateaus.",
    verdict=HOLDS_IF,
    condition="the gradients of single samples vanish on the plateau too, and with them their noise",
    numbers=[
        exactly("poor minimum: fraction that leaves without noise", 0, "theory: gradient descent converges to it"),
        at_least("poor minimum: fraction that leaves with the noise of samples", 0.9, "the claim; with a tenth that may be late"),
        at_most("saddle: median updates, with the noise of samples over without", 0.5, "theory: ln(1/noise) over ln(1/offset), below 1"),
        at_least("plateau: median updates, with noise of a fixed size over without", 0.9, "the claim, for any noise; 10 % for chance"),
        at_least("plateau: median updates, with the noise of samples over without", 0.9, "the claim; 10 % for chance",
                 under_the_condition=True),
    ],
)  # fmt: skip
def what_noise_helps_to_leave(run):
    walkers, most, samples = *run.choose((60, 1000), (300, 4000)), 40
    generator = run.generator()
    half = generator.normal(size=(samples // 2, 2))
    half *= 0.3 / np.sqrt((half**2).mean(0))
    shifts = np.concatenate([half, -half])  # each sample sees the surface shifted; in pairs, so that the saddle stays in place
    every = tg.tensor(shifts[:, None])

    def leave(surface: Surface, start: Any, gone: Callable[[np.ndarray], np.ndarray], kind: str) -> np.ndarray:
        """The update in which each walker is gone; `most` for those that stay."""
        count = 1 if kind == "no noise" else walkers
        w = tg.tensor(np.tile(np.asarray(start, np.float64), (count, 1)), requires_grad=True)
        optimizer, times = optim.SGD([w], 0.4), np.full(count, most)
        for k in range(most):
            optimizer.zero_grad()
            if kind == "noise of samples":
                surface(w - tg.tensor(shifts[generator.integers(samples, size=count)])).sum().backward()
            else:
                surface(w - every).mean(0).sum().backward()
            if kind == "noise of a fixed size":
                w.grad += tg.tensor(fixed * generator.normal(size=(count, 2)))
            optimizer.step()
            times[gone(w.numpy(force=True)) & (times == most)] = k
            if (times < most).all():
                break
        return times

    mean_well = lambda w: double_well(w - tg.tensor(shifts)).mean(0)
    poor = descend(lambda w: optim.SGD(w, 0.4), mean_well, double_well.start, 200)[-1]
    w = tg.tensor(np.tile(poor, (samples, 1)), requires_grad=True)
    double_well(w - tg.tensor(shifts)).sum().backward()
    fixed = w.grad.numpy().std()  # as large as the noise of samples is at the poor minimum
    places = {
        "poor minimum": (double_well, poor, lambda w: w[:, 0] < -0.3),
        "saddle": (bounded_saddle, (0.0, 1e-6), lambda w: abs(w[:, 1]) > 0.5),
        "plateau": (plateau, (4.2, 0.0), lambda w: np.linalg.norm(w, axis=1) < 1),
    }
    kinds = ("no noise", "noise of samples", "noise of a fixed size")
    found = {place: {kind: leave(*what, kind) for kind in kinds} for place, what in places.items()}
    medians = {place: {kind: float(np.median(times)) for kind, times in each.items()} for place, each in found.items()}
    run.judge("poor minimum: fraction that leaves without noise", (found["poor minimum"]["no noise"] < most).mean())
    run.judge("poor minimum: fraction that leaves with the noise of samples", (found["poor minimum"]["noise of samples"] < most).mean())
    ratios = {place: {kind: each[kind] / each["no noise"] for kind in kinds} for place, each in medians.items()}
    run.judge("saddle: median updates, with the noise of samples over without", ratios["saddle"]["noise of samples"])
    run.judge("plateau: median updates, with noise of a fixed size over without", ratios["plateau"]["noise of a fixed size"])
    run.judge("plateau: median updates, with the noise of samples over without", ratios["plateau"]["noise of samples"])
    lost = (found["plateau"]["noise of a fixed size"] == most).mean()
    run.table(
        ["median updates until it has left", *kinds],
        [[place, *(f"{m:.0f}" if m < most else "never" for m in each.values())] for place, each in medians.items()],
    )
    run.remark(
        f"On the plateau the noise of a fixed size makes a random walk: most walkers find the edge sooner, and {lost:.0%} wander off and "
        f"have not arrived after {most:,} updates."
    )
    with run.figure("How many walkers are still in each place, by updates.", 3, sharey=True) as panels:
        for axes, (place, each) in zip(panels, found.items()):
            for kind, times in each.items():
                still = (times[:, None] >= np.arange(most)).mean(0)
                axes.plot(np.arange(1, most + 1), still, label=kind)
            style.name_axes(axes, "updates", "fraction still there" if place == "poor minimum" else "", place, log="x")
            axes.set(xlim=(1, most))
            axes.legend(loc="lower left")


def paths_by_rate(surface: Surface, make: Callable[..., Any], rates: Sequence[float], updates: int) -> np.ndarray:
    """The paths of a method at several rates, (rates, updates + 1, 2), each from the surface's start."""
    weights = [tg.tensor(np.array(surface.start, np.float64), requires_grad=True) for _ in rates]
    optimizer = make([{"params": [w], "lr": rate} for w, rate in zip(weights, rates)])
    path = [[surface.start] * len(rates)]

    def closure() -> Any:
        optimizer.zero_grad()
        loss = surface(tg.stack(weights)).sum()
        loss.backward()
        return loss

    for _ in range(updates):
        optimizer.step(closure)
        path.append([w.tolist() for w in weights])
    return np.moveaxis(np.array(path), 0, 1)


METHODS: dict[str, tuple[Callable[..., Any], Sequence[float]]] = {  # and the rates to choose from
    "gradient descent": (optim.SGD, np.geomspace(1e-3, 0.03, 4)),
    "momentum": (lambda groups: optim.Momentum(groups, momentum=0.9), np.geomspace(3e-4, 0.003, 4)),
    "Nesterov": (lambda groups: optim.Nesterov(groups, momentum=0.9), np.geomspace(3e-4, 0.003, 4)),
    "Adagrad": (optim.Adagrad, np.geomspace(0.1, 3, 4)),
    "Adadelta": (optim.Adadelta, np.geomspace(1, 30, 4)),
    "RMSprop": (lambda groups: optim.RMSprop(groups, alpha=0.9), np.geomspace(0.003, 0.1, 4)),
    "Adam": (optim.Adam, np.geomspace(0.03, 1, 4)),
    "Adamax": (optim.Adamax, np.geomspace(0.03, 1, 4)),
}


@experiment(
    "N2",
    title="Algorithms that follow trends",
    claim="RMSprop, Adam, Adagrad, Adadelta and Adamax, which follow trends, are faster than descent in a long valley and at a saddle.",
    numbers=[
        exactly("methods that do not come down to 0.1 on Beale's function", 0, "the claim; each at the best of four rates"),
        at_most("long valley: distance left, worst of the five adaptive methods over descent", 1, "the claim, at the same rates"),
        at_most("saddle: updates to leave, last of the five adaptive methods over descent", 1, "the claim, at the same rates"),
    ],
)
def algorithms_that_follow_trends(run):
    updates = run.choose(200, 300)
    rates, paths, long_valley = {}, {}, valley()
    surfaces = (beale, long_valley, saddle)
    for name, (make, choice) in METHODS.items():
        tried = paths_by_rate(beale, make, choice, updates)
        losses = np.nan_to_num(beale(tg.tensor(tried[:, -1])).numpy(), nan=np.inf)
        rates[name], paths[name] = choice[losses.argmin()], {beale: tried[losses.argmin()]}
        for surface in surfaces[1:]:
            paths[name][surface] = paths_by_rate(surface, make, [rates[name]], updates)[0]
    last = {name: beale(tg.tensor(each[beale][-1])).item() for name, each in paths.items()}
    distance = {name: float(np.linalg.norm(each[long_valley][-1])) for name, each in paths.items()}
    left = {name: float(np.nan_to_num(first_below(-abs(each[saddle][:, 1]), -1.0), nan=updates)) for name, each in paths.items()}
    adaptive = list(METHODS)[3:]
    run.judge("methods that do not come down to 0.1 on Beale's function", sum(loss > 0.1 for loss in last.values()))
    worst, latest = (max(each[name] for name in adaptive) / each["gradient descent"] for each in (distance, left))
    run.judge("long valley: distance left, worst of the five adaptive methods over descent", worst)
    run.judge("saddle: updates to leave, last of the five adaptive methods over descent", latest)
    run.table(
        ["method", "rate", "Beale: loss at the end", "long valley: distance at the end", "saddle: updates until |y| > 1"],
        [
            [name, float(rates[name]), last[name], distance[name], f"{left[name]:.0f}" if left[name] < updates else f"above {updates}"]
            for name in METHODS
        ],
    )
    run.remark(
        "Momentum and Nesterov share descent's handicap. The steep start on Beale's function bounds their rate, and η/(1 - β) comes out "
        "as descent's η, which is small for the other two surfaces. The adaptive methods divide by the size of the gradients."
    )
    colours = [*style.COLOURS, "black"]
    caption = f"Paths of eight methods, {updates} updates from the dot, at their best rates for Beale's function. Stars are minima."
    with run.figure(caption, 3) as panels:
        for axes, surface in zip(panels, surfaces):
            draw(axes, surface)
            axes.plot(*surface.start, "ko", markersize=5, zorder=3)
            for (name, each), colour in zip(paths.items(), colours):
                axes.plot(*each[surface].T, color=colour, linewidth=1.2, label=name)
            style.name_axes(axes, "x", "y", surface.name)
        panels[0].legend(loc="upper left", fontsize=7)

    def show(axes: Any, k: int) -> None:
        draw(axes, beale)
        for (name, each), colour in zip(paths.items(), colours):
            axes.plot(*each[beale][: k + 1].T, color=colour, linewidth=1.2, label=name)
            axes.plot(*each[beale][k], "o", color=colour, markersize=5)
        style.name_axes(axes, "x", "y", f"Beale's function, update {k}")
        axes.legend(loc="lower left", ncols=2, fontsize=7)

    frames = np.unique(np.geomspace(1, updates + 1, run.choose(8, 40)).astype(int)) - 1
    run.animation("The same methods on Beale's function, update by update.", frames, show, height=4.0)
