"""Batch and incremental updates, and the order in which the instances are presented (items 21 to 34, 51 and 75).

Most experiments train many runs at once: the weights have an axis of runs, each run draws its own instances, and the sum
of the runs' losses has the gradient of each run in that run's row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.nn import functional as F
from tinygrad_lite.optim.noise import gradient_noise, per_sample_gradients
from tinygrad_lite.optim.progress import Progress, iterations_to
from tinygrad_lite.utils.data import DataLoader, PresentationOrder, SequentialSampler, StreamLoader, TensorDataset

from .. import style
from ..core import HOLDS_IF, Run, at_least, at_most, exactly, experiment, within
from ..tools import log_spaced, mean_of, slope_over_seeds

# -- a network that fits a function (items 21 to 23) ---------------------------------------------

POINTS = 12


class Bumps(nn.Module):
    """Networks of one input, sixteen Gaussian units and one output; one network a run."""

    def __init__(self, runs: int, draw: np.random.Generator):
        super().__init__()
        self.centres = nn.Parameter(tg.tensor(np.tile(np.linspace(-1, POINTS, 16), (runs, 1))))
        self.heights = nn.Parameter(tg.tensor(0.3 * draw.standard_normal((runs, 16))))

    def forward(self, x: tg.Tensor) -> tg.Tensor:  # (points, runs) -> (points, runs)
        return (self.heights * tg.exp(-((x.unsqueeze(-1) - self.centres) ** 2))).sum(-1)


def target(x: tg.Tensor) -> tg.Tensor:
    return tg.sin(0.6 * x) + 0.05 * x


def points_to_fit(runs: int, draw: np.random.Generator) -> tg.Tensor:
    """Twelve inputs about one apart for each run, (points, runs)."""
    return tg.tensor(np.arange(POINTS)[:, None] + draw.uniform(-0.25, 0.25, (POINTS, runs)))


def adjust(model: nn.Module, optimizer: optim.Optimizer, x: tg.Tensor) -> None:
    """One update for the mean divergence of the points `x` from the target: all of them, or a single one."""
    optimizer.zero_grad()
    (0.5 * (model(x) - target(x)) ** 2).mean(0).sum().backward()
    optimizer.step()


def weights(model: nn.Module) -> np.ndarray:
    """All weights of each run, (runs, weights)."""
    return np.concatenate([p.detach().numpy() for p in model.parameters()], 1)


def in_passes(axes: Any, y: str, title: str = "", *, log: str = "") -> None:
    """Name the axes of a curve over the passes, with ticks at whole ones."""
    style.name_axes(axes, "pass over the data", y, title, log=log)
    if "x" not in log:
        axes.xaxis.get_major_locator().set_params(integer=True)


def draw_fit(axes: Any, networks: dict[str, nn.Module], x: tg.Tensor, title: str) -> None:
    """The functions of the first run's networks, and what is required."""
    grid = tg.linspace(-0.5, POINTS - 0.5, 120, dtype=tg.float64)
    style.theory(axes, grid.numpy(), target(grid).numpy(), "required")
    axes.plot(x[:, 0].numpy(), target(x)[:, 0].numpy(), "o", color="black", markersize=3)
    for (name, model), colour in zip(networks.items(), style.COLOURS):
        with tg.no_grad():
            axes.plot(grid.numpy(), model(grid.unsqueeze(1))[:, 0].numpy(), label=name, color=colour)
    axes.set_ylim(-1.5, 1.9)
    style.name_axes(axes, "input X", "output y", title)
    axes.legend(loc="lower left")


@experiment(
    21,
    title="A batch update moves the function at all points",
    claim="Gradient descent adjusts the function at all training points, to bring the outputs closer to the required values; "
    "repeated, it comes arbitrarily close.",
    numbers=[
        exactly("share of the outputs that come closer in an update", 1, "the claim: all of them"),
        exactly("share of the outputs that move in an update", 1, "the claim: all of them", under_the_condition=True),
        exactly("updates that raise the mean divergence", 0, "theory: none while η < 2/L", under_the_condition=True),
        at_most("largest error left, relative to the first", 0.01, "a hundredth, and still falling", under_the_condition=True),
    ],
    verdict=HOLDS_IF,
    condition="“closer” is meant of the points together: the mean divergence falls in every update, but a single output may move away",
)
def a_batch_update_moves_all_points(run: Run) -> None:
    runs, updates, draw = run.choose(10, 40), 1500, run.generator()
    x, model = points_to_fit(runs, draw), Bumps(runs, draw)
    start = copy.deepcopy(model.state_dict())
    optimizer, errors = optim.SGD(model.parameters(), lr=0.4), []
    for _ in range(updates):
        adjust(model, optimizer, x)
        errors.append((model(x) - target(x)).detach().numpy())
    errors = np.array(errors)  # (updates, points, runs)
    moved, closer = np.diff(errors, axis=0) != 0, np.diff(abs(errors), axis=0) < 0
    left = abs(errors[-1]).max(0) / abs(errors[0]).max(0)
    run.judge("share of the outputs that come closer in an update", closer.mean(), np.quantile(closer.mean((0, 1)), [0, 1]))
    run.judge("share of the outputs that move in an update", moved.mean())
    run.judge("updates that raise the mean divergence", (np.diff((errors**2).mean(1), axis=0) > 0).sum())
    run.judge("largest error left, relative to the first", left.max(), (left.min(), left.max()))

    def show(axes: Any, frame: int) -> None:
        if frame:
            adjust(model, optimizer, x)
        draw_fit(axes, {"network": model}, x, f"after {frame} batch updates")

    model.load_state_dict(start)
    frames = range(run.choose(6, 61))
    run.animation("The network's function, one batch update a frame: it moves at all twelve points at once.", frames, show)


