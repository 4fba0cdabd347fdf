"""Momentum methods in the lectures' conventions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.ops import clone
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options
from tinygrad_lite.optim.stepping import State, begin


class Momentum(Optimizer):
    """Classical momentum (Rumelhart, Hinton, Williams 1986; docs/lectures.md#item-14), with the velocity in the parameter's
    unit:

        d <- momentum d - lr g
        p <- p + d

    While lr is constant, its steps equal those of SGD(lr, momentum).

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> optimizer = Momentum([w], lr=0.5, momentum=0.5)
    >>> for _ in range(2):  # steps of 2 and 2 + 0.5 * 2
    ...     optimizer.step()
    >>> w.item()
    3.0
    """

    def __init__(self, params: ParamsT, lr: Any = 1e-3, momentum: Any = 0.9, *, weight_decay: Any = 0, maximize: bool = False):
        super().__init__(params, options(locals()))

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "velocity": 0}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        d = state["velocity"]
        d *= group["momentum"]
        d -= group["lr"] * g
        p += d


class HeavyBall(Optimizer):
    """The heavy-ball method (Polyak 1964; docs/lectures.md#item-79, equation 27).

        p <- p - gamma lr g + (1 - gamma) (p - p_before)

    Unrolled, the step is -gamma lr sum over k of (1 - gamma)^k g_(t-k) (docs/lectures.md#item-80), the same as with
    SGD(lr=gamma lr, momentum=1 - gamma).

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> optimizer = HeavyBall([w], lr=1.0, gamma=0.5)
    >>> for _ in range(3):  # steps of 2, 2 + 1, 2 + 1.5
    ...     optimizer.step()
    ...     print(w.item())
    6.0
    3.0
    -0.5
    """

    later = ("previous",)

    def __init__(self, params: ParamsT, lr: Any = 1e-3, gamma: Any = 0.1, *, weight_decay: Any = 0, maximize: bool = False):
        super().__init__(params, options(locals()))

    def check(self, group: Group) -> None:
        super().check(group)
        if not 0 < group["gamma"] <= 1:
            raise ValueError(f"HeavyBall: gamma must be in (0, 1], got {group['gamma']}")

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        gamma, before = group["gamma"], state.get("previous")
        step = -gamma * group["lr"] * g
        if before is None:
            state["previous"] = clone(p)
        else:
            step += (1 - gamma) * (p - before)
            before[...] = p
        p += step


class Nesterov(Momentum):
    """Nesterov's accelerated gradient (1983; docs/lectures.md#item-15), with the gradient at the extended point:

        e = p + momentum d
        d <- momentum d - lr g(e)
        p <- p + d

    `step(closure)` evaluates the closure at e. Without a closure, evaluate there yourself:

        with optimizer.extended():
            loss(model).backward()
        optimizer.step()

    While lr is constant, e follows the same path as the parameter of SGD(nesterov=True).

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> optimizer = Nesterov([w], lr=0.25, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     with optimizer.extended():
    ...         print(w.item())
    ...         (w * w).sum().backward()
    ...     optimizer.step()
    8.0
    2.0
    >>> w.item()
    1.0
    """

    @contextlib.contextmanager
    def extended(self) -> Iterator[None]:
        """Inside this block the parameters are at the extended point; compute gradients there."""
        moved = []
        for group in self.param_groups:
            numbers = self.numbers_of(group)
            for p in group["params"]:
                begin(self, p, numbers)
                moved.append((p, p.array.copy()))
                p.array[...] += numbers["momentum"] * self._state[p]["velocity"].array
                changed_in_place(p.array, "Nesterov.extended")
        try:
            yield
        finally:
            for p, values in moved:
                p.array[...] = values
                changed_in_place(p.array, "Nesterov.extended")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with self.extended(), enable_grad():
                loss = closure()
        super().step()
        return loss


CONVENTIONS = ("pytorch", "classical", "gamma", "average")


def convert_momentum(lr: float, momentum: float, source: str, target: str = "pytorch") -> tuple[float, float]:
    """The two numbers of a momentum method in another convention, with the same steps.

    | convention  | step                                                     | numbers       | as PyTorch's               |
    |-------------|----------------------------------------------------------|---------------|----------------------------|
    | "pytorch"   | v <- momentum v + g;  p <- p - lr v                      | lr, momentum  | lr, momentum               |
    | "classical" | d <- momentum d - lr g;  p <- p + d                      | lr, momentum  | lr, momentum               |
    | "gamma"     | p <- p - gamma lr g + (1 - gamma) (p - p_before)         | lr, gamma     | gamma lr, 1 - gamma        |
    | "average"   | m <- momentum m + (1 - momentum) g;  p <- p - lr m       | lr, momentum  | (1 - momentum) lr, momentum |

    When lr changes, "pytorch" and "average" apply the new rate to all past gradients, the other two only to new ones.
    SGD(dampening=momentum) is "average" except for its first step, which PyTorch does not dampen.

    >>> convert_momentum(1.0, 0.25, "gamma")
    (0.25, 0.75)
    """
    for name in (source, target):
        if name not in CONVENTIONS:
            raise ValueError(f"convert_momentum: expected one of {', '.join(CONVENTIONS)}, got {name!r}")
    if source == "gamma":
        lr, momentum = momentum * lr, 1 - momentum
    elif source == "average":
        lr = (1 - momentum) * lr
    if not 0 <= momentum < 1:
        raise ValueError(f"convert_momentum: momentum must be in [0, 1), a gamma in (0, 1]; got a momentum of {momentum:g}")
    if target == "gamma":
        return lr / (1 - momentum), 1 - momentum
    return (lr / (1 - momentum), momentum) if target == "average" else (lr, momentum)
