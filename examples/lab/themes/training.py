"""Training and backpropagation: the loss, its gradient, the algorithm, and what the loss stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.autograd.functional import jacobian
from tinygrad_lite.optim.noise import per_sample_gradients

from .. import style
from ..core import HOLDS_IF, Run, at_least, at_most, exactly, experiment, within
from ..tools import slope

F = nn.functional

DIFFERENCES = "central differences over 1e-5 err by about 1e-10"
ROUNDING = "equal up to rounding: the values are of the order of 1, the unit of float64 is 2e-16"


# --- The lecture's two passes, by hand, for one instance ---------------------------------------------------------------
#
# x, z and y are vectors; gradients are rows, of shape (1, size). A layer is (W, b, f): W has the shape (out, in), and f
# is a name in FUNCTIONS, which gives y for z, and the Jacobian J_y(z), here written with y.

FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (np.tanh, lambda y: np.diag(1 - y**2)),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda y: np.diag(y * (1 - y))),
    "softmax": (lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(), lambda y: np.diag(y) - np.outer(y, y)),
}


def forward_by_hand(layers: Sequence[Any], x: np.ndarray) -> list[dict[str, np.ndarray]]:
    """z_k and y_k of each layer."""
    trace, y = [], x
    for W, b, f in layers:
        z = W @ y + b
        y = FUNCTIONS[f][0](z)
        trace.append({"z": z, "y": y})
    return trace


def backward_by_hand(layers: Sequence[Any], x: np.ndarray, trace: Sequence[Any], grad_Y: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """The gradients of y_k, z_k, W_k and b_k of each layer, and that of x."""
    gradients, grad_y = [], grad_Y
    for k in reversed(range(len(layers))):
        W, _, f = layers[k]
        y_before = trace[k - 1]["y"] if k else x
        grad_z = grad_y @ FUNCTIONS[f][1](trace[k]["y"])
        gradients.append({"y": grad_y, "z": grad_z, "W": y_before[:, None] @ grad_z, "b": grad_z})  # that of W: (in, out)
        grad_y = grad_z @ W
    return gradients[::-1], grad_y


def network(sizes: Sequence[int], functions: Sequence[str]) -> nn.Sequential:
    """Linear layers in float64, each followed by one of `functions`."""
    modules = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softmax": lambda: nn.Softmax(dim=-1)}
    parts = [(nn.Linear(*ends, dtype=tg.float64), modules[f]()) for ends, f in zip(pairwise(sizes), functions)]
    return nn.Sequential(*(part for pair in parts for part in pair))


def layers_of(model: nn.Sequential) -> list[list[Any]]:
    """Copies of the weights of a `network`, as the passes by hand take them."""
    parts = list(model)
    return [[*(p.detach().numpy().copy() for p in (linear.weight, linear.bias)), type(f).__name__.lower()]
            for linear, f in zip(parts[::2], parts[1::2])]  # fmt: skip


def divergence(Y: Any, d: Any) -> Any:
    """KL(d, Y) for one-hot d: a value for each row."""
    return -(d * Y.log()).sum(-1)


def classes(run: Run, n: int, dims: int, count: int, std: float = 1.0) -> tuple[Any, Any]:
    """Points of `count` Gaussian clusters, and their classes one-hot, both in float64."""
    x, d = tg.datasets.blobs(n, run.generator().standard_normal((count, dims)), std, generator=tg.Generator().manual_seed(1000 * run.seed))
    return x.double(), F.one_hot(d, count).double()


def largest(differences: Any) -> float:
    return max(float(np.abs(each).max()) for each in differences)


@experiment(
    1, 2,
    title="The gradient of the total loss",
    claim="The total loss is the mean divergence over the training instances, and its gradient is the mean of theirs.",
    numbers=[
        at_most("loss against the mean divergence, difference", 1e-12, ROUNDING),
        at_most("gradient against the mean of the instances' gradients, difference", 1e-12, ROUNDING),
    ],
)  # fmt: skip
def the_gradient_of_the_total_loss(run: Run) -> None:
    losses, gradients = [], []
    x, d = classes(run, 60, 4, 3)
    for _ in run.seeds(3, 20):
        model = network([4, 16, 16, 3], ["tanh", "tanh", "softmax"])
        params = list(model.parameters())
        rows = per_sample_gradients(lambda i, model=model: divergence(model(x[i]), d[i]), params, len(x))
        loss = divergence(model(x), d).mean()
        loss.backward()
        total = np.concatenate([p.grad.numpy().ravel() for p in params])
        gradients.append(rows.mean(0) - total)
        losses.append(loss.item() - np.mean([divergence(model(x[i]), d[i]).item() for i in range(len(x))]))
    run.judge("loss against the mean divergence, difference", largest(losses))
    run.judge("gradient against the mean of the instances' gradients, difference", largest(gradients))

    cosines = rows @ total / np.linalg.norm(rows, axis=1) / np.linalg.norm(total)
    with run.figure("Left: the gradients of single instances scatter about their mean, which is the gradient of the loss. Right: many "
                    "of them point away from it.", columns=2) as (left, right):  # fmt: skip
        pair = np.argsort(-rows[:, :64].var(0))[:2]  # of the first layer's 64 weights
        left.scatter(*rows[:, pair].T, s=10, label="an instance")
        left.scatter(*rows[:, pair].mean(0), s=90, marker="x", color="black", label="mean of the instances")
        left.scatter(*total[pair], s=90, marker="o", facecolors="none", edgecolors=style.COLOURS[1], label="gradient of the loss")
        style.name_axes(left, "derivative by one weight", "derivative by another", "Two weights of the first layer")
        left.legend()
        right.hist(cosines, bins=20, range=(-1, 1))
        right.axvline(0, **style.THEORY)
        style.name_axes(right, "cosine of the angle to the gradient of the loss", "instances", "All weights")
    run.remark(f"Of the last network's instances, {100 * np.mean(cosines < 0):.0f} % alone ask for a step uphill in the total loss.")


@experiment(
    4, 5, 8,
    title="Forward and backward pass by hand",
    claim="z_k = W_k y_(k-1) + b_k and y_k = f_k(z_k) give the output; ∇z_k = ∇y_k J(z_k), ∇y_(k-1) = ∇z_k W_k, ∇W_k = y_(k-1) ∇z_k and "
    "∇b_k = ∇z_k, in this order of multiplication, give all derivatives, that of the input too.",
    numbers=[
        at_most("forward pass against the library, difference", 1e-12, ROUNDING),
        at_most("backward pass against the tape, difference", 1e-12, ROUNDING),
        at_most("derivative of the input against the tape, difference", 1e-12, ROUNDING),
        at_most("backward pass against differences of the divergence, difference", 1e-8, DIFFERENCES),
        at_least("multiplied in the other order, relative error", 0.1, "W ∇z instead of ∇z W is another vector: no matter of rounding"),
    ],
)  # fmt: skip
def forward_and_backward_by_hand(run: Run) -> None:
    forward, backward, inputs, numeric, reversed_order = [], [], [], [], []
    x, d = (each[0] for each in classes(run, 1, 5, 3))
    for _ in run.seeds(5, 50):
        model = network([5, 6, 6, 4, 3], ["tanh", "sigmoid", "tanh", "softmax"])
        layers = layers_of(model)
        trace = forward_by_hand(layers, x.numpy())
        Y = trace[-1]["y"]
        by_hand, grad_x = backward_by_hand(layers, x.numpy(), trace, -(d.numpy() / Y)[None])

        by_tape = tape_of_the_passes(model, x, d)
        forward += [trace[k][name] - by_tape[k][name].detach().numpy() for k in range(4) for name in "zy"]
        backward += [by_hand[k][name].T.squeeze() - by_tape[k][name].grad.numpy() for k in range(4) for name in "yzWb"]
        inputs.append(grad_x[0] - by_tape[-1]["x"].grad.numpy())

        numeric += [by_hand[k]["W"][0, 0] - by_differences(layers, k, x.numpy(), d.numpy()) for k in range(4)]
        W, grad_z = layers[1][0], by_hand[1]["z"]  # the square matrix: for others, the other order is not even defined
        reversed_order.append(np.linalg.norm(W @ grad_z.T - (grad_z @ W).T) / np.linalg.norm(grad_z @ W))

    run.judge("forward pass against the library, difference", largest(forward))
    run.judge("backward pass against the tape, difference", largest(backward))
    run.judge("derivative of the input against the tape, difference", largest(inputs))
    run.judge("backward pass against differences of the divergence, difference", largest(numeric))
    run.judge("multiplied in the other order, relative error", min(reversed_order))

    rows: list[list[Any]] = []
    for k in range(4):
        rows += [[f"{name}_{k + 1}", *side_by_side(trace[k][name], by_tape[k][name].detach().numpy())] for name in "zy"]
    for k in reversed(range(4)):
        rows += [[f"∇{name}_{k + 1}", *side_by_side(by_hand[k][name], by_tape[k][name].grad.numpy().T)] for name in "yzWb"]
    rows.append(["∇x", *side_by_side(grad_x, by_tape[-1]["x"].grad.numpy())])
    run.table(["", "shape", "first entry by hand", "by the tape", "largest difference"], rows)

    with run.figure("Left: what the forward pass computes, unit by unit. Right: every derivative computed by hand against the tape's: "
                    "all lie on the diagonal.", columns=2) as (left, right):  # fmt: skip
        for k in range(4):
            for name, marker in (("z", "o"), ("y", "s")):
                at = k + 1 + (0.12 if name == "y" else -0.12)
                left.plot(np.full(len(trace[k][name]), at), trace[k][name], marker, color=style.COLOURS["zy".index(name)], markersize=4,
                          alpha=0.8, label=f"{name}_k" if k == 0 else None)  # fmt: skip
        left.set_xticks(range(1, 5), ["1, tanh", "2, sigmoid", "3, tanh", "4, softmax"])
        style.name_axes(left, "layer k and its function", "value", "Forward")
        left.legend()
        for name, marker in zip("yzWb", "osD^"):
            mine = np.concatenate([by_hand[k][name].ravel() for k in range(4)])
            its = np.concatenate([by_tape[k][name].grad.numpy().T.ravel() for k in range(4)])
            right.plot(np.abs(its), np.abs(mine), marker, markersize=5, alpha=0.6, label=f"∇{name}_k")
        style.theory(right, [1e-4, 5], [1e-4, 5], "equal")
        style.name_axes(right, "absolute value, by the tape", "absolute value, by hand", "Backward", log="xy")
        right.legend()


def tape_of_the_passes(model: nn.Sequential, x: Any, d: Any) -> list[dict[str, Any]]:
    """The tensors z, y, W and b of each layer with their gradients; last of all the input."""
    x = x.clone().requires_grad_()
    parts, tensors, y = list(model), [], x
    for linear, f in zip(parts[::2], parts[1::2]):
        z = linear(y)
        y = f(z)
        z.retain_grad()
        y.retain_grad()
        tensors.append({"z": z, "y": y, "W": linear.weight, "b": linear.bias})
    divergence(y, d).backward()
    return [*tensors, {"x": x}]


def by_differences(layers: Sequence[Any], k: int, x: np.ndarray, d: np.ndarray, h: float = 1e-5) -> float:
    """The derivative of the divergence by the first weight of layer k, from two forward passes."""
    values = []
    for step in (h, -h):
        moved = [[W.copy(), b, f] for W, b, f in layers]
        moved[k][0][0, 0] += step
        values.append(-(d * np.log(forward_by_hand(moved, x)[-1]["y"])).sum())
    return (values[0] - values[1]) / (2 * h)


def side_by_side(by_hand: np.ndarray, by_tape: np.ndarray) -> list[str]:
    difference = np.abs(by_hand.squeeze() - by_tape.squeeze()).max()
    return [" by ".join(map(str, by_hand.shape)), f"{by_hand.flat[0]:+.9f}", f"{by_tape.flat[0]:+.9f}", f"{difference:.0e}"]


@experiment(
    6,
    title="The Jacobian of an activation",
    claim="The Jacobian of a scalar activation is a diagonal matrix; that of softmax is full.",
    numbers=[
        exactly("scalar activations: largest entry off the diagonal", 0, "no output depends on another unit's input"),
        at_most("scalar activations: diagonal against φ'(z), difference", 1e-12, ROUNDING),
        exactly("softmax: share of the entries that are not zero", 1, "each output depends on every input"),
        at_most("softmax: against diag(y) - y yᵀ, difference", 1e-12, ROUNDING),
    ],
)
def the_jacobian_of_an_activation(run: Run) -> None:
    scalar = {
        "sigmoid": (F.sigmoid, lambda z: 1 / (2 + np.exp(z) + np.exp(-z))),
        "tanh": (tg.tanh, lambda z: 1 / np.cosh(z) ** 2),
        "ReLU": (F.relu, lambda z: (z > 0) * 1.0),
        "softplus": (F.softplus, lambda z: 1 / (1 + np.exp(-z))),
    }
    off, diagonal, full, formula = [], [], [], []
    for _ in run.seeds(5, 50):
        z = (2 * tg.randn(8, dtype=tg.float64)).sort().values
        found = {}
        for name, (f, slope_of_f) in scalar.items():
            found[name] = J = jacobian(f, z).numpy()
            off.append(J - np.diag(np.diag(J)))
            diagonal.append(np.diag(J) - slope_of_f(z.numpy()))
        found["softmax"] = J = jacobian(lambda z: F.softmax(z, dim=-1), z).numpy()
        y = F.softmax(z, dim=-1).numpy()
        full.append(np.mean(J != 0))
        formula.append(J - (np.diag(y) - np.outer(y, y)))
    run.judge("scalar activations: largest entry off the diagonal", largest(off))
    run.judge("scalar activations: diagonal against φ'(z), difference", largest(diagonal))
    run.judge("softmax: share of the entries that are not zero", min(full))
    run.judge("softmax: against diag(y) - y yᵀ, difference", largest(formula))

    shown = ("tanh", "ReLU", "softmax")
    with run.figure("The Jacobians of three activations at the same z of eight units, sorted by z. Only that of softmax has entries off "
                    "the diagonal, and they are negative: the outputs compete.", columns=3) as axes:  # fmt: skip
        for ax, name in zip(axes, shown):
            end = np.abs(found[name]).max()
            picture = ax.imshow(found[name], cmap=style.DIVERGING, vmin=-end, vmax=end)
            ax.figure.colorbar(picture, ax=ax, label="∂y_i / ∂z_j")
            ax.grid(False)
            style.name_axes(ax, "input unit j", "output unit i", name)
    rows = np.abs(found["softmax"].sum(1)).max()
    run.remark(f"Each row of softmax's Jacobian sums to zero (here within {rows:.0e}): adding a constant to all of z changes nothing.")


def literal_training(layers: list[list[Any]], x: np.ndarray, d: np.ndarray, eta: float, updates: int) -> list[float]:
    """The lecture's training algorithm on `layers`, in place; the Err of each pass, until it has converged."""
    T, errors = len(x), []
    while len(errors) < updates and (len(errors) < 2 or abs(errors[-2] - errors[-1]) > 1e-6 * errors[-1]):
        err = 0.0
        grad_W = [np.zeros_like(W.T) for W, _, _ in layers]
        grad_b = [np.zeros((1, len(b))) for _, b, _ in layers]
        for t in range(T):
            trace = forward_by_hand(layers, x[t])
            Y = trace[-1]["y"]
            err += -(d[t] * np.log(Y)).sum()
            gradients, _ = backward_by_hand(layers, x[t], trace, -(d[t] / Y)[None])
            for k in range(len(layers)):
                grad_W[k] += gradients[k]["W"]
                grad_b[k] += gradients[k]["b"]
        for k in range(len(layers)):
            layers[k][0] -= eta / T * grad_W[k].T
            layers[k][1] -= eta / T * grad_b[k].T[:, 0]
        errors.append(err)
    return errors


