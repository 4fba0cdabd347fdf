"""LLVM IR of direct correlations and of the gradient of their weights; see correlation_loops.py, which calls it.

Both are matrix products without matrices. Sums stay in vector registers, `rows` times `columns` vectors of them, while one
loop runs over all terms; each turn loads a few vectors and a few single numbers and multiplies all pairs. The loops run at
90% of the processor's peak, since a turn of 12 multiplications needs only 7 or 8 loads.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_lite.arrays.compiling import fields, load_part, vector_size
from tinygrad_lite.arrays.ir import loop, masked_load, masked_memory, masked_store, splat
from tinygrad_lite.arrays.loop_functions import KINDS


class Registers(NamedTuple):
    """The vector registers of a processor: bytes in each, and how many may hold sums."""

    size: int
    sums: int


@functools.cache
def registers() -> Registers:
    """Those of this processor."""
    size = vector_size()
    return Registers(size, 24 if size == 64 else 12)


def tiles(sums: int, outputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The numbers of output channels, and of vectors of windows, that may be computed together, largest first."""
    if outputs >= 8 and sums >= 24:
        return (8, 4, 2, 1), (3, 2, 1)
    if outputs >= 4:
        return (4, 2, 1), (6, 3, 2, 1) if sums >= 24 else (3, 2, 1)
    return ((2, 1), (4, 2, 1)) if outputs > 1 else ((1,), (8, 4, 2, 1))


# The arguments that tell where images are.
SOURCE = (
    "total each blocks x x_image x_block x_channel x_row height top top_step row_step channels phases phase_table rows width scratch "
    "scratch_size"
)
SOURCE_POINTERS = ("x", "phase_table", "scratch")

# -- the correlation -------------------------------------------------------------------------------


