"""Sums of windows, and of values over the windows an element lies in, as machine code (see loops.py)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, load
from tinygrad_lite.arrays.kernels.plane_loops import (
    NO_UNROLLING,
    in_pieces,
    in_two_dims,
    over_planes_and_rows,
    parts_of,
    piece_of,
    share_planes,
    suits,
    with_dense_rows,
)
from tinygrad_lite.arrays.kernels.windows import Sizes, Windows
from tinygrad_lite.arrays.loop_functions import KINDS

_MOST, _MOST_COPIES = 32, 8  # taps along a dim: each is written out


def sums_in_loop(x: np.ndarray, w: Windows, out: np.ndarray) -> bool:
    """Write the sum of each window of x (planes, 1, *size) to out (planes, 1, *count). False if there is no loop for it; then
    nothing has changed."""
    if not suits(x) or len(w.kernel) > 2 or max(w.kernel) > _MOST:
        return False
    x = with_dense_rows(x)
    plane_step, row_step = x.strides[0] // x.itemsize, x.strides[-2] // x.itemsize
    w = in_two_dims(w)
    pieces = piece_of(w.size[1]), piece_of(w.count[1])
    loop = _sums(w.kernel[0], w.stride[0], w.dilation[0], w.kernel[1], w.stride[1], w.dilation[1], pieces, x.dtype)
    nothing = np.zeros((1, w.size[1]), x.dtype)
    rows = np.zeros((parts_of(x.size), max(w.extent[1], w.before[1] + w.size[1])), x.dtype)
    share_planes(loop, x.size, (*w.count, plane_step, row_step, *w.size, *w.before), (x, nothing, out), rows)
    return True


@functools.cache
def _sums(height: int, down: int, row_dilation: int, width: int, along: int, column_dilation: int, pieces: Sizes, dtype: np.dtype) -> Loop:
    """The loop over planes and rows of windows: it adds up the rows of x they lie in, to a row of %sums that has zeros at its
    ends for the padding, and then parts of this row."""
    t = KINDS[dtype]
    rows = [
        f"""  %row{i} = add i64 %first_row, {i * row_dilation}
  %in_row{i} = icmp ult i64 %row{i}, %height
  %from{i} = mul i64 %row{i}, %row_step
  %inside{i} = getelementptr {t}, ptr %plane_of_x, i64 %from{i}
  %row_of_x{i} = select i1 %in_row{i}, ptr %inside{i}, ptr %nothing"""
        for i in range(height)
    ]
    down_rows = [
        *_added(t, "a", [(f"%row_of_x{i}", "%ac") for i in range(height)]),
        f"  %sum_at = getelementptr {t}, ptr %inner, i64 %ac",
        f"  store {t} %asum{height - 1}, ptr %sum_at",
    ]
    along_row = [
        f"  %from_column = mul i64 %bc, {along}",
        *(f"  %column{j} = add i64 %from_column, {j * column_dilation}" for j in range(width)),
        *_added(t, "b", [("%sums", f"%column{j}") for j in range(width)]),
        "  %to = add i64 %row_out, %bc",
        f"  %out_at = getelementptr {t}, ptr %out, i64 %to",
        f"  store {t} %bsum{width - 1}, ptr %out_at",
    ]
    of_plane = f"""  %plane_start = mul i64 %p, %plane_step
  %plane_of_x = getelementptr {t}, ptr %x, i64 %plane_start
  %plane_out = mul i64 %p, %count"""
    of_row = f"""  %down = mul i64 %r, {down}
  %first_row = sub i64 %down, %rows_before
{chr(10).join(rows)}
  %row_first = mul i64 %r, %columns
  %row_out = add i64 %plane_out, %row_first
  br label %apiece
{in_pieces("a", "row", "%width", pieces[0], chr(10).join(down_rows), "between")}
between:
  br label %bpiece
{in_pieces("b", "between", "%columns", pieces[1], chr(10).join(along_row), "end_of_row")}"""
    text = f"""
