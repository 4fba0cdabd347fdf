"""Products of matrices in LLVM IR, for kernels that need many of them inside one compiled function.

The right matrix is packed in panels: strips of columns, two vectors of the processor wide, whose rows follow one another. A
tile of the result, up to 6 rows of a panel, stays in registers during all multiplications:

    for each panel:
        for each tile of rows:
            for k in range(inner):
                tile += x[rows, k, None] * panel[k]
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from tinygrad_lite.arrays.compiling import vector_size
from tinygrad_lite.arrays.ir import splat, whole_vectors
from tinygrad_lite.arrays.loop_functions import KINDS

_ROWS = 6  # of a tile: with two vectors a row, 12 of 16 registers hold sums
_CHAINS = {1: 4, 2: 2, 3: 2}  # sums of their own in tiles with few rows, since an addition waits for the one before it


def lanes_of(dtype: np.dtype) -> int:
    """The elements of a vector."""
    return vector_size() // dtype.itemsize


def width_of(dtype: np.dtype) -> int:
    """The columns of a panel."""
    return 2 * lanes_of(dtype)


def packed_size(inner: int, columns: int, dtype: np.dtype) -> int:
    """The number of elements of a packed matrix (inner, columns)."""
    width = width_of(dtype)
    return -(-columns // width) * width * inner


def product_function(dtype: np.dtype, add: bool = False, part: bool = False) -> str:
    """`product(rows, columns, inner, x, x_row, x_column, panels, out, out_row)` makes out = x @ y, or adds to `out`, for x (rows,
    inner) and a packed y. Steps are in bytes; the elements of a row of `out` lie side by side. `part`: the packed matrix may have
    more rows than `inner`; their number is one more argument, the last."""
    t, item, width = KINDS[dtype], dtype.itemsize, width_of(dtype)
    given = "ptr %x_here, i64 %x_row, i64 %x_column, i64 %inner, ptr %panel, ptr %out_here, i64 %out_row, i64 %left"
    cases = " ".join(f"i64 {n}, label %rows{n}" for n in range(1, _ROWS))
    calls = "\n".join(f"rows{n}:\n  call void @tile{n}({given})\n  br label %after" for n in range(1, _ROWS + 1))
    parameters = "i64 %rows, i64 %columns, i64 %inner, ptr %x, i64 %x_row, i64 %x_column, ptr %panels, ptr %out, i64 %out_row"
    parameters, packed = (f"{parameters}, i64 %packed", "%packed") if part else (parameters, "%inner")
    return f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
{"".join(_tile(n, t, item, width, add) for n in range(1, _ROWS + 1))}
define internal void @product({parameters}) noinline {{
entry:
  %more_tiles = add i64 %rows, {_ROWS - 1}
  %tiles = sdiv i64 %more_tiles, {_ROWS}
  %panel_bytes = mul i64 {packed}, {width * item}
  %some_rows = icmp sgt i64 %rows, 0
  %some_columns = icmp sgt i64 %columns, 0
  %some = and i1 %some_rows, %some_columns
  br i1 %some, label %strip, label %end
strip:
  %left = phi i64 [ %columns, %entry ], [ %next_left, %next_strip ]
  %panel = phi ptr [ %panels, %entry ], [ %next_panel, %next_strip ]
  %out_strip = phi ptr [ %out, %entry ], [ %next_out_strip, %next_strip ]
  br label %tile
tile:
  %rest_rows = phi i64 [ %rows, %strip ], [ %next_rest, %after ]
  %rest_tiles = phi i64 [ %tiles, %strip ], [ %next_tiles, %after ]
  %x_here = phi ptr [ %x, %strip ], [ %next_x, %after ]
  %out_here = phi ptr [ %out_strip, %strip ], [ %next_out, %after ]
  %shared = add i64 %rest_rows, %rest_tiles
  %but_one = sub i64 %shared, 1
  %n = udiv i64 %but_one, %rest_tiles
  switch i64 %n, label %rows{_ROWS} [ {cases} ]
{calls}
after:
  %next_rest = sub i64 %rest_rows, %n
  %next_tiles = sub i64 %rest_tiles, 1
  %x_bytes = mul i64 %n, %x_row
  %next_x = getelementptr i8, ptr %x_here, i64 %x_bytes
  %out_bytes = mul i64 %n, %out_row
  %next_out = getelementptr i8, ptr %out_here, i64 %out_bytes
  %more = icmp sgt i64 %next_rest, 0
  br i1 %more, label %tile, label %next_strip
next_strip:
  %next_left = sub i64 %left, {width}
  %next_panel = getelementptr i8, ptr %panel, i64 %panel_bytes
  %next_out_strip = getelementptr i8, ptr %out_strip, i64 {width * item}
  %more_strips = icmp sgt i64 %next_left, 0
  br i1 %more_strips, label %strip, label %end
end:
  ret void
}}
attributes #0 = {{ {whole_vectors()} }}
"""