@functools.cache
def correlation_part(dtype: np.dtype, size: int, shapes: tuple[tuple[int, ...], tuple[int, ...]], step: int | None, masked: bool) -> int:
    """The address of the function that computes a part of a correlation. `step`: x is copied first, one image, or a block of
    its rows, at a time, with zeros around it, and columns that are `step` apart brought together; None if it is read in place.
    `masked`: of some vectors not all lanes count."""
    t, lanes = KINDS[dtype], size // dtype.itemsize
    parts = [_tile(t, lanes, r, v, masked) for r in shapes[0] for v in shapes[1]]
    parts += [_rows(r, shapes[1]) for r in shapes[0]]
    names = (
        f"{SOURCE} groups group outputs terms terms_each vectors_each taps full full_count last last_count weights bias "
        "out out_image out_block plane"
    )
    pointers = (*SOURCE_POINTERS, "taps", "full", "last", "weights", "bias", "out")
    begin, source, copy = source_of(t, lanes, dtype.itemsize, step)
    position, blocks = "0", ""
    for r in shapes[0]:
        blocks += f"  %limit{r} = sub i64 %outputs, {r - 1}" + loop(f"o{r}", f"%limit{r}", f"""
  %o{r}.start = mul i64 %o{r}, %terms
  %o{r}.before = mul i64 %k, {r}
  %o{r}.here = add i64 %o{r}.start, %o{r}.before
  %o{r}.weights = getelementptr {t}, ptr %weights_here, i64 %o{r}.here
  %o{r}.bias = getelementptr {t}, ptr %bias_here, i64 %o{r}
  %o{r}.plane = mul i64 %o{r}, %plane
  %o{r}.out = getelementptr {t}, ptr %out_group, i64 %o{r}.plane
  call void @rows_{r}(ptr %from, ptr %vectors_here, i64 %count_here, ptr %taps_here, i64 %terms_here, ptr %o{r}.weights, ptr %o{r}.out,
                      i64 %plane, ptr %o{r}.bias, i1 %begins)""", position, r)
        position = f"%o{r}"
    vectors = f"""
  %vectors_left = sub i64 %count, %v
  %short = icmp slt i64 %vectors_left, %vectors_each
  %count_here = select i1 %short, i64 %vectors_left, i64 %vectors_each
  %vectors_place = mul i64 %v, 32
  %vectors_here = getelementptr i8, ptr %vectors, i64 %vectors_place
{blocks}"""
    terms = f"""
  %terms_left = sub i64 %terms, %k
  %few_left = icmp slt i64 %terms_left, %terms_each
  %terms_here = select i1 %few_left, i64 %terms_left, i64 %terms_each
  %begins = icmp eq i64 %k, 0
  %taps_here = getelementptr i64, ptr %taps, i64 %k
{loop("v", "%count", vectors, step="%vectors_each")}"""
    groups = f"""
  %group_start = mul i64 %g, %group
  %from = getelementptr {t}, ptr %source, i64 %group_start
  %first_output = mul i64 %g, %outputs
  %first_term = mul i64 %first_output, %terms
  %weights_here = getelementptr {t}, ptr %weights, i64 %first_term
  %bias_here = getelementptr {t}, ptr %bias, i64 %first_output
  %first_plane = mul i64 %first_output, %plane
  %out_group = getelementptr {t}, ptr %out_here, i64 %first_plane
{loop("k", "%terms", terms, step="%terms_each")}"""
    unit = f"""
{source}
  %vectors = select i1 %is_last, ptr %last, ptr %full
  %count = select i1 %is_last, i64 %last_count, i64 %full_count
  %out_start = mul i64 %n, %out_image
  %out_down = mul i64 %b, %out_block
  %out_offset = add i64 %out_start, %out_down
  %out_here = getelementptr {t}, ptr %out, i64 %out_offset
{loop("g", "%groups", groups)}"""
    return load_part(f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
{masked_memory(t, lanes)}
{copy}
{"".join(parts)}
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names.split(), pointers)}
{UNITS}
{begin}
{loop("u", "%stop", unit, "%start")}
  ret void
}}
""")


UNITS = """
  %start = mul i64 %i, %each
  %beyond = add i64 %start, %each
  %too_far = icmp sgt i64 %beyond, %total
  %stop = select i1 %too_far, i64 %total, i64 %beyond"""


def products(rows: int, columns: int, vector: str) -> str:
    """`sum += a * b` for all pairs of a row's number and a column's vector."""
    lines = []
    for r in range(rows):
        for v in range(columns):
            lines.append(f"  %p{r}_{v} = fmul contract {vector} %a{r}, %b{v}")
            lines.append(f"  %t{r}_{v} = fadd contract {vector} %s{r}_{v}, %p{r}_{v}")
    return "\n".join(lines)


def _tile(t: str, lanes: int, rows: int, columns: int, masked: bool) -> str:
    """`rows` output channels of the windows of so many vectors. For each vector a table has the offset of its first element
    in the source and in the result, the first lane that counts, and how many do. `taps`: the offsets of the terms."""
    vector, mask = f"<{lanes} x {t}>", f"<{lanes} x i1>"
    align = 4 if t == "float" else 8
    pairs = [(r, v) for r in range(rows) for v in reversed(range(columns))]  # the last vector may overlap the one before
    head, begin, sums, body, masks, resume, end, stores = [], [], [], [], [], [], [], []
    for v in range(columns):
        for j, name in enumerate(("from", "to")):
            head.append(f"  %{name}{v}_at = getelementptr i64, ptr %vectors, i64 {4 * v + j}")
            head.append(f"  %{name}{v} = load i64, ptr %{name}{v}_at")
        head.append(f"  %source{v} = getelementptr {t}, ptr %source, i64 %from{v}")
        for j, name in enumerate(("lane", "size")):
            masks.append(f"  %{name}{v}_at = getelementptr i64, ptr %vectors, i64 {4 * v + j + 2}")
            masks.append(f"  %{name}{v} = load i64, ptr %{name}{v}_at")
            masks.append(splat(f"%{name}s{v}", f"%{name}{v}", "i64", lanes))
        numbers = ", ".join(f"i64 {j}" for j in range(lanes))
        masks.append(f"  %after{v} = sub <{lanes} x i64> <{numbers}>, %lanes{v}")
        masks.append(f"  %mask{v} = icmp ult <{lanes} x i64> %after{v}, %sizes{v}")
        body.append(f"  %b{v}_at = getelementptr {t}, ptr %source{v}, i64 %tap\n  %b{v} = load {vector}, ptr %b{v}_at, align {align}")
    for r in range(rows):
        head.append(f"  %down{r} = mul i64 %plane, {r}\n  %out{r} = getelementptr {t}, ptr %out, i64 %down{r}")
        begin.append(f"  %bias{r}_at = getelementptr {t}, ptr %bias, i64 {r}\n  %bias{r}_0 = load {t}, ptr %bias{r}_at")
        begin.append(splat(f"%bias{r}", f"%bias{r}_0", t, lanes))
        body.append(f"  %a{r}_at = getelementptr {t}, ptr %weights_here, i64 {r}\n  %a{r}_0 = load {t}, ptr %a{r}_at")
        body.append(splat(f"%a{r}", f"%a{r}_0", t, lanes))
    for r, v in pairs:
        head.append(f"  %to{r}_{v} = getelementptr {t}, ptr %out{r}, i64 %to{v}")
        sums.append(f"  %s{r}_{v} = phi {vector} [ %bias{r}, %begin ], [ zeroinitializer, %entry ], [ %t{r}_{v}, %term ]")
        old = f"  %old{r}_{v} = load {vector}, ptr %to{r}_{v}, align {align}"
        store = f"  store {vector} %sum{r}_{v}, ptr %to{r}_{v}, align {align}"
        if masked:
            old = masked_load(f"%old{r}_{v}", f"%to{r}_{v}", f"%mask{v}", t, lanes)
            store = masked_store(f"%sum{r}_{v}", f"%to{r}_{v}", f"%mask{v}", t, lanes)
        resume.append(f"{old}\n  %more{r}_{v} = fadd {vector} %old{r}_{v}, %t{r}_{v}")
        resume.append(f"  %new{r}_{v} = select {mask} %mask{v}, {vector} %more{r}_{v}, {vector} %old{r}_{v}")
        end.append(f"  %sum{r}_{v} = phi {vector} [ %t{r}_{v}, %last ], [ %new{r}_{v}, %resume ]")
        stores.append(store)
    if masked:
        head += masks
    else:
        resume = masks + resume
    lines = "\n".join
    return f"""
