"""Adam and its family: steps scaled by running moments of the gradient."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.optim.optimizer import Group, Optimizer
from tinygrad_lite.optim.stepping import State


class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba 2015).

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    `amsgrad`: the largest v so far in its place (Reddi et al. 2018). `weight_decay` adds its multiple
    of p to g, or, `decoupled_weight_decay`, p <- (1 - lr weight_decay) p first.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: Any = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def begin(self, group: Group) -> dict[str, float]:
        return {"step": 0, "exp_avg": 0, "exp_avg_sq": 0, **({"max_exp_avg_sq": 0} if group["amsgrad"] else {})}

    def state_names(self) -> set[str]:
        return {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        xp = namespace_of(p)
        (beta1, beta2), t = group["betas"], state["step"].item()
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        if group["amsgrad"]:
            v = xp.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        # m / (sqrt(v) / root + eps) = root m / (sqrt(v) + root eps): one pass fewer
        root = (1 - beta2**t) ** 0.5
        p -= group["lr"] * root / (1 - beta1**t) * m / (xp.sqrt(v) + root * group["eps"])


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

        p <- (1 - lr weight_decay) p, then Adam's step
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: Any = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: Any = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip
