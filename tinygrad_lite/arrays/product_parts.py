"""A part of a large product of matrices, in LLVM IR.

A part is some rows and columns of the result. For each block of the inner dimension, and for each strip of columns as wide
as two vectors:

    panel = y[block, strip], copied so that its rows follow one another; it stays in the first-level cache
    for each tile of rows:
        sums = 0, in registers
        for k in block:
            sums += x[tile, k, None] * panel[k]
        out[tile, strip] = start[tile, strip] + sums

where `start` is the bias, and from the second block on `out`. A matrix x whose lines fall into few sets of the cache is copied
too, tile by tile.
"""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_lite.arrays.compiling import fields, load_part, vector_size
from tinygrad_lite.arrays.ir import lanes_below, loop, masked_load, masked_memory, masked_store, splat, whole_vectors
from tinygrad_lite.arrays.loop_functions import KINDS

_MOST_INNER = 256  # rows of a panel: with two vectors of 64 bytes a row, two thirds of a first-level cache of 48 KiB
NAMES = [
    "rows", "rows_each", "columns", "columns_each", "parts_across", "inner", "inner_each", "x", "x_row", "x_column", "y", "y_row",
    "y_column", "out", "out_row", "start", "start_row", "other", "scratch", "scratch_size",
]  # fmt: skip
POINTERS = ("x", "y", "out", "start", "other", "scratch")


def rows_of_a_tile() -> int:
    """With two vectors a row, as many sums as the processor's registers hold beside what is multiplied."""
    return 8 if vector_size() == 64 else 6


def columns_of_a_strip(dtype: np.dtype) -> int:
    return 2 * vector_size() // dtype.itemsize


