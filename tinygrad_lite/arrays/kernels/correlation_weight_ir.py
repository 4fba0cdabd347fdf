"""LLVM IR of the gradient of a correlation's weights: for each term (channel and tap) and output channel, the sum over all
windows of the element that the window has there times its gradient.

A row of gradients is turned first, so that the output channels of a window are side by side. The sums of six terms and two
vectors of output channels are in registers while a loop runs over the windows of a block.
"""

from __future__ import annotations

import functools
from itertools import product

import numpy as np

from tinygrad_lite.arrays.compiling import fields, load_part
from tinygrad_lite.arrays.ir import loop, splat
from tinygrad_lite.arrays.kernels.correlation_ir import SOURCE, SOURCE_POINTERS, UNITS, products, source_of
from tinygrad_lite.arrays.loop_functions import KINDS

MOST = 6  # terms that are summed together


@functools.cache
def weight_part(dtype: np.dtype, size: int, step: int | None) -> int:
    """The address of the function that computes a part of the gradient of the weights: the sums over the part's blocks, in a
    matrix of the terms by the output channels, of vectors of `size` bytes. `step` as in `correlation_part`."""
    t, lanes = KINDS[dtype], size // dtype.itemsize
    begin, source, copy = source_of(t, lanes, dtype.itemsize, step)
    names = (
        f"{SOURCE} groups group outputs terms term_groups taps places full_count last_count g g_image g_block plane turned turned_size "
        "columns totals totals_size"
    )
    pointers = (*SOURCE_POINTERS, "taps", "places", "g", "turned", "totals")
    position, blocks = "0", ""
    for v in (2, 1):
        blocks += f"  %limit{v} = sub i64 %columns, {(v - 1) * lanes}" + loop(f"v{v}", f"%limit{v}", f"""
  %v{v}.turned = getelementptr {t}, ptr %turned_here, i64 %v{v}
  %v{v}.totals = getelementptr {t}, ptr %totals_group, i64 %v{v}
  call void @columns_{v}(ptr %from, ptr %taps, i64 %terms, i64 %term_groups, ptr %places, i64 %count, ptr %v{v}.turned, i64 %columns,
                         ptr %v{v}.totals)""", position, v * lanes)
        position = f"%v{v}"
    group = f"""
  %group_start = mul i64 %group_number, %group
  %from = getelementptr {t}, ptr %source, i64 %group_start
  %first_output = mul i64 %group_number, %outputs
  %g_plane = mul i64 %first_output, %plane
  %g_group = getelementptr {t}, ptr %g_here, i64 %g_plane
  call void @turn(ptr %g_group, i64 %plane, i64 %outputs, i64 %count, ptr %turned_here, i64 %columns)
  %first_term = mul i64 %group_number, %terms
  %totals_down = mul i64 %first_term, %columns
  %totals_group = getelementptr {t}, ptr %totals_here, i64 %totals_down
{blocks}"""
    unit = f"""
{source}
  %count = select i1 %is_last, i64 %last_count, i64 %full_count
  %g_start = mul i64 %n, %g_image
  %g_down = mul i64 %b, %g_block
  %g_offset = add i64 %g_start, %g_down
  %g_here = getelementptr {t}, ptr %g, i64 %g_offset
{loop("group_number", "%groups", group)}"""
    return load_part(f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
{copy}
{_turn(t, lanes, dtype.itemsize)}
{"".join(_tile(t, lanes, r, v) for r, v in product(range(1, MOST + 1), (1, 2)))}
{"".join(_columns(t, v) for v in (1, 2))}
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names.split(), pointers)}
{UNITS}
{begin}
  %turned_start = mul i64 %i, %turned_size
  %turned_here = getelementptr {t}, ptr %turned, i64 %turned_start
  %turned_bytes = mul i64 %turned_size, {dtype.itemsize}
  call void @llvm.memset.p0.i64(ptr %turned_here, i8 0, i64 %turned_bytes, i1 false)
  %totals_start = mul i64 %i, %totals_size
  %totals_here = getelementptr {t}, ptr %totals, i64 %totals_start
{loop("u", "%stop", unit, "%start")}
  ret void
}}
""")


def _tile(t: str, lanes: int, rows: int, columns: int) -> str:
    """Add to the totals of so many terms and vectors of output channels. `places`: the offset of each window."""
    vector, align = f"<{lanes} x {t}>", 4 if t == "float" else 8
    pairs = list(product(range(rows), range(columns)))
    head, sums, body, end = [], [], [], []
    for r in range(rows):
        head.append(f"  %tap{r}_at = getelementptr i64, ptr %taps, i64 {r}\n  %tap{r} = load i64, ptr %tap{r}_at")
        head.append(f"  %source{r} = getelementptr {t}, ptr %source, i64 %tap{r}")
        head.append(f"  %down{r} = mul i64 %step, {r}\n  %total{r} = getelementptr {t}, ptr %totals, i64 %down{r}")
        body.append(f"  %a{r}_at = getelementptr {t}, ptr %source{r}, i64 %place\n  %a{r}_0 = load {t}, ptr %a{r}_at")
        body.append(splat(f"%a{r}", f"%a{r}_0", t, lanes))
    for v in range(columns):
        body.append(f"  %b{v}_at = getelementptr {t}, ptr %g_here, i64 {v * lanes}")
        body.append(f"  %b{v} = load {vector}, ptr %b{v}_at, align {align}")
    for r, v in pairs:
        sums.append(f"  %s{r}_{v} = phi {vector} [ zeroinitializer, %entry ], [ %t{r}_{v}, %window ]")
        end.append(f"  %to{r}_{v} = getelementptr {t}, ptr %total{r}, i64 {v * lanes}")
        end.append(f"  %old{r}_{v} = load {vector}, ptr %to{r}_{v}, align {align}")
        end.append(f"  %new{r}_{v} = fadd {vector} %old{r}_{v}, %t{r}_{v}\n  store {vector} %new{r}_{v}, ptr %to{r}_{v}, align {align}")
    lines = "\n".join
    return f"""
