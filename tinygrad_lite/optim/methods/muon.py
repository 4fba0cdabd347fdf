"""Muon: steps whose singular values are all near one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options
from tinygrad_lite.optim.stepping import State


class Muon(Optimizer):
    """Orthogonalized momentum, for matrices only (Jordan 2024; a variation, docs/lectures.md#item-81).

        b <- momentum b + (1 - momentum) g
        u = b, or with `nesterov` momentum b + (1 - momentum) g
        p <- (1 - lr weight_decay) p
        p <- p - lr s orthogonalized(u)

    `ns_steps` Newton-Schulz iterations with `ns_coefficients` orthogonalize u = U S V^T to about U V^T. s = sqrt(max(1,
    rows / columns)), or 0.2 sqrt(max(rows, columns)) with `adjust_lr_fn="match_rms_adamw"`.

    >>> import tinygrad_lite as tg
    >>> w = tg.zeros(2, 2, requires_grad=True)
    >>> w.grad = tg.tensor([[4.0, 0.0], [0.0, 2.0]])
    >>> Muon([w], lr=1.0).step()  # like steps in unlike directions
    >>> (w[0, 0] / w[1, 1]).round().item()
    1.0
    """

    elementwise = False
    decoupled = True
    numbers = ()

    def __init__(
        self, params: ParamsT, lr: Any = 1e-3, weight_decay: Any = 0.1, momentum: Any = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def check(self, group: Group) -> None:
        super().check(group)
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Muon: adjust_lr_fn must be 'original' or 'match_rms_adamw', got {group['adjust_lr_fn']!r}")
        if len(group["ns_coefficients"]) != 3 or not 0 <= group["ns_steps"] < 100:
            raise ValueError("Muon: expected three ns_coefficients and fewer than 100 ns_steps")

    def check_parameter(self, p: Any) -> None:
        if p.array.ndim != 2:
            raise ValueError(f"Muon: only matrices have singular values, got a parameter of shape {tuple(p.array.shape)}")

    def begin(self, group: Group) -> dict[str, float]:
        return {"momentum_buffer": 0}

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        b, momentum = state["momentum_buffer"], group["momentum"]
        b += (1 - momentum) * (g - b)
        u = g + momentum * (b - g) if group["nesterov"] else b
        rows, columns = p.shape
        adamw = group["adjust_lr_fn"] == "match_rms_adamw"
        scale = 0.2 * math.sqrt(max(rows, columns)) if adamw else math.sqrt(max(1, rows / columns))
        p -= group["lr"] * scale * orthogonalized(u, group["ns_coefficients"], group["ns_steps"], group["eps"])


def orthogonalized(u: Any, coefficients: tuple[float, float, float], steps: int, eps: float) -> Any:
    """A matrix with the singular vectors of `u` and singular values near one, without computing an SVD:

        x <- a x + (b x x^T + c (x x^T)^2) x,   from x = u / |u|

    in 8-bit precision, as in PyTorch (bfloat16).
    """
    a, b, c = coefficients
    x = _to_8_bits(u.astype(np.float32))
    if x.shape[0] > x.shape[1]:
        x = x.T
    xp = namespace_of(x)
    x = _to_8_bits(x / xp.maximum(_to_8_bits(xp.sqrt((x * x).sum(keepdims=True))), eps))
    for _ in range(steps):
        gram = _to_8_bits(x @ x.T)
        x = _to_8_bits(a * x + _to_8_bits(b * gram + c * (gram @ gram)) @ x)
    return x.T if u.shape[0] > u.shape[1] else x


def _to_8_bits(x: Any) -> Any:
    """float32 rounded to 8 significant bits, ties to even."""
    bits = namespace_of(x).ascontiguousarray(x).view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) & np.uint32(0xFFFF0000)).view(np.float32)
