"""Products with a matrix that is packed in panels: many products with few rows and the same matrix, as in recurrent layers.

BLAS copies its right operand into an order of its own at each call, which takes as long as the multiplication itself if the
left operand has few rows. Here that is done once. A panel is a strip of columns, two vectors of the processor wide, whose rows
follow one another. A tile of the result, up to 6 rows of a panel, stays in registers during all multiplications:

    for each panel:
        for each tile of rows:
            for k in range(inner):
                tile += x[rows, k, None] * panel[k]

(16, 193) @ (193, 512) takes 35 us on a core, with OpenBLAS 46 to 60 us; a single row 7 us with either.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Sequence
from itertools import product

import numpy as np

from tinygrad_lite.arrays.compiling import fields, load_part, vector_size
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.workers import in_parts

_ROWS = 6  # of a tile: with two vectors a row, 12 of 16 registers hold sums
_CHAINS = {1: 4, 2: 2, 3: 2}  # sums of their own in tiles with few rows, since an addition waits for the one before it


class Panels:
    """Matrices of one shape, (inner, columns), packed: `memory` is (matrices, panels, inner, width). Columns beyond the last
    are 0."""

    def __init__(self, count: int, inner: int, columns: int, dtype: np.dtype):
        self.inner, self.columns, self.dtype = inner, columns, dtype
        width = width_of(dtype)
        shape = (count, -(-columns // width), inner, width)
        line = 64 // dtype.itemsize
        memory = np.empty(count * shape[1] * inner * width + line, dtype)
        first = -start_of(memory) % 64 // dtype.itemsize
        self.memory = memory[first : first + memory.size - line].reshape(shape)
        self.start, self.bytes = start_of(self.memory), shape[1] * inner * width * dtype.itemsize  # its address; of a matrix

    def __len__(self) -> int:
        return len(self.memory)


def width_of(dtype: np.dtype) -> int:
    """The columns of a panel."""
    return 2 * vector_size() // dtype.itemsize


def packed(*sources: np.ndarray) -> Panels:
    """Pack arrays of one dtype, (matrices, rows, columns) with any strides, one below the other."""
    count, _, columns = sources[0].shape
    dtype = sources[0].dtype
    panels = Panels(count, sum(source.shape[1] for source in sources), columns, dtype)
    memory = panels.memory
    block = array("q", [columns, memory.shape[1], panels.start, panels.inner * memory.shape[3] * dtype.itemsize, len(sources)])
    for source in sources:
        matrix, row, column = source.strides
        block.extend([start_of(source), source.shape[1], matrix, row, column])
    in_parts(_pack_part(dtype), block, count * memory.shape[1])
    return panels


def product_fields(rows: int, each: int, x: np.ndarray, panels: Panels, which: int, out: np.ndarray) -> list[int]:
    """The arguments of `product_part` for `out = x @ panels[which]`, in parts of `each` of the `rows`. Columns of `out` are
    contiguous. The addresses of x and out stand at places 4 and 8."""
    return [
        rows, each, panels.inner, panels.columns, start_of(x), *x.strides,
        panels.start + which * panels.bytes, start_of(out), out.strides[0],
    ]  # fmt: skip


def multiply(x: np.ndarray, panels: Panels, which: int, out: np.ndarray, each: int, add: bool = False) -> None:
    """`out = x @ panels[which]`, or add to `out`; threads share parts of `each` rows."""
    rows = len(x)
    in_parts(product_part(x.dtype, add), array("q", product_fields(rows, each, x, panels, which, out)), -(-rows // each))


# -- in LLVM IR -----------------------------------------------------------------------------------


@functools.cache
def product_part(dtype: np.dtype, add: bool = False) -> int:
    """The address of the function that computes the rows of a part of a product, or adds them to the result (`add`)."""
    names = ("total", "each", "inner", "columns", "x", "x_row", "x_column", "panels", "out", "out_row")
    t, item, width = KINDS[dtype], dtype.itemsize, width_of(dtype)
    given = "ptr %x_here, i64 %x_row, i64 %x_column, i64 %inner, ptr %panel, ptr %out_here, i64 %out_row, i64 %left"
    cases = " ".join(f"i64 {n}, label %rows{n}" for n in range(1, _ROWS))
    calls = "\n".join(f"rows{n}:\n  call void @tile{n}({given})\n  br label %after" for n in range(1, _ROWS + 1))
    return load_part(f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
{"".join(_tile(n, t, item, width, add) for n in range(1, _ROWS + 1))}
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names, ("x", "panels", "out"))}
  %start = mul i64 %i, %each
  %rest = sub i64 %total, %start
  %last = icmp slt i64 %rest, %each
  %count = select i1 %last, i64 %rest, i64 %each
  %more_tiles = add i64 %count, {_ROWS - 1}
  %tiles = sdiv i64 %more_tiles, {_ROWS}
  %x_offset = mul i64 %start, %x_row
  %x_start = getelementptr i8, ptr %x, i64 %x_offset
  %out_offset = mul i64 %start, %out_row
  %out_start = getelementptr i8, ptr %out, i64 %out_offset
  %panel_bytes = mul i64 %inner, {width * item}
  %some_rows = icmp sgt i64 %count, 0
  %some_columns = icmp sgt i64 %columns, 0
  %some = and i1 %some_rows, %some_columns
  br i1 %some, label %strip, label %end
strip:
  %left = phi i64 [ %columns, %entry ], [ %next_left, %next_strip ]
  %panel = phi ptr [ %panels, %entry ], [ %next_panel, %next_strip ]
  %out_strip = phi ptr [ %out_start, %entry ], [ %next_out_strip, %next_strip ]
  br label %tile
tile:
  %rest_rows = phi i64 [ %count, %strip ], [ %next_rest, %after ]
  %rest_tiles = phi i64 [ %tiles, %strip ], [ %next_tiles, %after ]
  %x_here = phi ptr [ %x_start, %strip ], [ %next_x, %after ]
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
attributes #0 = {{ noinline "prefer-vector-width"="{8 * vector_size()}" "min-legal-vector-width"="{8 * vector_size()}" }}
""")


