"""The maxima of windows and the way back to their places as machine code (see loops.py)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from math import prod

import numpy as np

from tinygrad_lite.arrays.compiling import available, load
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.loops import SMALLEST
from tinygrad_lite.arrays.memory import start_of

_MOST = 32  # taps of a window: each is written out

Loop = Callable[..., None]


def maxima_loop(
    x: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], places: np.ndarray
) -> Loop | None:
    """`loop(x, width, first, corner, out, places)` for x (planes, 1, *extent): the maximum of each window and its place,
    `corner` plus its tap's offset in a plane of this width; None where there is none.

    first: the place of a window's first tap that is not padding. For ties the first tap counts, for NaNs the last.
    """
    if not _suits(x) or not places.size or places.dtype != np.int32 or len(kernel) > 2 or prod(kernel) > _MOST:
        return None
    both = [(*(1,) * (2 - len(kernel)), *sizes) for sizes in (kernel, stride, dilation)]
    compiled = _maxima(*both, 1 << min(places.shape[-1].bit_length() - 1, 3), x.dtype)

    def loop(x: np.ndarray, width: int, first: np.ndarray, corner: np.ndarray, out: np.ndarray, places: np.ndarray) -> None:
        if x.strides[-1] != x.itemsize:
            x = np.ascontiguousarray(x)
        rows, columns = out.shape[-2:] if len(kernel) == 2 else (1, out.shape[-1])
        steps = x.strides[0] // x.itemsize, x.strides[-2] // x.itemsize
        compiled(len(x), rows, columns, *steps, width, *map(start_of, (x, first, corner, out, places)))

    return loop


def scatter_loop(y: np.ndarray, places: np.ndarray, size: int, repeated: bool) -> Loop | None:
    """`loop(out, y, places)`: put (or, if they may repeat, add) y (planes, count) into the places of out (planes, size);
    None where there is none."""
    if not _suits(y) or places.dtype != np.int32:
        return None
    if int(np.ascontiguousarray(places).view(np.uint32).max()) >= size:  # also negative ones
        return None
    compiled = _scatter(repeated, y.dtype)

    def loop(out: np.ndarray, y: np.ndarray, places: np.ndarray) -> None:
        y, places = np.ascontiguousarray(y), np.ascontiguousarray(places)
        compiled(len(out), out.shape[1], y.shape[1], *map(start_of, (out, y, places)))

    return loop


def _suits(x: np.ndarray) -> bool:
    return type(x) is np.ndarray and x.dtype in KINDS and x.size >= SMALLEST and available()


@functools.cache
def _maxima(kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], piece: int, dtype: np.dtype) -> Loop:
    """The loop over planes and rows of windows. A row is cut into pieces of a fixed number of windows, the last of which may
    overlap the one before: rows of 14 windows are otherwise vectorized in part only, and take 5 times as long."""
    t = KINDS[dtype]
    lines = []
    for i, tap in enumerate(product(*map(range, kernel))):
        row, column = (place * step for place, step in zip(tap, dilation))
        lines += [
            f"  %from_row{i} = mul i64 %row_step, {row}",
            f"  %near{i} = add i64 %from_row{i}, {column}",
            f"  %at{i} = add i64 %here, %near{i}",
            f"  %x{i} = getelementptr {t}, ptr %x, i64 %at{i}",
            f"  %tap{i} = load {t}, ptr %x{i}",
        ]
        if not i:
            continue
        best, place = (f"%best{i - 1}", f"%place{i - 1}") if i > 1 else ("%tap0", "%first_place")
        lines += [
            f"  %greater{i} = fcmp ogt {t} %tap{i}, {best}",
            f"  %nan{i} = fcmp uno {t} %tap{i}, %tap{i}",
            f"  %better{i} = or i1 %greater{i}, %nan{i}",
            f"  %best{i} = select i1 %better{i}, {t} %tap{i}, {t} {best}",
            f"  %lower{i} = mul i64 %width, {row}",
            f"  %wide_offset{i} = add i64 %lower{i}, {column}",
            f"  %offset{i} = trunc i64 %wide_offset{i} to i32",
            f"  %its_place{i} = add i32 %corner_place, %offset{i}",
            f"  %place{i} = select i1 %better{i}, i32 %its_place{i}, i32 {place}",
        ]
    last = kernel[0] * kernel[1] - 1
    best, place = (f"%best{last}", f"%place{last}") if last else ("%tap0", "%first_place")
    body = "\n".join(lines)
    text = f"""
