"""What several experiments do alike: slopes with confidence intervals, runs of an optimizer and their paths, contours of a surface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite.optim.surfaces import quadratic

Loss = Callable[[Any], Any]


class Estimate(NamedTuple):
    """A mean over seeds and its 95 % confidence interval."""

    value: float
    interval: tuple[float, float]


def mean_of(samples: Any) -> Estimate:
    """The mean of one value a seed, with the interval of a normal mean (1.96 standard errors)."""
    samples = np.asarray(samples, dtype=float)
    half = 1.96 * samples.std(ddof=1) / np.sqrt(len(samples)) if len(samples) > 1 else 0.0
    return Estimate(float(samples.mean()), (float(samples.mean() - half), float(samples.mean() + half)))


def slope(x: Any, y: Any) -> float:
    """The slope of a least-squares line through log y over log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def slope_over_seeds(x: Any, runs: Any, resamples: int = 400) -> Estimate:
    """The slope of the mean over seeds, log-log, with the interval of a bootstrap over the seeds.

    `runs` has the shape (seeds, len(x)). The mean is taken before the logarithm, since the claims are about expectations.
    """
    runs = np.asarray(runs, dtype=float)
    pick = np.random.default_rng(0).integers(len(runs), size=(resamples, len(runs)))
    slopes = [slope(x, runs[chosen].mean(0)) for chosen in pick]
    low, high = np.quantile(slopes, [0.025, 0.975])
    return Estimate(slope(x, runs.mean(0)), (float(low), float(high)))


def log_spaced(first: int, last: int, count: int) -> np.ndarray:
    """Whole numbers from `first` to `last`, evenly spaced in their logarithm."""
    return np.unique(np.geomspace(first, last, count).round().astype(int))


def descend(make: Callable[[list[Any]], Any], loss: Loss, start: Any, updates: int) -> np.ndarray:
    """The iterates (updates + 1, *shape of start) of the optimizer `make([w])` on loss(w)."""
    w = tg.tensor(np.array(start, np.float64), requires_grad=True)
    optimizer = make([w])
    path = [w.numpy(force=True).copy()]

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(w)
        value.backward()
        return value

    for _ in range(updates):
        optimizer.step(closure)
        path.append(w.numpy(force=True).copy())
    return np.array(path)


def follow(update: Callable[[], Any], measure: Callable[[], np.ndarray], at: Sequence[int]) -> np.ndarray:
    """Make max(at) updates; what `measure` gives after those in `at`: (seeds, len(at))."""
    marks, rows = set(map(int, at)), []
    for k in range(1, max(marks) + 1):
        update()
        if k in marks:
            rows.append(measure())
    return np.array(rows).T


def first_below(errors: np.ndarray, bound: float) -> np.ndarray:
    """For errors (updates + 1, ...): the first update after which all errors stay below `bound`, nan if there is none."""
    late = len(errors) - np.argmax(~(errors < bound)[::-1], axis=0)
    late = np.where((errors < bound).all(axis=0), 0, late)
    return np.where(errors[-1] < bound, late, np.nan)


def parabolas(curvatures: Any) -> Loss:
    """Independent parabolas, one for each entry of the last dim: the sum of curvature / 2 * w^2."""
    h = tg.tensor(np.asarray(curvatures, np.float64))
    return lambda w: (h * w * w).sum() / 2


def multiply_adds(entries: Sequence[Any], tape: Any) -> int:
    """The multiply-adds of the matrix products among the entries of a recorded tape."""

    def inner(entry: Any) -> int:
        """The length of the sums that the product consists of."""
        if entry.operation == "linear":
            return tape[entry.arguments["weight"].number].shape[-1]
        left = getattr(entry.arguments["input"], "number", None)  # None: a constant, which is not on the tape
        return tape[left].shape[-1] if left is not None else tape[entry.arguments["other"].number].shape[-2]

    return sum(prod(entry.shape) * inner(entry) for entry in entries if entry.operation in ("linear", "matmul"))


def contours(axes: Any, f: Callable[..., Any], x: tuple[float, float], y: tuple[float, float], levels: int | Sequence[float] = 20) -> None:
    """Draw the contours of `f`, which takes a Tensor of two coordinates of any shape: f(tensor of shape (2, ...)) -> (...)."""
    grid = np.meshgrid(np.linspace(*x, 120), np.linspace(*y, 120))
    with tg.no_grad():
        heights = f(tg.tensor(np.stack(grid))).numpy()
    axes.contour(*grid, heights, levels=levels, colors="#999999", linewidths=0.6)


def draw_bowl(axes: Any, condition: float, box: float = 4.5) -> None:
    """The contours of a bowl with curvatures 1 and `condition`, and its minimum."""
    surface = quadratic(condition)
    levels = np.geomspace(0.05, 200, 12)
    contours(axes, lambda w: surface(tg.movedim(w, 0, -1)), (-box, box), (-box / 2, box / 2), levels)
    axes.plot(0, 0, "k*", markersize=8)
