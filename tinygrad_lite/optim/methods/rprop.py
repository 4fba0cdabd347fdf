"""Step sizes per coordinate: Rprop uses signs, QuickProp secants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite.ops import abs, clamp, sign, where
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options
from tinygrad_lite.optim.stepping import State

_VARIANTS = ("irprop-", "rprop-", "rprop+", "irprop+")


class Rprop(Optimizer):
    """Resilient propagation, which uses only the signs of g (Riedmiller and Braun 1993; docs/lectures.md#item-20).

        d <- clamp(d eta+) where g has kept its sign, clamp(d eta-) where it has changed
        p <- p - sign(g) d

    `etas` = (eta-, eta+). `step_sizes`: the bounds of d, which starts at `lr`. `variant` (Igel and Huesken 2003) decides
    about coordinates whose g has changed sign, that is, which jumped over a minimum. "irprop-" (PyTorch's): they pause for
    one step, and the next g counts as the first. "rprop-": they move on. "rprop+": they undo their last step, and the next
    g counts as the first. "irprop+": as "rprop+", but only if the loss has risen; `step` then needs a closure.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0, 8.0], requires_grad=True)
    >>> w.grad = tg.tensor([400.0, -0.1])
    >>> Rprop([w], lr=0.5).step()  # the sign of g alone
    >>> w
    tensor([7.5000, 8.5000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, etas: Any = (0.5, 1.2), step_sizes: Any = (1e-6, 50),
        *, capturable: bool = False, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        variant: str = "irprop-",
    ):  # fmt: skip
        if variant not in _VARIANTS:
            raise ValueError(f"Rprop: variant must be one of {', '.join(_VARIANTS)}, got {variant!r}")
        defaults = options(locals())
        if variant == "irprop-":  # no entry, so that the state is PyTorch's
            del defaults["variant"]
        super().__init__(params, defaults)

    def check(self, group: Group) -> None:
        super().check(group)
        low, high = group["etas"]
        if not 0 < low < 1 < high:
            raise ValueError(f"Rprop: etas must be (a number in (0, 1), a number above 1), got {group['etas']}")

    def begin(self, group: Group) -> dict[str, float]:
        backtracks = {"last_step": 0} if group.get("variant", "").endswith("+") else {}
        return {"step": 0, "prev": 0, "step_size": group["lr"], **backtracks}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        if self.defaults.get("variant") == "irprop+":
            if closure is None:
                raise TypeError("Rprop: variant 'irprop+' compares losses: step needs a closure that returns the loss")
            evaluate = closure

            def closure() -> Any:
                loss = evaluate()
                for group in self.param_groups:
                    group["risen"] = float(loss) > group.get("last_loss", float("inf"))
                    group["last_loss"] = float(loss)
                return loss

        return super().step(closure)

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        previous, d, variant = state["prev"], state["step_size"], group.get("variant", "irprop-")
        agreement = g * previous
        shrinks, grows = group["etas"]
        d[...] = clamp(where(agreement > 0, grows * d, where(agreement < 0, shrinks * d, d)), *group["step_sizes"])
        if variant != "rprop-":
            g = where(agreement < 0, 0.0, g)
        step = -sign(g) * d
        if variant.endswith("+"):
            last = state["last_step"]
            if variant == "rprop+" or group["risen"]:
                step = where(agreement < 0, -last, step)
            last[...] = step
        p += step
        previous[...] = g


class QuickProp(Optimizer):
    """The minimum of the parabola through two slopes, for each coordinate (Fahlman 1988; docs/lectures.md#item-20).

        s = g / (g_before - g), at most `max_growth`; also `max_growth` where the slope has kept its sign
            and not fallen (the parabola opens downwards)
        d <- s d,  or -lr g where d is 0, as at first
        p <- p + d

    On a quadratic with a diagonal Hessian, a step not limited by `max_growth` reaches the minimum.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> optimizer = QuickProp([w], lr=0.25)
    >>> for _ in range(2):  # of w^2: a plain step, then to the minimum of the parabola
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w.item()
    0.0
    """

    def __init__(self, params: ParamsT, lr: Any = 1e-2, max_growth: Any = 1.75, *, weight_decay: Any = 0, maximize: bool = False):
        super().__init__(params, options(locals()))

    def check(self, group: Group) -> None:
        super().check(group)
        if not group["max_growth"] > 0:
            raise ValueError(f"QuickProp: max_growth must be above 0, got {group['max_growth']}")

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "prev": 0, "last_step": 0}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        before, d, most = state["prev"], state["last_step"], group["max_growth"]
        same = g * before > 0
        fallen = where(same, abs(g) < abs(before), g != before)
        s = where(fallen, g / where(fallen, before - g, 1.0), most)
        s = clamp(s, -most, most)
        d[...] = where(d == 0, -group["lr"] * g, s * d)
        p += d
        before[...] = g
