"""The maxima of windows and the way back to their places as machine code (see loops.py)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from math import prod

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, load
from tinygrad_lite.arrays.kernels.plane_loops import (
    NO_UNROLLING,
    columns_inside,
    in_pieces,
    in_two_dims,
    over_planes_and_rows,
    share_planes,
    suits,
    with_dense_rows,
)
from tinygrad_lite.arrays.kernels.windows import Sizes, Windows
from tinygrad_lite.arrays.loop_functions import KINDS, constant

_MOST = 32  # taps of a window: each is written out


def maxima_in_loop(x: np.ndarray, w: Windows, out: np.ndarray, places: np.ndarray) -> bool:
    """Write the maxima of the windows of x (planes, 1, *size) to out (planes, 1, *count), and their flat indices within their
    planes to places: for ties the first, for NaNs the last. False if there is no loop for it; then nothing has changed."""
    if not suits(x) or places.dtype != np.int32 or len(w.kernel) > 2 or prod(w.kernel) > _MOST:
        return False
    x = with_dense_rows(x)
    plane_step, row_step = x.strides[0] // x.itemsize, x.strides[-2] // x.itemsize
    w = in_two_dims(w)
    low, high = columns_inside(w)
    piece = 1 << min(max(high - low, 1).bit_length() - 1, 3)
    loop = _maxima(w.kernel, w.stride, w.dilation, piece, x.dtype)
    share_planes(loop, x.size, (*w.count, plane_step, row_step, *w.size, *w.before, low, high), (x, out, places))
    return True


def scatter_loop(y: np.ndarray, places: np.ndarray, size: int, repeated: bool) -> Callable[..., None] | None:
    """`loop(out, y, places)`: fill out (planes, size) with zeros, and put (or, if they may repeat, add) y (planes, count) into
    its places; None where there is none."""
    if not suits(y) or places.dtype != np.int32:
        return None
    if int(np.ascontiguousarray(places).view(np.uint32).max()) >= size:  # also negative ones
        return None
    compiled = _scatter(repeated, y.dtype)

    def loop(out: np.ndarray, y: np.ndarray, places: np.ndarray) -> None:
        y, places = np.ascontiguousarray(y), np.ascontiguousarray(places)
        share_planes(compiled, out.size, (out.shape[1], y.shape[1]), (out, y, places))

    return loop


@functools.cache
def _maxima(kernel: Sizes, stride: Sizes, dilation: Sizes, piece: int, dtype: np.dtype) -> Loop:
    """The loop over planes and rows of windows. In a row, the windows that reach into no padding are done in pieces."""
    t = KINDS[dtype]
    inner, outer = _window("i", kernel, stride, dilation, dtype, inside=True), _window("o", kernel, stride, dilation, dtype, inside=False)
    rows = "\n".join(
        f"""  %row{i} = add i64 %first_row, {i * dilation[0]}
  %in_row{i} = icmp ult i64 %row{i}, %height
  %safe_row{i} = select i1 %in_row{i}, i64 %row{i}, i64 0
  %from{i} = mul i64 %safe_row{i}, %row_step
  %row_of_x{i} = getelementptr {t}, ptr %plane_of_x, i64 %from{i}
  %row_place{i} = mul i64 %safe_row{i}, %width"""
        for i in range(kernel[0])
    )
    of_plane = f"""  %plane_start = mul i64 %p, %plane_step
  %plane_of_x = getelementptr {t}, ptr %x, i64 %plane_start
  %plane_out = mul i64 %p, %count"""
    of_row = f"""  %down = mul i64 %r, {stride[0]}
  %first_row = sub i64 %down, %rows_before
{_first_inside("row", dilation[0])}
  %first_row_place = mul i64 %row_inside, %width
{rows}
  %row_first = mul i64 %r, %columns
  %row_out = add i64 %plane_out, %row_first
  br i1 %some_inside, label %ipiece, label %edge
{in_pieces("i", "row", "%high", piece, inner, "edge", first="%low")}
edge:
  %e = phi i64 [ 0, %row ], [ 0, %iend_of_piece ], [ %next_e, %at_edge ]
  %reached = icmp eq i64 %e, %low
  %oc = select i1 %reached, i64 %high, i64 %e
  %more_e = icmp slt i64 %oc, %columns
  br i1 %more_e, label %at_edge, label %end_of_row
at_edge:
{outer}
  %next_e = add nuw nsw i64 %oc, 1
  br label %edge"""
    text = f"""