@experiment(
    22,
    title="A batch update waits for all instances",
    claim="A batch update needs all training points before a single adjustment; an incremental one needs one.",
    numbers=[
        exactly("instances processed before the first batch update", POINTS, "the claim: all T"),
        exactly("instances processed before the first incremental update", 1, "the claim: one"),
        at_most("mean divergence after one pass, incremental relative to batch", 1, "the claim's point: more adjustment for the same work"),
    ],
)
def a_batch_update_waits_for_all_instances(run: Run) -> None:
    runs, passes, draw = run.choose(10, 40), run.choose(2, 3), run.generator()
    x, model = points_to_fit(runs, draw), Bumps(runs, draw)
    start = copy.deepcopy(model.state_dict())
    first, history, states = {}, {}, {}
    for name, size in {"batch": POINTS, "incremental": 1}.items():
        model.load_state_dict(start)
        optimizer = optim.SGD(model.parameters(), lr=0.2)
        progress, history[name], states[name] = Progress(optimizer, samples=POINTS), [mean_divergence(model, x)], [start]
        for t in range(passes * POINTS):
            progress.seen(1)
            if (t + 1) % size == 0:  # the instances since the last update
                i = t % POINTS
                adjust(model, optimizer, x[i + 1 - size : i + 1])
                first.setdefault(name, progress.evaluations)
            history[name].append(mean_divergence(model, x))
            states[name].append(copy.deepcopy(model.state_dict()))
    run.judge("instances processed before the first batch update", first["batch"])
    run.judge("instances processed before the first incremental update", first["incremental"])
    ratios = history["incremental"][POINTS] / history["batch"][POINTS]
    run.judge("mean divergence after one pass, incremental relative to batch", ratios.max(), (ratios.min(), ratios.max()))

    networks = {name: Bumps(runs, draw) for name in states}

    def show(axes: Any, processed: int) -> None:
        for name, model in networks.items():
            model.load_state_dict(states[name][processed])
        draw_fit(axes[0], networks, x, f"{processed} instances processed")
        for name in networks:
            axes[1].step(range(processed + 1), [v[0] for v in history[name][: processed + 1]], where="post", label=name)
        axes[1].set(xlim=(0, passes * POINTS), ylim=(0, 1.1 * history["batch"][0][0]))
        style.name_axes(axes[1], "instances processed", "mean divergence", "same η, same work")
        axes[1].legend(loc="upper right")

    run.animation(
        "The network's function and its mean divergence while instances are processed: the batch method moves after every twelfth "
        "instance, the incremental one after each.",
        range(0, passes * POINTS + 1, run.choose(6, 1)),
        show,
        columns=2,
    )


def steepest(model: nn.Module, state: Any, x: tg.Tensor) -> float:
    """The largest curvature of the divergence of a single instance, the square of the length of its output's gradient."""
    model.load_state_dict(state)
    lengths = []
    for point in x.unsqueeze(1):
        gradients = tg.autograd.grad(model(point).sum(), list(model.parameters()))
        lengths.append(sum((g**2).sum(1).numpy() for g in gradients))
    return float(np.max(lengths))


def mean_divergence(model: nn.Module, x: tg.Tensor) -> np.ndarray:
    """Of each run, (runs,)."""
    with tg.no_grad():
        return (0.5 * (model(x) - target(x)) ** 2).mean(0).numpy()


@experiment(
    23,
    title="One incremental pass moves the weights further",
    claim="If the adjustments are small, one pass of incremental updates adjusts more than a single batch update.",
    numbers=[
        at_least("smallest ratio of the distances moved, η up to 1/L", 1, "the claim; at η = 1/L an update already fits its instance"),
        within("ratio at the smallest η, relative to T", 0.98, 1.02, "theory: T as η → 0, since T gradients are added and not averaged"),
    ],
)
def an_incremental_pass_moves_further(run: Run) -> None:
    runs, draw = run.choose(10, 40), run.generator()
    x, model = points_to_fit(runs, draw), Bumps(runs, draw)
    start = copy.deepcopy(model.state_dict())

    def moved(eta: float, batches: Sequence[tg.Tensor]) -> np.ndarray:
        """The distance ‖W after - W before‖ of one pass, (runs,)."""
        optimizer, before = optim.SGD(model.parameters(), lr=eta), weights(model)
        for batch in batches:
            adjust(model, optimizer, batch)
        return np.linalg.norm(weights(model) - before, axis=1)

    passes_of = {"batch": [x], "incremental": list(x.unsqueeze(1))}
    rates, ratios = np.geomspace(1e-3, 1, run.choose(9, 15)), []
    for eta in rates:
        distances = {}
        for name, batches in passes_of.items():
            model.load_state_dict(start)
            distances[name] = moved(eta, batches)
        ratios.append(distances["incremental"] / distances["batch"])
    ratios = np.array(ratios)  # (rates, runs)
    L = steepest(model, start, x)
    small = rates <= 1 / L
    run.judge("smallest ratio of the distances moved, η up to 1/L", ratios[small].min(), (ratios[small].min(), ratios[small].max()))
    run.judge("ratio at the smallest η, relative to T", ratios[0].mean() / POINTS, np.quantile(ratios[0], [0, 1]) / POINTS)

    paths = {}
    for name, batches in passes_of.items():
        model.load_state_dict(start)
        paths[name] = np.array([moved(0.2, batches) for _ in range(run.choose(20, 60))])  # (passes, runs)
    later = int(np.argmax(np.median(paths["incremental"], 1) < np.median(paths["batch"], 1)))
    run.remark(
        f"From the same weights, and along its own path in the first {later} passes at η = 0.2, the incremental method moves further. "
        "After that it is close to the target and moves less than the batch method, which is still on its way."
    )
    with run.figure(
        "Left: the distance moved in one incremental pass relative to one batch update from the same weights, over η. "
        "Right: the distance moved in each pass of training at η = 0.2.",
        columns=2,
    ) as (left, right):
        style.band(left, rates, ratios.T, "measured (runs: middle 80 %)")
        style.theory(left, rates, np.full(len(rates), POINTS), "theory as η → 0: T = 12")
        left.axvline(1 / L, color=style.COLOURS[6], linestyle=":", label="η = 1/L, L of the steepest instance")
        style.name_axes(left, "learning rate η", "distance, incremental / batch", "same weights, same η", log="x")
        left.set_ylim(0, 14)
        for name, distances in paths.items():
            style.band(right, np.arange(1, len(distances) + 1), distances.T, name)
        in_passes(right, "distance moved ‖W after − W before‖", "each on its own path", log="y")
        left.legend(loc="lower left"), right.legend()


# -- the two algorithms, and what an epoch is (items 24, 32 to 34) -------------------------------

INSTANCES = 40


def network_and_data() -> tuple[nn.Module, TensorDataset]:
    """A network of two hidden units, and forty points of two overlapping classes."""
    x, d = tg.datasets.blobs(INSTANCES, centers=[[-0.5, 0.0], [0.5, 0.0]], std=1.0)
    return nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)).double(), TensorDataset(x.double(), d.double().unsqueeze(1))


def div(model: nn.Module, x: tg.Tensor, d: tg.Tensor) -> tg.Tensor:
    return F.binary_cross_entropy_with_logits(model(x), d)


def one_pass(model: nn.Module, loader: DataLoader, optimizer: optim.Optimizer, progress: Progress) -> float:
    """Train for one pass; Err, the mean divergence of the instances when it was their turn."""
    err = 0.0
    for x, d in loader:
        optimizer.zero_grad()
        loss = div(model, x, d)
        loss.backward()
        optimizer.step()
        progress.seen(len(x))
        err += len(x) * loss.item()
    return err / progress.samples


