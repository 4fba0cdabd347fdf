"""Averages of the iterates of any optimizer.

    average = Equal(optimizer)          # or PolynomialDecay(optimizer), ...
    ... train as usual ...
    with average.in_place():            # the parameters hold the average here
        evaluate(model)

Each is a running average: after iterate p_t, average <- average + w_t (p_t - average), with w_1 = 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tinygrad_lite.arrays.blocked import elementwise
from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.optim.optimizer import Optimizer


class Average:
    """A running average of `params`, updated by `update()`; given an optimizer, updated after each of its steps.

    `averages`: a tensor for each parameter. `count`: how many iterates have been averaged. A subclass defines `weight(t)`,
    the weight of iterate t against the average of those before it.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0])
    >>> average = tg.optim.averaging.Exponential([w], decay=0.5)
    >>> for value in (1.0, 2.0):
    ...     _ = w.fill_(value)
    ...     average.update()
    >>> average.averages, average.count
    ([tensor([1.5000])], 2)
    """

    def __init__(self, params: Any):
        if isinstance(params, Optimizer):
            self.params = [p for group in params.param_groups for p in group["params"]]
            params.register_step_post_hook(lambda *_: self.update())
        else:
            self.params = list(params)
        if not self.params:
            raise ValueError(f"{type(self).__name__}: got no parameters")
        self.averages = [traced(p.array.copy()) for p in self.params]
        self.count = 0

    def weight(self, t: int) -> float:
        """The weight of iterate t = 1, 2, ... against the average of those before it."""
        raise NotImplementedError

    def weights(self, count: int) -> list[float]:
        """The weights of iterates 1 to `count` in their average. They sum to one.

        >>> import tinygrad_lite as tg
        >>> Equal([tg.tensor(0.0)]).weights(4)
        [0.25, 0.25, 0.25, 0.25]
        """
        result, left = [], 1.0
        for t in range(count, 0, -1):
            w = 1.0 if t == 1 else self.weight(t)
            result.append(left * w)
            left *= 1 - w
        return result[::-1]

    def update(self) -> None:
        """Include the current parameters in the average."""
        self.count += 1
        w = 1.0 if self.count == 1 else self.weight(self.count)
        if not w:
            return
        for average, p in zip(self.averages, self.params):
            if w == 1:
                average.array[...] = p.array
            else:
                elementwise(lambda a, p: a.__iadd__(w * (p - a)), average.array, p.array)

    def copy_to(self, params: Any = None) -> None:
        """Copy the averages to `params`, by default to the parameters themselves."""
        for average, p in zip(self.averages, self.params if params is None else params):
            p.array[...] = average.array
            changed_in_place(p.array, "copy_to")

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside this block the parameters hold the averages."""
        values = [p.array.copy() for p in self.params]
        self.copy_to()
        try:
            yield
        finally:
            for p, value in zip(self.params, values):
                p.array[...] = value
                changed_in_place(p.array, "in_place")

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "averages": self.averages}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        shapes = [tuple(p.array.shape) for p in self.params]
        if [tuple(a.array.shape) for a in state_dict["averages"]] != shapes:
            raise ValueError(f"{type(self).__name__}: the loaded averages are not of these parameters, of shapes {shapes}")
        for mine, other in zip(self.averages, state_dict["averages"]):
            mine.array[...] = other.array
        self.count = state_dict["count"]


class Equal(Average):
    """The mean of all iterates: w_t = 1 / t (Polyak and Juditsky 1992; Ruppert 1988; docs/lectures.md#item-48).

    >>> import tinygrad_lite as tg
    >>> p = tg.tensor([0.0])
    >>> average = Equal([p])
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = p.fill_(value)
    ...     average.update()
    >>> average.averages
    [tensor([3.])]
    """

    def weight(self, t: int) -> float:
        return 1 / t


class Suffix(Average):
    """The mean of the iterates from number `start` on, and before that the latest one (Rakhlin, Shamir, Sridharan 2012).

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0])
    >>> average = Suffix([w], start=2)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = w.fill_(value)
    ...     average.update()
    >>> average.averages
    [tensor([4.])]
    """

    def __init__(self, params: Any, start: int):
        super().__init__(params)
        self.start = start

    def weight(self, t: int) -> float:
        return 1 / max(t - self.start + 1, 1)


class Exponential(Average):
    """An exponential moving average, w_t = 1 - decay: each iterate counts `decay` times as much as the next.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0])
    >>> average = Exponential([w], decay=0.5)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = w.fill_(value)
    ...     average.update()
    >>> average.averages
    [tensor([3.7500])]
    """

    def __init__(self, params: Any, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise ValueError(f"Exponential: decay must be in [0, 1), got {decay}")
        super().__init__(params)
        self.decay = decay

    def weight(self, t: int) -> float:
        return 1 - self.decay


class PolynomialDecay(Average):
    """Polynomial-decay averaging, w_t = (gamma + 1) / (t + gamma) (Shamir and Zhang 2013; docs/lectures.md#item-50).

    Weights grow like a power of t. gamma = 0 gives the mean of all iterates; small values such as 3 are common.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0])
    >>> average = PolynomialDecay([w], gamma=1.0)
    >>> for value in (1.0, 2.0, 6.0):  # weights 1, 2, 3
    ...     _ = w.fill_(value)
    ...     average.update()
    >>> average.averages
    [tensor([3.8333])]
    """

    def __init__(self, params: Any, gamma: float = 3.0):
        if gamma < 0:
            raise ValueError(f"PolynomialDecay: gamma must be 0 or more, got {gamma}")
        super().__init__(params)
        self.gamma = gamma

    def weight(self, t: int) -> float:
        return (self.gamma + 1) / (t + self.gamma)


class Stochastic(Average):
    """Stochastic weight averaging: the mean of every `every`-th iterate from number `start` on (Izmailov et al. 2018). Use
    a constant rate, or a cyclic one of that period.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0])
    >>> average = Stochastic([w], every=2)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = w.fill_(value)
    ...     average.update()
    >>> average.averages
    [tensor([3.5000])]
    """

    def __init__(self, params: Any, every: int, start: int = 1):
        if every < 1:
            raise ValueError(f"Stochastic: every must be 1 or more, got {every}")
        super().__init__(params)
        self.every, self.start = every, start

    def weight(self, t: int) -> float:
        after = t - self.start
        if after <= 0:
            return 1.0
        return 0.0 if after % self.every else 1 / (after // self.every + 1)
