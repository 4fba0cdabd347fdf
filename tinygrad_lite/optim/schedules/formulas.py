"""Schedules given by a formula in the step number k (docs/lectures.md#item-19)."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.schedules.base import Formula, Recipe, cos, number


class LambdaLR(Recipe):
    """lr lr_lambda(k), with one function, or one per group (docs/lectures.md#item-33).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> tg.optim.lr_scheduler.preview(LambdaLR(optimizer, lambda k: 1 / (1 + k)), 4)
    [8.0, 4.0, 2.6666666666666665, 2.0]
    """

    def get_lr(self) -> list[Any]:
        return [base * function(self.last_epoch) for base, function in zip(self.base_lrs, self.lr_lambdas)]


class MultiplicativeLR(Recipe):
    """lr lr_lambda(1) ... lr_lambda(k): each step k >= 1 multiplies the current rate by lr_lambda(k)
    (docs/lectures.md#item-33).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> tg.optim.lr_scheduler.preview(MultiplicativeLR(optimizer, lambda k: 0.5), 4)
    [8.0, 4.0, 2.0, 1.0]
    """

    def get_lr(self) -> list[Any]:
        rates = [number(group["lr"]) for group in self.optimizer.param_groups]
        if self._is_initial:
            return rates
        return [rate * function(self.last_epoch) for rate, function in zip(rates, self.lr_lambdas)]


class StepLR(Formula):
    """lr gamma^floor(k / step_size) (docs/lectures.md#item-19). The sum of all rates is finite (docs/lectures.md#item-74).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> tg.optim.lr_scheduler.preview(StepLR(optimizer, step_size=2, gamma=0.5), 6)
    [8.0, 8.0, 4.0, 4.0, 2.0, 2.0]
    """

    steps_on_resuming = True

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def multiplier(self, k: int) -> float:
        return self.gamma ** (k // self.step_size)

    def tail(self) -> float:
        return math.inf if self.gamma < 1 else 0.0


class MultiStepLR(Formula):
    """lr gamma^(number of milestones reached); a repeated milestone counts each time (docs/lectures.md#item-19).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> tg.optim.lr_scheduler.preview(MultiStepLR(optimizer, milestones=[1, 4], gamma=0.5), 6)
    [8.0, 4.0, 4.0, 4.0, 2.0, 2.0]
    """

    steps_on_resuming = True

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1):
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def multiplier(self, k: int) -> float:
        return self.gamma ** bisect_right(self.milestones, k)

    def tail(self) -> float:
        return 0.0 if self.gamma or not self.milestones else math.inf


class ConstantLR(Formula):
    """lr factor before step total_iters, lr from then on: a warm-up (docs/lectures.md#item-38).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> tg.optim.lr_scheduler.preview(ConstantLR(optimizer, factor=0.25, total_iters=2), 4)
    [2.0, 2.0, 8.0, 8.0]
    """

    steps_on_resuming = True

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1):
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: factor must be between 0 and 1, got {factor}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def multiplier(self, k: int) -> float:
        return self.factor if k < self.total_iters else 1.0

    def tail(self) -> float:
        return 0.0


class LinearLR(Formula):
    """lr (start_factor + (end_factor - start_factor) min(k / total_iters, 1)), a warm-up or decay
    (docs/lectures.md#item-38).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> tg.optim.lr_scheduler.preview(LinearLR(optimizer, start_factor=0.5, total_iters=2), 4)
    [4.0, 6.0, 8.0, 8.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor must be greater than 0 and at most 1, got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be between 0 and 1, got {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def multiplier(self, k: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * min(k, self.total_iters) / self.total_iters

    def tail(self) -> float:
        return 0.0 if self.end_factor else math.inf


class ExponentialLR(Formula):
    """lr gamma^k. For gamma < 1 the sum of all rates is finite, lr / (1 - gamma) (docs/lectures.md#item-74).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> tg.optim.lr_scheduler.preview(ExponentialLR(optimizer, gamma=0.5), 4)
    [8.0, 4.0, 2.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def multiplier(self, k: int) -> float:
        return self.gamma**k

    def tail(self) -> float:
        return math.inf if self.gamma < 1 else 0.0


class PolynomialLR(Formula):
    """lr (1 - k / total_iters)^power, and 0 from total_iters on (docs/lectures.md#item-19).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> [round(rate, 3) for rate in tg.optim.lr_scheduler.preview(PolynomialLR(optimizer, total_iters=4, power=2), 6)]
    [8.0, 4.5, 2.0, 0.5, 0.0, 0.0]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def multiplier(self, k: int) -> float:
        return (1 - min(k, self.total_iters) / self.total_iters) ** self.power

    def tail(self) -> float:
        return math.inf if self.power else 0.0


class InverseTimeLR(Formula):
    """lr / (1 + k / delay)^power; with delay = 1 and power = 1 the rates are lr / 1, lr / 2, lr / 3, ...

    The sum of 1/k is infinite and the sum of its squares finite, so this satisfies the Robbins-Monro conditions (1951), as
    does every power in (1/2, 1] (docs/lectures.md#item-35, #item-36, #item-42). `strong_convexity`: the lambda of a
    lambda-strongly convex loss; the rates are then 1 / (lambda (k + 1)) (docs/lectures.md#item-36, #item-46), whatever the
    optimizer's lr.

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=12.0)
    >>> [round(rate, 3) for rate in tg.optim.lr_scheduler.preview(InverseTimeLR(optimizer), 4)]
    [12.0, 6.0, 4.0, 3.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        power: float = 1.0,
        delay: float = 1.0,
        strong_convexity: float | None = None,
        last_epoch: int = -1,
    ):
        if power < 0 or delay <= 0 or (strong_convexity is not None and strong_convexity <= 0):
            raise ValueError(
                "InverseTimeLR: expected power >= 0, delay > 0 and strong_convexity > 0, "
                f"got {power}, {delay} and {strong_convexity}"
            )
        self.power = power
        self.delay = delay
        if strong_convexity is not None and last_epoch == -1:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] = 1 / strong_convexity
        super().__init__(optimizer, last_epoch)

    def multiplier(self, k: int) -> float:
        return (1 + k / self.delay) ** -self.power

    def tail(self) -> float:
        return self.power


class CosineAnnealingLR(Formula):
    """eta_min + (lr - eta_min) (1 + cos(pi k / T_max)) / 2 (Loshchilov and Hutter 2017; docs/lectures.md#item-38).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> [round(rate, 3) for rate in tg.optim.lr_scheduler.preview(CosineAnnealingLR(optimizer, T_max=4), 5)]
    [8.0, 6.828, 4.0, 1.172, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    @property
    def floor(self) -> float:  # type: ignore[override]
        return self.eta_min

    def multiplier(self, k: int) -> float:
        if (k - self.T_max) % (2 * self.T_max) == 0:
            return 0.0  # the rounded cosine would give 1e-17
        return (1 + cos(math.pi * k / self.T_max)) / 2

    def tail(self) -> float:
        return 0.0