def literally(model: nn.Module, data: TensorDataset, passes: Sequence[Sequence[int]], eta: Callable[[int], float]) -> nn.Module:
    """The lecture's loop on a copy of the model: after every instance t, W_k = W_k − η_j ∇Div(Y_t, d_t) for all k."""
    model, j = copy.deepcopy(model), 0
    for order in passes:
        for t in order:
            gradients = tg.autograd.grad(div(model, *data[t]), list(model.parameters()))
            with tg.no_grad():
                for w, gradient in zip(model.parameters(), gradients):
                    w -= eta(j) * gradient
            j += 1
    return model


def largest_difference(model: nn.Module, other: nn.Module) -> float:
    return max((p - q).abs().max().item() for p, q in zip(model.parameters(), other.parameters()))


@experiment(
    24,
    34,
    title="SGD, first version, and its epochs",
    claim="SGD updates after every instance t = 1 ... T, until Err has converged. An epoch is one pass, and has T updates.",
    numbers=[
        at_most("largest difference of a weight from the literal loop", 1e-12, "rounding: the same arithmetic in float64"),
        exactly("updates in an epoch", INSTANCES, "the claim: T = 40"),
        exactly("gradient evaluations in an epoch", INSTANCES, "the claim: one an update"),
        exactly("epochs after 3 T updates", 3, "the claim"),
        at_most("passes until Err changes by less than 0.1 %", 500, "the claim is that the loop ends; 500 is a margin"),
    ],
)
def sgd_first_version(run: Run) -> None:
    rate, errors, counts, differences = 0.3, [], [], []
    for _ in run.seeds(2, 10):
        model, data = network_and_data()
        start = copy.deepcopy(model)
        loader = DataLoader(data, batch_size=1, sampler=SequentialSampler(data))
        optimizer = optim.SGD(model.parameters(), lr=rate)
        progress, err = Progress(optimizer, len(data)), []
        while len(err) < 3 or (abs(err[-1] - err[-2]) > 0.001 * err[-1] and len(err) <= 500):
            err.append(one_pass(model, loader, optimizer, progress))
            counts.append((progress.updates, progress.evaluations, progress.epochs))
            if len(err) == 3:
                literal = literally(start, data, [range(len(data))] * 3, lambda j: rate)
                differences.append(largest_difference(model, literal))
        errors.append(err)
    run.judge("largest difference of a weight from the literal loop", max(differences))
    run.judge("updates in an epoch", counts[0][0])
    run.judge("gradient evaluations in an epoch", counts[0][1])
    run.judge("epochs after 3 T updates", counts[2][2] if counts[2][0] == 3 * INSTANCES else float("nan"))
    passes = list(map(len, errors))
    run.judge("passes until Err changes by less than 0.1 %", max(passes), (min(passes), max(passes)))
    with run.figure("Err in each pass over the forty instances; the dot is where it has converged and the loop ends.") as axes:
        for err in errors:
            axes.plot(range(1, len(err) + 1), err, color=style.COLOURS[0], alpha=0.7)
            axes.plot(len(err), err[-1], "o", color=style.COLOURS[1])
        in_passes(axes, "Err, mean divergence", f"one order, η = {rate}, {INSTANCES} updates a pass")


@experiment(
    33,
    title="SGD, second version: permuted, with a rate that falls",
    claim="Permute the instances in every pass, and let η_j fall with the update j.",
    numbers=[
        at_most("largest difference of a weight from the literal loop", 1e-12, "rounding: the same arithmetic in float64"),
        exactly("different rates in the first pass", INSTANCES, "the claim: η falls with the update, not with the pass"),
        exactly("different orders in 3 passes", 3, "the claim: permuted in every pass"),
    ],
)
def sgd_second_version(run: Run) -> None:
    tg.manual_seed(1000 * run.seed)
    model, data = network_and_data()
    rates, orders = [], []

    def falling(j: int) -> float:
        rates.append(0.2 / (1 + j / INSTANCES))
        return rates[-1]

    class Kept(PresentationOrder):
        def __iter__(self) -> Iterator[int]:
            orders.append(list(super().__iter__()))
            return iter(orders[-1])

    start = copy.deepcopy(model)
    loader = DataLoader(data, batch_size=1, sampler=Kept(data, "reshuffle"))
    optimizer = optim.SGD(model.parameters(), lr=falling)
    progress = Progress(optimizer, len(data))
    err = [one_pass(model, loader, optimizer, progress)]
    run.judge("different rates in the first pass", len(set(rates)))
    err += [one_pass(model, loader, optimizer, progress) for _ in range(2)]
    run.judge("different orders in 3 passes", len(set(map(tuple, orders))))
    run.judge("largest difference of a weight from the literal loop", largest_difference(model, literally(start, data, orders, falling)))
    err += [one_pass(model, loader, optimizer, progress) for _ in range(run.choose(17, 97))]
    with run.figure("Left: the rate falls with every update. Right: Err in each pass.", columns=2) as (left, right):
        left.plot(range(1, 3 * INSTANCES + 1), sorted(set(rates), reverse=True)[: 3 * INSTANCES], ".", markersize=3)
        style.name_axes(left, "update j", "learning rate η_j", "three passes")
        right.plot(range(1, len(err) + 1), err)
        in_passes(right, "Err, mean divergence", "Err")


# -- least squares, in many runs at once ---------------------------------------------------------


