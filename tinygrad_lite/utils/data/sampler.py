"""Samplers: the order in which the samples of a dataset are presented."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from tinygrad_lite.arrays import to_numpy
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.utils.data.generators import numpy_generator, own_generator

PORTION = 32  # indices drawn at a time with replacement, as in PyTorch

T = TypeVar("T", covariant=True)


class Sampler(Generic[T]):
    """Yields the indices of one pass over a dataset, or lists of indices for batches.

    >>> class Backwards(Sampler):
    ...     def __init__(self, data):
    ...         self.data = data
    ...     def __iter__(self):
    ...         return iter(range(len(self.data) - 1, -1, -1))
    >>> from tinygrad_lite.utils.data import DataLoader
    >>> list(DataLoader([10, 20, 30], sampler=Backwards([10, 20, 30]), batch_size=3))
    [tensor([30, 20, 10])]
    """

    def __init__(self, data_source: Sized | None = None):
        """Accepts a dataset, for subclasses that pass one on."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__}: a sampler defines __iter__")

    if TYPE_CHECKING:

        def __len__(self) -> int:
            """Where the subclass defines it."""
            raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ...: the order of the dataset, the same in every pass.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A new random order in every pass.

    `replacement`: draw every index from all, instead of permuting them. `num_samples`: how many to draw (default: the
    size of the dataset); without replacement, a number larger than the dataset takes one permutation after another.
    The order depends on the state of `generator`, or of the global stream, at the time of `iter()`; indices are drawn
    as they are requested.

    >>> sorted(RandomSampler("abc")), len(list(RandomSampler("abc", replacement=True, num_samples=5)))
    ([0, 1, 2], 5)
    """

    def __init__(self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Any = None):
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement must be a bool, got {replacement!r}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(self.num_samples, int) or self.num_samples < 0 or (num_samples is not None and num_samples <= 0):
            raise ValueError(f"RandomSampler: num_samples must be a positive integer, got {num_samples!r}")

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        # A stream of its own unless a generator is given, so that other draws of the program do not change the order.
        return self._indices(own_generator() if self.generator is None else numpy_generator(self.generator))

    def _indices(self, draw: np.random.Generator) -> Iterator[int]:
        n, count = len(self.data_source), self.num_samples
        if count and not n:
            raise ValueError("RandomSampler: there is nothing to draw from an empty dataset")
        while count > 0:
            if self.replacement:  # in portions, because count may be 10**10
                drawn = draw.integers(0, n, min(count, PORTION))
            else:
                drawn = draw.permutation(n)[:count]
            yield from drawn.tolist()
            count -= len(drawn)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices, in a new random order in every pass.

    >>> sorted(SubsetRandomSampler([5, 2, 7]))
    [2, 5, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Any = None):
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = numpy_generator(self.generator).permutation(len(self.indices)).tolist()
        return map(self.indices.__getitem__, order)

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices; index i has probability proportional to `weights[i]`.

    >>> list(WeightedRandomSampler([0.0, 1.0], 3))
    [1, 1, 1]
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, generator: Any = None):
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"WeightedRandomSampler: num_samples must be a positive integer, got {num_samples!r}")
        if not isinstance(replacement, bool):
            raise ValueError(f"WeightedRandomSampler: replacement must be a bool, got {replacement!r}")
        array = np.asarray(to_numpy(weights.array) if isinstance(weights, Traced) else weights, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(f"WeightedRandomSampler: weights must be 1-d, got shape {array.shape}")
        if not array.size or not np.isfinite(array).all() or (array < 0).any() or not array.sum() > 0:
            raise ValueError("WeightedRandomSampler: weights must be finite, not negative, and not all zero")
        if not replacement and num_samples > np.count_nonzero(array):
            raise ValueError(
                f"WeightedRandomSampler: cannot draw {num_samples} different indices, "
                f"only {np.count_nonzero(array)} have a positive weight"
            )
        self.weights = array
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        draw = numpy_generator(self.generator)
        p = self.weights / self.weights.sum()
        return iter(draw.choice(len(p), self.num_samples, replace=self.replacement, p=p).tolist())

    def __len__(self) -> int:
        return self.num_samples


def portions(indices: Iterator[int], size: int, drop_last: bool) -> Iterator[list[int]]:
    """Lists of `size` indices; `drop_last` omits a smaller last one."""
    while batch := list(itertools.islice(indices, size)):
        if len(batch) == size or not drop_last:
            yield batch


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices of another sampler; `drop_last` omits a smaller last one.

    >>> list(BatchSampler(range(5), 2, False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"BatchSampler: batch_size must be a positive integer, got {batch_size!r}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"BatchSampler: drop_last must be a bool, got {drop_last!r}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return portions(iter(self.sampler), self.batch_size, self.drop_last)

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]  # if it has a length
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
