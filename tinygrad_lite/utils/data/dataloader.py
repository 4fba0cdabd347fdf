"""DataLoader: batches of a dataset, in the order of a sampler."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from tinygrad_lite.utils.data.collate import default_collate, default_convert
from tinygrad_lite.utils.data.dataset import Dataset, IterableDataset
from tinygrad_lite.utils.data.generator_search import kept_generators
from tinygrad_lite.utils.data.generators import drawn_seed
from tinygrad_lite.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from tinygrad_lite.utils.data.worker import WorkerInfo, Workers

T = TypeVar("T", covariant=True)
_END = object()
FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}


class DataLoader(Generic[T]):
    """Batches of `batch_size` samples; each `for batch in loader` starts a new pass.

    `shuffle`: a new random order in every pass, from `generator` or the global one. `sampler`: an iterable of
    indices; `batch_sampler`: an iterable of lists of indices. `batch_size=None`: samples one by one. `drop_last`:
    omit a smaller last batch. `collate_fn`: makes a batch from a list of samples. `num_workers`: number of threads
    that each prepare `prefetch_factor` batches ahead of the loop. Workers do not change the order of batches, and an
    error in a worker is raised in the loop. `worker_init_fn(id)` runs at the start of each worker; `timeout` is in
    seconds. With `persistent_workers` the threads stay alive from pass to pass, and a new pass ends the one before.
    `pin_memory` and `multiprocessing_context` are accepted and have no effect, since threads need neither.

    Random numbers: a pass draws one seed from `generator` or the global stream, whatever the number of workers.
    Worker i has its own global streams of tinygrad_lite, NumPy and Python's `random`, seeded with seed + i
    (`get_worker_info().seed`). Its draws do not affect the program's streams, and are the same when the program runs
    again. Threads share NumPy's and Python's streams and any generator that the dataset holds. Therefore a loader
    whose `worker_init_fn` or first batch of a pass draws from one of these prepares each batch while the loop waits,
    instead of ahead of it. Draws from tinygrad_lite's streams, or from `get_worker_info().rng`, have no such cost.

    >>> from tinygrad_lite.utils.data import TensorDataset
    >>> import tinygrad_lite as tg
    >>> for (x,) in DataLoader(TensorDataset(tg.tensor([1, 2, 3])), batch_size=2):
    ...     print(x)
    tensor([1, 2])
    tensor([3])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        if not isinstance(num_workers, int) or num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must be 0 or more, got {num_workers!r}")
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout must be 0 or more seconds, got {timeout!r}")
        if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 1):
            raise ValueError(f"DataLoader: prefetch_factor must be 1 or more and needs workers, got {prefetch_factor!r}")
        if multiprocessing_context is not None and num_workers == 0:
            raise ValueError("DataLoader: multiprocessing_context needs num_workers > 0")
        if persistent_workers and num_workers == 0:
            raise ValueError("DataLoader: persistent_workers needs num_workers > 0")
        iterable = isinstance(dataset, IterableDataset)
        if iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("DataLoader: an IterableDataset has its own order: it takes no shuffle, sampler or batch_sampler")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None gives single samples, so drop_last has nothing to drop")
        if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0):
            raise ValueError(f"DataLoader: batch_size must be a positive integer, got {batch_size!r}")

        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.drop_last = drop_last
        if sampler is None:
            if iterable:
                sampler = itertools.repeat(None)
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
            self.batch_size: int | None = batch_size
        else:
            self.batch_size = None
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self._workers: Workers | None = None  # persistent ones

    def __iter__(self) -> Iterator[Any]:
        # A worker over an IterableDataset keeps its own position, so `work` is called in each.
        if isinstance(self.dataset, IterableDataset):
            work = functools.partial(_reader, self.dataset, self.collate_fn, self.batch_sampler is not None, self.drop_last)
        else:
            work = functools.partial(_fetcher, self.dataset, self.collate_fn, self.batch_sampler is not None)
        seed = drawn_seed(self.generator)  # without workers too: their number must not change the order of samples
        tasks = iter(self.sampler if self.batch_sampler is None else self.batch_sampler)
        batches: Iterator[Any] = self._workers_for(work, seed, tasks) if self.num_workers else map(work(), tasks)
        return _Pass(self, batches)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "_workers" in self.__dict__:
            raise ValueError(f"DataLoader: {name} cannot be set after __init__, as its samplers are made; make another loader")
        super().__setattr__(name, value)

    def _workers_for(self, work: Callable[[], Any], seed: int, tasks: Iterator[Any]) -> Workers:
        workers = self._workers
        if workers is None or workers.interrupted:
            infos = [WorkerInfo(i, self.num_workers, seed + i, self.dataset) for i in range(self.num_workers)]
            kept = kept_generators(self.dataset, self.collate_fn)
            workers = Workers(infos, work, self.worker_init_fn, self.prefetch_factor or 2, self.timeout, self.persistent_workers, kept)
            self._workers = workers if self.persistent_workers else None
        workers.begin(tasks)
        return workers

    def __len__(self) -> int:
        """The number of batches in a pass."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


class _Pass(Iterator[Any]):
    """The batches of one pass over a loader, from several readers in turn until each is exhausted.

    Not a generator: dropping one runs code in which an interrupt would be lost."""

    def __init__(self, loader: DataLoader[Any], batches: Iterator[Any]):
        self.loader = loader
        self.batches = batches
        self.readers = max(loader.num_workers, 1)
        self.count = 0
        self.ended: set[int] = set()

    def __next__(self) -> Any:
        while len(self.ended) < self.readers:
            batch = next(self.batches)
            reader = self.count % self.readers
            self.count += 1
            if batch is not _END:
                return batch
            self.ended.add(reader)
        raise StopIteration

    def __len__(self) -> int:
        return len(self.loader)


def _fetcher(dataset: Dataset[Any], collate: Callable[[Any], Any], batched: bool) -> Callable[[Any], Any]:
    """The function from an index, or from a list of indices, to what the loop receives."""
    if not batched:
        return lambda index: collate(dataset[index])
    whole = getattr(dataset, "_collated", None) if collate is default_collate else None
    several = getattr(dataset, "__getitems__", None)

    def fetch(indices: list[Any]) -> Any:
        if whole is not None and (batch := whole(indices)) is not None:
            return batch
        return collate(several(indices) if several else [dataset[i] for i in indices])

    return fetch


def _reader(dataset: IterableDataset[Any], collate: Callable[[Any], Any], batched: bool, drop_last: bool) -> Callable[[Any], Any]:
    """The function that returns the next batch of an iterable dataset whatever the task, and _END after the last."""
    samples = iter(dataset)

    def read(task: list[None] | None) -> Any:
        if not batched:
            sample = next(samples, _END)
            return _END if sample is _END else collate(sample)
        assert task is not None
        batch = list(itertools.islice(samples, len(task)))
        return collate(batch) if batch and (len(batch) == len(task) or not drop_last) else _END

    return read
