"""What an operation was called with, and the call as an expression."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays import is_array
from tinygrad_lite.study.values import Values

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "matmul": "@"}
_MOST = 6  # elements of an array that is written out


class Input(NamedTuple):
    """An argument that is on the tape: the entry of this number."""

    number: int

    def __str__(self) -> str:
        return f"%{self.number}"


def arguments_of(plan: Any, given: Any, inputs: tuple[int, ...], values: Callable[[Any], Any]) -> dict[str, Any]:
    """The arguments of an operation by name, those on the tape as `Input`, other arrays as `values` makes of them. The arguments
    of a star parameter are a tuple. Those of a Function, which have no names, are `argument 0` and so on, if all of them are
    Tensors: no others are on the tape, and then all are left out."""
    primitive = plan.primitive
    if not getattr(primitive, "arguments", ()):
        numbers = iter(inputs)
        needs = _needs_of_function(plan, given)
        return {f"argument {i}": Input(next(numbers)) if need else values(given[i]) for i, need in enumerate(needs)}
    number_at = dict(zip(plan.wanted, inputs))
    found: dict[str, Any] = {}
    for place, (name, value) in enumerate(zip(primitive.arguments, given)):
        if place == primitive.star:
            found[name] = tuple(Input(number_at[place + i]) if place + i in number_at else values(each) for i, each in enumerate(value))
        elif place in number_at:
            found[name] = Input(number_at[place])
        else:
            found[name] = tuple(map(values, value)) if type(value) is tuple else values(value)  # as an index may be
    return found


def constants_in(plan: Any, given: Any) -> Iterator[tuple[str, Any]]:
    """The arrays among an operation's arguments that are not on the tape, by argument, those in a tuple as `name[0]`."""
    primitive = plan.primitive
    for i, need in enumerate(_needs_of_function(plan, given)):
        if not need:
            yield f"argument {i}", given[i]
    wanted = set(plan.wanted)
    for place, (name, value) in enumerate(zip(getattr(primitive, "arguments", ()), given)):
        for i, part in enumerate(value if type(value) is tuple else (value,)):
            if is_array(part) and place + (i if place == primitive.star else 0) not in wanted:
                yield (f"{name}[{i}]" if type(value) is tuple else name), part


def _needs_of_function(plan: Any, given: Any) -> tuple[bool, ...]:
    """For each argument of an autograd.Function whether it needs a gradient, if all of them are Tensors; otherwise ()."""
    needs = getattr(plan, "needs", ())
    return needs if len(needs) == len(given) else ()


def expression(entry: Any, called: Callable[[Any], str] = str) -> str:
    """The call of an entry's operation: `%1 * 2.0`, `linear(%0, %1, %2)`. `called`: how an input is written."""
    if entry.is_leaf:
        return "leaf"
    if entry.operation.startswith("result ") and len(entry.inputs) == 1:
        return f"{called(Input(entry.inputs[0]))}[{entry.operation[7:]}]"
    if not entry.arguments:
        return f"{entry.operation}({', '.join(called(Input(number)) for number in entry.inputs)})"
    parts = [argument_text(value, called) for value in entry.arguments.values()]
    if entry.operation in INFIX and len(parts) == 2:
        return f"{parts[0]} {INFIX[entry.operation]} {parts[1]}"
    names = list(entry.arguments)
    while parts and entry.arguments[names[len(parts) - 1]] in (None, False, ()):  # which say nothing
        parts.pop()
    return f"{entry.operation}({', '.join(parts)})"


def argument_text(value: Any, called: Callable[[Any], str] = str) -> str:
    if isinstance(value, Input):
        return called(value)
    if isinstance(value, Values):
        if value.array is not None and value.array.size <= _MOST:
            return np.array2string(value.array, precision=4, separator=", ").replace("\n", "")
        return f"{value.dtype}{list(value.shape)}"
    if type(value) is tuple and any(isinstance(each, (Input, Values)) for each in value):
        return "[" + ", ".join(argument_text(each, called) for each in value) + "]"
    text = str(value) if not isinstance(value, str) else repr(value)
    return " ".join(text.split()) if len(text) <= 60 else f"{' '.join(text[:57].split())}..."


def one_line(text: str) -> str:
    """Text with a space for every character that is not printed, line breaks among them."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
