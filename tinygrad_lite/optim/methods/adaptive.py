"""Steps scaled by the size of past gradients: Adagrad, RMSprop, Adadelta."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.ops import sqrt
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options
from tinygrad_lite.optim.stepping import State, begin


class Adagrad(Optimizer):
    """Steps scaled by the sum of all past squared gradients (Duchi, Hazan, Singer 2011; docs/lectures.md#item-N2).

        s <- s + g^2
        p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    s starts at `initial_accumulator_value`.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> Adagrad([w], lr=0.5, initial_accumulator_value=9.0).step()  # 8 - 0.5 * 4 / sqrt(9 + 4^2)
    >>> w
    tensor([7.6000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, lr_decay: Any = 0, weight_decay: Any = 0, initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(params, options(locals()))
        for group in self.param_groups:  # as in PyTorch, the state exists before the first step
            for p in group["params"]:
                begin(self, p, self.numbers_of(group))

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "sum": group["initial_accumulator_value"]}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        s, t = state["sum"], state["step"].item()
        s += g * g
        p -= group["lr"] / (1 + (t - 1) * group["lr_decay"]) * g / (sqrt(s) + group["eps"])


class RMSprop(Optimizer):
    """Steps scaled by a running mean of squared gradients (Tieleman and Hinton 2012; docs/lectures.md#item-N2).

        v <- alpha v + (1 - alpha) g^2
        p <- p - lr g / (sqrt(v) + eps)

    `centered` replaces v in the root by v - a^2, where a <- alpha a + (1 - alpha) g (Graves 2013). With `momentum`, b <-
    momentum b + g / (sqrt(v) + eps) and p <- p - lr b.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> RMSprop([w], lr=0.5, alpha=0.75).step()  # 8 - 0.5 * 4 / sqrt(0.25 * 4^2)
    >>> w
    tensor([7.], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, alpha: Any = 0.99, eps: float = 1e-8, weight_decay: Any = 0, momentum: Any = 0,
        centered: bool = False,
        capturable: bool = False, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def begin(self, group: Group) -> dict[str, float]:
        names = ["step", "square_avg"]
        names += ["momentum_buffer"] if group["momentum"] > 0 else []
        names += ["grad_avg"] if group["centered"] else []
        return dict.fromkeys(names, 0)

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        alpha, v = group["alpha"], state["square_avg"]
        v *= alpha
        v += (1 - alpha) * g * g
        if group["centered"]:
            a = state["grad_avg"]
            a += (1 - alpha) * (g - a)
            v = v - a * a
        scaled = g / (sqrt(v) + group["eps"])
        if group["momentum"] > 0:
            b = state["momentum_buffer"]
            b *= group["momentum"]
            b += scaled
            scaled = b
        p -= group["lr"] * scaled


class Adadelta(Optimizer):
    """Steps in the parameter's own unit, from running means of squared gradients and squared steps (Zeiler 2012;
    docs/lectures.md#item-N2).

        v <- rho v + (1 - rho) g^2
        d = sqrt(u + eps) / sqrt(v + eps) g
        u <- rho u + (1 - rho) d^2
        p <- p - lr d

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> Adadelta([w], rho=0.75, eps=1.0).step()  # 8 - sqrt(0 + 1) / sqrt(4 + 1) * 4
    >>> w
    tensor([6.2111], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1.0, rho: Any = 0.9, eps: float = 1e-6, weight_decay: Any = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "square_avg": 0, "acc_delta": 0}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        rho, eps = group["rho"], group["eps"]
        v, u = state["square_avg"], state["acc_delta"]
        v *= rho
        v += (1 - rho) * g * g
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u *= rho
        u += (1 - rho) * d * d
        p -= group["lr"] * d
