"""The effective step size of each coordinate."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import errstate
from tinygrad_lite.optim.optimizer import Optimizer


class EffectiveRates:
    """Records |change| / |gradient| of every coordinate after each step of an optimizer (docs/lectures.md#item-13).
    `rates[p]` is an array of p's shape, nan where the gradient is 0.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0, 1.0], requires_grad=True)
    >>> recorder = EffectiveRates(optimizer := tg.optim.SGD([w], lr=0.5))
    >>> w.grad = tg.tensor([0.25, 2.0])
    >>> optimizer.step()
    >>> recorder.rates[w]
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, optimizer: Optimizer):
        self.rates: dict[Any, Any] = {}
        self._before: dict[Any, tuple[Any, Any]] = {}
        self.handles = (
            optimizer.register_step_pre_hook(self._remember),
            optimizer.register_step_post_hook(self._compare),
        )

    def _remember(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        params = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self._before = {p: (p.array.copy(), p.grad.array.copy()) for p in params}

    def _compare(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        token = None
        try:
            token = errstate.enter()
            self.rates = {p: abs((p.array - before) / g) for p, (before, g) in self._before.items()}
        finally:
            errstate.leave(token) if token is not None else errstate.lost()

    def remove(self) -> None:
        """Stop recording."""
        for handle in self.handles:
            handle.remove()
