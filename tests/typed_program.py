"""A small typed program, for the type checker: `mypy tests/typed_program.py`."""

import tinygrad_lite as tg
from tinygrad_lite import nn


def training(model: nn.Module, x: tg.Tensor, y: tg.Tensor, steps: int = 3) -> list[float]:
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses: list[float] = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss: tg.Tensor = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


a: tg.Tensor = tg.ones(4, 2).reshape(2, 4).permute(1, 0).add(1, alpha=2)
b: tg.Tensor = (1 - a).clamp(min=0).sum(dim=1, keepdim=True) * 2
c: bool = bool((a > 0).all())
print(training(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), a, b), c)
