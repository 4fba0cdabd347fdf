"""What an operation does for the tape: its plan, worked out once for each subset of its inputs that need a gradient, and
the entries that it writes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from tinygrad_lite.arrays import as_array, is_array
from tinygrad_lite.arrays.changes import change_since, tick
from tinygrad_lite.arrays.errors import MissingRule
from tinygrad_lite.engine.context import observers
from tinygrad_lite.engine.tape import Node, Traced, entry, new, register_view, traced

Rule = Callable[..., Any]


class Plan:
    """What to save of an operation, and which rules to call with it, for one subset of inputs that need a gradient.

    `wanted`: the places of these inputs, in the order of the node's parents. `names`: of what is saved.
    `rules`: for each parent its rule, and which saved values the rule takes beside g: the place of the one,
    or what picks the several, or neither. `fused`: a rule for all of the inputs, and what picks the values
    it takes; its results are g to the `rules`, each of which picks its own. `saves_values`: whether inputs,
    results or what was worked out on the way are among what is saved; `others`: the places of what is
    neither such a value nor a shape.
    """

    __slots__ = ("fused", "keep", "name", "names", "others", "primitive", "rules", "saves_values", "wanted")

    materializes = True  # zeros for results that no gradient reached
    must_return = True  # None is no gradient

    def __init__(self, primitive: Any, wanted: Sequence[int], count: int):
        self.primitive, self.name, self.wanted = primitive, primitive.name, wanted
        star, names = primitive.star, primitive.arguments
        argument_of = [names[i if star is None else min(i, star)] for i in range(count)]
        missing = {name: _missing(primitive, name) for name in names if name not in primitive.differentiable}
        rule_of = missing | primitive.rules
        rules = [rule_of[argument_of[i]] for i in wanted] if primitive.fused is None else []
        taken = [*primitive.fused_names, *(name for _, names in rules for name in names)]
        if primitive.composition is not None:  # it is replayed for second derivatives, and takes every argument
            taken += primitive.arguments
        self.names, self.keep = _saved(primitive, taken)
        self.saves_values = not {*primitive.differentiable, "out", *primitive.keeps}.isdisjoint(self.names)
        self.others = [i for i, name in enumerate(self.names) if not name.endswith("_shape")]
        self.fused: Any = None
        self.rules: list[Any] = []
        if primitive.fused is not None:
            needed = {i for i in wanted if argument_of[i] not in missing}
            fused = functools.partial(primitive.fused, tuple(i in needed for i in range(count)))
            self.fused = fused, _picker(self._places(primitive.fused_names))
            self.rules = [(itemgetter(i) if i in needed else missing[argument_of[i]][0], None, None) for i in wanted]
        for i, (rule, named) in zip(wanted, rules):
            if argument_of[i] == primitive.star_name:
                rule = functools.partial(_star_rule, rule, i - (star or 0))
            places = self._places(named)
            self.rules.append((rule, places[0], None) if len(places) == 1 else (rule, None, _picker(places) if places else None))

    def input_name(self, place: int) -> str:
        """The argument that the node's parent at `place` stands for, in words."""
        i, star = self.wanted[place], self.primitive.star
        if star is not None and i >= star:
            return f"{self.primitive.star_name}[{i - star}]"
        return f"its argument {self.primitive.arguments[i]!r}"

    def _places(self, names: Sequence[str]) -> list[int]:
        return [self.names.index(name) for name in names]


class Plans(dict[Any, Any]):
    """The plans of a primitive by the inputs that have a node: a mask of bits; with a star argument a tuple of their
    places, and the number of inputs."""

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


def no_gradient(g: Any) -> None:
    """The rule for an input of which a result is a function in form only: nothing arrives there."""


def _missing(primitive: Any, argument: str) -> tuple[Rule, tuple[()]]:
    """In the place of a rule that nobody gave: the refusal to go on without."""

    def rule(g: Any, *i: Any) -> Any:
        raise MissingRule(primitive.name, argument)

    return rule, ()


def _saved(primitive: Any, names: list[str]) -> tuple[list[str], Callable[[Any], Any]]:
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


def _star_rule(rule: Rule, i: int, g: Any, *saved: Any) -> Any:
    return rule(g, i, *saved)


# -- writing on the tape --------------------------------------------------------------------------


def record(plan: Any, parents: Any, values: Any, shape: Any, dtype: Any) -> Node:
    """The entry of an operation. `values`: the arguments, the result, and what the forward function kept."""
    node = new(Node)
    node.plan = plan
    node.parents = parents
    node.saved = plan.keep(values)
    node.index = tick()
    node.shape = shape
    node.dtype = dtype
    node.hooks = None
    if watching := observers.get():
        count = len(plan.primitive.arguments)
        for observer in watching:
            observer.recorded(node, values[:count], values[count])
    return node


class Synthetic:
    """What the plans of entries that no operation makes have in common: they save nothing."""

    __slots__ = ()
    fused = None
    must_return = False
    names: Any = ()
    rules: Any = ()


class Result(Synthetic):
    """The plan of an entry that is one of several results of the entry before it."""

    __slots__ = ("name", "place")

    def __init__(self, place: int):
        self.place = place
        self.name = f"result {place}"


def result_of(node: Node, place: int) -> Node | None:
    """The entry of result number `place` of a node; None where it cannot have a gradient."""
    if node.dtype[place].kind not in "fc":
        return None
    return entry(Result(place), (node,), (), node.shape[place], node.dtype[place])


def record_several(plan: Any, parents: Any, values: Any, out: tuple[Any, ...], kept: Any, source: Any) -> tuple[Any, ...]:
    """Tensors for several results, views of `source` if it is a Tensor: one entry for the operation, and one for each."""
    arrays = tuple(map(as_array, out))
    results = tuple(map(traced, arrays))
    if plan is not None:
        shapes, dtypes = tuple(array.shape for array in arrays), tuple(array.dtype for array in arrays)
        node = record(plan, parents, [*values, arrays, *kept], shapes, dtypes)
        for place, result in enumerate(results):
            result.node = result_of(node, place)
    if isinstance(source, Traced):
        for result in results:
            register_view(result, source)
    return results


# -- reading what was saved -----------------------------------------------------------------------


def freed(node: Any) -> str:
    """The refusal to read what backward has freed."""
    return (
        f"backward: the values saved by {node.name} (entry {node.index}) were freed by an earlier backward; "
        "pass retain_graph=True to that one to go through the graph twice"
    )


def check_saved(node: Node) -> None:
    """Refuse to go on with a saved array that was freed, or changed in place since."""
    if node.saved is None:
        raise RuntimeError(freed(node))
    if not isinstance(node.saved, (tuple, list)):
        return  # packed by saved_tensors_hooks
    for name, value in zip(node.plan.names, node.saved):
        for array in value if type(value) is tuple else (value,):
            operation = change_since(array, node.index) if is_array(array) else None
            if operation is not None:
                what = "its result" if name == "out" else f"its argument {name!r}"
                raise RuntimeError(
                    f"backward: the gradient of {node.name} needs {what} of shape {array.shape}, which {operation} "
                    "has changed in place since; clone the tensor first, or use the form that is not in place"
                )


def holds_arrays(saved: Any, places: Sequence[int]) -> bool:
    """Whether arrays are among the saved values at `places`: an index may be, or hold, one."""
    if type(saved) is not tuple and type(saved) is not list:
        return True  # packed by saved_tensors_hooks
    for place in places:
        value = saved[place]
        if type(value) in (tuple, list):
            if holds_arrays(value, range(len(value))):
                return True
        elif value is not None and type(value) is not int and is_array(value):
            return True
    return False
