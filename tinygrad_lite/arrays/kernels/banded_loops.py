"""Products with matrices that have a few elements in a row, as machine code (see loops.py)."""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, load
from tinygrad_lite.arrays.kernels.plane_loops import NO_UNROLLING, in_pieces, over_planes_and_rows, piece_of, share_planes, suits
from tinygrad_lite.arrays.loop_functions import KINDS

_MOST = 16  # elements of a row, which are written out; with more, a matrix product is faster


def products_in_loop(x: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> bool:
    """x (planes, n, columns) and a matrix (m, n) -> out (planes, m, columns). False if there is no loop for it; then nothing has
    changed. Only elements of the matrix other than 0 count, so that an infinite x does not make all of the results NaN."""
    if not suits(x) or not suits(out):
        return False
    rows, places = matrix.nonzero()
    counts = np.bincount(rows, minlength=len(matrix))
    most, columns = max(int(counts.max()), 1), x.shape[2]
    if most > _MOST:
        return False
    tap = np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)  # of each of a row's elements
    table, weights = np.full((1, len(matrix), most), -1), np.zeros((1, len(matrix), most), x.dtype)
    table[0, rows, tap], weights[0, rows, tap] = places * columns, matrix[rows, places]
    sizes, arrays = (len(matrix), x.shape[1]), (np.ascontiguousarray(x), out)
    if columns == 1:
        table, weights = (np.maximum(table, 0).transpose(0, 2, 1).copy(), weights.transpose(0, 2, 1).copy())
        share_planes(_along(most, piece_of(len(matrix)), x.dtype), max(x.size, out.size), sizes, (*arrays, table, weights))
    else:
        nothing = np.zeros((1, columns), x.dtype)
        share_planes(
            _across(most, piece_of(columns), x.dtype), max(x.size, out.size), (*sizes, columns), (*arrays, table, weights, nothing)
        )
    return True


@functools.cache
def _across(most: int, piece: int, dtype: np.dtype) -> Loop:
    """The loop for more than one column: a row of the result is the weighted sum of rows of x, and of rows of zeros if the
    matrix has fewer elements there than elsewhere."""
    t = KINDS[dtype]
    taps, terms = [], []
    for k in range(most):
        taps.append(
            f"""  %tap{k} = add i64 %first_tap, {k}
  %place_at{k} = getelementptr i64, ptr %table, i64 %tap{k}
  %place{k} = load i64, ptr %place_at{k}
  %given{k} = icmp sge i64 %place{k}, 0
  %inside{k} = getelementptr {t}, ptr %plane_of_x, i64 %place{k}
  %row{k} = select i1 %given{k}, ptr %inside{k}, ptr %nothing
  %weight_at{k} = getelementptr {t}, ptr %weights, i64 %tap{k}
  %weight{k} = load {t}, ptr %weight_at{k}"""
        )
        terms.append(
            f"""  %at{k} = getelementptr {t}, ptr %row{k}, i64 %ac
  %value{k} = load {t}, ptr %at{k}
  %term{k} = fmul contract {t} %value{k}, %weight{k}"""
        )
    to = f"""  %to = add i64 %row_out, %ac
  %out_at = getelementptr {t}, ptr %out, i64 %to
  store {t} {{}}, ptr %out_at"""
    of_plane = f"""  %plane_start = mul i64 %p, %plane_step
  %plane_of_x = getelementptr {t}, ptr %x, i64 %plane_start
  %rows_done = mul i64 %p, %m"""
    of_row = f"""  %first_tap = mul i64 %r, {most}
{chr(10).join(taps)}
  %row_of_all = add i64 %rows_done, %r
  %row_out = mul i64 %row_of_all, %columns
  br label %apiece
{in_pieces("a", "row", "%columns", piece, _summed(t, terms) + to.format(f"%sum{most - 1}"), "end_of_row")}"""
    text = f"""
define void @loop(i64 %planes, i64 %m, i64 %n, i64 %columns, ptr noalias %x, ptr noalias %out, ptr noalias %table,
                  ptr noalias %weights, ptr noalias %nothing) {{
entry:
  %plane_step = mul i64 %n, %columns
{over_planes_and_rows("%m", of_plane, of_row)}
}}
{NO_UNROLLING}"""
    return load(text, dtype, 4, 5, 0)


def _summed(t: str, terms: list[str]) -> str:
    """Instructions that add up %term0, %term1, ..., into %sum<last>."""
    lines = []
    for k, term in enumerate(terms):
        lines += [term, f"  %sum{k} = " + (f"fadd contract {t} %sum{k - 1}, %term{k}" if k else f"fadd {t} %term0, -0.0")]
    return "\n".join(lines) + "\n"


@functools.cache
def _along(most: int, piece: int, dtype: np.dtype) -> Loop:
    """The loop for one column: each result is a weighted sum of elements of a row of x. Where the matrix has fewer elements than
    elsewhere, weights of 0 make terms of 0."""
    t = KINDS[dtype]
    terms = [
        f"""  %more_taps{k} = mul i64 %m, {k}
  %tap{k} = add i64 %more_taps{k}, %ac
  %place_at{k} = getelementptr i64, ptr %table, i64 %tap{k}
  %place{k} = load i64, ptr %place_at{k}
  %weight_at{k} = getelementptr {t}, ptr %weights, i64 %tap{k}
  %weight{k} = load {t}, ptr %weight_at{k}
  %at{k} = getelementptr {t}, ptr %row_of_x, i64 %place{k}
  %value{k} = load {t}, ptr %at{k}
  %counts{k} = fcmp une {t} %weight{k}, 0.0
  %counted{k} = select i1 %counts{k}, {t} %value{k}, {t} 0.0
  %term{k} = fmul contract {t} %counted{k}, %weight{k}"""
        for k in range(most)
    ]
    store = f"""  %to = add i64 %row_out, %ac
  %out_at = getelementptr {t}, ptr %out, i64 %to
  store {t} %sum{most - 1}, ptr %out_at"""
    text = f"""
define void @loop(i64 %planes, i64 %m, i64 %n, ptr noalias %x, ptr noalias %out, ptr noalias %table, ptr noalias %weights) {{
entry:
  br label %row
row:
  %p = phi i64 [ 0, %entry ], [ %next_p, %end_of_row ]
  %start = mul i64 %p, %n
  %row_of_x = getelementptr {t}, ptr %x, i64 %start
  %row_out = mul i64 %p, %m
  br label %apiece
{in_pieces("a", "row", "%m", piece, _summed(t, terms) + store, "end_of_row")}
end_of_row:
  %next_p = add nuw nsw i64 %p, 1
  %more_p = icmp slt i64 %next_p, %planes
  br i1 %more_p, label %row, label %end
end:
  ret void
}}
{NO_UNROLLING}"""
    return load(text, dtype, 3, 4, 0)
