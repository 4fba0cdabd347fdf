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
from tinygrad_lite.arrays.workers import PARTS, share

_SHARED = 1 << 16  # elements; with fewer, one thread is as fast
_SHARE = 1 << 15  # the fewest elements worth a part


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
    return 1 if work < _SHARED or threads < 2 else min(PARTS * threads, work // _SHARE)


def over_planes_and_rows(rows: str, of_plane: str, of_row: str) -> str:
    """A loop over %p from 0 to %planes, and in it one over %r from 0 to `rows`, from the block %entry on to the end of the
    function. `of_row` ends by going to %end_of_row."""
    return f"""  br label %plane
plane:
  %p = phi i64 [ 0, %entry ], [ %next_p, %end_of_plane ]
{of_plane}
  br label %row
row:
  %r = phi i64 [ 0, %plane ], [ %next_r, %end_of_row ]
{of_row}
end_of_row:
  %next_r = add nuw nsw i64 %r, 1
  %more_r = icmp slt i64 %next_r, {rows}
  br i1 %more_r, label %row, label %end_of_plane
end_of_plane:
  %next_p = add nuw nsw i64 %p, 1
  %more_p = icmp slt i64 %next_p, %planes
  br i1 %more_p, label %plane, label %end
end:
  ret void"""


def in_pieces(v: str, start: str, length: str, piece: int, body: str, after: str, first: str = "0") -> str:
    """The blocks of a loop over %<v>c from `first` to `length`, entered at %<v>piece from %<start> and left for %<after>. It runs
    in pieces of a fixed number, the last of which may overlap the one before: rows of 14 elements are otherwise vectorized in
    part only, and take 5 times as long. There are at least `piece` elements, and `body` only writes what does not depend on
    earlier writes."""
    return f"""
{v}piece:
  %{v}k = phi i64 [ {first}, %{start} ], [ %{v}next_k, %{v}end_of_piece ]
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
