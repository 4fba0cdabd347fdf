"""A memory hunt: what a training step keeps, when, and why a loop that keeps its losses grows.

    python examples/study_memory.py

It prints what the tape of one step of a small CNN keeps, by operation and line; the live memory over the step, with its peak; what
checkpointing saves; and, for a loop whose memory grows, the list that keeps the graphs alive.
"""

from __future__ import annotations

import argparse

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, study
from tinygrad_lite.utils.checkpoint import checkpoint


class Net(nn.Module):
    def __init__(self, checkpointed: bool = False):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 14 * 14, 10))
        self.checkpointed = checkpointed

    def forward(self, x):
        h = checkpoint(self.first, x, use_reentrant=False) if self.checkpointed else self.first(x)
        return self.second(h)


def batch(count: int) -> tuple[tg.Tensor, tg.Tensor]:
    return tg.randn(count, 1, 28, 28), tg.randint(10, (count,))


def kept_by_a_step(model: Net, count: int) -> study.Memory:
    """What the tape keeps between the forward and the backward pass."""
    x, y = batch(count)
    with study.record(model) as tape:
        loss = F.cross_entropy(model(x), y)
    return study.memory(loss, tape)


def live_in_a_step(model: Net, count: int) -> study.Timeline:
    """Live memory over a forward and a backward pass."""
    x, y = batch(count)
    with study.timeline() as found:
        F.cross_entropy(model(x), y).backward()
    return found


def train(model: Net, steps: int, count: int) -> list:
    """A loop with a leak: each loss in the list keeps the graph of its step."""
    optimizer = tg.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        x, y = batch(count)
        loss = F.cross_entropy(model(x), y)
        losses.append(loss)  # losses.append(loss.item()) would keep a number
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()
    return losses


def main(arguments: list[str] | None = None) -> dict[str, int]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batch", type=int, default=32, help="images in a step")
    parser.add_argument("--steps", type=int, default=3, help="of the loop that grows")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    tg.manual_seed(options.seed)

    print("What the tape of one step keeps\n")
    kept = kept_by_a_step(Net(), options.batch)
    print(kept)

    print("\nLive memory over the step\n")
    plain = live_in_a_step(Net(), options.batch)
    print(plain)

    print("\nWith the first block checkpointed\n")
    saved = live_in_a_step(Net(checkpointed=True), options.batch)
    print(f"peak {plain.peak.total / 2**20:.1f} MiB, checkpointed {saved.peak.total / 2**20:.1f} MiB")

    print("\nA loop that grows\n")
    losses = train(Net(), options.steps, options.batch)
    grown = study.memory(losses)
    print(f"after {len(losses)} steps the graphs keep {grown.total / 2**20:.1f} MiB. Who holds the first?")
    found = study.holders(losses[0])
    print(found)
    return {"kept": kept.total, "peak": plain.peak.total, "checkpointed": saved.peak.total, "grown": grown.total, "holders": len(found)}


if __name__ == "__main__":
    main()
