"""Interpolation weights of each input element for each result."""

from __future__ import annotations

import numpy as np

from tinygrad_lite.arrays import kept


def _cubic(t: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic convolution kernel (1981): 1 at 0, 0 at 1 and from 2 on."""
    t = np.abs(t)
    return np.where(t < 1, ((a + 2) * t - (a + 3)) * t * t + 1, np.where(t < 2, a * (((t - 5) * t + 8) * t - 4), 0))


# For each kind of weights, their radius, and their value at a distance.
FILTERS = {
    "linear": (1, lambda t: np.maximum(1 - np.abs(t), 0)),
    "cubic": (2, lambda t: _cubic(t, -0.5)),
    "lanczos": (3, lambda t: np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)),
}


@kept
def weights_of(n: int, m: int, step: float, kind: str, align_corners: bool, antialias: bool) -> np.ndarray | None:
    """(m, n): the weights of n elements in each of m results, `step` elements apart; None if the results equal the
    elements."""
    matrix = _smoothing_matrix(n, m, step, kind) if antialias else _interpolation_matrix(n, m, step, kind, align_corners)
    return None if n == m and (matrix == np.eye(n)).all() else matrix


def _interpolation_matrix(n: int, m: int, step: float, kind: str, align_corners: bool) -> np.ndarray:
    """The weights of the nearest 2 (linear) or 4 (cubic) elements."""
    i = np.arange(m)
    source = i * step if align_corners else (i + 0.5) * step - 0.5
    if kind == "linear":
        source = np.clip(source, 0, n - 1)
    low = np.floor(source)
    taps = np.arange(2) if kind == "linear" else np.arange(-1, 3)
    distance = source[:, None] - low[:, None] - taps
    weights = FILTERS["linear"][1](distance) if kind == "linear" else _cubic(distance, -0.75)
    matrix = np.zeros((m, n))
    np.add.at(matrix, (i[:, None], np.clip(low[:, None] + taps, 0, n - 1).astype(int)), weights)
    return matrix


def _smoothing_matrix(n: int, m: int, step: float, kind: str) -> np.ndarray:
    """Weights for antialiasing: filters that cover as many elements as there are per result."""
    reach, weight = FILTERS[kind]
    scale = max(step, 1.0)
    center = (np.arange(m)[:, None] + 0.5) * step
    first = np.maximum((center - reach * scale + 0.5).astype(int), 0)
    last = np.minimum((center + reach * scale + 0.5).astype(int), n)
    j = np.arange(n)
    weights = np.where((j >= first) & (j < last), weight((j - center + 0.5) / scale), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def fixed_point(matrix: np.ndarray) -> np.ndarray:
    """The weights for 8-bit images in 16-bit fixed point, as in PyTorch (after Pillow), so that results match to the last
    bit."""
    bits = next((p for p in range(22) if 0.5 + matrix.max() * 2 ** (p + 1) >= 2**15), 22)
    return np.trunc(matrix * 2**bits + np.copysign(0.5, matrix)) / 2**bits


@kept
def nearest_places(mode: str, rank: int, n: int, m: int, factor: float | None) -> tuple[np.ndarray, int]:
    """The index of the element (of n) nearest to each of m results, and how often each occurs, if all occur equally often
    (otherwise 0)."""
    places = _nearest_to(mode, rank, n, m, factor)
    return places, m // n if np.array_equal(places, np.arange(n).repeat(m // n)) else 0


def _nearest_to(mode: str, rank: int, n: int, m: int, factor: float | None) -> np.ndarray:
    """The index of the element (of n) nearest to each of m results; in float32, as in PyTorch, because rounding decides."""
    i, step = np.arange(m), np.float32(1 / factor) if factor else np.float32(n) / np.float32(m)
    if mode == "nearest":
        if rank == 2 and m in (n, 2 * n):  # for images, whatever the factor
            return i * n // m
        source = i.astype(np.float32) * step
    else:
        source = (i.astype(np.float32) + np.float32(0.5)) * step
    return np.minimum(np.floor(source).astype(np.int64), n - 1)


def places_of_pixels(size: tuple[int, ...], align_corners: bool, dtype: np.dtype) -> np.ndarray:
    """(pixels, rank + 1): where the pixels of an image stand, each dim from -1 to 1, the last one first, and a 1.

    The ends are the outer pixels' centres if `align_corners`, else their edges.
    """
    axes = [np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else np.zeros(1) for n in size]
    places = np.stack([*reversed(np.meshgrid(*axes, indexing="ij")), np.ones(size)], axis=-1)
    return places.reshape(-1, len(size) + 1).astype(dtype)
