"""Kernels that follow one another as one kernel that does both in one pass over memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import affine
from tinygrad_lite.arrays.kernels.activations import relu_of
from tinygrad_lite.arrays.kernels.after_products import masked_product, rectified_affine
from tinygrad_lite.arrays.kernels.products import of_matrices
from tinygrad_lite.arrays.kernels.where import selected
from tinygrad_lite.compiler.joined_kernels import Uses
from tinygrad_lite.compiler.program import Call, Program, Variable


def _only_for(uses: Uses, program: Program, variable: Any, reader: int) -> int | None:
    """The call that makes a variable, if none but call `reader` reads it and nothing in between changes an operand."""
    made = uses.makers.get(variable, -1) if isinstance(variable, Variable) else -1
    if made < 0 or set(uses.reads[variable.memory]) != {reader} or not uses.is_last_read(variable.memory, reader):
        return None
    return made if uses.is_unwritten(program.calls[made].variables(), made, reader) else None


# What joins a call, by number, with those that made its operands: the numbers of the calls that it stands for, the
# function that does all of them, and its arguments; None if they are others.
Join = Callable[[int, Program, Uses], "tuple[list[int], Any, tuple[Any, ...]] | None"]


def _relu_of_affine(number: int, program: Program, uses: Uses) -> Any:
    call = program.calls[number]
    if not call.calls(relu_of) or (made := _only_for(uses, program, call.arguments[0], number)) is None:
        return None
    first = program.calls[made]
    return ([made], rectified_affine, first.arguments) if first.calls(affine) else None


def _product_where_positive(number: int, program: Program, uses: Uses) -> Any:
    call = program.calls[number]
    if not call.calls(selected) or call.arguments[1] != 0.0:
        return None
    condition, _, product = call.arguments
    compared, made = (_only_for(uses, program, variable, number) for variable in (condition, product))
    if compared is None or made is None:
        return None
    comparison, first = program.calls[compared], program.calls[made]
    if comparison.function != "<=" or comparison.arguments[1] != 0 or not first.calls(of_matrices):
        return None
    out = comparison.arguments[0]
    alike = isinstance(out, Variable) and (out.shape, out.dtype) == (product.shape, product.dtype)
    return ([compared, made], masked_product, (*first.arguments, out)) if alike else None


JOINS: tuple[Join, ...] = (_relu_of_affine, _product_where_positive)


def with_products_joined(program: Program) -> Program:
    """With one kernel for a product and what follows it: a rectifier, or a rectifier's gradient. The joined kernel consists of
    the same NumPy calls."""
    uses = Uses(program)
    calls: dict[int, Call] = dict(enumerate(program.calls))
    for number, call in enumerate(program.calls):
        for join in JOINS:
            if (found := join(number, program, uses)) is not None:
                numbers, function, arguments = found
                body = tuple(part for i in sorted(numbers) for part in calls.pop(i).parts()) + call.parts()
                calls[number] = dataclasses.replace(call, function=function, arguments=arguments, keywords={}, body=body)
                break
    return dataclasses.replace(program, calls=list(calls.values()))
