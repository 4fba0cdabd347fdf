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
from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_array, gpu
from tinygrad_lite.arrays.errors import REFUSALS, explained
from tinygrad_lite.arrays.gpu import at_home
from tinygrad_lite.arrays.quiet import enter as be_quiet
from tinygrad_lite.arrays.quiet import leave as quiet_no_more
from tinygrad_lite.arrays.quiet import lost
from tinygrad_lite.arrays.signature import P, R, Signature, wraps
from tinygrad_lite.engine import tape
from tinygrad_lite.engine.context import is_grad_enabled
from tinygrad_lite.engine.plan import Plans, Rule, record, record_several
from tinygrad_lite.engine.tape import Traced, register_view

REGISTRY: dict[str, Primitive[..., Any]] = {}
NONDIFFERENTIABLE: dict[str, Primitive[..., Any]] = {}

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
    first_bit = 0 if star is not None else 1  # a mask of thousands of bits would take a time that is quadratic

    @wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs or (len(args) != count and count is not None):
            args = bind(args, kwargs)
        # Separate the arrays from their places on the tape.
        values: list[Any] = []
        parents: list[Any] = []
        on_tape, bit, is_traced = 0, first_bit, False
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
        plan = plans[on_tape if count is not None else _places(args)] if parents and is_grad_enabled() else None
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


def _places(args: Any) -> tuple[tuple[int, ...], int]:
    """Which of `args` have a place on the tape, and how many there are."""
    return tuple(i for i, x in enumerate(args) if isinstance(x, Traced) and x.node is not None), len(args)
