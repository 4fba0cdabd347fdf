"""L-BFGS: quasi-Newton steps from the last few gradients, without a Hessian."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.optim.flat import Flat
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options

Evaluate = Callable[[float], tuple[float, Any]]  # step length -> loss and gradient


class LBFGS(Optimizer):
    """Limited-memory BFGS (Liu and Nocedal 1989; docs/lectures.md#item-58), on all parameters as one vector.

        d = -H g,  H from the last `history_size` pairs of steps s and gradient changes y
        p <- p + t d

    `step(closure)` makes up to `max_iter` such iterations with up to `max_eval` evaluations (default: 1.25 max_iter); the
    closure clears the gradients, computes the loss, calls backward and returns the loss. t is `lr` (in the very first
    iteration min(1, 1 / |g|_1) lr) or, with `line_search_fn="strong_wolfe"`, the result of a line search that starts there.
    A step ends when |g|_max <= tolerance_grad, or when the step or the change of the loss is below tolerance_change.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0, -8.0], requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - tg.tensor([1.0, 2.0])) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> _ = optimizer.step(closure)
    >>> w.detach().round(decimals=3)
    tensor([1., 2.])
    """

    numbers = ()

    def __init__(
        self, params: ParamsT, lr: Any = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ):  # fmt: skip
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError(f"LBFGS: line_search_fn must be None or 'strong_wolfe', got {line_search_fn!r}")
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, options(locals()))

    def check(self, group: Group) -> None:
        super().check(group)
        for name in ("max_iter", "max_eval", "history_size"):
            if not isinstance(group[name], int):
                raise TypeError(f"LBFGS: {name} must be an integer, got {group[name]!r}")

    def add_param_group(self, param_group: Group) -> None:
        if self.param_groups:
            raise ValueError("LBFGS: all parameters are one vector, there can be only one parameter group")
        super().add_param_group(param_group)

    def _expected(self, p: Any, group: Group) -> tuple[dict[str, Any], dict[str, Any]]:
        size = (sum(q.array.size for q in self.param_groups[0]["params"]),)
        vectors = dict.fromkeys(("d", "prev_flat_grad", "old_dirs", "old_stps"), size)
        return {}, {**vectors, **dict.fromkeys(("func_evals", "n_iter", "t", "ro", "al", "H_diag", "prev_loss"))}

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Run up to `max_iter` iterations; returns the loss before the first."""
        group = self.numbers_of(self.param_groups[0])
        params = self.param_groups[0]["params"]
        flat = Flat(params)
        state = self._state[params[0]]  # PyTorch keeps the whole state at the first parameter
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate() -> Any:
            state["func_evals"] += 1
            with enable_grad():
                return closure()

        first_loss = evaluate()
        loss, g = float(first_loss), flat.gradient()
        if not self._may_step() or abs(g).max() <= group["tolerance_grad"]:
            return first_loss
        memory = _Memory(state, group["history_size"])
        begun_with = state["func_evals"] - 1
        for i in range(group["max_iter"]):
            state["n_iter"] += 1
            lr = float(group["lr"])
            if state["n_iter"] == 1:
                d, t = -g, min(1.0, 1.0 / float(abs(g).sum())) * lr
            else:
                memory.add(g - memory.g, memory.t * memory.d)
                d, t = memory.direction(g), lr
            memory.g, memory.loss, memory.d, memory.t = g, loss, d, t
            slope = float(g @ d)
            if slope > -group["tolerance_change"]:
                break
            if group["line_search_fn"] is not None:
                start = flat.values()

                def along(t: float, d: Any = d, start: Any = start) -> tuple[float, Any]:
                    flat.write(start + t * d, self.step_name)
                    return float(evaluate()), flat.gradient()

                most = group["max_eval"] - (state["func_evals"] - begun_with)
                loss, g, t = strong_wolfe(along, t, loss, g, slope, d, most=most)
                memory.t = t
                flat.write(start + t * d, self.step_name)
            else:
                flat.write(flat.values() + t * d, self.step_name)
                if i + 1 < group["max_iter"]:
                    loss, g = float(evaluate()), flat.gradient()
            if (
                state["func_evals"] - begun_with >= group["max_eval"]
                or abs(g).max() <= group["tolerance_grad"]
                or abs(t * d).max() <= group["tolerance_change"]
                or abs(loss - memory.loss) < group["tolerance_change"]
            ):
                break
        memory.store(state)
        return first_loss