def _tile(rows: int, t: str, item: int, width: int, add: bool) -> str:
    """The function `tile<rows>`: a tile of the result."""
    v, chains = f"<{width // 2} x {t}>", _CHAINS.get(rows, 1)
    sums = list(product(range(rows), range(2)))
    zeros = {f"{c}_{r}_{j}": "zeroinitializer" for c in range(chains) for r, j in sums}
    lines = ["entry:", *(f"  %along{r} = mul i64 %x_row, {r}\n  %x{r} = getelementptr i8, ptr %x, i64 %along{r}" for r in range(rows))]
    lines += _multiplications("main", "entry", chains, zeros, sums, v, t, ("0", "0"))
    for r, j in sums:  # the chains' sums
        for c in range(1, chains):
            first = f"%main{0}_{r}_{j}" if c == 1 else f"%joined{c - 1}_{r}_{j}"
            lines.append(f"  %joined{c}_{r}_{j} = fadd {v} {first}, %main{c}_{r}_{j}")
    found, last = "main0", "main_end"
    if chains > 1:
        starts = {f"0_{r}_{j}": f"%joined{chains - 1}_{r}_{j}" for r, j in sums}
        lines += _multiplications("rest", last, 1, starts, sums, v, t, ("%main_k", "%main_at"))
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
    name: str, before: str, chains: int, starts: dict[str, str], sums: Sequence[tuple[int, int]], v: str, t: str, begin: tuple[str, str]
) -> list[str]:
    """The loop along the inner dimension, `chains` steps at a time; its sums %<name><chain>_<row>_<vector> begin with `starts`."""
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
                lines.append(f"  {value}_put = insertelement {v} poison, {t} {value}_one, i64 0")
                lines.append(f"  {value} = shufflevector {v} {value}_put, {v} poison, <{v[1:].split()[0]} x i32> zeroinitializer")
            term = f"%{name}_term{c}_{r}_{j}"
            lines.append(f"  {term} = fmul contract {v} {value}, %{name}_panel{c}_{j}")
            lines.append(f"  %{name}_next{c}_{r}_{j} = fadd contract {v} %{name}{c}_{r}_{j}, {term}")
        following = f"%{name}_next_at" if c == chains - 1 else f"%{name}_at{c + 1}"
        lines.append(f"  {following} = add i64 {here}, %x_column")
        here = following
    return [*lines, f"  br label %{name}", f"{name}_end:"]