@functools.cache
def tiled_part(dtype: np.dtype, x_form: str, y_in_rows: bool, then: str) -> int:
    """The address of the function that computes a part. Its arguments are NAMES: numbers of elements, strides in bytes, and
    addresses; `start` is 0 for none. `x_form`: see `form_of`. `then`: what happens to the result, "relu", "masked" or nothing."""
    t, item, lanes, height = KINDS[dtype], dtype.itemsize, vector_size() // dtype.itemsize, rows_of_a_tile()
    width = 2 * lanes
    copied_x = "" if x_form == "rows" else loop("c", "%tiles", f"""
  %c.first = mul i64 %c, {height}
  %c.from_at = mul i64 %c.first, %x_row
  %c.from = getelementptr i8, ptr %x_block, i64 %c.from_at
  %c.left = sub i64 %m, %c.first
  %c.to_at = mul i64 %c, %tile_bytes
  %c.to = getelementptr i8, ptr %tiles_of_x, i64 %c.to_at
  call void @copy_tile(ptr %c.from, i64 {"%x_row" if x_form == "copied rows" else "%x_column"}, i64 %depth, i64 %c.left, ptr %c.to)""")
    tile_of_x = """
  %x_down = mul i64 %r.first, %x_row
  %x_here = getelementptr i8, ptr %x_block, i64 %x_down""" if x_form == "rows" else """
  %x_down = mul i64 %r, %tile_bytes
  %x_here = getelementptr i8, ptr %tiles_of_x, i64 %x_down"""
    copied_row = f"i64 %depth_bytes, i64 {item}"
    x_steps = {"rows": f"i64 %x_row, i64 {item}", "copied rows": copied_row, "columns": f"i64 {item}, i64 {height * item}"}[x_form]
    tile = f"""
  %r.first = mul i64 %r, {height}{tile_of_x}
  %r.left = sub i64 %m, %r.first
  %r.out = mul i64 %r.first, %out_row
  %out_here = getelementptr i8, ptr %out_strip, i64 %r.out
  %other_here = getelementptr i8, ptr %other_strip, i64 %r.out
  %r.start = mul i64 %r.first, %start_step
  %start_here = getelementptr i8, ptr %start_strip, i64 %r.start
  call void @tile(ptr %x_here, {x_steps}, i64 %r.left, i64 %depth, ptr %panel, ptr %out_here, i64 %out_row, i64 %s.left,
                  ptr %start_here, i64 %start_step, i1 %starts, {t} %floor, ptr %other_here)"""
    strip = f"""
  %s.left = sub i64 %n, %s
  %s.bytes = mul i64 %s, {item}
  %y_along = mul i64 %s, %y_column
  %y_here = getelementptr i8, ptr %y_block, i64 %y_along
  call void @copy_panel(ptr %y_here, i64 %{"y_row" if y_in_rows else "y_column"}, i64 %depth, i64 %s.left, ptr %panel)
  %out_strip = getelementptr i8, ptr %out_part, i64 %s.bytes
  %other_strip = getelementptr i8, ptr %other_part, i64 %s.bytes
  %start_strip = getelementptr i8, ptr %start_part, i64 %s.bytes
{loop("r", "%tiles", tile)}"""
    block = f"""
  %k.left = sub i64 %inner, %k
  %ends = icmp sle i64 %k.left, %inner_each
  %depth = select i1 %ends, i64 %k.left, i64 %inner_each
  %floor = select i1 %ends, {t} 0.0, {t} 0xFFF0000000000000
  %depth_bytes = mul i64 %depth, {item}
  %begins = icmp eq i64 %k, 0
  %goes_on = xor i1 %begins, true
  %starts = or i1 %goes_on, %has_start
  %start_part = select i1 %begins, ptr %given_start, ptr %out_part
  %start_step = select i1 %begins, i64 %start_row, i64 %out_row
  %x_along = mul i64 %k, %x_column
  %x_block = getelementptr i8, ptr %x_part, i64 %x_along
  %y_down = mul i64 %k, %y_row
  %y_block = getelementptr i8, ptr %y_part, i64 %y_down
{copied_x}
{loop("s", "%n", strip, step=width)}"""
    return load_part(f"""
declare i64 @llvm.smin.i64(i64, i64)
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
{masked_memory(t, lanes)}
{_tile(t, lanes, height, then)}
{_copy_panel(t, lanes) if y_in_rows else _transpose_panel(t, lanes)}
{_copy_tile(x_form, t, item, height)}
define void @part(i64 %i, ptr %args) {{
entry:
{fields(NAMES, POINTERS)}
  %down = sdiv i64 %i, %parts_across
  %across = srem i64 %i, %parts_across
  %row = mul i64 %down, %rows_each
  %rows_left = sub i64 %rows, %row
  %m = call i64 @llvm.smin.i64(i64 %rows_left, i64 %rows_each)
  %column = mul i64 %across, %columns_each
  %columns_left = sub i64 %columns, %column
  %n = call i64 @llvm.smin.i64(i64 %columns_left, i64 %columns_each)
  %m_up = add i64 %m, {height - 1}
  %tiles = sdiv i64 %m_up, {height}
  %x_start = mul i64 %row, %x_row
  %x_part = getelementptr i8, ptr %x, i64 %x_start
  %y_start = mul i64 %column, %y_column
  %y_part = getelementptr i8, ptr %y, i64 %y_start
  %column_bytes = mul i64 %column, {item}
  %out_start = mul i64 %row, %out_row
  %out_offset = add i64 %out_start, %column_bytes
  %out_part = getelementptr i8, ptr %out, i64 %out_offset
  %other_part = getelementptr i8, ptr %other, i64 %out_offset
  %has_start = icmp ne ptr %start, null
  %start_down = mul i64 %row, %start_row
  %start_offset = add i64 %start_down, %column_bytes
  %given_start = getelementptr i8, ptr %start, i64 %start_offset
  %scratch_start = mul i64 %i, %scratch_size
  %panel = getelementptr i8, ptr %scratch, i64 %scratch_start
  %panel_up = add i64 %inner_each, {lanes - 1}
  %squares = sdiv i64 %panel_up, {lanes}
  %panel_bytes = mul i64 %squares, {lanes * width * item}
  %tile_bytes = mul i64 %inner_each, {height * item}
  %tiles_of_x = getelementptr i8, ptr %panel, i64 %panel_bytes
{loop("k", "%inner", block, step="%inner_each")}
  ret void
}}
""")


