"""What is measured of a layer in one step: its outputs, its parameters' gradients, and the update that they got."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_lite.arrays import device_of, namespace_of, on_device, to_numpy
from tinygrad_lite.optim.diagnosis import SATURATED

# Where an activation's derivative is below SATURATED, from its output.
_TANH, _SIGMOID = (1 - SATURATED) ** 0.5, (0.25 - SATURATED) ** 0.5
FLAT = {"relu": lambda y: y == 0, "tanh": lambda y: abs(y) > _TANH, "sigmoid": lambda y: abs(y - 0.5) > _SIGMOID}


@dataclass
class SeenLayer:
    """One layer in one step; None where there is nothing to measure.

    Of its outputs, over all calls in the step: `mean`, `std`, and the shares `zero` and `saturated` (elements whose
    derivative is below 0.01: outputs of relu at 0, of tanh and sigmoid near their limits), `silent` (units saturated for
    every sample of the step) and `dead` (units saturated for every sample of all watched steps so far).

    Lengths (Euclidean norms) over all of its own parameters: `gradient`, which the optimizer was given, `weight`, before the
    update, `update`, the difference that the step made, and `ratio`, update / weight.

    Elements that are NaN or infinite: `bad_outputs`, `bad_gradients`, `bad_weights`.
    """

    kind: str
    mean: float | None = None
    std: float | None = None
    zero: float | None = None
    saturated: float | None = None
    silent: float | None = None
    dead: float | None = None
    gradient: float | None = None
    weight: float | None = None
    update: float | None = None
    ratio: float | None = None
    bad_outputs: int = 0
    bad_gradients: int = 0
    bad_weights: int = 0


@dataclass
class SeenStep:
    """One step. `step`: updates that the optimizer had made before. `loss`: the number from which the last backward started,
    `rates`: the learning rate of each parameter group, `layers`: by name, in the order in which they ran."""

    step: int
    loss: float | None = None
    rates: tuple[float, ...] = ()
    layers: dict[str, SeenLayer] = field(default_factory=dict)


class Outputs:
    """The outputs of one layer, pooled over its calls in one step."""

    def __init__(self, activation: str | None = None):
        self.activation = activation
        self.count = self.finite = self.zeros = self.flat = 0
        self.sum = self.squares = 0.0
        self.silent: Any = None  # for each unit, whether it was flat for every sample

    def add(self, y: Any, unit: int) -> None:
        """Add the output of a call. `unit`: the dim of its units, the others being samples."""
        with on_device(device_of(y)):
            self._add(y, unit)

    def _add(self, y: Any, unit: int) -> None:
        if y.dtype.itemsize < 4:
            y = y.astype("float32")
        xp = namespace_of(y)
        self.count += y.size
        zero = y == 0  # counting True takes 2 us where counting numbers that are not 0 takes 60
        self.zeros += int(xp.count_nonzero(zero))
        if self.activation:
            flat = zero if self.activation == "relu" else FLAT[self.activation](y)
            self.flat += int(xp.count_nonzero(flat))
            samples = tuple(i for i in range(y.ndim) if i != unit % y.ndim)
            silent = to_numpy(flat.all(axis=samples) if samples else flat)
            same = self.silent is not None and self.silent.shape == silent.shape
            self.silent = self.silent & silent if same else silent
        mean, square = moments(y)
        if not (math.isfinite(mean) and math.isfinite(square)):
            y = y[xp.isfinite(y)].astype("float64")
            mean, square = moments(y) if y.size else (0.0, 0.0)
        self.finite += y.size
        self.sum += mean * y.size
        self.squares += (square + mean * mean) * y.size

    def write(self, seen: SeenLayer, alive: Any) -> Any:
        """Write the statistics into `seen`. `alive`: for each unit, whether it has ever not been flat; returns it with this
        step added."""
        if self.finite:
            seen.mean = self.sum / self.finite
            seen.std = max(self.squares / self.finite - seen.mean * seen.mean, 0.0) ** 0.5
        seen.zero = self.zeros / self.count
        seen.bad_outputs = self.count - self.finite
        if self.silent is None:
            return alive
        alive = ~self.silent if alive is None or alive.shape != self.silent.shape else alive | ~self.silent
        seen.saturated = self.flat / self.count
        seen.silent, seen.dead = float(self.silent.mean()), float((~alive).mean())
        return alive


def moments(x: Any) -> tuple[float, float]:
    """The mean of an array, and its variance."""
    flat, mean = x.reshape(-1), float(x.mean())
    variance = float(flat.dot(flat)) / x.size - mean * mean
    if not variance > 0.01 * mean * mean:  # the two squares cancel; elsewhere four digits are left of float32's seven
        flat = flat - flat.dtype.type(mean)
        variance = float(flat.dot(flat)) / x.size
    return mean, variance


class Lengths:
    """The lengths of parameters, of their gradients and of their changes in a step. `before`: by id, copies of them made before
    the step, which are overwritten."""

    def __init__(self, before: dict[int, Any]):
        self.before = before
        self.known: dict[int, Any] = {}  # by id: parameters that several layers share are measured once

    def write(self, seen: SeenLayer, parameters: Iterable[Any]) -> None:
        """Write those of a layer into `seen`."""
        found = [self.known.get(id(p)) or self._measure(p) for p in parameters]
        weights, gradients, updates = ([part for part in parts if part is not None] for parts in zip(*found))
        seen.weight, seen.bad_weights = _length(weights)
        if gradients:
            seen.gradient, seen.bad_gradients = _length(gradients)
        if updates:
            seen.update, _ = _length(updates)
            seen.ratio = seen.update / seen.weight if seen.weight else None

    def _measure(self, p: Any) -> Any:
        was, grad, update = self.before.get(id(p)), p.grad, None
        with on_device(device_of(p.array)):
            weight = _square(p.array if was is None else was)
            if was is not None:
                was -= p.array
                update = _square(was)
            self.known[id(p)] = weight, None if grad is None else _square(grad.array), update
        return self.known[id(p)]


def _square(x: Any) -> tuple[float, int]:
    """The sum of the squares of the finite elements, and the number of the others."""
    flat = x.reshape(-1)
    total = float(flat.dot(flat)) if x.dtype.itemsize >= 4 else math.inf
    if math.isfinite(total):
        return total, 0
    flat = flat.astype("float64")  # the squares of float16, or of large numbers, overflow
    flat = flat[namespace_of(x).isfinite(flat)]
    return float(flat.dot(flat)), x.size - flat.size


def _length(parts: Sequence[tuple[float, int]]) -> tuple[float, int]:
    return sum(square for square, _ in parts) ** 0.5, sum(bad for _, bad in parts)
