"""Sliding windows over the spatial dims of a batch (images, channels, *spatial).

In each dim, tap `t` of window `o` is element `o * stride + t * dilation - before`; elements outside are padding.
Convolutions multiply windows by weights, pools reduce them.
"""

from __future__ import annotations

import functools
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays.devices import Array, kept, namespace_of
from tinygrad_lite.arrays.memory import strided

Sizes = tuple[int, ...]


class Windows(NamedTuple):
    """The geometry of windows. For each spatial dim: its size, the taps per window, the step between windows and between
    taps, the padding before, and the number of windows."""

    size: Sizes
    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    before: Sizes
    count: Sizes  # type: ignore[assignment]

    @property
    def start(self) -> Sizes:
        """The first tap of the first window."""
        return tuple(-b for b in self.before)

    @property
    def extent(self) -> Sizes:
        """The distance from the first tap of the first window to the end of the last tap of the last."""
        return tuple((n - 1) * s + (k - 1) * d + 1 for k, s, d, n in zip(self.kernel, self.stride, self.dilation, self.count))

    @property
    def side_by_side(self) -> bool:
        """Whether each element belongs to one window, except for a rest at the end, and windows reach into no padding."""
        dense = all(k == s and (d == 1 or k == 1) for k, s, d in zip(self.kernel, self.stride, self.dilation))
        return dense and not any(self.before) and all(n * k <= m for n, k, m in zip(self.count, self.kernel, self.size))

    def rows(self, start: int, stop: int) -> Windows:
        """Only the windows `start` to `stop` of the first dim."""
        before = self.before[0] - start * self.stride[0]
        return self._replace(before=(before, *self.before[1:]), count=(stop - start, *self.count[1:]))

    def reversed(self) -> Windows:
        """The windows of stride 1 over these windows that transpose them: tap `t` of window `i` is the window whose tap
        `kernel - 1 - t` is element `i`."""
        before = tuple((k - 1) * d - b for k, d, b in zip(self.kernel, self.dilation, self.before))
        return self._replace(size=self.count, count=self.size, before=before)

    @functools.lru_cache(maxsize=256)  # noqa: B019 -- windows are numbers, which may stay; the taps of 2x2 take 8 us
    def taps(self) -> tuple[tuple[slice, ...], ...]:
        """For each tap, the elements of all windows at it, counted from `start`."""
        firsts = product(*(range(0, k * d, d) for k, d in zip(self.kernel, self.dilation)))
        return tuple(tuple(slice(i, i + (n - 1) * s + 1, s) for i, s, n in zip(first, self.stride, self.count)) for first in firsts)


def cut(x: Array, start: Sizes, size: Sizes, fill: float = 0) -> Array:
    """`size` elements of `x` from `start` on in each spatial dim, with `fill` outside; a view if nothing is outside."""
    inside = tuple(slice(max(a, 0), max(min(a + n, m), 0)) for a, n, m in zip(start, size, x.shape[2:]))
    part = x[(..., *inside)]
    if part.shape[2:] == size:
        return part
    xp = namespace_of(x)
    out = xp.full((*x.shape[:2], *size), fill, x.dtype) if fill else xp.zeros((*x.shape[:2], *size), x.dtype)
    if all(part.shape[2:]):
        copy_rows(out[(..., *(slice(i.start - a, i.stop - a) for i, a in zip(inside, start)))], part)
    return out


def windows_in(x: Array, w: Windows) -> Array:
    """x (N, C, *extent), cut to the windows -> (N, C, *kernel, *count), a view."""
    steps = x.strides[2:]
    taps, windows = (d * s for d, s in zip(w.dilation, steps)), (k * s for k, s in zip(w.stride, steps))
    return strided(x, (*x.shape[:2], *w.kernel, *w.count), (*x.strides[:2], *taps, *windows))


def gather_windows(x: Array, w: Windows) -> Array:
    """(N, C, *spatial) -> (N, C, *kernel, *count), a new array."""
    return windows_in(cut(x, w.start, w.extent), w).copy()


def copy_rows(target: Array, source: Array) -> None:
    """`target[...] = source`, fast also if the last dim is short: NumPy copies 14 floats at a time in half the time if they
    are viewed as one element."""
    short = type(source) is np.ndarray and 1 < source.shape[-1] <= 128 and source.size
    if short and source.strides[-1] == target.strides[-1] == source.itemsize:
        row = np.dtype((np.void, source.shape[-1] * source.itemsize))
        source, target = source.view(row)[..., 0], target.view(row)[..., 0]
    target[...] = source


@kept
def window_counts(w: Windows, with_padding: bool) -> np.ndarray:
    """The number of elements in each window; one number if all are equal."""
    counts: Any = np.ones((), np.int64)
    for n, k, s, _, before, count in zip(*w):
        start = np.arange(count) * s - before
        low, high = (-before, n + before) if with_padding else (0, n)
        counts = counts[..., None] * (np.minimum(start + k, high) - np.maximum(start, low))
    return counts.flat[0] if (counts == counts.flat[0]).all() else counts