@experiment(
    3, 9, 54,
    title="The training algorithm, to the letter",
    claim="Set Err and all gradients to zero, add up both over the instances, update W by -η/T times the transposed gradient: this is "
    "batch gradient descent, which moves each coordinate by -η ∂L/∂w_j.",
    numbers=[
        at_most("weights against backward() and SGD after all updates, difference", 1e-12, ROUNDING),
        at_most("Err / T against the library's loss, difference", 1e-12, ROUNDING),
        at_most("one update against each coordinate moved on its own, difference", 1e-8, DIFFERENCES),
    ],
)  # fmt: skip
def the_training_algorithm(run: Run) -> None:
    x, d = classes(run, 30, 2, 3, std=0.7)
    eta, updates = 0.5, run.choose(60, 600)
    next(run.seeds(1, 1))
    model = network([2, 5, 3], ["tanh", "softmax"])
    layers = layers_of(model)
    coordinates = coordinate_descent_step(layers_of(model), x.numpy(), d.numpy(), eta)
    errors = literal_training(layers, x.numpy(), d.numpy(), eta, updates)

    optimizer, losses = optim.SGD(model.parameters(), lr=eta), []
    for _ in errors:
        optimizer.zero_grad()
        loss = divergence(model(x), d).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == 1:
            first = np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])
    apart = [mine - its for ours, theirs in zip(layers, layers_of(model)) for mine, its in zip(ours[:2], theirs[:2])]
    run.judge("weights against backward() and SGD after all updates, difference", largest(apart))
    differences = np.abs(np.array(errors) / len(x) - losses)
    run.judge("Err / T against the library's loss, difference", differences.max())
    run.judge("one update against each coordinate moved on its own, difference", largest([first - coordinates]))

    with run.figure("Left: the loss of the lecture's algorithm and of loss.backward() with SGD, one curve over the other. Right: they "
                    "differ by rounding or, where no point is drawn, not at all.", columns=2) as (left, right):  # fmt: skip
        passes = np.arange(1, len(errors) + 1)
        left.plot(passes, np.array(errors) / len(x), linewidth=5, alpha=0.3, label="the algorithm to the letter: Err / T")
        left.plot(passes, losses, color=style.COLOURS[1], label="loss.backward() and SGD")
        style.name_axes(left, "update", "mean divergence (nats)", "Loss")
        left.legend()
        right.plot(passes[differences > 0], differences[differences > 0], ".")
        style.theory(right, passes, np.full(len(passes), 1e-12), "bound")
        style.name_axes(right, "update", "difference of the losses", "Rounding", log="y")
        right.legend()


