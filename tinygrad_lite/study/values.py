"""What is kept of an array: all of a small one, statistics of a large one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import to_numpy

MOST = 1024  # elements of which all values are kept
_SAMPLE = 4096  # elements, evenly spaced, whose histogram is taken
_BINS = 24


@dataclass(frozen=True, eq=False)
class Values:
    """An array as it was. `array` is a copy, or None if it had more than `MOST` elements. The statistics are those of the
    finite elements, None if there are none; `zero` is a share of all elements."""

    shape: tuple[int, ...]
    dtype: str
    array: np.ndarray | None
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    zero: float = 0.0
    nan: int = 0
    inf: int = 0
    histogram: tuple[int, ...] = ()  # of an evenly spaced sample, from `min` to `max`

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def finite(self) -> bool:
        return not (self.nan or self.inf)

    def __str__(self) -> str:
        """All values of up to 8 elements, otherwise a line of statistics."""
        if self.array is not None and self.array.size <= 8:
            return np.array2string(self.array, precision=4, separator=", ").replace("\n", "")
        if self.mean is None:
            text = "no finite values"
        else:
            text = f"mean {self.mean:.4g}, std {self.std:.4g}, from {self.min:.4g} to {self.max:.4g}"
        for count, word in ((self.nan, "nan"), (self.inf, "inf")):
            text += f", {count} {word}" if count else ""
        return text + (f", {self.zero:.0%} zero" if self.zero >= 0.005 else "")


def values_of(array: Any) -> Values:
    """The values of an array of either backend, or of a number."""
    x = np.asarray(to_numpy(array) if hasattr(array, "dtype") else array)
    kept = x.copy() if x.size <= MOST else None
    if x.dtype.kind not in "fiub" or not x.size:
        return Values(x.shape, str(x.dtype), kept)
    nan = inf = 0
    numbers = x.astype(np.float64) if x.dtype.kind != "f" else x if x.itemsize >= 4 else x.astype(np.float32)
    zero = int(np.count_nonzero(x == 0)) / x.size  # of 400,000 floats in a fifth of the time that counting them directly takes
    low, high = float(numbers.min()), float(numbers.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        nan, inf = int(np.isnan(numbers).sum()), int(np.isinf(numbers).sum())
        numbers = numbers[np.isfinite(numbers)]
        if not numbers.size:
            return Values(x.shape, str(x.dtype), kept, zero=zero, nan=nan, inf=inf)
        low, high = float(numbers.min()), float(numbers.max())
    flat = numbers.reshape(-1)
    sample = flat[:: -(-flat.size // _SAMPLE)].astype(np.float64)
    width = high - low
    with np.errstate(all="ignore"):  # of the largest floats
        places = ((sample - low) / width * _BINS).astype(np.int64) if 0 < width < np.inf else np.zeros(len(sample), np.int64)
        mean = float(numbers.mean())
        variance = float(flat.dot(flat)) / flat.size - mean * mean
        if not mean * mean < variance < np.inf:  # the difference loses digits there; the other way takes a copy of the array
            away = flat - numbers.dtype.type(mean)
            variance = float(away.dot(away)) / flat.size
    counts = np.bincount(np.minimum(places, _BINS - 1), minlength=_BINS)
    return Values(x.shape, str(x.dtype), kept, mean, float(np.sqrt(variance)), low, high, zero, nan, inf, tuple(counts.tolist()))
