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
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from tinygrad_lite.arrays import as_array, device_of, is_array
from tinygrad_lite.arrays.gpu import OutOfMemoryError
from tinygrad_lite.arrays.quiet import enter as be_quiet
from tinygrad_lite.arrays.quiet import leave as quiet_no_more
from tinygrad_lite.autograd import node as _node
from tinygrad_lite.autograd.mode import is_grad_enabled
from tinygrad_lite.autograd.node import Node, Traced, register_view, tick

P = ParamSpec("P")
R = TypeVar("R")

new = object.__new__

REGISTRY: dict[str, Primitive[..., Any]] = {}

# Where there are several GPUs: makes a function run on that of its arguments (see apart.py).
led: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None

# PyTorch's names of the first two operands, and NumPy's of them and of `dim`: accepted as keywords everywhere.
ALIASES = {
    "input": "x", "self": "x", "other": "y", "exponent": "y", "a": "x", "x1": "x", "x2": "y", "axis": "dim", "keepdims": "keepdim",
}  # fmt: skip


class Plan:
    """What to do for one subset of the inputs that need a gradient: worked out when that subset
    is first seen, so that recording an operation and walking back only follow it."""

    __slots__ = ("fused", "fused_where", "keep", "name", "names", "primitive", "rules", "select", "shapes", "wanted")

    def __init__(self, primitive: Primitive[..., Any], mask: int, count: int):
        self.primitive = primitive
        self.name = primitive.name
        star = primitive.star
        argument_of = [primitive.arguments[i if star is None else min(i, star)] for i in range(count)]
        on_tape = [i for i in range(count) if mask >> i & 1]
        # The places of the arguments that get a gradient, in the order of the node's parents.
        self.wanted = [i for i in on_tape if argument_of[i] in primitive.differentiable]
        # Which of the nodes met on the way are parents; None: all of them.
        self.select = None if self.wanted == on_tape else [on_tape.index(i) for i in self.wanted]

        rules = [primitive.rules[argument_of[i]] for i in self.wanted] if primitive.fused is None else []
        named = [*primitive.fused_names, *(name for _, names in rules for name in names)]
        if primitive.composition is not None:  # it is replayed for second derivatives, and takes every argument
            named += primitive.arguments
        is_shape = {n: n.endswith("_shape") and n not in primitive.value_names for n in named}
        self.names = [n for n in is_shape if not is_shape[n]] + [n for n in is_shape if is_shape[n]]
        places = primitive.value_names.index
        self.keep = picker([places(n) for n in self.names if not is_shape[n]])
        self.shapes = [places(n.removesuffix("_shape")) for n in self.names if is_shape[n]]

        # For each parent its rule, and which of the saved values the rule takes: the place of the one,
        # what picks the several, or None for none. A fused rule is in the place of them all.
        self.rules: list[Any] = []
        for i, (rule, names) in zip(self.wanted, rules):
            rule = rule if led is None else led(rule)
            if argument_of[i] == primitive.star_name:
                rule = functools.partial(_star_rule, rule, i - (star or 0))
            where = [self.names.index(n) for n in names]
            self.rules.append((rule, where[0] if len(where) == 1 else picker(where) if where else None))
        self.fused: Any = None
        if primitive.fused is not None:
            self.fused = functools.partial(primitive.fused, tuple(i in self.wanted for i in range(count)))
            self.fused = self.fused if led is None else led(self.fused)
            self.fused_where = picker([self.names.index(n) for n in primitive.fused_names])
            self.rules = [(None, i) for i in self.wanted]


def picker(places: list[int]) -> Callable[[Any], Any]:
    """What takes the values at `places` out of a sequence, as a sequence, in C."""
    if len(places) == 1:
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places) if places else _nothing


def _nothing(values: Any) -> tuple[()]:
    return ()


def _star_rule(rule: Callable[..., Any], i: int, g: Any, *saved: Any) -> Any:
    return rule(g, i, *saved)


