"""Products of small matrices in LLVM IR, for kernels that need many of them inside one compiled function.

A product is computed in tiles of the result, whose elements stay in registers: 6 rows by 2 vectors on a processor with 16
vector registers. For each k, a tile reads two vectors from row k of the right matrix, and multiplies them by one number from
each of its rows of the left matrix:

    out[r, :] += x[r, k] * y[k, :]        r = 0, ..., 5

The right matrix is packed into panels as wide as a tile, in which its rows follow each other.
"""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_lite.arrays.compiling import vector_size
from tinygrad_lite.arrays.loop_functions import KINDS

_VECTORS = 2  # of a row of a tile


@functools.cache
def _tile_size(dtype: np.dtype) -> tuple[int, int]:
    """The rows of a tile, and the elements of a vector."""
    size = vector_size()  # processors with 64 bytes have 32 registers
    return 12 if size == 64 else 6, size // dtype.itemsize


def vector_width(dtype: np.dtype) -> int:
    return _tile_size(dtype)[1]


def panel_width(dtype: np.dtype) -> int:
    return _VECTORS * _tile_size(dtype)[1]


def packed_size(inner: int, columns: int, dtype: np.dtype) -> int:
    """The number of elements of a packed matrix (inner, columns)."""
    width = panel_width(dtype)
    return -(-columns // width) * width * inner


def product_functions(dtype: np.dtype) -> str:
    """Two functions in LLVM IR. Steps are in bytes.

    pack(inner, columns, y, y_row, y_column, out) packs y (inner, columns) into panels; zeros fill the last one up.

    product(rows, columns, inner, x, x_row, x_column, panels, out, out_row, factor) makes out = x @ y * factor for x (rows,
    inner). The elements of a row of `out` lie side by side.
    """
    t, (most, lanes) = KINDS[dtype], _tile_size(dtype)
    vector = f"<{lanes} x {t}>"
    declared = f"""
declare {vector} @llvm.fma.v{lanes}{"f32" if t == "float" else "f64"}({vector}, {vector}, {vector})
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)
"""
    return "\n".join([declared, *(_tile(rows, dtype) for rows in range(1, most + 1)), _product(dtype), _pack(dtype)])


def _tile(rows: int, dtype: np.dtype) -> str:
    """`rows` rows of a product, over the `columns` of a panel that belong to the result."""
    t, lanes = KINDS[dtype], _tile_size(dtype)[1]
    vector, fma = f"<{lanes} x {t}>", f"llvm.fma.v{lanes}{'f32' if t == 'float' else 'f64'}"
    spread = f"{vector} poison, <{lanes} x i32> zeroinitializer"
    parts = [(r, v) for r in range(rows) for v in range(_VECTORS)]
    lines = [
        "entry:",
        f"  %aside = alloca [{rows * _VECTORS} x {vector}], align 64",
        *(f"  %x{r}_move = mul i64 %x_row, {r}\n  %x{r} = getelementptr i8, ptr %x, i64 %x{r}_move" for r in range(rows)),
        *(f"  %out{r}_move = mul i64 %out_row, {r}\n  %out{r} = getelementptr i8, ptr %out, i64 %out{r}_move" for r in range(rows)),
        "  %some = icmp sgt i64 %inner, 0",
        "  br i1 %some, label %each, label %multiply",
        "each:",
        "  %k = phi i64 [ 0, %entry ], [ %k_next, %each ]",
        "  %x_here = phi i64 [ 0, %entry ], [ %x_next, %each ]",
        *(f"  %sum{r}_{v} = phi {vector} [ zeroinitializer, %entry ], [ %more{r}_{v}, %each ]" for r, v in parts),
        f"  %y_here = getelementptr [{_VECTORS} x {vector}], ptr %y, i64 %k",
    ]
    for v in range(_VECTORS):
        lines += [
            f"  %y{v}_at = getelementptr {vector}, ptr %y_here, i64 {v}",
            f"  %y{v} = load {vector}, ptr %y{v}_at, align {dtype.itemsize}",
        ]
    for r in range(rows):
        lines += [
            f"  %x{r}_at = getelementptr i8, ptr %x{r}, i64 %x_here",
            f"  %number{r} = load {t}, ptr %x{r}_at",
            f"  %lane{r} = insertelement {vector} poison, {t} %number{r}, i64 0",
            f"  %lanes{r} = shufflevector {vector} %lane{r}, {spread}",
            *(f"  %more{r}_{v} = call {vector} @{fma}({vector} %lanes{r}, {vector} %y{v}, {vector} %sum{r}_{v})" for v in range(_VECTORS)),
        ]
    lines += [
        "  %x_next = add i64 %x_here, %x_column",
        "  %k_next = add i64 %k, 1",
        "  %again = icmp slt i64 %k_next, %inner",
        "  br i1 %again, label %each, label %multiply",
        "multiply:",
        *(f"  %total{r}_{v} = phi {vector} [ zeroinitializer, %entry ], [ %more{r}_{v}, %each ]" for r, v in parts),
        f"  %factor_lane = insertelement {vector} poison, {t} %factor, i64 0",
        f"  %factors = shufflevector {vector} %factor_lane, {spread}",
        *(f"  %value{r}_{v} = fmul {vector} %total{r}_{v}, %factors" for r, v in parts),
        f"  %full = icmp sge i64 %columns, {_VECTORS * lanes}",
        "  br i1 %full, label %store, label %put_aside",
        "store:",
    ]
    for r, v in parts:
        lines += [
            f"  %at{r}_{v} = getelementptr {vector}, ptr %out{r}, i64 {v}",
            f"  store {vector} %value{r}_{v}, ptr %at{r}_{v}, align {dtype.itemsize}",
        ]
    lines += ["  ret void", "put_aside:"]
    for i, (r, v) in enumerate(parts):
        lines += [
            f"  %aside{r}_{v} = getelementptr {vector}, ptr %aside, i64 {i}",
            f"  store {vector} %value{r}_{v}, ptr %aside{r}_{v}",
        ]
    lines += [f"  %bytes = mul i64 %columns, {dtype.itemsize}"]
    for r in range(rows):
        lines += [f"  call void @llvm.memcpy.p0.p0.i64(ptr %out{r}, ptr %aside{r}_0, i64 %bytes, i1 false)"]
    body = "\n".join([*lines, "  ret void"])
    return f"define internal void @tile{rows}({_TILE.format(t=t)}) noinline {{\n{body}\n}}\n"


_TILE = "i64 %columns, i64 %inner, ptr %x, i64 %x_row, i64 %x_column, ptr %y, ptr %out, i64 %out_row, {t} %factor"


def _product(dtype: np.dtype) -> str:
    t, most, width = KINDS[dtype], _tile_size(dtype)[0], panel_width(dtype)
    given = f"i64 %left, i64 %inner, ptr %x_here, i64 %x_row, i64 %x_column, ptr %panel, ptr %out_here, i64 %out_row, {t} %factor"
    cases = "\n".join(f"    i64 {rows}, label %tile{rows}" for rows in range(1, most))
    tiles = "\n".join(f"tile{rows}:\n  call void @tile{rows}({given})\n  br label %after" for rows in range(1, most + 1))
    parameters = f"i64 %rows, i64 %columns, i64 %inner, ptr %x, i64 %x_row, i64 %x_column, ptr %y, ptr %out, i64 %out_row, {t} %factor"
    return f"""
define internal void @product({parameters}) noinline {{
entry:
  %panel_bytes = mul i64 %inner, {width * dtype.itemsize}
  %some_rows = icmp sgt i64 %rows, 0
  %some_columns = icmp sgt i64 %columns, 0
  %some = and i1 %some_rows, %some_columns
  br i1 %some, label %column, label %end
column:
  %c = phi i64 [ 0, %entry ], [ %c_next, %column_end ]
  %panel = phi ptr [ %y, %entry ], [ %panel_next, %column_end ]
  %left = sub i64 %columns, %c
  %out_column = getelementptr {t}, ptr %out, i64 %c
  br label %row
row:
  %r = phi i64 [ 0, %column ], [ %r_next, %after ]
  %rest = sub i64 %rows, %r
  %x_move = mul i64 %r, %x_row
  %x_here = getelementptr i8, ptr %x, i64 %x_move
  %out_move = mul i64 %r, %out_row
  %out_here = getelementptr i8, ptr %out_column, i64 %out_move
  switch i64 %rest, label %tile{most} [
{cases}
  ]
{tiles}
after:
  %r_next = add i64 %r, {most}
  %more_rows = icmp slt i64 %r_next, %rows
  br i1 %more_rows, label %row, label %column_end
column_end:
  %c_next = add i64 %c, {width}
  %panel_next = getelementptr i8, ptr %panel, i64 %panel_bytes
  %more_columns = icmp slt i64 %c_next, %columns
  br i1 %more_columns, label %column, label %end
end:
  ret void
}}
"""


def _pack(dtype: np.dtype) -> str:
    t, width = KINDS[dtype], panel_width(dtype)
    return f"""
define internal void @pack(i64 %inner, i64 %columns, ptr %y, i64 %y_row, i64 %y_column, ptr %out) noinline {{
entry:
  %some_rows = icmp sgt i64 %inner, 0
  %some_columns = icmp sgt i64 %columns, 0
  %some = and i1 %some_rows, %some_columns
  %dense = icmp eq i64 %y_column, {dtype.itemsize}
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
  %whole_rows = and i1 %full, %dense
  br i1 %whole_rows, label %row, label %column
row:
  %k = phi i64 [ 0, %panel ], [ %k_next, %row ]
  %row_move = mul i64 %k, %y_row
  %row_from = getelementptr i8, ptr %from, i64 %row_move
  %row_to = getelementptr [{width} x {t}], ptr %to, i64 %k
  call void @llvm.memcpy.p0.p0.i64(ptr %row_to, ptr %row_from, i64 {width * dtype.itemsize}, i1 false)
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
  store {t} %value, ptr %element_to
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
