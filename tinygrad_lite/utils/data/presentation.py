"""Presentation orders, batch size schedules, and streams."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from tinygrad_lite.utils.data.collate import default_collate
from tinygrad_lite.utils.data.generators import numpy_generator
from tinygrad_lite.utils.data.sampler import Sampler, portions

ORDERS = ("fixed", "shuffle-once", "reshuffle", "with-replacement", "sorted")


class PresentationOrder(Sampler[int]):
    """A named order of presentation, with the same number of samples in every pass (docs/lectures.md#item-25, #item-26).

    "fixed": the order of the dataset; "shuffle-once": one random order for all passes; "reshuffle": a new random order in
    every pass; "with-replacement": every index drawn from all; "sorted": by `key(index)`.

    >>> list(PresentationOrder(range(3), "sorted", key=lambda i: -i))
    [2, 1, 0]
    """

    def __init__(self, data_source: Sized, order: str = "reshuffle", key: Callable[[int], Any] | None = None, generator: Any = None):
        if order not in ORDERS:
            raise ValueError(f"PresentationOrder: order must be one of {', '.join(ORDERS)}, got {order!r}")
        if (key is not None) != (order == "sorted"):
            raise ValueError("PresentationOrder: key goes with order='sorted'")
        self.data_source = data_source
        self.order = order
        self.key = key
        self.generator = generator
        self._kept: list[int] | None = None

    def __iter__(self) -> Iterator[int]:
        n, draw = len(self.data_source), numpy_generator(self.generator)
        if self.order == "fixed":
            return iter(range(n))
        if self.order == "reshuffle":
            return iter(draw.permutation(n).tolist())
        if self.order == "with-replacement":
            return iter(draw.integers(0, n, n).tolist())
        if self._kept is None:
            self._kept = sorted(range(n), key=self.key) if self.key else draw.permutation(n).tolist()
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self.data_source)


class GrowingBatch(Sampler[list[int]]):
    """Batches whose size follows a schedule: `size(k)` in pass k = 0, 1, ..., at most the whole dataset
    (docs/lectures.md#item-73).

    A larger batch reduces gradient noise, as a smaller rate would. `grow(factor)` multiplies the size of all further
    batches, for example in response to measured noise. Use it as the `batch_sampler` of a DataLoader.

    >>> batches = GrowingBatch(range(5), geometric(1, 2))
    >>> [[len(batch) for batch in batches] for _ in range(4)]
    [[1, 1, 1, 1, 1], [2, 2, 1], [4, 1], [5]]
    """

    def __init__(self, sampler: Any, size: Callable[[int], int], drop_last: bool = False):
        self.sampler = sampler
        self.size = size
        self.drop_last = drop_last
        self.passes = 0
        self.factor = 1.0

    def grow(self, factor: float) -> None:
        if not factor > 0:
            raise ValueError(f"GrowingBatch: factor must be above 0, got {factor}")
        self.factor *= factor

    @property
    def batch_size(self) -> int:
        """The batch size of the next pass."""
        size = int(self.size(self.passes) * self.factor)
        if size < 1:
            raise ValueError(f"GrowingBatch: the size in pass {self.passes} is {size}, it must be 1 or more")
        return min(size, max(len(self.sampler), 1))

    def __iter__(self) -> Iterator[list[int]]:
        size, indices = self.batch_size, iter(self.sampler)
        self.passes += 1
        return portions(indices, size, self.drop_last)

    def __len__(self) -> int:
        n, size = len(self.sampler), self.batch_size
        return n // size if self.drop_last else -(-n // size)


def geometric(first: int, factor: float, every: int = 1) -> Callable[[int], int]:
    """A geometric schedule: the initial size, multiplied by `factor` every `every` passes.

    >>> size = geometric(16, 2, every=2)
    >>> [size(k) for k in range(5)]
    [16, 16, 32, 32, 64]
    """
    return lambda k: int(first * factor ** (k // every))


def milestones(first: int, sizes: dict[int, int]) -> Callable[[int], int]:
    """A step schedule: the initial size, then sizes[k] from pass k on.

    >>> size = milestones(16, {2: 64})
    >>> [size(k) for k in range(4)]
    [16, 16, 64, 64]
    """
    return lambda k: next((sizes[m] for m in sorted(sizes, reverse=True) if m <= k), first)


class StreamLoader:
    """Online learning: batches of samples in the order in which `source` yields them, each used once
    (docs/lectures.md#item-75). Iterating again continues the stream.

    >>> loader = StreamLoader(iter(range(5)), batch_size=2)
    >>> next(iter(loader)), next(iter(loader))
    (tensor([0, 1]), tensor([2, 3]))
    """

    def __init__(self, source: Iterable[Any], batch_size: int = 1, collate_fn: Callable[[Any], Any] = default_collate):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"StreamLoader: batch_size must be a positive integer, got {batch_size!r}")
        self.source = iter(source)
        self.batch_size = batch_size
        self.collate_fn = collate_fn

    def __iter__(self) -> Iterator[Any]:
        while batch := list(itertools.islice(self.source, self.batch_size)):
            yield self.collate_fn(batch)
