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
from tinygrad_lite.arrays.tiles import pack_function, product_function, width_of
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
    source = ("address", "rows", "matrix_step", "row_step", "column_step")
    return load_part(f"""{pack_function(dtype)}
define void @part(i64 %i, ptr %args) {{
entry:
{fields(("columns", "panels", "memory", "bytes", "count"), ("memory",))}
  %matrix = sdiv i64 %i, %panels
  %panel = srem i64 %i, %panels
  %first = mul i64 %panel, {width}
  %rest = sub i64 %columns, %first
  %used = call i64 @llvm.smin.i64(i64 %rest, i64 {width})
  %offset = mul i64 %i, %bytes
  %start = getelementptr i8, ptr %memory, i64 %offset
  br label %source
source:
  %s = phi i64 [ 0, %entry ], [ %next_s, %source ]
  %to = phi ptr [ %start, %entry ], [ %to_next, %source ]
  %place = mul i64 %s, {len(source)}
  %after_first = add i64 %place, 5
  %of_source = getelementptr i64, ptr %args, i64 %after_first
{fields(source, ("address",), "%of_source")}
  %to_matrix = mul i64 %matrix, %matrix_step
  %to_column = mul i64 %first, %column_step
  %of_matrix = getelementptr i8, ptr %address, i64 %to_matrix
  %from = getelementptr i8, ptr %of_matrix, i64 %to_column
  call void @pack(i64 %rows, i64 %used, ptr %from, i64 %row_step, i64 %column_step, {t} 1.0, ptr %to)
  %to_bytes = mul i64 %rows, {width * item}
  %to_next = getelementptr i8, ptr %to, i64 %to_bytes
  %next_s = add i64 %s, 1
  %more_s = icmp slt i64 %next_s, %count
  br i1 %more_s, label %source, label %end
end:
  ret void
}}
""")