class _Memory:
    """The last steps and gradient changes, stored in the state under PyTorch's names."""

    def __init__(self, state: dict[str, Any], size: int):
        self.size = size
        self.ys = [y.array for y in state.get("old_dirs", [])]
        self.steps = [s.array for s in state.get("old_stps", [])]
        self.scale = float(state.get("H_diag", 1.0))
        self.g: Any = state["prev_flat_grad"].array if "prev_flat_grad" in state else None
        self.d: Any = state["d"].array if "d" in state else None
        self.t = float(state.get("t", 0))  # a Tensor if lr was one, as in PyTorch
        self.loss: Any = state.get("prev_loss")
        self.projections: list[float] = []

    def add(self, y: Any, s: Any) -> None:
        """Store a gradient change and its step, if the curvature along the step is positive."""
        curvature = float(y @ s)
        if curvature > 1e-10:
            self.ys, self.steps = [*self.ys, y][-self.size :], [*self.steps, s][-self.size :]
            self.scale = curvature / float(y @ y)

    def direction(self, g: Any) -> Any:
        """-H g by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4)."""
        q, seen = -g, []
        for y, s in zip(reversed(self.ys), reversed(self.steps)):
            a = float(s @ q) / float(y @ s)
            q = q - a * y
            seen.append(a)
        q = self.scale * q
        self.projections = seen[::-1]
        for y, s, a in zip(self.ys, self.steps, self.projections):
            q = q + (a - float(y @ q) / float(y @ s)) * s
        return q

    def store(self, state: dict[str, Any]) -> None:
        state["d"], state["t"] = traced(self.d), self.t
        state["old_dirs"], state["old_stps"] = list(map(traced, self.ys)), list(map(traced, self.steps))
        state["ro"] = [self._number(1 / float(y @ s)) for y, s in zip(self.ys, self.steps)]
        state["H_diag"] = self._number(self.scale) if self.ys else 1
        state["prev_flat_grad"], state["prev_loss"] = traced(self.g), self.loss
        if self.projections or "al" in state:
            used = list(map(self._number, self.projections))
            state["al"] = used + [None] * (self.size - len(used))

    def _number(self, value: float) -> Any:
        return traced(namespace_of(self.g).asarray(value, self.g.dtype))


def cubic_minimum(x: float, f: float, slope: float, y: float, h: float, slope_y: float, low: float, high: float) -> float:
    """The minimum in [low, high] of the cubic with these values and slopes at x and y; the midpoint if it has none."""
    if x > y:
        x, f, slope, y, h, slope_y = y, h, slope_y, x, f, slope
    a = slope + slope_y - 3 * (f - h) / (x - y) if x != y else math.nan
    square = a * a - slope * slope_y
    if not square >= 0:
        return (low + high) / 2
    root = square**0.5
    below = slope_y - slope + 2 * root
    best = y - (y - x) * ((slope_y + root - a) / below) if below else math.nan
    return float(min(max(best, low), high))


def strong_wolfe(
    along: Evaluate, t: float, loss: float, g: Any, slope: float, d: Any, *,
    decrease: float = 1e-4, flatten: float = 0.9, tolerance: float = 1e-9, most: int = 25,
) -> tuple[float, Any, float]:  # fmt: skip
    """Find a step t along d that satisfies the strong Wolfe conditions, given the `loss`, gradient `g` and slope g @ d at
    the start:

        loss(t) <= loss + decrease t slope,    |slope(t)| <= flatten |slope|

    First finds a bracket around such a step, then narrows it (Nocedal and Wright 2006, algorithms 3.5 and 3.6). Returns the
    loss and gradient at t, and t; after `most` trials, the best end of the bracket.
    """
    # A point: (t, loss, gradient, slope).
    before = (0.0, loss, g, slope)
    bracket: list[tuple[float, float, Any, float]] = []
    point = (t, *_with_slope(along(t), d))
    trials, found = 0, False
    while trials < most:
        t, f, _, s = point
        if f > loss + decrease * t * slope or (trials > 1 and f >= before[1]):
            bracket = [before, point]
        elif abs(s) <= -flatten * slope:
            bracket, found = [point], True
        elif s >= 0:
            bracket = [before, point]
        if bracket:
            break
        longer = cubic_minimum(before[0], before[1], before[3], t, f, s, t + 0.01 * (t - before[0]), 10 * t)
        before, point = point, (longer, *_with_slope(along(longer), d))
        trials += 1
    else:
        bracket = [(0.0, loss, g, slope), point]

    near_end = False  # the last trial was too near an end of the bracket
    longest = float(abs(d).max())
    low = _lower(bracket)
    while not found and trials < most:
        (t0, f0, _, s0), (t1, f1, _, s1) = bracket
        first, last = min(t0, t1), max(t0, t1)
        if (last - first) * longest < tolerance:
            break
        t = cubic_minimum(t0, f0, s0, t1, f1, s1, first, last)
        margin = 0.1 * (last - first)
        if min(last - t, t - first) < margin:
            if near_end or t >= last or t <= first:
                t = last - margin if abs(t - last) < abs(t - first) else first + margin
                near_end = False
            else:
                near_end = True
        else:
            near_end = False
        t, f, g, s = point = (t, *_with_slope(along(t), d))
        trials += 1
        if f > loss + decrease * t * slope or f >= bracket[low][1]:
            bracket[1 - low] = point
            low = _lower(bracket)
        else:
            found = abs(s) <= -flatten * slope
            if not found and s * (bracket[1 - low][0] - bracket[low][0]) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = point
    t, loss, g, _ = bracket[low]
    return loss, g, t


def _lower(bracket: list[tuple[float, float, Any, float]]) -> int:
    return 0 if bracket[0][1] <= bracket[-1][1] else 1


def _with_slope(value: tuple[float, Any], d: Any) -> tuple[float, Any, float]:
    loss, g = value
    return loss, g, float(g @ d)
