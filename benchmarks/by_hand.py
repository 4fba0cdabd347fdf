"""tiny and mlp in NumPy, with backpropagation written by hand, as a user would without a library."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

Step = Callable[[], float]


def parameters(draw: np.random.Generator, sizes: list[int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    weights = []
    for inputs, outputs in itertools.pairwise(sizes):
        bound = 1 / np.sqrt(inputs)
        weights.append(draw.uniform(-bound, bound, (outputs, inputs)).astype(np.float32))
        weights.append(draw.uniform(-bound, bound, outputs).astype(np.float32))
    return weights, [np.zeros_like(w) for w in weights]


def update(weights: list[np.ndarray], velocities: list[np.ndarray], gradients: tuple[np.ndarray, ...]) -> None:
    for w, v, g in zip(weights, velocities, gradients):
        v *= 0.9
        v += g
        w -= 0.01 * v


def tiny() -> Step:
    draw = np.random.default_rng(0)
    weights, velocities = parameters(draw, [2, 16, 16, 1])
    x, y = draw.standard_normal((32, 2), dtype=np.float32), draw.standard_normal((32, 1), dtype=np.float32)

    def step() -> float:
        w1, b1, w2, b2, w3, b3 = weights
        h1 = np.tanh(x @ w1.T + b1)
        h2 = np.tanh(h1 @ w2.T + b2)
        difference = h2 @ w3.T + b3 - y
        loss = (difference * difference).mean()
        g3 = difference * np.float32(2 / y.size)
        g2 = g3 @ w3 * (1 - h2 * h2)
        g1 = g2 @ w2 * (1 - h1 * h1)
        update(weights, velocities, (g1.T @ x, g1.sum(0), g2.T @ h1, g2.sum(0), g3.T @ h2, g3.sum(0)))
        return float(loss)

    return step


def mlp() -> Step:
    draw = np.random.default_rng(0)
    weights, velocities = parameters(draw, [784, 512, 256, 10])
    x, y = draw.standard_normal((128, 784), dtype=np.float32), draw.integers(0, 10, 128)
    rows = np.arange(128)

    def step() -> float:
        w1, b1, w2, b2, w3, b3 = weights
        h1 = np.maximum(x @ w1.T + b1, 0)
        h2 = np.maximum(h1 @ w2.T + b2, 0)
        logits = h2 @ w3.T + b3
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        total = p.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - logits[rows, y]).mean()
        p /= total
        p[rows, y] -= 1
        g3 = p / np.float32(128)
        g2 = g3 @ w3 * (h2 > 0)
        g1 = g2 @ w2 * (h1 > 0)
        update(weights, velocities, (g1.T @ x, g1.sum(0), g2.T @ h1, g2.sum(0), g3.T @ h2, g3.sum(0)))
        return float(loss)

    return step


WORKLOADS = {"tiny": tiny, "mlp": mlp}
