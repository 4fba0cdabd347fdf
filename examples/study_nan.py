"""A NaN hunt: training goes well for a while, and then every weight is NaN. Where did it begin?

    python examples/study_nan.py
    python examples/study_nan.py --debug      # open the debugger at that operation

A network estimates the mean and the variance of noisy data, with a likelihood that takes the logarithm of the variance. Training
is repeated until the loss is not finite, then the last step once more inside `study.first_bad`, which names the operation, and
then with the cure.
"""

from __future__ import annotations

import argparse
import math

import tinygrad_lite as tg
from tinygrad_lite import nn, study


class Estimator(nn.Module):
    """Mean and variance of y, given x. `safe`: the variance is positive by construction."""

    def __init__(self, safe: bool):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 2))
        self.safe = safe

    def forward(self, x):
        mean, spread = self.body(x).unbind(1)
        variance = nn.functional.softplus(spread) + 1e-4 if self.safe else 1 + spread  # which nothing keeps above 0
        return mean, variance


def loss_of(model: Estimator, x, y) -> tg.Tensor:
    mean, variance = model(x)
    return (variance.log() + (y - mean) ** 2 / variance).mean()


def train(model: Estimator, x, y, steps: int) -> list[float]:
    """The losses, up to the first that is not finite. The weights are those from before that step."""
    optimizer = tg.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(steps):
        loss = loss_of(model, x, y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def first_bad(model: Estimator, x, y, debug: bool) -> study.NonFiniteError | None:
    """The first operation of a step whose value or gradient is not finite."""
    try:
        with study.first_bad(model, pdb=debug):
            loss_of(model, x, y).backward()
    except study.NonFiniteError as error:
        return error
    return None


def main(arguments: list[str] | None = None) -> tuple[study.NonFiniteError | None, float]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--debug", action="store_true", help="open pdb where the NaN is made")
    options = parser.parse_args(arguments)
    tg.manual_seed(options.seed)
    x = tg.rand(200, 1) * 4 - 2
    y = x[:, 0].sin() + 0.05 * tg.randn(200)

    model = Estimator(safe=False)
    losses = train(model, x, y, options.steps)
    print(f"without care: {len(losses)} steps, the last losses {losses[-3:]}\n")
    error = first_bad(model, x, y, options.debug)
    print(error)

    losses = train(Estimator(safe=True), x, y, options.steps)
    print(f"\nwith softplus: {len(losses)} steps, the last loss {losses[-1]:.3f}")
    return error, losses[-1]


if __name__ == "__main__":
    main()
