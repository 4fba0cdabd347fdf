"""The workloads, written once for both tinygrad_lite and PyTorch.

Each function in MODELS takes the library (`tinygrad_lite` or `torch`) and returns `loss_of()` and the optimizer. Each
function in WORKLOADS returns `step()`, which runs forward, loss, backward and update and returns the loss: a function
to be called as it is or through the library's `compile`. The workloads in UPDATES run the optimizer's step alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], Any]
Model = tuple[Callable[[], Any], Any]


def tiny(lib: Any, device: str) -> Model:
    nn, draw = lib.nn, np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)).to(device)
    x, y = floats(lib, draw, device, 32, 2), floats(lib, draw, device, 32, 1)
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return lambda: nn.functional.mse_loss(model(x), y), optimizer


def mlp(lib: Any, device: str) -> Model:
    nn, draw = lib.nn, np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)).to(device)
    x, y = floats(lib, draw, device, 128, 784), classes(lib, draw, device, 10, 128)
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return lambda: nn.functional.cross_entropy(model(x), y), optimizer


def cnn(lib: Any, device: str) -> Model:
    nn, draw = lib.nn, np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1568, 10),
    ).to(device)  # fmt: skip
    x, y = floats(lib, draw, device, 64, 1, 28, 28), classes(lib, draw, device, 10, 64)
    optimizer = lib.optim.Adam(model.parameters(), lr=1e-3)
    return lambda: nn.functional.cross_entropy(model(x), y), optimizer


def lstm(lib: Any, device: str) -> Model:
    nn, draw = lib.nn, np.random.default_rng(0)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(64, 128, batch_first=True)
            self.head = nn.Linear(128, 64)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0])

    model = Model().to(device)
    x, y = floats(lib, draw, device, 32, 32, 64), classes(lib, draw, device, 64, 32 * 32)
    optimizer = lib.optim.Adam(model.parameters(), lr=1e-3)
    return lambda: nn.functional.cross_entropy(model(x).reshape(-1, 64), y), optimizer


def gpt(lib: Any, device: str) -> Model:
    nn, F, draw = lib.nn, lib.nn.functional, np.random.default_rng(0)
    width, heads, length, batch, vocabulary, depth = 128, 4, 64, 16, 96, 4

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            b, t, c = x.shape
            q, k, v = (part.view(b, t, heads, c // heads).transpose(1, 2) for part in self.qkv(self.norm1(x)).split(c, dim=2))
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(attended.transpose(1, 2).reshape(b, t, c))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(depth)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

        def forward(self, tokens: Any) -> Any:
            places = lib.arange(tokens.shape[1], device=device)
            return self.head(self.norm(self.blocks(self.token(tokens) + self.place(places))))

    model = Model().to(device)
    x, y = classes(lib, draw, device, vocabulary, batch, length), classes(lib, draw, device, vocabulary, batch * length)
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3)
    return lambda: F.cross_entropy(model(x).view(-1, vocabulary), y), optimizer


def trained(model: Callable[[Any, str], Model]) -> Callable[[Any, str], Step]:
    def make(lib: Any, device: str) -> Step:
        loss_of, optimizer = model(lib, device)

        def step() -> Any:
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            return loss

        return step

    return make


def floats(lib: Any, draw: np.random.Generator, device: str, *shape: int) -> Any:
    return lib.from_numpy(draw.standard_normal(shape, dtype=np.float32)).to(device)


def classes(lib: Any, draw: np.random.Generator, device: str, count: int, *shape: int) -> Any:
    return lib.from_numpy(draw.integers(0, count, shape)).to(device)


def update(optimizer: str, count: int, size: int, **options: Any) -> Callable[[Any, str], Step]:
    """An optimizer's step on `count` parameters of `size` elements, with constant gradients."""

    def make(lib: Any, device: str) -> Step:
        draw = np.random.default_rng(0)
        params = [floats(lib, draw, device, size).requires_grad_() for _ in range(count)]
        for p in params:
            p.grad = floats(lib, draw, device, size).abs()
        made = getattr(lib.optim, optimizer)(params, lr=1e-3, **options)

        def step() -> Any:
            made.step()
            return params[0].detach()[0]  # decreases; reading it takes some microseconds

        return step

    return make


UPDATES = {
    "small-momentum": update("SGD", 200, 100, momentum=0.9),
    "small-adam": update("Adam", 200, 100),
    "large-sgd": update("SGD", 1, 10_000_000),
    "large-momentum": update("SGD", 1, 10_000_000, momentum=0.9),
    "large-adam": update("Adam", 1, 10_000_000),
}
MODELS = {"tiny": tiny, "mlp": mlp, "cnn": cnn, "lstm": lstm, "gpt": gpt}
WORKLOADS = {**{name: trained(model) for name, model in MODELS.items()}, **UPDATES}