@functools.cache
def _pack_part(dtype: np.dtype) -> int:
    """The address of the function that fills a panel: args are the number of columns, of panels of a matrix, the address of the
    panels, the bytes of each, and the number of sources; for each source its address, its rows, and its strides."""
    t, item, width = KINDS[dtype], dtype.itemsize, width_of(dtype)
    gathered = "\n".join(
        f"  %along{j} = mul i64 %column_step, {j}\n  %from{j} = getelementptr i8, ptr %from_row, i64 %along{j}\n"
        f"  %value{j} = load {t}, ptr %from{j}\n"
        f"  %to{j} = getelementptr {t}, ptr %to_row, i64 {j}\n  store {t} %value{j}, ptr %to{j}"
        for j in range(width)
    )
    return load_part(f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define void @part(i64 %i, ptr %args) {{
entry:
{fields(["columns", "panels", "memory", "bytes", "count"], ("memory",))}
  %matrix = sdiv i64 %i, %panels
  %panel = srem i64 %i, %panels
  %first = mul i64 %panel, {width}
  %rest = sub i64 %columns, %first
  %whole = icmp sge i64 %rest, {width}
  %offset = mul i64 %i, %bytes
  %start = getelementptr i8, ptr %memory, i64 %offset
  br label %source
source:
  %s = phi i64 [ 0, %entry ], [ %next_s, %after ]
  %to = phi ptr [ %start, %entry ], [ %to_next, %after ]
  %at = mul i64 %s, 5
  %at0 = add i64 %at, 5
  %at1 = add i64 %at, 6
  %at2 = add i64 %at, 7
  %at3 = add i64 %at, 8
  %at4 = add i64 %at, 9
  %address_at = getelementptr i64, ptr %args, i64 %at0
  %address = load ptr, ptr %address_at
  %rows_at = getelementptr i64, ptr %args, i64 %at1
  %rows = load i64, ptr %rows_at
  %matrix_step_at = getelementptr i64, ptr %args, i64 %at2
  %matrix_step = load i64, ptr %matrix_step_at
  %row_step_at = getelementptr i64, ptr %args, i64 %at3
  %row_step = load i64, ptr %row_step_at
  %column_step_at = getelementptr i64, ptr %args, i64 %at4
  %column_step = load i64, ptr %column_step_at
  %to_matrix = mul i64 %matrix, %matrix_step
  %to_column = mul i64 %first, %column_step
  %of_matrix = getelementptr i8, ptr %address, i64 %to_matrix
  %from = getelementptr i8, ptr %of_matrix, i64 %to_column
  %some = icmp sgt i64 %rows, 0
  br i1 %some, label %row, label %after
row:
  %r = phi i64 [ 0, %source ], [ %next_r, %row_end ]
  %along = mul i64 %r, %row_step
  %from_row = getelementptr i8, ptr %from, i64 %along
  %to_along = mul i64 %r, {width * item}
  %to_row = getelementptr i8, ptr %to, i64 %to_along
  br i1 %whole, label %whole_row, label %part_row
whole_row:
  %dense = icmp eq i64 %column_step, {item}
  br i1 %dense, label %copy, label %gather
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %to_row, ptr %from_row, i64 {width * item}, i1 false)
  br label %row_end
gather:
{gathered}
  br label %row_end
part_row:
  call void @llvm.memset.p0.i64(ptr %to_row, i8 0, i64 {width * item}, i1 false)
  br label %each
each:
  %j = phi i64 [ 0, %part_row ], [ %next_j, %each ]
  %across = mul i64 %j, %column_step
  %value_at = getelementptr i8, ptr %from_row, i64 %across
  %value = load {t}, ptr %value_at
  %place = getelementptr {t}, ptr %to_row, i64 %j
  store {t} %value, ptr %place
  %next_j = add i64 %j, 1
  %more_j = icmp slt i64 %next_j, %rest
  br i1 %more_j, label %each, label %row_end
row_end:
  %next_r = add i64 %r, 1
  %more_r = icmp slt i64 %next_r, %rows
  br i1 %more_r, label %row, label %after
after:
  %to_bytes = mul i64 %rows, {width * item}
  %to_next = getelementptr i8, ptr %to, i64 %to_bytes
  %next_s = add i64 %s, 1
  %more_s = icmp slt i64 %next_s, %count
  br i1 %more_s, label %source, label %end
end:
  ret void
}}
""")