define void @loop(i64 %planes, i64 %rows, i64 %columns, i64 %plane_step, i64 %row_step, i64 %width,
                  ptr noalias %x, ptr noalias %first, ptr noalias %corner, ptr noalias %out, ptr noalias %places) {{
entry:
  %count = mul i64 %rows, %columns
  %row_stride = mul i64 %row_step, {stride[0]}
  %last = sub i64 %columns, {piece}
  br label %plane
plane:
  %p = phi i64 [ 0, %entry ], [ %next_p, %end_of_plane ]
  %plane_start = mul i64 %p, %plane_step
  %plane_out = mul i64 %p, %count
  br label %row
row:
  %r = phi i64 [ 0, %plane ], [ %next_r, %end_of_row ]
  %row_in_plane = mul i64 %r, %row_stride
  %row_start = add i64 %plane_start, %row_in_plane
  %row_first = mul i64 %r, %columns
  %row_out = add i64 %plane_out, %row_first
  br label %piece
piece:
  %k = phi i64 [ 0, %row ], [ %next_k, %end_of_piece ]
  %early = icmp slt i64 %k, %last
  %begin = select i1 %early, i64 %k, i64 %last
  br label %column
column:
  %i = phi i64 [ 0, %piece ], [ %next_i, %column ]
  %c = add nuw nsw i64 %begin, %i
  %along = mul nuw nsw i64 %c, {stride[1]}
  %here = add i64 %row_start, %along
  %window = add i64 %row_first, %c
  %to = add i64 %row_out, %c
  %first_at = getelementptr i32, ptr %first, i64 %window
  %first_place = load i32, ptr %first_at
  %corner_at = getelementptr i32, ptr %corner, i64 %window
  %corner_place = load i32, ptr %corner_at
{body}
  %out_at = getelementptr {t}, ptr %out, i64 %to
  store {t} {best}, ptr %out_at
  %places_at = getelementptr i32, ptr %places, i64 %to
  store i32 {place}, ptr %places_at
  %next_i = add nuw nsw i64 %i, 1
  %more_i = icmp slt i64 %next_i, {piece}
  br i1 %more_i, label %column, label %end_of_piece, !llvm.loop !0
end_of_piece:
  %next_k = add nuw nsw i64 %k, {piece}
  %more_k = icmp slt i64 %next_k, %columns
  br i1 %more_k, label %piece, label %end_of_row
end_of_row:
  %next_r = add nuw nsw i64 %r, 1
  %more_r = icmp slt i64 %next_r, %rows
  br i1 %more_r, label %row, label %end_of_plane
end_of_plane:
  %next_p = add nuw nsw i64 %p, 1
  %more_p = icmp slt i64 %next_p, %planes
  br i1 %more_p, label %plane, label %end
end:
  ret void
}}
!0 = distinct !{{!0, !1}}
!1 = !{{!"llvm.loop.unroll.disable"}}
"""
    return load(text, dtype, 6, 5, 0)


@functools.cache
def _scatter(repeated: bool, dtype: np.dtype) -> Loop:
    t = KINDS[dtype]
    added = f"  %old = load {t}, ptr %to\n  %new = fadd {t} %old, %value" if repeated else ""
    text = f"""
define void @loop(i64 %planes, i64 %size, i64 %count, ptr noalias %out, ptr noalias %y, ptr noalias %places) {{
entry:
  br label %plane
plane:
  %p = phi i64 [ 0, %entry ], [ %next_p, %end_of_plane ]
  %start_in_out = mul i64 %p, %size
  %plane_out = getelementptr {t}, ptr %out, i64 %start_in_out
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
