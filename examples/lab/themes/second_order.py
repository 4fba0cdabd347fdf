"""Second order: parabolas, Newton's method, and its benefit at the price of gradients."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite import nn, optim, study
from tinygrad_lite.optim.curvature import Hessian, diagonal, matrix_of
from tinygrad_lite.optim.order_zero import simultaneous_perturbation
from tinygrad_lite.optim.surfaces import quadratic, race, rosenbrock

from .. import style, tools
from ..core import at_least, at_most, exactly, experiment, within
from ..tools import descend, draw_bowl, first_below, multiply_adds, parabolas


@experiment(
    "N7", 11,
    title="A parabola: three regimes of the step size",
    claim="On a parabola of curvature H descent is monotone for η < 1/H, oscillates up to 2/H and diverges above; η = 1/H is optimal.",
    numbers=[
        exactly("step sizes in the wrong regime", 0, "theory: the error is multiplied by 1 - ηH in each update"),
        at_most("error after one update at η = 1/H, over the start", 1e-15, "theory: 0, up to rounding"),
        within("best step size in a bowl, over 2/(λ_min + λ_max)", 0.98, 1.02, "theory: 1; the step sizes tried are 1 % apart"),
        within("its factor per update, over (κ - 1)/(κ + 1)", 0.98, 1.02, "theory: 1; 2 % as the step sizes tried are 1 % apart"),
    ],
)  # fmt: skip
def a_parabola(run):
    generator = run.generator()
    curvature, start = generator.uniform(0.5, 5), generator.uniform(1, 3)
    products = np.linspace(0.06, 2.4, 40)  # ηH, without the borders 1 and 2
    names = np.where(products < 1, "monotone", np.where(products < 2, "oscillates", "diverges"))
    groups = [{"params": [tg.tensor([start], dtype=tg.float64, requires_grad=True)], "lr": each / curvature} for each in products]
    weights = [group["params"][0] for group in groups]
    optimizer, path = optim.SGD(groups), [np.full(len(products), start)]
    for _ in range(20):
        optimizer.zero_grad()
        (curvature / 2 * sum((w * w).sum() for w in weights)).backward()
        optimizer.step()
        path.append(np.array([w.item() for w in weights]))
    path = np.array(path)
    same, shrinks = (path[1:] * path[:-1] > 0).all(0), abs(path[-1]) < abs(path[0])
    turns = (path[1:] * path[:-1] < 0).all(0)
    seen = np.where(~shrinks, "diverges", np.where(same, "monotone", np.where(turns, "oscillates", "mixed")))
    run.judge("step sizes in the wrong regime", (seen != names).sum())
    once = descend(lambda w: optim.SGD(w, 1 / curvature), parabolas([curvature]), [start], 1)
    run.judge("error after one update at η = 1/H, over the start", abs(once[-1, 0] / start))

    conditions, updates, found = (3, 10, 30), 200, {}
    for condition in conditions:
        rates = np.arange(0.9, 1.1, 0.01) * 2 / (1 + condition)
        weights = [tg.tensor([1.0, 1.0], dtype=tg.float64, requires_grad=True) for _ in rates]
        optimizer = optim.SGD([{"params": [w], "lr": rate} for w, rate in zip(weights, rates)])
        loss = parabolas([1, condition])
        lengths = []
        for _ in range(updates):
            optimizer.zero_grad()
            loss(tg.stack(weights)).backward()
            optimizer.step()
            lengths.append([w.detach().abs().max().item() for w in weights])
        found[condition] = rates, (np.array(lengths)[-1] / np.array(lengths)[-101]) ** (1 / 100)
    best = {c: (rates[factors.argmin()] * (1 + c) / 2, factors.min() * (c + 1) / (c - 1)) for c, (rates, factors) in found.items()}
    run.judge("best step size in a bowl, over 2/(λ_min + λ_max)", max((b[0] for b in best.values()), key=lambda b: abs(b - 1)))
    run.judge("its factor per update, over (κ - 1)/(κ + 1)", max((b[1] for b in best.values()), key=lambda b: abs(b - 1)))
    caption = "Left: descent on a parabola at four step sizes. Middle: its factor per update. Right: that of bowls of two curvatures."
    with run.figure(caption, 3) as (left, middle, right):
        grid = np.linspace(-1.6, 1.6, 100)
        left.plot(grid, grid**2 / 2, color=style.COLOURS[6], linewidth=1)
        for product, marker in ((0.3, "o"), (1.0, "*"), (1.7, "s"), (2.1, "^")):
            steps = descend(lambda w, lr=product: optim.SGD(w, lr), parabolas([1.0]), [1.0], 6)[:, 0]
            left.plot(steps, steps**2 / 2, marker + "-", markersize=5, linewidth=1, label=f"ηH = {product:g}")
        style.name_axes(left, "w", "w²/2 (H = 1)", "Six updates from w = 1")
        left.set(ylim=(-0.1, 2.2))
        left.legend(loc="upper center", ncols=2)
        middle.plot(products, abs(path[1] / path[0]), "o", markersize=3, label="measured")
        style.theory(middle, products, abs(1 - products), "theory: |1 - ηH|")
        for low, high, colour, name in ((0, 1, 2, "monotone"), (1, 2, 4, "oscillates"), (2, 2.45, 1, "diverges")):
            middle.axvspan(low, high, color=style.COLOURS[colour], alpha=0.15, label=name)
        style.name_axes(middle, "step size times curvature, ηH", "|w| after / before an update", "Three regimes")
        middle.legend(loc="upper left")
        for condition, (rates, factors) in found.items():
            right.plot(rates * (1 + condition) / 2, factors, "o", markersize=3, label=f"κ = {condition}")
            theory = np.maximum(abs(1 - rates), abs(1 - rates * condition))
            style.theory(right, rates * (1 + condition) / 2, theory, "theory" if condition == conditions[-1] else None)
        style.name_axes(right, "η / [2/(λ_min + λ_max)]", "factor per update", "Best: (κ - 1)/(κ + 1)")
        right.legend()


@experiment(
    "N7", 20,
    title="QuickProp, Rprop and Newton on parabolas",
    claim="If each weight has its own parabola, Newton's method arrives in one step, QuickProp in two and Rprop after a few halvings.",
    numbers=[
        at_most("Newton: error after one update, over the start", 1e-13, "theory: 0, up to rounding"),
        at_most("QuickProp: error after two updates, over the start", 1e-13, "theory: 0, the secant of a parabola's slope is exact"),
        at_most("Rprop: updates to a thousandth of the start", 60, "the 10 halvings of 1/1000, each after at most 5 growing steps"),
        exactly("Newton: numbers in the matrix, over p²", 1, "the cost: p × p"),
        exactly("Newton: Hessian products for a step, over p", 1, "the cost: a product for each column"),
    ],
)  # fmt: skip
def parabolas_one_by_one(run):
    generator = run.generator()
    p = run.choose(8, 30)
    curvatures, start = generator.uniform(0.5, 5, p), generator.choice([-1, 1], p) * generator.uniform(0.5, 2, p)
    loss = parabolas(curvatures)

    def newton(updates: int) -> np.ndarray:
        w = tg.tensor(start, requires_grad=True)
        optimizer, path = optim.Newton([w]), [start]
        for _ in range(updates):
            optimizer.step(lambda: loss(w))
            path.append(w.numpy(force=True).copy())
        return np.array(path)

    paths = {
        "gradient descent, best rate": descend(lambda w: optim.SGD(w, 2 / (curvatures.min() + curvatures.max())), loss, start, 100),
        "Rprop": descend(lambda w: optim.Rprop(w, 0.1), loss, start, 100),
        "QuickProp": descend(lambda w: optim.QuickProp(w, lr=0.1, max_growth=100), loss, start, 2),
        "QuickProp, growth at most 1.75": descend(lambda w: optim.QuickProp(w, lr=0.1), loss, start, 12),
        "Newton": newton(1),
    }
    errors = {name: abs(path).max(1) / abs(start).max() for name, path in paths.items()}
    run.judge("Newton: error after one update, over the start", errors["Newton"][1])
    run.judge("QuickProp: error after two updates, over the start", errors["QuickProp"][2])
    run.judge("Rprop: updates to a thousandth of the start", first_below(errors["Rprop"], 1e-3))

    w, count = tg.tensor(start, requires_grad=True), []
    hessian = Hessian(loss(w), [w])
    matrix = matrix_of(lambda v: (count.append(1), hessian @ v)[1], hessian.gradient)
    run.judge("Newton: numbers in the matrix, over p²", matrix.size / p**2)
    run.judge("Newton: Hessian products for a step, over p", len(count) / p)

    needed = []
    for angle in (0, np.pi / 6):
        path = descend(lambda w: optim.QuickProp(w, lr=0.01, max_growth=100), quadratic(25, angle), (4.0, 1.0), 200)
        needed.append(f"{first_below(np.linalg.norm(path, axis=1), 1e-3):.0f}")
    run.remark(
        f"QuickProp treats each weight as if it had its own parabola. In a bowl of condition 25 it takes {needed[0]} updates to a "
        f"thousandth; in the same bowl turned by 30° it takes {needed[1]}. Newton's method, with the whole matrix, takes one in both."
    )
    with run.figure(f"The largest error of {p} weights on separate parabolas: two methods arrive exactly, two converge.") as axes:
        for (name, error), marker in zip(errors.items(), ["", "", "s-", "^-", "o-"]):
            axes.plot(np.maximum(error, 1e-17), marker or "-", markersize=5, label=name)
        style.name_axes(axes, "updates", "largest error / start", "Curvatures from 0.5 to 5", log="y")
        axes.set(xlim=(-0.5, 40), ylim=(1e-17, 10))
        axes.legend()


def bowl_of(condition: float, size: int, generator: np.random.Generator) -> tuple[Callable[[Any], Any], np.ndarray]:
    """A quadratic of eigenvalues from 1 to `condition` along random axes, and a point at the same distance along each axis."""
    axes = np.linalg.qr(generator.normal(size=(size, size)))[0]
    matrix = tg.tensor(axes * np.geomspace(1, condition, size) @ axes.T)
    return (lambda w: w @ matrix @ w / 2), axes.sum(1)


@experiment(
    18,
    title="Newton solves a quadratic in one step",
    claim="Second-order methods even out the variation across dimensions: Newton's method solves a quadratic in one step, whatever κ.",
    numbers=[
        at_most("error after one step, over κ times the rounding unit", 10, "theory: 0; solving with H loses a factor κ to rounding"),
        within("slope of descent's updates over the condition number", 0.9, 1.1, "theory: 1, which Newton's step avoids"),
        at_most("damped step against δ/(λ + δ) along each axis", 1e-10, "theory: with damping δ an error shrinks by δ/(λ + δ)"),
        at_most("updates on Rosenbrock's function to an error of 10⁻⁸", 20, "no quadratic, so more than one; descent needs thousands"),
    ],
)
def newton_solves_a_quadratic_in_one_step(run):
    generator, size = run.generator(), 10
    conditions = 10.0 ** np.arange(0, 9)
    errors = []
    for condition in conditions:
        loss, start = bowl_of(condition, size, generator)
        w = tg.tensor(start, requires_grad=True)
        optim.Newton([w]).step(lambda w=w, loss=loss: loss(w))
        errors.append(np.linalg.norm(w.numpy(force=True)) / np.linalg.norm(start))
    run.judge("error after one step, over κ times the rounding unit", (errors / conditions).max() * 2**52)

    few = run.choose(np.geomspace(4, 40, 4), np.geomspace(4, 400, 7))
    counts = []
    for condition in few:
        loss, start = bowl_of(condition, size, generator)
        path = descend(lambda w, lr=2 / (1 + condition): optim.SGD(w, lr), loss, start, int(5 * condition + 20))
        counts.append(first_below(np.linalg.norm(path, axis=1) / np.linalg.norm(start), 1e-3))
    run.judge("slope of descent's updates over the condition number", tools.slope(few, counts))

    curvatures, damping = np.geomspace(0.01, 100, 9), 1.0
    w = tg.tensor(np.ones(9), requires_grad=True)
    optim.Newton([w], damping=damping).step(lambda: parabolas(curvatures)(w))
    run.judge("damped step against δ/(λ + δ) along each axis", abs(w.numpy(force=True) - damping / (curvatures + damping)).max())
    newton = race(rosenbrock, {"Newton": lambda w: optim.Newton(w)}, steps=30).runs["Newton"]
    arrived = first_below(np.linalg.norm(newton.path - [1, 1], axis=1), 1e-8)
    run.judge("updates on Rosenbrock's function to an error of 10⁻⁸", arrived)

    caption = "Left: descent and Newton's step in a bowl of condition 25. Middle: updates by condition number. Right: Newton's rounding."
    with run.figure(caption, 3) as (left, middle, right):
        draw_bowl(left, 25)
        path = descend(lambda w: optim.SGD(w, 0.07), quadratic(25), (4.0, 1.0), 40)
        left.plot(*path.T, ".-", markersize=3, linewidth=1, label="descent")
        left.plot([4, 0], [1, 0], "o-", markersize=5, label="Newton: one step")
        style.name_axes(left, "w₁ (curvature 1)", "w₂ (curvature 25)", "40 updates of descent, η = 0.07")
        left.legend(loc="lower left")
        middle.plot(few, counts, "o", label="descent, η = 2/(λ_min + λ_max)")
        style.theory(middle, few, few / 2 * np.log(1e3 * np.sqrt(2 / size)), "theory: κ/2 · ln(1000 √(2/10))")  # two slow axes of ten
        middle.plot(few, np.ones(len(few)), "o-", label="Newton")
        style.name_axes(middle, "condition number κ", "updates to a thousandth", "Ten weights, random axes", log="xy")
        middle.legend()
        right.plot(conditions, np.maximum(errors, 1e-18), "o", label="Newton, one step")
        style.theory(right, conditions, conditions * 2.0**-52, "theory: κ · 2⁻⁵²")
        style.name_axes(right, "condition number κ", "error / start", "What is left after one step", log="xy")
        right.legend()


def ridge_regression(generator: np.random.Generator, samples: int, scales: np.ndarray, decay: float = 0.01) -> Callable[[Any], Any]:
    """The loss of logistic regression with weight decay, of features of these scales: smooth and strongly convex."""
    x = scales * generator.normal(size=(samples, len(scales)))
    y = (x @ (generator.normal(size=len(scales)) / scales) + generator.normal(size=samples) > 0).astype(float)
    x, y = tg.tensor(x), tg.tensor(y)

    def loss(w: Any) -> Any:
        return nn.functional.binary_cross_entropy_with_logits(x @ w, y) + decay / 2 * (w * w).sum()

    return loss


def spsa(loss: Callable[[Any], Any], start: np.ndarray, updates: int) -> tuple[np.ndarray, ...]:
    """Simultaneous perturbation (Spall 1992), a method of order 0: two values an update. The iterates, and its evaluations."""
    w, path = tg.tensor(start, requires_grad=True), [start.copy()]
    optimizer = optim.SGD([w], lr=lambda k: 0.5 / (k + 1 + 0.1 * updates) ** 0.602)
    for k in range(updates):
        simultaneous_perturbation(lambda: loss(w), [w], 0.1 / (k + 1) ** 0.101)
        optimizer.step()
        path.append(w.detach().numpy().copy())
    return np.array(path), 2 * np.arange(updates + 1)


@experiment(
    58,
    title="Methods of order 0, 1 and 2",
    claim="Order 0 uses values, order 1 gradients, order 2 Hessians. Gradient descent is asymptotically slower than Newton's method.",
    numbers=[
        within("Newton: order of convergence", 1.7, 2.3, "theory: 2, the number of correct digits doubles"),
        within("gradient descent: last factor per update of the loss, over (1 - ηλ_min)²", 0.98, 1.02, "theory: 1, linear convergence"),
        at_least("evaluations to an error of 10⁻⁶, order 0 over gradient descent", 1, "the claim: less information, more evaluations"),
        at_least("evaluations to an error of 10⁻⁶, gradient descent over L-BFGS", 1, "the claim: less information, more evaluations"),
        at_least("evaluations to an error of 10⁻¹⁰, gradient descent over Newton", 1, "a Newton step counted as 1 + 2p gradients"),
    ],
)
def methods_of_order_0_1_and_2(run):
    generator, size = run.generator(), 10
    tg.manual_seed(1000 * run.seed)  # the signs of SPSA
    loss, start = ridge_regression(generator, 200, np.geomspace(1, 5, size)), np.zeros(size)

    def newton(updates: int) -> np.ndarray:
        w = tg.tensor(start, requires_grad=True)
        optimizer, path = optim.Newton([w]), [start]
        for _ in range(updates):
            optimizer.step(lambda: loss(w))
            path.append(w.numpy(force=True).copy())
        return np.array(path)

    def lbfgs(updates: int) -> tuple[np.ndarray, np.ndarray]:
        w = tg.tensor(start, requires_grad=True)
        optimizer = optim.LBFGS([w], max_iter=1, max_eval=30, line_search_fn="strong_wolfe", tolerance_grad=0, tolerance_change=0)
        path, counts, count = [start], [0], 0

        def closure() -> Any:
            nonlocal count
            count += 1
            optimizer.zero_grad()
            value = loss(w)
            value.backward()
            return value

        for _ in range(updates):
            optimizer.step(closure)
            path.append(w.numpy(force=True).copy())
            counts.append(count)
        return np.array(path), np.array(counts)

    steps = newton(12)
    best = steps[-1]
    point = tg.tensor(best, requires_grad=True)
    spectrum = np.linalg.eigvalsh(Hessian(loss(point), [point]).matrix())
    at_start = tg.tensor(start, requires_grad=True)
    steepest = np.linalg.eigvalsh(Hessian(loss(at_start), [at_start]).matrix())[-1]  # logistic losses are steepest at 0
    rate, updates = 1 / steepest, run.choose(1500, 4000)
    paths = {
        "order 0: SPSA": spsa(loss, start, run.choose(2000, 10000)),
        "order 1: gradient descent": (descend(lambda w: optim.SGD(w, rate), loss, start, updates), np.arange(updates + 1)),
        "order 1 with a memory: L-BFGS": lbfgs(30),
        "order 2: Newton": (steps, np.arange(13) * (1 + 2 * size)),
    }
    lowest = loss(tg.tensor(best)).item()

    def excess(path: np.ndarray) -> np.ndarray:
        """The loss above its minimum; near the minimum from the distance, where a difference of losses would be rounding."""
        with tg.no_grad():
            values = np.array([loss(tg.tensor(w)).item() for w in path]) - lowest
        h = Hessian(loss(point), [point]).matrix()
        near = np.einsum("ki,ij,kj->k", path - best, h, path - best) / 2
        return np.where(near < 1e-8, near, values)

    errors = {name: (counts, excess(path)) for name, (path, counts) in paths.items()}

    def evaluations(name: str, bound: float) -> float:
        """How many evaluations it takes; all of them, a lower bound, if the run does not arrive."""
        counts, error = errors[name]
        k = first_below(error, bound)
        return float(counts[-1] if np.isnan(k) else counts[int(k)])

    distance = np.linalg.norm(steps - best, axis=1)
    last = int((distance > 1e-10).sum()) - 1  # the last distance that is not rounding
    order = np.log(distance[last] / distance[last - 1]) / np.log(distance[last - 1] / distance[last - 2])
    run.judge("Newton: order of convergence", order)
    descent = errors["order 1: gradient descent"][1]
    end = int((descent > 1e-20).sum()) - 1
    factor = (descent[end] / descent[end - 50]) ** (1 / 50)
    run.judge("gradient descent: last factor per update of the loss, over (1 - ηλ_min)²", factor / (1 - rate * spectrum[0]) ** 2)
    names = list(errors)
    first_order = evaluations(names[1], 1e-6)
    run.judge("evaluations to an error of 10⁻⁶, order 0 over gradient descent", evaluations(names[0], 1e-6) / first_order)
    run.judge("evaluations to an error of 10⁻⁶, gradient descent over L-BFGS", first_order / evaluations(names[2], 1e-6))
    run.judge("evaluations to an error of 10⁻¹⁰, gradient descent over Newton", evaluations(names[1], 1e-10) / evaluations(names[3], 1e-10))
    run.table(
        ["method", *(f"evaluations to {bound:g}" for bound in (1e-2, 1e-6, 1e-10))],
        [
            [name, *(f"{'' if errors[name][1][-1] < bound else 'above '}{evaluations(name, bound):.0f}" for bound in (1e-2, 1e-6, 1e-10))]
            for name in names
        ],
    )
    caption = "Loss above the minimum of a logistic regression with ten weights; a Newton step counts as 1 + 2p gradients."
    with run.figure(caption, 2, sharey=True) as (left, right):
        for name, (counts, error) in errors.items():
            left.plot(counts, np.maximum(error, 1e-18), ".-" if len(counts) < 50 else "-", label=name)
            right.plot(np.maximum(error, 1e-18), ".-" if len(counts) < 50 else "-", label=name)
        k = np.arange(100, updates)
        style.theory(right, k, descent[500] * (1 - rate * spectrum[0]) ** (2 * (k - 500)), "theory: (1 - ηλ_min)²ᵏ")
        style.name_axes(left, "evaluations of the loss or its gradient", "loss above the minimum", "By evaluations", log="xy")
        style.name_axes(right, "updates", "", "By updates", log="xy")
        left.set(ylim=(1e-18, 2), xlim=(1, None))
        right.set(xlim=(1, None))
        right.legend(loc="lower right")


def gradient_and_product(width: int, generator: np.random.Generator) -> tuple[Any, list[Any], list[Any]]:
    """A network with one hidden layer on 30 samples: the function that computes its loss, its weights, and a direction."""
    model = nn.Sequential(nn.Linear(20, width), nn.Tanh(), nn.Linear(width, 20)).double()
    x, y = (tg.tensor(generator.normal(size=(30, 20))) for _ in range(2))
    weights = list(model.parameters())
    direction = [tg.tensor(generator.normal(size=w.shape)) for w in weights]
    return (lambda: nn.functional.mse_loss(model(x), y)), weights, direction


@experiment(
    78, "N7",
    title="The benefit of second order in O(p)",
    claim="The Hessian has p × p numbers, but its product with a vector costs O(p): about two gradients, and memory for a few vectors.",
    numbers=[
        within("slope of a product's multiply-adds over p", 0.99, 1.01, "theory: 1, at a fixed number of samples"),
        at_most("multiply-adds of a product over those of a gradient", 2, "theory: at most two gradients (Pearlmutter 1994)"),
        within("slope of a product's memory over p", 0.9, 1.1, "theory: 1; 10 % for what does not grow with p"),
        at_most("a product against the whole matrix (relative)", 1e-12, "equal up to rounding"),
    ],
)  # fmt: skip
def second_order_in_order_p(run):
    (seed,) = run.seeds(1, 1)
    widths = run.choose([32, 256, 2048], [64, 128, 256, 512, 1024, 2048, 4096, 8192])
    rows = []
    for width in widths:
        loss, weights, direction = gradient_and_product(width, run.generator(seed))
        with study.record() as tape:
            value = loss()
            gradients = tg.autograd.grad(value, weights, create_graph=True)
            before = len(tape)
            tg.autograd.grad(gradients, weights, direction, create_graph=True)
        work = multiply_adds(tape.entries[:before], tape), multiply_adds(tape.entries[before:], tape)
        del tape, value, gradients
        optim.hvp(loss(), weights, direction)  # what is computed once
        tracemalloc.start()
        begun = time.perf_counter()
        optim.hvp(loss(), weights, direction)
        seconds, memory = time.perf_counter() - begun, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows.append([sum(w.numel() for w in weights), *work, memory, seconds])
    p, gradient, product, memory, seconds = np.array(rows).T
    run.judge("slope of a product's multiply-adds over p", tools.slope(p, product))
    run.judge("multiply-adds of a product over those of a gradient", (product / gradient).max())
    run.judge("slope of a product's memory over p", tools.slope(p, memory))

    loss, weights, direction = gradient_and_product(4, run.generator(seed))
    matrix = Hessian(loss(), weights).matrix()
    one_by_one = np.concatenate([v.numpy().ravel() for v in optim.hvp(loss(), weights, direction)])
    whole = matrix @ np.concatenate([v.numpy().ravel() for v in direction])
    run.judge("a product against the whole matrix (relative)", np.linalg.norm(one_by_one - whole) / np.linalg.norm(whole))
    caption = "Work, memory and time of a gradient and of a Hessian-vector product, by the number of weights."
    with run.figure(caption, 3) as (left, middle, right):
        left.plot(p, product, "o-", label="Hessian-vector product")
        left.plot(p, gradient, "s-", label="gradient")
        style.theory(left, p, product[-1] * p / p[-1], "theory: proportional to p")
        style.name_axes(left, "weights p", "multiply-adds", "Work (30 samples)", log="xy")
        middle.plot(p, memory / 2**20, "o-", label="Hessian-vector product")
        style.theory(middle, p, memory[-1] / 2**20 * p / p[-1], "theory: proportional to p")
        middle.plot(p, 8 * p**2 / 2**20, color=style.COLOURS[1], label="the whole matrix")
        style.name_axes(middle, "weights p", "memory at most (MiB)", "Memory", log="xy")
        right.plot(p, 1e3 * seconds, "o-", label="Hessian-vector product")
        style.theory(right, p, 1e3 * seconds[-1] * p / p[-1], "theory: proportional to p")
        style.name_axes(right, "weights p", "milliseconds", "Time (not judged)", log="xy")
        for axes in (left, middle, right):
            axes.legend()


@experiment(
    78,
    title="Two uses of Hessian-vector products",
    claim="Products alone give the Hessian's diagonal, up to noise (Hutchinson), and Newton's step, by conjugate gradients.",
    numbers=[
        within("slope of the diagonal's error over the number of products", -0.55, -0.45, "theory: -1/2; ± 0.05 for 40 repetitions"),
        within("the diagonal's error over the theory", 0.9, 1.1, "theory: variance Σ H_ij² over j ≠ i; 10 % for 40 repetitions"),
        at_most("slope of the products for a Newton step over p", 0.1, "theory: 0 at a fixed condition number; Newton's has 1"),
        at_most("conjugate gradients' step against Newton's (relative)", 1e-8, "the tolerance is 1e-10; the condition number below 100"),
    ],
)
def two_uses_of_products(run):
    (seed,) = run.seeds(1, 1)
    generator = run.generator(seed)
    loss, weights, _ = gradient_and_product(2, generator)
    hessian = Hessian(loss(), weights)
    matrix = hessian.matrix()
    samples, repetitions = np.array([1, 4, 16, 64, 256][: run.choose(4, 5)]), 40
    draws = tg.Generator().manual_seed(seed)
    errors = np.array([
        [np.linalg.norm(diagonal(lambda v: matrix @ v, hessian.gradient, m, draws) - np.diag(matrix)) for m in samples]
        for _ in range(repetitions)
    ])  # fmt: skip
    expected = np.sqrt((matrix**2).sum() - (np.diag(matrix) ** 2).sum()) / np.sqrt(samples)
    measured = np.sqrt((errors**2).mean(0))
    run.judge("slope of the diagonal's error over the number of products", tools.slope(samples, measured))
    run.judge("the diagonal's error over the theory", np.exp(np.log(measured / expected).mean()))

    def step(method: Any, regression: Callable[[Any], Any], p: int) -> tuple[np.ndarray, Any]:
        w = tg.zeros(p, dtype=tg.float64, requires_grad=True)
        optimizer = method([w])
        optimizer.step(lambda: regression(w))
        return w.numpy(force=True), optimizer

    sizes, products = run.choose([100, 200, 400], [100, 200, 400, 800, 1600]), []
    for p in sizes:
        regression = ridge_regression(generator, 4 * p, np.ones(p))
        short, optimizer = step(optim.CGNewton, regression, p)
        products.append(optimizer.products)
        if p == sizes[0]:
            whole, _ = step(optim.Newton, regression, p)
            difference = np.linalg.norm(short - whole) / np.linalg.norm(whole)
    run.judge("slope of the products for a Newton step over p", tools.slope(sizes, products))
    run.judge("conjugate gradients' step against Newton's (relative)", difference)
    caption = "Left: the error of the Hessian's diagonal from products with random signs. Right: the products that a Newton step needs."
    with run.figure(caption, 2) as (left, right):
        scale = np.linalg.norm(np.diag(matrix))
        style.band(left, samples, errors / scale, "measured", marker="o", markersize=3)
        style.theory(left, samples, expected / scale, "theory: Σ H_ij² (j ≠ i), over the samples, square root")
        style.name_axes(left, "products", "relative error of the diagonal", f"A network of {len(matrix)} weights", log="xy")
        left.legend()
        right.plot(sizes, products, "o-", label="conjugate gradients")
        right.plot(sizes, sizes, "s-", label="Newton: the whole matrix")
        style.name_axes(right, "weights p", "Hessian-vector products", "A Newton step of a logistic regression", log="xy")
        right.legend()


def with_a_spoiler(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two clusters of 400 points, left and right of x₁ = 0, and one point of the right class on the left: x, y.

    A line separates them, x₁ + 0.33 x₂ > 0, but only just.
    """
    y = np.repeat([0.0, 1.0], 400)
    x = np.stack([(2 * y - 1) * generator.uniform(0.35, 1.2, 800), generator.uniform(-1, 1, 800)], axis=1)
    return np.vstack([x, [-1.0, 3.2]]), np.append(y, 1.0)