define void @loop(i64 %planes, i64 %rows, i64 %columns, i64 %plane_step, i64 %row_step, i64 %height, i64 %width,
                  i64 %rows_before, i64 %columns_before, ptr noalias %x, ptr noalias %nothing, ptr noalias %out, ptr noalias %sums) {{
entry:
  %count = mul i64 %rows, %columns
  %inner = getelementptr {t}, ptr %sums, i64 %columns_before
{over_planes_and_rows("%rows", of_plane, of_row)}
}}
{NO_UNROLLING}"""
    return load(text, dtype, 9, 4, 0)


def _added(t: str, v: str, places: Sequence[tuple[str, str]]) -> list[str]:
    """Instructions that add up the elements at (pointer, index), into %<v>sum<last>."""
    lines = []
    for n, (pointer, index) in enumerate(places):
        name = f"%{v}value{n}" if n else f"%{v}sum0"
        lines += [f"  %{v}at{n} = getelementptr {t}, ptr {pointer}, i64 {index}", f"  {name} = load {t}, ptr %{v}at{n}"]
        if n:
            lines.append(f"  %{v}sum{n} = fadd {t} %{v}sum{n - 1}, {name}")
    return lines


def add_in_loop(y: np.ndarray, w: Windows, out: np.ndarray) -> bool:
    """Fill out (planes, ..., *size) with the sum, for each element, of its values in all windows: y (planes, *kernel, *count),
    or (planes, 1, ..., *count) if a window has one value for all of its elements. False if there is no loop for it; then
    nothing has changed."""
    if not suits(out) or len(w.kernel) > 2:
        return False
    y = np.ascontiguousarray(y)
    w = in_two_dims(w)
    if w.side_by_side and y[0].size == np.prod(w.count) and w.kernel[1] <= _MOST_COPIES:
        sizes = *w.size, *w.count, w.kernel[0]
        share_planes(_copy(w.kernel[1], piece_of(w.count[1]), y.dtype), out.size, sizes, (out, y))
        return True
    tap_step = 0 if y[0].size < np.prod(w.kernel) * np.prod(w.count) else w.count[0] * w.count[1]
    columns = np.arange(w.kernel[1]) * w.dilation[1] - w.before[1]
    first = np.clip(-(columns // w.stride[1]), 0, w.count[1])
    stop = np.clip((w.size[1] - 1 - columns) // w.stride[1] + 1, first, w.count[1])
    table = np.stack([columns, first, stop], axis=1).astype(np.int64)[None]
    sizes = *w.size, *w.count, *w.kernel, w.before[0], w.stride[0], w.dilation[0], tap_step, y[0].size
    share_planes(_add(w.stride[1], y.dtype), max(y.size, out.size), sizes, (out, y, table))
    return True


@functools.cache
def _add(along: int, dtype: np.dtype) -> Loop:
    """The loop over planes and rows of out, and the taps that reach a row. `table` has, for each column of taps, the column of
    the first window's, and the first and the end of the windows for which it is not padding."""
    t = KINDS[dtype]
    of_plane = f"""  %plane_start = mul i64 %p, %plane_step
  %plane_of_y = getelementptr {t}, ptr %y, i64 %plane_start
  %rows_done = mul i64 %p, %height"""
    of_row = f"""  %row_of_all = add i64 %rows_done, %r
  %row_start = mul i64 %row_of_all, %width
  %row_of_out = getelementptr {t}, ptr %out, i64 %row_start
  call void @llvm.memset.p0.i64(ptr %row_of_out, i8 0, i64 %bytes, i1 false)
  %padded = add i64 %r, %before
  br label %row_of_taps
row_of_taps:
  %i = phi i64 [ 0, %row ], [ %next_i, %end_of_taps ]
  %within = mul i64 %i, %dilation
  %away = sub i64 %padded, %within
  %window_row = sdiv i64 %away, %down
  %back = mul i64 %window_row, %down
  %exact = icmp eq i64 %back, %away
  %valid = icmp ult i64 %window_row, %rows
  %meets = and i1 %exact, %valid
  br i1 %meets, label %taps, label %end_of_taps
taps:
  %first_tap = mul i64 %i, %kernel_columns
  %row_in_plane = mul i64 %window_row, %columns
  br label %tap
tap:
  %j = phi i64 [ 0, %taps ], [ %next_j, %end_of_tap ]
  %number = add i64 %first_tap, %j
  %tap_start = mul i64 %number, %tap_step
  %in_plane = add i64 %tap_start, %row_in_plane
  %row_of_y = getelementptr {t}, ptr %plane_of_y, i64 %in_plane
  %entry_of_table = mul i64 %j, 3
  %column_at = getelementptr i64, ptr %table, i64 %entry_of_table
  %column = load i64, ptr %column_at
  %first_at = getelementptr i64, ptr %column_at, i64 1
  %first = load i64, ptr %first_at
  %stop_at = getelementptr i64, ptr %column_at, i64 2
  %stop = load i64, ptr %stop_at
  %to = getelementptr {t}, ptr %row_of_out, i64 %column
  %some = icmp slt i64 %first, %stop
  br i1 %some, label %window, label %end_of_tap
window:
  %c = phi i64 [ %first, %tap ], [ %next_c, %window ]
  %value_at = getelementptr {t}, ptr %row_of_y, i64 %c
  %value = load {t}, ptr %value_at
  %along = mul nsw i64 %c, {along}
  %place = getelementptr {t}, ptr %to, i64 %along
  %old = load {t}, ptr %place
  %new = fadd {t} %old, %value
  store {t} %new, ptr %place
  %next_c = add nuw nsw i64 %c, 1
  %more_c = icmp slt i64 %next_c, %stop
  br i1 %more_c, label %window, label %end_of_tap
end_of_tap:
  %next_j = add nuw nsw i64 %j, 1
  %more_j = icmp slt i64 %next_j, %kernel_columns
  br i1 %more_j, label %tap, label %end_of_taps
end_of_taps:
  %next_i = add nuw nsw i64 %i, 1
  %more_i = icmp slt i64 %next_i, %kernel_rows
  br i1 %more_i, label %row_of_taps, label %end_of_row"""
    text = f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define void @loop(i64 %planes, i64 %height, i64 %width, i64 %rows, i64 %columns, i64 %kernel_rows, i64 %kernel_columns,
                  i64 %before, i64 %down, i64 %dilation, i64 %tap_step, i64 %plane_step,
                  ptr noalias %out, ptr noalias %y, ptr noalias %table) {{
entry:
  %bytes = mul i64 %width, {dtype.itemsize}
{over_planes_and_rows("%height", of_plane, of_row)}
}}
"""
    return load(text, dtype, 12, 3, 0)


@functools.cache
def _copy(width: int, piece: int, dtype: np.dtype) -> Loop:
    """The loop over planes and rows of out for windows side by side, each with one value for its rows of `width` elements."""
    t = KINDS[dtype]
    copies = [
        f"""  %to{j} = add i64 %along, {j}
  %at{j} = getelementptr {t}, ptr %row_of_out, i64 %to{j}
  store {t} %value, ptr %at{j}"""
        for j in range(width)
    ]
    body = f"""  %value_at = getelementptr {t}, ptr %row_of_y, i64 %ac
  %value = load {t}, ptr %value_at
  %along = mul nuw nsw i64 %ac, {width}
{chr(10).join(copies)}"""
    of_plane = """  %windows_done = mul i64 %p, %rows
  %rows_done = mul i64 %p, %height"""
    of_row = f"""  %row_of_all = add i64 %rows_done, %r
  %row_start = mul i64 %row_of_all, %width
  %row_of_out = getelementptr {t}, ptr %out, i64 %row_start
  %inside = icmp slt i64 %r, %covered
  br i1 %inside, label %copied, label %zeros