def _tile(rows: int, t: str, item: int, width: int, add: bool) -> str:
    """The function `tile<rows>`: a tile of the result."""
    v, chains = f"<{width // 2} x {t}>", _CHAINS.get(rows, 1)
    sums = list(product(range(rows), range(2)))
    zeros = {f"{c}_{r}_{j}": "zeroinitializer" for c in range(chains) for r, j in sums}
    lines = ["entry:", *(f"  %along{r} = mul i64 %x_row, {r}\n  %x{r} = getelementptr i8, ptr %x, i64 %along{r}" for r in range(rows))]
    lines += _multiplications("main", "entry", chains, zeros, sums, width // 2, t, ("0", "0"))
    for r, j in sums:  # the chains' sums
        for c in range(1, chains):
            first = f"%main{0}_{r}_{j}" if c == 1 else f"%joined{c - 1}_{r}_{j}"
            lines.append(f"  %joined{c}_{r}_{j} = fadd {v} {first}, %main{c}_{r}_{j}")
    found, last = "main0", "main_end"
    if chains > 1:
        starts = {f"0_{r}_{j}": f"%joined{chains - 1}_{r}_{j}" for r, j in sums}
        lines += _multiplications("rest", last, 1, starts, sums, width // 2, t, ("%main_k", "%main_at"))
        found = "rest0"
    lines += [f"  %whole = icmp sge i64 %columns, {width}", "  br i1 %whole, label %store, label %store_part", "store:"]
    for r in range(rows):
        lines += _row_of_out(r)
        for j in range(2):
            lines.append(f"  %to{r}_{j} = getelementptr {v}, ptr %out{r}, i64 {j}")
            lines += _stored(f"%{found}_{r}_{j}", f"%to{r}_{j}", f"%sum{r}_{j}", v, item, add)
    lines += ["  ret void", "store_part:", f"  %few = alloca [2 x {v}], align 64", f"  %bytes = mul i64 %columns, {item}"]
    lines.append(f"  %few1 = getelementptr {v}, ptr %few, i64 1")
    for r in range(rows):
        lines += _row_of_out(r, "part")
        if add:
            lines.append(f"  call void @llvm.memcpy.p0.p0.i64(ptr %few, ptr %part{r}, i64 %bytes, i1 false)")
        for j in range(2):
            lines += _stored(f"%{found}_{r}_{j}", "%few1" if j else "%few", f"%few{r}_{j}", v, item, add)
        lines.append(f"  call void @llvm.memcpy.p0.p0.i64(ptr %part{r}, ptr %few, i64 %bytes, i1 false)")
    body = "\n".join([*lines, "  ret void"])
    parameters = "ptr %x, i64 %x_row, i64 %x_column, i64 %inner, ptr noalias %panel, ptr noalias %out, i64 %out_row, i64 %columns"
    return f"define internal void @tile{rows}({parameters}) #0 {{\n{body}\n}}\n"


def _row_of_out(r: int, name: str = "out") -> list[str]:
    return [f"  %{name}_along{r} = mul i64 %out_row, {r}", f"  %{name}{r} = getelementptr i8, ptr %out, i64 %{name}_along{r}"]


def _stored(value: str, place: str, name: str, v: str, item: int, add: bool) -> list[str]:
    """Store a vector, or add it to the one in memory."""
    if not add:
        return [f"  store {v} {value}, ptr {place}, align {item}"]
    load, total = f"  {name}_old = load {v}, ptr {place}, align {item}", f"  {name} = fadd {v} {name}_old, {value}"
    return [load, total, f"  store {v} {name}, ptr {place}, align {item}"]


def _multiplications(
    name: str, before: str, chains: int, starts: dict[str, str], sums: Sequence[tuple[int, int]], lanes: int, t: str,
    begin: tuple[str, str],
) -> list[str]:
    """The loop along the inner dimension, `chains` steps at a time; its sums %<name><chain>_<row>_<vector> begin with `starts`."""
    v = f"<{lanes} x {t}>"
    k, at = begin  # the first step, and its bytes in a row of x
    lines = [f"  br label %{name}", f"{name}:"]
    for what, first in (("k", k), ("at", at)):
        lines.append(f"  %{name}_{what} = phi i64 [ {first}, %{before} ], [ %{name}_next_{what}, %{name}_body ]")
    lines += [f"  %{name}{s} = phi {v} [ {start}, %{before} ], [ %{name}_next{s}, %{name}_body ]" for s, start in starts.items()]
    lines += [
        f"  %{name}_next_k = add i64 %{name}_k, {chains}", f"  %{name}_more = icmp sle i64 %{name}_next_k, %inner",
        f"  br i1 %{name}_more, label %{name}_body, label %{name}_end", f"{name}_body:",
    ]  # fmt: skip
    here = f"%{name}_at"
    for c in range(chains):
        lines += [f"  %{name}_k{c} = add i64 %{name}_k, {c}", f"  %{name}_row{c} = mul i64 %{name}_k{c}, 2"]
        for j in (0, 1):
            address = f"%{name}_panel{c}_{j}"
            lines.append(f"  {address}_at = getelementptr {v}, ptr %panel, i64 %{name}_row{c}")
            lines.append(f"  {address}_of = getelementptr {v}, ptr {address}_at, i64 {j}")
            lines.append(f"  {address} = load {v}, ptr {address}_of, align 16")
        for r, j in sums:
            value = f"%{name}_x{c}_{r}"
            if not j:
                lines.append(f"  {value}_at = getelementptr i8, ptr %x{r}, i64 {here}")
                lines.append(f"  {value}_one = load {t}, ptr {value}_at")
                lines.append(splat(value, f"{value}_one", t, lanes))
            term = f"%{name}_term{c}_{r}_{j}"
            lines.append(f"  {term} = fmul contract {v} {value}, %{name}_panel{c}_{j}")
            lines.append(f"  %{name}_next{c}_{r}_{j} = fadd contract {v} %{name}{c}_{r}_{j}, {term}")
        following = f"%{name}_next_at" if c == chains - 1 else f"%{name}_at{c + 1}"
        lines.append(f"  {following} = add i64 {here}, %x_column")
        here = following
    return [*lines, f"  br label %{name}", f"{name}_end:"]


def pack_function(dtype: np.dtype) -> str:
    """`pack(inner, columns, y, y_row, y_column, factor, out)` packs y (inner, columns) times a number into panels. Steps are in
    bytes; zeros fill the last panel up."""
    t, width = KINDS[dtype], width_of(dtype)
    gathered = "\n".join(
        f"  %across{j} = mul i64 %y_column, {j}\n  %gather_at{j} = getelementptr i8, ptr %gather_from, i64 %across{j}\n"
        f"  %gathered{j} = load {t}, ptr %gather_at{j}\n  %scaled{j} = fmul {t} %gathered{j}, %factor\n"
        f"  %gather_to{j} = getelementptr {t}, ptr %gather_to, i64 {j}\n  store {t} %scaled{j}, ptr %gather_to{j}"
        for j in range(width)
    )
    return f"""
declare i64 @llvm.smin.i64(i64, i64)
define internal void @pack(i64 %inner, i64 %columns, ptr %y, i64 %y_row, i64 %y_column, {t} %factor, ptr %out) noinline {{
entry:
  %some_rows = icmp sgt i64 %inner, 0
  %some_columns = icmp sgt i64 %columns, 0
  %some = and i1 %some_rows, %some_columns
  %dense = icmp eq i64 %y_column, {dtype.itemsize}
{splat("%factors", "%factor", t, width)}
  br i1 %some, label %panel, label %end
panel:
  %c = phi i64 [ 0, %entry ], [ %c_next, %panel_end ]
  %left = sub i64 %columns, %c
  %used = call i64 @llvm.smin.i64(i64 %left, i64 {width})
  %from_move = mul i64 %c, %y_column
  %from = getelementptr i8, ptr %y, i64 %from_move
  %to_move = mul i64 %c, %inner
  %to = getelementptr {t}, ptr %out, i64 %to_move
  %full = icmp eq i64 %used, {width}
  br i1 %full, label %whole, label %column
whole:
  br i1 %dense, label %row, label %gather
gather:
  %g = phi i64 [ 0, %whole ], [ %g_next, %gather ]
  %gather_move = mul i64 %g, %y_row
  %gather_from = getelementptr i8, ptr %from, i64 %gather_move
  %gather_to = getelementptr [{width} x {t}], ptr %to, i64 %g
{gathered}
  %g_next = add i64 %g, 1
  %more_g = icmp slt i64 %g_next, %inner
  br i1 %more_g, label %gather, label %panel_end
row:
  %k = phi i64 [ 0, %whole ], [ %k_next, %row ]
  %row_move = mul i64 %k, %y_row
  %row_from = getelementptr i8, ptr %from, i64 %row_move
  %row_to = getelementptr [{width} x {t}], ptr %to, i64 %k
  %numbers = load <{width} x {t}>, ptr %row_from, align {dtype.itemsize}
  %products = fmul <{width} x {t}> %numbers, %factors
  store <{width} x {t}> %products, ptr %row_to, align {dtype.itemsize}
  %k_next = add i64 %k, 1
  %more_k = icmp slt i64 %k_next, %inner
  br i1 %more_k, label %row, label %panel_end
column:
  %j = phi i64 [ 0, %panel ], [ %j_next, %column_end ]
  %column_move = mul i64 %j, %y_column
  %column_from = getelementptr i8, ptr %from, i64 %column_move
  %column_to = getelementptr {t}, ptr %to, i64 %j
  %inside = icmp slt i64 %j, %used
  br i1 %inside, label %element, label %zero
element:
  %i = phi i64 [ 0, %column ], [ %i_next, %element ]
  %element_move = mul i64 %i, %y_row
  %element_from = getelementptr i8, ptr %column_from, i64 %element_move
  %value = load {t}, ptr %element_from
  %element_to = getelementptr [{width} x {t}], ptr %column_to, i64 %i
  %value_times = fmul {t} %value, %factor
  store {t} %value_times, ptr %element_to
  %i_next = add i64 %i, 1
  %more_i = icmp slt i64 %i_next, %inner
  br i1 %more_i, label %element, label %column_end
zero:
  %z = phi i64 [ 0, %column ], [ %z_next, %zero ]
  %zero_to = getelementptr [{width} x {t}], ptr %column_to, i64 %z
  store {t} 0.0, ptr %zero_to
  %z_next = add i64 %z, 1
  %more_z = icmp slt i64 %z_next, %inner
  br i1 %more_z, label %zero, label %column_end
column_end:
  %j_next = add i64 %j, 1
  %more_j = icmp slt i64 %j_next, {width}
  br i1 %more_j, label %column, label %panel_end
panel_end:
  %c_next = add i64 %c, {width}
  %more_c = icmp slt i64 %c_next, %columns
  br i1 %more_c, label %panel, label %end
end:
  ret void
}}
"""
