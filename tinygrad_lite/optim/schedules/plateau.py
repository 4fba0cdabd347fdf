"""A schedule driven by a metric."""

from __future__ import annotations

import math
import warnings
from typing import Any

from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.schedules.base import LRScheduler, check_optimizer, for_each_group, number, rates_of, set_option


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by `factor` when a metric has not improved for more than `patience` steps
    (docs/lectures.md#item-38).

    `mode`: "min" or "max". An improvement exceeds `threshold` times the best value so far (`threshold_mode="rel"`), or
    `threshold` ("abs"). After a reduction, `cooldown` steps are not counted. Rates stay at or above `min_lr`; changes below
    `eps` are not made.

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):  # the third 2.0 is one too many
    ...     scheduler.step(loss)
    ...     print(scheduler.get_last_lr())
    [8.0]
    [8.0]
    [8.0]
    [4.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0,
        eps: float = 1e-8,
    ):
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        check_optimizer(optimizer)
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.eps = eps
        self.min_lr = min_lr
        self.min_lrs = for_each_group("min_lr", optimizer, min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0
        self._last_lr = rates_of(optimizer)

    @property
    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def _better(self, value: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "abs":
            return sign * value > sign * self.best + self.threshold
        return sign * value > sign * (self.best * (1 + sign * self.threshold))

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Record the metric of an epoch, and reduce the rates if it has stopped improving."""
        value = float(metrics)
        if epoch is not None:
            warnings.warn("ReduceLROnPlateau: the epoch argument is deprecated", UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = rates_of(self.optimizer)

    def _reduce(self) -> None:
        if len(self.min_lrs) != len(self.optimizer.param_groups):  # a group has been added
            self.min_lrs = for_each_group("min_lr", self.optimizer, self.min_lr)
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs):
            rate = number(group["lr"])
            reduced = max(rate * self.factor, lowest)
            if rate - reduced > self.eps:
                set_option(group, "lr", reduced)