def perceptron(x: np.ndarray, y: np.ndarray, most: int = 100_000) -> tuple[np.ndarray, int]:
    """Rosenblatt's rule on rows (x₁, x₂, 1) until none is wrong: the weights, and how many corrections it took."""
    w, corrections = np.zeros(x.shape[1]), 0
    while corrections < most:
        wrong = np.flatnonzero((x @ w > 0) != (y > 0))
        if not len(wrong):
            break
        w += (2 * y[wrong[0]] - 1) * x[wrong[0]]
        corrections += 1
    return w, corrections


@experiment(
    "N7",
    title="The spoiler point",
    claim="Backpropagation with a squashing output and the L2 divergence gets a point wrong that the perceptron gets right.",
    numbers=[
        exactly("seeds in which the perceptron does not separate the classes", 0, "theory: it converges where a line separates"),
        exactly("seeds in which backpropagation gets the spoiler right", 0, "the claim"),
        exactly("other points that backpropagation gets wrong, of all seeds", 0, "the claim: only the spoiler is given up"),
        at_most("φ′ at the spoiler, over its largest value 1/4", 0.1, "the reason: φ′ vanishes far on the wrong side; a tenth is little"),
    ],
)
def the_spoiler_point(run):
    seeds, updates = list(run.seeds(6, 20)), run.choose(600, 2000)
    points, classes = map(np.array, zip(*(with_a_spoiler(run.generator(seed)) for seed in seeds)))
    inputs = np.concatenate([points, np.ones((*classes.shape, 1))], axis=2)  # (seeds, points, 3)
    separated = [perceptron(x, y) for x, y in zip(inputs, classes)]
    run.judge(
        "seeds in which the perceptron does not separate the classes",
        sum(bool(((x @ w > 0) != (y > 0)).any()) for (w, _), x, y in zip(separated, inputs, classes)),
    )
    x, y = tg.tensor(inputs), tg.tensor(classes)
    start = np.stack([0.1 * run.generator(seed).normal(size=3) for seed in seeds])
    outputs = lambda w: (x * w.unsqueeze(1)).sum(-1)
    losses = {
        "sigmoid and L2": lambda w: ((tg.sigmoid(outputs(w)) - y) ** 2).mean(1).sum(),
        "sigmoid and cross-entropy": lambda w: nn.functional.binary_cross_entropy_with_logits(outputs(w), y) * len(seeds),
    }
    ends = {name: descend(lambda w: optim.SGD(w, 1.0), loss, start, updates)[-1] for name, loss in losses.items()}
    wrong = {name: (np.einsum("spi,si->sp", inputs, w) > 0) != (classes > 0) for name, w in ends.items()}
    run.judge("seeds in which backpropagation gets the spoiler right", (~wrong["sigmoid and L2"][:, -1]).sum())
    run.judge("other points that backpropagation gets wrong, of all seeds", wrong["sigmoid and L2"][:, :-1].sum())

    heard = np.einsum("si,si->s", inputs[:, -1], ends["sigmoid and L2"])  # z at the spoiler
    slopes = 1 / np.cosh(heard / 2) ** 2
    run.judge("φ′ at the spoiler, over its largest value 1/4", np.median(slopes), (slopes.min(), slopes.max()))
    pull = 1 / (1 + np.exp(np.einsum("si,si->s", inputs[:, -1], ends["sigmoid and cross-entropy"])))
    run.remark(
        f"The perceptron needs {np.median([count for _, count in separated]):.0f} corrections (median). The cross-entropy does hear the "
        f"spoiler, with a gradient of {np.median(pull):.2f} where 1 is the largest, but it is one point of {len(classes[0])}: after "
        f"{updates} updates it is right in {(~wrong['sigmoid and cross-entropy'][:, -1]).sum()} of {len(seeds)} seeds."
    )
    caption = "Left: the lines of three methods for one seed; the spoiler is the star. Right: what a point contributes to the gradient."
    with run.figure(caption, 2) as (left, right):
        left.scatter(*points[0, :400].T, s=4, color=style.COLOURS[1], label="class 0")
        left.scatter(*points[0, 400:-1].T, s=4, color=style.COLOURS[0], label="class 1")
        left.plot(*points[0, -1], "*", markersize=13, color=style.COLOURS[0], label="spoiler, class 1")
        heights = np.array([-2.0, 10.0])
        lines = {"perceptron": separated[0][0], **{name: w[0] for name, w in ends.items()}}
        for (name, w), colour in zip(lines.items(), style.COLOURS[2:]):
            left.plot(-(w[1] * heights + w[2]) / w[0], heights, color=colour, label=name)
        left.set(xlim=(-2, 3.2), ylim=(-1.5, 4))
        style.name_axes(left, "x₁", "x₂", "A line separates the classes")
        left.legend(loc="upper right")
        z = np.linspace(-8, 8, 200)
        sigmoid = 1 / (1 + np.exp(-z))
        right.plot(z, 2 * (1 - sigmoid) * sigmoid * (1 - sigmoid), label="sigmoid and L2: 2(1 - y) y (1 - y)")
        right.plot(z, 1 - sigmoid, label="sigmoid and cross-entropy: 1 - y")
        right.axvline(float(np.median(heard)), color="black", linestyle=":", label="the spoiler")
        style.name_axes(right, "z of a point of class 1", "|∂ divergence / ∂z|", "A point far on the wrong side is not heard")
        right.set(xlim=(-8, 8))
        right.legend()
