"""Stochastic gradient descent with averaged iterates."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options
from tinygrad_lite.optim.stepping import State


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky 1992; docs/lectures.md#item-48).

        p <- p - lambd eta_t p - eta_t g,       eta_1 = lr, eta_t+1 = lr / (1 + lambd lr t)^alpha
        a <- a + mu_t (p - a),                  mu_1 = 1, mu_t+1 = 1 / max(1, t - t0)

    The state holds the average a as "ax".

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> optimizer = ASGD([w], lr=0.5, lambd=0.0, t0=0)
    >>> for g in (4.0, 8.0):
    ...     w.grad = tg.tensor([g])
    ...     optimizer.step()
    >>> w.item(), optimizer.state[w]["ax"].item()
    (2.0, 2.0)
    """

    numbers = ("step", "eta", "mu")

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, lambd: float = 1e-4, alpha: Any = 0.75, t0: float = 1e6, weight_decay: Any = 0,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "eta": group["lr"], "mu": 1, "ax": 0}

    def advance(self, state: State, group: Group) -> Group:
        now = {**super().advance(state, group), "eta": state["eta"].item(), "mu": state["mu"].item()}
        t, lr = state["step"].item(), float(group["lr"])
        state["eta"][...] = lr / (1 + group["lambd"] * lr * t) ** group["alpha"]
        state["mu"][...] = 1 / max(1, t - group["t0"])
        return now

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        eta, mu, a = group["eta"], group["mu"], state["ax"]
        p *= 1 - group["lambd"] * eta
        p -= eta * g
        if mu == 1:
            a[...] = p
        else:
            a += mu * (p - a)
