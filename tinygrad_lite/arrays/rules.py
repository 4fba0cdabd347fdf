"""What is declared of a primitive: its rules. And, for each subset of its inputs that need a gradient, its plan: which
values of a call to save, and which rules to call with them. All of it is a matter of names; nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import Any

from tinygrad_lite.arrays.errors import MissingRule
from tinygrad_lite.arrays.signature import P, R, Signature, picker

Rule = Callable[..., Any]


class Primitive(Signature[P, R]):
    """The record behind a primitive: its forward function, its rules, its plans."""

    def __init__(
        self, forward: Callable[P, R], view: bool = False, keeps: tuple[str, ...] = (), writes: bool = False, recorded: bool = True
    ):
        super().__init__(forward)
        self.view, self.keeps, self.writes, self.recorded = view, keeps, writes, recorded
        self.rules: dict[str, tuple[Rule, tuple[str, ...]]] = {}
        self.fused: Rule | None = None
        self.fused_inputs: tuple[str, ...] = ()
        self.fused_names: tuple[str, ...] = ()
        self.composition: Rule | None = None
        self.rules_on_tape: Callable[[Any], Any] | None = None  # of a node: its rules on Tensors, if not the same
        self.plans = Plans(self)

    @property
    def differentiable(self) -> tuple[str, ...]:
        """The arguments that have a gradient."""
        return self.fused_inputs if self.fused is not None else tuple(self.rules)

    def vjp(self, **rules: Rule) -> None:
        """Give rules by argument name. The rule of a star argument also takes `i`, its place."""
        for name, rule in rules.items():
            self.rules[name] = rule, self.names_in(rule, (name,), 2 if name == self.star_name else 1)
        self.plans.clear()  # of calls before

    def fused_vjp(self, *inputs: str) -> Callable[[Rule], Rule]:
        """Give one rule for `inputs` together: it takes `needs` (a bool for each forward argument)
        and `g`, then saved names, and returns a gradient (or None) for each forward argument."""

        def define(rule: Rule) -> Rule:
            self.fused_names = self.names_in(rule, inputs, 2)
            self.fused, self.fused_inputs = rule, inputs
            self.plans.clear()
            return rule

        return define

    def composed_of(self, function: Rule) -> Rule:
        """Give the composition that the primitive stands for: second derivatives go through it."""
        self.composition = function
        self.plans.clear()
        return function


class Plan:
    """What to save of an operation, and which rules to call with it."""

    __slots__ = ("fused", "keep", "name", "names", "primitive", "rules", "saves_values", "wanted")

    wanted: Iterable[int]  # the places of the inputs that need a gradient: of the node's parents
    names: list[str]  # of what is saved
    keep: Callable[[Any], Any]  # takes these values from a call's arguments and results
    # For each parent its rule, and what the rule takes besides g: the place of one saved value, or a picker of several.
    rules: list[tuple[Rule, int | None, Any]]
    fused: Any  # one rule for all inputs and the picker of what it takes; `rules` then take its results for g
    saves_values: bool  # whether inputs, results or intermediate values are saved
    materializes = True  # zeros stand for the results that no gradient has reached
    must_return = True  # a rule may not return None

    def __init__(self, primitive: Any, wanted: Iterable[int], count: int):
        self.primitive, self.name, self.wanted = primitive, primitive.name, wanted
        ruled = {i for i in wanted if primitive.argument_at(i) in primitive.differentiable}
        rules = {i: primitive.rules[primitive.argument_at(i)] for i in ruled} if primitive.fused is None else {}
        taken = [*primitive.fused_names, *(name for i in sorted(rules) for name in rules[i][1])]
        if primitive.composition is not None:  # second derivatives go through it, and it takes every argument
            taken += primitive.arguments
        self.names, self.keep = primitive.selection(taken)
        self.saves_values = not {*primitive.differentiable, "out", *primitive.keeps}.isdisjoint(self.names)
        self.fused, self.rules = None, []
        if primitive.fused is not None:
            needs = tuple(i in ruled for i in range(count))
            self.fused = partial(primitive.fused, needs), picker(self._places(primitive.fused_names))
        for i in wanted:
            if i not in ruled:
                self.rules.append((partial(_refuse, self.name, primitive.argument_at(i)), None, None))
            elif self.fused:
                self.rules.append((itemgetter(i), None, None))
            else:
                rule, names = rules[i]
                if primitive.star is not None and i >= primitive.star:
                    rule = partial(_star_rule, rule, i - primitive.star)
                places = self._places(names)
                self.rules.append((rule, places[0], None) if len(places) == 1 else (rule, None, picker(places) if places else None))

    def _places(self, names: Iterable[str]) -> list[int]:
        return [self.names.index(name) for name in names]

    def input_name(self, place: int) -> str:
        """The argument that the node's parent at `place` stands for, in words."""
        i, star = list(self.wanted)[place], self.primitive.star
        if star is not None and i >= star:
            return f"{self.primitive.star_name}[{i - star}]"
        return f"its argument {self.primitive.arguments[i]!r}"


def _star_rule(rule: Rule, i: int, g: Any, *saved: Any) -> Any:
    return rule(g, i, *saved)


def _refuse(operation: str, argument: str, g: Any) -> Any:
    raise MissingRule(operation, argument)


def no_gradient(g: Any) -> None:
    """The rule for an input that a result depends on in form only: no gradient arrives there."""


class Plans(dict[Any, Any]):
    """A primitive's plans by the inputs that have a node: a mask of bits, or with a star argument a tuple of their
    places and the number of inputs."""

    def __init__(self, primitive: Any):
        self.primitive = primitive

    def __missing__(self, key: Any) -> Plan | None:
        if type(key) is tuple:
            wanted, count = key
        else:
            count = len(self.primitive.arguments)
            wanted = [i for i in range(count) if key >> i & 1]
        plan = Plan(self.primitive, wanted, count) if self.primitive.recorded else None
        if count <= 64:  # a plan for thousands of inputs is not worth keeping
            self[key] = plan
        return plan
