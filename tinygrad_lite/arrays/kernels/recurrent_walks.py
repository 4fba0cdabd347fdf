"""A recurrent layer's walk along a sequence in compiled code, without a return to Python between the steps.

A step of 32 sequences of an LSTM with 128 units takes 50 us on two cores. Python needs another 15 us for its slices and
calls, during which the other thread, with the other half of the batch, often waits for the interpreter.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.blocked import traced_for_parts
from tinygrad_lite.arrays.compiling import fields, load_part
from tinygrad_lite.arrays.kernels.panel_products import Panels, product_fields, product_part
from tinygrad_lite.arrays.kernels.recurrent_rows import steps
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.workers import in_parts

StepLoop = tuple[int, list[int], Sequence[np.ndarray]]  # a compiled part, the bits of its numbers, and its arrays


def step_loops(*kernels: tuple[Callable[..., None], Sequence[Any]]) -> list[StepLoop] | None:
    """The compiled loops of elementwise kernels on their arrays; None if one of them cannot be compiled."""
    found = []
    for kernel, arrays in kernels:
        traced = traced_for_parts(kernel, arrays)
        if traced is None:
            return None
        found.append((traced[0].part, np.array(traced[1], np.float64).view(np.int64).tolist(), arrays))
    return found


class Walk:
    """The calls of each step, in order.

    The steps are those of `sizes` and `reverse` (see recurrent.py). Threads take the walk for `each` sequences of the batch at a
    time. Arrays have a row for each row of the steps, or, those in `still`, for each sequence of the batch, of which a step uses
    the first.
    """

    def __init__(self, sizes: tuple[int, ...], reverse: bool, each: int, still: Sequence[np.ndarray]):
        self.steps, self.each, self.still = _starts_and_sizes(sizes, reverse), each, {id(array) for array in still}
        self.fields: list[int] = []  # the arguments of all calls, as they are for a step at row 0 without rows
        self.moving: list[int] = []  # for those that change: the place, what each row before the step adds, and each row of it
        self.calls: list[int] = []
        self.kept: list[Any] = []  # whose memory the calls use

    def copy(self, source: np.ndarray, target: np.ndarray) -> None:
        """Copy the step's rows of `source` to those of `target`, as many columns as `source` has."""
        size = source.shape[1] * source.itemsize
        fields = [0, self.each, start_of(source), source.strides[0], start_of(target), target.strides[0], size]
        self._add(_copy_part(), fields, ((2, source), (4, target)))

    def product(self, x: np.ndarray, panels: Panels, which: int, out: np.ndarray, add: bool = False) -> None:
        """The step's rows of `out` become those of `x` times the matrix `panels[which]`, or are increased by it (`add`)."""
        self.kept.append(panels)
        self._add(product_part(x.dtype, add), product_fields(0, self.each, x, panels, which, out), ((4, x), (8, out)))

    def loops(self, loops: Sequence[StepLoop]) -> None:
        """Call compiled loops on the step's rows of their arrays."""
        for part, numbers, arrays in loops:
            width, item = arrays[0].shape[1], arrays[0].itemsize
            fields = [0, self.each * width]
            for each in arrays:
                fields += start_of(each), item, 0
            self._add(part, fields + numbers, zip(range(2, len(fields), 3), arrays), width)

    def sums(self, x: np.ndarray, out: np.ndarray) -> None:
        """Add the step's rows of `x` to a row of `out`, which has one for each part of the batch."""
        fields = [0, self.each, start_of(x), x.strides[0], x.shape[1], start_of(out), out.strides[0]]
        self._add(_sums_part(x.dtype), fields, ((2, x),))

    def _add(self, part: int, fields: Sequence[int], addresses: Iterable[tuple[int, np.ndarray]], each_row: int = 1) -> None:
        """Append a call. Its first field counts `each_row` for each row of a step; `addresses`: at which places there are those of
        arrays' rows."""
        before, still, moving, kept = len(self.fields), self.still, self.moving, self.kept
        self.calls += part, 8 * before
        self.fields += fields
        moving += before, 0, each_row
        for place, rows in addresses:
            kept.append(rows)
            if id(rows) not in still:
                moving += before + place, rows.strides[0], 0

    def run(self, batch: int) -> None:
        """Go through the steps; threads share the sequences of the batch."""
        steps, fields, moving, calls = self.steps, self.fields, self.moving, self.calls
        block = array("q", [len(steps) // 2, len(fields), len(moving) // 3, len(calls) // 2, *fields, *moving, *calls])
        block.extend(steps)
        in_parts(_walk_part(), block, -(-batch // self.each))


@functools.lru_cache(maxsize=64)
def _starts_and_sizes(sizes: tuple[int, ...], reverse: bool) -> array[int]:
    """The first row and the number of rows of each step, one after the other."""
    return array("q", [number for start, stop in steps(sizes, reverse) for number in (start, stop - start)])


@functools.cache
def _copy_part() -> int:
    """Copies a part of the rows: args are the number of rows, the number in a part, the source, its bytes a row, the target,
    its bytes a row, and the bytes to copy of each."""
    names = ("rows", "each", "source", "source_row", "target", "target_row", "size")
    copied = """  %from_offset = mul i64 %r, %source_row
  %from = getelementptr i8, ptr %source, i64 %from_offset
  %to_offset = mul i64 %r, %target_row
  %to = getelementptr i8, ptr %target, i64 %to_offset
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
  br label %after"""
    return load_part(f"declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n{_over_rows(names, ('source', 'target'), copied)}")


@functools.cache
def _sums_part(dtype: np.dtype) -> int:
    """Adds the rows of a part to one row: args are the number of rows, the number in a part, the rows, the bytes of each, the
    number of columns, the sums of the first part, and the bytes from a part's sums to the next."""
    t = KINDS[dtype]
    names = ("rows", "each", "x", "x_row", "columns", "sums", "sums_row")
    added = f"""  %offset = mul i64 %i, %sums_row
  %out = getelementptr i8, ptr %sums, i64 %offset
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
  br i1 %more_j, label %column, label %after"""
    return load_part(_over_rows(names, ("x", "sums"), added))


def _over_rows(names: Sequence[str], pointers: Sequence[str], body: str) -> str:
    """A function that does `body` for each row %r of its part. The body ends by going to %after."""
    return f"""
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names, pointers)}
  %start = mul i64 %i, %each
  %end = add i64 %start, %each
  %whole = icmp slt i64 %end, %rows
  %stop = select i1 %whole, i64 %end, i64 %rows
  %some = icmp slt i64 %start, %stop
  br i1 %some, label %row, label %done
row:
  %r = phi i64 [ %start, %entry ], [ %next, %after ]
{body}
after:
  %next = add i64 %r, 1
  %more = icmp slt i64 %next, %stop
  br i1 %more, label %row, label %done
done:
  ret void
}}
"""


@functools.cache
def _walk_part() -> int:
    """Makes the calls of all steps for a part of the sequences: args are the numbers of steps, fields, moving fields and calls,
    and what `Walk` has of each. The calls find their arguments in a copy of the fields, in which those that move are set
    first."""
    return load_part(f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @part(i64 %i, ptr %args) {{
entry:
{fields(("steps", "fields", "moving", "calls"), ())}
  %first = getelementptr i64, ptr %args, i64 4
  %moves = getelementptr i64, ptr %first, i64 %fields
  %moving_words = mul i64 %moving, 3
  %all_calls = getelementptr i64, ptr %moves, i64 %moving_words
  %call_words = mul i64 %calls, 2
  %all_steps = getelementptr i64, ptr %all_calls, i64 %call_words
  %own = alloca i64, i64 %fields
  %bytes = mul i64 %fields, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %own, ptr %first, i64 %bytes, i1 false)
  %some = icmp sgt i64 %steps, 0
  br i1 %some, label %step, label %end
step:
  %s = phi i64 [ 0, %entry ], [ %next_s, %after ]
  %step_place = mul i64 %s, 2
  %start_at = getelementptr i64, ptr %all_steps, i64 %step_place
  %start = load i64, ptr %start_at
  %size_at = getelementptr i64, ptr %start_at, i64 1
  %size = load i64, ptr %size_at
  br label %move
move:
  %m = phi i64 [ 0, %step ], [ %next_m, %move ]
  %move_place = mul i64 %m, 3
  %place_at = getelementptr i64, ptr %moves, i64 %move_place
  %place = load i64, ptr %place_at
  %by_start_at = getelementptr i64, ptr %place_at, i64 1
  %by_start = load i64, ptr %by_start_at
  %by_size_at = getelementptr i64, ptr %place_at, i64 2
  %by_size = load i64, ptr %by_size_at
  %base_at = getelementptr i64, ptr %first, i64 %place
  %base = load i64, ptr %base_at
  %for_start = mul i64 %by_start, %start
  %for_size = mul i64 %by_size, %size
  %sum = add i64 %base, %for_start
  %value = add i64 %sum, %for_size
  %field_at = getelementptr i64, ptr %own, i64 %place
  store i64 %value, ptr %field_at
  %next_m = add i64 %m, 1
  %more_m = icmp slt i64 %next_m, %moving
  br i1 %more_m, label %move, label %call
call:
  %c = phi i64 [ 0, %move ], [ %next_c, %call ]
  %call_place = mul i64 %c, 2
  %part_at = getelementptr i64, ptr %all_calls, i64 %call_place
  %part = load ptr, ptr %part_at
  %begin_at = getelementptr i64, ptr %part_at, i64 1
  %begin = load i64, ptr %begin_at
  %its_args = getelementptr i8, ptr %own, i64 %begin
  call void %part(i64 %i, ptr %its_args)
  %next_c = add i64 %c, 1
  %more_c = icmp slt i64 %next_c, %calls
  br i1 %more_c, label %call, label %after
after:
  %next_s = add i64 %s, 1
  %more_s = icmp slt i64 %next_s, %steps
  br i1 %more_s, label %step, label %end
end:
  ret void
}}
""")
