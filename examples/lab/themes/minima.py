"""Minima and generalization: items 60 to 64 and N5."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.nn.functional import cross_entropy, dropout
from tinygrad_lite.optim.curvature import Hessian, spectrum
from tinygrad_lite.optim.stopping import EarlyStopping, WeightChange, kind_of_point
from tinygrad_lite.optim.surfaces import bounded_saddle, plateau

from .. import style
from ..core import HOLDS_IF, Run, at_least, at_most, exactly, experiment, within
from ..tools import mean_of, slope_over_seeds

# -- many equal optima --------------------------------------------------------------------------------


def regularized_loss(weights: Sequence[Any], x: Any, y: Any) -> Any:
    """The squared error of tanh networks 2-h-1 plus a little weight decay. Each of the weights (..., 2, h), (..., 1, h),
    (..., h, 1) may hold many networks; the result is a loss for each."""
    first, bias, last = weights
    error = (tg.tanh(x @ first + bias) @ last).squeeze(-1) - y
    return (error * error).mean(-1) + 1e-3 * sum((p * p).sum((-2, -1)) for p in weights)


@experiment(
    60,
    title="Many optima, and many equal ones",
    claim="The loss has many local optima, and multiple equal ones: hidden units can be exchanged, the signs of tanh units flipped.",
    numbers=[
        at_most("largest difference of the loss between 384 relabelled minima", 1e-12, "an equality, in float64"),
        at_most("largest entry of the gradient at any of the 384", 1e-6, "each is an optimum, as far as L-BFGS got to the first"),
        at_least("smallest distance between two of the 384, over their length", 1e-3, "they are 4! · 2⁴ = 384 different points"),
        at_least("different losses among the minima from several starts", 2, "not all optima are equal"),
        exactly("starts that end in a minimum, as a share", 1, "the gradient vanishes and no curvature is negative"),
    ],
)
def many_optima(run: Run) -> None:
    (seed,) = run.seeds(1, 1)
    draw = run.generator(seed)
    hidden, x = 4, tg.tensor(draw.normal(size=(30, 2)))
    y = tg.tensor(np.tanh(2 * x.numpy()[:, 0]) * np.cos(2 * x.numpy()[:, 1]) + 0.5 * draw.normal(size=30))

    def minimum() -> list[Any]:
        weights = [tg.tensor(draw.normal(size=shape), requires_grad=True) for shape in ((2, hidden), (1, hidden), (hidden, 1))]
        options = {"max_iter": 600, "tolerance_grad": 1e-9, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
        optimizer = optim.LBFGS(weights, **options)

        def closure() -> Any:
            optimizer.zero_grad()
            loss = regularized_loss(weights, x, y)
            loss.backward()
            return loss

        optimizer.step(closure)
        return weights

    minima = [minimum() for _ in range(run.choose(8, 40))]
    losses = np.array([regularized_loss(weights, x, y).item() for weights in minima])
    kinds = [kind_of_point(regularized_loss(weights, x, y), weights, tol=1e-6) for weights in minima]
    run.judge("different losses among the minima from several starts", 1 + np.sum(np.diff(np.sort(losses)) > 1e-6))
    run.judge("starts that end in a minimum, as a share", np.mean([kind == "minimum" for kind in kinds]))

    # All 384 relabellings of the best one, as one batch of networks.
    best = [p.detach().numpy() for p in minima[int(losses.argmin())]]
    relabelled = [
        [p[..., list(order)] * signs if p.shape[-1] == hidden else p[list(order)] * np.array(signs)[:, None] for p in best]
        for order in itertools.permutations(range(hidden))
        for signs in itertools.product([1, -1], repeat=hidden)
    ]
    batch = [tg.tensor(np.stack(each), requires_grad=True) for each in zip(*relabelled)]
    loss = regularized_loss(batch, x, y)
    loss.sum().backward()
    flat = np.concatenate([p.detach().numpy().reshape(len(relabelled), -1) for p in batch], 1)
    distances = np.sqrt(np.maximum(0, ((flat[:, None] - flat[None]) ** 2).sum(-1)))
    length = np.linalg.norm(flat[0])
    run.judge("largest difference of the loss between 384 relabelled minima", np.ptp(loss.detach().numpy()))
    run.judge("largest entry of the gradient at any of the 384", max(abs(p.grad.numpy()).max() for p in batch))
    run.judge("smallest distance between two of the 384, over their length", (distances + 1e9 * np.eye(len(flat))).min() / length)

    caption = (
        "Left: distances between the 384 relabelled copies of one minimum, all of the same loss. Middle: along straight lines from one "
        "copy to others the loss rises in between; they are separate optima. Right: from other starts, L-BFGS finds other minima."
    )
    with run.figure(caption, columns=3) as (left, middle, right):
        left.hist(distances[np.triu_indices(len(flat), 1)] / length, 30)
        style.name_axes(left, "distance over length of the weights", "pairs of copies", "384 equal minima")
        t = np.linspace(0, 1, 60)
        for other in draw.integers(1, len(flat), 6):
            between = [tg.tensor(a[0] + t[:, None, None] * (a[other] - a[0])) for a in (p.detach().numpy() for p in batch)]
            middle.plot(t, regularized_loss(between, x, y).numpy())
        style.name_axes(middle, "from one copy (0) to another (1)", "loss", "on the way")
        right.plot(np.sort(losses), "o")
        style.name_axes(right, "start, in the order of the loss", "loss at the minimum", f"{len(losses)} random starts")


@experiment(
    61,
    title="Do not stop on a plateau",
    claim="Training should not stop at saddles or on plateaus, where the gradient is as short as at a minimum.",
    numbers=[
        at_least(
            "share of runs that the length of the gradient stops too early", 0.9, "it is short there too, by the choice of the starts"
        ),
        at_least("share of runs that the change of the weights stops too early", 0.9, "steps are short where the gradient is"),
        exactly("false stops of the rule that looks at the curvature", 0, "kind_of_point says 'minimum' at minima only"),
        exactly("share of runs that it stops at a minimum", 1, "it must not go on for ever"),
        exactly("states of a network that it judges rightly", 4, "no weights, saturated, random, trained"),
    ],
)
def do_not_stop_on_a_plateau(run: Run) -> None:
    draw = run.generator()
    runs, tol = run.choose(5, 12), 1e-3
    angle, radius = draw.uniform(0, 2 * np.pi, runs), draw.uniform(4.1, 4.4, runs)
    offset = np.array([3.0, 3.0])  # a saddle at the origin would make every relative change large
    ridge = np.stack([draw.choice([-2, 2], runs), draw.choice([-1, 1], runs) * 10 ** draw.uniform(-9, -6, runs)], 1)
    cases: dict[str, tuple[Callable[[Any], Any], np.ndarray, float, Callable[[Any], Any]]] = {
        "plateau": (plateau, radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), 1.0, plateau.distance),
        "saddle": (lambda w: bounded_saddle(w - tg.tensor(offset)), ridge + offset, 0.3, lambda p: bounded_saddle.distance(p - offset)),
    }
    early: dict[str, list[bool]] = {"gradient": [], "change": []}
    curvature: list[bool] = []  # of each stop by the curvature: was it at a minimum?
    stops, paths = {}, {}
    for name, (surface, start, rate, distance) in cases.items():
        w = tg.tensor(start, requires_grad=True)
        optimizer = optim.SGD([w], lr=rate)
        rules = [WeightChange([w.detach()[i]], tol) for i in range(runs)]
        stop = {rule: np.full(runs, -1) for rule in ("gradient", "change", "curvature")}
        path = []
        for step in range(4000):
            optimizer.zero_grad()
            surface(w).sum().backward()
            lengths = np.linalg.norm(w.grad.numpy(), axis=1)
            path.append([surface(w.detach()).numpy(), lengths])
            for i in np.flatnonzero(stop["curvature"] < 0):
                if lengths[i] < tol and (step % 40 == 0 or stop["gradient"][i] < 0):
                    point = tg.tensor(w.detach().numpy()[i], requires_grad=True)
                    if kind_of_point(surface(point), [point], tol) == "minimum":
                        stop["curvature"][i] = step
                        curvature.append(distance(point.detach().numpy()) < 0.01)
                    if stop["gradient"][i] < 0:
                        stop["gradient"][i] = step
                        early["gradient"].append(distance(point.detach().numpy()) > 0.5)
            if (stop["curvature"] >= 0).all():
                break
            optimizer.step()
            for i in np.flatnonzero(stop["change"] < 0):
                if rules[i].update():
                    stop["change"][i] = step
                    early["change"].append(distance(w.detach().numpy()[i]) > 0.5)
        stops[name], paths[name] = stop, np.array(path)

    run.judge("share of runs that the length of the gradient stops too early", np.mean(early["gradient"]))
    run.judge("share of runs that the change of the weights stops too early", np.mean(early["change"]))
    run.judge("false stops of the rule that looks at the curvature", curvature.count(False))
    run.judge("share of runs that it stops at a minimum", curvature.count(True) / (2 * runs))
    states = kinds_of_states(draw)
    run.judge("states of a network that it judges rightly", sum(kind == truth for _, kind, truth in states))
    run.table(["state of a network", "kind_of_point says", "it is"], states)
    run.remark(
        "The curvature has its limit, too: for 'xor' all second derivatives in the directions of descent from zero weights vanish, and "
        "the rule takes the point for a minimum."
    )

    caption = (
        "Loss and length of the gradient (median of the runs) of descent on a plateau and along the ridge of a saddle. Rules that look "
        "at gradients or changes alone (dotted: the median of their stops) give up before the descent; the curvature tells (dashed)."
    )
    with run.figure(caption, columns=2) as both:
        for axes, (name, path) in zip(both, paths.items()):
            for i, label in enumerate(("loss", "length of the gradient")):
                axes.plot(np.arange(len(path)) + 1, np.median(path[:, i], axis=1), label=label)
            for rule, line in (("gradient", ":"), ("change", ":"), ("curvature", "--")):
                colour = {"gradient": "C2", "change": "C3", "curvature": "black"}[rule]
                axes.axvline(np.median(stops[name][rule]) + 1, color=colour, linestyle=line, label=f"stop by {rule}")
            style.name_axes(axes, "steps", "loss, length of the gradient", name, log="xy")
            axes.set_ylim(1e-6, None)
        both[0].legend()


def kinds_of_states(draw: np.random.Generator) -> list[list[str]]:
    """States of a network 2-4-1 on two tasks: the state, what `kind_of_point` takes it for, what it is."""
    x = tg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).double()
    xor, conjunction = (tg.tensor(y).double() for y in ([-0.9, 0.9, 0.9, -0.9], [-0.9, -0.9, -0.9, 0.9]))
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Tanh()).double()
    params = list(network.parameters())
    start = [draw.normal(size=p.shape) for p in params]
    loss = lambda y: ((network(x).squeeze(1) - y) ** 2).mean()

    def kind(y: Any, values: Sequence[np.ndarray]) -> str:
        for p, value in zip(params, values):
            p.data = tg.tensor(value)
        return kind_of_point(loss(y), params, tol=1e-6)

    balanced = [*(np.zeros(p.shape) for p in params[:3]), np.full(1, np.arctanh(-0.45))]  # the best constant output
    rows = [
        ["no weights, 'and'", kind(conjunction, balanced), "saddle"],
        ["output unit saturated", kind(xor, [*start[:3], np.full(1, 30.0)]), "plateau"],
        ["random start", kind(xor, start), "slope"],
    ]
    kind(conjunction, [value / 4 for value in start])
    for _ in range(20):  # restarts, as its memory of the curvature goes stale where the loss is almost 0
        optimizer = optim.LBFGS(params, max_iter=100, tolerance_grad=1e-8, tolerance_change=0, line_search_fn="strong_wolfe")

        def closure(optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            value = loss(conjunction)
            value.backward()
            return value

        optimizer.step(closure)
    rows.append(["trained on 'and'", kind(conjunction, []), "minimum"])
    rows.append(["no weights, 'xor'", kind(xor, [np.zeros(p.shape) for p in params]), "saddle of higher order"])
    return rows


# -- wide networks ------------------------------------------------------------------------------------


def tanh_networks(x: Any, first: Any, bias: Any, last: Any) -> Any:
    """The outputs (n, networks) of many tanh networks at once, for inputs (n, d): first (d, networks, h), bias (networks, h),
    last (networks, h)."""
    d, networks, hidden = first.shape
    z = (x @ first.reshape(d, networks * hidden)).reshape(len(x), networks, hidden)
    return tg.einsum("nsh,sh->ns", tg.tanh(z + bias), last)


@experiment(
    62,
    title="Wide networks: many minima, many good",
    claim="Modern, very large networks have extremely many local minima, and extremely many good ones.",
    numbers=[
        at_least(
            "share of bad minima with 4 hidden units", 0.2, "a loss of 0 exists there, but many starts miss it; a fifth as the margin"
        ),
        at_most("share of bad minima with 64 hidden units", 0.05, "the claim; bad: more than 1 % of the variance is left"),
        at_most("median loss, 64 hidden units over 4", 0.1, "a factor of 10 as the margin"),
        at_least(
            "smallest distance of two minima with 64 hidden units", 0.01, "over their length, whatever the labels of the units; copies: 0"
        ),
    ],
)
def wide_networks_have_many_good_minima(run: Run) -> None:
    draw = run.generator()
    networks, steps, widths = run.choose(24, 80), run.choose(700, 2000), run.choose([4, 8, 64], [4, 6, 8, 16, 32, 64])
    steps_at = np.array([-1.2, -0.4, 0.4, 1.2])
    target = lambda x: np.tanh(4 * (x[:, None] - steps_at)) @ [1, -1, 1, -1]  # four hidden units are enough
    samples, everywhere = np.linspace(-2, 2, 40), np.linspace(-4, 4, 161)
    x, y, grid = (tg.tensor(v).float() for v in (samples[:, None], target(samples), everywhere[:, None]))

    losses, functions, spectra = {}, {}, {}
    for width in widths:
        shapes = {(1, networks, width): 4.0, (networks, width): 4.0, (1, networks, width, 1): width**-0.5}
        first, bias, last = (tg.tensor(scale * draw.normal(size=shape)).float() for shape, scale in shapes.items())
        weights = [first, bias, last.reshape(networks, width), tg.zeros(networks)]
        for p in weights:
            p.requires_grad_()
        optimizer = optim.Adam(weights, lr=lambda k: 0.05 * (1 - k / steps) ** 2 + 1e-4)
        for _ in range(steps):
            optimizer.zero_grad()
            loss = ((tanh_networks(x, *weights[:3]) + weights[3] - y[:, None]) ** 2).mean(0)
            loss.sum().backward()
            optimizer.step()
        losses[width] = loss.detach().numpy() / target(samples).var()
        with tg.no_grad():
            functions[width] = (tanh_networks(grid, *weights[:3]) + weights[3]).numpy()
        # Sorted absolute values do not change when units are exchanged or signs flipped, and their distance is at most
        # that of the weights themselves, whatever the labels.
        spectra[width] = np.hstack([np.sort(abs(p.detach().numpy()).reshape(networks, width), axis=1) for p in weights[:3]])

    widest, bad = widths[-1], {width: np.mean(each > 0.01) for width, each in losses.items()}
    pairs = np.linalg.norm(spectra[widest][:, None] - spectra[widest][None], axis=-1)[np.triu_indices(networks, 1)]
    apart = pairs / np.linalg.norm(spectra[widest], axis=1).mean()
    run.judge("share of bad minima with 4 hidden units", bad[4])
    run.judge("share of bad minima with 64 hidden units", bad[64])
    run.judge("median loss, 64 hidden units over 4", np.median(losses[64]) / np.median(losses[4]))
    run.judge("smallest distance of two minima with 64 hidden units", apart.min())
    run.table(
        ["hidden units", "median loss", "share of bad minima"],
        [[width, float(np.median(losses[width])), float(bad[width])] for width in widths],
    )
    caption = (
        f"{networks} networks of each width learn 40 samples of a function that four hidden units can represent. Left: their last losses, "
        "as a share of the variance; narrow networks often end in bad minima. Middle and right: ten networks of each; the wide ones all "
        "fit. No two of their minima are relabelled copies of one another."
    )
    with run.figure(caption, columns=3) as (left, middle, right):
        for width in widths:
            left.hist(np.log10(losses[width]), np.linspace(-6, 0, 25), histtype="step", linewidth=1.6, label=f"{width} units")
        left.axvline(-2, **style.THEORY, label="good: below 1 %")
        left.legend(loc="upper left", fontsize=7)
        style.name_axes(left, "log₁₀ of the loss over the variance", "networks", "last losses")
        for axes, width in ((middle, 4), (right, widest)):
            axes.plot(everywhere, functions[width][:, :10], color=style.COLOURS[0], alpha=0.4, linewidth=1)
            axes.plot(samples, target(samples), "k.", markersize=4, label="samples")
            axes.legend()
            axes.set_ylim(-1.5, 2.5)
            style.name_axes(axes, "x", "output", f"{width} hidden units")


@experiment(
    63,
    title="Close to the starting point",
    claim="In very large networks, GD and SGD converge very close to the starting point.",
    numbers=[
        within(
            "slope of ‖W_T − W_0‖/‖W_0‖ over the width", -1.15, -0.85, "theory, with the weights of item 53: −1; ± 0.15 at finite widths"
        ),
        at_most("relative change at the largest width", 0.1, "'very close', taken as a tenth"),
        at_least("relative change at 8 hidden units", 0.3, "it is the width that does it"),
        within("relative change by SGD over that by GD, largest width", 0.7, 1.4, "'and SGD': the same within 40 %"),
    ],
)
def close_to_the_starting_point(run: Run) -> None:
    draw = run.generator()
    networks, n, d, tolerance = run.choose(16, 32), 6, 4, 0.05
    x = tg.tensor(draw.normal(size=(networks, n, d)))  # samples for each network
    y = tg.tensor(np.sin(x.numpy().sum(2)))
    y = y / (y * y).mean(1, keepdim=True) ** 0.5

    def changes(width: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """The relative change of all weights, and of those of the last layer, of each network; loss below the tolerance."""
        start = [draw.normal(size=(networks, d, width)) / np.sqrt(d), draw.normal(size=(networks, width, 1)) / np.sqrt(width)]
        first, last = (tg.tensor(value, requires_grad=True) for value in start)
        losses = lambda x, y: (((tg.tanh(x @ first) @ last).squeeze(-1) - y) ** 2).mean(1)
        optimizer = optim.SGD([first, last], lr=2 / width * min(1, batch / 4))  # the curvature grows with the width
        for step in range(8000):
            if step % 10 == 0:
                with tg.no_grad():
                    if (losses(x, y).numpy() < tolerance).all():
                        break
            chosen = draw.permutation(n)[:batch]
            optimizer.zero_grad()
            losses(x[:, chosen], y[:, chosen]).sum().backward()
            optimizer.step()
        else:
            raise RuntimeError(f"width {width}: the loss is not below the tolerance")
        moved = [(p.detach().numpy() - value).reshape(networks, -1) for p, value in zip((first, last), start)]
        before = [value.reshape(networks, -1) for value in start]
        ratio = lambda a, b: np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        return ratio(np.hstack(moved), np.hstack(before)), ratio(moved[1], before[1])

    widths = run.choose([8, 128, 256, 512], [8, 16, 32, 64, 128, 256, 512])
    every, last_layer = zip(*(changes(width, n) for width in widths))
    stochastic = changes(widths[-1], 2)[0]
    run.judge("relative change at 8 hidden units", np.median(every[0]))
    run.judge("relative change at the largest width", np.median(every[-1]))
    wide = [i for i, width in enumerate(widths) if width >= 128]
    estimate = slope_over_seeds([widths[i] for i in wide], np.array([every[i] for i in wide]).T)
    run.judge("slope of ‖W_T − W_0‖/‖W_0‖ over the width", *estimate)
    run.judge("relative change by SGD over that by GD, largest width", np.median(stochastic) / np.median(every[-1]))
    caption = (
        f"How far the weights of {networks} networks move until the loss on {n} samples each is below {tolerance} (80 % shaded). The "
        "wider the network, the closer to its start a solution lies: relative to all weights like 1/width, relative to the last layer like "
        "1/√width."
    )
    with run.figure(caption) as axes:
        style.band(axes, widths, np.array(every).T, "all weights, GD")
        style.band(axes, widths, np.array(last_layer).T, "last layer, GD")
        axes.plot(widths[-1:], [np.median(stochastic)], "k*", markersize=9, label="all weights, SGD with n′ = 2")
        axes.plot(widths, np.median(every[-1]) * widths[-1] / np.array(widths), **style.THEORY, label="slope −1")
        axes.plot(widths, np.median(last_layer[-1]) * np.sqrt(widths[-1] / np.array(widths)), "k:", label="slope −1/2")
        axes.legend()
        style.name_axes(axes, "hidden units", "‖W_T − W_0‖ / ‖W_0‖", log="xy")
        style.mark_x(axes, widths)


# -- generalization -----------------------------------------------------------------------------------


def ranks(values: Any) -> np.ndarray:
    return np.argsort(np.argsort(values))


def rank_correlation(a: Any, b: Any) -> float:
    """Spearman's."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


