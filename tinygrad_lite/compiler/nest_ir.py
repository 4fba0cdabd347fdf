"""Nests of loops in LLVM IR."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays.loop_functions import KINDS, constant
from tinygrad_lite.arrays.loops import Unsupported, Writer
from tinygrad_lite.compiler.nests import Nest, overlap
from tinygrad_lite.compiler.product_ir import product_text

_BOOL = np.dtype(bool)


Step = tuple[str, tuple[Any, ...], int]  # the operation, its operands (arrays by number, constants as text), and the array of its result


def text_of(nest: Nest, dtype: np.dtype) -> str:
    """The function `nest` of a nest. Values that nothing outside reads are not stored."""
    written = nest.written()
    for k, (a, _) in enumerate(nest.arrays if math.prod(nest.shape) else ()):
        if a.dtype not in (dtype, _BOOL):
            raise Unsupported(str(a.dtype))
        for other, (b, _) in enumerate(nest.arrays[:k]):
            if overlap(nest.spans[k], nest.spans[other]) and (id(a) in written or id(b) in written):
                raise Unsupported("overlapping memory")
    number = max((piece.number for *_, piece in nest.steps if piece is not None), default=-1)
    makers = {out: piece for _, _, out, piece in nest.steps}  # the last one of each
    stores = tuple(out for out, piece in makers.items() if nest.accumulates or piece is None or not 0 <= piece.last <= number)
    steps = tuple(
        (name, tuple(constant(operand, dtype) if isinstance(operand, float) else operand for operand in operands), out)
        for name, operands, out, _ in nest.steps
    )
    booleans = tuple(array.dtype == _BOOL for array, _ in nest.arrays)
    return _text(nest.shape, tuple(its for _, its in nest.arrays), booleans, steps, stores, dtype)


@functools.lru_cache(maxsize=1024)
def _text(
    shape: tuple[int, ...], all_strides: tuple[tuple[int, ...], ...], booleans: tuple[bool, ...], steps: tuple[Step, ...],
    stores: tuple[int, ...], dtype: np.dtype,
) -> str:  # fmt: skip
    """The function of a nest over `shape` on arrays with these strides, some of them of booleans, that stores those of `stores`."""
    kind = KINDS[dtype]
    writer = Writer(kind)
    parameters = ", ".join(f"ptr noalias %p{a}" for a in range(len(all_strides)))
    if not math.prod(shape):
        return f"define internal void @nest({parameters}) {{\n  ret void\n}}"
    if steps[0][0] == "matrix product":
        return product_text(shape, [all_strides[i] for i in (*steps[0][1], steps[0][2])], dtype)
    sizes, strides = _collapsed(shape, all_strides)
    depth = len(sizes)
    inside = [writer.line(f"mul i64 %i{d}, {its[d]}") for its in strides for d in range(depth)]
    pointers = []
    for k, its in enumerate(strides):
        pointer = f"%p{k}"
        for d in range(depth):
            if its[d]:
                pointer = writer.line(f"getelementptr i8, ptr {pointer}, i64 {inside[k * depth + d]}")
        pointers.append(pointer)
    values: dict[int, str] = {}

    def value(operand: Any) -> str:
        if isinstance(operand, str):
            return operand
        if operand not in values:
            if booleans[operand]:
                values[operand] = writer.boolean(f"trunc i8 {writer.line(f'load i8, ptr {pointers[operand]}')} to i1")
            else:
                values[operand] = writer.line(f"load {kind}, ptr {pointers[operand]}")
        return values[operand]

    total = ""
    for step, operands, out in steps:
        if step in ("product", "total"):
            if step == "product":
                term = writer.line(f"fmul contract {kind} {value(operands[0])}, {value(operands[1])}")
            else:
                term = writer.number(value(operands[1]))
            if strides[out][-1] == 0 and sizes[-1] > 1:  # the innermost loop adds up
                total = writer.line(f"fadd reassoc contract {kind} %total, {term}")
                values[out] = total
            else:
                values[out] = writer.line(f"fadd contract {kind} {value(out)}, {term}")
        else:
            values[out] = writer.step(step, [value(operand) for operand in operands])
    if not total:
        for out in stores:
            if booleans[out]:
                writer.lines.append(f"  store i8 {writer.line(f'zext i1 {values[out]} to i8')}, ptr {pointers[out]}")
            else:
                writer.lines.append(f"  store {kind} {writer.number(values[out])}, ptr {pointers[out]}")
    lines = [f"define internal void @nest({parameters}) {{", "entry:", "  br label %loop0"]
    for d in range(depth):
        before = "entry" if d == 0 else f"loop{d - 1}"
        lines += [f"loop{d}:", f"  %i{d} = phi i64 [ 0, %{before} ], [ %next{d}, %end{d} ]"]
        if d < depth - 1:
            if total and d == depth - 2:
                lines += _before_total(steps[0][2], strides, depth, kind)
            lines.append(f"  br label %loop{d + 1}")
    inner = depth - 1
    if total:
        start = f"loop{inner - 1}" if inner else "entry"
        lines.append(f"  %total = phi {kind} [ {'%first' if inner else constant(0.0, dtype)}, %{start} ], [ {total}, %end{inner} ]")
    lines += [*writer.lines, f"  br label %end{inner}"]
    for d in reversed(range(depth)):
        lines += [f"end{d}:"]
        if total and d == inner - 1:
            lines.append(f"  store {kind} {total}, ptr %sum")
        lines += [f"  %next{d} = add nuw nsw i64 %i{d}, 1", f"  %more{d} = icmp ult i64 %next{d}, {sizes[d]}"]
        lines.append(f"  br i1 %more{d}, label %loop{d}, label %{f'end{d - 1}' if d else 'done'}")
    lines.append("done:")
    if total and not inner:
        lines.append(f"  store {kind} {total}, ptr %p{steps[0][2]}")
    return "\n".join([*lines, "  ret void", "}"])


def _collapsed(shape: tuple[int, ...], all_strides: tuple[tuple[int, ...], ...]) -> tuple[list[int], list[list[int]]]:
    """The sizes of the loops, those of one element left out and neighbours made one where all arrays allow it, and the
    strides of each array."""
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in all_strides]
    for d, size in enumerate(shape):
        if size == 1:
            continue
        if sizes and all(its[-1] == given[d] * size for its, given in zip(strides, all_strides)):
            sizes[-1] *= size
            for its, given in zip(strides, all_strides):
                its[-1] = given[d]
        else:
            sizes.append(size)
            for its, given in zip(strides, all_strides):
                its.append(given[d])
    return (sizes, strides) if sizes else ([1], [[0] for _ in all_strides])


def _before_total(out: int, strides: list[list[int]], depth: int, kind: str) -> list[str]:
    """Where the sum of the innermost loop is kept, and what is there."""
    lines, pointer = [], f"%p{out}"
    for d in range(depth - 1):
        lines += [f"  %o{d} = mul i64 %i{d}, {strides[out][d]}", f"  %q{d} = getelementptr i8, ptr {pointer}, i64 %o{d}"]
        pointer = f"%q{d}"
    return [*lines, f"  %sum = getelementptr i8, ptr {pointer}, i64 0", f"  %first = load {kind}, ptr %sum"]
