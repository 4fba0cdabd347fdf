"""Splits an optimizer's step into the terms it is the sum of."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import errstate
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.optim.stepping import as_number


class Explanation:
    """A step as a sum: `terms` maps "gradient", "history" and "weight decay" to tensors, `total` is their sum. Printing it
    shows a table."""

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


def explain(optimizer: Any, parameter: Any) -> Explanation:
    """The terms that sum exactly to the next step of `parameter`. Changes nothing.

    gradient: the step this gradient alone would cause at the current step count, without any history. history: the
    contribution of momentum and running averages. weight decay: the contribution of weight decay.

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
        token = errstate.enter()
        undecayed = {**now, "weight_decay": 0}
        alone = change(undecayed, {**started, **{name: as_number(state[name]) for name in optimizer.numbers}})
        with_history = change(undecayed, state)
        terms = {"gradient": alone, "history": with_history - alone}
        if now.get("weight_decay"):
            terms["weight decay"] = change(now, state) - with_history
    finally:
        errstate.leave(token) if token is not None else errstate.lost()
    return Explanation(terms)
