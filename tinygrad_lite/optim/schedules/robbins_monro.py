"""The long-run behaviour of a schedule, and a picture of it, before any training."""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.optim.schedules.base import LRScheduler
from tinygrad_lite.optim.schedules.formulas import LambdaLR
from tinygrad_lite.optim.schedules.plateau import ReduceLROnPlateau

Schedule = LRScheduler | Callable[[int], float] | float


class Verdict(NamedTuple):
    """Which of the two Robbins-Monro conditions a schedule satisfies.

    `travels`: the sum of the rates is infinite, so any distance can be covered. `settles`: the sum of their squares is
    finite, so the noise dies out. Each is None if undecided. `power`: the p of rates that fall like k^-p (0: they do not
    vanish; infinity: faster than any power). `how`: "analytic" or "numerical".

    >>> from tinygrad_lite.optim.lr_scheduler import robbins_monro
    >>> verdict = robbins_monro(0.1)
    >>> verdict.travels, verdict.settles
    (True, False)
    """

    travels: bool | None
    settles: bool | None
    power: float
    how: str

    def __bool__(self) -> bool:
        return bool(self.travels and self.settles)

    def __str__(self) -> str:
        faults = ["it travels a finite distance only"] if self.travels is False else []
        faults += ["its noise never dies"] if self.settles is False else []
        open_ = ["the sum of the rates"] if self.travels is None else []
        open_ += ["that of their squares"] if self.settles is None else []
        verdict = f"no: {', '.join(faults)}" if faults else "undecided" if open_ else "ok"
        verdict += f"; whether {' and '.join(open_)} is finite cannot be told" if open_ else ""
        falls = "do not vanish" if self.power == 0 else f"fall like k^-{self.power:.3g}"
        falls = "fall faster than any power of k" if self.power == math.inf else falls
        return f"{verdict} (the rates {falls}; {self.how})"


def robbins_monro(schedule: Schedule) -> Verdict:
    """Whether the sum of a schedule's rates is infinite and the sum of their squares finite, the conditions for almost sure
    convergence of stochastic gradient descent (Robbins and Monro 1951; docs/lectures.md#item-35, #item-74).

    A schedule is a scheduler, a function of the step k = 0, 1, ..., or a constant. For a scheduler with a known formula the
    answer is exact. Otherwise it is numerical: k^-p (log k)^-q is fitted to the means of the rates, and of their squares,
    over the steps in [2^j, 2^(j+1)) for j up to 50 (up to 18 if the rates must be computed step by step, or are slow to
    compute). The sum is infinite for p < 1 and finite for p > 1. At p = 1 it is infinite if q = 0, and undecided otherwise:
    no number of terms separates 1 / (k log k), whose sum is infinite, from 1 / (k log(k) log(log k)^2), whose sum is
    finite.

    >>> print(robbins_monro(lambda k: 0.1 / (1 + k)))
    ok (the rates fall like k^-1; numerical)
    >>> print(robbins_monro(lambda k: 0.99**k))
    no: it travels a finite distance only (the rates fall faster than any power of k; numerical)
    >>> print(robbins_monro(lambda k: 1 / ((k + 2) * math.log(k + 2))))
    undecided; whether the sum of the rates is finite cannot be told (the rates fall like k^-1; numerical)
    >>> print(robbins_monro(0.1))
    no: its noise never dies (the rates do not vanish; analytic)
    """
    power, reach = None, 50
    if isinstance(schedule, LambdaLR):
        rate = _rates_of_lambda(schedule)
    elif isinstance(schedule, LRScheduler):
        power, reach, rate = schedule.tail(), 18, _rates_of(schedule)
        if not schedule.optimizer.param_groups[0].get("initial_lr"):  # zero times any formula
            power = None
    elif callable(schedule):
        rate = schedule
    else:
        power = 0.0 if schedule else math.inf
    if power is not None:
        return Verdict(power <= 1, power > 0.5, power, "analytic")
    means = _means(rate, reach)
    (p, q, diverges), (_, _, squares_diverge) = (_exponent(list(means), of_all) for of_all in zip(*means.values()))
    settles = None if squares_diverge is None else not squares_diverge
    return Verdict(diverges, settles, max(0.0, p if math.isinf(p) else round(p, 2 if q else 3)), "numerical")


