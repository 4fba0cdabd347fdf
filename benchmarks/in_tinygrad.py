"""Models in tinygrad, with the whole step under `TinyJit`, on the CPU, for which tinygrad needs clang.

lstm is left out: tinygrad 0.14 has no loop over time, and compiling 32 unrolled steps did not end within 7 minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tinygrad import Context, Tensor, TinyJit, nn

Step = Callable[[], float]


def trained(loss_of: Any, optimizer: Any) -> Step:
    @TinyJit
    def train() -> Any:
        with Context(TRAINING=1):
            optimizer.zero_grad()
            loss = loss_of().backward()
            return loss.realize(*optimizer.schedule_step())

    return lambda: train().item()


def floats(draw: Any, *shape: int) -> Any:
    return Tensor(draw.standard_normal(shape, dtype=np.float32)).realize()


def classes(draw: Any, count: int, *shape: int) -> Any:
    return Tensor(draw.integers(0, count, shape).astype(np.int32)).realize()


def tiny() -> Step:
    draw = np.random.default_rng(0)
    layers = [nn.Linear(2, 16), Tensor.tanh, nn.Linear(16, 16), Tensor.tanh, nn.Linear(16, 1)]
    x, y = floats(draw, 32, 2), floats(draw, 32, 1)
    optimizer = nn.optim.SGD(nn.state.get_parameters(layers), lr=0.01, momentum=0.9)
    return trained(lambda: (x.sequential(layers) - y).square().mean(), optimizer)


def mlp() -> Step:
    draw = np.random.default_rng(0)
    layers = [nn.Linear(784, 512), Tensor.relu, nn.Linear(512, 256), Tensor.relu, nn.Linear(256, 10)]
    x, y = floats(draw, 128, 784), classes(draw, 10, 128)
    optimizer = nn.optim.SGD(nn.state.get_parameters(layers), lr=0.01, momentum=0.9)
    return trained(lambda: x.sequential(layers).sparse_categorical_crossentropy(y), optimizer)


def cnn() -> Step:
    draw = np.random.default_rng(0)
    layers = [
        nn.Conv2d(1, 16, 3, padding=1), Tensor.relu, Tensor.max_pool2d,
        nn.Conv2d(16, 32, 3, padding=1), Tensor.relu, Tensor.max_pool2d,
        lambda x: x.flatten(1), nn.Linear(1568, 10),
    ]  # fmt: skip
    x, y = floats(draw, 64, 1, 28, 28), classes(draw, 10, 64)
    optimizer = nn.optim.Adam(nn.state.get_parameters(layers), lr=1e-3)
    return trained(lambda: x.sequential(layers).sparse_categorical_crossentropy(y), optimizer)


def gpt() -> Step:
    draw = np.random.default_rng(0)
    width, heads, length, batch, vocabulary, depth = 128, 4, 64, 16, 96, 4

    class Block:
        def __init__(self) -> None:
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def __call__(self, x: Any) -> Any:
            parts = self.qkv(self.norm1(x)).chunk(3, dim=-1)
            q, k, v = (part.reshape(batch, length, heads, -1).transpose(1, 2) for part in parts)
            attended = q.scaled_dot_product_attention(k, v, is_causal=True)
            x = x + self.out(attended.transpose(1, 2).reshape(x.shape))
            return x + self.down(self.up(self.norm2(x)).gelu())

    class Model:
        def __init__(self) -> None:
            self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.blocks = [Block() for _ in range(depth)]
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

        def __call__(self, tokens: Any) -> Any:
            h = self.token(tokens) + self.place(Tensor.arange(tokens.shape[1]))
            return self.head(self.norm(h.sequential(self.blocks)))

    model = Model()
    x, y = classes(draw, vocabulary, batch, length), classes(draw, vocabulary, batch * length)
    optimizer = nn.optim.AdamW(nn.state.get_parameters(model), lr=1e-3)
    return trained(lambda: model(x).reshape(-1, vocabulary).sparse_categorical_crossentropy(y), optimizer)


WORKLOADS = {"tiny": tiny, "mlp": mlp, "cnn": cnn, "gpt": gpt}
