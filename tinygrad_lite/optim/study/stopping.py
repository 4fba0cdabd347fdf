"""Stopping rules, checked after every update, and the kind of a stationary point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_lite.ops.random.generators import fork_rng
from tinygrad_lite.optim.curvature import Hessian, spectrum
from tinygrad_lite.optim.flat import Flat


class WeightChange:
    """Stop when the weights' relative change over a whole period is below `tol` (docs/lectures.md#item-71):

        |w_t - w_(t - period)| / |w_t| < tol

    Call `update()` after each step; it returns whether to stop. `period`: steps per epoch. `change`: the last measured
    change.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0])
    >>> rule = WeightChange([w], tol=0.1)
    >>> for value in (2.0, 3.0, 3.1):
    ...     w.fill_(value)[0].item(), rule.update()
    (2.0, False)
    (3.0, False)
    (3.0999999046325684, True)
    """

    def __init__(self, params: Sequence[Any], tol: float = 1e-3, period: int = 1):
        _check("WeightChange", tol, period)
        self.flat = Flat(params)
        self.tol, self.period = tol, period
        self.updates, self.change = 0, float("inf")
        self._before = self.flat.values()

    def update(self) -> bool:
        self.updates += 1
        if self.updates % self.period:
            return False
        now = self.flat.values()
        length = float((now * now).sum()) ** 0.5
        distance = float(((now - self._before) ** 2).sum()) ** 0.5
        self.change = distance / length if length else (0.0 if distance == 0 else float("inf"))
        self._before = now
        return self.change < self.tol


class EpochGradient:
    """Stop when the mean of the last `period` gradients is shorter than `tol`, from step `start` on
    (docs/lectures.md#item-72). Single gradients stay long because they are noisy. Call `update()` while the gradients
    exist, after backward or after the step. `mean`: the last mean gradient.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0], requires_grad=True)
    >>> criterion = EpochGradient([w], tol=0.1, period=2)
    >>> for g in (4.0, -4.0):  # each is long, their mean 0
    ...     w.grad = tg.tensor([g])
    ...     print(criterion.update())
    False
    True
    """

    def __init__(self, params: Sequence[Any], tol: float = 1e-3, period: int = 1, start: int = 0):
        _check("EpochGradient", tol, period)
        self.flat = Flat(params)
        self.tol, self.period, self.start = tol, period, start
        self.updates = 0
        self.mean: Any = None
        self._sum: Any = 0

    def update(self) -> bool:
        self.updates += 1
        self._sum = self._sum + self.flat.gradient()
        if self.updates % self.period:
            return False
        self.mean, self._sum = self._sum / self.period, 0
        return self.updates >= self.start and float((self.mean**2).sum()) ** 0.5 < self.tol


def _check(name: str, tol: float, period: int) -> None:
    if not tol > 0 or not isinstance(period, int) or period < 1:
        raise ValueError(f"{name}: expected tol > 0 and a period of 1 or more, got {tol} and {period}")


class EarlyStopping:
    """Stop when a metric has not improved by `min_delta` for more than `patience` calls of `update(metric)`.

    With `params`, the best values so far are kept; `restore()` puts them back.

    >>> rule = EarlyStopping(patience=1)
    >>> [rule.update(loss) for loss in (3.0, 2.0, 2.5, 2.1)]
    [False, False, False, True]
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0, mode: str = "min", params: Sequence[Any] | None = None):
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: mode must be 'min' or 'max', got {mode!r}")
        if patience < 0 or min_delta < 0:
            raise ValueError(f"EarlyStopping: patience and min_delta must be 0 or more, got {patience} and {min_delta}")
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.best = float("inf") if mode == "min" else -float("inf")
        self.bad = 0
        self.flat = None if params is None else Flat(params)
        self._values: Any = None

    def update(self, metric: Any) -> bool:
        value = float(metric)
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.bad = value, 0
            self._values = None if self.flat is None else self.flat.values()
        else:  # nan is not an improvement
            self.bad += 1
        return self.bad > self.patience

    def restore(self) -> None:
        """Restore the parameters to their values at the best metric."""
        if self.flat is None or self._values is None:
            raise RuntimeError("EarlyStopping: nothing to restore; pass params and call update first")
        self.flat.write(self._values, "EarlyStopping.restore")


def kind_of_point(loss: Any, params: Sequence[Any], tol: float = 1e-3, steps: int = 40) -> str:
    """The kind of point `loss` is at: "slope" if the gradient is longer than `tol`; otherwise, by the extreme eigenvalues
    of the Hessian, "minimum", "saddle", "maximum", or "plateau" if none is larger than `tol`. A small gradient alone is no
    reason to stop (docs/lectures.md#item-61). Terms of third order are not seen: u² + v³ counts as a minimum at 0.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([0.0, 0.0], requires_grad=True)
    >>> kind_of_point(w[0] ** 2 - w[1] ** 2, [w])
    'saddle'
    """
    hessian = Hessian(loss, params)
    if float((hessian.gradient**2).sum()) ** 0.5 > tol:
        return "slope"
    with fork_rng():
        smallest, largest, _ = spectrum(hessian.__matmul__, hessian.gradient, steps)
    if max(-smallest, largest) <= tol:
        return "plateau"
    if smallest < -tol:
        return "saddle" if largest > tol else "maximum"
    return "minimum"