def _means(rate: Callable[[int], float], reach: int) -> dict[int, tuple[float, float]]:
    """The means of the rates, and of their squares, over the steps in [2^j, 2^(j+1)) for each j."""
    # A rate may cost as many operations as steps precede it. (The best of five: the machine may be busy.)
    slow = reach > 18 and min(_seconds(rate, 2**15) for _ in range(5)) > 1e-3
    near = {j: _mean(rate, j, 2**6 if slow else 2**11) for j in range(8, 16 if slow else 19)}
    if reach == 18 or slow:
        return near
    try:
        return {j: _mean(rate, j) for j in range(26, reach + 1, 2)}
    except (LookupError, ValueError, ZeroDivisionError):  # not defined for every step
        return near


def _seconds(rate: Callable[[int], float], k: int) -> float:
    begun = time.perf_counter()
    _rate_at(rate, k)
    return time.perf_counter() - begun


def _mean(rate: Callable[[int], float], j: int, most: int = 2**11) -> tuple[float, float]:
    """The mean of up to `most` steps at irregular distances, to miss no period."""
    count = min(2**j, most)
    rates = [_rate_at(rate, 2**j + int((i + i * 0.6180339887 % 1) * 2**j / count)) for i in range(count)]
    return sum(rates) / count, sum(r * r for r in rates) / count


def _rate_at(rate: Callable[[int], float], k: int) -> float:
    try:
        return float(rate(k))
    except OverflowError:  # in 1.1**k, or in 1 / 1.1**k
        return math.inf if float(rate(100)) > float(rate(1)) else 0.0


def _exponent(js: list[int], means: Sequence[float]) -> tuple[float, float, bool | None]:
    """The p and q of terms that fall like k^-p (log k)^-q, from their means over [2^j, 2^(j+1)), and whether their sum is
    infinite (None: undecided)."""
    if means[-1] <= 0 or means[-1] < 1e-250:
        return math.inf, 0.0, False
    if not math.isfinite(means[-1]):
        return -math.inf, 0.0, True
    steps = np.log(2.0) * (np.array(js) + 0.5)
    values = np.log(np.clip(means, 1e-300, 1e300))
    _, p, q = np.linalg.lstsq(np.stack([np.ones_like(steps), -steps, -np.log(steps)], 1), values, rcond=None)[0]
    middle = len(js) // 2
    early, late = ((values[a] - values[b]) / (steps[b] - steps[a]) for a, b in ((0, middle), (middle, -1)))
    margin = 0.01 if js[-1] > 18 else 0.03
    if abs(early - late) > 0.1:  # not of this form, or not yet
        infinite = True if late < min(1 - margin, early) else False if late > max(1 + margin, early) else None
        return float(late), 0.0, infinite
    if abs(q) < 0.1:
        p, q = late, 0.0
    if abs(p - 1) > margin:
        return float(p), float(q), bool(p < 1)
    return float(p), float(q), True if q < 0.5 else None


def _rates_of_lambda(scheduler: LambdaLR) -> Callable[[int], float]:
    base, function = scheduler.base_lrs[0], scheduler.lr_lambdas[0]
    return lambda k: base * function(k)


def _rates_of(scheduler: LRScheduler) -> Callable[[int], float]:
    """A scheduler as a function of the step, for increasing steps only."""
    scheduler, steps = copied(scheduler), 0

    def rate(k: int) -> float:
        nonlocal steps
        while steps < k:
            scheduler.step()
            steps += 1
        return float(scheduler.get_last_lr()[0])

    return rate


def copied(scheduler: LRScheduler) -> LRScheduler:
    """A copy of a scheduler on a copy of its optimizer with only dummy parameters."""
    if isinstance(scheduler, ReduceLROnPlateau):
        raise TypeError("ReduceLROnPlateau: its rates depend on the losses to come, they cannot be told before")
    optimizer = scheduler.optimizer
    memo: dict[int, Any] = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    memo[id(optimizer._state)] = defaultdict(dict)
    scheduler = copy.deepcopy(scheduler, memo)
    scheduler.optimizer.updates = max(optimizer.updates, 1)
    return scheduler


def preview(schedule: Schedule, steps: int) -> list[float]:
    """The next `steps` rates of the first parameter group. Changes nothing.

    >>> preview(lambda k: 1 / (k + 1), 3)
    [1.0, 0.5, 0.3333333333333333]
    """
    if not isinstance(schedule, LRScheduler):
        return [schedule(k) if callable(schedule) else schedule for k in range(steps)]
    scheduler, rates = copied(schedule), []
    for _ in range(steps):
        rates.append(float(scheduler.get_last_lr()[0]))
        scheduler.step()
    return rates


def picture(schedule: Schedule, steps: int, width: int = 64, height: int = 10) -> str:
    """The next `steps` rates as a text chart.

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
