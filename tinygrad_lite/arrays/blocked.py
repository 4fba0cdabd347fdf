"""Elementwise operations block by block, so that intermediate values stay in the cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, available
from tinygrad_lite.arrays.devices import Array, namespace_of
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.loops import SMALLEST, starts_of
from tinygrad_lite.arrays.memory import empty_like
from tinygrad_lite.arrays.threads import get_num_threads, in_threads

# Half a MiB of float32: a few such buffers fit into the caches, and threads seldom wait for the
# interpreter between blocks. A step of a small convolutional network takes 13 ms, with blocks of half
# the size 15 ms, of an eighth 21 ms.
BLOCK = 1 << 17


def by_blocks(kernel: Callable[..., Any], *arrays: Array, block: int = BLOCK, threads: bool = True) -> list[Any]:
    """Call `kernel(*parts)` on corresponding blocks of rows of `arrays`, and return the list of results. Threads share
    large work. CuPy arrays stay whole."""
    size, rows = arrays[0].size, arrays[0].shape[0]
    if size <= block or type(arrays[0]) is not np.ndarray:
        return [kernel(*arrays)]
    step = max(1, block * rows // size)
    starts = range(0, rows, step)

    def run(starts: range) -> list[Any]:
        return [kernel(*[a[i : i + step] for a in arrays]) for i in starts]

    workers = min(get_num_threads(), size // block) if threads else 1
    if workers < 2:
        return run(starts)
    share = -(-len(starts) // workers)
    shares = in_threads([functools.partial(run, starts[i : i + share]) for i in range(0, len(starts), share)])
    return [result for results in shares for result in results]


def elementwise(kernel: Callable[..., Any], *arrays: Array) -> None:
    """Call `kernel(*arrays)`, which writes to some of them elementwise: block by block if the arrays are dense and have the
    same layout; on a GPU as one kernel (a function with an argument `xp` takes its functions from there)."""
    first = arrays[0]
    if as_one_loop(kernel, arrays) is not None:
        return
    if first.size > BLOCK and _alike(arrays):
        flat = [a.ravel(order="K") for a in arrays]
        if np.may_share_memory(flat[0], first):
            by_blocks(kernel, *flat)
            return
    if namespace_of(first) is np:  # also a NumPy scalar, which a 0-d gradient may be
        kernel(*arrays)
    else:
        from tinygrad_lite.arrays.fusion import fused  # 0.3 ms, which only a GPU's arrays need

        fused(kernel, arrays)


def as_one_loop(kernel: Callable[..., Any], arrays: Sequence[Array]) -> dict[str, Array] | None:
    """Call `kernel(*arrays)` as one compiled loop; returns the new arrays by name. None if that is not possible; then nothing
    has changed. The first array is of a floating-point dtype; others may be conditions."""
    first = arrays[0]
    if first.size < SMALLEST or not available() or not _alike(arrays):
        return None
    if not (first.flags.forc or np.may_share_memory(first.ravel(order="K"), first)) or (starts := starts_of(arrays)) is None:
        return None
    from tinygrad_lite.arrays.fusion import compiled

    return compiled(kernel, arrays, starts)


def traced_for_parts(kernel: Callable[..., None], arrays: Sequence[Array]) -> tuple[Loop, list[float]] | None:
    """The compiled form of `kernel` for calls on parts of `arrays`, as at each step of a sequence, and the numbers it takes. The
    arrays are contiguous, do not overlap, and may differ in shape. None if the kernel cannot be compiled."""
    dtype = arrays[0].dtype
    if not available() or dtype not in KINDS:
        return None
    if any(type(a) is not np.ndarray or a.dtype != dtype or not a.flags.c_contiguous for a in arrays):
        return None
    return _traced_once(kernel, len(arrays), dtype)


@functools.lru_cache(maxsize=64)
def _traced_once(kernel: Callable[..., None], count: int, dtype: np.dtype) -> tuple[Loop, list[float]] | None:
    from tinygrad_lite.arrays.fusion import traced

    found = traced(kernel, [np.empty(1, dtype) for _ in range(count)])
    return None if found is None else found[:2]


def _alike(arrays: Sequence[Array]) -> bool:
    first = arrays[0]
    shape, strides, item = first.shape, first.strides, first.itemsize
    for a in arrays:
        if type(a) is not np.ndarray or a.shape != shape:
            return False
        if a.strides != strides and tuple([step * item // a.itemsize for step in a.strides]) != strides:
            return False
    return True


def mapped(kernel: Callable[[Array, Array], Any], x: Array) -> Array:
    """A new array like `x`, filled elementwise by `kernel(x, out)`."""
    out = empty_like(x)
    elementwise(kernel, x, out)
    return out
