"""The product of two small matrices in LLVM IR.

A block of the result, some rows of up to two vectors each, stays in registers while it is summed up. (32, 16) @ (16, 16) in
float32 takes 0.3 us; a loop that adds multiples of rows to a row of the result in memory takes 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_lite.arrays.compiling import vector_size
from tinygrad_lite.arrays.loop_functions import KINDS

SUMS = 8  # vectors of the result in registers; a processor with AVX2 has 16 registers, and others hold the operands


def product_text(shape: tuple[int, ...], strides: Sequence[Sequence[int]], dtype: np.dtype) -> str:
    """The function `nest` that writes a (rows, inner) times b (inner, columns) into c, given `shape` = (rows, inner, columns) and
    the strides in bytes of a, b and c along these. Elements of rows of b and c are neighbours."""
    rows, inner, columns = shape
    lanes = vector_size() // dtype.itemsize
    lines = ["define internal void @nest(ptr noalias %p0, ptr noalias %p1, ptr noalias %p2) {", "entry:"]
    number = 0
    for column, columns_each, column_blocks in _divided(columns, 2 * lanes):
        for row, rows_each, row_blocks in _divided(rows, SUMS if columns_each <= lanes else SUMS // 2):
            blocks = _Blocks(number, (row, column), (rows_each, columns_each), (row_blocks, column_blocks))
            lines += blocks.lines(inner, strides, dtype)
            number += 1
    return "\n".join([*lines, "  ret void", "}"])


def _divided(size: int, most: int) -> list[tuple[int, int, int]]:
    """Where blocks of one size begin, this size, and their number: those of `most` elements, and one of the rest."""
    blocks, rest = divmod(size, most)
    return [(start, each, count) for start, each, count in ((0, most, blocks), (size - rest, rest, 1)) if each and count]


class _Blocks:
    """Loops over blocks of one size: from where on in the result, the size of a block, and their numbers, by rows and columns."""

    def __init__(self, number: int, first: tuple[int, int], size: tuple[int, int], count: tuple[int, int]):
        self.number, self.first, self.size, self.count = number, first, size, count

    def lines(self, inner: int, strides: Sequence[Sequence[int]], dtype: np.dtype) -> list[str]:
        n, (rows, columns), item = self.number, self.size, dtype.itemsize
        (a_row, a_inner, _), (_, b_inner, _), (c_row, _, _) = strides
        kind = KINDS[dtype]
        vector = f"<{columns} x {kind}>"
        before = f"end{n - 1}" if n else "entry"
        head = [
            f"  br label %rows{n}", f"rows{n}:",
            f"  %i{n} = phi i64 [ 0, %{before} ], [ %i_next{n}, %after_columns{n} ]",
            f"  br label %columns{n}", f"columns{n}:",
            f"  %j{n} = phi i64 [ 0, %rows{n} ], [ %j_next{n}, %after{n} ]",
            *self._pointer("a", "%p0", a_row, 0), *self._pointer("b", "%p1", 0, item), *self._pointer("c", "%p2", c_row, item),
            f"  br label %inner{n}", f"inner{n}:",
            f"  %k{n} = phi i64 [ 0, %columns{n} ], [ %k_next{n}, %inner{n} ]",
        ]  # fmt: skip
        sums = [
            f"  %sum{n}_{r} = phi {vector} [ zeroinitializer, %columns{n} ], [ %more{n}_{r}, %inner{n} ]" for r in range(rows)
        ]  # fmt: skip
        body = [
            f"  %b_offset{n} = mul i64 %k{n}, {b_inner}", f"  %b_at{n} = getelementptr i8, ptr %b{n}, i64 %b_offset{n}",
            f"  %b_row{n} = load {vector}, ptr %b_at{n}, align {item}",
            f"  %a_offset{n} = mul i64 %k{n}, {a_inner}", f"  %a_at{n}_0 = getelementptr i8, ptr %a{n}, i64 %a_offset{n}",
        ]  # fmt: skip
        stores = []
        for r in range(rows):
            if r:
                body.append(f"  %a_at{n}_{r} = getelementptr i8, ptr %a_at{n}_0, i64 {r * a_row}")
            body += [
                f"  %a_one{n}_{r} = load {kind}, ptr %a_at{n}_{r}",
                f"  %a_first{n}_{r} = insertelement {vector} poison, {kind} %a_one{n}_{r}, i32 0",
                f"  %a_all{n}_{r} = shufflevector {vector} %a_first{n}_{r}, {vector} poison, <{columns} x i32> zeroinitializer",
                f"  %term{n}_{r} = fmul contract {vector} %a_all{n}_{r}, %b_row{n}",
                f"  %more{n}_{r} = fadd contract {vector} %sum{n}_{r}, %term{n}_{r}",
            ]
            stores.append(f"  %c_at{n}_{r} = getelementptr i8, ptr %c{n}, i64 {r * c_row}")
            stores.append(f"  store {vector} %more{n}_{r}, ptr %c_at{n}_{r}, align {item}")
        return [
            *head, *sums, *body, *self._again("k", inner, "inner", "after"), f"after{n}:", *stores,
            *self._again("j", self.count[1], "columns", "after_columns"), f"after_columns{n}:",
            *self._again("i", self.count[0], "rows", "end"), f"end{n}:",
        ]  # fmt: skip

    def _pointer(self, name: str, start: str, row: int, column: int) -> list[str]:
        """Where a block of a matrix begins, whose neighbours are `row` and `column` bytes away."""
        n, offset = self.number, self.first[0] * row + self.first[1] * column
        return [
            f"  %{name}_down{n} = mul i64 %i{n}, {self.size[0] * row}", f"  %{name}_right{n} = mul i64 %j{n}, {self.size[1] * column}",
            f"  %{name}_both{n} = add i64 %{name}_down{n}, %{name}_right{n}",
            f"  %{name}_from{n} = add i64 %{name}_both{n}, {offset}",
            f"  %{name}{n} = getelementptr i8, ptr {start}, i64 %{name}_from{n}",
        ]  # fmt: skip

    def _again(self, index: str, count: int, loop: str, after: str) -> list[str]:
        n = self.number
        return [
            f"  %{index}_next{n} = add nuw nsw i64 %{index}{n}, 1",
            f"  %{index}_more{n} = icmp ult i64 %{index}_next{n}, {count}",
            f"  br i1 %{index}_more{n}, label %{loop}{n}, label %{after}{n}",
        ]
