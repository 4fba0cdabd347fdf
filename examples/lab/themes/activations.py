"""Activations: their derivatives, where these vanish, and what that does to a deep network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim

from .. import style
from ..core import HOLDS_IF, Run, at_least, at_most, exactly, experiment, within

F = nn.functional


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


# name: (the activation, its derivative by hand, the standard deviation of the weights that suits it, times √m)
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], float]] = {
    "sigmoid": (F.sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z)), 1.0),
    "tanh": (F.tanh, lambda z: 1 - np.tanh(z) ** 2, 1.0),
    "ReLU": (F.relu, lambda z: (z > 0) * 1.0, 2**0.5),
    "leaky ReLU": (F.leaky_relu, lambda z: np.where(z > 0, 1.0, 0.01), 2**0.5),
    "ELU": (F.elu, lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0))), 2**0.5),
    "softplus": (F.softplus, sigmoid, 1.0),
}


@experiment(
    57,
    "N6",
    title="Where the derivative of an activation vanishes",
    claim="φ′(z) is nearly 0 for large |z|: the unit is saturated, and passes no gradient on.",
    numbers=[
        at_most("derivative on the tape against its formula, largest difference", 1e-14, "equal up to rounding"),
        at_most("sigmoid and tanh: largest φ′(z) where |z| ≥ 8", 4e-4, "theory: about exp(-8) for the sigmoid, less for tanh"),
        at_most("the others: largest φ′(z) where |z| ≥ 8", 4e-4, "the claim, for every activation"),
        exactly("ReLU, leaky ReLU, ELU: smallest φ′(z) where z > 0", 1.0, "theory: they are linear there", under_the_condition=True),
        at_most("ReLU, ELU, softplus: largest φ′(z) where z ≤ -8", 4e-4, "theory: at most exp(-8)", under_the_condition=True),
    ],
    verdict=HOLDS_IF,
    condition="the activation is bounded; the unbounded ones saturate for negative z only, and the leaky one nowhere",
)  # fmt: skip
def where_the_derivative_vanishes(run: Run) -> None:
    z = np.linspace(-12, 12, 2401) + 1e-4  # not at the kink
    values, slopes, apart = {}, {}, 0.0
    for name, (activation, derivative, _) in ACTIVATIONS.items():
        at = tg.from_numpy(z.copy()).requires_grad_()
        y = activation(at)
        y.sum().backward()
        values[name], slopes[name] = y.detach().numpy(), at.grad.numpy()
        apart = max(apart, np.abs(slopes[name] - derivative(z)).max())
    run.judge("derivative on the tape against its formula, largest difference", apart)

    def largest(names: list[str], where: Any) -> float:
        return max(slopes[name][where].max() for name in names)

    far = np.abs(z) >= 8
    run.judge("sigmoid and tanh: largest φ′(z) where |z| ≥ 8", largest(["sigmoid", "tanh"], far))
    run.judge("the others: largest φ′(z) where |z| ≥ 8", largest(list(ACTIVATIONS)[2:], far))
    linear = [slopes[name][z > 0].min() for name in ("ReLU", "leaky ReLU", "ELU")]
    run.judge("ReLU, leaky ReLU, ELU: smallest φ′(z) where z > 0", min(linear))
    run.judge("ReLU, ELU, softplus: largest φ′(z) where z ≤ -8", largest(["ReLU", "ELU", "softplus"], z <= -8))
    with run.figure("Six activations and their derivatives. Sigmoid and tanh are flat at both ends, ReLU, ELU and softplus at the left one.",
                    columns=2) as (left, right):  # fmt: skip
        for name in ACTIVATIONS:
            left.plot(z, values[name], label=name)
            right.plot(z, slopes[name], label=name)
        left.set(xlim=(-6, 6), ylim=(-1.5, 4))
        right.set(xlim=(-6, 6))
        style.name_axes(left, "z", "φ(z)", "Activation")
        style.name_axes(right, "z", "φ′(z)", "Derivative")
        left.legend()


def network(name: str, depth: int, width: int, gain: float) -> Callable[[Any], list[Any]]:
    """A function that gives the z of each layer of a deep network."""
    weights = [nn.init.scaled_normal_(tg.empty(width, width, dtype=tg.float64), gain).requires_grad_() for _ in range(depth)]

    def forward(x: Any) -> list[Any]:
        found = []
        for w in weights:
            found.append(x @ w.T)
            x = ACTIVATIONS[name][0](found[-1])
        return found

    return forward


def gradients_by_layer(name: str, seed: int, depth: int, gain: float, width: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each layer the length of the gradient of z, that expected from the mean of φ′², and the saturated share of units."""
    forward = network(name, depth, width, gain)
    x = tg.from_numpy(np.random.default_rng(seed).standard_normal((50, width)))
    zs = forward(x)
    direction = tg.from_numpy(np.random.default_rng(seed + 1).standard_normal(zs[-1].shape))
    lengths = np.array([g.norm().item() for g in tg.autograd.grad((zs[-1] * direction).sum(), zs)])
    slopes = [ACTIVATIONS[name][1](z.detach().numpy()) for z in zs]
    factors = np.array([gain * np.sqrt((slope**2).mean()) for slope in slopes[:-1]])
    expected = lengths[-1] * np.append(np.cumprod(factors[::-1])[::-1], 1.0)
    return lengths, expected, np.array([(slope < 0.01).mean() for slope in slopes])