define internal void @tile_{rows}x{columns}(ptr noalias %source, ptr noalias %vectors, ptr noalias %taps, i64 %terms,
                                            ptr noalias %weights, ptr noalias %out, i64 %plane, ptr noalias %bias, i1 %begins) noinline {{
entry:
{lines(head)}
  br i1 %begins, label %begin, label %term
begin:
{lines(begin)}
  br label %term
term:
  %k = phi i64 [ 0, %begin ], [ 0, %entry ], [ %next, %term ]
  %weights_here = phi ptr [ %weights, %begin ], [ %weights, %entry ], [ %weights_next, %term ]
{lines(sums)}
  %tap_at = getelementptr i64, ptr %taps, i64 %k
  %tap = load i64, ptr %tap_at
{lines(body)}
{products(rows, columns, vector)}
  %weights_next = getelementptr {t}, ptr %weights_here, i64 {rows}
  %next = add nuw nsw i64 %k, 1
  %more = icmp slt i64 %next, %terms
  br i1 %more, label %term, label %last
last:
  br i1 %begins, label %end, label %resume
resume:
{lines(resume)}
  br label %end
end:
{lines(end)}
{lines(stores)}
  ret void
}}
"""


def _rows(rows: int, columns: Sequence[int]) -> str:
    """`rows` output channels of the windows of all vectors in a table."""
    body, position = "", "0"
    for v in columns:
        body += f"  %limit{v} = sub i64 %count, {v - 1}" + loop(f"v{v}", f"%limit{v}", f"""
  %v{v}.place = mul i64 %v{v}, 32
  %v{v}.at = getelementptr i8, ptr %vectors, i64 %v{v}.place
  call void @tile_{rows}x{v}(ptr %source, ptr %v{v}.at, ptr %taps, i64 %terms, ptr %weights, ptr %out, i64 %plane, ptr %bias, i1 %begins)
""", position, v)
        position = f"%v{v}"
    return f"""
