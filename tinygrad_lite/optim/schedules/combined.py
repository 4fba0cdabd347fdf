"""Schedules composed of other schedules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.schedules.base import LRScheduler, rates_of, set_option
from tinygrad_lite.optim.schedules.plateau import ReduceLROnPlateau


class _Combined(LRScheduler):
    """A scheduler that drives other schedulers."""

    _schedulers: Sequence[LRScheduler]

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        name = type(self).__name__
        if len(schedulers) < 1:
            raise ValueError(f"{name}: expected at least one scheduler")
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name}: expected schedulers, got {type(scheduler).__name__} at place {i}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{name}: ReduceLROnPlateau at place {i} needs a metric to step, it cannot be combined")
        optimizer = optimizer or schedulers[0].optimizer
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ValueError(f"{name}: expected all schedulers to belong to the same optimizer")
        self._schedulers = schedulers
        self.optimizer = optimizer

    def _note(self) -> None:
        self._last_lr = rates_of(self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in ("optimizer", "_schedulers")}
        return {**state, "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.__dict__.update({name: value for name, value in state_dict.items() if name != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"]):
            scheduler.load_state_dict(state)


class SequentialLR(_Combined):
    """Schedulers in sequence: number i starts at step milestones[i - 1], from its own step 0 (docs/lectures.md#item-38).

    >>> import tinygrad_lite as tg
    >>> from tinygrad_lite.optim.lr_scheduler import ConstantLR, ExponentialLR, preview
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> parts = [ConstantLR(optimizer, factor=0.25, total_iters=9), ExponentialLR(optimizer, gamma=0.5)]
    >>> preview(SequentialLR(optimizer, parts, milestones=[2]), 5)
    [2.0, 2.0, 8.0, 4.0, 2.0]
    """

    def __init__(self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1):
        self._take(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: expected a milestone between any two schedulers, got {len(milestones)} for {len(schedulers)}")
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        # Every scheduler has made its first step, but only the first one should have.
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        _undo(self)
        self._schedulers[bisect_right(self._milestones, 0)]._initial_step()
        self._note()

    def step(self) -> None:  # type: ignore[override]
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            self._schedulers[i]._update_lr(0)
        else:
            self._schedulers[i].step()
        self._note()

    def _update_lr(self, epoch: int | None = None) -> None:
        """Restart, as part of an outer sequence."""
        self.last_epoch = -1 if epoch == 0 else self.last_epoch
        self.step()

    def _initial_step(self) -> None:
        self._schedulers[bisect_right(self._milestones, 0)]._initial_step()

    def tail(self) -> float | None:
        return self._schedulers[-1].tail()


def _undo(scheduler: LRScheduler) -> None:
    for inner in getattr(scheduler, "_schedulers", ()):
        _undo(inner)
    if not isinstance(scheduler, _Combined):
        scheduler.last_epoch -= 1


class ChainedScheduler(_Combined):
    """Schedulers that all act at every step, so that their factors multiply (docs/lectures.md#item-38).

    >>> import tinygrad_lite as tg
    >>> from tinygrad_lite.optim.lr_scheduler import ConstantLR, ExponentialLR, preview
    >>> optimizer = tg.optim.SGD([tg.zeros(1)], lr=8.0)
    >>> parts = [ConstantLR(optimizer, factor=0.5, total_iters=2), ExponentialLR(optimizer, gamma=0.5)]
    >>> preview(ChainedScheduler(parts), 4)
    [4.0, 2.0, 2.0, 1.0]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        self._take(schedulers, optimizer)
        self._note()

    def step(self) -> None:  # type: ignore[override]
        for scheduler in self._schedulers:
            scheduler.step()
        self._note()

    def _update_lr(self, epoch: int | None = None) -> None:
        for scheduler in self._schedulers:
            scheduler._update_lr(epoch)
        self._note()

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._note()
