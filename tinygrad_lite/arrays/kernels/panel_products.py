"""Products with a matrix that is packed in panels: many products with few rows and the same matrix, as in recurrent layers.

BLAS copies its right operand into an order of its own at each call, which takes as long as the multiplication itself if the
left operand has few rows. Here that is done once; see tiles.py.

(16, 193) @ (193, 512) takes 35 us on a core, with OpenBLAS 46 to 60 us; a single row 7 us with either.
"""

from __future__ import annotations

import functools
from array import array

import numpy as np

from tinygrad_lite.arrays.compiling import fields, load_part
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.memory import empty_on_cache_lines, start_of
from tinygrad_lite.arrays.tiles import product_function, width_of
from tinygrad_lite.arrays.workers import in_parts


class Panels:
    """Matrices of one shape, (inner, columns), packed: `memory` is (matrices, panels, inner, width). Columns beyond the last
    are 0."""

    def __init__(self, count: int, inner: int, columns: int, dtype: np.dtype):
        self.inner, self.columns, self.dtype = inner, columns, dtype
        width = width_of(dtype)
        shape = (count, -(-columns // width), inner, width)
        self.memory = empty_on_cache_lines(shape, dtype)
        self.start, self.bytes = start_of(self.memory), shape[1] * inner * width * dtype.itemsize  # its address; of a matrix

    def __len__(self) -> int:
        return len(self.memory)


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
    return load_part(f"""{product_function(dtype, add)}
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names, ("x", "panels", "out"))}
  %start = mul i64 %i, %each
  %rest = sub i64 %total, %start
  %last = icmp slt i64 %rest, %each
  %count = select i1 %last, i64 %rest, i64 %each
  %x_offset = mul i64 %start, %x_row
  %x_start = getelementptr i8, ptr %x, i64 %x_offset
  %out_offset = mul i64 %start, %out_row
  %out_start = getelementptr i8, ptr %out, i64 %out_offset
  call void @product(i64 %count, i64 %columns, i64 %inner, ptr %x_start, i64 %x_row, i64 %x_column, ptr %panels, ptr %out_start,
                     i64 %out_row)
  ret void
}}
""")


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
