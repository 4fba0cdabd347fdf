"""The five models in MLX, with the whole step under `mx.compile`. MLX runs on the CPU here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx import optimizers as optim

Step = Callable[[], float]


def trained(model: Any, loss_of: Any, optimizer: Any) -> Step:
    loss_and_gradients = nn.value_and_grad(model, loss_of)
    state = [model.state, optimizer.state]

    def train() -> Any:
        loss, gradients = loss_and_gradients()
        optimizer.update(model, gradients)
        return loss

    compiled = mx.compile(train, inputs=state, outputs=state)

    def step() -> float:
        loss = compiled()
        mx.eval(loss, state)
        return loss.item()

    return step


def floats(draw: Any, *shape: int) -> Any:
    return mx.array(draw.standard_normal(shape, dtype=np.float32))


def classes(draw: Any, count: int, *shape: int) -> Any:
    return mx.array(draw.integers(0, count, shape).astype(np.int32))


def cross_entropy(logits: Any, y: Any) -> Any:
    return nn.losses.cross_entropy(logits, y, reduction="mean")


def tiny() -> Step:
    draw = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    x, y = floats(draw, 32, 2), floats(draw, 32, 1)
    return trained(model, lambda: nn.losses.mse_loss(model(x), y), optim.SGD(0.01, momentum=0.9))


def mlp() -> Step:
    draw = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    x, y = floats(draw, 128, 784), classes(draw, 10, 128)
    return trained(model, lambda: cross_entropy(model(x), y), optim.SGD(0.01, momentum=0.9))


def cnn() -> Step:
    draw = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2),
        lambda x: x.reshape(len(x), -1), nn.Linear(1568, 10),
    )  # fmt: skip
    x, y = floats(draw, 64, 28, 28, 1), classes(draw, 10, 64)  # MLX puts channels last
    return trained(model, lambda: cross_entropy(model(x), y), optim.Adam(1e-3))


def lstm() -> Step:
    draw = np.random.default_rng(0)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(64, 128), nn.Linear(128, 64)

        def __call__(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0])

    model = Model()
    x, y = floats(draw, 32, 32, 64), classes(draw, 64, 32 * 32)
    return trained(model, lambda: cross_entropy(model(x).reshape(-1, 64), y), optim.Adam(1e-3))


def gpt() -> Step:
    draw = np.random.default_rng(0)
    width, heads, length, batch, vocabulary, depth = 128, 4, 64, 16, 96, 4

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def __call__(self, x: Any) -> Any:
            parts = mx.split(self.qkv(self.norm1(x)), 3, axis=-1)
            q, k, v = (part.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3) for part in parts)
            attended = mx.fast.scaled_dot_product_attention(q, k, v, scale=(width // heads) ** -0.5, mask="causal")
            x = x + self.out(attended.transpose(0, 2, 1, 3).reshape(x.shape))
            return x + self.down(nn.gelu(self.up(self.norm2(x))))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(depth)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

        def __call__(self, tokens: Any) -> Any:
            return self.head(self.norm(self.blocks(self.token(tokens) + self.place(mx.arange(tokens.shape[1])))))

    model = Model()
    x, y = classes(draw, vocabulary, batch, length), classes(draw, vocabulary, batch * length)
    return trained(model, lambda: cross_entropy(model(x).reshape(-1, vocabulary), y), optim.AdamW(1e-3))


WORKLOADS = {"tiny": tiny, "mlp": mlp, "cnn": cnn, "lstm": lstm, "gpt": gpt}
