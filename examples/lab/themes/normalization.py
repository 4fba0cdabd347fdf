"""Normalization: item N4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.autograd.functional import jacobian
from tinygrad_lite.nn.functional import cross_entropy

from .. import style
from ..core import Run, at_least, at_most, exactly, experiment, within
from ..tools import mean_of, slope


def largest(*pairs: tuple[Any, Any]) -> float:
    """The largest difference between the two arrays of any pair."""
    return max(float(np.max(abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs)


@experiment(
    "N4",
    title="Batch normalization by hand",
    claim="Normalize with the statistics of the batch, test with running ones; the backward pass goes through the statistics, too.",
    numbers=[
        at_most("forward with batch statistics, by hand against the library", 1e-12, "an equality, in float64"),
        at_most("running statistics of five batches, by hand against the library", 1e-12, "an equality, in float64"),
        at_most("forward with running statistics, by hand against the library", 1e-12, "an equality, in float64"),
        at_most("gradients from the tape of the formula against the closed form", 1e-10, "an equality, in float64"),
        at_most("gradients of the library's layer against the closed form", 1e-10, "an equality, in float64"),
        at_most("Jacobian of the layer over the batch against γ/s (I − 1/n − x̂x̂ᵀ/n)", 1e-10, "an equality, in float64"),
        at_least("largest gradient of an output by another sample's input, over that by its own", 0.1, "the batch is coupled"),
        exactly("gradients of an output by other samples' inputs in eval mode", 0, "there, it is not"),
    ],
)
def batch_norm_by_hand(run: Run) -> None:
    draw, n, features = run.generator(), 8, 5
    layer = nn.BatchNorm1d(features).double()
    gamma, beta = (draw.normal(size=features) for _ in range(2))
    layer.weight.data, layer.bias.data = tg.tensor(gamma), tg.tensor(beta)
    x, given = 3 + 2 * draw.normal(size=(n, features)), draw.normal(size=(n, features))  # the input; dL/dy

    # Forward, with the statistics of the batch.
    mean, var = x.mean(0), x.var(0)
    s = np.sqrt(var + layer.eps)
    hat = (x - mean) / s
    run.judge("forward with batch statistics, by hand against the library", largest((layer(tg.tensor(x)).detach(), gamma * hat + beta)))

    # Running statistics: new = 0.9 old + 0.1 batch; the variance is the unbiased one.
    layer.reset_running_stats()
    running_mean, running_var = np.zeros(features), np.ones(features)
    for _ in range(5):
        batch = 3 + 2 * draw.normal(size=(n, features))
        layer(tg.tensor(batch))
        running_mean, running_var = 0.9 * running_mean + 0.1 * batch.mean(0), 0.9 * running_var + 0.1 * batch.var(0, ddof=1)
    difference = largest((layer.running_mean, running_mean), (layer.running_var, running_var))
    run.judge("running statistics of five batches, by hand against the library", difference)
    by_hand = gamma * (x - running_mean) / np.sqrt(running_var + layer.eps) + beta
    run.judge("forward with running statistics, by hand against the library", largest((layer.eval()(tg.tensor(x)).detach(), by_hand)))
    layer.train()

    # Backward: once from the tape of elementary operations, once from the layer, once from the closed form.
    closed = {"γ": (given * hat).sum(0), "β": given.sum(0), "x": gamma / s * (given - given.mean(0) - hat * (given * hat).mean(0))}

    def formula(x: Any, weight: Any, bias: Any) -> Any:
        centred = x - x.mean(0)
        return weight * centred / ((centred * centred).mean(0) + layer.eps).sqrt() + bias

    def gradients(function: Callable[..., Any], *inputs: Any) -> tuple[Any, ...]:
        return tg.autograd.grad(function(*inputs), inputs, tg.tensor(given))

    leaves = [tg.tensor(value, requires_grad=True) for value in (x, gamma, beta)]
    wanted = (closed["x"], closed["γ"], closed["β"])
    tape = gradients(formula, *leaves)
    run.judge("gradients from the tape of the formula against the closed form", largest(*zip(tape, wanted)))
    inputs = tg.tensor(x, requires_grad=True)
    own = tg.autograd.grad(layer(inputs), [inputs, layer.weight, layer.bias], tg.tensor(given))
    run.judge("gradients of the library's layer against the closed form", largest(*zip(own, wanted)))

    # The Jacobian of one feature over the batch: it is full, unlike that of an activation.
    def of_first_feature(column: Any) -> Any:
        return layer(tg.cat([column[:, None], tg.tensor(x[:, 1:])], 1))[:, 0]

    full = jacobian(of_first_feature, tg.tensor(x[:, 0])).numpy()
    theory = gamma[0] / s[0] * (np.eye(n) - 1 / n - np.outer(hat[:, 0], hat[:, 0]) / n)
    run.judge("Jacobian of the layer over the batch against γ/s (I − 1/n − x̂x̂ᵀ/n)", largest((full, theory)))
    others = full - np.diag(np.diag(full))
    run.judge(
        "largest gradient of an output by another sample's input, over that by its own", (abs(others).max(1) / abs(np.diag(full))).max()
    )
    layer.eval()
    fixed = jacobian(of_first_feature, tg.tensor(x[:, 0])).numpy()
    run.judge("gradients of an output by other samples' inputs in eval mode", np.sum((fixed - np.diag(np.diag(fixed))) != 0))
    run.table(
        ["gradient of", "closed form", "tape against it", "layer against it"],
        [
            [name, form, f"{largest((a, c)):.1e}", f"{largest((b, c)):.1e}"]
            for name, form, a, b, c in zip(("x", "γ", "β"), ("γ/s (g − mean g − x̂ mean(g x̂))", "Σ g x̂", "Σ g"), tape, own, wanted)
        ],
    )
    caption = (
        "Jacobian of one feature's outputs by its inputs, over a batch of eight samples. In training each output depends on all samples of "
        "the batch, through mean and variance (left); with running statistics only on its own (right)."
    )
    with run.figure(caption, columns=2) as both:
        bound = abs(full).max()
        for axes, values, title in zip(both, (full, fixed), ("batch statistics", "running statistics")):
            image = axes.imshow(values, cmap=style.DIVERGING, vmin=-bound, vmax=bound)
            axes.grid(False)
            axes.figure.colorbar(image, ax=axes, label="∂yᵢ / ∂xⱼ")
            style.name_axes(axes, "input of sample j", "output of sample i", title)


@experiment(
    "N4",
    title="Small batches have noisy statistics",
    claim="The statistics of a small batch are noisy, like 1/√n′, and training with BatchNorm suffers.",
    numbers=[
        within("slope of the deviation of the batch mean over n′", -0.52, -0.48, "theory: −1/2; ± 0.02"),
        within("deviation of the batch mean at n′ = 16, over σ/4", 0.97, 1.03, "theory: 1; ± 3 %"),
        within("relative deviation of the batch variance at n′ = 64, over √(2/63)", 0.95, 1.05, "theory for normal inputs: 1; ± 5 %"),
        at_most("largest distance of an output from ±1 at n′ = 2", 1e-3, "theory: only the sign of the difference is left; eps = 1e-5"),
        exactly("batches of one sample that the layer takes in training", 0, "one sample has no variance"),
        at_least("test loss of BatchNorm over that of LayerNorm, n′ = 2", 1.25, "the claim; a quarter as the margin"),
        at_most("test loss of BatchNorm over that of LayerNorm, n′ = 16", 1.25, "it is the small batches that do it"),
    ],
)
def small_batches_have_noisy_statistics(run: Run) -> None:
    draw, trials = run.generator(), run.choose(20_000, 50_000)
    sizes = np.array([2, 4, 8, 16, 32, 64])
    means, variances = [], []
    for size in sizes:
        layer = nn.BatchNorm1d(trials, affine=False, momentum=1.0).double()  # each feature is a trial; the layer keeps its statistics
        layer(tg.tensor(draw.normal(size=(size, trials))))
        means.append(layer.running_mean.numpy().std())
        variances.append(layer.running_var.numpy().std())
    run.judge("slope of the deviation of the batch mean over n′", slope(sizes, means))
    run.judge("deviation of the batch mean at n′ = 16, over σ/4", means[3] * 4)
    run.judge("relative deviation of the batch variance at n′ = 64, over √(2/63)", variances[5] / np.sqrt(2 / 63))

    pairs = nn.BatchNorm1d(1, affine=False).double()
    apart = tg.tensor([[[0.0], [0.5 + d]] for d in draw.exponential(2, 20)]).double()  # at least 0.5 apart
    outputs = np.array([pairs(pair).numpy() for pair in apart])
    run.judge("largest distance of an output from ±1 at n′ = 2", abs(abs(outputs) - 1).max())
    taken = 0
    try:
        nn.BatchNorm1d(3)(tg.ones(1, 3))
        taken = 1
    except ValueError as error:
        refusal = str(error)
        run.remark(f"A batch of one is refused: {refusal.splitlines()[0]}")
    run.judge("batches of one sample that the layer takes in training", taken)

    batches, seeds = run.choose([2, 16], [2, 4, 8, 16, 32]), list(run.seeds(2, 3))
    kinds: dict[str, Callable[[], Any]] = {"BatchNorm": lambda: nn.BatchNorm1d(32), "LayerNorm": lambda: nn.LayerNorm(32)}
    images, labels, test_x, test_y = tg.datasets.digits()
    tests: dict[tuple[str, int], list[float]] = {(kind, size): [] for kind in kinds for size in batches}
    for seed in seeds:
        chosen = run.generator(seed).permutation(len(images))[:300].tolist()
        for kind, size in tests:
            tg.manual_seed(seed)
            model = nn.Sequential(nn.Linear(64, 32), kinds[kind](), nn.ReLU(), nn.Linear(32, 10))
            optimizer = optim.SGD(model.parameters(), lr=0.1 * np.sqrt(size / 32))
            draws = run.generator(seed)
            for _ in range(run.choose(720, 2560) // size):
                batch = np.array(chosen)[draws.integers(0, 300, size)].tolist()
                optimizer.zero_grad()
                cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
            with tg.no_grad():
                tests[kind, size].append(cross_entropy(model.eval()(test_x), test_y).item())
    for size in (2, 16):
        ratio = mean_of(np.log(tests["BatchNorm", size]) - np.log(tests["LayerNorm", size]))
        interval = (float(np.exp(ratio.interval[0])), float(np.exp(ratio.interval[1])))
        run.judge(f"test loss of BatchNorm over that of LayerNorm, n′ = {size}", np.exp(ratio.value), interval)
    run.table(["batch size n′", *kinds], [[size, *(float(np.mean(tests[kind, size])) for kind in kinds)] for size in batches])
    caption = (
        "Left: deviation of mean and variance of a batch of n′ standard normal values. Right: test loss of networks on 300 digits, trained "
        "with batches of n′, on as many samples in all, at rates that grow like √n′ (mean; points: seeds)."
    )
    with run.figure(caption, columns=2) as (left, right):
        left.plot(sizes, means, "o", label="mean")
        left.plot(sizes, variances, "s", label="variance")
        style.theory(left, sizes, 1 / np.sqrt(sizes), "1/√n′")
        left.plot(sizes, np.sqrt(2 / (sizes - 1)), "k:", label="√(2/(n′ − 1))")
        left.legend()
        style.name_axes(left, "batch size n′", "deviation over batches", "statistics", log="xy")
        style.mark_x(left, sizes)
        for kind, marker in zip(kinds, "os"):
            values = np.array([tests[kind, size] for size in batches])
            (line,) = right.plot(batches, values.mean(1), marker + "-", label=kind)
            right.plot(batches, values, ".", color=line.get_color(), alpha=0.4)
        right.legend()
        style.name_axes(right, "batch size n′", "test loss", "training", log="x")
        style.mark_x(right, batches)


@experiment(
    "N4",
    title="Layer, group, instance and RMS norm",
    claim="Layer, group, instance and RMS norm normalize within a sample, over different entries, so they do not depend on the batch.",
    numbers=[
        at_most("all five by hand against the library", 1e-12, "equalities, in float64"),
        exactly("change of a sample's output with the rest of the batch, all but BatchNorm", 0, "they do not see the other samples"),
        at_least("change of a sample's output with the rest of the batch, BatchNorm", 0.1, "it does"),
        exactly("entries that share their statistics, right for all five", 5, "counted in the Jacobian, see the figure"),
        exactly("invariances as expected, of ten", 10, "under scaling and shifting one sample; see the table"),
    ],
)
def norms_within_a_sample(run: Run) -> None:
    draw, eps = run.generator(), 1e-5
    n, channels, length = 3, 4, 5
    x = tg.tensor(1 + draw.normal(size=(n, channels, length)))
    layers = {
        "BatchNorm": nn.BatchNorm1d(channels, affine=False),
        "LayerNorm": nn.LayerNorm((channels, length), elementwise_affine=False),
        "GroupNorm, 2 groups": nn.GroupNorm(2, channels, affine=False),
        "InstanceNorm": nn.InstanceNorm1d(channels),
        "RMSNorm": nn.RMSNorm((channels, length), eps=eps, elementwise_affine=False),
    }
    layers = {name: layer.double() for name, layer in layers.items()}

    def normalized(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return (values - values.mean(axes, keepdims=True)) / np.sqrt(values.var(axes, keepdims=True) + eps)

    v = x.numpy()
    by_hand = {
        "BatchNorm": normalized(v, (0, 2)),
        "LayerNorm": normalized(v, (1, 2)),
        "GroupNorm, 2 groups": normalized(v.reshape(n, 2, 2, length), (2, 3)).reshape(v.shape),
        "InstanceNorm": normalized(v, (2,)),
        "RMSNorm": v / np.sqrt((v**2).mean((1, 2), keepdims=True) + eps),
    }
    run.judge("all five by hand against the library", largest(*((layer(x), by_hand[name]) for name, layer in layers.items())))

    other = tg.tensor(np.concatenate([v[:1], 5 * draw.normal(size=(n - 1, channels, length))]))
    changes = {name: largest((layer(x)[0], layer(other)[0])) for name, layer in layers.items()}
    run.judge("change of a sample's output with the rest of the batch, BatchNorm", changes.pop("BatchNorm"))
    run.judge("change of a sample's output with the rest of the batch, all but BatchNorm", max(changes.values()))

    # The entries that an output depends on are those that share its statistics.
    depends = {name: abs(jacobian(lambda x, layer=layer: layer(x)[1, 1, 2], x).numpy()) > 0 for name, layer in layers.items()}
    expected = {
        "BatchNorm": n * length,
        "LayerNorm": channels * length,
        "GroupNorm, 2 groups": 2 * length,
        "InstanceNorm": length,
        "RMSNorm": channels * length,
    }
    run.judge(
        "entries that share their statistics, right for all five", sum(depends[name].sum() == count for name, count in expected.items())
    )

    # Scale or shift one sample: does its output stay the same? (The eps in the root makes a difference of 1e-5 or so.)
    scaled, shifted = (tg.tensor(np.concatenate([change(v[:1]), v[1:]])) for change in (lambda s: 3 * s, lambda s: s + 3))
    stays = {name: [largest((layer(x)[0], layer(moved)[0])) < 1e-3 for moved in (scaled, shifted)] for name, layer in layers.items()}
    right = {name: [name != "BatchNorm", name not in ("BatchNorm", "RMSNorm")] for name in layers}
    run.judge("invariances as expected, of ten", sum(a == b for name in layers for a, b in zip(stays[name], right[name])))
    answers = {True: "yes", False: "no"}
    run.table(
        ["norm", "statistics over", "scaling a sample changes nothing", "shifting it changes nothing", "needs a batch"],
        [
            [name, over, *(answers[bool(each)] for each in stays[name]), answers[name == "BatchNorm"]]
            for name, over in zip(
                layers,
                ("samples, positions", "channels, positions", "a group's channels, positions", "positions", "channels, positions; no mean"),
            )
        ],
    )
    caption = (
        "The entries of a batch (3 samples, each of 4 channels as rows and 5 positions as columns) that one output, marked ×, depends on: "
        "those that share its mean and variance."
    )
    with run.figure(caption, columns=3, rows=2, height=1.5) as axes:
        for place, (name, used) in zip(axes.flat, depends.items()):
            picture = np.full((channels, n * (length + 1) - 1), np.nan)
            for sample in range(n):
                picture[:, sample * (length + 1) : sample * (length + 1) + length] = used[sample]
            place.imshow(picture, cmap=style.SEQUENTIAL, vmin=0, vmax=1.3)
            place.plot(length + 1 + 2, 1, "kx")
            place.grid(False)
            place.set_xticks([length // 2 + sample * (length + 1) for sample in range(n)], [f"sample {sample + 1}" for sample in range(n)])
            place.set_yticks(range(channels), range(1, channels + 1))
            style.name_axes(place, "", "channel", name)
        axes.flat[-1].axis("off")


@experiment(
    "N4",
    title="Normalization forgives the scale of the weights",
    claim="With a normalized layer the scale of the weights before it does not matter, and their gradient shrinks as they grow.",
    numbers=[
        at_most("change of the output for weights ten times as large", 1e-10, "an equality, for eps ≈ 0, in float64"),
        at_most("their gradient times ten against the first", 1e-10, "an equality, for eps ≈ 0, in float64"),
        at_most("largest cosine of weights and gradient of a unit", 1e-10, "an invariance under scaling: no slope along the weights"),
        at_most(
            "worst training loss with BatchNorm, initial weights × 0.1 to 3", 1.0, "it trains from all of them: below the 2.3 of guessing"
        ),
        at_least("worst training loss without, initial weights × 0.1 to 3", 2.0, "without, some scales do not train at all"),
    ],
)
def normalization_forgives_the_scale(run: Run) -> None:
    draw = run.generator()
    x, y = tg.tensor(draw.normal(size=(20, 6))), tg.tensor(draw.normal(size=(20, 4)))
    weight, bend = draw.normal(size=(4, 6)), tg.tensor(draw.normal(size=4))

    def output_and_gradient(scale: float) -> tuple[np.ndarray, np.ndarray]:
        w = tg.tensor(scale * weight, requires_grad=True)
        out = nn.functional.batch_norm(x @ w.T, None, None, training=True, eps=1e-14)
        ((tg.tanh(out * bend) - y) ** 2).mean().backward()
        return out.detach().numpy(), w.grad.numpy()

    (out, gradient), (same, smaller) = output_and_gradient(1), output_and_gradient(10)
    run.judge("change of the output for weights ten times as large", largest((out, same)))
    run.judge("their gradient times ten against the first", largest((gradient, 10 * smaller)))
    cosines = (weight * gradient).sum(1) / np.linalg.norm(weight, axis=1) / np.linalg.norm(gradient, axis=1)
    run.judge("largest cosine of weights and gradient of a unit", abs(cosines).max())

    scales, seeds, steps = run.choose([0.1, 1, 3], [0.03, 0.1, 0.3, 1, 3, 10, 30]), list(run.seeds(2, 3)), run.choose(100, 200)
    images, labels, _, _ = tg.datasets.digits()
    trained: dict[tuple[bool, float], list[float]] = {(norm, scale): [] for norm in (True, False) for scale in scales}
    for seed in seeds:
        chosen = run.generator(seed).permutation(len(images))[:300].tolist()
        for norm, scale in trained:
            tg.manual_seed(seed)
            parts: list[Any] = []
            for inputs in (64, 32, 32):
                parts += [nn.Linear(inputs, 32), *([nn.BatchNorm1d(32)] if norm else []), nn.ReLU()]
                parts[-2 - norm].weight.data *= scale
            model = nn.Sequential(*parts, nn.Linear(32, 10))
            optimizer, draws = optim.SGD(model.parameters(), lr=0.1), run.generator(seed)
            for _ in range(steps):
                batch = np.array(chosen)[draws.integers(0, 300, 32)].tolist()
                optimizer.zero_grad()
                cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
            with tg.no_grad():
                trained[norm, scale].append(cross_entropy(model(images[chosen]), labels[chosen]).item())
    middle = [scale for scale in scales if 0.1 <= scale <= 3]
    run.judge("worst training loss with BatchNorm, initial weights × 0.1 to 3", max(np.mean(trained[True, scale]) for scale in middle))
    run.judge("worst training loss without, initial weights × 0.1 to 3", max(np.mean(trained[False, scale]) for scale in middle))
    caption = (
        f"Training loss after {steps} updates at η = 0.1 of networks with three hidden layers on digits, over the scale of their initial "
        "weights (mean of the seeds; no point: not finite). BatchNorm trains from a wide range of them; where they are very large, their "
        "gradients are small."
    )
    with run.figure(caption) as axes:
        for norm, label in ((False, "plain"), (True, "with BatchNorm")):
            axes.plot(scales, [np.mean(trained[norm, scale]) for scale in scales], "o-", label=label)
        axes.axhline(np.log(10), **style.THEORY, label="guessing")
        axes.legend()
        style.name_axes(axes, "scale of the initial weights", "training loss", log="x")
        style.mark_x(axes, scales)
