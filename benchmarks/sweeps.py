"""How a step's time grows: with the depth of a network of 16-wide layers, and with width and batch of three layers."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.frameworks import FRAMEWORKS
from benchmarks.programs import WORKLOADS, Model, classes, floats, trained
from benchmarks.turns import Result, measure

DEPTHS = (10, 100, 1_000)
WIDTHS, BATCHES = (256, 512, 1_024, 2_048), (32, 512, 4_096)


def deep(depth: int) -> Callable[[Any, str], Model]:
    def model(lib: Any, device: str) -> Model:
        nn, draw = lib.nn, np.random.default_rng(0)
        layers = [part for _ in range(depth) for part in (nn.Linear(16, 16), nn.Tanh())]
        network = nn.Sequential(*layers, nn.Linear(16, 1)).to(device)
        x, y = floats(lib, draw, device, 32, 16), floats(lib, draw, device, 32, 1)
        return lambda: nn.functional.mse_loss(network(x), y), lib.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    return model


def wide(width: int, batch: int) -> Callable[[Any, str], Model]:
    def model(lib: Any, device: str) -> Model:
        nn, draw = lib.nn, np.random.default_rng(0)
        layers = nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        network = nn.Sequential(*layers).to(device)
        x, y = floats(lib, draw, device, batch, width), classes(lib, draw, device, 10, batch)
        optimizer = lib.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        return lambda: nn.functional.cross_entropy(network(x), y), optimizer

    return model


SWEEPS = {
    "depth": {f"depth-{depth}": deep(depth) for depth in DEPTHS},
    "width": {f"width-{width}-batch-{batch}": wide(width, batch) for width in WIDTHS for batch in BATCHES},
}
PROGRAMS = {**WORKLOADS, **{name: trained(model) for sweep in SWEEPS.values() for name, model in sweep.items()}}


def sweep(name: str, frameworks: list[str], rounds: int, seconds: float, device: str) -> None:
    """Print the median step of each framework at each point, and its ratio to PyTorch's."""
    print(f"{'':22}" + "".join(f"{FRAMEWORKS[framework].words:>20}" for framework in frameworks), flush=True)
    for point in SWEEPS[name]:
        print(f"{point:22}{row(measure(point, frameworks, rounds, seconds, device), frameworks)}", flush=True)
    if "pytorch" in frameworks:
        print("Median steps, and their ratios to PyTorch's.")


def row(results: dict[str, Result], frameworks: list[str]) -> str:
    medians = {framework: statistics.median(result.times) for framework, result in results.items()}
    base = medians.get("pytorch")
    cells = []
    for framework in frameworks:
        if framework not in medians:
            cells.append("-")
        else:
            ratio = f" {medians[framework] / base:5.2f}" if base else ""
            cells.append(f"{medians[framework] * 1e6:.0f} us{ratio}")
    return "".join(f"{cell:>20}" for cell in cells)
