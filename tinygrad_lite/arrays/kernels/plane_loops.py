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
