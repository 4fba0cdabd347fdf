"""Primitives: a forward function on plain arrays and, beside it, one rule for each input.

    @primitive
    def mul(x, y):
        return x * y

    mul.vjp(x=lambda g, y: g * y,
            y=lambda g, x: g * x)

A rule's parameter names say what the tape keeps for it: `g` is the gradient that comes in, `out`
the result, any other name a forward argument, and `x_shape` the shape of argument `x` without its
contents. Rules are calculus only. They need not undo broadcasting nor care for dtypes (the engine
does), must not write into what they are given, and use operators and this library's functions, so
that they run on plain arrays for a first gradient and on Tensors when that gradient is itself
differentiated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_array, gpu
from tinygrad_lite.arrays.errors import REFUSALS, MissingRule, explained
from tinygrad_lite.arrays.gpu import at_home
from tinygrad_lite.arrays.quiet import enter as be_quiet
from tinygrad_lite.arrays.quiet import leave as quiet_no_more
from tinygrad_lite.arrays.quiet import lost
from tinygrad_lite.arrays.signature import P, R, Signature
from tinygrad_lite.engine import tape
from tinygrad_lite.engine.tape import Traced, is_grad_enabled, record, record_several, register_view

REGISTRY: dict[str, Primitive[..., Any]] = {}
NONDIFFERENTIABLE: dict[str, Primitive[..., Any]] = {}

Rule = Callable[..., Any]
_ndarray, new = np.ndarray, object.__new__


class Primitive(Signature[P, R]):
    """The record behind a primitive: its forward function, its rules, its plans."""

    recorded = True  # unless it has no gradient

    def __init__(self, forward: Callable[P, R], view: bool = False, keeps: tuple[str, ...] = (), writes: bool = False):
        super().__init__(forward)
        self.view, self.keeps, self.writes = view, keeps, writes
        self.value_names = (*self.arguments, "out", *keeps)
        self.rules: dict[str, tuple[Rule, tuple[str, ...]]] = {}
        self.fused: Rule | None = None
        self.fused_inputs: tuple[str, ...] = ()
        self.fused_names: tuple[str, ...] = ()
        self.composition: Rule | None = None
        self.constant: dict[str, tuple[str, ...]] = {}
        self.joint: tuple[str, ...] = ()
        self.plans = Plans(self)
        self.apply = _call_of(self)

    @property
    def differentiable(self) -> tuple[str, ...]:
        """The arguments that have a gradient."""
        return self.fused_inputs if self.fused is not None else tuple(self.rules)

    def vjp(self, **rules: Rule) -> None:
        """Give rules by argument name. The rule of a star argument also takes `i`, its place."""
        for name, rule in rules.items():
            self.rules[name] = rule, self._names_of(name, rule, 2 if name == self.star_name else 1)
        self.plans.clear()  # of calls before

    def fused_vjp(self, *inputs: str) -> Callable[[Rule], Rule]:
        """Give one rule for `inputs` together: it takes `needs` (a bool for each forward argument)
        and `g`, then saved names, and returns a gradient (or None) for each forward argument."""

        def define(rule: Rule) -> Rule:
            self.fused_names = self._names_of(", ".join(inputs), rule, 2)
            self.fused, self.fused_inputs = rule, inputs
            self.plans.clear()
            return rule

        return define

    def composed_of(self, function: Rule) -> Rule:
        """Give the composition that the primitive stands for: second derivatives go through it."""
        self.composition = function
        self.plans.clear()
        return function

    def constant_in(self, **inputs: str) -> None:
        """Name, for the gradient of an input, the inputs (or `out`) in which it is constant piece by piece and of which
        it is a function all the same: under `create_graph` it is on the tape, and its derivative is zero."""
        self.constant = {name: tuple(names.split()) for name, names in inputs.items()}

    def joint_in(self, *inputs: str) -> None:
        """Name the inputs of which PyTorch has all gradients as one function: under `create_graph` even one that depends
        on nothing (a bias's, say) is on the tape as soon as one of these needs a gradient, though none reaches them."""
        self.joint = inputs

    def _names_of(self, name: str, rule: Rule, skip: int) -> tuple[str, ...]:
        """The saved names in a rule's signature, checked against the forward function's."""
        code = rule.__code__
        names = code.co_varnames[: code.co_argcount]
        known, arguments = self.value_names, self.arguments
        unknown = [n for n in names[skip:] if n not in known and n.removesuffix("_shape") not in arguments]
        if "g" not in names[:skip] or unknown or not all(n in arguments for n in name.split(", ")):
            possible = sorted({*known, *(f"{argument}_shape" for argument in arguments)})
            raise TypeError(f"{self.name}: the rule for {name} names {names}; known are g, {', '.join(possible)}")
        return names[skip:]


def primitive(forward: Any = None, *, view: bool = False, keeps: tuple[str, ...] = (), writes: bool = False) -> Any:
    """Make a recorded operation of a function on plain arrays.

    `view`: the result may share the first argument's memory. `keeps`: names for values that the
    forward function works out and a fused rule wants again; it then returns `(out, kept, ...)`.
    `writes`: it changes its first argument and returns it (only for changes in place).
    For an argument without a rule backward raises, where a gradient of it is asked for.
    A forward function that returns a tuple (without `keeps`) has several results.
    """
    if forward is None:
        return functools.partial(primitive, view=view, keeps=keeps, writes=writes)
    self = Primitive(forward, view, keeps, writes)
    _enter(self, REGISTRY, NONDIFFERENTIABLE)
    apply: Any = self.apply
    apply.primitive, apply.vjp, apply.fused_vjp, apply.composed_of = self, self.vjp, self.fused_vjp, self.composed_of
    apply.constant_in, apply.joint_in = self.constant_in, self.joint_in
    return apply


def nondifferentiable(forward: Callable[P, R]) -> Callable[P, Any]:
    """Make an operation without a gradient of a function on plain arrays: a comparison, a test, a place, a count.

    It is called as a primitive is, and no result of it has a place on the tape; of several it returns a tuple.
    What has a gradient that is zero (`floor`) is a primitive all the same: the zero arrives.

    >>> import tinygrad_lite as tg
    >>> @nondifferentiable
    ... def sign_bits(x):
    ...     return x < 0
    >>> sign_bits(tg.tensor([-1.0, 2.0], requires_grad=True))
    tensor([ True, False])
    """
    self = Primitive(forward)
    self.recorded = False
    _enter(self, NONDIFFERENTIABLE, REGISTRY)
    self.apply.nondifferentiable = self  # type: ignore[attr-defined]
    return self.apply


def _enter(self: Primitive[..., Any], registry: dict[str, Any], other: dict[str, Any]) -> None:
    """Put a record into its registry. One that is defined again (a cell of a notebook is run once more) takes
    the place of the old one, a different one of the same name is refused."""
    place = f"{self.forward.__module__}.{self.forward.__qualname__}"
    for known in (registry.get(self.name), other.get(self.name)):
        if known is not None and (before := f"{known.forward.__module__}.{known.forward.__qualname__}") != place:
            raise ValueError(f"primitive {self.name!r} is defined twice: as {before} and as {place}; give one of them another name")
    other.pop(self.name, None)
    registry[self.name] = self


def _call_of(self: Primitive[..., Any]) -> Callable[..., Any]:
    """The public function: the forward function on the arrays of Tensors, and an entry on the tape."""
    forward, bind, plans, view, keeps, star = self.forward, self.bind, self.plans, self.view, self.keeps, self.star
    count = None if star is not None else len(self.arguments)

    @functools.wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs or (len(args) != count and count is not None):
            args = bind(args, kwargs)
        # Separate the arrays from their places on the tape.
        values: list[Any] = []
        parents: list[Any] = []
        on_tape, bit, is_traced = 0, 1, False
        for x in args:
            if isinstance(x, Traced):
                is_traced = True
                node = x.node
                x = x.array
                if node is not None:
                    on_tape += bit
                    parents.append(node)
            values.append(x)
            bit += bit
        # Run.
        token = None
        try:
            token = be_quiet()  # within the try: see arrays/quiet.py
            if gpu.several:
                with at_home(*values):
                    out = forward(*values)
            else:
                out = forward(*values)
        except REFUSALS as error:
            raise explained(self, values, error) from error
        finally:
            quiet_no_more(token) if token is not None else lost()
        if keeps:
            out, *kept = out
        if not is_traced:
            return out
        # Record.
        plan = plans[on_tape if count is not None else (on_tape, len(args))] if on_tape and is_grad_enabled() else None
        if star is not None:
            values[star:] = [tuple(values[star:])]
        if type(out) is not _ndarray:
            if type(out) is tuple:
                return record_several(plan, parents, values, out, kept if keeps else (), args[0] if view else None)
            out = as_array(out)
        tensor = new(tape.result_class)  # as `traced` does: a call costs 5 % of what is spent here
        tensor.array = out
        tensor._grad = tensor.base = tensor.views = None
        if plan is None:
            tensor.node = None
        else:
            values.append(out)
            if keeps:
                values += kept
            tensor.node = record(plan, parents, values, out.shape, out.dtype)
        if view and isinstance(args[0], Traced):
            register_view(tensor, args[0])
        return tensor

    return call


# -- what is saved --------------------------------------------------------------------------------


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

    def __init__(self, primitive: Primitive[..., Any], wanted: Sequence[int], count: int):
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
    """The plans of a primitive by the inputs that have a node, as a mask of bits; with a star argument by that and
    the number of inputs."""

    def __init__(self, primitive: Primitive[..., Any]):
        self.primitive = primitive

    def __missing__(self, key: Any) -> Plan | None:
        on_tape, count = key if type(key) is tuple else (key, len(self.primitive.arguments))
        wanted = [i for i in range(count) if on_tape >> i & 1]
        plan = Plan(self.primitive, wanted, count) if self.primitive.recorded else None
        if count <= 64:  # a plan for thousands of inputs is not worth keeping
            self[key] = plan
        return plan


def no_gradient(g: Any) -> None:
    """The rule for an input of which a result is a function in form only: nothing arrives there."""


def _missing(primitive: Primitive[..., Any], argument: str) -> tuple[Rule, tuple[()]]:
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


def _star_rule(rule: Rule, i: int, g: Any, *saved: Any) -> Any:
    return rule(g, i, *saved)
