"""Test surfaces with known minima, and races of optimizers over them.

    print(race(beale, {"momentum": lambda p: SGD(p, 1e-3, 0.9), "Adam": lambda p: Adam(p, 0.05)}))
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lite.arrays import errstate, to_numpy
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.ops import cos, exp, tensor
from tinygrad_lite.optim.curvature import Hessian
from tinygrad_lite.optim.methods.newton import Newton


@dataclass(frozen=True)
class Surface:
    """A function of two coordinates: `surface(w)` for a tensor w of shape (..., 2).

    `minima`: the minimizers, all of value `lowest` (none: unbounded below). `start`: where races start. `box`: ((left,
    right), (bottom, top)) for pictures.

    >>> import tinygrad_lite as tg
    >>> surface = tg.optim.surfaces.quadratic(10.0)
    >>> surface.minima, surface(tg.zeros(5, 2)).shape
    (((0.0, 0.0),), (5,))
    """

    name: str
    function: Callable[[Any, Any], Any] = field(repr=False)
    start: tuple[float, float]
    minima: tuple[tuple[float, float], ...] = ()
    lowest: float = 0.0
    box: tuple[tuple[float, float], tuple[float, float]] = ((-4.5, 4.5), (-4.5, 4.5))

    def __call__(self, w: Any) -> Any:
        return self.function(w[..., 0], w[..., 1])

    def curvature(self, point: tuple[float, float]) -> tuple[float, float]:
        """The two eigenvalues of the Hessian at a point, in increasing order."""
        w = tensor(np.array(point, np.float64), requires_grad=True)
        smaller, larger = np.linalg.eigvalsh(to_numpy(Hessian(self(w), [w]).matrix()))
        return float(smaller), float(larger)

    def distance(self, point: Any) -> float:
        """The distance to the nearest minimum."""
        return min((math.dist(point, m) for m in self.minima), default=math.inf)


def quadratic(condition: float = 10.0, angle: float = 0.0) -> Surface:
    """(u^2 + condition v^2) / 2, with eigenvalues 1 and `condition`; (u, v) are the coordinates rotated by `angle` radians.

    >>> import tinygrad_lite as tg
    >>> quadratic(condition=10.0)(tg.tensor([2.0, 1.0]))  # (2^2 + 10) / 2
    tensor(7.)
    """
    c, s = math.cos(angle), math.sin(angle)
    return Surface(
        f"quadratic, condition {condition:g}",
        lambda x, y: ((c * x + s * y) ** 2 + condition * (c * y - s * x) ** 2) / 2,
        start=(4.0, 1.0),
        minima=((0.0, 0.0),),
    )


def valley(length: float = 1000.0) -> Surface:
    """A long valley, `length` times as steep across as along.

    >>> import tinygrad_lite as tg
    >>> surface = valley(100.0)
    >>> surface(tg.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor([0.0050, 0.5000])
    """
    return Surface("long valley", lambda x, y: (x**2 / length + y**2) / 2, start=(-4.0, 2.0), minima=((0.0, 0.0),))


rosenbrock = Surface(
    "Rosenbrock",
    lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    start=(-1.5, 2.0),
    minima=((1.0, 1.0),),
    box=((-2.0, 2.0), (-1.0, 3.0)),
)
beale = Surface(
    "Beale",
    lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    start=(1.0, 1.5),
    minima=((3.0, 0.5),),
)
saddle = Surface(  # unbounded below along y; starts beside the ridge
    "saddle", lambda x, y: x**2 - y**2, start=(2.0, 1e-3), lowest=-math.inf
)
bounded_saddle = Surface(
    "saddle between two minima",
    lambda x, y: x**2 / 2 + (y**2 - 1) ** 2 / 4,
    start=(2.0, 1e-3),
    minima=((0.0, 1.0), (0.0, -1.0)),
    box=((-3.0, 3.0), (-2.0, 2.0)),
)
plateau = Surface(
    "plateau",
    lambda x, y: 1 - exp(-(x**2 + y**2) / 2),
    start=(3.5, 1.0),
    minima=((0.0, 0.0),),
)
egg_box = Surface(
    "many equal optima",
    lambda x, y: 2 - cos(math.pi * x) - cos(math.pi * y),
    start=(0.6, 3.3),
    minima=tuple((float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2)),
)

GALLERY = (quadratic(), valley(), rosenbrock, beale, saddle, bounded_saddle, plateau, egg_box)


@dataclass
class Run:
    """One optimizer's run: points (steps + 1, 2), the loss at each, the number of evaluations, and seconds."""

    path: np.ndarray
    losses: np.ndarray
    evaluations: int
    seconds: float


class Race:
    """The runs of several optimizers on one surface; printing it shows a table."""

    def __init__(self, surface: Surface, runs: dict[str, Run]):
        self.surface = surface
        self.runs = runs

    def __str__(self) -> str:
        width = max(map(len, [*self.runs, "optimizer"]))
        lines = [
            f"{self.surface.name}, from {self.surface.start}",
            f"{'optimizer':<{width}}{'last loss':>12}{'to minimum':>12}{'path':>12}{'evaluations':>13}",
        ]
        for name, run in self.runs.items():
            with np.errstate(over="ignore"):
                length = float(np.linalg.norm(np.diff(run.path, axis=0), axis=1).sum())
            distance = self.surface.distance(run.path[-1])
            lines.append(f"{name:<{width}}{run.losses[-1]:>12.3g}{distance:>12.3g}{length:>12.3g}{run.evaluations:>13}")
        return "\n".join(lines)

    def plot(self, axes: Any = None) -> Any:
        """Plot the paths over the surface's contours, and the losses, with matplotlib; returns the figure."""
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained") if axes is None else (axes[0].figure, axes)
        paths, curves = axes
        (left, right), (bottom, top) = self.surface.box
        x, y = np.meshgrid(np.linspace(left, right, 200), np.linspace(bottom, top, 200))
        z = self.surface(traced(np.stack([x, y], -1))).array
        levels = np.log(z - z.min() + 1e-3 * np.ptp(z))
        paths.contourf(x, y, levels, levels=30, cmap="Greys")
        paths.plot(*np.array(self.surface.minima).reshape(-1, 2).T, "k*", markersize=9)
        bounded = bool(self.surface.minima)
        lowest = self.surface.lowest if bounded else 0.0
        for name, run in self.runs.items():
            paths.plot(*run.path.T, ".-", markersize=3, linewidth=1, label=name)
            curves.plot(run.losses - lowest, label=name)
        paths.set(xlim=(left, right), ylim=(bottom, top), title=self.surface.name)
        curves.set(xlabel="steps", ylabel="loss above the minimum" if bounded else "loss")
        if bounded:  # diverging runs should not set the scale
            curves.set(yscale="log", ylim=(None, 10 * (z.max() - lowest)))
        else:
            curves.set(ylim=(z.min(), z.max()))
        curves.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        return figure


def race(
    surface: Surface,
    optimizers: Mapping[str, Callable[[list[Any]], Any]],
    steps: int = 100,
    start: tuple[float, float] | None = None,
) -> Race:
    """Run optimizers on a surface from one starting point. `optimizers` maps names to functions from a list of parameters
    to an optimizer. A run that diverges stops at the first value that is not finite.

    >>> result = race(quadratic(4.0), {"Newton": lambda w: Newton(w)}, steps=1)
    >>> result.runs["Newton"].losses
    array([10.,  0.])
    """
    runs = {}
    for name, make in optimizers.items():
        w = tensor(np.array(surface.start if start is None else start, np.float64), requires_grad=True)
        optimizer = make([w])
        evaluations = 0

        def closure(optimizer: Any = optimizer, w: Any = w) -> Any:
            nonlocal evaluations
            evaluations += 1
            optimizer.zero_grad()
            loss = surface(w)
            if not isinstance(optimizer, Newton):  # Newton computes its own gradients
                loss.backward()
            return loss

        path, losses = [to_numpy(w.detach().clone().array)], [surface(w.detach()).item()]
        begun = time.perf_counter()
        token = None
        try:
            token = errstate.enter()
            for _ in range(steps):
                optimizer.step(closure)
                path.append(to_numpy(w.detach().clone().array))
                if not np.isfinite(path[-1]).all():
                    path.pop()
                    break
                losses.append(surface(w.detach()).item())
        finally:
            errstate.leave(token) if token is not None else errstate.lost()
        runs[name] = Run(np.array(path), np.array(losses), evaluations, time.perf_counter() - begun)
    return Race(surface, runs)
