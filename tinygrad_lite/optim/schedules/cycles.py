"""Cyclic schedules; some move the momentum opposite to the rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.schedules.base import LRScheduler, check_optimizer, cos, for_each_group, set_option


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + cos(math.pi * part))


def _line(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


class _MomentumCycle(LRScheduler):
    """The base of CyclicLR and OneCycleLR: moves the momentum, or the first of `betas`, with the rate."""

    cycle_momentum: bool

    def _begin_momentum(self, optimizer: Optimizer, base: Any, highest: Any, last_epoch: int) -> None:
        if not self.cycle_momentum:
            return
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(f"{type(self).__name__}: cycle_momentum needs an optimizer with momentum or betas")
        base = for_each_group("base_momentum", optimizer, base)
        highest = for_each_group("max_momentum", optimizer, highest)
        if last_epoch == -1:
            for group, low, high in zip(optimizer.param_groups, base, highest):
                _set_momentum(group, high)
                group["base_momentum"], group["max_momentum"] = low, high


def _set_momentum(group: dict[str, Any], value: float) -> None:
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


class CyclicLR(_MomentumCycle):
    """Repeatedly up from base_lr to max_lr in step_size_up steps and down again in step_size_down (Smith 2017;
    docs/lectures.md#item-38).

    `mode`: "triangular"; "triangular2", which halves the height in each cycle; "exp_range", of height gamma^k. `scale_fn`
    replaces it: the height as a function of the cycle number (from 1), or of the step with `scale_mode="iterations"`.
    `cycle_momentum`: the momentum falls from max_momentum to base_momentum while the rate rises.

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> scheduler = CyclicLR(optimizer, base_lr=1.0, max_lr=3.0, step_size_up=2, cycle_momentum=False)
    >>> tg.optim.lr_scheduler.preview(scheduler, 6)
    [1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ):
        check_optimizer(optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', got {mode!r}")
        base_lrs = for_each_group("base_lr", optimizer, base_lr)
        self.max_lrs = for_each_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs):
                set_option(group, "lr", rate)
        self.total_size = float(step_size_up + (step_size_up if step_size_down is None else step_size_down))
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self.scale_fn = scale_fn
        self.scale_mode = scale_mode
        self.cycle_momentum = cycle_momentum
        self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _height(self, cycle: int) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.mode == "triangular":
            return 1.0
        return 0.5 ** (cycle - 1) if self.mode == "triangular2" else self.gamma**self.last_epoch

    def get_lr(self) -> list[Any]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle
        part = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        part *= self._height(cycle)
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                _set_momentum(group, _line(group["max_momentum"], group["base_momentum"], part))
        return [_line(base, highest, part) for base, highest in zip(self.base_lrs, self.max_lrs)]

    def tail(self) -> float | None:
        if self.scale_fn is not None or not all(base > 0 for base in self.base_lrs):
            return None
        return 0.0


class OneCycleLR(_MomentumCycle):
    """One rise and one fall over the whole training (Smith and Topin 2018; docs/lectures.md#item-38).

    The rate rises from max_lr / div_factor to max_lr in the first `pct_start` of `total_steps` (or epochs times
    steps_per_epoch), then falls to the initial rate / `final_div_factor`. With `three_phase` it first falls symmetrically
    to the initial rate. It follows cosines, or lines with `anneal_strategy="linear"`. Momentum moves the opposite way
    between max_momentum and base_momentum.

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0, momentum=0.9)
    >>> scheduler = OneCycleLR(optimizer, 8.0, total_steps=5, pct_start=0.6, div_factor=8, anneal_strategy="linear")
    >>> [round(rate, 3) for rate in tg.optim.lr_scheduler.preview(scheduler, 5)]
    [1.0, 4.5, 8.0, 4.0, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        check_optimizer(optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: expected total_steps, or both epochs and steps_per_epoch")
            for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
                _check_positive(name, value)
            total_steps = epochs * steps_per_epoch
        _check_positive("total_steps", total_steps)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start must be a float between 0 and 1, got {pct_start!r}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        # (last step, rate and momentum at the start, and at the end)
        up, rise, fall = pct_start * total_steps - 1, ("initial_lr", "max_momentum"), ("max_lr", "base_momentum")
        last = ("min_lr", "max_momentum")
        self._phases = [(up, rise, fall), (total_steps - 1, fall, last)]
        if three_phase:
            self._phases = [(up, rise, fall), (2 * up, fall, rise), (total_steps - 1, rise, last)]
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, for_each_group("max_lr", optimizer, max_lr)):
                group["initial_lr"] = rate / div_factor
                group["max_lr"] = rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        k = self.last_epoch
        if k > self.total_steps:
            raise ValueError(f"OneCycleLR: step {k} is after the last of total_steps={self.total_steps}")
        begun = 0.0
        for end, first, last in self._phases:  # noqa: B007
            if k <= end:
                break
            begun = end
        else:
            begun = self._phases[-2][0]
        part = (k - begun) / (end - begun)
        between = _cosine if self.anneal_strategy == "cos" else _line
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                _set_momentum(group, between(group[first[1]], group[last[1]], part))
        return [between(group[first[0]], group[last[0]], part) for group in self.optimizer.param_groups]

    def tail(self) -> float:
        return math.inf  # the schedule ends


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"OneCycleLR: {name} must be a positive integer, got {value!r}")


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosines from lr down to eta_min; the first takes T_0 steps, each later one T_mult times as many as the one before.

        eta_min + (lr - eta_min) (1 + cos(pi T_cur / T_i)) / 2

    `step(epoch)` accepts fractions of an epoch (Loshchilov and Hutter 2017; docs/lectures.md#item-38).

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    >>> [round(rate, 3) for rate in tg.optim.lr_scheduler.preview(scheduler, 7)]
    [8.0, 4.0, 8.0, 6.828, 4.0, 1.172, 8.0]
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1):
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"CosineAnnealingWarmRestarts: T_0 must be a positive integer, got {T_0!r}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"CosineAnnealingWarmRestarts: T_mult must be an integer of 1 or more, got {T_mult!r}")
        if not isinstance(eta_min, (int, float)):
            raise ValueError(f"CosineAnnealingWarmRestarts: eta_min must be a number, got {type(eta_min).__name__}")
        self.T_0 = self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        part = self.T_cur / self.T_i
        return [_cosine(base, self.eta_min, part) for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = epoch or 0
            if epoch < 0:
                raise ValueError(f"CosineAnnealingWarmRestarts: epoch must be 0 or more, got {epoch}")
            cycle = 0
            if epoch >= self.T_0:
                growth = self.T_mult - 1
                cycle = int(math.log(epoch / self.T_0 * growth + 1, self.T_mult)) if growth else int(epoch // self.T_0)
            self.T_i = self.T_0 * self.T_mult**cycle
            begun = self.T_0 * (cycle if self.T_mult == 1 else (self.T_mult**cycle - 1) / (self.T_mult - 1))
            self.T_cur = epoch - begun
        self._step_count += 1
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())

    def tail(self) -> float:
        return 0.0