class _Plans(dict[Any, "Plan | None"]):
    """The plans of a primitive by the inputs that have a node: a mask of bits, and with a star
    argument the number of inputs. None where no rule would be called."""

    def __init__(self, primitive: Primitive[..., Any]):
        self.primitive = primitive

    def __missing__(self, key: Any) -> Plan | None:
        mask, count = key if self.primitive.star is not None else (key, len(self.primitive.arguments))
        plan = Plan(self.primitive, mask, count)
        self[key] = result = plan if plan.rules else None
        return result


class Primitive(Generic[P, R]):
    """The record behind a primitive: its forward function, its rules, its plans."""

    apply: Callable[..., Any]  # the public function
    lead: Callable[[], None]  # from here on, run the forward function on its arguments' GPU

    def __init__(self, forward: Callable[P, R], view: bool, keeps: tuple[str, ...], writes: bool):
        code = forward.__code__
        self.name = forward.__name__.strip("_")
        self.forward = forward
        self.view = view
        self.keeps = keeps
        self.writes = writes
        self.arguments = code.co_varnames[: code.co_argcount + bool(code.co_flags & 4)]
        self.star = code.co_argcount if code.co_flags & 4 else None
        self.star_name = self.arguments[-1] if self.star is not None else None
        self.defaults = forward.__defaults__ or ()
        self.value_names = (*self.arguments, "out", *keeps)
        self.rules: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
        self.fused: Callable[..., Any] | None = None
        self.fused_names: tuple[str, ...] = ()
        self.composition: Callable[..., Any] | None = None
        self.plans = _Plans(self)

    @property
    def differentiable(self) -> tuple[str, ...]:
        return self.fused_differentiable if self.fused is not None else tuple(self.rules)

    fused_differentiable: tuple[str, ...] = ()

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in order, with keywords and defaults filled in."""
        names = self.arguments if self.star is None else self.arguments[: self.star]
        if len(args) > len(names):
            if self.star is None:
                raise TypeError(f"{self.name}: expected at most {len(names)} arguments ({', '.join(names)}), got {len(args)}")
            if not kwargs:
                return args
        values = dict(zip(names, args))
        for name, value in kwargs.items():
            name = name if name in names else ALIASES.get(name, name)
            if name not in names:
                raise TypeError(f"{self.name}: unexpected argument {name!r}; it takes {', '.join(names)}")
            if name in values:
                raise TypeError(f"{self.name}: argument {name!r} was given twice")
            values[name] = value
        for name, value in zip(reversed(names), reversed(self.defaults)):
            values.setdefault(name, value)
        missing = [name for name in names if name not in values]
        if missing:
            raise TypeError(f"{self.name}: missing argument {', '.join(map(repr, missing))}")
        return tuple(values[name] for name in names) + args[len(names) :]


class Applied(Generic[P, R]):
    """What `@primitive` returns, as a type checker sees it: a function that carries its rules."""

    primitive: Primitive[P, R]
    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...

    def vjp(self, **rules: Callable[..., Any]) -> None:
        """Give rules by argument name. The rule of a star argument also takes `i`, its place."""

    def fused_vjp(self, *inputs: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Give one rule for `inputs` together: it takes `needs` (a bool for each forward argument)
        and `g`, then saved names, and returns a gradient (or None) for each forward argument."""
        raise NotImplementedError

    def composed_of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the composition that the primitive stands for: second derivatives go through it."""
        raise NotImplementedError


def primitive(forward: Any = None, *, view: bool = False, keeps: tuple[str, ...] = (), writes: bool = False) -> Any:
    """Make a recorded operation of a function on plain arrays.

    `view`: the result may share the first argument's memory. `keeps`: names for values that the
    forward function works out and a fused rule wants again; it then returns `(out, kept, ...)`.
    `writes`: it changes its first argument and returns it (only for changes in place).
    A forward function that returns a tuple (without `keeps`) has several results.
    """
    if forward is None:
        return functools.partial(primitive, view=view, keeps=keeps, writes=writes)

    self = Primitive(forward, view, keeps, writes)
    plans = self.plans
    count = len(self.arguments)
    variadic = self.star is not None

    @functools.wraps(forward)
    def apply(*args: Any, **kwargs: Any) -> Any:
        if kwargs or (len(args) != count and not variadic):
            args = self.bind(args, kwargs)
        # Separate the arrays from their places on the tape.
        mask, bit, is_traced = 0, 1, False
        values: list[Any] = []
        parents: list[Any] = []
        for argument in args:
            if isinstance(argument, Traced):
                is_traced = True
                values.append(argument.array)
                if argument.node is not None:
                    mask |= bit
                    parents.append(argument.node)
            else:
                values.append(argument)
            bit += bit
        # Run.
        token = be_quiet()
        try:
            out = forward(*values)
        except (TypeError, ValueError, IndexError, RuntimeError, OverflowError, AttributeError) as error:
            raise _explained(self, values, error) from error
        finally:
            quiet_no_more(token)
        kept: Any = ()
        if keeps:
            out, *kept = out
        if not is_traced:
            return out
        # Record.
        plan = None
        if mask and is_grad_enabled():
            plan = plans[(mask, len(args)) if variadic else mask]
            if variadic:
                values[self.star :] = [tuple(values[self.star :])]
        if type(out) is tuple:
            results = _several(plan, parents, values, out, kept)
            if view and isinstance(args[0], Traced):
                for result in results:
                    register_view(result, args[0])
            return results
        if type(out) is not np.ndarray:
            out = as_array(out)
        tensor = new(_node.result_class)  # as `traced` does: a call costs 5 % of what is spent here
        tensor.array = out
        tensor.grad = tensor.base = tensor.views = None
        if plan is None:
            tensor.node = None
        else:
            values.append(out)
            values += kept
            tensor.node = record(plan, parents, values, out.shape, out.dtype)
        if view and isinstance(args[0], Traced):
            register_view(tensor, args[0])
        return tensor

    def vjp(**rules: Callable[..., Any]) -> None:
        for name, rule in rules.items():
            self.rules[name] = rule, _names_of(self, name, rule, 2 if name == self.star_name else 1)

    def fused_vjp(*inputs: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def define(rule: Callable[..., Any]) -> Callable[..., Any]:
            self.fused_names = _names_of(self, ", ".join(inputs), rule, 2)
            self.fused, self.fused_differentiable = rule, inputs
            return rule

        return define

    def composed_of(function: Callable[..., Any]) -> Callable[..., Any]:
        self.composition = function
        return function

    def lead() -> None:
        nonlocal forward
        forward = led(self.forward)  # type: ignore[misc]
        plans.clear()  # they call rules that are not led

    self.lead = lead
    if led is not None:
        lead()
    if self.name in REGISTRY:
        raise ValueError(f"primitive {self.name!r} is defined twice")
    REGISTRY[self.name] = self
    self.apply = apply
    apply.primitive, apply.vjp, apply.fused_vjp, apply.composed_of = self, vjp, fused_vjp, composed_of  # type: ignore[attr-defined]
    return apply


def record(plan: Plan, parents: list[Any], values: list[Any], shape: Any, dtype: Any) -> Node:
    """Write one entry. `values`: the arguments, the result, and what the forward function kept."""
    node = new(Node)
    node.plan = plan
    node.parents = parents if plan.select is None else [parents[i] for i in plan.select]
    node.saved = saved = plan.keep(values)
    if plan.shapes:
        node.saved = (*saved, *[_shape(values[i]) for i in plan.shapes])
    node.index = tick()
    node.shape = shape
    node.dtype = dtype
    node.hooks = None
    if on_record is not None:
        on_record(node)
    return node


on_record: Callable[[Node], None] | None = None  # set while somebody listens (see recording.py)


def _shape(value: Any) -> Any:
    return tuple(v.shape for v in value) if type(value) is tuple else getattr(value, "shape", ())


def _several(plan: Plan | None, parents: list[Any], values: list[Any], out: tuple[Any, ...], kept: Any) -> tuple[Any, ...]:
    """Tensors for several results: one node, and an entry of its own for each."""
    arrays = tuple(as_array(array) for array in out)
    if plan is None:
        return tuple(_node.traced(array) for array in arrays)
    node = new(Node)
    node.plan = plan
    node.parents = parents if plan.select is None else [parents[i] for i in plan.select]
    values += [arrays, *kept]
    node.saved = (*plan.keep(values), *[_shape(values[i]) for i in plan.shapes])
    node.index = tick()
    node.shape = tuple(array.shape for array in arrays)
    node.dtype = tuple(array.dtype for array in arrays)
    node.hooks = None
    if on_record is not None:
        on_record(node)
    return tuple(_node.traced(array, result_of(node, i)) for i, array in enumerate(arrays))


class Result:
    """The plan of an entry that is one of several results of the entry before it."""

    __slots__ = ("name", "place")
    fused = None
    rules: tuple[()] = ()
    names: tuple[()] = ()

    def __init__(self, place: int):
        self.place = place
        self.name = f"result {place}"


def result_of(node: Node, place: int) -> Node | None:
    """The entry of result number `place` of a node; None where it cannot have a gradient."""
    if node.dtype[place].kind not in "fc":
        return None
    result = new(Node)
    result.plan = Result(place)  # type: ignore[assignment]
    result.parents = (node,)
    result.saved = ()
    result.index = tick()
    result.shape = node.shape[place]
    result.dtype = node.dtype[place]
    result.hooks = None
    return result


def _names_of(self: Primitive[..., Any], name: str, rule: Callable[..., Any], skip: int) -> tuple[str, ...]:
    """The saved names in a rule's signature, checked against the forward function's."""
    code = rule.__code__
    names = code.co_varnames[: code.co_argcount]
    known = {*self.value_names, *(f"{argument}_shape" for argument in self.arguments)}
    unknown = [n for n in names[skip:] if n not in known]
    if "g" not in names[:skip] or unknown or not all(n in self.arguments for n in name.split(", ")):
        raise TypeError(f"{self.name}: the rule for {name} names {names}; known are g, {', '.join(sorted(known))}")
    return names[skip:]


def _explained(self: Primitive[..., Any], values: list[Any], error: Exception) -> Exception:
    """The error of a forward function, told in terms of the call."""
    names = [*self.arguments[: self.star], *([self.star_name] * len(values) if self.star is not None else [])]
    devices = {f"{name} on {device_of(v)}": device_of(v) for name, v in zip(names, values) if is_array(v) and v.ndim}
    if len(set(devices.values())) > 1:
        return ValueError(f"{self.name}: all tensors must be on the same device: {', '.join(devices)}")
    message = str(error)
    if isinstance(error, OutOfMemoryError):
        return OutOfMemoryError(f"{self.name}: {message}")
    if message.startswith(f"{self.name}: "):
        return error
    # A number will do for most arguments; not where the function asked it for its dtype or shape.
    absent = isinstance(error, AttributeError)
    for name, value in zip(names, values):
        number = isinstance(value, np.generic) or (isinstance(value, (bool, int, float, complex)) and not absent)
        if (name in self.differentiable or absent) and not (is_array(value) or number or value is None):
            return TypeError(f"{self.name}: expected a Tensor for {name}, got {type(value).__name__}")
    what = ", ".join(f"{name}: {_described(value)}" for name, value in zip(names, values))
    kind = type(error) if type(error) in (TypeError, IndexError, AttributeError) else ValueError
    return kind(f"{self.name}: {message} ({what})")


def _described(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if is_array(value) else repr(value)