define internal void @tile_{rows}x{columns}(ptr noalias %source, ptr noalias %taps, ptr noalias %places, i64 %count,
                                            ptr noalias %g, i64 %step, ptr noalias %totals) noinline {{
entry:
{lines(head)}
  br label %window
window:
  %p = phi i64 [ 0, %entry ], [ %next, %window ]
  %g_here = phi ptr [ %g, %entry ], [ %g_next, %window ]
{lines(sums)}
  %place_at = getelementptr i64, ptr %places, i64 %p
  %place = load i64, ptr %place_at
{lines(body)}
{products(rows, columns, vector)}
  %g_next = getelementptr {t}, ptr %g_here, i64 %step
  %next = add nuw nsw i64 %p, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %window, label %end
end:
{lines(end)}
  ret void
}}
"""


def _columns(t: str, columns: int) -> str:
    """All terms with so many vectors of output channels. The terms are divided into groups of nearly equal size."""
    cases = " ".join(f"i64 {r}, label %rows{r}" for r in range(1, MOST + 1))
    calls = "".join(f"""
rows{r}:
  call void @tile_{r}x{columns}(ptr %source, ptr %taps_here, ptr %places, i64 %count, ptr %g, i64 %step, ptr %totals_here)
  br label %added""" for r in range(1, MOST + 1))
    body = f"""
  %j_after = add i64 %j, 1
  %scaled = mul i64 %j, %terms
  %scaled_after = mul i64 %j_after, %terms
  %first = sdiv i64 %scaled, %term_groups
  %beyond = sdiv i64 %scaled_after, %term_groups
  %rows = sub i64 %beyond, %first
  %taps_here = getelementptr i64, ptr %taps, i64 %first
  %down = mul i64 %first, %step
  %totals_here = getelementptr {t}, ptr %totals, i64 %down
  switch i64 %rows, label %added [ {cases} ]
{calls}
added:"""
    return f"""
define internal void @columns_{columns}(ptr %source, ptr %taps, i64 %terms, i64 %term_groups, ptr %places, i64 %count, ptr %g, i64 %step,
                                        ptr %totals) noinline {{
entry:
{loop("j", "%term_groups", body)}
  ret void
}}
"""


def _turn(t: str, lanes: int, item: int) -> str:
    """Transpose: the numbers of row r and column c go to row c and column r."""
    vector = f"<{lanes} x {t}>"
    lines, names = [], []
    for i in range(lanes):
        lines.append(f"  %row{i} = add i64 %r, {i}\n  %down{i} = mul i64 %row{i}, %from_step\n  %offset{i} = add i64 %down{i}, %c")
        lines.append(f"  %at{i} = getelementptr {t}, ptr %from, i64 %offset{i}\n  %x0_{i} = load {vector}, ptr %at{i}, align {item}")
        names.append(f"%x0_{i}")
    distance, stage = 1, 1
    while distance < lanes:  # exchange the blocks of this size beside the diagonal
        low = ", ".join(f"i32 {j if not j & distance else lanes + j - distance}" for j in range(lanes))
        high = ", ".join(f"i32 {j + distance if not j & distance else lanes + j}" for j in range(lanes))
        new = [f"%x{stage}_{i}" for i in range(lanes)]
        for i in range(lanes):
            if not i & distance:
                both = f"{vector} {names[i]}, {vector} {names[i + distance]}"
                lines.append(f"  {new[i]} = shufflevector {both}, <{lanes} x i32> <{low}>")
                lines.append(f"  {new[i + distance]} = shufflevector {both}, <{lanes} x i32> <{high}>")
        names, distance, stage = new, 2 * distance, stage + 1
    for i in range(lanes):
        lines.append(f"  %column{i} = add i64 %c, {i}\n  %right{i} = mul i64 %column{i}, %to_step\n  %place{i} = add i64 %right{i}, %r")
        lines.append(f"  %to{i} = getelementptr {t}, ptr %to, i64 %place{i}\n  store {vector} {names[i]}, ptr %to{i}, align {item}")
    block = loop("c", "%last_column", "\n".join(lines), step=lanes)

    def single(i: str, row: str, column: str) -> str:
        return f"""
  %{i}.down = mul i64 {row}, %from_step
  %{i}.from_offset = add i64 %{i}.down, {column}
  %{i}.from = getelementptr {t}, ptr %from, i64 %{i}.from_offset
  %{i}.right = mul i64 {column}, %to_step
  %{i}.to_offset = add i64 %{i}.right, {row}
  %{i}.to = getelementptr {t}, ptr %to, i64 %{i}.to_offset
  %{i}.value = load {t}, ptr %{i}.from
  store {t} %{i}.value, ptr %{i}.to"""

    rest = loop("d", "%columns", loop("e", f"{lanes}", f"\n  %e.row = add i64 %r, %e{single('e', '%e.row', '%d')}"), "%c")
    return f"""
define internal void @turn(ptr noalias %from, i64 %from_step, i64 %rows, i64 %columns, ptr noalias %to, i64 %to_step) noinline {{
entry:
  %last_row = sub i64 %rows, {lanes - 1}
  %last_column = sub i64 %columns, {lanes - 1}
{loop("r", "%last_row", block + rest, step=lanes)}
{loop("s", "%rows", loop("f", "%columns", single("f", "%s", "%f")), "%r")}
  ret void
}}
"""
