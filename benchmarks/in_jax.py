"""The five models in JAX, with the whole step under `jit`: functions of a dict of parameters, and optimizers by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Step = Callable[[], float]
Update = Callable[[Any, Any, Any], tuple[Any, Any]]


def trained(loss_of: Any, params: Any, state: Any, update: Update) -> Step:
    @jax.jit
    def train(params: Any, state: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(params)
        return loss, *update(params, gradients, state)

    now = [params, state]

    def step() -> float:
        loss, now[0], now[1] = train(*now)
        return float(loss)

    return step


def momentum(params: Any, gradients: Any, velocities: Any) -> tuple[Any, Any]:
    velocities = jax.tree.map(lambda v, g: 0.9 * v + g, velocities, gradients)
    return jax.tree.map(lambda p, v: p - 0.01 * v, params, velocities), velocities


def adam(decay: float = 0.0) -> Update:
    def update(params: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
        means, squares, t = state
        t += 1
        means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
        squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, gradients)

        def move(p: Any, m: Any, v: Any) -> Any:
            return p * (1 - 1e-3 * decay) - 1e-3 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

        return jax.tree.map(move, params, means, squares), (means, squares, t)

    return update


def zeros(params: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, params)


def moments(params: Any) -> tuple[Any, Any, float]:
    return zeros(params), zeros(params), 0.0


class Draws:
    """Random arrays from one seed."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)

    def weights(self, *shape: int, fan: int) -> Any:
        bound = fan**-0.5
        return jnp.asarray(self.draw.uniform(-bound, bound, shape), jnp.float32)

    def linear(self, inputs: int, outputs: int) -> dict[str, Any]:
        return {"w": self.weights(outputs, inputs, fan=inputs), "b": self.weights(outputs, fan=inputs)}

    def floats(self, *shape: int) -> Any:
        return jnp.asarray(self.draw.standard_normal(shape, dtype=np.float32))

    def classes(self, count: int, *shape: int) -> Any:
        return jnp.asarray(self.draw.integers(0, count, shape))


def linear(p: Any, x: Any) -> Any:
    return x @ p["w"].T + p["b"]


def cross_entropy(logits: Any, y: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1))


def tiny() -> Step:
    draws = Draws()
    params = [draws.linear(*sizes) for sizes in itertools.pairwise((2, 16, 16, 1))]
    x, y = draws.floats(32, 2), draws.floats(32, 1)

    def loss(params: Any) -> Any:
        h = x
        for layer in params[:-1]:
            h = jnp.tanh(linear(layer, h))
        return jnp.mean((linear(params[-1], h) - y) ** 2)

    return trained(loss, params, zeros(params), momentum)


def mlp() -> Step:
    draws = Draws()
    params = [draws.linear(*sizes) for sizes in itertools.pairwise((784, 512, 256, 10))]
    x, y = draws.floats(128, 784), draws.classes(10, 128)

    def loss(params: Any) -> Any:
        h = x
        for layer in params[:-1]:
            h = jax.nn.relu(linear(layer, h))
        return cross_entropy(linear(params[-1], h), y)

    return trained(loss, params, zeros(params), momentum)


def cnn() -> Step:
    draws = Draws()
    convs = [{"w": draws.weights(o, i, 3, 3, fan=9 * i), "b": draws.weights(o, fan=9 * i)} for i, o in ((1, 16), (16, 32))]
    params = {"convs": convs, "head": draws.linear(1568, 10)}
    x, y = draws.floats(64, 1, 28, 28), draws.classes(10, 64)

    def loss(params: Any) -> Any:
        h = x
        for p in params["convs"]:
            h = jax.lax.conv_general_dilated(h, p["w"], (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))
            h = jax.nn.relu(h + p["b"][:, None, None])
            h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        return cross_entropy(linear(params["head"], h.reshape(64, -1)), y)

    return trained(loss, params, moments(params), adam())


def lstm() -> Step:
    draws = Draws()
    params = {"input": draws.linear(64, 512), "state": draws.linear(128, 512), "head": draws.linear(128, 64)}
    x, y = draws.floats(32, 32, 64), draws.classes(64, 32 * 32)

    def loss(params: Any) -> Any:
        def tick(carry: Any, gates: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(gates + linear(params["state"], h), 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((32, 128)), jnp.zeros((32, 128))
        _, states = jax.lax.scan(tick, start, linear(params["input"], x.swapaxes(0, 1)))
        return cross_entropy(linear(params["head"], states.swapaxes(0, 1)).reshape(-1, 64), y)

    return trained(loss, params, moments(params), adam())


def gpt() -> Step:
    width, heads, length, batch, vocabulary, depth = 128, 4, 64, 16, 96, 4
    draws = Draws()

    def norm() -> dict[str, Any]:
        return {"w": jnp.ones(width), "b": jnp.zeros(width)}

    def block() -> dict[str, Any]:
        layers = {"qkv": 3 * width, "out": width, "up": 4 * width}
        weights = {name: draws.linear(width, outputs) for name, outputs in layers.items()}
        return {**weights, "down": draws.linear(4 * width, width), "norm1": norm(), "norm2": norm()}

    params = {
        "token": draws.floats(vocabulary, width), "place": draws.floats(length, width),
        "blocks": [block() for _ in range(depth)], "norm": norm(), "head": draws.linear(width, vocabulary),
    }  # fmt: skip
    x, y = draws.classes(vocabulary, batch, length), draws.classes(vocabulary, batch * length)

    def layer_norm(p: Any, x: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5) * p["w"] + p["b"]

    def loss(params: Any) -> Any:
        h = params["token"][x] + params["place"]
        for p in params["blocks"]:
            parts = jnp.split(linear(p["qkv"], layer_norm(p["norm1"], h)), 3, axis=-1)
            q, k, v = (part.reshape(batch, length, heads, -1) for part in parts)
            attended = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            h = h + linear(p["out"], attended.reshape(h.shape))
            h = h + linear(p["down"], jax.nn.gelu(linear(p["up"], layer_norm(p["norm2"], h)), approximate=False))
        return cross_entropy(linear(params["head"], layer_norm(params["norm"], h)).reshape(-1, vocabulary), y)

    return trained(loss, params, moments(params), adam(decay=0.01))


WORKLOADS = {"tiny": tiny, "mlp": mlp, "cnn": cnn, "lstm": lstm, "gpt": gpt}
