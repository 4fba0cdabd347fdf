"""Primitives: a forward function on plain arrays and, beside it, one rule for each input.

    @primitive
    def mul(input, other):
        return input * other

    mul.vjp(input=lambda g, other: g * other,
            other=lambda g, input: g * input)

A rule's parameter names say what the tape keeps for it: `g` is the incoming gradient, `out` the result, any other name
a forward argument, and `input_shape` the shape alone of argument `input`. Rules are calculus only. They need not undo
broadcasting or care for dtypes (the engine does), must not write into what they are given, and use operators and this
library's functions: so they run on plain arrays for a first gradient, and on Tensors for a second.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_array, errstate, gpu
from tinygrad_lite.arrays.errors import REFUSALS, explained
from tinygrad_lite.arrays.gpu import at_home
from tinygrad_lite.arrays.rules import Primitive
from tinygrad_lite.arrays.signature import enter, wraps
from tinygrad_lite.arrays.views import register_view
from tinygrad_lite.engine import tape
from tinygrad_lite.engine.context import is_grad_enabled
from tinygrad_lite.engine.record import record, record_several
from tinygrad_lite.engine.tape import Traced, new

REGISTRY: dict[str, Primitive[..., Any]] = {}
NONDIFFERENTIABLE: dict[str, Primitive[..., Any]] = {}
_ndarray = np.ndarray


def primitive(forward: Any = None, *, view: bool = False, keeps: tuple[str, ...] = (), writes: bool = False) -> Any:
    """Make a recorded operation from a function on plain arrays.

    `view`: the result may share the first argument's memory. `keeps`: names of intermediate values that a fused rule needs;
    the forward function then returns `(out, kept, ...)`. `writes`: it changes its first argument and returns it (only for
    in-place changes). Backward raises if it needs a gradient for an argument without a rule. A forward function that
    returns a tuple (without `keeps`) has several results.
    """
    if forward is None:
        return functools.partial(primitive, view=view, keeps=keeps, writes=writes)
    self = Primitive(forward, view, keeps, writes)
    enter(self, REGISTRY, NONDIFFERENTIABLE)
    apply = self.apply = call_of(self)
    apply.primitive, apply.vjp, apply.fused_vjp, apply.composed_of = self, self.vjp, self.fused_vjp, self.composed_of
    return apply


def call_of(self: Primitive[..., Any]) -> Any:
    """The public function: the forward function on the Tensors' arrays, and a node on the tape."""
    forward, bind, plans, view, keeps, star = self.forward, self.bind, self.plans, self.view, self.keeps, self.star
    be_quiet, quiet_no_more, lost = errstate.enter, errstate.leave, errstate.lost
    count = None if star is not None else len(self.arguments)
    few = count in (1, 2, 3)

    @wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs or (len(args) != count and count is not None):
            args = bind(args, kwargs)
        # Separate the arrays from their nodes.
        parents: list[Any] = []
        on_tape: Any = 0  # the inputs that have a node, as bits; of more than three, their places and how many there are
        is_traced = False
        if few:  # written out: with the loop for all, the benchmark tiny takes 2 % longer
            x = args[0]
            if isinstance(x, Traced):
                is_traced, node, x = True, x.node, x.array
                if node is not None:
                    on_tape = 1
                    parents.append(node)
            if count != 1:
                y = args[1]
                if isinstance(y, Traced):
                    is_traced, node, y = True, y.node, y.array
                    if node is not None:
                        on_tape += 2
                        parents.append(node)
                if count == 3:
                    z = args[2]
                    if isinstance(z, Traced):
                        is_traced, node, z = True, z.node, z.array
                        if node is not None:
                            on_tape += 4
                            parents.append(node)
        else:
            values, places = [], []
            for i, x in enumerate(args):
                if isinstance(x, Traced):
                    is_traced, node, x = True, x.node, x.array
                    if node is not None:
                        parents.append(node)
                        places.append(i)
                values.append(x)
            on_tape = tuple(places), len(args)
        # Run.
        token = None
        try:
            token = be_quiet()  # within the try: see arrays/errstate.py
            if gpu.several:
                with at_home(*args):
                    out = forward(*_arrays(args))
            elif count == 1:
                out = forward(x)
            elif count == 2:
                out = forward(x, y)
            else:
                out = forward(x, y, z) if few else forward(*values)
        except REFUSALS as error:
            raise explained(self, _arrays(args), error) from None
        finally:
            quiet_no_more(token) if token is not None else lost()
        if keeps:
            out, *kept = out
        if not is_traced:
            return out
        # Record.
        plan = plans[on_tape] if parents and is_grad_enabled() else None
        if star is not None:
            values = [*values[:star], tuple(values[star:])]
        if type(out) is not _ndarray:
            if type(out) is tuple:
                source = args[0] if view else None
                return record_several(plan, parents, _arrays(args) if few else values, out, kept if keeps else (), source)
            out = as_array(out)
        tensor = new(tape.result_class)  # inlined `traced`: a call costs 5 % of the time spent here
        tensor.array = out
        tensor._grad = tensor.base = tensor.views = None
        if plan is None:
            tensor.node = None
        else:
            saved = (x, out) if count == 1 else (x, y, out) if count == 2 else (x, y, z, out) if few else (*values, out)
            tensor.node = record(plan, parents, (*saved, *kept) if keeps else saved, out.shape, out.dtype)
        if view and isinstance(args[0], Traced):
            register_view(tensor, args[0])
        return tensor

    return call


def _arrays(args: Any) -> list[Any]:
    return [x.array if isinstance(x, Traced) else x for x in args]
