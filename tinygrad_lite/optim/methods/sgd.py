"""Gradient descent with momentum."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import axpby
from tinygrad_lite.ops import clone
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options
from tinygrad_lite.optim.stepping import State


class SGD(Optimizer):
    """Gradient descent (docs/lectures.md#item-3, #item-24, #item-65), with momentum (Polyak 1964;
    docs/lectures.md#item-14).

        v <- momentum v + (1 - dampening) g        (v = g at first)
        p <- p - lr v

    `nesterov`: p <- p - lr (g + momentum v), where p is Nesterov's extended point (1983; docs/lectures.md#item-15).
    `weight_decay` adds weight_decay p to g; `maximize` ascends.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> SGD([w], lr=0.5).step()  # 8 - 0.5 * 4
    >>> w.item()
    6.0
    """

    block, threads = 1 << 20, False  # axpby makes one pass and has its own threads
    numbers = ()
    later = ("momentum_buffer",)

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, momentum: Any = 0, dampening: Any = 0, weight_decay: Any = 0, nesterov: bool = False,
        *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def check(self, group: Group) -> None:
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: Nesterov momentum requires a momentum and zero dampening")

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        momentum = group["momentum"]
        if momentum:
            v = state.get("momentum_buffer")
            if v is None:
                v = state["momentum_buffer"] = clone(g)
            else:
                axpby(1 - group["dampening"], g, momentum, v)
            if group["nesterov"]:
                axpby(-group["lr"], g, 1, p)
                axpby(-group["lr"] * momentum, v, 1, p)
                return
            g = v
        axpby(-group["lr"], g, 1, p)
