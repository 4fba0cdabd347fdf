"""tiny and mlp in JAX, with the whole step under `jit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.by_hand import parameters

Step = Callable[[], float]


def trained(sizes: list[int], activation: Any, loss_of: Any, x: Any, y: Any) -> Step:
    state = [list(map(jnp.asarray, part)) for part in parameters(np.random.default_rng(0), sizes)]

    def loss(weights: Any, x: Any, y: Any) -> Any:
        for i in range(0, len(weights), 2):
            x = x @ weights[i].T + weights[i + 1]
            x = activation(x) if i < len(weights) - 2 else x
        return loss_of(x, y)

    @jax.jit
    def update(weights: Any, velocities: Any, x: Any, y: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, x, y)
        velocities = [0.9 * v + g for v, g in zip(velocities, gradients)]
        return value, [w - 0.01 * v for w, v in zip(weights, velocities)], velocities

    x, y = jnp.asarray(x), jnp.asarray(y)

    def step() -> float:
        value, state[0], state[1] = update(state[0], state[1], x, y)
        return float(value)

    return step


def tiny() -> Step:
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((32, 2), dtype=np.float32), draw.standard_normal((32, 1), dtype=np.float32)
    return trained([2, 16, 16, 1], jnp.tanh, lambda out, y: jnp.mean((out - y) ** 2), x, y)


def mlp() -> Step:
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((128, 784), dtype=np.float32), draw.integers(0, 10, 128)

    def cross_entropy(logits: Any, y: Any) -> Any:
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y])

    return trained([784, 512, 256, 10], jax.nn.relu, cross_entropy, x, y)


WORKLOADS = {"tiny": tiny, "mlp": mlp}