def coordinate_descent_step(layers: list[list[Any]], x: np.ndarray, d: np.ndarray, eta: float, h: float = 1e-5) -> np.ndarray:
    """All weights after one update in which ∂L/∂w_j is measured by moving w_j alone."""

    def loss() -> float:
        outputs = [forward_by_hand(layers, each)[-1]["y"] for each in x]
        return float(-(d * np.log(outputs)).sum(1).mean())

    arrays, updated = [array for layer in layers for array in layer[:2]], []
    for array in arrays:
        for j in np.ndindex(array.shape):
            before = array[j]
            array[j] = before + h
            above = loss()
            array[j] = before - h
            updated.append(before - eta * (above - loss()) / (2 * h))
            array[j] = before
    return np.array(updated)


CONTRACTION = "400 updates of rate 1: each leaves 0.65 of the error in w, and nothing of that in b"


@experiment(
    9,
    title="The update of b on the slide",
    claim="The slide updates b with the gradient of W, b = b - η/T (∇W Err)ᵀ, and descends to the minimum.",
    numbers=[
        exactly("layers of a network, out of 3, in which that update has b's shape", 3, "the slide gives it for all k"),
        at_most("one weight, one bias: loss above the minimum, as on the slide", 1e-6, CONTRACTION),
        at_most("one weight, one bias: loss above the minimum, with b's own gradient", 1e-6, CONTRACTION,
                under_the_condition=True),
    ],
    verdict=HOLDS_IF,
    condition="b is updated with its own gradient",
)  # fmt: skip
def the_update_of_b_on_the_slide(run: Run) -> None:
    next(run.seeds(1, 1))
    layers = layers_of(network([4, 6, 5, 3], ["tanh", "tanh", "softmax"]))
    trace = forward_by_hand(layers, np.ones(4))
    gradients, _ = backward_by_hand(layers, np.ones(4), trace, np.ones((1, 3)))
    run.judge("layers of a network, out of 3, in which that update has b's shape",
              sum(g["W"].T.shape == (len(b), 1) for g, (_, b, _) in zip(gradients, layers)))  # fmt: skip

    # With one weight and one bias the shapes agree. The slide's update moves both alike, so w = b for ever.
    x = tg.linspace(-1, 1, 41, dtype=tg.float64)
    d = 2 * x + 1
    curves, lines = {}, {}
    for name in ("slide", "own"):
        w, b = (tg.zeros((), dtype=tg.float64, requires_grad=True) for _ in range(2))
        optimizer, curves[name] = optim.SGD([w, b], lr=1.0), []
        for _ in range(400):
            optimizer.zero_grad()
            loss = 0.5 * ((w * x + b - d) ** 2).mean()
            loss.backward()
            if name == "slide":
                b.grad = w.grad.clone()
            optimizer.step()
            curves[name].append(loss.item())
        lines[name] = (w * x + b).detach().numpy()
    run.judge("one weight, one bias: loss above the minimum, as on the slide", curves["slide"][-1])
    run.judge("one weight, one bias: loss above the minimum, with b's own gradient", curves["own"][-1])

    with run.figure("A line fitted to d = 2x + 1. With the slide's update, w and b remain equal and end at 2, where the derivative by w "
                    "is zero and the loss is not least.", columns=2) as (left, right):  # fmt: skip
        left.plot(x.numpy()[::4], d.numpy()[::4], "o", color=style.COLOURS[6], label="instances")
        for (name, label), colour in zip((("slide", "b updated with ∇W"), ("own", "b updated with ∇b")), style.COLOURS[1::-1]):
            left.plot(x.numpy(), lines[name], color=colour, label=label)
            right.plot(curves[name][:60], color=colour, label=label)
        style.name_axes(left, "x", "y", "After 400 updates")
        style.theory(right, [0, 59], [0.5, 0.5], "theory: (b - 1)² / 2 with b = 2")
        style.name_axes(right, "update", "loss", "Loss above its minimum, 0", log="y")
        left.legend()
        right.legend(loc="center right")


