"""What an operation does for the tape, worked out once for each subset of its inputs that need a gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tinygrad_lite.engine.errors import MissingRule

if TYPE_CHECKING:
    from tinygrad_lite.engine.primitive import Primitive

# Where there are several GPUs: makes a function run on that of its arguments (see apart.py).
led: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None


class Plan:
    """What to save of an operation, and which rules to call with it.

    `wanted`: the places of the arguments that need a gradient, in the order of the node's parents.
    `names`: of what is saved. `rules`: for each parent its rule, and which saved values the rule takes
    beside g: the place of the one, or what picks the several, or neither. `fused`: a rule for all of
    the inputs, and what picks the values it takes; its results are g to the `rules`, each of which picks its own.
    `saves_values`: whether inputs, results or what was worked out on the way are among what is saved; `others`: the
    places of what is neither such a value nor a shape.
    """

    __slots__ = ("fused", "keep", "name", "names", "others", "primitive", "rules", "saves_values", "wanted")

    materializes = True  # zeros for results that no gradient reached
    must_return = True  # None is no gradient

    def __init__(self, primitive: Primitive[..., Any], on_tape: Sequence[int], count: int):
        self.primitive = primitive
        self.name = primitive.name
        star = primitive.star
        argument_of = [primitive.arguments[i if star is None else min(i, star)] for i in range(count)]
        self.wanted = list(on_tape)
        missing = {name: _missing(primitive, name) for name in primitive.arguments if name not in primitive.differentiable}

        rule_of = missing | primitive.rules
        rules = [rule_of[argument_of[i]] for i in self.wanted] if primitive.fused is None else []
        names = [*primitive.fused_names, *(name for _, taken in rules for name in taken)]
        if primitive.composition is not None:  # it is replayed for second derivatives, and takes every argument
            names += primitive.arguments
        self.names, self.keep = _saved(primitive, names)
        self.saves_values = not {*primitive.differentiable, "out", *primitive.keeps}.isdisjoint(self.names)
        self.others = [i for i, name in enumerate(self.names) if not name.endswith("_shape")]

        self.rules: list[Any] = []
        for i, (rule, taken) in zip(self.wanted, rules):
            rule = rule if led is None else led(rule)
            if argument_of[i] == primitive.star_name:
                rule = functools.partial(_star_rule, rule, i - (star or 0))
            places = self._places(taken)
            self.rules.append((rule, places[0], None) if len(places) == 1 else (rule, None, _picker(places) if places else None))
        self.fused: Any = None
        if primitive.fused is not None:
            wanted = {i for i in self.wanted if argument_of[i] not in missing}
            fused = functools.partial(primitive.fused, tuple(i in wanted for i in range(count)))
            self.fused = fused if led is None else led(fused), _picker(self._places(primitive.fused_names))
            self.rules = [(itemgetter(i) if i in wanted else missing[argument_of[i]][0], None, None) for i in self.wanted]

    def input_name(self, place: int) -> str:
        """The argument that the node's parent at `place` stands for, in words."""
        i, star = self.wanted[place], self.primitive.star
        if star is not None and i >= star:
            return f"{self.primitive.star_name}[{i - star}]"
        return f"its argument {self.primitive.arguments[i]!r}"

    def _places(self, names: tuple[str, ...]) -> list[int]:
        return [self.names.index(name) for name in names]


class Plans(dict[Any, Plan]):
    """The plans of a primitive by the inputs that have a node: a mask of bits; with a star argument a tuple of
    their places, and the number of inputs."""

    def __init__(self, primitive: Primitive[..., Any]):
        self.primitive = primitive

    def __missing__(self, key: Any) -> Plan:
        if type(key) is int:
            count = len(self.primitive.arguments)
            on_tape: Sequence[int] = [i for i in range(count) if key >> i & 1]
        else:
            on_tape, count = key
        plan = Plan(self.primitive, on_tape, count)
        if count <= 64:  # a plan for thousands of inputs is not worth keeping
            self[key] = plan
        return plan


def no_gradient(g: Any) -> None:
    """The rule for an input of which a result is a function in form only: nothing arrives there."""


def _missing(primitive: Primitive[..., Any], argument: str) -> tuple[Callable[..., Any], tuple[()]]:
    """In the place of a rule that nobody gave: the refusal to go on without."""

    def rule(g: Any, *i: Any) -> Any:
        raise MissingRule(primitive.name, argument)

    return rule, ()


def _saved(primitive: Primitive[..., Any], names: list[str]) -> tuple[list[str], Callable[[Any], Any]]:
    """Each of `names` once, and what takes the values of that name out of an operation's arguments and results."""
    is_shape = {name: name.endswith("_shape") and name not in primitive.value_names for name in names}
    values, shapes = ([name for name in is_shape if is_shape[name] is kind] for kind in (False, True))
    place = primitive.value_names.index
    pick = _picker([place(name) for name in values])
    if not shapes:
        return values, pick
    shaped = [place(name.removesuffix("_shape")) for name in shapes]
    return values + shapes, lambda given: (*pick(given), *[_shape(given[i]) for i in shaped])


def _picker(places: list[int]) -> Callable[[Any], Any]:
    """What takes the values at `places` out of a sequence, as a sequence, in C."""
    if len(places) == 1:
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places) if places else _nothing


def _nothing(values: Any) -> tuple[()]:
    return ()


def _shape(value: Any) -> Any:
    return tuple(v.shape for v in value) if type(value) is tuple else getattr(value, "shape", ())


def _star_rule(rule: Callable[..., Any], i: int, g: Any, *saved: Any) -> Any:
    return rule(g, i, *saved)
