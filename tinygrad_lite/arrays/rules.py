"""A primitive's rules and, for each subset of its inputs that need a gradient, its plan: which values of a call to save,
and which rules to call with them. This module handles only names; it computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import Any

from tinygrad_lite.arrays.errors import MissingRule, wrong_gradient
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
        self.rules_on_tape: Callable[[Any], Any] | None = None  # the rules of a node on Tensors, if they differ
        self.plans = Plans(self)

    @property
    def differentiable(self) -> tuple[str, ...]:
        """The arguments that have a gradient."""
        return self.fused_inputs if self.fused is not None else tuple(self.rules)

    def vjp(self, **rules: Rule) -> None:
        """Set rules by argument name. The rule of a star argument also takes its index `i`."""
        for name, rule in rules.items():
            self.rules[name] = rule, self.names_in(rule, (name,), 2 if name == self.star_name else 1)
        self.plans.clear()  # plans of earlier calls

    def fused_vjp(self, *inputs: str) -> Callable[[Rule], Rule]:
        """Set one rule for `inputs` together: it takes `needs` (a bool for each forward argument) and `g`, then saved
        names, and returns a gradient (or None) for each forward argument."""

        def define(rule: Rule) -> Rule:
            self.fused_names = self.names_in(rule, inputs, 2)
            self.fused, self.fused_inputs = rule, inputs
            self.plans.clear()
            return rule

        return define

    def composed_of(self, function: Rule) -> Rule:
        """Set the composition that the primitive replaces; second derivatives go through it."""
        self.composition = function
        self.plans.clear()
        return function


class Plan:
    """What to save of an operation, and which rules to call with it."""

    __slots__ = ("fused", "keep", "name", "names", "primitive", "rules", "saves_values", "wanted")

    wanted: Iterable[int]  # the positions of the inputs that need a gradient, in the order of the node's parents
    names: list[str]  # the names of the saved values
    keep: Callable[[Any], Any]  # takes these values from a call's arguments and results
    # For each parent its rule, and what the rule takes besides g: the position of one saved value, or a picker of several.
    rules: list[tuple[Rule, int | None, Any]]
    fused: Any  # one rule for all inputs and the picker of its values; `rules` then take its results as g
    saves_values: bool  # whether inputs, results or intermediate values are saved
    materializes = True  # pass zeros for results that no gradient has reached
    must_return = True  # a rule may not return None

    def __init__(self, primitive: Any, wanted: Iterable[int], count: int):
        self.primitive, self.name, self.wanted = primitive, primitive.name, wanted
        differentiable = set(primitive.differentiable)
        ruled = {i for i in wanted if primitive.argument_at(i) in differentiable}
        rules = {i: primitive.rules[primitive.argument_at(i)] for i in ruled} if primitive.fused is None else {}
        taken = [*primitive.fused_names, *(name for i in sorted(rules) for name in rules[i][1])]
        if primitive.composition is not None:  # second derivatives go through it, and it needs every argument
            taken += primitive.arguments
        self.names, self.keep = primitive.selection(taken)
        self.saves_values = not {*differentiable, "out", *primitive.keeps}.isdisjoint(self.names)
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
        """The argument behind the node's parent at `place`, in words."""
        i, star = list(self.wanted)[place], self.primitive.star
        if star is not None and i >= star:
            return f"{self.primitive.star_name}[{i - star}]"
        return f"its argument {self.primitive.arguments[i]!r}"


def _star_rule(rule: Rule, i: int, g: Any, *saved: Any) -> Any:
    return rule(g, i, *saved)


def _refuse(operation: str, argument: str, g: Any) -> Any:
    raise MissingRule(operation, argument)


def no_gradient(g: Any) -> None:
    """The rule for an input on which a result depends only formally: it has no gradient."""


def check_none_is_meant(rule: Any, node: Any, parent: Any, create_graph: bool) -> None:
    """Refuse a missing gradient unless it is intended: a Function may have no gradient for an input, the composition of a
    primitive may not depend on one, and a primitive may declare `no_gradient`."""
    said = getattr(rule, "__wrapped__", rule) is no_gradient or (create_graph and node.plan.primitive.composition is not None)
    if node.plan.must_return and not said:
        raise wrong_gradient(node, parent, None)


class Plans(dict[Any, Any]):
    """A primitive's plans, by the inputs that have a node: a bit mask or, of more than three, a tuple of their positions
    and the number of inputs."""

    def __init__(self, primitive: Any):
        self.primitive = primitive

    def __missing__(self, key: Any) -> Plan | None:
        if type(key) is tuple:
            wanted, count = key
        else:
            count = len(self.primitive.arguments)
            wanted = [i for i in range(count) if key >> i & 1]
        plan = Plan(self.primitive, wanted, count) if self.primitive.recorded else None
        if count <= 64:  # a plan for thousands of inputs is not worth caching
            self[key] = plan
        return plan
