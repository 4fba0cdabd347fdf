"""The learning rate of stochastic weight averaging."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.schedules.base import LRScheduler, cos, for_each_group, number


class SWALR(LRScheduler):
    """Anneals the rate from its current value to `swa_lr` in `anneal_epochs` steps, then keeps it constant.

    Follows a cosine, or a line with `anneal_strategy="linear"` (Izmailov et al. 2018; docs/lectures.md#item-50).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.ones(1)], lr=1.0)
    >>> scheduler = SWALR(optimizer, swa_lr=0.0, anneal_epochs=4, anneal_strategy="linear")
    >>> tg.optim.lr_scheduler.preview(scheduler, 6)
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    def __init__(self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1):
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs must be an integer of 0 or more, got {anneal_epochs!r}")
        for group, rate in zip(optimizer.param_groups, for_each_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = rate
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _part(self, step: int) -> float:
        """The fraction of the annealing completed."""
        part = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return part if self.anneal_strategy == "linear" else (1 - cos(math.pi * part)) / 2

    def get_lr(self) -> list[Any]:
        step = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        before, now = self._part(step - 1), self._part(step)
        rates = []
        for group in self.optimizer.param_groups:
            rate, final = number(group["lr"]), group["swa_lr"]
            start = final if before == 1 else (rate - before * final) / (1 - before)
            rates.append(final * now + start * (1 - now))
        return rates

    def tail(self) -> float:
        return 0.0 if self.optimizer.param_groups[0]["swa_lr"] else math.inf