declare i64 @llvm.smax.i64(i64, i64)
define void @loop(i64 %planes, i64 %rows, i64 %columns, i64 %plane_step, i64 %row_step, i64 %height, i64 %width,
                  i64 %rows_before, i64 %columns_before, i64 %low, i64 %high,
                  ptr noalias %x, ptr noalias %out, ptr noalias %places) {{
entry:
  %count = mul i64 %rows, %columns
  %some_inside = icmp slt i64 %low, %high
{over_planes_and_rows("%rows", of_plane, of_row)}
}}
{NO_UNROLLING}"""
    return load(text, dtype, 11, 3, 0)


def _first_inside(name: str, dilation: int) -> str:
    """Instructions for the row (or column) of the first tap that is not padding: from %first_<name>, into %<name>_inside."""
    return f"""  %{name}_short = sub i64 0, %first_{name}
  %{name}_missing = call i64 @llvm.smax.i64(i64 %{name}_short, i64 0)
  %{name}_rounded = add i64 %{name}_missing, {dilation - 1}
  %{name}_skipped = udiv i64 %{name}_rounded, {dilation}
  %{name}_away = mul i64 %{name}_skipped, {dilation}
  %{name}_inside = add i64 %first_{name}, %{name}_away"""


def _window(v: str, kernel: Sizes, stride: Sizes, dilation: Sizes, dtype: np.dtype, inside: bool) -> str:
    """Instructions for window %<v>c of a row; their values' names begin with `v`. `inside`: no column of it is padding."""
    t = KINDS[dtype]
    lines = [f"  %{v}along = mul i64 %{v}c, {stride[1]}", f"  %first_{v}column = sub i64 %{v}along, %columns_before"]
    if not inside:
        lines.append(_first_inside(f"{v}column", dilation[1]))
    for j in range(kernel[1]):
        lines.append(f"  %{v}column{j} = add i64 %first_{v}column, {j * dilation[1]}")
        if not inside:
            lines += [
                f"  %{v}in_column{j} = icmp ult i64 %{v}column{j}, %width",
                f"  %{v}safe_column{j} = select i1 %{v}in_column{j}, i64 %{v}column{j}, i64 0",
            ]
    first_column = f"%first_{v}column" if inside else f"%{v}column_inside"
    lines += [
        f"  %{v}first_wide = add i64 %first_row_place, {first_column}",
        f"  %{v}place = trunc i64 %{v}first_wide to i32",
    ]
    best, place = constant(-np.inf, dtype), f"%{v}place"
    for n, (i, j) in enumerate(product(*map(range, kernel))):
        column, valid = (f"%{v}column{j}", f"%in_row{i}") if inside else (f"%{v}safe_column{j}", f"%{v}valid{n}")
        if not inside:
            lines.append(f"  {valid} = and i1 %in_row{i}, %{v}in_column{j}")
        lines += [
            f"  %{v}at{n} = getelementptr {t}, ptr %row_of_x{i}, i64 {column}",
            f"  %{v}tap{n} = load {t}, ptr %{v}at{n}",
            f"  %{v}greater{n} = fcmp ogt {t} %{v}tap{n}, {best}",
            f"  %{v}nan{n} = fcmp uno {t} %{v}tap{n}, %{v}tap{n}",
            f"  %{v}either{n} = or i1 %{v}greater{n}, %{v}nan{n}",
            f"  %{v}better{n} = and i1 %{v}either{n}, {valid}",
            f"  %{v}best{n} = select i1 %{v}better{n}, {t} %{v}tap{n}, {t} {best}",
            f"  %{v}wide{n} = add i64 %row_place{i}, {column}",
            f"  %{v}its_place{n} = trunc i64 %{v}wide{n} to i32",
            f"  %{v}place{n} = select i1 %{v}better{n}, i32 %{v}its_place{n}, i32 {place}",
        ]
        best, place = f"%{v}best{n}", f"%{v}place{n}"
    lines += [
        f"  %{v}to = add i64 %row_out, %{v}c",
        f"  %{v}out_at = getelementptr {t}, ptr %out, i64 %{v}to",
        f"  store {t} {best}, ptr %{v}out_at",
        f"  %{v}places_at = getelementptr i32, ptr %places, i64 %{v}to",
        f"  store i32 {place}, ptr %{v}places_at",
    ]
    return "\n".join(lines)


@functools.cache
def _scatter(repeated: bool, dtype: np.dtype) -> Loop:
    """The loop over planes: what it fills with zeros is in the first-level cache when it puts the values there."""
    t = KINDS[dtype]
    added = f"  %old = load {t}, ptr %to\n  %new = fadd {t} %old, %value" if repeated else ""
    text = f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define void @loop(i64 %planes, i64 %size, i64 %count, ptr noalias %out, ptr noalias %y, ptr noalias %places) {{
entry:
  %bytes = mul i64 %size, {dtype.itemsize}
  br label %plane
plane:
  %p = phi i64 [ 0, %entry ], [ %next_p, %end_of_plane ]
  %start_in_out = mul i64 %p, %size
  %plane_out = getelementptr {t}, ptr %out, i64 %start_in_out
  call void @llvm.memset.p0.i64(ptr %plane_out, i8 0, i64 %bytes, i1 false)
  %start = mul i64 %p, %count
  br label %each
each:
  %i = phi i64 [ 0, %plane ], [ %next_i, %each ]
  %from = add i64 %start, %i
  %value_at = getelementptr {t}, ptr %y, i64 %from
  %value = load {t}, ptr %value_at
  %place_at = getelementptr i32, ptr %places, i64 %from
  %place = load i32, ptr %place_at
  %wide = sext i32 %place to i64
  %to = getelementptr {t}, ptr %plane_out, i64 %wide
{added}
  store {t} {"%new" if repeated else "%value"}, ptr %to
  %next_i = add nuw nsw i64 %i, 1
  %more_i = icmp slt i64 %next_i, %count
  br i1 %more_i, label %each, label %end_of_plane
end_of_plane:
  %next_p = add nuw nsw i64 %p, 1
  %more_p = icmp slt i64 %next_p, %planes
  br i1 %more_p, label %plane, label %end
end:
  ret void
}}
"""
    return load(text, dtype, 3, 3, 0)