# --- What the loss stands for ------------------------------------------------------------------------------------------


def logistic_descent(x: np.ndarray, d: np.ndarray, start: np.ndarray, eta: float, updates: int) -> tuple[np.ndarray, ...]:
    """Batch descent of the cross-entropy of linear classifiers, one for each problem: x (problems, n, 2), d (problems, n),
    start (problems, 3), the last of the three being the bias. The weights, losses and 0/1 errors before each update and
    after the last: (updates + 1, problems, ...)."""
    x, d = tg.from_numpy(np.concatenate([x, np.ones_like(x[..., :1])], -1)), tg.from_numpy(d.astype(float))
    w = tg.from_numpy(start.copy()).requires_grad_()
    optimizer, path, losses, errors = optim.SGD([w], lr=eta), [], [], []
    for _ in range(updates + 1):
        optimizer.zero_grad()
        z = (x @ w.unsqueeze(-1)).squeeze(-1)
        loss = F.binary_cross_entropy_with_logits(z, d, reduction="none").mean(1)
        path.append(w.detach().numpy().copy())
        losses.append(loss.detach().numpy())
        errors.append(((z.detach() > 0) != (d > 0.5)).double().mean(1).numpy())
        loss.sum().backward()
        optimizer.step()
    return np.array(path), np.array(losses), np.array(errors)


