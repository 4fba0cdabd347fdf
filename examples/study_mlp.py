"""The backward pass of an MLP, step by step: at each operation what arrives, the rule, and what it sends.

    python examples/study_mlp.py
    python examples/study_mlp.py --operation tanh     # stop only there

It prints each stop and leaves runs/backward.html: open it in a browser, and walk with the arrow keys. At the end it checks the
gradients of the walk against those of `loss.backward()`, bit for bit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, study


class MLP(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x):
        h1 = self.first(x).tanh()
        h2 = self.second(h1).tanh()
        return self.last(h2).squeeze(1)


def recorded(model: MLP, points, label) -> tuple[study.Tape, study.Stepper]:
    """A forward pass on a tape, and a stepper before the first step of its backward pass."""
    with study.record(model) as tape:
        logits = model(points)
        loss = F.binary_cross_entropy_with_logits(logits, label)
    return tape, tape.backward(loss)


def walk(stepper: study.Stepper, operation: str | None) -> int:
    """Print each stop, or those at an operation. Returns how many there were."""
    count = 0
    while (stop := stepper.run_until(operation)) is not None:
        print(stop, end="\n\n")
        count += 1
    return count


def agrees_with_backward(tape: study.Tape, model: MLP, points, label) -> bool:
    """Whether the gradients at the end of the walk are those that `backward` finds without it."""
    model.zero_grad()
    F.binary_cross_entropy_with_logits(model(points), label).backward()
    found = tape.passes[0].gradients
    return all(np.array_equal(p.grad.numpy(), found[tape.number_of(name)].array) for name, p in model.named_parameters())


def main(arguments: list[str] | None = None) -> tuple[int, bool]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--operation", help="stop only at this one, such as tanh or linear")
    parser.add_argument("--width", type=int, default=8, help="hidden units")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the page")
    options = parser.parse_args(arguments)
    tg.manual_seed(options.seed)
    points, label = tg.datasets.moons(16)
    model, label = MLP(options.width), label.float()

    tape, stepper = recorded(model, points, label)
    stops = walk(stepper, options.operation)
    options.out.mkdir(parents=True, exist_ok=True)
    print("the page:", tape.page(options.out / "backward.html"))
    same = agrees_with_backward(tape, model, points, label)
    print("the gradients are those of backward, bit for bit" if same else "the gradients differ from those of backward")
    return stops, same


if __name__ == "__main__":
    main()
