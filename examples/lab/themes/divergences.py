"""Divergences: what the choice of the divergence does to the gradient and to the shape of the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.autograd.functional import hessian

from .. import style
from ..core import Run, at_least, at_most, experiment, within

F = nn.functional

ROUNDING = "equal up to rounding: the values are of the order of 1, the unit of float64 is 2e-16"

# name: (the divergence of outputs y from targets d, its gradient by y, that gradient in words)
DIVERGENCES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any], str]] = {
    "½ L2": (lambda y, d: 0.5 * F.mse_loss(y, d, reduction="sum"), lambda y, d: y - d, "y - d"),
    "KL(d, y)": (lambda y, d: F.kl_div(y.log(), d, reduction="sum"), lambda y, d: -d / y, "-d / y"),
    "binary cross-entropy": (
        lambda y, d: F.binary_cross_entropy(y, d, reduction="sum"),
        lambda y, d: (y - d) / (y * (1 - y)),
        "(y - d) / (y (1 - y))",
    ),
    "L1": (lambda y, d: F.l1_loss(y, d, reduction="sum"), lambda y, d: np.sign(y - d), "sign(y - d)"),
    "Huber, δ = 0.2": (
        lambda y, d: F.huber_loss(y, d, reduction="sum", delta=0.2),
        lambda y, d: np.clip(y - d, -0.2, 0.2),
        "y - d, at most δ",
    ),
}


@experiment(
    7,
    "N3",
    title="The first gradient",
    claim="The gradient by the output Y, with which backpropagation begins, depends on the divergence.",
    numbers=[
        at_most("gradients against their formulas, difference / largest entry", 1e-12, ROUNDING),
        at_least("angle between the gradients of two divergences (degrees), least of all pairs", 10,
                 "margin: of several y, that which tells most"),
    ],
)  # fmt: skip
def the_first_gradient(run: Run) -> None:
    apart, angles, rows = [], [], []
    for seed in run.seeds(20, 200):
        draw = run.generator(seed)
        y, d = (tg.from_numpy(draw.dirichlet(np.ones(4))) for _ in range(2))
        found = {}
        for name, (divergence, formula, _) in DIVERGENCES.items():
            at = y.clone().requires_grad_()
            divergence(at, d).backward()
            found[name] = at.grad.numpy()
            apart.append(np.abs(found[name] - formula(y.numpy(), d.numpy())).max() / np.abs(found[name]).max())
        unit = np.array([g / np.linalg.norm(g) for g in found.values()])
        angles.append(np.degrees(np.arccos((unit @ unit.T)[np.triu_indices(len(unit), 1)].clip(-1, 1))))
    run.judge("gradients against their formulas, difference / largest entry", max(apart))
    run.judge("angle between the gradients of two divergences (degrees), least of all pairs", np.max(angles, 0).min())

    y, d = np.array([0.7, 0.2, 0.1]), np.array([0.0, 1.0, 0.0])
    for name, (divergence, _, words) in DIVERGENCES.items():
        at = tg.from_numpy(y.copy()).requires_grad_()
        value = divergence(at, tg.from_numpy(d))
        value.backward()
        rows.append([name, words, value.item(), ", ".join(f"{g:+.2f}" for g in at.grad.numpy())])
    run.table(["divergence", "gradient by y", "its value for y = (0.7, 0.2, 0.1), d = (0, 1, 0)", "its gradient there"], rows)

    at = np.linspace(0.02, 0.98, 200)
    with run.figure("Five divergences of one output y from the target 1, and their derivatives, with which backpropagation begins. A wrong "
                    "output near 0 is pulled back without bound by the logarithmic ones only.", columns=2) as (left, right):  # fmt: skip
        for name, (divergence, _, _) in DIVERGENCES.items():
            outputs = tg.from_numpy(at.copy()).requires_grad_()
            values = [divergence(outputs[i : i + 1], tg.ones(1, dtype=tg.float64)) for i in range(len(at))]
            tg.stack(values).sum().backward()
            line = ":" if name == "binary cross-entropy" else "-"
            left.plot(at, [value.item() for value in values], line, label=name)
            right.plot(at, outputs.grad.numpy(), line, label=name)
        style.name_axes(left, "output y", "divergence", "Target d = 1")
        style.name_axes(right, "output y", "derivative by y", "Its derivative")
        left.set_ylim(0, 4)
        right.set_ylim(-8, 0.5)
        left.legend()


@experiment(
    "N3",
    title="The error that arrives at the last layer",
    claim="A linear output with ½ L2, and a softmax with KL, both send y - d back to z; the pairs that do not match send something else.",
    numbers=[
        at_most("linear and ½ L2: gradient by z against y - d, difference", 1e-12, ROUNDING),
        at_most("softmax and KL: gradient by z against y - d, difference", 1e-12, ROUNDING),
        at_most("sigmoid and binary cross-entropy: gradient by z against y - d, difference", 1e-12, ROUNDING),
        at_most("softmax and ½ L2: gradient by z against (y - d) J, difference", 1e-12, ROUNDING),
        at_least("softmax and ½ L2: largest distance from y - d / its length", 0.5,
                 "theory: no entry of J exceeds ¼, so half of y - d is lost"),
    ],
)  # fmt: skip
def the_error_at_the_last_layer(run: Run) -> None:
    pairs: dict[str, tuple[Callable[[Any], Any], str]] = {
        "linear and ½ L2": (lambda z: z, "½ L2"),
        "softmax and KL": (lambda z: F.softmax(z, dim=-1), "KL(d, y)"),
        "sigmoid and binary cross-entropy": (F.sigmoid, "binary cross-entropy"),
        "softmax and ½ L2": (lambda z: F.softmax(z, dim=-1), "½ L2"),
    }
    found: dict[str, list[Any]] = {name: [] for name in pairs}
    for seed in run.seeds(20, 200):
        draw = run.generator(seed)
        d = tg.from_numpy(draw.dirichlet(np.ones(5)))
        z = tg.from_numpy(2 * draw.standard_normal(5))
        for name, (output, divergence) in pairs.items():
            at = z.clone().requires_grad_()
            y = output(at)
            DIVERGENCES[divergence][0](y, d).backward()
            found[name].append((at.grad.numpy(), y.detach().numpy(), d.numpy()))
    for name in list(pairs)[:3]:
        run.judge(f"{name}: gradient by z against y - d, difference", max(np.abs(g - (y - d)).max() for g, y, d in found[name]))
    last = found["softmax and ½ L2"]
    run.judge("softmax and ½ L2: gradient by z against (y - d) J, difference",
              max(np.abs(g - (y - d) @ (np.diag(y) - np.outer(y, y))).max() for g, y, d in last))  # fmt: skip
    run.judge("softmax and ½ L2: largest distance from y - d / its length",
              max(np.linalg.norm(g - (y - d)) / np.linalg.norm(y - d) for g, y, d in last))  # fmt: skip

    with run.figure("Each point is one entry of the gradient that arrives at z. In the three matching pairs it is y - d; a softmax with L2 "
                    "lets less through.", columns=4) as axes:  # fmt: skip
        for ax, (name, triples), colour in zip(axes, found.items(), style.COLOURS):
            error = np.concatenate([y - d for _, y, d in triples])
            ax.plot(error, np.concatenate([g for g, _, _ in triples]), ".", color=colour, alpha=0.7)
            ends = np.array([error.min(), error.max()])
            style.theory(ax, ends, ends, "y - d")
            style.name_axes(ax, "y - d", "derivative by z", name)
        axes[0].legend()


def second_derivative(f: Callable[[Any], Any], z: np.ndarray) -> np.ndarray:
    """f″ at each z: the diagonal of the Hessian of the sum."""
    return np.diag(hessian(lambda z: f(z).sum(), tg.from_numpy(z)).numpy())


@experiment(
    "N3",
    title="L2 and cross-entropy over the logit",
    claim="As functions of the logit, cross-entropy is convex; L2 behind a sigmoid is not: where the output is wrong and saturated it is "
    "flat, and descent starts slowly.",
    numbers=[
        at_least("cross-entropy: least second derivative", 0, "theory: y (1 - y) > 0"),
        within("½ L2: where the second derivative changes sign (logit, d = 1)", -np.log(2) - 0.01, -np.log(2) + 0.01,
               "theory: y = 1/3, z = -log 2; 0.01 is the grid"),
        at_most("½ L2: slope at z = -6 / that of cross-entropy", 0.01, "theory: y (1 - y) = 0.0025"),
        at_least("cross-entropy of two weights: least eigenvalue of the Hessian / largest", -1e-12,
                 "theory: ≥ 0, for any weights and data"),
        at_most("½ L2 of two weights: least eigenvalue of the Hessian / largest", -0.1, "margin: clearly negative somewhere"),
        at_least("updates from z = -6 until y > 0.9: ½ L2 / cross-entropy", 10, "margin; theory: about 40 at the same small rate"),
    ],
)  # fmt: skip
def l2_and_cross_entropy(run: Run) -> None:
    curves = {
        "cross-entropy": lambda z: F.binary_cross_entropy_with_logits(z, tg.ones_like(z), reduction="none"),
        "½ L2": lambda z: 0.5 * (F.sigmoid(z) - 1) ** 2,
    }
    z = np.linspace(-8, 8, 1601)
    values, slopes, bends, updates = {}, {}, {}, {}
    for name, f in curves.items():
        at = tg.from_numpy(z.copy()).requires_grad_()
        f(at).sum().backward()
        values[name], slopes[name] = f(at.detach()).numpy(), at.grad.numpy()
        bends[name] = second_derivative(f, z[::20])
        w, updates[name] = tg.tensor([-6.0], dtype=tg.float64, requires_grad=True), 0
        optimizer = optim.SGD([w], lr=1.0)
        while F.sigmoid(w).item() < 0.9:
            optimizer.zero_grad()
            f(w).sum().backward()
            optimizer.step()
            updates[name] += 1
    middle = z[::20]
    run.judge("cross-entropy: least second derivative", bends["cross-entropy"].min())
    fine = np.linspace(-2, 2, 401)
    bend = second_derivative(curves["½ L2"], fine)
    change = fine[np.flatnonzero(np.diff(np.sign(bend)))]
    run.judge("½ L2: where the second derivative changes sign (logit, d = 1)", change[0] + 0.005)
    at = int(np.abs(z + 6).argmin())
    run.judge("½ L2: slope at z = -6 / that of cross-entropy", slopes["½ L2"][at] / slopes["cross-entropy"][at])
    run.judge("updates from z = -6 until y > 0.9: ½ L2 / cross-entropy", updates["½ L2"] / updates["cross-entropy"])

    ratios: dict[str, list[float]] = {name: [] for name in curves}
    for seed in run.seeds(10, 50):
        draw = run.generator(seed)
        x, d = tg.from_numpy(draw.standard_normal((20, 2))), tg.from_numpy(draw.integers(0, 2, 20).astype(float))
        losses = {
            "cross-entropy": lambda w, x=x, d=d: F.binary_cross_entropy_with_logits(x @ w, d),
            "½ L2": lambda w, x=x, d=d: 0.5 * F.mse_loss(F.sigmoid(x @ w), d),
        }
        for name, loss in losses.items():
            for w in 3 * draw.standard_normal((10, 2)):
                eigenvalues = np.linalg.eigvalsh(hessian(loss, tg.from_numpy(w)).numpy())
                ratios[name].append(eigenvalues[0] / np.abs(eigenvalues).max())
    run.judge("cross-entropy of two weights: least eigenvalue of the Hessian / largest", min(ratios["cross-entropy"]))
    run.judge("½ L2 of two weights: least eigenvalue of the Hessian / largest", min(ratios["½ L2"]))
    run.table(["divergence", "updates from z = -6 until y > 0.9, at rate 1"], [[name, count] for name, count in updates.items()])

    with run.figure("Value, slope and curvature over the logit z of a sigmoid output, target 1. L2 has a plateau where the output is "
                    "wrong, and bends downwards left of -log 2; cross-entropy does neither.", columns=3) as axes:  # fmt: skip
        for name in curves:
            for ax, (where, curve) in zip(axes, ((z, values[name]), (z, slopes[name]), (middle, bends[name]))):
                ax.plot(where, curve, label=name)
        for ax, title in zip(axes, ("Divergence", "Slope", "Second derivative")):
            style.name_axes(ax, "logit z", title.lower(), title)
        axes[2].axhline(0, color="black", linewidth=0.8)
        axes[0].set_ylim(0, 4)
        axes[0].legend()
