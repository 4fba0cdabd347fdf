"""Which terms move a parameter, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import quiet
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.optim.stepping import as_number

if TYPE_CHECKING:
    from tinygrad_lite.optim.optimizer import Optimizer


class Explanation:
    """The change that a step makes, as a sum: `terms` maps "gradient", "history" and "weight decay" to
    tensors, `total` is their sum. Printing it gives a table."""

    def __init__(self, terms: dict[str, Any]):
        self.terms = {name: traced(value) for name, value in terms.items()}
        self.total = traced(sum(terms.values()))

    def __str__(self) -> str:
        total = self.total.array
        square = float((total * total).sum())
        lines = [f"{'term':<14}{'length':>12}{'share':>9}"]
        for name, term in self.terms.items():
            share = float((term.array * total).sum()) / square if square else 0.0
            lines.append(f"{name:<14}{float((term.array**2).sum()) ** 0.5:>12.4g}{share:>9.1%}")
        return "\n".join([*lines, f"{'the step':<14}{square**0.5:>12.4g}{1:>9.1%}"])


def explain(optimizer: Optimizer, parameter: Any) -> Explanation:
    """The next step of `parameter`, in terms that sum to it exactly. Nothing is changed.

    gradient: the step by this gradient alone, as if no step had been made before (but at the present
    count). history: what momentum and running averages add to it. weight decay: what that adds.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0], requires_grad=True)
    >>> w.grad = tg.tensor([4.0])
    >>> optimizer = tg.optim.SGD([w], lr=0.5, momentum=0.5)
    >>> optimizer.step()
    >>> {name: term.tolist() for name, term in explain(optimizer, w).terms.items()}
    {'gradient': [-2.0], 'history': [-1.0]}
    """
    group = next((group for group in optimizer.param_groups if any(p is parameter for p in group["params"])), None)
    if group is None or parameter.grad is None:
        raise ValueError(f"explain_step: expected a parameter of this {type(optimizer).__name__} that has a gradient")
    now, array, gradient = optimizer.numbers_of(group), parameter.array, parameter.grad.array
    started = optimizer.start(array, now)
    state = {name: tensor.array for name, tensor in optimizer._state.get(parameter, {}).items()} or started

    def change(group: dict[str, Any], state: dict[str, Any]) -> Any:
        copies = {name: value.copy() for name, value in state.items()}
        p = array.copy()
        optimizer.apply(p, gradient.copy(), copies, optimizer.advance(copies, group))
        return p - array

    token = None
    try:
        token = quiet.enter()
        undecayed = {**now, "weight_decay": 0}
        alone = change(undecayed, {**started, **{name: as_number(state[name]) for name in optimizer.numbers}})
        with_history = change(undecayed, state)
        terms = {"gradient": alone, "history": with_history - alone}
        if now.get("weight_decay"):
            terms["weight decay"] = change(now, state) - with_history
    finally:
        quiet.leave(token) if token is not None else quiet.lost()
    return Explanation(terms)


class EffectiveRates:
    """The effective step size of every coordinate, |change| / |gradient|, after each step of an optimizer
    (lecture item 13). `rates[p]` is an array in the shape of p, nan where the gradient is 0.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0, 1.0], requires_grad=True)
    >>> recorder = EffectiveRates(optimizer := tg.optim.SGD([w], lr=0.5))
    >>> w.grad = tg.tensor([0.25, 2.0])
    >>> optimizer.step()
    >>> recorder.rates[w]
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, optimizer: Optimizer):
        self.rates: dict[Any, Any] = {}
        self._before: dict[Any, tuple[Any, Any]] = {}
        self.handles = (
            optimizer.register_step_pre_hook(self._remember),
            optimizer.register_step_post_hook(self._compare),
        )

    def _remember(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        params = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self._before = {p: (p.array.copy(), p.grad.array.copy()) for p in params}

    def _compare(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        token = None
        try:
            token = quiet.enter()
            self.rates = {p: abs((p.array - before) / g) for p, (before, g) in self._before.items()}
        finally:
            quiet.leave(token) if token is not None else quiet.lost()

    def remove(self) -> None:
        """Stop recording."""
        for handle in self.handles:
            handle.remove()
