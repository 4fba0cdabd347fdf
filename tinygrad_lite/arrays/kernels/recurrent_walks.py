"""A recurrent layer's walk along a sequence in compiled code, without a return to Python between the steps.

A step of 32 sequences of an LSTM with 128 units takes 50 us on two cores. Python needs another 15 us for its slices and
calls, during which the other thread, with the other half of the batch, often waits for the interpreter.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.blocked import traced_for_parts
from tinygrad_lite.arrays.compiling import fields, load_part
from tinygrad_lite.arrays.kernels.panel_products import Panels, product_fields, product_part
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.workers import in_parts

Field = tuple[int, int, int]  # a number: what it is at row 0, what each row before the step adds, and each row of the step
StepLoop = tuple[int, list[float]]  # a compiled part and the numbers it takes

_X, _OUT = 4, 8  # the places of addresses in `product_fields`


def step_loop(kernel: Callable[..., None], arrays: Sequence[Any]) -> StepLoop | None:
    """The compiled loop of the elementwise `kernel` of a step on `arrays`; None if it cannot be compiled."""
    found = traced_for_parts(kernel, arrays)
    return None if found is None else (found[0].part, found[1])


class Walk:
    """The calls of each step, in order.

    `steps`: the first row and the end of each. Threads take the walk for `each` sequences of the batch at a time. Arrays have a
    row for each of these rows, or, those in `still`, for each sequence of the batch, of which a step uses the first.
    """

    def __init__(self, steps: Sequence[tuple[int, int]], each: int, still: Sequence[np.ndarray]):
        self.steps, self.each, self.still = steps, each, still
        self.fields: list[Field] = []
        self.calls: list[int] = []

    def copy(self, source: np.ndarray, target: np.ndarray) -> None:
        """Copy the step's rows of `source` to those of `target`, as many columns as `source` has."""
        size = source.shape[1] * source.itemsize
        self._add(_copy_part(), [(0, 0, 1), self.each, self._at(source), source.strides[0], self._at(target), target.strides[0], size])

    def product(self, x: np.ndarray, panels: Panels, which: int, out: np.ndarray, add: bool = False) -> None:
        """The step's rows of `out` become those of `x` times the matrix `panels[which]`, or are increased by it (`add`)."""
        fields = product_fields((0, 0, 1), self.each, x, panels, which, out)
        fields[_X], fields[_OUT] = self._at(x), self._at(out)
        self._add(product_part(x.dtype, add), fields)

    def loop(self, loop: StepLoop, arrays: Sequence[np.ndarray]) -> None:
        """Call a compiled loop on the step's rows of `arrays`, which have the same number of columns."""
        (part, numbers), width = loop, arrays[0].shape[1]
        fields: list[int | Field] = [(0, 0, width), self.each * width]
        for each in arrays:
            fields += [self._at(each), each.itemsize, 0]
        self._add(part, [*fields, *np.array(numbers, np.float64).view(np.int64).tolist()])

    def sums(self, x: np.ndarray, out: np.ndarray) -> None:
        """Add the step's rows of `x` to a row of `out`, which has one for each part of the batch."""
        fields = [(0, 0, 1), self.each, self._at(x), x.strides[0], x.shape[1], start_of(out), out.strides[0]]
        self._add(_sums_part(x.dtype), fields)

    def _at(self, rows: np.ndarray) -> Field:
        """The address of the step's first row."""
        return start_of(rows), 0 if any(rows is each for each in self.still) else rows.strides[0], 0

    def _add(self, part: int, fields: Sequence[int | Field]) -> None:
        self.calls += [part, 8 * len(self.fields)]
        self.fields += [(field, 0, 0) if isinstance(field, int) else field for field in fields]

    def run(self, batch: int) -> None:
        """Go through the steps; threads share the sequences of the batch."""
        start, stop = np.array(self.steps, np.int64).reshape(-1, 2).T
        first, by_start, by_size = np.array(self.fields, np.int64).T
        table = first + start[:, None] * by_start + (stop - start)[:, None] * by_size
        block = array("q", [len(table), table.shape[1] * 8, len(self.calls) // 2, start_of(table), *self.calls])
        in_parts(_walk_part(), block, -(-batch // self.each))


@functools.cache
def _copy_part() -> int:
    """Copies a part of the rows: args are the number of rows, the number in a part, the source, its bytes a row, the target,
    its bytes a row, and the bytes to copy of each."""
    names = ("rows", "each", "source", "source_row", "target", "target_row", "size")
    return load_part(f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names, ("source", "target"))}
  %start = mul i64 %i, %each
  %end = add i64 %start, %each
  %whole = icmp slt i64 %end, %rows
  %stop = select i1 %whole, i64 %end, i64 %rows
  %some = icmp slt i64 %start, %stop
  br i1 %some, label %row, label %done
row:
  %r = phi i64 [ %start, %entry ], [ %next, %row ]
  %from_offset = mul i64 %r, %source_row
  %from = getelementptr i8, ptr %source, i64 %from_offset
  %to_offset = mul i64 %r, %target_row
  %to = getelementptr i8, ptr %target, i64 %to_offset
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
  %next = add i64 %r, 1
  %more = icmp slt i64 %next, %stop
  br i1 %more, label %row, label %done
done:
  ret void
}}
""")


@functools.cache
def _sums_part(dtype: np.dtype) -> int:
    """Adds the rows of a part to one row: args are the number of rows, the number in a part, the rows, the bytes of each, the
    number of columns, the sums of the first part, and the bytes from a part's sums to the next."""
    t = KINDS[dtype]
    names = ("rows", "each", "x", "x_row", "columns", "sums", "sums_row")
    return load_part(f"""
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names, ("x", "sums"))}
  %offset = mul i64 %i, %sums_row
  %out = getelementptr i8, ptr %sums, i64 %offset
  %start = mul i64 %i, %each
  %end = add i64 %start, %each
  %whole = icmp slt i64 %end, %rows
  %stop = select i1 %whole, i64 %end, i64 %rows
  %some = icmp slt i64 %start, %stop
  br i1 %some, label %row, label %done
row:
  %r = phi i64 [ %start, %entry ], [ %next, %after ]
  %along = mul i64 %r, %x_row
  %from = getelementptr i8, ptr %x, i64 %along
  br label %column
column:
  %j = phi i64 [ 0, %row ], [ %next_j, %column ]
  %value_at = getelementptr {t}, ptr %from, i64 %j
  %value = load {t}, ptr %value_at
  %sum_at = getelementptr {t}, ptr %out, i64 %j
  %sum = load {t}, ptr %sum_at
  %total = fadd {t} %sum, %value
  store {t} %total, ptr %sum_at
  %next_j = add i64 %j, 1
  %more_j = icmp slt i64 %next_j, %columns
  br i1 %more_j, label %column, label %after
after:
  %next = add i64 %r, 1
  %more = icmp slt i64 %next, %stop
  br i1 %more, label %row, label %done
done:
  ret void
}}
""")


@functools.cache
def _walk_part() -> int:
    """Makes the calls of all steps for a part of the sequences: args are the number of steps, the bytes that a step's
    arguments take, the number of calls, the address of the arguments, and for each call the part and where its arguments
    begin."""
    return load_part("""
define void @part(i64 %i, ptr %args) {
entry:
  %steps = load i64, ptr %args
  %bytes_at = getelementptr i64, ptr %args, i64 1
  %bytes = load i64, ptr %bytes_at
  %count_at = getelementptr i64, ptr %args, i64 2
  %count = load i64, ptr %count_at
  %table_at = getelementptr i64, ptr %args, i64 3
  %table = load ptr, ptr %table_at
  %calls = getelementptr i64, ptr %args, i64 4
  %some = icmp sgt i64 %steps, 0
  br i1 %some, label %step, label %end
step:
  %s = phi i64 [ 0, %entry ], [ %next_s, %after ]
  %offset = mul i64 %s, %bytes
  %here = getelementptr i8, ptr %table, i64 %offset
  br label %call
call:
  %c = phi i64 [ 0, %step ], [ %next_c, %call ]
  %place = mul i64 %c, 2
  %part_at = getelementptr i64, ptr %calls, i64 %place
  %part = load ptr, ptr %part_at
  %begin_at = getelementptr i64, ptr %part_at, i64 1
  %begin = load i64, ptr %begin_at
  %its_args = getelementptr i8, ptr %here, i64 %begin
  call void %part(i64 %i, ptr %its_args)
  %next_c = add i64 %c, 1
  %more_c = icmp slt i64 %next_c, %count
  br i1 %more_c, label %call, label %after
after:
  %next_s = add i64 %s, 1
  %more_s = icmp slt i64 %next_s, %steps
  br i1 %more_s, label %step, label %end
end:
  ret void
}
""")