class Squares:
    """Linear fits with Div = ½ (w·x − d)², one problem a run: x (instances, runs, features), d (instances, runs)."""

    def __init__(self, x: np.ndarray, d: np.ndarray):
        self.x, self.d = tg.tensor(x), tg.tensor(d)
        self.instances, self.runs, self.features = x.shape
        self.hessian = np.einsum("nri,nrj->rij", x, x) / len(x)
        self.optimum = np.einsum("rij,nrj,nr->ri", np.linalg.pinv(self.hessian), x, d) / len(x)

    def times(self, copies: int) -> Squares:
        """The same problems several times over, for as many methods: (copies * runs) runs."""
        return Squares(np.tile(self.x.numpy(), (1, copies, 1)), np.tile(self.d.numpy(), (1, copies)))

    def divergence(self, w: tg.Tensor, batch: np.ndarray) -> tg.Tensor:
        """The mean over the instances `batch` (size, runs) of each run, for weights (runs, features)."""
        run = np.arange(self.runs)
        return (0.5 * ((w * self.x[batch, run]).sum(-1) - self.d[batch, run]) ** 2).mean(0)

    def distance(self, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """How far two functions are apart: the root mean square over the instances, for weights (..., runs, features)."""
        return np.sqrt(np.einsum("...ri,rij,...rj->...r", w - v, self.hessian, w - v))

    def excess(self, w: np.ndarray) -> np.ndarray:
        """The mean divergence of all instances above its minimum, accurate to the last digits."""
        return 0.5 * self.distance(w, self.optimum) ** 2

    def all(self, updates: int) -> np.ndarray:
        """The batches of the batch method: all instances in every update."""
        return np.broadcast_to(np.arange(self.instances)[:, None], (updates, self.instances, self.runs))

    def presented(self, order: str, passes: int) -> np.ndarray:
        """One instance an update, each run in an order of its own ("sorted": by d), (passes * instances, 1, runs)."""
        columns = []
        for d in self.d.numpy().T:
            sampler = PresentationOrder(d, order, key=d.__getitem__ if order == "sorted" else None)
            columns.append([i for _ in range(passes) for i in sampler])
        return np.array(columns).T[:, None]


def descend(problem: Squares, batches: np.ndarray, rate: Any, start: np.ndarray | None = None) -> np.ndarray:
    """The weights before the first update and after each: (updates + 1, runs, features).

    `batches` are (updates, size, runs). `rate` is a number, or an array with one a run, or a function of the update that
    gives either. Since it may differ between runs, it multiplies their divergences, and the optimizer's own rate is one.
    """
    w = tg.tensor(np.zeros((problem.runs, problem.features)) if start is None else start, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    path = [w.detach().numpy().copy()]
    for j, batch in enumerate(batches):
        eta = tg.tensor(rate(j) if callable(rate) else rate, dtype=tg.float64)
        optimizer.zero_grad()
        (eta * problem.divergence(w, batch)).sum().backward()
        optimizer.step()
        path.append(w.detach().numpy().copy())
    return np.array(path)


def noisy_lines(run: Run, instances: int, runs: int, features: int, noise: float = 1.0) -> Squares:
    """d = the sum of the features and noise: no weights fit all instances, unless the noise is zero."""
    draw = run.generator()
    x = draw.standard_normal((instances, runs, features))
    return Squares(x, x.sum(-1) + noise * draw.standard_normal((instances, runs)))


def overlapping_classes(run: Run, runs: int) -> Squares:
    """A line fitted to the labels ±1 of two overlapping clusters, sorted by class; the weights are a slope and a bias."""
    x, d = [], []
    for _ in run.seeds(runs, runs):
        points, classes = tg.datasets.two_clusters(INSTANCES, distance=1.0, dims=1)
        x.append(np.stack([points.numpy()[:, 0], np.ones(INSTANCES)], 1))
        d.append(2.0 * classes.numpy() - 1)
    return Squares(np.stack(x, 1).astype(float), np.stack(d, 1))


@experiment(
    32,
    title="Late corrections do not change the function",
    claim="Corrections for individual instances at the eventual minuscule learning rates will not modify the function.",
    numbers=[
        within("slope of the function's change in a pass, over the pass", -1.15, -0.85, "theory: -1, as η_j ∝ 1/j; ± 0.15 for 20 runs"),
        at_most("change in the last pass, relative to the function", 0.02, "'not modify': two hundredths, and still falling like 1/k"),
        at_least("change at a constant rate, last pass over tenth", 0.5, "theory: it stays, 1; a half for 20 runs"),
    ],
)
def late_corrections_do_not_change_the_function(run: Run) -> None:
    runs, passes = 20, run.choose(60, 400)
    problem = noisy_lines(run, INSTANCES, runs, 2)
    tg.manual_seed(1000 * run.seed)
    rate = lambda j: np.repeat([0.1, 0.2 / (1 + j / INSTANCES)], runs)  # twenty runs each
    both = problem.times(2)
    path = descend(both, both.presented("reshuffle", passes), rate)[1:].reshape(passes, INSTANCES, 2 * runs, 2)
    furthest = both.distance(path, path[:, :1]).max(1)  # (passes, runs): from where the pass began
    changes = dict(zip(["constant η", "η falls like 1/j"], np.split(furthest, 2, axis=1)))
    size, k = problem.distance(0 * problem.optimum, problem.optimum), np.arange(1, passes + 1)
    relative = {name: (change / size).T for name, change in changes.items()}
    late = slice(passes // 10, None)
    run.judge("slope of the function's change in a pass, over the pass", *slope_over_seeds(k[late], relative["η falls like 1/j"][:, late]))
    last = relative["η falls like 1/j"][:, -1]
    run.judge("change in the last pass, relative to the function", last.mean(), (last.min(), last.max()))
    constant = relative["constant η"].mean(0)
    run.judge("change at a constant rate, last pass over tenth", constant[-5:].mean() / constant[7:12].mean())
    with run.figure("The largest change of the fitted function within each pass, relative to the function itself.") as axes:
        for name, each in relative.items():
            style.band(axes, k, each, name)
        style.theory(axes, k, relative["η falls like 1/j"][:, -1].mean() * passes / k, "theory: 1 / pass")
        in_passes(axes, "change of the function, relative", "the furthest within each pass", log="xy")
        axes.legend()


# -- the order of presentation (items 25 to 27) ----------------------------------------------------


def autocorrelation(path: np.ndarray, lag: int) -> np.ndarray:
    """Of the weights (updates, runs, features) with those `lag` updates later, all features together, for each run."""
    early, late = (part - part.mean(0) for part in (path[: len(path) - lag], path[lag:]))
    return (early * late).sum((0, 2)) / np.sqrt((early**2).sum((0, 2)) * (late**2).sum((0, 2)))


@experiment(
    25,
    title="The same order in every pass runs in a cycle",
    claim="If the samples are looped through in the same order, the behaviour may be cyclic.",
    numbers=[
        at_least("autocorrelation of the weights at lag T, same order", 0.999, "theory: 1; each pass is the same contraction"),
        at_most("distance of weights a pass apart, relative to the cycle", 1e-6, "theory: 0 in the limit"),
        at_most("autocorrelation of the weights at lag T, permuted", 0.5, "theory: about exp(−η μ T), some 0.2 for a curvature μ"),
    ],
)
def the_same_order_runs_in_a_cycle(run: Run) -> None:
    passes, T = run.choose(40, 100), INSTANCES
    problem = overlapping_classes(run, 20)
    batches = np.concatenate([problem.presented("fixed", passes), problem.presented("reshuffle", passes)], 2)
    late = descend(problem.times(2), batches, 0.05)[passes // 2 * T :]
    paths = dict(zip(["same order", "permuted"], np.split(late, 2, axis=1)))
    same = paths["same order"]
    correlation = {name: autocorrelation(path, T) for name, path in paths.items()}
    run.judge("autocorrelation of the weights at lag T, same order", correlation["same order"].min())
    permuted = correlation["permuted"]
    run.judge("autocorrelation of the weights at lag T, permuted", permuted.mean(), np.quantile(permuted, [0.1, 0.9]))
    apart = abs(same[T:] - same[:-T]).max((0, 2)) / np.ptp(same, axis=0).max(1)
    run.judge("distance of weights a pass apart, relative to the cycle", apart.max(), (apart.min(), apart.max()))
    excess = {name: problem.excess(path).mean() for name, path in paths.items()}
    times = excess["same order"] / excess["permuted"]
    run.remark(f"On the way round the cycle the mean excess divergence is {times:.1f} times that of permuted passes.")
    with run.figure(
        "Left: the weights in the last three passes of one run; in the same order they run in a closed cycle about the optimum. "
        "Right: the autocorrelation of the weights over the lag.",
        columns=2,
    ) as (left, right):
        lags = np.arange(0, 3 * T + 1, 2)
        for name, path in paths.items():
            left.plot(*path[-3 * T - 1 :, 0].T, label=name, linewidth=1)
            style.band(right, lags / T, np.array([autocorrelation(path, lag) for lag in lags]).T, name)
        left.plot(*problem.optimum[0], "k*", markersize=9, label="optimum of the mean divergence")
        style.name_axes(left, "slope w", "bias b", "three passes at constant η")
        style.name_axes(right, "lag in passes", "autocorrelation of the weights", "20 runs")
        left.set_ylim(-1.1 * abs(late[:, 0, 1]).max(), 1.6 * abs(late[:, 0, 1]).max())
        right.set_ylim(-1.1, 1.6)
        left.legend(), right.legend()


@experiment(
    26,
    title="Random presentation converges better",
    claim="The instances must be gone through randomly to get more convergent behaviour.",
    numbers=[
        at_least("excess at the ends of passes, shuffled once over permuted", 1, "the claim", under_the_condition=True),
        at_least("excess at the ends of passes, sorted over permuted", 1, "the claim", under_the_condition=True),
        at_least("excess of all updates, shuffled once over permuted", 1, "the claim"),
        at_least("excess at the ends of passes, shuffled once over drawn with replacement", 1, "the claim: drawing is random too"),
    ],
    verdict=HOLDS_IF,
    condition="every pass is a new permutation, and the weights are those at its end; drawn with replacement, or on the way through a "
    "pass, they are further from the optimum than with one order that was shuffled once",
)
def random_presentation_converges_better(run: Run) -> None:
    names = {
        "fixed": "fixed: as the data came", "shuffle-once": "shuffled once", "reshuffle": "permuted in every pass",
        "with-replacement": "drawn with replacement", "sorted": "sorted by class",
    }  # fmt: skip
    runs, passes = run.choose(20, 60), run.choose(40, 150)
    ordered, draw = overlapping_classes(run, runs), run.generator()
    mix = draw.permuted(np.tile(np.arange(INSTANCES)[:, None], (1, runs)), axis=0), np.arange(runs)
    problem = Squares(ordered.x.numpy()[mix], ordered.d.numpy()[mix])
    batches = np.concatenate([problem.presented(order, passes) for order in names], 2)
    copies = problem.times(len(names))
    excess = copies.excess(descend(copies, batches, lambda j: 0.1 / (1 + j / (4 * INSTANCES))))
    excess = dict(zip(names, np.moveaxis(excess.reshape(-1, len(names), runs), 1, 0)))
    ends = {order: each[INSTANCES::INSTANCES].T for order, each in excess.items()}  # (runs, passes)
    last = {order: each[:, -5:].mean() for order, each in ends.items()}
    within_pass = {order: each[-5 * INSTANCES :].mean() for order, each in excess.items()}
    run.judge("excess at the ends of passes, shuffled once over permuted", last["shuffle-once"] / last["reshuffle"])
    run.judge("excess at the ends of passes, sorted over permuted", last["sorted"] / last["reshuffle"])
    run.judge("excess of all updates, shuffled once over permuted", within_pass["shuffle-once"] / within_pass["reshuffle"])
    ratio = last["shuffle-once"] / last["with-replacement"]
    run.judge("excess at the ends of passes, shuffled once over drawn with replacement", ratio)
    run.table(
        ["order", "excess at the ends of the last 5 passes", "mean excess of all their updates"],
        [[name, float(last[order]), float(within_pass[order])] for order, name in names.items()],
    )
    with run.figure("The excess divergence at the end of each pass for five orders of presentation, at the same falling rate.") as axes:
        for order, name in names.items():
            axes.plot(range(1, passes + 1), ends[order].mean(0), label=name)
        in_passes(axes, "excess divergence at the end of the pass", f"mean of {runs} runs, η falls like 1/j", log="xy")
        axes.legend()


@experiment(
    27,
    title="Single gradients differ, their mean is the net direction",
    claim="The individual instances contribute different directions; the overall gradient is their average, the net direction.",
    numbers=[
        at_most("largest difference of the mean of the gradients and the gradient", 1e-14, "rounding in float64"),
        at_least("widest angle between two gradients, degrees", 90, "'different directions': more than a right angle apart"),
        at_most("length of the mean at the optimum, relative to the gradients'", 1e-8, "theory: 0, the directions cancel"),
    ],
)
def single_gradients_differ(run: Run) -> None:
    problem, differences, angles, drawn = noisy_lines(run, 24, run.choose(20, 100), 2), [], [], []
    w = tg.tensor(np.tile([-0.5, 2.0], (problem.runs, 1)), requires_grad=True)
    for place in ("at the start", "at the optimum"):
        rows = per_sample_gradients(lambda t: problem.divergence(w, np.array([[t]])).sum(), [w], problem.instances)
        gradients = rows.reshape(problem.instances, problem.runs, 2)
        (whole,) = tg.autograd.grad(problem.divergence(w, problem.all(1)[0]).sum(), [w])
        differences.append(abs(gradients.mean(0) - whole.numpy()).max())
        directions = gradients / np.linalg.norm(gradients, axis=-1, keepdims=True)
        cosines = np.einsum("trf,srf->rts", directions, directions).clip(-1, 1)
        angles.append(np.degrees(np.arccos(cosines)).max((1, 2)))
        lengths = np.linalg.norm(gradients.mean(0), axis=-1) / np.linalg.norm(gradients, axis=-1).mean(0)
        drawn.append((place, gradients[:, 0]))
        w.data.copy_(tg.tensor(problem.optimum))
    run.judge("largest difference of the mean of the gradients and the gradient", max(differences))
    run.judge("widest angle between two gradients, degrees", angles[0].min(), (angles[0].min(), angles[0].max()))
    run.judge("length of the mean at the optimum, relative to the gradients'", lengths.max(), (lengths.min(), lengths.max()))
    with run.figure("The negative gradients of 24 instances, and their mean: at the start and at the optimum.", 2, height=4.2) as axes:
        for panel, (place, gradients) in zip(axes, drawn):
            arrows = {"angles": "xy", "scale_units": "xy", "scale": 1}
            zero = np.zeros(len(gradients))
            panel.quiver(zero, zero, *-gradients.T, color=style.COLOURS[5], width=0.005, label="instances", **arrows)
            panel.quiver(0, 0, *-gradients.mean(0), color=style.COLOURS[1], width=0.014, label="their mean", **arrows)
            reach = 2.5 * np.linalg.norm(gradients, axis=1).mean()
            panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            style.name_axes(panel, "−∂Div/∂w₁", "−∂Div/∂w₂", place)
            panel.legend(loc="lower left")


# -- redundant data (items 28 to 30) ---------------------------------------------------------------


@experiment(
    28,
    title="With equal instances SGD makes T updates for the price of one",
    claim="If X₁ = X₂ = … = X_T, the full gradient is that of one instance, and SGD gets T updates for the computation of one "
    "batch update.",
    numbers=[
        at_most("largest difference of the full gradient and an instance's", 1e-15, "theory: 0, up to rounding"),
        at_most("largest difference of a weight, T batch updates and one SGD pass", 1e-12, "theory: 0, up to rounding"),
        exactly("evaluations to a tenth of the first divergence, batch over SGD", 64, "the claim: T = 64"),
    ],
)
def equal_instances(run: Run) -> None:
    T, gaps, differences, ratios = 64, [], [], []
    for _ in run.seeds(3, 10):
        x, d = tg.datasets.clumpy(T, clumps=1, clump_std=0.0)
        x, d, start = x.double(), d.double().unsqueeze(1), network_and_data()[0]
        weights_of, losses_of = list(start.parameters()), [div(start, *each) for each in zip(x, d)]
        gradients = per_sample_gradients(losses_of.__getitem__, weights_of, T)
        whole = np.concatenate([g.numpy().ravel() for g in tg.autograd.grad(div(start, x, d), weights_of)])
        gaps.append(abs(gradients - whole).max())
        after_T, curves = [], {}
        for name, size in {"batch": T, "SGD": 1}.items():
            model = copy.deepcopy(start)
            optimizer, losses = optim.SGD(model.parameters(), lr=0.2), [div(start, x, d).item()]
            progress = Progress(optimizer, T)
            while losses[-1] > 0.1 * losses[0] or progress.updates < T:
                batch = slice(progress.evaluations % T, progress.evaluations % T + size)
                optimizer.zero_grad()
                div(model, x[batch], d[batch]).backward()
                optimizer.step()
                progress.seen(size)
                losses.append(div(model, x, d).item())
                if progress.updates == T:
                    after_T.append(copy.deepcopy(model))
            curves[name] = size * np.arange(len(losses)), losses
        differences.append(largest_difference(*after_T))
        reached = {name: evaluations[iterations_to(losses, 0.0, 0.1 * losses[0])] for name, (evaluations, losses) in curves.items()}
        ratios.append(reached["batch"] / reached["SGD"])
    run.judge("largest difference of the full gradient and an instance's", max(gaps))
    run.judge("largest difference of a weight, T batch updates and one SGD pass", max(differences))
    run.judge("evaluations to a tenth of the first divergence, batch over SGD", np.mean(ratios), (min(ratios), max(ratios)))
    with run.figure("The mean divergence over the gradient evaluations, with 64 equal instances: one curve, stretched 64 times.") as axes:
        for name, (evaluations, losses) in curves.items():
            axes.plot(evaluations[1:], losses[1:], "." if name == "batch" else "-", markersize=3, label=name)
        style.theory(axes, T * curves["SGD"][0][1:], curves["SGD"][1][1:], "theory: SGD, stretched by T")
        style.name_axes(axes, "gradient evaluations", "mean divergence", log="x")
        axes.legend(loc="lower left")


SPREADS = (0.0, 0.1, 0.3, 1.0, 3.0)
TARGETS = (0.3, 0.1, 0.01)


@experiment(
    29,
    30,
    title="The more alike the instances, the more SGD gains",
    claim="SGD's gain also holds if the data are tightly clumped. As they get diverse, the benefit of incremental updates "
    "decreases but does not entirely vanish.",
    numbers=[
        exactly("speed-up with equal instances", 50, "item 28: T = 50", under_the_condition=True),
        at_least("speed-up at a spread of 0.1, to 30 % of the first excess", 25, "the claim: half of T at least", under_the_condition=True),
        exactly("times that a wider spread raises the speed-up to 30 %", 0, "the claim: it decreases", under_the_condition=True),
        at_least("speed-up at a spread of 1, to 30 %", 1, "the claim: some benefit is left", under_the_condition=True),
        at_least("speed-up at a spread of 3, to 1 %", 1, "the claim: some benefit is left"),
    ],
    verdict=HOLDS_IF,
    condition="the excess need not fall far: on widely spread data, the batch method is faster to 1 % of it",
)
def clumpy_data(run: Run) -> None:
    T, features, runs, passes = 50, 4, run.choose(20, 40), run.choose(14, 30)
    clumps = []
    for seed in run.seeds(runs, runs):
        for std in SPREADS:  # the same clump, more or less spread; its last coordinate is the output d
            tg.manual_seed(seed)
            clumps.append(tg.datasets.clumpy(T, clumps=1, clump_std=std, dims=features + 1)[0].numpy().astype(float))
    joint = np.stack(clumps, 1)
    problem = Squares(joint[..., :-1], joint[..., -1])
    first = problem.excess(0 * problem.optimum)
    factors = np.geomspace(0.03, 3, run.choose(7, 11))  # times 1 / tr(H): each method is given its best
    copies = problem.times(len(factors))
    rates = np.outer(factors, 1 / np.trace(problem.hessian, axis1=1, axis2=2)).ravel()
    methods = {
        "batch": (problem.all(run.choose(20, 60)), rates),
        "SGD": (problem.presented("reshuffle", passes), lambda j: rates / (1 + j / 10)),
    }
    needed: dict[tuple[str, float], np.ndarray] = {}
    for name, (batches, rate) in methods.items():
        with np.errstate(all="ignore"):  # some rates are too large
            path = descend(copies, np.tile(batches, len(factors)), rate)
            relative = copies.excess(path) / np.tile(first, len(factors))
        for eps in TARGETS:
            reached = [iterations_to(curve, 0.0, eps) for curve in relative.T]
            updates = np.array([np.inf if k is None else k for k in reached]).reshape(len(factors), runs, len(SPREADS))
            needed[name, eps] = batches.shape[1] * np.median(updates, axis=1).min(0)  # of the median run, at the best rate
    speed_up = {eps: needed["batch", eps] / needed["SGD", eps] for eps in TARGETS}
    run.judge("speed-up with equal instances", speed_up[0.3][0])
    run.judge("speed-up at a spread of 0.1, to 30 % of the first excess", speed_up[0.3][1])
    run.judge("times that a wider spread raises the speed-up to 30 %", (np.diff(speed_up[0.3]) > 0).sum())
    run.judge("speed-up at a spread of 1, to 30 %", speed_up[0.3][3])
    run.judge("speed-up at a spread of 3, to 1 %", speed_up[0.01][4])
    rows = [[std, *map(float, each)] for std, *each in zip(SPREADS, *speed_up.values())]
    run.table(["spread (standard deviation)", *(f"speed-up to {eps:.0%}" for eps in TARGETS)], rows)
    with run.figure("The speed-up of SGD in gradient evaluations over the spread of the data, each method at its best rate.") as axes:
        for eps, each in speed_up.items():
            axes.plot(np.maximum(SPREADS, 0.03), each, "o-", label=f"to {eps:.0%} of the first excess")
        style.theory(axes, [0.03, 3], [T, T], "equal instances: T = 50")
        axes.axhline(1, color=style.COLOURS[6], linestyle=":", label="no benefit")
        style.name_axes(axes, "standard deviation of the clump (leftmost: 0)", "evaluations, batch / SGD", log="xy")
        axes.legend(loc="lower left")


# -- the rate must shrink (item 31) ----------------------------------------------------------------


@experiment(
    31,
    title="At a constant rate the updates never end",
    claim="Except for a perfect fit, even an optimal fit looks wrong to single instances; correcting it leads to never-ending updates, "
    "so the rate must shrink.",
    numbers=[
        within("slope of the excess at rest over η", 0.9, 1.1, "theory: 1 for small η; ± 0.1 for its next order and the runs"),
        within("excess at rest relative to η tr(S) / 4, smallest η", 0.85, 1.15, "theory: 1 for small η (S: their covariance); ± 15 %"),
        at_most("excess with a falling rate, relative to the lowest at rest", 0.5, "the claim: below it; a half as the margin"),
        at_most("excess of a perfect fit at η = 0.1, relative to the first", 1e-12, "the exception: theory 0"),
    ],
)
def a_constant_rate_never_settles(run: Run) -> None:
    T, features, runs, updates = 100, 3, run.choose(200, 100), run.choose(2000, 20000)
    rates, draw = np.geomspace(0.004, 0.02, 4), run.generator(1000 * run.seed + 1)
    one = noisy_lines(run, T, 1, features)
    problem = one.times((len(rates) + 1) * runs)  # the last of the runs have a rate that falls
    batches = draw.integers(0, T, (updates, 1, problem.runs))
    path = descend(problem, batches, lambda j: np.repeat(np.append(rates, 0.02 / (1 + 0.02 * j)), runs), problem.optimum)
    excess = problem.excess(path).reshape(updates + 1, -1, runs)
    rest = excess[updates // 3 :, : len(rates)].mean(0).T  # (runs, rates)
    best = tg.tensor(one.optimum, requires_grad=True)
    gradients = per_sample_gradients(lambda t: one.divergence(best, np.array([[t]])).sum(), [best], T)
    predicted = rates * gradient_noise(gradients).variance / 4
    run.judge("slope of the excess at rest over η", *slope_over_seeds(rates, rest))
    relative = rest[:, 0] / predicted[0]
    run.judge("excess at rest relative to η tr(S) / 4, smallest η", *mean_of(relative))

    shrinking = excess[-1, -1] / rest[:, 0].mean()
    run.judge("excess with a falling rate, relative to the lowest at rest", *mean_of(shrinking))
    perfect = noisy_lines(run, T, 5, features, noise=0.0)
    left_over = perfect.excess(descend(perfect, draw.integers(0, T, (500, 1, 5)), 0.1))
    run.judge("excess of a perfect fit at η = 0.1, relative to the first", (left_over[-1] / left_over[0]).max())

    shown = log_spaced(1, updates, 200)
    with run.figure(
        "Left: started at the optimum, the excess divergence rises to a level that depends on η, and falls only if η does. "
        "Right: that level over η.",
        columns=2,
    ) as (left, right):
        for k, eta in enumerate(rates):
            left.plot(shown, excess[shown, k].mean(1), label=f"η = {eta:.3g}", linewidth=1)
        left.plot(shown, excess[shown, -1].mean(1), color=style.COLOURS[-1], linewidth=1, label="η falls like 1/j")
        style.name_axes(left, "update", f"excess divergence, mean of {runs} runs", "started at the optimum", log="xy")
        style.band(right, rates, rest, "measured (middle 80 % of runs)", centre=np.mean, marker="o")
        style.theory(right, rates, predicted, "theory: η tr(S) / 4")
        style.name_axes(right, "learning rate η", "excess divergence at rest", "slope 1", log="xy")
        right.set_xticks(rates, [f"{eta:.3g}" for eta in rates])
        right.set_xticks([], minor=True)
        left.legend(), right.legend()


# -- k-means, and a stream (items 51 and 75) ---------------------------------------------------------


def quantization(x: tg.Tensor, centres: tg.Tensor) -> tg.Tensor:
    """½ min_k ‖x − c_k‖² for x (..., runs, 2) and centres (runs, clusters, 2)."""
    return 0.5 * ((x.unsqueeze(-2) - centres) ** 2).sum(-1).min(-1).values


def lloyd(x: np.ndarray, centres: np.ndarray, iterations: int) -> np.ndarray:
    """The centres before the first iteration and after each: every centre moves to the mean of the points nearest to it."""
    path = [centres]
    for _ in range(iterations):
        nearest = ((x[:, None, None] - path[-1]) ** 2).sum(-1).argmin(-1)  # (points, runs)
        own = nearest[..., None] == np.arange(centres.shape[1])  # (points, runs, clusters)
        count = own.sum(0)[..., None]
        path.append(np.where(count, np.einsum("prk,pi->rki", own, x) / np.maximum(count, 1), path[-1]))
    return np.array(path)


@experiment(
    51,
    title="k-means by SGD",
    claim="k-means as an example: SGD converges slower, and there is a rather large variation between runs.",
    numbers=[
        at_most("largest difference of an SGD step and c + η (x − c)", 1e-12, "theory: 0; online k-means is SGD on the quantization loss"),
        at_least("mean loss after the first pass, SGD over Lloyd", 1, "the claim"),
        at_least("passes to 3 % above its own minimum, SGD over Lloyd", 1, "the claim", under_the_condition=True),
        at_least("deviation between runs after 3 passes, relative to the mean", 0.1, "'rather large': a tenth", under_the_condition=True),
    ],
    verdict=HOLDS_IF,
    condition="the minimum is wanted to a few per cent; in the first passes SGD is faster, since it moves before it has seen all points",
)
def k_means_by_sgd(run: Run) -> None:
    n, passes, runs, draw = run.choose(90, 450), run.choose(20, 40), 20, run.generator()
    tg.manual_seed(1000 * run.seed)
    squares = np.stack(np.meshgrid([-3.0, 0.0, 3.0], [-3.0, 0.0, 3.0]), -1).reshape(-1, 2)
    x = tg.datasets.blobs(n, centers=squares, std=0.6)[0].double()
    starts = np.stack([x.numpy()[draw.choice(n, len(squares), replace=False)] for _ in range(runs)])
    starts = np.concatenate([starts, np.tile(starts[:1], (runs, 1, 1))])  # twenty starts, and one start twenty times

    def mean_quantization(centres: np.ndarray) -> np.ndarray:  # (..., 2 * runs)
        return np.array([quantization(x.unsqueeze(1), tg.tensor(each)).mean(0).numpy() for each in centres])

    centres, path = tg.tensor(starts, requires_grad=True), [starts]
    optimizer = optim.SGD([centres], lr=lambda j: 0.5 / (1 + j / n))
    for j, i in enumerate(draw.integers(0, n, (passes * n, 2 * runs))):
        optimizer.zero_grad()
        quantization(x[i], centres).sum().backward()
        optimizer.step()
        if j == 0:
            difference = centres.detach().numpy() - by_hand(starts, x.numpy()[i], 0.5)
            run.judge("largest difference of an SGD step and c + η (x − c)", abs(difference).max())
        if (j + 1) % (n // 10) == 0:
            path.append(centres.detach().numpy().copy())
    batch = lloyd(x.numpy(), starts, passes)
    losses = {"SGD": mean_quantization(path), "Lloyd": mean_quantization(batch)}
    own = {"SGD": mean_quantization(lloyd(x.numpy(), path[-1], 100)[-1:])[0], "Lloyd": losses["Lloyd"][-1]}

    def passes_to(name: str, eps: float) -> float:
        """Until the loss stays below (1 + eps) times that of the run's own minimum; the mean over the twenty starts."""
        curves = zip(losses[name].T[:runs], own[name])
        return np.mean([iterations_to(loss, best, eps * best) or 0 for loss, best in curves]) / {"SGD": 10, "Lloyd": 1}[name]

    run.judge("mean loss after the first pass, SGD over Lloyd", losses["SGD"][10, :runs].mean() / losses["Lloyd"][1, :runs].mean())
    run.judge("passes to 3 % above its own minimum, SGD over Lloyd", passes_to("SGD", 0.03) / passes_to("Lloyd", 0.03))
    spread = losses["SGD"][30].reshape(2, runs).std(1, ddof=1) / losses["SGD"][30].reshape(2, runs).mean(1)
    run.judge("deviation between runs after 3 passes, relative to the mean", spread[0])
    final = {name: each.reshape(2, runs) for name, each in own.items()}
    run.table(
        ["at its own minimum", "mean of 20 runs", "standard deviation, 20 starts", "standard deviation, one start"],
        [[name, each[0].mean(), each[0].std(ddof=1), each[1].std(ddof=1)] for name, each in final.items()],
    )
    run.remark("Runs vary mostly because they end in different minima. From different starts Lloyd's iteration varies too.")
    with run.figure("The mean quantization loss over the passes: SGD, which is online k-means, and Lloyd's iteration.", 2) as (left, right):
        for axes, part, title in ((left, slice(runs), "20 starts"), (right, slice(runs, None), "one start, 20 orders")):
            style.band(axes, np.arange(len(path)) / 10, losses["SGD"][:, part].T, "SGD (middle 80 % of runs)")
            style.band(axes, np.arange(passes + 1), losses["Lloyd"][:, part].T, "Lloyd", marker=".")
            in_passes(axes, "mean quantization loss", title)
            axes.set_xlim(0, 15)
            axes.legend()


def by_hand(centres: np.ndarray, x: np.ndarray, eta: float) -> np.ndarray:
    """Online k-means: the centre nearest to x (runs, 2) moves towards it, c + η (x − c)."""
    nearest = ((x[:, None] - centres) ** 2).sum(-1).argmin(-1)
    moved, run = centres.copy(), np.arange(len(x))
    moved[run, nearest] += eta * (x - centres[run, nearest])
    return moved


@experiment(
    75,
    title="On-line learning: each instance is used once",
    claim="SGD adapts naturally to on-line learning: use n′ ≥ 1 data points, then discard them.",
    numbers=[
        exactly("instances used per instance drawn from the stream", 1, "the claim: each once"),
        within("slope of the excess risk over the instances", -1.1, -0.9, "theory: -1 for η = 1/t; ± 0.1 for 200 runs"),
        within("excess risk relative to p σ² / 2t at the end", 0.8, 1.25, "theory: 1; four standard errors of 200 runs"),
    ],
)
def on_line_learning(run: Run) -> None:
    runs, p, instances, draw = 200, 5, run.choose(3000, 30000), run.generator()
    truth = np.full(p, p**-0.5)
    drawn = 0

    def source() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """One instance for each run, without end: d = truth · x + noise, σ = 1."""
        nonlocal drawn
        while True:
            drawn += 1
            x = draw.standard_normal((runs, p))
            yield x, x @ truth + draw.standard_normal(runs)

    w = tg.zeros(runs, p, dtype=tg.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=lambda j: 1 / (j + p + 2))  # the risk has curvature 1; p + 2 keeps the first steps stable
    progress, excess = Progress(optimizer, instances), []
    for x, d in StreamLoader(source(), batch_size=1):
        optimizer.zero_grad()
        (0.5 * ((w * x).sum(-1) - d) ** 2).sum().backward()
        optimizer.step()
        progress.seen(len(x))
        excess.append(0.5 * ((w.detach().numpy() - truth) ** 2).sum(1))  # of the expected divergence, as E xxᵀ = 1
        if progress.evaluations == instances:
            break
    t, excess = log_spaced(instances // 10, instances, 20), np.array(excess).T
    run.judge("instances used per instance drawn from the stream", progress.evaluations / drawn)
    run.judge("slope of the excess risk over the instances", *slope_over_seeds(t, excess[:, t - 1]))
    run.judge("excess risk relative to p σ² / 2t at the end", *mean_of(excess[:, -1] * 2 * instances / p))
    with run.figure("The excess of the expected divergence over the instances used, each once.") as axes:
        shown = log_spaced(1, instances, 200)
        style.band(axes, shown, excess[:, shown - 1], "on-line SGD (middle 80 % of runs)", centre=np.mean)
        style.theory(axes, shown, p / (2 * shown), "least squares on all instances: p σ² / 2t")
        style.name_axes(axes, "instances used", "excess of the expected divergence", "η = 1/t", log="xy")
        axes.legend()
