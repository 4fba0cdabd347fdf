"""What compiled loops over the planes of a batch of images share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, available
from tinygrad_lite.arrays.kernels.windows import Windows
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.loops import SMALLEST
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.threads import get_num_threads
from tinygrad_lite.arrays.workers import share

_SHARED = 1 << 16  # elements; with fewer, one thread is as fast
_SHARE = 1 << 15  # the fewest elements worth a part
_PARTS = 4  # for each thread, so that one that begins late has less to do


def suits(x: np.ndarray) -> bool:
    """Whether a loop may run over x, and would be faster than NumPy."""
    return type(x) is np.ndarray and x.dtype in KINDS and x.size >= SMALLEST and available()


def with_dense_rows(x: np.ndarray) -> np.ndarray:
    """x, or a copy if the elements of its rows are not side by side."""
    return x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x)


def in_two_dims(w: Windows) -> Windows:
    """Windows of one dim as those of images with one row."""
    if len(w.size) == 2:
        return w
    return Windows(*((0 if name == "before" else 1, *sizes) for name, sizes in zip(w._fields, w)))


def columns_inside(w: Windows) -> tuple[int, int]:
    """The first window of a row that reaches into no padding, and the end of these windows."""
    size, kernel, stride, dilation, before, count = (sizes[-1] for sizes in w)
    low, high = -(-before // stride), (size - 1 - (kernel - 1) * dilation + before) // stride + 1
    return (low, min(high, count)) if low < min(high, count) else (count, count)


def share_planes(loop: Loop, work: int, sizes: Sequence[int], arrays: Sequence[np.ndarray], buffer: np.ndarray | None = None) -> None:
    """Call `loop(planes, *sizes, *addresses)` on arrays whose first dim is of planes, or is 1 for what all planes read; shared
    among threads if there is enough `work` (elements). Each part has a row of `buffer`, where there is one, of its own."""
    planes = max(map(len, arrays))
    each = -(-planes // parts_of(work))
    rows = [(start_of(a), a.strides[0] if len(a) == planes else 0, 0) for a in arrays]
    if buffer is not None:
        rows.append((start_of(buffer), 0, buffer.strides[0]))
    if each < planes:
        share(loop, planes, each, sizes, rows)
    else:
        loop(planes, *sizes, *(start for start, _, _ in rows))


def parts_of(work: int) -> int:
    """The number of parts into which work on so many elements is divided."""
    threads = get_num_threads()
    return 1 if work < _SHARED or threads < 2 else min(_PARTS * threads, work // _SHARE)


def in_pieces(v: str, start: str, length: str, piece: int, body: str, after: str) -> str:
    """The blocks of a loop over %<v>c from 0 to %<length>, entered at %<v>piece from %<start> and left for %<after>. It runs in
    pieces of a fixed number, the last of which may overlap the one before: rows of 14 elements are otherwise vectorized in part
    only, and take 5 times as long. The length is at least `piece`, and `body` only writes what does not depend on earlier
    writes."""
    return f"""
{v}piece:
  %{v}k = phi i64 [ 0, %{start} ], [ %{v}next_k, %{v}end_of_piece ]
  %{v}last = sub i64 {length}, {piece}
  %{v}early = icmp slt i64 %{v}k, %{v}last
  %{v}begin = select i1 %{v}early, i64 %{v}k, i64 %{v}last
  br label %{v}column
{v}column:
  %{v}i = phi i64 [ 0, %{v}piece ], [ %{v}next_i, %{v}column ]
  %{v}c = add nuw nsw i64 %{v}begin, %{v}i
{body}
  %{v}next_i = add nuw nsw i64 %{v}i, 1
  %{v}more_i = icmp slt i64 %{v}next_i, {piece}
  br i1 %{v}more_i, label %{v}column, label %{v}end_of_piece, !llvm.loop !0
{v}end_of_piece:
  %{v}next_k = add nuw nsw i64 %{v}k, {piece}
  %{v}more_k = icmp slt i64 %{v}next_k, {length}
  br i1 %{v}more_k, label %{v}piece, label %{after}"""


NO_UNROLLING = """!0 = distinct !{!0, !1}
!1 = !{!"llvm.loop.unroll.disable"}
"""


def piece_of(length: int) -> int:
    """The elements of a piece of a row."""
    return 1 << min(length.bit_length() - 1, 3)
