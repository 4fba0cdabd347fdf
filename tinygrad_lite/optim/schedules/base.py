"""The base class of schedulers, which set the learning rate of each parameter group of an optimizer."""

from __future__ import annotations

import copy
import math
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.optim.optimizer import Optimizer


class LRScheduler:
    """Sets `group["lr"]` of every parameter group at every `step()`; call it after the optimizer's step.

    A step may be an update or an epoch. `last_epoch`: the step number to resume from; -1 starts anew, from the current
    rates. A subclass defines `get_lr()`, the rates for step number `self.last_epoch`.

    >>> import tinygrad_lite as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [1.0]
    [0.5]
    [0.5]
    """

    # PyTorch's names, for user-defined schedulers
    _is_initial = False  # during the first step, which the constructor makes
    _get_lr_called_within_step = False
    _get_closed_form_lr: Callable[[], list[Any]]  # if defined: the rates of step `last_epoch`, from any rates before

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if callable(group["lr"]):
                raise TypeError(f"{type(self).__name__}: lr of parameter group {i} is a schedule already")
            if last_epoch == -1:
                group.setdefault("initial_lr", number(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: last_epoch={last_epoch} resumes from earlier steps, but parameter group {i} "
                    "has no 'initial_lr': load the optimizer's state first, or leave last_epoch at -1"
                )
        self.base_lrs = [number(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def step(self, epoch: int | None = None) -> None:
        """Advance to the next step, or (deprecated, as in PyTorch) to number `epoch`."""
        if self._step_count == 1 and not self.optimizer.updates:
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the first value of the schedule goes unused",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(f"{type(self).__name__}.step: epoch is deprecated; call step() once for each step", UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                rates = self.get_lr()
            else:
                self.last_epoch = epoch
                rates = getattr(self, "_get_closed_form_lr", self.get_lr)()
        finally:
            self._get_lr_called_within_step = False
        self._set(rates)

    def _set(self, rates: Sequence[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates):
            set_option(group, "lr", rate)
        self._last_lr = rates_of(self.optimizer)

    def get_lr(self) -> list[Any]:
        """The rates for step `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__}: a scheduler defines get_lr")

    def get_last_lr(self) -> list[Any]:
        """The current rates, as last set."""
        return self._last_lr

    def tail(self) -> float | None:
        """The p for rates that eventually fall like k^-p: 0 if they do not vanish, infinity if they fall faster than any
        power; None if the formula does not tell."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """All attributes except the optimizer; functions are saved only if they are objects with attributes."""
        return {name: _without_functions(value) for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from a `state_dict()`."""
        for name, value in state_dict.items():
            mine = self.__dict__.get(name)
            if callable(mine) and not isinstance(mine, type):
                if value is not None:
                    mine.__dict__.update(value)
            elif isinstance(mine, list) and any(map(callable, mine)):
                for function, carried in zip(mine, value):
                    if carried is not None:
                        function.__dict__.update(carried)
            else:
                self.__dict__[name] = copy.copy(value)


def _without_functions(value: Any) -> Any:
    if isinstance(value, list) and any(map(callable, value)):
        return [_without_functions(entry) for entry in value]
    if callable(value):
        return None if isinstance(value, (types.FunctionType, types.MethodType)) else dict(vars(value))
    return value


def cos(x: Any) -> Any:
    """The cosine of a number, which a program that is being traced may have to compute anew in each run."""
    return math.cos(x) if type(x) is float else np.cos(x)


def check_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def number(value: Any) -> Any:
    return value.item() if isinstance(value, Traced) else value


def rates_of(optimizer: Optimizer) -> list[Any]:
    """The current rate of each group; a copy if it is a Tensor."""
    return [group["lr"].clone() if isinstance(group["lr"], Traced) else group["lr"] for group in optimizer.param_groups]


def set_option(group: dict[str, Any], name: str, value: Any) -> None:
    """Set an option of a group; a Tensor option is filled in place."""
    if isinstance(group[name], Traced):
        group[name].array[...] = number(value)
    else:
        group[name] = number(value)


def for_each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """`value` as a list with one entry per parameter group."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} must have the same length as optimizer.param_groups: {len(value)} values, {count} groups")
    return list(value)


class Formula(LRScheduler):
    """A schedule given by a formula: the rate of step k is floor + (lr - floor) multiplier(k).

    Each step multiplies the current rate by multiplier(k) / multiplier(k - 1), so several formulas on one optimizer
    multiply, and a rate changed by hand stays changed.
    """

    floor = 0.0
    steps_on_resuming = False  # whether resuming (`last_epoch` >= 0) changes the rate at once

    def multiplier(self, k: int) -> float:
        raise NotImplementedError

    def get_lr(self) -> list[Any]:
        k, rates = self.last_epoch, [number(group["lr"]) for group in self.optimizer.param_groups]
        if k == 0:
            return [self.floor + (rate - self.floor) * self.multiplier(0) for rate in rates]
        if self._is_initial and not self.steps_on_resuming:
            return rates
        now, before = self.multiplier(k), self.multiplier(k - 1)
        if before == 0:
            return [rate + (base - self.floor) * now for rate, base in zip(rates, self.base_lrs)]
        return [self.floor + (rate - self.floor) * (now / before) if now != before else rate for rate in rates]

    def _get_closed_form_lr(self) -> list[Any]:
        return [self.floor + (base - self.floor) * self.multiplier(self.last_epoch) for base in self.base_lrs]


class Recipe(LRScheduler):
    """A schedule given by user functions, one per parameter group."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1):
        check_optimizer(optimizer)
        self.lr_lambdas: list[Callable[[int], float]] = for_each_group("lr_lambda", optimizer, lr_lambda)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"{type(self).__name__}: lr_lambda must be a function, got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)
