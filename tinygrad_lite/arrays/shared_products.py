"""Large products of matrices: with a row added to the result, and with the rows shared among threads.

OpenBLAS has threads of its own, which sleep between products (see tuning.py) and have to be woken for each one. If loops can
be compiled, the threads that share them (workers.py) share products too: they are mostly awake, do not compete with a second
set of threads, and nobody waits for one that has no core.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from array import array
from typing import Any

import numpy as np

from tinygrad_lite.arrays import product_parts
from tinygrad_lite.arrays.blas import gemm_of
from tinygrad_lite.arrays.compiling import available, fields, load_part, vector_size
from tinygrad_lite.arrays.gpu import is_symbol, kernel
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.memory import empty_on_cache_lines, start_of
from tinygrad_lite.arrays.threads import get_num_threads, one_blas_thread
from tinygrad_lite.arrays.workers import in_parts

LARGE = 1 << 12  # elements of the left matrix, below which nobody need ask
_SMALLEST = 1 << 21  # multiplications; smaller products are left to NumPy
# Up to so many, our own loops are faster with vectors of 64 bytes (two cores of a Xeon, 2 GHz): 255 GFLOP/s instead of 222 for
# (1024, 384) @ (384, 128), 205 instead of 160 for (128, 784) @ (784, 512), but 180 instead of 220 for matrices of 1024 rows.
_TILED = 1 << 29
_ROWS = 32  # the fewest rows worth a thread


@kernel
def affine(x: Any, weight: Any, bias: Any, then: str = "") -> Any:
    """`x @ weight.T + bias` as one product that accumulates into the bias: (1024, 128) by (512, 128) in 0.87 ms, with a
    separate sum 0.97 ms. None if BLAS is not available or NumPy is as fast. `then`: see `shared_product`; without one, None
    too."""
    on_cpu = type(x) is type(weight) is np.ndarray or is_symbol(x)
    if not (on_cpu and x.dtype == weight.dtype == bias.dtype and x.ndim > 1 and weight.ndim == 2):
        return None
    if bias.shape != weight.shape[:1] or x.shape[-1] != weight.shape[1]:
        return None
    if x.size * len(weight) < 1 << 20 or not (x.flags.c_contiguous and weight.flags.c_contiguous):
        return None
    gemm = gemm_of(x.dtype)
    if gemm is None:
        return None
    n, inner = len(weight), x.shape[-1]
    rows = x.size // inner
    if is_symbol(x):
        out = x.reshape(rows, inner).dot(weight.T)
        out += bias
        return out.reshape(*x.shape[:-1], n)
    out = shared_product(x.reshape(rows, inner), weight.T, bias, then)
    if out is None and then:
        return None
    if out is None:
        out = np.empty((rows, n), x.dtype)
        out[...] = bias
        gemm(*_ROWS_BY_TRANSPOSED, rows, n, inner, 1, start_of(x), inner, start_of(weight), inner, 1, start_of(out), n)
    return out.reshape(*x.shape[:-1], n)


_ROWS_BY_TRANSPOSED = 101, 111, 112  # CblasRowMajor, CblasNoTrans, CblasTrans


def shared_product(
    x: np.ndarray, y: np.ndarray, bias: np.ndarray | None = None, then: str = "", other: np.ndarray | None = None
) -> np.ndarray | None:
    """`x @ y` of matrices of one dtype, plus a contiguous row `bias`. None where NumPy should do it.

    `then`: what each thread does to its part of the result while it is in its cache, "relu", or "masked": 0 wherever the
    contiguous matrix `other` is not positive (nan counts as positive).
    """
    dtype, threads = x.dtype, get_num_threads()
    (rows, inner), columns = x.shape, y.shape[1]
    longest = rows if rows >= columns else columns
    if rows * inner * columns < _SMALLEST or longest < _ROWS * threads or threads < 2 or y.shape[0] != inner:
        return None
    if dtype not in KINDS or y.dtype != dtype or not available():
        return None
    of_x, of_y = layout(x), layout(y)
    if of_x is None or of_y is None or gemm_of(dtype) is None:
        return None
    out = np.empty((rows, columns), dtype)
    if vector_size() == 64 and rows * inner * columns <= _TILED:
        tiled_product(x, y, out, bias, then, other, threads)
        return out
    each = -(-longest // (16 * threads)) * 16
    block = array("q", product_fields(longest, each, x, of_x, y, of_y, out, bias, rows < columns, other))
    with one_blas_thread():
        in_parts(product_part(dtype, then), block, -(-longest // each))
    return out


class _Scratch(threading.local):
    """Memory for copies of operands, which a thread uses again: new pages would take longer than the copies."""

    memory = np.empty(0, np.uint8)

    def of(self, size: int) -> int:
        """The address of at least `size` bytes, on a cache line."""
        if self.memory.size < size:
            self.memory = empty_on_cache_lines((size,), np.dtype(np.uint8))
        return start_of(self.memory)


_scratch = _Scratch()


def tiled_product(
    x: np.ndarray, y: np.ndarray, out: np.ndarray, bias: np.ndarray | None, then: str, other: np.ndarray | None, threads: int
) -> None:
    """Write `x @ y`, plus `bias`, to `out`, and do to it what `shared_product` does; see product_parts.py."""
    (rows, inner), columns = x.shape, y.shape[1]
    form, y_in_rows = product_parts.form_of(x), y.strides[1] == y.itemsize
    rows_each, columns_each = _divided(rows, columns, threads, product_parts.rows_of_a_tile(), product_parts.columns_of_a_strip(x.dtype))
    across = -(-columns // columns_each)
    count = -(-rows // rows_each) * across
    size = product_parts.scratch_size(x.dtype, form, rows_each, inner)
    block = array("q", [
        rows, rows_each, columns, columns_each, across, inner, product_parts.inner_of_a_panel(inner), start_of(x), *x.strides,
        start_of(y), *y.strides, start_of(out), out.strides[0], 0 if bias is None else start_of(bias), 0,
        0 if other is None else start_of(other), _scratch.of(size * count), size,
    ])  # fmt: skip
    in_parts(product_parts.tiled_part(x.dtype, form, y_in_rows, then), block, count)


def _divided(rows: int, columns: int, threads: int, height: int, width: int) -> tuple[int, int]:
    """The rows and columns of a part: whole tiles, for each thread one part of the longer side."""
    if rows >= columns:
        return -(-rows // (height * threads)) * height, columns
    return rows, -(-columns // (width * threads)) * width


def product_fields(
    count: Any, each: int, x: Any, of_x: tuple[int, int], y: Any, of_y: tuple[int, int], out: Any, bias: Any,
    by_columns: bool, mask: Any = None,
) -> list[Any]:
    """The arguments of `product_part`: parts have `each` of `count` rows of the result, or columns. BLAS copies all of the
    other operand for each part, so the longer side should be divided: (128, 784) @ (784, 512) takes 1.18 ms of a core's time
    in halves of its columns, 1.26 ms in halves of its rows."""
    rows, columns = out.shape
    item = out.itemsize
    first, of_first, second, of_second = (y, of_y, x, of_x) if by_columns else (x, of_x, y, of_y)
    return [
        count, each, _gemm_address(x.dtype), 102 if by_columns else 101, rows if by_columns else columns, x.shape[1],
        start_of(first), first.strides[int(by_columns)], *of_first, start_of(second), *of_second,
        start_of(out), item if by_columns else out.strides[0], columns, 0 if bias is None else start_of(bias), by_columns * item,
        0 if mask is None else start_of(mask),
    ]  # fmt: skip


@functools.cache
def _gemm_address(dtype: np.dtype) -> int | None:
    return ctypes.cast(gemm_of(dtype), ctypes.c_void_p).value


def layout(x: np.ndarray) -> tuple[int, int] | None:
    """Whether a matrix is transposed in memory, in CBLAS's terms, and the number of elements from a row (or column) to the
    next. None if BLAS cannot read it in place."""
    (rows, columns), (row, column), item = x.shape, x.strides, x.itemsize
    if column == item and row >= columns * item and not row % item:
        return 111, row // item
    if row == item and column >= rows * item and not column % item:
        return 112, column // item
    return None


# What happens to each element of a part: its value and the mask's, and the condition under which it stays.
_THEN = {"": "", "relu": "fcmp ugt {t} %value, 0.0", "masked": "fcmp ugt {t} %of_mask, 0.0"}


@functools.cache
def product_part(dtype: np.dtype, then: str = "") -> int:
    """The address of the function that computes a part of a product: it copies the bias into its part of the result, if there
    is one, and calls BLAS, with its result transposed (order 102) if the parts are columns. `then` comes last."""
    t, item = KINDS[dtype], dtype.itemsize
    names = "total each gemm order other inner x x_move x_order x_step y y_order y_step out out_move out_step bias bias_move mask"
    pointers = ("gemm", "x", "y", "out", "bias", "mask")
    kept = _THEN[then].format(t=t)
    load_mask = f"%of_mask = load {t}, ptr %mask_place" if then == "masked" else ""
    elements = f"""
