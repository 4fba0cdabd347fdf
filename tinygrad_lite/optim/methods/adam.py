"""Adam and its variants: steps scaled by running moments of the gradient."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops import abs, clone, maximum, sqrt
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options
from tinygrad_lite.optim.stepping import State


def _moments(g: Any, state: State, betas: tuple[float, float]) -> tuple[Any, Any]:
    """Update the running means of g and g^2:

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
    """
    (beta1, beta2), m, v = betas, state["exp_avg"], state["exp_avg_sq"]
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
    return m, v


class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba 2015; docs/lectures.md#item-N2).

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    `amsgrad` uses the largest v so far instead of v (Reddi et al. 2018). `weight_decay` adds weight_decay p to g; with
    `decoupled_weight_decay`, p <- (1 - lr weight_decay) p comes first instead.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0, 8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0, -0.01])
    >>> Adam([w], lr=0.5).step()  # the first step is lr long, however large g is
    >>> w
    tensor([7.5000, 8.5000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: Any = 0, amsgrad: bool = False,
        *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None, decoupled_weight_decay: bool = False,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def check(self, group: Group) -> None:
        super().check(group)
        lr, betas = self.defaults["lr"], self.defaults["betas"]
        tensors = [isinstance(beta, Traced) for beta in betas] if isinstance(betas, (tuple, list)) else [False]
        if len(set(tensors)) > 1:
            raise ValueError(f"{self._name}: betas must be either two numbers or two Tensors, got {betas}")
        if (tensors[0] or isinstance(lr, Traced)) and group["foreach"] and not group["capturable"]:
            raise ValueError(f"{self._name}: a Tensor as lr or in betas needs capturable=True where foreach=True")

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "exp_avg": 0, "exp_avg_sq": 0, **({"max_exp_avg_sq": 0} if group["amsgrad"] else {})}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        (beta1, beta2), t = group["betas"], state["step"].item()
        m, v = _moments(g, state, group["betas"])
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            largest[...] = v = maximum(clone(largest), v)  # differentiable=True needs the copy
        # m / (sqrt(v) / root + eps) = root m / (sqrt(v) + root eps) saves a pass
        root = (1 - beta2**t) ** 0.5
        p -= group["lr"] * root / (1 - beta1**t) * m / (sqrt(v) + root * group["eps"])


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019; docs/lectures.md#item-N5).

        p <- p - lr weight_decay p, then Adam's step

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> AdamW([w], lr=0.5, weight_decay=0.5).step()  # 8 - 0.5 * 0.5 * 8 - 0.5
    >>> w
    tensor([5.5000], requires_grad=True)
    """

    decoupled = True  # even if an Adam's options are loaded

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: Any = 1e-2,
        amsgrad: bool = False,
        *, maximize: bool = False, foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip


class NAdam(Optimizer):
    """Adam with Nesterov momentum (Dozat 2016; docs/lectures.md#item-15, #item-N2).

        mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr ((1 - mu_t) / (1 - mu_1...mu_t) g + mu_t+1 / (1 - mu_1...mu_t+1) m) / (sqrt(v / (1 - beta2^t)) + eps)

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> NAdam([w], lr=0.5, betas=(0.0, 0.999)).step()  # without momentum Adam's step
    >>> w
    tensor([7.5000], requires_grad=True)
    """

    numbers = ("step", "mu_product")

    def __init__(
        self, params: ParamsT, lr: Any = 2e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: Any = 0,
        momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False,
        *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "mu_product": 1, "exp_avg": 0, "exp_avg_sq": 0}

    def advance(self, state: State, group: Group) -> Group:
        super().advance(state, group)
        t, beta1, decay = state["step"].item(), group["betas"][0], group["momentum_decay"]
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (k * decay)) for k in (t, t + 1))
        state["mu_product"] *= mu
        product = state["mu_product"].item()
        return {**group, "of_g": (1 - mu) / (1 - product), "of_m": mu_next / (1 - product * mu_next)}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        m, v = _moments(g, state, group["betas"])
        root = sqrt(v / (1 - group["betas"][1] ** state["step"].item()))
        p -= group["lr"] * (group["of_g"] * g + group["of_m"] * m) / (root + group["eps"])


class RAdam(Optimizer):
    """Rectified Adam: scaling starts once its variance is small enough (Liu et al. 2020; a variation,
    docs/lectures.md#item-81).

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        rho_t = rho - 2 t beta2^t / (1 - beta2^t),   rho = 2 / (1 - beta2) - 1
        p <- p - lr m / (1 - beta1^t) * (r_t sqrt(1 - beta2^t) / (sqrt(v) + eps) if rho_t > 5 else 1)

    with r_t^2 = (rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t).

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> RAdam([w], lr=0.5).step()  # not scaled yet: 8 - 0.5 * 4
    >>> w
    tensor([6.], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: Any = 0,
        decoupled_weight_decay: bool = False,
        *, foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "exp_avg": 0, "exp_avg_sq": 0}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        (beta1, beta2), t, lr = group["betas"], state["step"].item(), group["lr"]
        m, v = _moments(g, state, group["betas"])
        rest = 1 - beta2**t
        rho = 2 / (1 - beta2) - 1
        rho_t = rho - 2 * t * beta2**t / rest
        if rho_t > 5:
            r = ((rho_t - 4) * (rho_t - 2) * rho / ((rho - 4) * (rho - 2) * rho_t)) ** 0.5
            p -= lr * r * rest**0.5 / (1 - beta1**t) * m / (sqrt(v) + group["eps"])
        else:
            p -= lr / (1 - beta1**t) * m


class Adamax(Optimizer):
    """Adam with an infinity-norm second moment (Kingma and Ba 2015; docs/lectures.md#item-N2).

        m <- beta1 m + (1 - beta1) g
        u <- max(beta2 u, |g| + eps)
        p <- p - lr / (1 - beta1^t) m / u

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> Adamax([w], lr=0.5).step()  # m / (1 - beta1) = 4 = u
    >>> w
    tensor([7.5000], requires_grad=True)
    """

    def __init__(
        self, params: ParamsT, lr: Any = 2e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: Any = 0,
        foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "exp_avg": 0, "exp_inf": 0}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        (beta1, beta2), t = group["betas"], state["step"].item()
        m, u = state["exp_avg"], state["exp_inf"]
        m += (1 - beta1) * (g - m)
        u[...] = maximum(beta2 * u, abs(g) + group["eps"])
        p -= group["lr"] / (1 - beta1**t) * m / u
