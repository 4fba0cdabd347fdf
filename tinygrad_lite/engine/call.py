"""The call of a function on arrays, written out for its number of arguments.

A loop over the arguments would be a third of what a small operation costs: `linear` takes 2.8 us so,
and 1.8 us written out.
"""

from __future__ import annotations

import functools
import linecache
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import as_array
from tinygrad_lite.arrays.quiet import enter as be_quiet
from tinygrad_lite.arrays.quiet import leave as quiet_no_more
from tinygrad_lite.arrays.quiet import lost
from tinygrad_lite.engine import tape as _node
from tinygrad_lite.engine.errors import REFUSALS, explained
from tinygrad_lite.engine.mode import is_grad_enabled
from tinygrad_lite.engine.recording import record, several
from tinygrad_lite.engine.tape import Traced, register_view

if TYPE_CHECKING:
    from tinygrad_lite.engine.signature import Signature

_CALL = """
def call_of(primitive, forward, plans):
    bind, view, keeps, star = primitive.bind, primitive.view, primitive.keeps, primitive.star
    count = None if star is not None else len(primitive.arguments)

    def call(*args, **kwargs):
        if kwargs or (len(args) != count and count is not None):
            args = bind(args, kwargs)
        # Separate the arrays from their places on the tape.
        {values}, = args
        on_tape, is_traced, parents = {nothing}, False, []
{separate}
        # Run.
        token = None
        try:
            token = be_quiet()  # within the try: see arrays/quiet.py
            out = forward({values})
        except REFUSALS as error:
            raise explained(primitive, [{values}], error) from error
        finally:
            quiet_no_more(token) if token is not None else lost()
        {take_kept}
        if not is_traced:
            return out
        # Record.
        plan = plans[{subset}] if on_tape and is_grad_enabled() else None
        if type(out) is not ndarray:
            if type(out) is tuple:
                results = several(plan, parents, [{saved}], out, {kept})
                if view and isinstance(args[0], Traced):
                    for result in results:
                        register_view(result, args[0])
                return results
            out = as_array(out)
        tensor = new(_node.result_class)  # as `traced` does: a call costs 5 % of what is spent here
        tensor.array = out
        tensor._grad = tensor.base = tensor.views = None
        tensor.node = None if plan is None else record(plan, parents, ({saved}, out{and_kept}), out.shape, out.dtype)
        if view and isinstance(args[0], Traced):
            register_view(tensor, args[0])
        return tensor

    def lead(led):
        nonlocal forward
        forward = led(primitive.forward)

    return call, lead
"""

_ARGUMENT = """
        if isinstance({x}, Traced):
            is_traced, node, {x} = True, {x}.node, {x}.array
            if node is not None:
                on_tape += {bit}
                parents.append(node)
"""

_ARGUMENTS = """
        for i, x in enumerate(values):
            if isinstance(x, Traced):
                is_traced, node, values[i] = True, x.node, x.array
                if node is not None:
                    {count_in}
                    parents.append(node)
"""

_NAMES = {
    "REFUSALS": REFUSALS, "Traced": Traced, "_node": _node, "as_array": as_array, "be_quiet": be_quiet, "explained": explained,
    "is_grad_enabled": is_grad_enabled, "lost": lost, "ndarray": np.ndarray, "new": object.__new__, "quiet_no_more": quiet_no_more,
    "record": record, "register_view": register_view, "several": several,
}  # fmt: skip


def call_of(called: Signature[..., Any]) -> Callable[..., tuple[Callable[..., Any], Callable[..., None]]]:
    """What makes the call of a primitive or other function. With it comes a function that leads it to the GPU of
    its arguments (see apart.py)."""
    count, has_star = len(called.arguments), called.star is not None
    # Three arguments, as most have at most, are written out; the text of each takes 0.6 ms.
    return _written_out(None if count > 3 or has_star or called.keeps else count, has_star)


@functools.cache
def _written_out(count: int | None, has_star: bool) -> Callable[..., tuple[Callable[..., Any], Callable[..., None]]]:
    """`call_of` for `count` arguments, or (None) with a loop over any number of them, which also keeps values."""
    if count is None:
        file = __file__ + (", a star argument" if has_star else ", any number of arguments")  # a path of the package: see table.note_line
        # Which arguments have a node: as a mask of bits, or where there may be thousands as a list of places.
        count_in = "on_tape.append(i)" if has_star else "on_tape += 1 << i"
        text = _CALL.format(
            values="*values",
            nothing="[]" if has_star else "0",
            separate=_ARGUMENTS.format(count_in=count_in),
            subset="tuple(on_tape), len(values)" if has_star else "on_tape",
            take_kept="out, *kept = out if keeps else (out,)",
            saved="*(values if star is None else [*values[:star], tuple(values[star:])])",
            kept="kept",
            and_kept=", *kept",
        )
    else:
        file = f"{__file__}, {count} arguments"
        names = [f"x{i}" for i in range(count)]
        text = _CALL.format(
            nothing="0",
            values=", ".join(names),
            separate="".join(_ARGUMENT.format(x=x, bit=1 << i) for i, x in enumerate(names)),
            subset="on_tape",
            take_kept="",
            saved=", ".join(names),
            kept="()",
            and_kept="",
        )
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file  # for tracebacks and debuggers
    scope: dict[str, Any] = {}
    exec(compile(text, file, "exec"), _NAMES, scope)
    return scope["call_of"]