elements:
  %width = select i1 %by_columns, i64 %count, i64 %other
  br label %line
line:
  %j = phi i64 [ 0, %elements ], [ %j_next, %line_end ]
  %line_offset = mul i64 %j, %out_row
  %line_out = getelementptr i8, ptr %out_here, i64 %line_offset
  %line_mask = getelementptr i8, ptr %mask_here, i64 %line_offset
  br label %element
element:
  %k = phi i64 [ 0, %line ], [ %k_next, %element ]
  %at = getelementptr {t}, ptr %line_out, i64 %k
  %mask_place = getelementptr {t}, ptr %line_mask, i64 %k
  %value = load {t}, ptr %at
  {load_mask}
  %stays = {kept}
  %stored = select i1 %stays, {t} %value, {t} 0.0
  store {t} %stored, ptr %at
  %k_next = add nuw nsw i64 %k, 1
  %k_more = icmp slt i64 %k_next, %width
  br i1 %k_more, label %element, label %line_end
line_end:
  %j_next = add nuw nsw i64 %j, 1
  %j_more = icmp slt i64 %j_next, %rows
  br i1 %j_more, label %line, label %end""" if kept else ""
    return load_part(f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names.split(), pointers)}
  %start = mul i64 %i, %each
  %rest = sub i64 %total, %start
  %last = icmp slt i64 %rest, %each
  %count = select i1 %last, i64 %rest, i64 %each
  %x_offset = mul i64 %start, %x_move
  %x_here = getelementptr i8, ptr %x, i64 %x_offset
  %out_offset = mul i64 %start, %out_move
  %out_here = getelementptr i8, ptr %out, i64 %out_offset
  %order_of_all = trunc i64 %order to i32
  %order_of_x = trunc i64 %x_order to i32
  %order_of_y = trunc i64 %y_order to i32
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %begin, label %end
begin:
  %by_columns = icmp eq i64 %order, 102
  %rows = select i1 %by_columns, i64 %other, i64 %count
  %columns = select i1 %by_columns, i64 %count, i64 %other
  %bytes = mul i64 %columns, {item}
  %out_row = mul i64 %out_step, {item}
  %bias_offset = mul i64 %start, %bias_move
  %bias_here = getelementptr i8, ptr %bias, i64 %bias_offset
  %mask_here = getelementptr i8, ptr %mask, i64 %out_offset
  %alone = icmp eq ptr %bias, null
  br i1 %alone, label %multiply, label %row
row:
  %r = phi i64 [ 0, %begin ], [ %next, %row ]
  %offset = mul i64 %r, %out_row
  %to = getelementptr i8, ptr %out_here, i64 %offset
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %bias_here, i64 %bytes, i1 false)
  %next = add i64 %r, 1
  %more = icmp slt i64 %next, %rows
  br i1 %more, label %row, label %multiply
multiply:
  %beta = phi {t} [ 0.0, %begin ], [ 1.0, %row ]
  call void %gemm(i32 %order_of_all, i32 %order_of_x, i32 %order_of_y, i64 %count, i64 %other, i64 %inner, {t} 1.0,
                  ptr %x_here, i64 %x_step, ptr %y, i64 %y_step, {t} %beta, ptr %out_here, i64 %out_step)
  br label %{"elements" if kept else "end"}{elements}
end:
  ret void
}}
""")