@experiment(
    64,
    title="Descent favours minima that generalize",
    claim="Among the many minima, gradient descent favours those with good generalization.",
    numbers=[
        at_most(
            "test loss of descent over that of minima reached from wrong labels",
            0.75,
            "the same training loss; a quarter lower as the margin",
        ),
        at_least("share of networks for which descent generalizes better", 0.9, "paired: the same training set"),
        at_least("rank correlation of sharpness and test loss, all minima", 0.5, "flat minima generalize; 0.5 as the margin"),
        at_most("largest η λ / 2 where descent ends", 1.1, "theory: it stays only where η λ < 2; + 10 %, as it is not at rest yet"),
    ],
)
def descent_favours_minima_that_generalize(run: Run) -> None:
    draw = run.generator()
    networks, n, d, hidden, tolerance = run.choose(8, 24), 30, 10, 30, 0.001
    x, fresh = draw.normal(size=(networks, n, d)), draw.normal(size=(500, d))
    y, wanted = np.sign(x[..., 0]), np.sign(fresh[:, 0])
    wrong_x, wrong_y = draw.normal(size=(networks, 120, d)), draw.choice([-1.0, 1.0], (networks, 120))

    def output(weights: Sequence[Any], x: Any) -> Any:
        return (tg.tanh(x @ weights[0] + weights[1]) @ weights[2]).squeeze(-1)

    def descend(weights: Sequence[Any], x: np.ndarray, y: np.ndarray, rate: float, tolerance: float) -> None:
        """Until the training loss of each network is below the tolerance."""
        optimizer, inputs, labels = optim.SGD(weights, lr=rate), tg.tensor(x), tg.tensor(y)
        for step in range(5000):
            optimizer.zero_grad()
            loss = ((output(weights, inputs) - labels) ** 2).mean(1)
            if step % 10 == 0 and (loss.detach().numpy() < tolerance).all():
                return
            loss.sum().backward()
            optimizer.step()
        raise RuntimeError("the training loss is not below the tolerance")

    def sharpness(weights: Sequence[Any], s: int) -> float:
        """The largest eigenvalue of the Hessian of the training loss of network s."""
        own = [tg.tensor(p.detach().numpy()[s], requires_grad=True) for p in weights]
        hessian = Hessian(((output(own, tg.tensor(x[s])) - tg.tensor(y[s])) ** 2).mean(), own)
        return spectrum(hessian.__matmul__, hessian.gradient, steps=12).largest

    results = []  # rate, wrong labels, sharpness and test loss of each network
    for rate, wrong in run.choose(
        [(0.1, 0), (0.3, 0), (0.1, 30), (0.1, 120)], [(0.02, 0), (0.1, 0), (0.3, 0), (0.1, 30), (0.1, 60), (0.1, 120)]
    ):
        shapes = {(networks, d, hidden): d, (networks, 1, hidden): np.inf, (networks, hidden, 1): hidden}
        weights = [tg.tensor(draw.normal(size=shape) / np.sqrt(fan), requires_grad=True) for shape, fan in shapes.items()]
        if wrong:
            descend(weights, np.hstack([x, wrong_x[:, :wrong]]), np.hstack([y, wrong_y[:, :wrong]]), rate, 0.1)
        descend(weights, x, y, rate, tolerance)
        with tg.no_grad():
            test = ((output(weights, tg.tensor(fresh)).numpy() - wanted) ** 2).mean(1)
        results.append((rate, wrong, np.array([sharpness(weights, s) for s in range(networks)]), test))

    own, others = ([result for result in results if (result[1] > 0) == poisoned] for poisoned in (False, True))
    plain, misled = np.array([result[3] for result in own]), np.array([result[3] for result in others])
    run.judge("test loss of descent over that of minima reached from wrong labels", plain.mean() / misled.mean())
    run.judge("share of networks for which descent generalizes better", np.mean(plain.mean(0) < misled.mean(0)))
    run.judge(
        "rank correlation of sharpness and test loss, all minima", rank_correlation(*(np.ravel([r[i] for r in results]) for i in (2, 3)))
    )
    run.judge("largest η λ / 2 where descent ends", max(rate * sharp.max() / 2 for rate, _, sharp, _ in own))
    within_own = rank_correlation(*(np.ravel([result[i] for result in own]) for i in (2, 3)))
    run.table(
        ["rate η", "wrong labels before", "sharpness", "η λ / 2", "test loss"],
        [[rate, wrong, float(sharp.mean()), float(rate * sharp.mean() / 2), float(test.mean())] for rate, wrong, sharp, test in results],
    )
    run.remark(
        f"Among the minima that descent reaches from random weights alone, the rank correlation of sharpness and test loss is only "
        f"{within_own:.2f}: sharpness tells good minima from bad ones, but hardly orders the good ones."
    )
    caption = (
        f"Sharpness and test loss of minima of the same training loss, {networks} training sets each. Networks that were first trained "
        "with additional wrong labels end, on the same training set, in sharper minima that generalize worse: such minima exist, and "
        "descent from random weights does not go there."
    )
    with run.figure(caption) as axes:
        for rate, wrong, sharp, test in results:
            label = f"η = {rate:g}" + (f", {wrong} wrong labels first" if wrong else "")
            axes.plot(sharp, test, "s" if wrong else "o", label=label, alpha=0.8)
        axes.axhline(1, color="black", linewidth=0.8, linestyle=":", label="output always 0")
        axes.legend(fontsize=7)
        style.name_axes(axes, "sharpness: largest eigenvalue of the Hessian", "test loss")


