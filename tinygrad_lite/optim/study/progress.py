"""The progress of training, in units that make methods comparable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_lite.optim.optimizer import Optimizer


class Progress:
    """Counts updates, gradient evaluations and epochs (docs/lectures.md#item-34, #item-45, #item-70).

    Call `seen(n)` when a gradient over n samples was computed. An epoch is `samples` evaluations. Updates are counted
    automatically.

        progress = Progress(optimizer, len(dataset))
        for x, y in loader:
            loss(model(x), y).backward(); progress.seen(len(x))
            optimizer.step()

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)])
    >>> progress = Progress(optimizer, samples=100)
    >>> for _ in range(3):
    ...     progress.seen(20)
    ...     optimizer.step()
    >>> progress
    3 updates, 60 gradient evaluations, 0.6 epochs
    """

    def __init__(self, optimizer: Optimizer, samples: int):
        if samples < 1:
            raise ValueError(f"Progress: samples must be 1 or more, got {samples}")
        self.samples = samples
        self.updates = 0
        self.evaluations = 0
        optimizer.register_step_post_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.updates += 1

    def seen(self, count: int) -> None:
        self.evaluations += count

    @property
    def epochs(self) -> float:
        return self.evaluations / self.samples

    def __repr__(self) -> str:
        return f"{self.updates} updates, {self.evaluations} gradient evaluations, {self.epochs:.4g} epochs"


def iterations_to(losses: Sequence[float], optimum: float, eps: float) -> int | None:
    """The first k with losses[j] - optimum < eps for all j >= k, or None; the losses are of the full data
    (docs/lectures.md#item-39).

    >>> iterations_to([4.0, 1.0, 3.0, 0.5, 0.2], 0.0, 1.5)
    3
    """
    first = None
    for k, loss in enumerate(losses):
        if not loss - optimum < eps:
            first = None
        elif first is None:
            first = k
    return first