def least_error(x: np.ndarray, d: np.ndarray) -> float:
    """The least 0/1 error of any line, for n points in the plane.

    Some best line passes arbitrarily close to two of the points, on the side that suits each of them: all pairs are tried.
    """
    n, d = len(x), d > 0.5
    i, j = np.triu_indices(n, 1)
    normal = np.stack([x[j, 1] - x[i, 1], x[i, 0] - x[j, 0]], 1)
    side = (normal @ x.T - (normal * x[i]).sum(1, keepdims=True)) > 0
    wrong = side != d
    wrong[np.arange(len(i)), i] = wrong[np.arange(len(i)), j] = False
    other = side == d
    other[np.arange(len(i)), i] = other[np.arange(len(i)), j] = False
    return float(np.minimum(wrong.sum(1), other.sum(1)).min() / n)


@experiment(
    10,
    title="Loss and classification error",
    claim="The divergence is a continuous stand-in for the classification error: minimizing it is expected to minimize the error, but "
    "not guaranteed to.",
    numbers=[
        at_least("expected: share of the avoidable error that descent removes", 0.5, "most of it, over ordinary problems"),
        at_most("expected: 0/1 error minus cross-entropy / log 2", 0, "the divergence of a point on the wrong side is log 2 or more"),
        exactly("not guaranteed: updates that raise the cross-entropy", 0, "the rate is below 2 / curvature, so descent is monotone"),
        at_least("not guaranteed: rise of the error in these updates", 0.1, "margin: every tenth point, far from chance"),
    ],
)
def loss_and_classification_error(run: Run) -> None:
    # Ordinary problems: two overlapping clouds. What a line can avoid is what it has in excess of the best line.
    problems, n, updates = run.choose(60, 200), 60, run.choose(300, 1000)
    draw = run.generator()
    d = np.tile(np.arange(n) % 2, (problems, 1))
    x = draw.standard_normal((problems, n, 2)) @ draw.normal(0, 1, (problems, 2, 2)) + d[..., None] * draw.normal(0, 1.5, (problems, 1, 2))
    _, losses, errors = logistic_descent(x, d, draw.normal(0, 1, (problems, 3)), 0.3, updates)
    least = np.array([least_error(*each) for each in zip(x, d)])
    removed = 1 - (errors[-1] - least).sum() / (errors[0] - least).sum()
    run.judge("expected: share of the avoidable error that descent removes", removed)
    run.judge("expected: 0/1 error minus cross-entropy / log 2", (errors - losses / np.log(2)).max())

    # A problem with a few far outliers: a good line pays for them in cross-entropy, a bad one does not.
    far = np.concatenate([draw.normal((-1, 0), 0.3, (50, 2)), draw.normal((1, 0), 0.3, (45, 2)), draw.normal((-25, 0), 0.3, (5, 2))])
    label = np.arange(100) >= 50
    eta = 4 / ((far**2).sum(1) + 1).mean()  # the curvature is at most a quarter of the mean |(x, 1)|², so this is 1 / curvature
    path, far_losses, far_errors = logistic_descent(far[None], label[None], np.array([[3.0, 0.0, 0.0]]), eta, run.choose(500, 1500))
    run.judge("not guaranteed: updates that raise the cross-entropy", int((np.diff(far_losses[:, 0]) > 1e-12).sum()))
    run.judge("not guaranteed: rise of the error in these updates", far_errors[-1, 0] - far_errors[0, 0])

    both = np.diff(losses, axis=0) < 0
    rises = (np.diff(errors, axis=0) > 0) & both
    run.remark(
        f"In the ordinary problems too, {100 * rises.sum() / both.sum():.1f} % of the updates that lower the cross-entropy raise the error."
        f" It ends at {100 * errors[-1].mean():.1f} % on average; the best lines have {100 * least.mean():.1f} %."
    )
    with run.figure("Left: in ordinary problems loss and error fall together, nearly to the error of the best line. Middle: with five "
                    "outliers the loss falls at every update while the error rises. Right: the outliers turn the line round.",
                    columns=3) as (left, middle, right):  # fmt: skip
        steps = np.arange(1, len(losses) + 1)
        style.band(left, steps, losses.T, "cross-entropy (nats)")
        style.band(left, steps, errors.T, "0/1 error")
        left.axhline(np.median(least), label="0/1 error of the best line", **style.THEORY)
        style.name_axes(left, "update", "median and middle 80 % of the problems", f"{problems} ordinary problems", log="x")
        steps = np.arange(1, len(far_losses) + 1)
        middle.plot(steps, far_losses[:, 0], label="cross-entropy (nats)")
        middle.plot(steps, far_errors[:, 0], label="0/1 error")
        style.name_axes(middle, "update", "on the training points", "A problem with outliers", log="x")
        right.scatter(*far[~label].T, s=8, color=style.COLOURS[2], label="class 0")
        right.scatter(*far[label].T, s=8, color=style.COLOURS[3], label="class 1")
        for w, line, name in ((path[0, 0], "-", "first line"), (path[-1, 0], ":", "last line")):
            v = np.array([-4.0, 4.0])
            right.plot(-(w[2] + w[1] * v) / w[0], v, line, color="black", label=name)
            foot, ahead = -w[2] * w[:2] / (w[:2] @ w[:2]), w[:2] / np.hypot(*w[:2])
            right.annotate("", foot + 4 * ahead, foot, arrowprops={"arrowstyle": "->", "linewidth": 1.5})
        right.set(xlim=(-28, 5), ylim=(-4, 4))
        style.name_axes(right, "first input", "second input", "Its lines; arrows point to class 1")
        for ax in (left, middle, right):
            ax.legend()


TARGETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "smooth: sin 4x": lambda x: np.sin(4 * x),
    "a kink: |x|": np.abs,
    "a jump: sign x": np.sign,
}


class Fits:
    """Networks of one hidden layer of tanh units, one for each of the targets d (functions, n) and each seed, trained
    together by Adam on the mean square."""

    def __init__(self, x: np.ndarray, d: np.ndarray, width: int, seeds: int, updates: int, draw: np.random.Generator) -> None:
        shape = (len(d), seeds)
        slopes = draw.normal(0, 4, (*shape, 1, width))
        start = slopes, -slopes * draw.uniform(-1, 1, slopes.shape), draw.normal(0, 0.1, (*shape, width, 1)), np.zeros((*shape, 1, 1))
        self.params = [tg.from_numpy(p).requires_grad_() for p in start]
        targets = tg.from_numpy(d[:, None])
        optimizer = optim.Adam(self.params, lr=0.05)
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
        for _ in range(updates):
            optimizer.zero_grad()
            squares = ((self(x) - targets) ** 2).mean(2)
            squares.sum().backward()
            optimizer.step()
            schedule.step()
        self.best = squares.detach().numpy().argmin(1)  # of the seeds, for each function

    def __call__(self, x: np.ndarray) -> Any:
        a, c, w, b = self.params
        return (tg.tanh(tg.from_numpy(x[:, None]) * a + c) @ w + b).squeeze(-1)

    def best_outputs(self, x: np.ndarray) -> np.ndarray:
        return self(x).detach().numpy()[np.arange(len(self.best)), self.best]


