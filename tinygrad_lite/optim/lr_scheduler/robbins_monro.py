"""What a schedule does in the long run, and how it looks: before any training."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from tinygrad_lite.optim.lr_scheduler.base import LRScheduler
from tinygrad_lite.optim.lr_scheduler.combined import ReduceLROnPlateau

Schedule = LRScheduler | Callable[[int], float] | float


class Verdict(NamedTuple):
    """Which of Robbins and Monro's two conditions a schedule satisfies.

    `travels`: the sum of the rates is infinite, so that any distance can be covered. `settles`: the
    sum of their squares is finite, so that the noise dies out. `power`: the p of rates that fall like k^-p
    (0: they do not vanish; infinity: faster than any power). `how`: "analytic" or "numerical".

    >>> from tinygrad_lite.optim.lr_scheduler import robbins_monro
    >>> verdict = robbins_monro(0.1)
    >>> verdict.travels, verdict.settles
    (True, False)
    """

    travels: bool
    settles: bool
    power: float
    how: str

    def __bool__(self) -> bool:
        return self.travels and self.settles

    def __str__(self) -> str:
        words = [] if self.travels else ["it travels a finite distance only"]
        words += [] if self.settles else ["its noise never dies"]
        falls = "do not vanish" if self.power == 0 else f"fall like k^-{self.power:.3g}"
        falls = "fall faster than any power of k" if self.power == math.inf else falls
        return f"{'no: ' + ', '.join(words) if words else 'ok'} (the rates {falls}; {self.how})"


def robbins_monro(schedule: Schedule) -> Verdict:
    """Whether the sum of a schedule's rates is infinite and that of their squares finite, under which
    stochastic gradient descent converges almost surely (Robbins and Monro 1951; lecture items 35 and 74).

    A schedule is a scheduler, a function of the step k = 0, 1, ..., or a constant. Of a scheduler that
    knows its form the answer is exact. Else it is numerical: of the sums of the rates over the
    steps k in [2^j, 2^(j+1)) the slope of log2 against j, averaged over j = 12 to 18, is taken for 1 - p;
    the sum is called infinite for p <= 1.01, that of the squares finite for p > 0.51. No number of
    terms can tell more: 1 / (k log k) passes for 1/k.

    >>> print(robbins_monro(lambda k: 0.1 / (1 + k)))
    ok (the rates fall like k^-1; numerical)
    >>> print(robbins_monro(lambda k: 0.99**k))
    no: it travels a finite distance only (the rates fall faster than any power of k; numerical)
    >>> print(robbins_monro(0.1))
    no: its noise never dies (the rates do not vanish; analytic)
    """
    if isinstance(schedule, LRScheduler):
        power, rate = schedule.tail(), _rates_of(schedule)
    elif callable(schedule):
        power, rate = None, schedule
    else:
        power = 0.0 if schedule else math.inf
    if power is not None:
        return Verdict(power <= 1, power > 0.5, power, "analytic")
    sums = [sum(rate(k) for k in _points(j)) * 2.0**j / len(_points(j)) for j in (12, 18)]
    if sums[1] <= 0 or sums[1] < sums[0] * 2**-60:
        power = math.inf
    else:
        power = 1 - math.log2(sums[1] / sums[0]) / 6
        power = round(power, 3) if power < 20 else math.inf
    return Verdict(power <= 1.01, power > 0.51, max(power, 0.0), "numerical")


def _points(j: int) -> range:
    """Steps spread over [2^j, 2^(j+1)), at an odd distance, so that no short period is missed."""
    return range(2**j, 2 ** (j + 1), 1 if j < 13 else 2 ** (j - 12) + 1)


def _rates_of(scheduler: LRScheduler) -> Callable[[int], float]:
    """A scheduler as a function of the step, which may only be asked in rising order."""
    scheduler = apart(scheduler)

    def rate(k: int) -> float:
        while scheduler.last_epoch < k:
            scheduler.step()
        return float(scheduler.get_last_lr()[0])

    return rate


def apart(scheduler: LRScheduler) -> LRScheduler:
    """A copy of a scheduler over a copy of its optimizer that has no parameters to speak of."""
    if isinstance(scheduler, ReduceLROnPlateau):
        raise TypeError("ReduceLROnPlateau: its rates depend on the losses to come, they cannot be told before")
    optimizer = scheduler.optimizer
    memo: dict[int, Any] = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    memo[id(optimizer.state)] = defaultdict(dict)
    scheduler = copy.deepcopy(scheduler, memo)
    scheduler.optimizer.updates = max(optimizer.updates, 1)
    return scheduler


def preview(schedule: Schedule, steps: int) -> list[float]:
    """The rates of the next `steps` steps (of the first parameter group); nothing is changed.

    >>> preview(lambda k: 1 / (k + 1), 3)
    [1.0, 0.5, 0.3333333333333333]
    """
    if not isinstance(schedule, LRScheduler):
        return [schedule(k) if callable(schedule) else schedule for k in range(steps)]
    scheduler, rates = apart(schedule), []
    for _ in range(steps):
        rates.append(float(scheduler.get_last_lr()[0]))
        scheduler.step()
    return rates


def picture(schedule: Schedule, steps: int, width: int = 64, height: int = 10) -> str:
    """The next `steps` rates as a chart of characters.

    >>> print(picture(lambda k: 1 - k / 64, 64, width=16, height=3))
         1 |****
           |    ********
    0.0156 |            ****
            0             63
    """
    rates = preview(schedule, steps)
    low, high = min(rates), max(rates)
    width = min(width, steps)
    columns = [rates[i * steps // width : max((i + 1) * steps // width, i * steps // width + 1)] for i in range(width)]
    rows = [[" "] * width for _ in range(height)]
    for x, column in enumerate(columns):
        mean = sum(column) / len(column)
        y = round((mean - low) / (high - low) * (height - 1)) if high > low else height - 1
        rows[height - 1 - y][x] = "*"
    labels = [f"{high:.3g}", *[""] * (height - 2), f"{low:.3g}"] if height > 1 else [f"{high:.3g}"]
    margin = max(map(len, labels))
    lines = [f"{label:>{margin}} |{''.join(row).rstrip()}" for label, row in zip(labels, rows)]
    return "\n".join([*lines, f"{'':{margin}}  0{steps - 1:>{width - 1}}"])
