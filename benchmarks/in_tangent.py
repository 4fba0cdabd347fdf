"""Losses in NumPy whose gradients tangent-ad generates as source, before the first step; optimizers by hand.

tangent-ad 0.4.0 has no convolution of NumPy's arrays, and its gradients of a batch of matrices times a matrix are wrong:
cnn and gpt are left out. Importing it imports JAX, PyTorch and tinygrad too, where they are installed. The losses have
no annotations because its generated code does not know their names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tangent

from benchmarks import by_hand

Step = Callable[[], float]


def tiny_loss(w1, b1, w2, b2, w3, b3, x, y):
    h1 = np.tanh(x @ np.transpose(w1) + b1)
    h2 = np.tanh(h1 @ np.transpose(w2) + b2)
    difference = h2 @ np.transpose(w3) + b3 - y
    return np.mean(difference * difference)


def mlp_loss(w1, b1, w2, b2, w3, b3, x, onehot):
    h1 = np.maximum(x @ np.transpose(w1) + b1, 0.0)
    h2 = np.maximum(h1 @ np.transpose(w2) + b2, 0.0)
    logits = h2 @ np.transpose(w3) + b3
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_total = np.log(np.sum(np.exp(shifted), axis=1))
    return np.mean(log_total - np.sum(shifted * onehot, axis=1))


def lstm_loss(w_input, w_state, bias, w_head, b_head, x, onehot, zeros):
    h = zeros
    c = zeros
    loss = 0.0
    for t in range(32):
        gates = x[t] @ w_input + h @ w_state + bias
        i = 1.0 / (1.0 + np.exp(-gates[:, 0:128]))
        f = 1.0 / (1.0 + np.exp(-gates[:, 128:256]))
        g = np.tanh(gates[:, 256:384])
        o = 1.0 / (1.0 + np.exp(-gates[:, 384:512]))
        c = f * c + i * g
        h = o * np.tanh(c)
        logits = h @ w_head + b_head
        shifted = logits - np.max(logits, axis=1, keepdims=True)
        log_total = np.log(np.sum(np.exp(shifted), axis=1))
        loss = loss + np.mean(log_total - np.sum(shifted * onehot[t], axis=1))
    return loss / 32.0


def trained(loss_of: Any, weights: list[Any], *data: Any, update: Any) -> Step:
    gradients_of = tangent.grad(loss_of, wrt=tuple(range(len(weights))), preserve_result=True)

    def step() -> float:
        *gradients, loss = gradients_of(*weights, *data)
        update(weights, gradients)
        return float(loss)

    return step


def momentum(velocities: list[Any]) -> Any:
    return lambda weights, gradients: by_hand.update(weights, velocities, gradients)


def adam(weights: list[Any]) -> Any:
    means, squares = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    steps = itertools.count(1)

    def update(weights: list[Any], gradients: list[Any]) -> None:
        t = next(steps)
        for w, g, m, v in zip(weights, gradients, means, squares):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            w -= 1e-3 / (1 - 0.9**t) * m / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)

    return update


def tiny() -> Step:
    draw = np.random.default_rng(0)
    weights, velocities = by_hand.parameters(draw, [2, 16, 16, 1])
    x, y = draw.standard_normal((32, 2), dtype=np.float32), draw.standard_normal((32, 1), dtype=np.float32)
    return trained(tiny_loss, weights, x, y, update=momentum(velocities))


def mlp() -> Step:
    draw = np.random.default_rng(0)
    weights, velocities = by_hand.parameters(draw, [784, 512, 256, 10])
    x, onehot = draw.standard_normal((128, 784), dtype=np.float32), np.eye(10, dtype=np.float32)[draw.integers(0, 10, 128)]
    return trained(mlp_loss, weights, x, onehot, update=momentum(velocities))


def lstm() -> Step:
    draw = np.random.default_rng(0)
    shapes = (64, 512), (128, 512), (512,), (128, 64), (64,)
    weights = [draw.uniform(-(128**-0.5), 128**-0.5, shape).astype(np.float32) for shape in shapes]
    x, zeros = draw.standard_normal((32, 32, 64), dtype=np.float32), np.zeros((32, 128), np.float32)
    onehot = np.eye(64, dtype=np.float32)[draw.integers(0, 64, (32, 32))]
    return trained(lstm_loss, weights, x, onehot, zeros, update=adam(weights))


WORKLOADS = {"tiny": tiny, "mlp": mlp, "lstm": lstm}
