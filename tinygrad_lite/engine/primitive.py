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

from tinygrad_lite.arrays.gpu import when_several
from tinygrad_lite.engine import plan as _plan
from tinygrad_lite.engine.call import call_of
from tinygrad_lite.engine.plan import Plans
from tinygrad_lite.engine.signature import NONDIFFERENTIABLE, P, R, Signature, enter

REGISTRY: dict[str, Primitive[..., Any]] = {}


class Primitive(Signature[P, R]):
    """The record behind a primitive: its forward function, its rules, its plans."""

    def __init__(self, forward: Callable[P, R], view: bool, keeps: tuple[str, ...], writes: bool):
        super().__init__(forward)
        self.view = view
        self.keeps = keeps
        self.writes = writes
        self.value_names = (*self.arguments, "out", *keeps)
        self.rules: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
        self.fused: Callable[..., Any] | None = None
        self.fused_names: tuple[str, ...] = ()
        self.composition: Callable[..., Any] | None = None
        self.constant: dict[str, tuple[str, ...]] = {}
        self.joint: tuple[str, ...] = ()
        self.plans = Plans(self)

    @property
    def differentiable(self) -> tuple[str, ...]:
        return self.fused_differentiable if self.fused is not None else tuple(self.rules)

    fused_differentiable: tuple[str, ...] = ()


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
    apply, lead_forward = call_of(self)(self, forward, self.plans)
    functools.update_wrapper(apply, forward)

    def vjp(**rules: Callable[..., Any]) -> None:
        """Give rules by argument name. The rule of a star argument also takes `i`, its place."""
        for name, rule in rules.items():
            self.rules[name] = rule, _names_of(self, name, rule, 2 if name == self.star_name else 1)
        self.plans.clear()  # of calls before

    def fused_vjp(*inputs: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Give one rule for `inputs` together: it takes `needs` (a bool for each forward argument)
        and `g`, then saved names, and returns a gradient (or None) for each forward argument."""

        def define(rule: Callable[..., Any]) -> Callable[..., Any]:
            self.fused_names = _names_of(self, ", ".join(inputs), rule, 2)
            self.fused, self.fused_differentiable = rule, inputs
            self.plans.clear()
            return rule

        return define

    def composed_of(function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the composition that the primitive stands for: second derivatives go through it."""
        self.composition = function
        self.plans.clear()
        return function

    def constant_in(**inputs: str) -> None:
        """Name, for the gradient of an input, the inputs (or `out`) in which it is constant piece by piece and of which
        it is a function all the same: under `create_graph` it is on the tape, and its derivative is zero."""
        self.constant = {name: tuple(names.split()) for name, names in inputs.items()}

    def joint_in(*inputs: str) -> None:
        """Name the inputs of which PyTorch has all gradients as one function: under `create_graph` even one that depends
        on nothing (a bias's, say) is on the tape as soon as one of these needs a gradient, though none reaches them."""
        self.joint = inputs

    def lead() -> None:
        lead_forward(_plan.led)
        self.plans.clear()  # they call rules that are not led

    when_several(lead)
    enter(self, REGISTRY, NONDIFFERENTIABLE)
    self.apply = apply
    apply.primitive, apply.vjp, apply.fused_vjp, apply.composed_of = self, vjp, fused_vjp, composed_of  # type: ignore[attr-defined]
    apply.constant_in, apply.joint_in = constant_in, joint_in  # type: ignore[attr-defined]
    return apply


def _names_of(self: Primitive[..., Any], name: str, rule: Callable[..., Any], skip: int) -> tuple[str, ...]:
    """The saved names in a rule's signature, checked against the forward function's."""
    code = rule.__code__
    names = code.co_varnames[: code.co_argcount]
    known, arguments = self.value_names, self.arguments
    unknown = [n for n in names[skip:] if n not in known and n.removesuffix("_shape") not in arguments]
    if "g" not in names[:skip] or unknown or not all(n in arguments for n in name.split(", ")):
        possible = sorted({*known, *(f"{argument}_shape" for argument in arguments)})
        raise TypeError(f"{self.name}: the rule for {name} names {names}; known are g, {', '.join(possible)}")
    return names[skip:]
