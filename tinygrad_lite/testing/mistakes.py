"""Mistakes that are often made in a backward pass by hand, made on a tape to compare the gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

Change = Callable[[Any, Any], Any]  # from the incoming gradient and the right contribution to the wrong one


@dataclass(frozen=True, eq=False)
class Call:
    """A recorded operation with its arguments and result, as arrays."""

    node: Any
    arguments: list[Any]
    result: Any

    def value(self, name: str) -> Any:
        """The argument or result that a rule names."""
        return self.result if name == "out" else self.arguments[self.node.plan.primitive.arguments.index(name)]


@dataclass(frozen=True, eq=False)
class Mistake:
    """A wrong rule for one parent of a node. `words` complete "a backward pass which ..."."""

    words: str
    node: Any
    place: int
    change: Change

    @contextmanager
    def made(self) -> Iterator[None]:
        """In this block, backward makes it."""
        plan = self.node.plan
        self.node.plan = _WrongPlan(plan, self.place, self.change)
        try:
            yield
        finally:
            self.node.plan = plan


class _WrongPlan:
    """A plan with one rule exchanged."""

    def __init__(self, plan: Any, place: int, change: Change):
        self.plan, self.rules, self.fused = plan, list(plan.rules), plan.fused
        if plan.fused is not None:
            (rule, pick), at = plan.fused, list(plan.wanted)[place]

            def fused(g: Any, *saved: Any) -> Any:
                return [change(g, right) if i == at else right for i, right in enumerate(rule(g, *saved))]

            self.fused = fused, pick
        else:
            rule, saved_at, picked = plan.rules[place]
            self.rules[place] = (lambda g, *saved: change(g, rule(g, *saved))), saved_at, picked

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plan, name)


def mistakes(calls: Mapping[Any, Call], path_of: Callable[[Any], str]) -> Iterator[Mistake]:
    """The mistakes that can be made at the operations of a tape, those nearest the loss first."""
    children = Counter(parent for node in calls for parent in node.parents)
    for node, call in sorted(calls.items(), key=lambda item: -item[0].index):
        if node.plan.primitive is None or not hasattr(node.plan.primitive, "rules"):
            continue  # a Function
        path = path_of(node)
        where = f"{node.name} (layer {path})" if path else node.name
        for place, parent in enumerate(node.parents):
            if children[parent] > 1 and parent.parents:
                source = f"the output of layer {path_of(parent)}" if path_of(parent) else f"the result of {parent.name}"
                yield Mistake(f"leaves out the path by {where} to {source}", node, place, lambda g, right: 0 * right)
            if len(node.parents) == 1 and parent.shape == node.shape:
                yield Mistake(f"leaves out the derivative of {where}", node, place, lambda g, right: g)
                yield from _elsewhere(node, call, where)
            yield from _untransposed(node, call, place, where)
            yield from _without_target(node, call, place)


def _elsewhere(node: Any, call: Call, where: str) -> Iterator[Mistake]:
    """The derivative of an activation at its result instead of at its input, or the other way round."""
    primitive = node.plan.primitive
    argument = primitive.argument_at(next(iter(node.plan.wanted)))
    if primitive.fused is not None or argument not in primitive.rules:
        return
    rule, names = primitive.rules[argument]
    for name, other, words in (("out", argument, "its input instead of its result"), (argument, "out", "its result instead of its input")):
        if name in names and other not in names:
            values = [call.value(other if each == name else each) for each in names if not each.endswith("_shape")]
            if len(values) == len(names):

                def change(g: Any, right: Any, values: Any = tuple(values)) -> Any:
                    return rule(g, *values)

                yield Mistake(f"takes the derivative of {where} at {words}", node, 0, change)


def _untransposed(node: Any, call: Call, place: int, where: str) -> Iterator[Mistake]:
    """A square weight that is not transposed, or is where it should not be."""
    if node.name not in ("linear", "matmul", "contract", "addmm") or list(node.plan.wanted)[place] > 1:
        return
    squares = [a for a in call.arguments if isinstance(a, np.ndarray) and a.ndim == 2 and a.shape[0] == a.shape[1]]
    for weight in squares:
        for matrix in (weight, weight.T):

            def change(g: Any, right: Any, matrix: Any = matrix) -> Any:
                return right if g.shape[-1:] != matrix.shape[:1] or right.shape != g.shape else g @ matrix

            yield Mistake(f"multiplies by the weight of {where} untransposed, or transposed where it must not be", node, place, change)


def _without_target(node: Any, call: Call, place: int) -> Iterator[Mistake]:
    """The gradient of cross-entropy from which the target is not subtracted."""
    if node.name != "cross_entropy" or place:
        return
    logits, target = call.arguments[:2]
    if not isinstance(target, np.ndarray) or target.dtype.kind not in "iu" or logits.ndim != 2 or (target < 0).any():
        return
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    whole = share - np.eye(logits.shape[1])[target]

    def change(g: Any, right: Any) -> Any:
        return share * float((right * whole).sum() / (whole * whole).sum())

    yield Mistake("does not subtract the one-hot target from the softmax", node, place, change)