define internal void @rows_{rows}(ptr %source, ptr %vectors, i64 %count, ptr %taps, i64 %terms, ptr %weights, ptr %out, i64 %plane,
                                  ptr %bias, i1 %begins) noinline {{
entry:
{body}
  ret void
}}
"""


def source_of(t: str, lanes: int, item: int, step: int | None) -> tuple[str, str, str]:
    """How the windows of a block of rows are read: instructions at the beginning of a part, and of each block %u, and the
    function that they call. Afterwards block %b of image %n is at %source."""
    image = f"""
  %n = sdiv i64 %u, %blocks
  %before_n = mul i64 %n, %blocks
  %b = sub i64 %u, %before_n
  %b_next = add i64 %b, 1
  %is_last = icmp eq i64 %b_next, %blocks
  %x_start = mul i64 %n, %x_image
  %image = getelementptr {t}, ptr %x, i64 %x_start"""
    if step is None:
        return "", f"{image}\n  %x_down = mul i64 %b, %x_block\n  %source = getelementptr {t}, ptr %image, i64 %x_down", ""
    begin = f"""
  %scratch_start = mul i64 %i, %scratch_size
  %source = getelementptr {t}, ptr %scratch, i64 %scratch_start
  %scratch_bytes = mul i64 %scratch_size, {item}
  call void @llvm.memset.p0.i64(ptr %source, i8 0, i64 %scratch_bytes, i1 false)"""
    return begin, f"""{image}
  %down = mul i64 %b, %top_step
  %first_row = add i64 %top, %down
  call void @copy(ptr %image, i64 %x_channel, i64 %x_row, i64 %height, i64 %first_row, i64 %row_step, i64 %channels,
                  i64 %phases, ptr %phase_table, i64 %rows, i64 %width, ptr %source)""", _copy(t, lanes, item, step)


def _copy(t: str, lanes: int, item: int, step: int) -> str:
    """Copy rows of all channels of an image. Windows that are `step` apart read columns that are `step` apart; each of these
    phases is a plane of its own, so that they lie side by side. `phase_table`: for each its first row, where in a row it
    begins, how many columns it has, and the first of them in the image. Rows outside the image are zeros."""
    vector, align = f"<{lanes} x {t}>", item
    scalars = loop("c", "%columns", f"""
  %c.far = mul i64 %c, {step}
  %c.at = getelementptr {t}, ptr %row_from, i64 %c.far
  %c.to = getelementptr {t}, ptr %row_to, i64 %c
  %c.value = load {t}, ptr %c.at
  store {t} %c.value, ptr %c.to""")
    every_second = ", ".join(f"i32 {2 * j if 2 * j < lanes else 2 * j + 1}" for j in range(lanes))
    values = f"""
  %values = load {vector}, ptr %place_from, align {align}""" if step == 1 else f"""
  %second_from = getelementptr {t}, ptr %place_from, i64 {lanes - 1}
  %first_half = load {vector}, ptr %place_from, align {align}
  %second_half = load {vector}, ptr %second_from, align {align}
  %values = shufflevector {vector} %first_half, {vector} %second_half, <{lanes} x i32> <{every_second}>"""
    vectors = loop("j", "%columns", f"""
  %late = icmp slt i64 %last_start, %j
  %place = select i1 %late, i64 %last_start, i64 %j
  %far = mul i64 %place, {step}
  %place_from = getelementptr {t}, ptr %row_from, i64 %far
  %place_to = getelementptr {t}, ptr %row_to, i64 %place
{values}
  store {vector} %values, ptr %place_to, align {align}""", step=lanes)
    if step <= 2:
        copied = f"""
  br i1 %wide, label %vectors, label %scalars
vectors:
{vectors}
  br label %done
scalars:
{scalars}
  br label %done"""
    else:
        copied = f"{scalars}\n  br label %done"
    row = f"""
  %y_down = mul i64 %q, %row_step
  %y = add i64 %y_down, %first
  %inside = icmp ult i64 %y, %height
  %row_start = mul i64 %q, %width
  %row_to = getelementptr {t}, ptr %to_here, i64 %row_start
  %x_down = mul i64 %y, %x_row
  %row_from = getelementptr {t}, ptr %from_here, i64 %x_down
  br i1 %inside, label %copy, label %clear
clear:
  call void @llvm.memset.p0.i64(ptr %row_to, i8 0, i64 %bytes, i1 false)
  br label %done
copy:
{copied}
done:"""
    entries = "".join(
        f"\n  %{name}_at = getelementptr i64, ptr %entry_at, i64 {j}\n  %{name} = load i64, ptr %{name}_at"
        for j, name in enumerate(("phase_row", "begin", "columns", "column"))
    )
    phase = f"""
  %f.place = mul i64 %f, 32
  %entry_at = getelementptr i8, ptr %phase_table, i64 %f.place
{entries}
  %first = add i64 %top, %phase_row
  %bytes = mul i64 %columns, {item}
  %last_start = sub i64 %columns, {lanes}
  %wide = icmp sge i64 %last_start, 0
  %plane_of_channel = mul i64 %channel, %phases
  %plane = add i64 %plane_of_channel, %f
  %plane_rows = mul i64 %plane, %rows
  %plane_start = mul i64 %plane_rows, %width
  %to_offset = add i64 %plane_start, %begin
  %to_here = getelementptr {t}, ptr %to, i64 %to_offset
  %from_here = getelementptr {t}, ptr %from_channel, i64 %column
{loop("q", "%rows", row)}"""
    channel = f"""
  %channel_start = mul i64 %channel, %x_channel
  %from_channel = getelementptr {t}, ptr %x, i64 %channel_start
{loop("f", "%phases", phase)}"""
    return f"""
define internal void @copy(ptr noalias %x, i64 %x_channel, i64 %x_row, i64 %height, i64 %top, i64 %row_step, i64 %channels,
                           i64 %phases, ptr noalias %phase_table, i64 %rows, i64 %width, ptr noalias %to) noinline {{
entry:
{loop("channel", "%channels", channel)}
  ret void
}}
"""
