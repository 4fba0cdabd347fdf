"""Datasets: map-style, with samples by index, and iterable."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from tinygrad_lite.utils.data.generators import numpy_generator

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Map-style dataset: a subclass defines `__getitem__`, and `__len__` for most samplers.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, i):
    ...         return i * i
    >>> from tinygrad_lite.utils.data import DataLoader
    >>> list(DataLoader(Squares(), batch_size=2))
    [tensor([0, 1]), tensor([4, 9])]
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__}: a dataset defines __getitem__")

    if TYPE_CHECKING:

        def __len__(self) -> int:
            """Where the subclass defines it."""
            raise NotImplementedError

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T], Iterable[T]):
    """Iterable dataset: a subclass defines `__iter__`.

    With several workers, each iterates over the dataset; `get_worker_info()` tells `__iter__` which part to yield.

    >>> class Countdown(IterableDataset):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> from tinygrad_lite.utils.data import DataLoader
    >>> list(DataLoader(Countdown(), batch_size=2))
    [tensor([3, 2]), tensor([1])]
    """

    def __add__(self, other: Dataset[Any]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Tensors with the same first size; sample i is the tuple of their i-th rows.

    >>> from tinygrad_lite import tensor
    >>> TensorDataset(tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([0, 1]))[1]
    (tensor([3., 4.]), tensor(1))
    """

    def __init__(self, *tensors: Any):
        sizes = [t.shape[0] if t.shape else None for t in tensors]
        if not tensors or None in sizes or len(set(sizes)) != 1:
            shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
            raise ValueError(f"TensorDataset: size mismatch between tensors: expected one first size, got shapes {shapes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def _collated(self, indices: list[int]) -> list[Any] | None:
        """The samples at `indices` as `default_collate` would stack them, by one indexing operation per tensor; None
        where the result would differ.

        For 32 samples of 64 numbers this takes 27 us; 32 calls of __getitem__ and a stack take 690 us."""
        if type(self).__getitem__ is not TensorDataset.__getitem__ or hasattr(self, "__getitems__"):
            return None
        return rows(self.tensors, indices)


def rows(tensors: Sequence[Any], indices: Sequence[Any]) -> list[Any] | None:
    """The rows of these numbers; None for other indices, a list of which means something else: tensors, bools."""
    if not all(isinstance(i, (int, np.integer)) and i is not True and i is not False for i in indices):
        return None
    numbers = [int(i) for i in indices]
    return [tensor[numbers] for tensor in tensors]


class StackDataset(Dataset[Any]):
    """Several datasets in parallel: a sample is a tuple of theirs, or a dict if names are given.

    >>> StackDataset(x=[1, 2], y=["a", "b"])[1]
    {'x': 2, 'y': 'b'}
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]):
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: expected datasets either by place or by name, and at least one")
        self.datasets: Any = args or kwargs
        members = list(args or kwargs.values())
        if any(len(d) != len(members[0]) for d in members):
            raise ValueError(f"StackDataset: sizes differ: {[len(d) for d in members]}")
        self._length = len(members[0])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """The samples at several indices, from the members' `__getitems__` where they define one."""
        if type(self).__getitem__ is not StackDataset.__getitem__:
            return [self[i] for i in indices]
        if isinstance(self.datasets, dict):
            columns = [_several(dataset, indices) for dataset in self.datasets.values()]
            return [dict(zip(self.datasets, row)) for row in zip(*columns)]
        return list(zip(*(_several(dataset, indices) for dataset in self.datasets)))

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T]):
    """Several datasets in a row.

    >>> both = ConcatDataset([[1, 2], [3]])
    >>> len(both), both[2]
    (3, 3)
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one dataset")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise TypeError("ConcatDataset: an IterableDataset has no indices; use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset: index {index} is out of range for {len(self)} samples")
        index %= len(self)
        i = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[i][index - (self.cumulative_sizes[i - 1] if i else 0)]


class ChainDataset(IterableDataset[Any]):
    """Several iterable datasets in a row.

    >>> from tinygrad_lite.utils.data import IterableDataset
    >>> class Count(IterableDataset):
    ...     def __iter__(self):
    ...         return iter([1, 2])
    >>> list(ChainDataset([Count(), Count()]))
    [1, 2, 1, 2]
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]):
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise TypeError(f"ChainDataset: expected IterableDatasets, got {type(dataset).__name__}")
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


class Subset(Dataset[T]):
    """The samples of a dataset at the given indices.

    >>> list(Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """The samples at several indices, from the `__getitems__` of the underlying dataset if it defines one."""
        if type(self).__getitem__ is not Subset.__getitem__:  # a subclass has overridden it
            return [self[i] for i in indices]
        return _several(self.dataset, [self.indices[i] for i in indices])

    def _collated(self, indices: list[int]) -> list[Any] | None:
        """Like `TensorDataset._collated`, if the underlying dataset has it."""
        own = type(self).__getitem__ is Subset.__getitem__ and type(self).__getitems__ is Subset.__getitems__
        if not own or not hasattr(self.dataset, "_collated"):
            return None
        return self.dataset._collated([self.indices[i] for i in indices])


def _several(dataset: Any, indices: list[int]) -> list[Any]:
    several = getattr(dataset, "__getitems__", None)
    return several(indices) if several else [dataset[i] for i in indices]


def random_split(dataset: Dataset[T], lengths: Sequence[int | float], generator: Any = None) -> list[Subset[T]]:
    """Split a dataset at random into parts of the given lengths, or of fractions that sum to 1.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    n = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        if any(not 0 <= fraction <= 1 for fraction in lengths):
            raise ValueError(f"random_split: fractions must lie in [0, 1], got {list(lengths)}")
        sizes = [math.floor(n * fraction) for fraction in lengths]
        for i in range(n - sum(sizes)):  # the remainder of the rounding goes to the first parts
            sizes[i % len(sizes)] += 1
    else:
        sizes = [int(length) for length in lengths]
    if sum(sizes) != n or any(size < 0 for size in sizes):
        raise ValueError(f"random_split: lengths must sum to the {n} samples of the dataset, got {list(lengths)}")
    order = numpy_generator(generator).permutation(n).tolist()
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, itertools.accumulate(sizes))]
