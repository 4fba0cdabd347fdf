"""Kernels that follow one another as one kernel that does both in one pass over memory."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import affine
from tinygrad_lite.arrays.kernels.activations import relu_of
from tinygrad_lite.arrays.kernels.after_products import masked_product, rectified_affine
from tinygrad_lite.arrays.kernels.products import of_matrices
from tinygrad_lite.arrays.kernels.where import selected
from tinygrad_lite.compiler.program import Call, Program, Variable


class _Reads:
    """Which calls read and write each memory, by number, and which call makes each variable."""

    def __init__(self, program: Program):
        self.calls = program.calls
        self.uses: dict[int, list[int]] = collections.defaultdict(list)
        self.maker: dict[Variable, int] = {}
        self.kept = {variable.memory for variable in program.outputs}
        for i, call in enumerate(program.calls):
            for memory in {variable.memory for variable in (*call.variables(), *call.written)}:
                self.uses[memory].append(i)
            self.maker.update(dict.fromkeys(call.made, i))

    def only_reader(self, variable: Variable, reader: int) -> int | None:
        """The call that makes a variable, if no other than `reader` reads its memory and nothing in between changes an operand."""
        made = self.maker.get(variable)
        if made is None or variable.memory in self.kept or self.uses[variable.memory] != [reader]:
            return None
        operands = {operand.memory for operand in self.calls[made].variables()}
        changed = any(written.memory in operands for call in self.calls[made + 1 : reader] for written in call.written)
        return None if changed else made


# What joins a call, by number, with those that made its operands: the numbers of the calls that it stands for, the
# function that does all of them, and its arguments; None if they are others.
Join = Callable[[int, Call, _Reads], "tuple[list[int], Any, tuple[Any, ...]] | None"]


def _relu_of_affine(number: int, call: Call, reads: _Reads) -> Any:
    if not call.calls(relu_of) or (made := reads.only_reader(call.arguments[0], number)) is None:
        return None
    first = reads.calls[made]
    return ([made], rectified_affine, first.arguments) if first.calls(affine) else None


def _product_where_positive(number: int, call: Call, reads: _Reads) -> Any:
    if not call.calls(selected) or call.arguments[1] != 0.0:
        return None
    condition, _, product = call.arguments
    compared, made = (reads.only_reader(v, number) if isinstance(v, Variable) else None for v in (condition, product))
    if compared is None or made is None:
        return None
    comparison, first = reads.calls[compared], reads.calls[made]
    if comparison.function != "<=" or comparison.arguments[1] != 0 or not first.calls(of_matrices):
        return None
    out = comparison.arguments[0]
    alike = isinstance(out, Variable) and (out.shape, out.dtype) == (product.shape, product.dtype)
    return ([compared, made], masked_product, (*first.arguments, out)) if alike else None


JOINS: tuple[Join, ...] = (_relu_of_affine, _product_where_positive)


def with_products_joined(program: Program) -> Program:
    """With one kernel for a product and what follows it: a rectifier, or a rectifier's gradient. The joined kernel consists of
    the same NumPy calls."""
    reads = _Reads(program)
    calls: dict[int, Call] = dict(enumerate(program.calls))
    for number, call in enumerate(program.calls):
        for join in JOINS:
            if (found := join(number, call, reads)) is not None:
                numbers, function, arguments = found
                body = tuple(part for i in sorted(numbers) for part in calls.pop(i).parts()) + call.parts()
                calls[number] = dataclasses.replace(call, function=function, arguments=arguments, keywords={}, body=body)
                break
    return dataclasses.replace(program, calls=list(calls.values()))