def inner_of_a_panel(inner: int) -> int:
    """How many rows of y, or columns of x, each block has: about the same number, and not too many for the cache."""
    return -(-inner // -(-inner // _MOST_INNER))


def form_of(x: np.ndarray) -> str:
    """How a part reads a matrix: in place if its "rows" are contiguous, unless 2 KiB lie between them, or 4, and so on: then the
    rows of a tile meet in two sets of the cache, or in one. Copies are made of these, and of "columns"."""
    row, column = x.strides
    return "columns" if column != x.itemsize else "rows" if row % 2048 else "copied rows"


def scratch_size(dtype: np.dtype, x_form: str, rows: int, inner: int) -> int:
    """The bytes that a part with so many rows needs: for a panel, whose rows fill whole squares, and copied tiles; in cache lines."""
    height, width, depth = rows_of_a_tile(), columns_of_a_strip(dtype), inner_of_a_panel(inner)
    lanes = width // 2
    copied = 0 if x_form == "rows" else -(-rows // height) * height * depth
    return -(-(-(-depth // lanes) * lanes * width + copied) * dtype.itemsize // 128) * 128


def _masks(lanes: int) -> str:
    """%mask0 and %mask1: which lanes of a strip's two vectors are among its %columns."""
    return "\n".join(lanes_below(f"%mask{j}", "%columns", lanes, j * lanes) for j in range(2))


def _tile(t: str, lanes: int, height: int, then: str) -> str:
    """A tile of the result. Where it has fewer rows than registers, its last row is computed, and stored, several times."""
    v = f"<{lanes} x {t}>"
    head, sums, body, added, stored = [], [], [], [], []
    for r in range(height):
        head.append(f"  %n{r} = call i64 @llvm.smin.i64(i64 {r}, i64 %last)")
        for array, step in (("x", "x_row"), ("out", "out_row"), ("start", "start_row"), ("other", "out_row")):
            head.append(f"  %{array}_along{r} = mul i64 %n{r}, %{step}")
            head.append(f"  %{array}{r} = getelementptr i8, ptr %{array}, i64 %{array}_along{r}")
        for j in range(2):  # what will be added to comes from afar
            head.append(f"  %early{r}_{j} = getelementptr {v}, ptr %start{r}, i64 {j}")
            head.append(f"  call void @llvm.prefetch.p0(ptr %early{r}_{j}, i32 0, i32 3, i32 1)")
        body.append(f"  %a{r}_at = getelementptr i8, ptr %x{r}, i64 %at\n  %a{r}_one = load {t}, ptr %a{r}_at")
        body.append(splat(f"%a{r}", f"%a{r}_one", t, lanes))
        for j in range(2):
            sums.append(f"  %sum{r}_{j} = phi {v} [ zeroinitializer, %entry ], [ %next{r}_{j}, %step ]")
            body.append(f"  %term{r}_{j} = fmul contract {v} %a{r}, %b{j}")
            body.append(f"  %next{r}_{j} = fadd contract {v} %sum{r}_{j}, %term{r}_{j}")
    for r in range(height):
        for j in range(2):
            added.append(f"  %start{r}_{j} = getelementptr {v}, ptr %start{r}, i64 {j}")
            added.append(masked_load(f"%old{r}_{j}", f"%start{r}_{j}", f"%mask{j}", t, lanes))
            added.append(f"  %more{r}_{j} = fadd {v} %old{r}_{j}, %next{r}_{j}")
            stored.append(f"  %all{r}_{j} = phi {v} [ %next{r}_{j}, %store ], [ %more{r}_{j}, %add ]")
    for r in range(height):
        for j in range(2):
            value, stays = f"%all{r}_{j}", f"  %stays{r}_{j} = fcmp ugt {v}"
            if then == "relu":
                stored.append(f"{stays} {value}, %floors")
                stored.append(f"  %then{r}_{j} = select <{lanes} x i1> %stays{r}_{j}, {v} {value}, {v} %floors")
            elif then == "masked":
                stored.append(f"  %other_at{r}_{j} = getelementptr {v}, ptr %other{r}, i64 {j}")
                stored.append(masked_load(f"%others{r}_{j}", f"%other_at{r}_{j}", f"%mask{j}", t, lanes))
                stored.append(f"{stays} %others{r}_{j}, %floors")
                stored.append(f"  %then{r}_{j} = select <{lanes} x i1> %stays{r}_{j}, {v} {value}, {v} zeroinitializer")
            stored.append(f"  %to{r}_{j} = getelementptr {v}, ptr %out{r}, i64 {j}")
            stored.append(masked_store(f"%then{r}_{j}" if then else value, f"%to{r}_{j}", f"%mask{j}", t, lanes))
    lines = "\n".join
    return f"""
define internal void @tile(ptr %x, i64 %x_row, i64 %x_column, i64 %rows, i64 %inner, ptr noalias %panel, ptr %out, i64 %out_row,
                           i64 %columns, ptr %start, i64 %start_row, i1 %starts, {t} %floor, ptr %other) {whole_vectors()} {{
entry:
  %last = sub i64 %rows, 1
{lines(head)}
{splat("%floors", "%floor", t, lanes)}
{_masks(lanes)}
  br label %step
step:
  %k = phi i64 [ 0, %entry ], [ %k_next, %step ]
  %at = phi i64 [ 0, %entry ], [ %at_next, %step ]
{lines(sums)}
  %row = mul i64 %k, 2
  %b0_at = getelementptr {v}, ptr %panel, i64 %row
  %b1_at = getelementptr {v}, ptr %b0_at, i64 1
  %b0 = load {v}, ptr %b0_at
  %b1 = load {v}, ptr %b1_at
{lines(body)}
  %k_next = add nuw nsw i64 %k, 1
  %at_next = add i64 %at, %x_column
  %more = icmp slt i64 %k_next, %inner
  br i1 %more, label %step, label %store
store:
  br i1 %starts, label %add, label %finish
add:
{lines(added)}
  br label %finish
finish:
{lines(stored)}
  ret void
}}
"""


def _copy_panel(t: str, lanes: int) -> str:
    """Copy a strip of a matrix whose rows are contiguous."""
    v = f"<{lanes} x {t}>"
    row = ["  %from_at = mul i64 %k, %step\n  %from = getelementptr i8, ptr %y, i64 %from_at\n  %place = mul i64 %k, 2"]
    for j in range(2):
        row.append(f"  %from{j} = getelementptr {v}, ptr %from, i64 {j}")
        row.append(masked_load(f"%b{j}", f"%from{j}", f"%mask{j}", t, lanes))
        row.append(f"  %place{j} = add i64 %place, {j}\n  %to{j} = getelementptr {v}, ptr %panel, i64 %place{j}")
        row.append(f"  store {v} %b{j}, ptr %to{j}")
    return f"""
define internal void @copy_panel(ptr noalias %y, i64 %step, i64 %inner, i64 %columns, ptr noalias %panel) {whole_vectors()} {{
entry:
{_masks(lanes)}
{loop("k", "%inner", chr(10).join(row))}
  ret void
}}
"""


def _transpose_panel(t: str, lanes: int) -> str:
    """Copy a strip of a matrix whose columns are contiguous: squares of one vector's size are transposed in registers. Where the
    strip has fewer columns, its last one is copied several times; the panel has memory for whole squares."""
    v = f"<{lanes} x {t}>"
    lines = [lanes_below("%some", "%left", lanes)]
    vectors = [f"%made0_{c}" for c in range(lanes)]
    for c in range(lanes):
        lines.append(f"  %n{c} = call i64 @llvm.smin.i64(i64 {c}, i64 %last)\n  %n{c}_at = mul i64 %n{c}, %step")
        lines.append(f"  %column{c} = getelementptr i8, ptr %from, i64 %n{c}_at")
        lines.append(masked_load(vectors[c], f"%column{c}", "%some", t, lanes))
    pairs = [lane // 2 + lane % 2 * lanes for lane in range(lanes)]
    for level in range(1, lanes.bit_length()):  # each round interleaves vector i with vector i + lanes / 2
        made = [f"%made{level}_{c}" for c in range(lanes)]
        for c in range(lanes):
            low, high = vectors[c // 2], vectors[c // 2 + lanes // 2]
            order = ", ".join(f"i32 {lane + c % 2 * lanes // 2}" for lane in pairs)
            lines.append(f"  {made[c]} = shufflevector {v} {low}, {v} {high}, <{lanes} x i32> <{order}>")
        vectors = made
    for r, vector in enumerate(vectors):
        lines.append(f"  %to{r} = getelementptr {v}, ptr %to, i64 {2 * r}\n  store {v} {vector}, ptr %to{r}")
    square = f"""
  %left = sub i64 %inner, %k
  %last = sub i64 %columns_left, 1
  %place = mul i64 %k, 2
  %row = getelementptr {v}, ptr %panel, i64 %place
  %to = getelementptr {v}, ptr %row, i64 %j
  %first = mul i64 %j, {lanes}
  %across = mul i64 %first, %step
  %start = getelementptr i8, ptr %y, i64 %across
  %from = getelementptr {t}, ptr %start, i64 %k
{chr(10).join(lines)}"""
    column = f"""
  %before = mul i64 %j, {lanes}
  %columns_left = sub i64 %columns, %before
{loop("k", "%inner", square, step=lanes)}"""
    return f"""
define internal void @copy_panel(ptr noalias %y, i64 %step, i64 %inner, i64 %columns, ptr noalias %panel) {whole_vectors()} {{
entry:
  %has_two = icmp sgt i64 %columns, {lanes}
  %vectors = select i1 %has_two, i64 2, i64 1
{loop("j", "%vectors", column)}
  ret void
}}
"""


def _copy_tile(x_form: str, t: str, item: int, height: int) -> str:
    """Copy some rows of a matrix: row after row, or column after column if these are contiguous. Nothing if it is read in place."""
    if x_form == "rows":
        return ""
    parameters = "ptr noalias %x, i64 %step, i64 %inner, i64 %rows, ptr noalias %to"
    if x_form == "copied rows":
        row = """
  %j.from_at = mul i64 %j, %step
  %j.from = getelementptr i8, ptr %x, i64 %j.from_at
  %j.to_at = mul i64 %j, %bytes
  %j.to = getelementptr i8, ptr %to, i64 %j.to_at
  call void @llvm.memcpy.p0.p0.i64(ptr %j.to, ptr %j.from, i64 %bytes, i1 false)"""
        return f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define internal void @copy_tile({parameters}) {{
entry:
  %bytes = mul i64 %inner, {item}
  %count = call i64 @llvm.smin.i64(i64 %rows, i64 {height})
{loop("j", "%count", row)}
  ret void
}}
"""
    v = f"<{height} x {t}>"

    def columns(k: str, copied: str) -> str:
        return loop(k, "%inner", f"""
  %{k}.from_at = mul i64 %{k}, %step
  %{k}.from = getelementptr i8, ptr %x, i64 %{k}.from_at
  %{k}.to_at = mul i64 %{k}, {height * item}
  %{k}.to = getelementptr i8, ptr %to, i64 %{k}.to_at
{copied}""")

    whole = columns("k", f"  %k.value = load {v}, ptr %k.from, align {item}\n  store {v} %k.value, ptr %k.to, align {item}")
    part = columns("p", loop("j", "%rows", f"""
  %j.from = getelementptr {t}, ptr %p.from, i64 %j
  %j.to = getelementptr {t}, ptr %p.to, i64 %j
  %j.value = load {t}, ptr %j.from
  store {t} %j.value, ptr %j.to"""))
    return f"""
define internal void @copy_tile({parameters}) {whole_vectors()} {{
entry:
  %fits = icmp sge i64 %rows, {height}
  br i1 %fits, label %whole, label %part
whole:
{whole}
  ret void
part:
{part}
  ret void
}}
"""