copied:
  %window_row = udiv i64 %r, %kernel_rows
  %window = add i64 %windows_done, %window_row
  %from = mul i64 %window, %columns
  %row_of_y = getelementptr {t}, ptr %y, i64 %from
  br label %apiece
{in_pieces("a", "copied", "%columns", piece, body, "end_of_copies")}
end_of_copies:
  br i1 %some_rest, label %rest_of_row, label %end_of_row
rest_of_row:
  %unfilled = getelementptr {t}, ptr %row_of_out, i64 %filled
  call void @llvm.memset.p0.i64(ptr %unfilled, i8 0, i64 %rest_bytes, i1 false)
  br label %end_of_row
zeros:
  call void @llvm.memset.p0.i64(ptr %row_of_out, i8 0, i64 %row_bytes, i1 false)
  br label %end_of_row"""
    text = f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define void @loop(i64 %planes, i64 %height, i64 %width, i64 %rows, i64 %columns, i64 %kernel_rows, ptr noalias %out, ptr noalias %y) {{
entry:
  %filled = mul i64 %columns, {width}
  %rest = sub i64 %width, %filled
  %some_rest = icmp sgt i64 %rest, 0
  %rest_bytes = mul i64 %rest, {dtype.itemsize}
  %row_bytes = mul i64 %width, {dtype.itemsize}
  %covered = mul i64 %rows, %kernel_rows
{over_planes_and_rows("%height", of_plane, of_row)}
}}
{NO_UNROLLING}"""
    return load(text, dtype, 6, 2, 0)
