"""What several experiments measure alike: slopes with confidence intervals, spreads over seeds, contours of a surface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinygrad_lite as tg


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


def contours(axes: Any, f: Callable[..., Any], x: tuple[float, float], y: tuple[float, float], levels: int | Sequence[float] = 20) -> None:
    """Draw the contours of `f`, which takes a Tensor of two coordinates of any shape: f(tensor of shape (2, ...)) -> (...)."""
    grid = np.meshgrid(np.linspace(*x, 120), np.linspace(*y, 120))
    with tg.no_grad():
        heights = f(tg.tensor(np.stack(grid))).numpy()
    axes.contour(*grid, heights, levels=levels, colors="#999999", linewidths=0.6)
