"""Adafactor: Adam with factored second moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options
from tinygrad_lite.optim.stepping import State, as_number


class Adafactor(Optimizer):
    """Adam's scaling in sublinear memory (Shazeer and Stern 2018; a variation, docs/lectures.md#item-81).

        r <- r + t^beta2_decay (mean over columns of g^2 - r),  c likewise over rows
        v = r c / mean(r)                               (a vector keeps v itself)
        u = g / sqrt(max(v, eps1^2))
        p <- (1 - lr weight_decay) p
        p <- p - max(eps2, rms(p)) min(lr, 1 / sqrt(t)) u / max(1, rms(u) / d)

    `eps` = (eps1, eps2); eps1=None uses the machine epsilon of the dtype. Dims before the last two are batch dims.

    >>> import tinygrad_lite as tg
    >>> w = tg.ones(100, 50, requires_grad=True)
    >>> w.grad = tg.ones(100, 50)
    >>> optimizer = Adafactor([w])
    >>> optimizer.step()
    >>> [tuple(v.shape) for v in optimizer.state[w].values()]
    [(), (100, 1), (1, 50)]
    """

    elementwise = False

    def __init__(
        self, params: ParamsT, lr: Any = 1e-2, beta2_decay: Any = -0.8, eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0,
        weight_decay: Any = 0.0,
        *, foreach: bool | None = None, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, options(locals()))

    def check(self, group: Group) -> None:
        eps = group["eps"]
        if not isinstance(eps, (tuple, list)) or len(eps) != 2:
            raise TypeError(f"Adafactor: eps must be (a number or None, a number), got {eps!r}")
        super().check({**group, "eps": eps[1]})
        if group["beta2_decay"] > 0 or group["d"] < 1 or (eps[0] is not None and eps[0] < 0):
            raise ValueError(
                "Adafactor: expected beta2_decay of 0 or less, d of 1 or more and eps of 0 or more, "
                f"got {group['beta2_decay']}, {group['d']} and {eps}"
            )

    def start(self, p: Any, group: Group) -> State:
        zeros = namespace_of(p).zeros
        if p.ndim < 2:
            return {"step": as_number(0), "variance": zeros(p.shape, p.dtype)}
        rows, columns = (*p.shape[:-1], 1), (*p.shape[:-2], 1, p.shape[-1])
        return {"step": as_number(0), "row_var": zeros(rows, p.dtype), "col_var": zeros(columns, p.dtype)}

    def apply(self, p: Any, g: Any, state: State, group: Group) -> None:
        if not p.size:
            return  # the mean of an empty array is nan
        if group["maximize"]:
            g = -g
        size = _rms(p)  # before weight decay
        p *= 1 - group["lr"] * group["weight_decay"]
        self.update(p, g, state, {**group, "size": size})

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        xp, t, (eps1, eps2) = namespace_of(p), state["step"].item(), group["eps"]
        eps1 = float(np.finfo(p.dtype).eps) if eps1 is None else eps1
        rate, squares = t ** group["beta2_decay"], g * g
        if p.ndim < 2:
            state["variance"] += rate * (squares - state["variance"])
            v = state["variance"]
        else:
            r, c = state["row_var"], state["col_var"]
            r += rate * (squares.mean(axis=-1, keepdims=True) - r)
            c += rate * (squares.mean(axis=-2, keepdims=True) - c)
            v = r * c / xp.maximum(r.mean(axis=-2, keepdims=True), eps1)
        u = g / xp.sqrt(xp.maximum(v, eps1 * eps1))
        step = xp.maximum(eps2, group["size"]) * min(group["lr"], t**-0.5)
        p -= step / xp.maximum(1.0, _rms(u) / group["d"]) * u


def _rms(x: Any) -> Any:
    """The root mean square, as a 0-d array, so that a GPU need not synchronize."""
    return ((x * x).sum() / max(x.size, 1)) ** 0.5