class NoisyDigits:
    """Several small training sets of digits, a fifth of their labels wrong; as many samples to validate; the library's test
    set, with right labels. Images are (sets, n, 64)."""

    def __init__(self, draw: np.random.Generator, sets: int, n: int = 60):
        images, labels, self.test_x, self.test_y = tg.datasets.digits()
        chosen = np.stack([draw.permutation(len(images))[: 2 * n] for _ in range(sets)])
        right = labels.numpy()[chosen]
        given = np.where(draw.random(right.shape) < 0.2, (right + draw.integers(1, 10, right.shape)) % 10, right)
        self.x, self.valid_x = (tg.tensor(part) for part in np.split(images.numpy()[chosen], 2, axis=1))
        self.y, self.valid_y = (tg.tensor(part) for part in np.split(given, 2, axis=1))
        self.draw, self.sets, self.n = draw, sets, n

    def networks(self, hidden: int = 24) -> list[np.ndarray]:
        """Initial weights of a network 64-hidden-10 for each set."""
        shapes = {(self.sets, 64, hidden): 1 / 8, (self.sets, 1, hidden): 0, (self.sets, hidden, 10): hidden**-0.5, (self.sets, 1, 10): 0}
        return [(scale * self.draw.normal(size=shape)).astype(np.float32) for shape, scale in shapes.items()]

    def shifted(self) -> Any:
        """The training images, each moved by at most a pixel up, down, left or right."""
        images = np.pad(self.x.numpy().reshape(self.sets, self.n, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
        down, right = np.array([(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)])[self.draw.integers(0, 5, (self.sets, self.n))].transpose(2, 0, 1)
        a, b, rows = np.arange(self.sets)[:, None, None, None], np.arange(self.n)[:, None, None], np.arange(8)
        moved = images[a, b, down[..., None, None] + rows[:, None], right[..., None, None] + rows]
        return tg.tensor(moved.reshape(self.sets, self.n, 64))


def logits(weights: Sequence[Any], x: Any, drop: float = 0.0) -> Any:
    first, bias, last, bias_out = weights
    return dropout(tg.relu(x @ first + bias), drop, training=drop > 0) @ last + bias_out


def losses(outputs: Any, y: Any) -> Any:
    """The mean cross-entropy of each network: outputs (networks, n, 10), y (networks, n) or (n,)."""
    y = y if y.ndim == 2 else y.expand(len(outputs), len(y))
    return cross_entropy(outputs.reshape(-1, 10), y.reshape(-1), reduction="none").reshape(len(outputs), -1).mean(1)


def train_on_digits(
    task: NoisyDigits,
    start: Sequence[np.ndarray],
    steps: int,
    *,
    decay: float = 0.0,
    l1: float = 0.0,
    drop: float = 0.0,
    shift: bool = False,
) -> tuple[list[Any], np.ndarray]:
    """Train with AdamW on all samples of each set. Returns the weights, and the training, validation and test losses of each
    network after every tenth step: (times, 3, sets)."""
    weights, history = [tg.tensor(value, requires_grad=True) for value in start], []
    optimizer = optim.AdamW(weights, lr=0.02, weight_decay=decay)
    for step in range(steps + 1):
        if step % 10 == 0:
            with tg.no_grad():
                parts = ((task.x, task.y), (task.valid_x, task.valid_y), (task.test_x, task.test_y))
                history.append([losses(logits(weights, x), y).numpy() for x, y in parts])
        optimizer.zero_grad()
        loss = losses(logits(weights, task.shifted() if shift else task.x, drop), task.y).sum()
        if l1:
            loss = loss + l1 * (weights[0].abs().sum() + weights[2].abs().sum())
        loss.backward()
        optimizer.step()
    return weights, np.array(history)


METHODS: dict[str, dict[str, Any]] = {
    "weight decay": {"decay": 3.0},
    "L1": {"l1": 0.01},
    "dropout": {"drop": 0.5},
    "augmentation": {"shift": True},
}


@experiment(
    "N5",
    title="Against overfitting",
    claim="Weight decay, L1, dropout, data augmentation and early stopping improve generalization.",
    numbers=[
        at_most(f"{name}: mean log ratio of the test losses with and without", -0.1, "a tenth lower, paired over training sets")
        for name in (*METHODS, "early stopping")
    ],
)
def against_overfitting(run: Run) -> None:
    (seed,) = run.seeds(1, 1)
    steps, task = run.choose(120, 200), NoisyDigits(run.generator(seed), run.choose(6, 40))
    start = task.networks()
    _, plain = train_on_digits(task, start, steps)
    curves = {"nothing": plain, **{name: train_on_digits(task, start, steps, **options)[1] for name, options in METHODS.items()}}
    last = {name: history[-1, 2] for name, history in curves.items()}

    # Early stopping looks at the validation loss of the plain run, and keeps the weights of its best step.
    stopped, kept = np.zeros(task.sets, dtype=int), np.zeros(task.sets)
    for i in range(task.sets):
        rule = EarlyStopping(patience=5)
        for k, (_, valid, test) in enumerate(plain[:, :, i]):
            if rule.update(valid):
                break
            if rule.bad == 0:
                stopped[i], kept[i] = k, test
    last["early stopping"] = kept

    ratios = {name: np.log(test / last["nothing"]) for name, test in last.items()}
    for name in (*METHODS, "early stopping"):
        run.judge(f"{name}: mean log ratio of the test losses with and without", *mean_of(ratios[name]))
    rows = [[name, float(test.mean()), f"{np.mean(ratios[name] < 0):.0%}" if name != "nothing" else "–"] for name, test in last.items()]
    run.table(["method", "mean test loss", "sets where it helps"], rows)
    run.remark("With more updates, networks trained with dropout or augmentation overfit, too, only later: they postpone it.")
    caption = (
        f"Networks 64-24-10 on {task.sets} sets of 60 digits, a fifth of the labels wrong. Left: without help the training loss goes to 0 "
        "while the test loss rises (medians; the dot is where early stopping stops). Right: each method against nothing, on the same "
        "sets and from the same weights: one point a set, the mean with its 95 % interval."
    )
    with run.figure(caption, columns=2) as (left, right):
        x = 10 * np.arange(len(plain))
        for i, (name, history) in enumerate(curves.items()):
            left.plot(x, np.median(history[:, 2], axis=1), label=f"test, {name}", color=style.COLOURS[i])
        left.plot(x, np.median(plain[:, 0], axis=1), ":", label="training, nothing", color=style.COLOURS[0])
        left.plot(10 * np.median(stopped), np.median(kept), "ko", markersize=5)
        left.set_ylim(0, 3)
        left.legend(fontsize=7)
        style.name_axes(left, "updates", "cross-entropy", "training")
        for i, name in enumerate((*METHODS, "early stopping")):
            mean, (low, high) = mean_of(ratios[name])
            right.plot(np.full(task.sets, i), np.exp(ratios[name]), ".", color=style.COLOURS[i + 1], alpha=0.5)
            right.errorbar(i + 0.2, np.exp(mean), [[np.exp(mean) - np.exp(low)], [np.exp(high) - np.exp(mean)]], fmt="ko", markersize=4)
        right.axhline(1, **style.THEORY)
        right.set_xticks(range(len(METHODS) + 1), [name.replace(" ", "\n") for name in (*METHODS, "early stopping")], fontsize=7)
        style.name_axes(right, "", "test loss with over without", "paired comparison")


@experiment(
    "N5",
    title="Dropout keeps the mean",
    claim="Dropout scales what it keeps by 1/(1 − p), so that means stay; without it, a network predicts the mean of its thinned networks.",
    verdict=HOLDS_IF,
    condition="the mean of the thinned networks is the geometric one; their arithmetic mean (bagging) is better still",
    numbers=[
        at_most("largest |z| of the mean output of dropout, 50 inputs", 4.5, "exceeded with probability 50 · 6.8e-6 = 0.0003"),
        exactly("kept values that are not x/(1 − p)", 0, "inverted scaling, to the last bit"),
        exactly("values that dropout changes in eval mode", 0, "nothing is left to scale"),
        at_most("test loss of eval mode over the mean one of single masks", 0.95, "a mean beats its members; by 5 % at least"),
        at_most("rms difference of probabilities, eval mode and arithmetic mean of 100 masks", 0.02, "the claim, ± 0.02"),
        at_most("eval mode against the geometric mean of all 256 masks", 1e-12, "equal for a softmax layer", under_the_condition=True),
        at_most(
            "rms difference of probabilities, eval mode and geometric mean of 100 masks",
            0.02,
            "the claim with a hidden layer, ± 0.02",
            under_the_condition=True,
        ),
    ],
)
def dropout_keeps_the_mean(run: Run) -> None:
    (seed,) = run.seeds(1, 1)
    draw, p, times = run.generator(seed), 0.25, run.choose(20_000, 200_000)
    layer = nn.Dropout(p)
    x = tg.tensor(draw.normal(size=50))
    out = layer(x.expand(times, 50)).numpy()
    deviation = abs(x.numpy()) * np.sqrt(p / (1 - p))
    z = (out.mean(0) - x.numpy()) / (deviation / np.sqrt(times))
    run.judge("largest |z| of the mean output of dropout, 50 inputs", abs(z).max())
    run.judge("kept values that are not x/(1 − p)", np.sum((out != 0) & (out != x.numpy() * (1 / (1 - p)))))
    run.judge("values that dropout changes in eval mode", np.sum(layer.eval()(x).numpy() != x.numpy()))

    # A softmax layer on 8 inputs: the geometric mean over all masks, normalized, is the network without dropout.
    inputs, weight = draw.normal(size=8), draw.normal(size=(8, 4))
    masks = np.array(list(itertools.product([0, 1], repeat=8)))
    logs = tg.tensor(masks * inputs / 0.5 @ weight).log_softmax(1).numpy()
    geometric = tg.tensor(logs.mean(0)).softmax(0).numpy()
    whole = tg.tensor(inputs @ weight).softmax(0).numpy()
    run.judge("eval mode against the geometric mean of all 256 masks", abs(geometric - whole).max())

    # With dropout on a hidden layer it is an approximation.
    task = NoisyDigits(draw, run.choose(3, 12))
    weights, _ = train_on_digits(task, task.networks(), 150, drop=0.5)
    y = task.test_y
    with tg.no_grad():
        whole = logits(weights, task.test_x)
        evaluated = losses(whole, y).numpy().mean()
        samples = [logits(weights, task.test_x, 0.5).log_softmax(2) for _ in range(100)]
        single = np.mean([losses(sample, y).numpy().mean() for sample in samples[:20]])
        counts = np.array([1, 2, 3, 5, 10, 20, 50, 100])
        arithmetic = [losses((sum(sample.exp() for sample in samples[:k]) / k).log(), y).numpy().mean() for k in counts.tolist()]
        geometric = [losses(sum(samples[:k]) / k, y).numpy().mean() for k in counts.tolist()]  # cross_entropy normalizes it
    run.judge("test loss of eval mode over the mean one of single masks", evaluated / single)
    means = {"arithmetic": sum(sample.exp() for sample in samples) / 100, "geometric": (sum(samples) / 100).softmax(2)}
    for name, mean in means.items():
        difference = float(((mean - whole.softmax(2)) ** 2).mean()) ** 0.5
        run.judge(f"rms difference of probabilities, eval mode and {name} mean of 100 masks", difference)
    caption = (
        f"Left: the mean output of {times:,} passes through dropout against its input: the mean stays. Right: test loss of means of the "
        "predictions of several masks (thinned networks), and of eval mode, which takes one pass and comes out as the geometric mean."
    )
    with run.figure(caption, columns=2) as (left, right):
        left.plot(x.numpy(), out.mean(0), "o", markersize=4, label=f"mean output, p = {p}")
        left.plot(x.numpy(), np.where(out == 0, np.nan, out)[:40].T, ".", color=style.COLOURS[6], alpha=0.2, markersize=3)
        style.theory(left, x.numpy()[[x.argmin().item(), x.argmax().item()]], x.numpy()[[x.argmin().item(), x.argmax().item()]], "input")
        left.legend()
        style.name_axes(left, "input", "output (grey: kept values)", "dropout in training mode")
        right.plot(counts, arithmetic, "o-", label="arithmetic mean of k masks (bagging)")
        right.plot(counts, geometric, "s-", label="geometric mean of k masks")
        right.axhline(evaluated, **style.THEORY, label="eval mode")
        right.legend()
        style.name_axes(right, "masks k", "test loss", "bagging", log="x")


@experiment(
    "N5",
    title="Clipping tames outliers",
    claim="Gradient clipping limits how far a single bad batch can throw the weights.",
    numbers=[
        at_most("longest step with clipping, over η · max_norm", 1 + 1e-6, "an inequality, by definition"),
        at_least("longest step without, over η · max_norm", 5, "the outliers are there"),
        at_most("targets with outliers: mean log ratio of the test losses with and without", -0.1, "a tenth lower, paired over seeds"),
        within("clean targets: mean log ratio of the test losses with and without", -0.1, 0.1, "it hardly touches good batches"),
    ],
)
def clipping_tames_outliers(run: Run) -> None:
    rate, limit, steps, n = 0.05, 4.0, run.choose(120, 300), 60
    names = ("targets with outliers", "clean targets", "inputs with outliers, classification")
    curves: dict[tuple[str, bool], list[list[float]]] = {(name, clip): [] for name in names for clip in (False, True)}
    longest = {False: 0.0, True: 0.0}
    images, labels, test_images, test_labels = tg.datasets.digits()
    for seed in run.seeds(4, 20):
        draw = run.generator(seed)
        x, fresh, true = draw.normal(size=(n, 10)), draw.normal(size=(300, 10)), draw.normal(size=10)
        clean = x @ true + 0.5 * draw.normal(size=n)
        bad = np.where(np.arange(n) < n // 15, 30.0 * draw.choice([-1, 1], n), 0.0)  # one in fifteen
        scans, order = draw.permutation(len(images))[:n], draw.integers(0, n, (steps, 10))
        too_bright = images.numpy()[scans] * np.where(np.arange(n) < 2, 50, 1)[:, None].astype(np.float32)
        tasks = {
            names[0]: (x, clean + bad, fresh, fresh @ true, nn.functional.mse_loss, 1),
            names[1]: (x, clean, fresh, fresh @ true, nn.functional.mse_loss, 1),
            names[2]: (too_bright, labels.numpy()[scans], test_images.numpy(), test_labels.numpy(), cross_entropy, 10),
        }
        for name, clip in curves:
            tg.manual_seed(seed)  # the same initial weights for all
            inputs, targets, test_x, test_y, loss, outputs = tasks[name]
            model = nn.Linear(inputs.shape[1], outputs).to(tg.tensor(inputs).dtype)
            optimizer, curve = optim.SGD(model.parameters(), lr=rate if outputs == 1 else 0.2), []
            predict = lambda x, model=model: model(tg.tensor(x)).squeeze(1)
            for step in range(steps):
                if step % 10 == 0 or step == steps - 1:
                    with tg.no_grad():
                        curve.append(loss(predict(test_x), tg.tensor(test_y)).item())
                optimizer.zero_grad()
                loss(predict(inputs[order[step]]), tg.tensor(targets[order[step]])).backward()
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), limit)
                if name == names[0]:
                    longest[clip] = max(longest[clip], np.sqrt(sum((p.grad.numpy() ** 2).sum() for p in model.parameters())) / limit)
                optimizer.step()
            curves[name, clip].append(curve)
    ratios = {name: np.log(np.array(curves[name, True])[:, -3:].mean(1) / np.array(curves[name, False])[:, -3:].mean(1)) for name in names}
    run.judge("longest step with clipping, over η · max_norm", longest[True])
    run.judge("longest step without, over η · max_norm", longest[False])
    for name in names[:2]:
        run.judge(f"{name}: mean log ratio of the test losses with and without", *mean_of(ratios[name]))
    run.table(["data", "test loss with over without clipping"], [[name, float(np.exp(ratios[name].mean()))] for name in names])
    run.remark(
        "It does not help everywhere: where two of 60 digits are 50 times too bright, softmax regression soon fits them, and their "
        "gradients vanish by themselves."
    )
    caption = (
        "Linear regression on 60 samples, a fifteenth of the targets off by 30 (left) or none (middle), and softmax regression on digits "
        f"(right), with and without clipping of the gradient to the length {limit:g} (medians, middle 80 % of the seeds shaded)."
    )
    with run.figure(caption, columns=3) as three:
        for axes, name in zip(three, names):
            for clip, label in ((False, "without clipping"), (True, "with clipping")):
                values = curves[name, clip]
                style.band(axes, 10 * np.arange(len(values[0])), values, label)
            axes.legend()
            style.name_axes(axes, "updates", "test loss", name, log="y")


@experiment(
    "N5",
    title="Normalized inputs train faster",
    claim="Inputs of mean 0 and variance 1 make the loss rounder, and training faster.",
    numbers=[
        at_most("share of the largest eigenvalue in the trace, normalized over raw", 0.5, "the mean image no longer dominates; half"),
        at_most("updates to a training loss of 1, normalized over raw, each at its best rate", 0.6, "faster; 40 % as the margin"),
        at_most("mean log ratio of the test losses after 100 updates at η = 0.05", -0.1, "further at the same rate; a tenth as the margin"),
    ],
)
def normalized_inputs_train_faster(run: Run) -> None:
    (seed,) = run.seeds(1, 1)
    task = NoisyDigits(run.generator(seed), run.choose(5, 20))
    mean, std = task.x.mean(1, keepdim=True), task.x.std(1, keepdim=True).clamp(min=0.1)  # of each pixel; some are always blank
    inputs: dict[str, tuple[Any, Any]] = {
        "raw, 0 to 1": (task.x, task.test_x.expand(task.sets, *task.test_x.shape)),
        "normalized": ((task.x - mean) / std, (task.test_x - mean) / std),
    }
    start, steps = task.networks(), run.choose(100, 300)
    rates = run.choose([0.05, 0.2, 0.8], [0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
    shares, updates, curves, tests = {}, {}, {}, {}
    for name, (x, test_x) in inputs.items():
        moments = x.numpy().swapaxes(1, 2) @ x.numpy() / task.n  # of a linear layer's loss: its curvature
        eigenvalues = np.linalg.eigvalsh(moments)
        shares[name] = (eigenvalues[:, -1] / eigenvalues.sum(1)).mean()
        for rate in rates:
            weights = [tg.tensor(value, requires_grad=True) for value in start]
            optimizer, curve = optim.SGD(weights, lr=rate), []
            for step in range(steps):
                optimizer.zero_grad()
                loss = losses(logits(weights, x), task.y)
                curve.append(loss.detach().numpy())
                loss.sum().backward()
                optimizer.step()
                if step == 99:
                    with tg.no_grad():
                        tests[name, rate] = losses(logits(weights, test_x), task.test_y).numpy()
            curves[name, rate] = np.array(curve).T
            updates[name, rate] = np.median([np.argmax(each < 1) if (each < 1).any() else np.inf for each in curves[name, rate]])
    raw, normalized = inputs
    best = {name: min(updates[name, rate] for rate in rates) for name in inputs}
    run.judge("share of the largest eigenvalue in the trace, normalized over raw", shares[normalized] / shares[raw])
    run.judge("updates to a training loss of 1, normalized over raw, each at its best rate", best[normalized] / best[raw])
    ratio = np.log(tests[normalized, 0.05] / tests[raw, 0.05])
    run.judge("mean log ratio of the test losses after 100 updates at η = 0.05", *mean_of(ratio))
    rows = [[name, rate, updates[name, rate], float(tests[name, rate].mean())] for name in inputs for rate in rates]
    run.table(["inputs", "rate η", "updates to a loss of 1", "test loss after 100 updates"], rows)
    run.remark("It is no regularization: at high rates normalized inputs overfit sooner, too.")
    caption = (
        "Training loss of networks 64-24-10 on noisy digits (median and middle 80 % of the training sets) with raw and with normalized "
        "inputs, at the same rate (left), and updates to a loss of 1 over the rate (right; no point where the run is too short)."
    )
    with run.figure(caption, columns=2) as (left, right):
        for name in inputs:
            style.band(left, np.arange(steps), curves[name, 0.05], name)
            right.plot(rates, [updates[name, rate] for rate in rates], "o-", label=name)
        left.legend()
        right.legend()
        style.name_axes(left, "updates", "training loss", "η = 0.05")
        style.name_axes(right, "rate η", "updates to a training loss of 1", log="xy")
        style.mark_x(right, rates)
