"""Adding rows at places that may repeat, as in an embedding's gradient, as machine code (see loops.py)."""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, available, load
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.loops import SMALLEST
from tinygrad_lite.arrays.memory import start_of


def add_rows(out: np.ndarray, places: np.ndarray, rows: np.ndarray) -> bool:
    """`out[place] += row` for each of `places` (count,), from the end where negative, and `rows` (count, width), in this
    order; out (n, width). Returns False if there is no compiled form; then nothing has changed."""
    if out.dtype not in KINDS or rows.dtype != out.dtype or places.dtype != np.int64 or rows.size < SMALLEST or not available():
        return False
    if type(rows) is not np.ndarray or not out.flags.carray or np.may_share_memory(out, rows):
        return False
    places, rows = np.ascontiguousarray(places), np.ascontiguousarray(rows)
    _loop(out.dtype)(len(places), out.shape[1], len(out), *map(start_of, (out, places, rows)))
    return True


@functools.cache
def _loop(dtype: np.dtype) -> Loop:
    t = KINDS[dtype]
    text = f"""
define void @loop(i64 %count, i64 %width, i64 %n, ptr noalias %out, ptr noalias %places, ptr noalias %rows) {{
entry:
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %row, label %end
row:
  %i = phi i64 [ 0, %entry ], [ %next_i, %end_of_row ]
  %place_at = getelementptr i64, ptr %places, i64 %i
  %given = load i64, ptr %place_at
  %before = icmp slt i64 %given, 0
  %from_end = add i64 %given, %n
  %place = select i1 %before, i64 %from_end, i64 %given
  %to_offset = mul i64 %place, %width
  %to = getelementptr {t}, ptr %out, i64 %to_offset
  %from_offset = mul i64 %i, %width
  %from = getelementptr {t}, ptr %rows, i64 %from_offset
  br label %element
element:
  %j = phi i64 [ 0, %row ], [ %next_j, %element ]
  %value_at = getelementptr {t}, ptr %from, i64 %j
  %value = load {t}, ptr %value_at
  %sum_at = getelementptr {t}, ptr %to, i64 %j
  %old = load {t}, ptr %sum_at
  %sum = fadd {t} %old, %value
  store {t} %sum, ptr %sum_at
  %next_j = add nuw nsw i64 %j, 1
  %more_j = icmp slt i64 %next_j, %width
  br i1 %more_j, label %element, label %end_of_row
end_of_row:
  %next_i = add nuw nsw i64 %i, 1
  %more_i = icmp slt i64 %next_i, %count
  br i1 %more_i, label %row, label %end
end:
  ret void
}}
"""
    return load(text, dtype, 3, 3, 0, shared=False)