@experiment(
    57,
    "N6",
    title="What saturation does to the gradient of a deep network",
    claim="Each saturated layer passes on only a part of the gradient, so the first layers of a deep network hardly learn.",
    numbers=[
        at_most("sigmoid: gradient of the first layer / of the last, largest of all runs", 1e-8,
                "theory: φ′ ≤ 1/4 and weights of variance 1/m give at most 4⁻¹⁹ = 4e-12 in the mean square; 1e-8 leaves room for chance"),
        within("ReLU: the same, geometric mean", 0.2, 5.0, "theory: 1 with weights of variance 2/m; a factor of 5 over 19 layers of 100 units"),
        within("tanh, gain 1: gradient over the product of √(mean φ′²), geometric mean", 0.2, 5.0,
               "theory: 1, if weights and derivatives are independent"),
        at_least("tanh: saturated share of units, gain 5 less gain 1", 0.3, "margin: z grows with the gain"),
    ],
)  # fmt: skip
def saturation_in_a_deep_network(run: Run) -> None:
    depth, found = 20, {}
    settings = {name: (name, gain) for name, (_, _, gain) in ACTIVATIONS.items()} | {"tanh, gain 5": ("tanh", 5.0)}
    for name, (activation, gain) in settings.items():
        found[name] = [np.array(part) for part in zip(*(gradients_by_layer(activation, seed, depth, gain) for seed in run.seeds(8, 40)))]
    lengths = {name: each[0] / each[0][:, -1:] for name, each in found.items()}
    run.judge("sigmoid: gradient of the first layer / of the last, largest of all runs", lengths["sigmoid"][:, 0].max())
    relu = lengths["ReLU"][:, 0]
    run.judge("ReLU: the same, geometric mean", np.exp(np.log(relu).mean()), (relu.min(), relu.max()))
    ratio = found["tanh"][0][:, 0] / found["tanh"][1][:, 0]
    run.judge("tanh, gain 1: gradient over the product of √(mean φ′²), geometric mean", np.exp(np.log(ratio).mean()), (ratio.min(), ratio.max()))
    saturated = {name: each[2].mean() for name, each in found.items()}
    run.judge("tanh: saturated share of units, gain 5 less gain 1", saturated["tanh, gain 5"] - saturated["tanh"])
    run.table(["activation", "gradient of the first layer / of the last", "saturated units"],
              [[name, float(np.exp(np.log(lengths[name][:, 0]).mean())), f"{100 * saturated[name]:.0f} %"] for name in found])  # fmt: skip
    with run.figure("Length of the gradient in a network of 20 layers, relative to the last layer. In each layer the sigmoid loses three quarters "
                    "of it and softplus nearly half; the others keep its size, with the weights that suit them.", columns=1) as axes:  # fmt: skip
        layers = np.arange(1, depth + 1)
        for name in ACTIVATIONS:
            style.band(axes, layers, lengths[name], name)
        style.theory(axes, layers, np.median(found["sigmoid"][1] / found["sigmoid"][0][:, -1:], axis=0), "sigmoid: product of √(mean φ′²)")
        style.name_axes(axes, "layer", "gradient of z, over that of the last layer", log="y")
        axes.legend(ncol=2)


@experiment(
    "N6",
    title="Dead units",
    claim="A ReLU unit that a large update has pushed below zero for every input gets no gradient, and stays dead; a leaky one still gets one.",
    numbers=[
        at_least("ReLU: share of dead units after one large update, least of all runs", 0.2, "margin: the update moves every bias far down"),
        exactly("ReLU: dead units that are alive again after 200 ordinary updates", 0.0, "theory: their gradient is exactly 0"),
        exactly("leaky ReLU: units whose incoming weights get no gradient", 0.0, "theory: its slope is nowhere 0"),
    ],
)
def dead_units(run: Run) -> None:
    dead, revived, without, losses = [], [], [], {"ReLU": [], "leaky ReLU": []}
    for seed in run.seeds(8, 40):
        draw = run.generator(seed)
        x = tg.from_numpy(draw.standard_normal((100, 5)))
        y = (x * tg.from_numpy(draw.standard_normal(5))).sum(1, keepdim=True).tanh()
        for name in losses:
            tg.manual_seed(seed)
            first, last = nn.Linear(5, 50).double(), nn.Linear(50, 1).double()
            with tg.no_grad():
                first.bias -= 3.0 * tg.rand(50, dtype=tg.float64)  # the large update
            optimizer, activation = optim.SGD([*first.parameters(), *last.parameters()], lr=0.05), ACTIVATIONS[name][0]

            def is_dead(first=first, x=x) -> Any:
                return (first(x) <= 0).all(0).numpy()

            before, history = is_dead(), []
            for k in range(200):
                optimizer.zero_grad()
                loss = F.mse_loss(last(activation(first(x))), y)
                loss.backward()
                if k == 0 and name == "leaky ReLU":
                    without.append((first.weight.grad == 0).all(1).sum().item())
                optimizer.step()
                history.append(loss.item())
            losses[name].append(history)
            if name == "ReLU":
                dead.append(before.mean())
                revived.append((before & ~is_dead()).sum())
    run.judge("ReLU: share of dead units after one large update, least of all runs", min(dead), (min(dead), max(dead)))
    run.judge("ReLU: dead units that are alive again after 200 ordinary updates", sum(revived))
    run.judge("leaky ReLU: units whose incoming weights get no gradient", sum(without))
    with run.figure("The loss after an update that pushed many units below zero. What is left of either network learns about as fast: the leaky "
                    "units get a gradient, but one of a hundredth.") as axes:  # fmt: skip
        for name, each in losses.items():
            style.band(axes, np.arange(1, 201), each, name)
        style.name_axes(axes, "update", "mean squared error", log="xy")
        axes.legend()