@experiment(
    17,
    title="Universal approximators",
    claim="A network with one hidden layer, trained on the error at points of a function, approximates any function, if it is wide enough.",
    numbers=[
        at_most("smooth: sin 4x: largest error of the widest network", 0.1, "margin: 5 % of the range", under_the_condition=True),
        at_most("a kink: |x|: largest error of the widest network", 0.1, "margin: 10 % of the range", under_the_condition=True),
        at_most("a jump: sign x: largest error of the widest network", 0.1, "margin: 5 % of the range"),
    ],
    verdict=HOLDS_IF,
    condition="the function is continuous, as the theorem demands",
)  # fmt: skip
def universal_approximators(run: Run) -> None:
    widths = run.choose([1, 4, 16], [1, 2, 4, 8, 16, 32])
    seeds, updates = run.choose((3, 300), (5, 1000))
    draw = run.generator()
    x = np.linspace(-1, 1, run.choose(64, 128))
    between = np.sort(np.append(np.linspace(-1, 1, 2000), [-1e-9, 1e-9]))  # close to the jump too
    d, truth = (np.stack([f(points) for f in TARGETS.values()]) for points in (x, between))
    outputs = np.array([Fits(x, d, width, seeds, updates, draw).best_outputs(between) for width in widths])
    worst = np.abs(outputs - truth).max(2)
    squares = np.sqrt(((outputs - truth) ** 2).mean(2))
    for kind, error in zip(TARGETS, worst[-1]):
        run.judge(f"{kind}: largest error of the widest network", error)
    run.table(["hidden units", *(f"{kind}: {what}" for kind in TARGETS for what in ("largest error", "root mean square"))],
              [[width, *(float(e) for pair in zip(*errors) for e in pair)] for width, *errors in zip(widths, worst, squares)])  # fmt: skip

    shown = [0, len(widths) // 2, len(widths) - 1]
    with run.figure("Three functions, and networks of three widths that learned them.", columns=3) as axes:
        for i, (ax, kind) in enumerate(zip(axes, TARGETS)):
            ax.plot(between, truth[i], label="the function", **style.THEORY)
            for k in shown:
                ax.plot(between, outputs[k, i], label=f"{widths[k]} unit{'s' if widths[k] > 1 else ''}", alpha=0.8)
            style.name_axes(ax, "x", "y", kind)
        axes[0].legend()
    with run.figure("Left: the largest error falls with the width for continuous functions, and stays at half the jump for the other. "
                    "Right: in the mean square it falls for that one too, but slowly.", columns=2) as axes:  # fmt: skip
        for ax, errors, name in zip(axes, (worst, squares), ("largest error", "root mean square error")):
            for i, kind in enumerate(TARGETS):
                ax.plot(widths, errors[:, i], "o-", label=kind)
            style.name_axes(ax, "hidden units", name, log="xy")
        style.theory(axes[0], [widths[0], widths[-1]], [1, 1], "theory: half the jump, at least")
        axes[0].legend()


# --- Expected and empirical risk ---------------------------------------------------------------------------------------


def g(x: np.ndarray) -> np.ndarray:
    """The function to be modelled, for x uniform on [-1, 1]."""
    return np.sin(4 * x) + x**2


def hidden_units(x: np.ndarray) -> np.ndarray:
    """The outputs y of a fixed hidden layer: three tanh units and a bias. x (...) -> (..., 4)."""
    units = np.tanh(3 * (x[..., None] - np.linspace(-0.6, 0.6, 3)))
    return np.concatenate([units, np.ones_like(x[..., None])], -1)


ALL_X = (np.arange(20_000) + 0.5) / 10_000 - 1  # midpoints of a grid: means over it are the expectations over x


def minimizer(x: np.ndarray) -> Any:
    """The weights W (..., 4) that minimize the mean of ½ (f(x; W) - g(x))² over the last axis of x."""
    y = tg.from_numpy(hidden_units(x))
    return tg.linalg.solve(y.mT @ y, y.mT @ tg.from_numpy(g(x)[..., None])).squeeze(-1)


def divergences(x: np.ndarray, W: Any) -> np.ndarray:
    """½ (f(x; W) - g(x))² of each point: x (..., N), W (..., 4) -> (..., N)."""
    return 0.5 * ((tg.from_numpy(hidden_units(x)) @ W.unsqueeze(-1)).squeeze(-1).numpy() - g(x)) ** 2


@experiment(
    52,
    title="Expected and empirical risk",
    claim="To model g we should minimize the expected divergence E[div(f(X; W), g(X))]; minimizing its average over N samples instead "
    "leads to the same W and the same risk as N grows.",
    numbers=[
        within("N times the excess of the expected risk / theory", 0.85, 1.15, "theory: ½ tr(H⁻¹V) / N; 15 % for terms in 1/N² and noise"),
        within("N times the shortfall of the empirical risk / theory", 0.85, 1.15, "theory: the same, below the least expected risk"),
        within("slope of the gap over N, from N = 100 on", -1.15, -0.9, "theory: -1, a little steeper while terms in 1/N² count"),
    ],
)
def expected_and_empirical_risk(run: Run) -> None:
    counts = np.array(run.choose([30, 100, 300, 1000], [30, 60, 100, 200, 300, 600, 1000, 2000]))
    repeats, draw = run.choose(800, 3000), run.generator()
    best = minimizer(ALL_X)
    least = divergences(ALL_X, best).mean()

    # H is the curvature of the expected risk at its minimum, V the covariance of the instances' gradients there.
    y, residual = hidden_units(ALL_X), np.sqrt(2 * divergences(ALL_X, best))
    H, V = y.T @ y / len(y), (y * residual[:, None]).T @ (y * residual[:, None]) / len(y)
    theory = 0.5 * np.trace(np.linalg.solve(H, V)) / counts

    excess, shortfall = [], []
    for n in counts:
        x = draw.uniform(-1, 1, (repeats, n))
        W = minimizer(x)
        off = W.numpy() - best.numpy()
        excess.append((0.5 * off @ H * off).sum(1))  # exact: the risk is quadratic in W
        shortfall.append(divergences(x, best).mean(1) - divergences(x, W).mean(1))
    above, below = np.mean(excess, 1), np.mean(shortfall, 1)
    run.judge("N times the excess of the expected risk / theory", above[-1] / theory[-1])
    run.judge("N times the shortfall of the empirical risk / theory", below[-1] / theory[-1])
    large = counts >= 100
    run.judge("slope of the gap over N, from N = 100 on", slope(counts[large], (above + below)[large]))

    with run.figure("Left: fits to 30 samples vary, those to many agree with the network of least expected risk. Middle: the expected risk "
                    "of the learned network lies above the least one, the empirical risk below. Right: both differences fall like 1/N.",
                    columns=3) as (left, middle, right):  # fmt: skip
        for colour, n in enumerate((counts[0], counts[-1])):
            for k, W in enumerate(minimizer(draw.uniform(-1, 1, (8, n))).numpy()):
                left.plot(ALL_X[::100], hidden_units(ALL_X[::100]) @ W, color=style.COLOURS[colour], linewidth=0.9, alpha=0.7,
                          label=f"f, from {n} samples" if k == 0 else None)  # fmt: skip
        left.plot(ALL_X[::100], g(ALL_X[::100]), label="g", **style.THEORY)
        style.name_axes(left, "x", "y", "Eight samples each")
        middle.plot(counts, least + above, "o-", label="expected risk of the learned f")
        middle.plot(counts, least - below, "s-", label="its empirical risk")
        style.theory(middle, counts, least + theory, "theory: least risk ± ½ tr(H⁻¹V) / N")
        style.theory(middle, counts, least - theory, "_")
        style.name_axes(middle, "samples N", "mean divergence", f"Mean of {repeats} samples", log="x")
        right.plot(counts, above, "o-", label="expected - least")
        right.plot(counts, below, "s-", label="least - empirical")
        style.theory(right, counts, theory, "theory: ½ tr(H⁻¹V) / N")
        style.name_axes(right, "samples N", "difference of mean divergences", "Differences", log="xy")
        for ax in (left, middle, right):
            ax.legend()


@experiment(
    "N1",
    title="Mean and variance of the empirical risk",
    claim="For a given network the average divergence of N samples is an unbiased estimate of the expected divergence, of variance "
    "var(div) / N; that of a minibatch of b of them has variance var(div) / b.",
    numbers=[
        at_most("empirical risk: |mean - expected risk| in standard errors", 4, "chance of more: 6 in 100,000"),
        within("empirical risk: N times its variance / var(div)", 0.95, 1.05, "theory: 1; 4 standard errors are about 0.05"),
        within("empirical risk: slope of the variance over N", -1.05, -0.95, "theory: -1; 4 standard errors are about 0.05"),
        at_most("minibatch: |mean - risk of the data set| in standard errors", 4, "chance of more: 6 in 100,000"),
        within("minibatch with replacement: b times its variance / var(div)", 0.95, 1.05, "theory: 1"),
        within("minibatch without: b (n - 1) / (n - b) times its variance / var(div)", 0.95, 1.05, "theory: 1, as the batch is a subset"),
    ],
)  # fmt: skip
def mean_and_variance_of_the_empirical_risk(run: Run) -> None:
    draw, repeats = run.generator(), run.choose(10_000, 20_000)
    everywhere = divergences(ALL_X, tg.from_numpy(draw.normal(0, 1, 4)))
    counts = np.array(run.choose([3, 10, 30, 100], [3, 10, 30, 100, 300]))
    risks = np.array([draw.choice(everywhere, (repeats, n)).mean(1) for n in counts])
    variances = ((risks - everywhere.mean()) ** 2).mean(1)
    run.judge("empirical risk: |mean - expected risk| in standard errors", standard_errors(risks, everywhere.mean()))
    run.judge("empirical risk: N times its variance / var(div)", (counts * variances).mean() / everywhere.var())
    run.judge("empirical risk: slope of the variance over N", slope(counts, variances))

    data = draw.choice(everywhere, 200)  # one data set, of which minibatches are drawn
    sizes = np.array([2, 5, 10, 20, 50, 100, 150])
    batches = np.array([draw.choice(data, (repeats, b)).mean(1) for b in sizes])
    subsets = np.array([draw.permuted(np.tile(data, (repeats, 1)), axis=1)[:, :b].mean(1) for b in sizes])
    noise, noise_of_subsets = batches.var(1), subsets.var(1)
    finite = (len(data) - sizes) / (len(data) - 1)
    run.judge("minibatch: |mean - risk of the data set| in standard errors", standard_errors(np.append(batches, subsets, 0), data.mean()))
    run.judge("minibatch with replacement: b times its variance / var(div)", (sizes * noise).mean() / data.var())
    scaled = sizes * noise_of_subsets / finite
    run.judge("minibatch without: b (n - 1) / (n - b) times its variance / var(div)", scaled.mean() / data.var())

    with run.figure("Left: the empirical risk scatters about the expected one, ever closer. Middle: its variance is var(div) / N. Right: "
                    "that of a minibatch is var(div) / b, and less for a subset of the data set.",
                    columns=3) as (left, middle, right):  # fmt: skip
        for n, sample in zip(counts[::-1], risks[::-1]):
            left.hist(sample, bins=80, range=(0, np.quantile(risks[0], 0.99)), density=True, histtype="step", label=f"N = {n}")
        left.axvline(everywhere.mean(), label="expected risk", **style.THEORY)
        style.name_axes(left, "empirical risk", "density", f"{repeats} samples each")
        middle.plot(counts, variances, "o", label="variance of the empirical risk")
        style.theory(middle, counts, everywhere.var() / counts, "theory: var(div) / N")
        style.name_axes(middle, "samples N", "variance", "Empirical risk", log="xy")
        right.plot(sizes, noise, "o", label="drawn with replacement")
        right.plot(sizes, noise_of_subsets, "s", label="a subset")
        style.theory(right, sizes, data.var() / sizes, "theory: var(div) / b, and times (n - b) / (n - 1)")
        style.theory(right, sizes, data.var() / sizes * finite, "_")
        style.name_axes(right, "batch size b", "variance", f"Minibatches of n = {len(data)}", log="xy")
        for ax in (left, middle, right):
            ax.legend()


def standard_errors(samples: np.ndarray, truth: float) -> float:
    """The largest distance of a row's mean from the truth, in standard errors of the mean."""
    return float((np.abs(samples.mean(1) - truth) / samples.std(1) * samples.shape[1] ** 0.5).max())


@experiment(
    "N1",
    title="Minibatch gradient descent",
    claim="Minibatch descent with rates like 1/k ends at a distance from the optimum that falls like 1/(b k), with batch size b and "
    "updates k: larger batches need fewer updates, not fewer samples.",
    numbers=[
        within("excess loss after the last update / theory, mean over b", 0.85, 1.15, "exact recursion; 4 standard errors are about 0.1"),
        within("slope of the excess over b, after the last update", -1.1, -0.9, "theory: -1 where the start is forgotten"),
        within("slope of the excess over k, over the last three quarters", -1.2, -0.8, "theory: -1 where the start is forgotten"),
    ],
)
def minibatch_gradient_descent(run: Run) -> None:
    # d = w*·x + noise, x ~ N(0, I): the expected risk is ½ |w - w*|² + ½ σ², strongly convex with λ = 1.
    dims, sigma, start = 5, 1.0, 10
    sizes, updates, seeds = np.array(run.choose([1, 4, 16], [1, 2, 4, 8, 16, 32])), run.choose(300, 2000), run.choose(200, 150)
    rate = lambda k: 1 / (k + start)
    draw, excess = run.generator(), np.empty((len(sizes), updates + 1))
    for row, b in zip(excess, sizes):
        w = tg.zeros(seeds, dims, dtype=tg.float64, requires_grad=True)  # w* = 0: it starts at the optimum, and the noise moves it
        optimizer = optim.SGD([w], lr=rate)
        for k in range(updates + 1):
            row[k] = 0.5 * (w.detach().numpy() ** 2).sum(1).mean()
            x = tg.from_numpy(draw.standard_normal((seeds, b, dims)))
            noise = tg.from_numpy(sigma * draw.standard_normal((seeds, b, 1)))
            optimizer.zero_grad()
            (0.5 * (x @ w.unsqueeze(-1) - noise) ** 2).mean((1, 2)).sum().backward()
            optimizer.step()

    # E|w|² is contracted by 1 - 2η + η² (1 + (dims + 1)/b), and the noise of the batch adds η² dims σ²/b.
    theory = np.zeros_like(excess)
    for k in range(updates):
        eta = rate(k)
        theory[:, k + 1] = (1 - 2 * eta + eta**2 * (1 + (dims + 1) / sizes)) * theory[:, k] + 0.5 * eta**2 * dims * sigma**2 / sizes
    run.judge("excess loss after the last update / theory, mean over b", (excess[:, -1] / theory[:, -1]).mean())
    run.judge("slope of the excess over b, after the last update", slope(sizes, excess[:, -1]))
    late = np.arange(updates // 4, updates + 1)
    run.judge("slope of the excess over k, over the last three quarters", np.mean([slope(late + start, row[late]) for row in excess]))

    with run.figure("From the optimum, the noise first drives the weights away. Left: then the excess loss falls like 1/k, and is b times "
                    "lower with a batch of b. Right: over the samples seen, all end on one line: a larger batch saves updates only.",
                    columns=2) as (left, right):  # fmt: skip
        steps = np.arange(1, updates + 1)
        for b, row, line in zip(sizes, excess, theory):
            left.plot(steps, row[1:], label=f"b = {b}")
            right.plot(steps * b, row[1:], label=f"b = {b}")
            style.theory(left, steps, line[1:], "theory" if b == sizes[-1] else "_")
        style.name_axes(left, "updates k", "excess of the expected risk", f"Mean of {seeds} seeds", log="xy")
        style.name_axes(right, "samples seen, b k", "excess of the expected risk", "The same, over samples", log="xy")
        left.legend(ncols=2)
