"""Datasets, samplers, DataLoader."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    GrowingBatch,
    IterableDataset,
    PresentationOrder,
    RandomSampler,
    SequentialSampler,
    StackDataset,
    StreamLoader,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    milestones,
    random_split,
)
from tinygrad_lite.utils.data.draws import numpy_generator


def seeded(seed=0):
    return tg.Generator().manual_seed(seed)


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i * i


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        worker = get_worker_info()
        return iter(range(self.n) if worker is None else range(worker.id, self.n, worker.num_workers))


def xy(n=10):
    return TensorDataset(tg.tensor(np.arange(2 * n).reshape(n, 2)), tg.tensor(np.arange(n)))


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_a_pass_in_order(num_workers):
    batches = list(DataLoader(xy(), batch_size=4, num_workers=num_workers))
    assert [y.tolist() for _, y in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all((x.numpy()[:, 0] == 2 * y.numpy()).all() for x, y in batches)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_shuffling_is_a_permutation_of_its_own_in_every_pass_and_reproducible(num_workers):
    loader = DataLoader(xy(50), batch_size=8, shuffle=True, num_workers=num_workers, generator=seeded())
    one, two = ([i for _, y in loader for i in y.tolist()] for _ in range(2))
    assert sorted(one) == sorted(two) == list(range(50))
    assert one != two
    again = DataLoader(xy(50), batch_size=8, shuffle=True, generator=seeded())
    if num_workers == 0:
        assert [i for _, y in again for i in y.tolist()] == one


def test_the_global_seed_decides_the_order():
    def order():
        tg.manual_seed(3)
        return [i for _, y in DataLoader(xy(50), shuffle=True) for i in y.tolist()]

    assert order() == order()


def test_whole_batches_are_what_collating_samples_gives():
    dataset = Subset(xy(20), [3, 1, 4, 1, 5, 9, 2, 6])
    slow = DataLoader(dataset, batch_size=3, collate_fn=lambda samples: default_collate(samples))
    for (x, y), (u, v) in zip(DataLoader(dataset, batch_size=3), slow):
        assert isinstance(x, tg.Tensor)
        assert x.tolist() == u.tolist() and y.tolist() == v.tolist()


def test_a_batch_owns_its_memory():
    dataset = xy()
    x, _ = next(iter(DataLoader(dataset, batch_size=4)))
    x.array[...] = -1
    assert dataset.tensors[0].array.min() == 0


def test_an_overridden_getitem_is_respected():
    class Negated(TensorDataset):
        def __getitem__(self, i):
            return tuple(-t for t in super().__getitem__(i))

    (x,) = next(iter(DataLoader(Negated(tg.tensor([1, 2, 3])), batch_size=2)))
    assert x.tolist() == [-1, -2]


def test_drop_last_and_lengths():
    assert len(DataLoader(xy(), batch_size=4)) == 3 == len(list(DataLoader(xy(), batch_size=4)))
    assert len(DataLoader(xy(), batch_size=4, drop_last=True)) == 2 == len(list(DataLoader(xy(), batch_size=4, drop_last=True)))
    assert len(DataLoader(xy(), batch_size=None)) == 10


def test_batch_size_none_gives_samples():
    assert list(DataLoader(Squares(4), batch_size=None)) == [0, 1, 4, 9]


def test_batch_sampler():
    loader = DataLoader(Squares(10), batch_sampler=[[1, 2], [5]])
    assert [b.tolist() for b in loader] == [[1, 4], [25]]
    assert loader.batch_size is None and len(loader) == 2


@pytest.mark.parametrize(("num_workers", "expected"), [
    (0, [[0, 1, 2], [3, 4, 5], [6]]),
    (1, [[0, 1, 2], [3, 4, 5], [6]]),
    (2, [[0, 2, 4], [1, 3, 5], [6]]),
])
def test_iterable_dataset(num_workers, expected):
    loader = DataLoader(Stream(7), batch_size=3, num_workers=num_workers)
    assert [b.tolist() for b in loader] == expected
    assert [b.tolist() for b in loader] == expected
    assert [b.tolist() for b in DataLoader(Stream(7), batch_size=3, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]
    assert [int(b) for b in DataLoader(Stream(3), batch_size=None)] == [0, 1, 2]


def test_an_error_in_a_worker_comes_through_where_its_batch_is_due():
    class Bad(Squares):
        def __getitem__(self, i):
            if i == 5:
                raise KeyError("five")
            return i

    batches = iter(DataLoader(Bad(10), batch_size=2, num_workers=2))
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(KeyError, match="five"):
        next(batches)


def test_workers_know_themselves_and_their_init_function_is_called():
    started = []

    class Who(Squares):
        def __getitem__(self, i):
            info = get_worker_info()
            assert info.num_workers == 2 and info.dataset is self
            return info.id

    loader = DataLoader(Who(4), num_workers=2, worker_init_fn=started.append)
    assert [int(b) for b in loader] == [0, 1, 0, 1]
    assert sorted(started) == [0, 1]
    assert get_worker_info() is None


def test_threads_end_when_a_pass_is_abandoned():
    before = threading.active_count()
    for _ in DataLoader(Squares(1000), num_workers=3):
        break
    for _ in range(100):
        if threading.active_count() <= before:
            break
        time.sleep(0.02)
    assert threading.active_count() <= before


def test_a_slow_worker_is_reported():
    class Slow(Squares):
        def __getitem__(self, i):
            time.sleep(0.5)
            return i

    with pytest.raises(RuntimeError, match=r"0\.05 seconds"):
        list(DataLoader(Slow(2), num_workers=1, timeout=0.05))


@pytest.mark.parametrize("arguments", [
    {"batch_size": 0},
    {"batch_size": 2.5},
    {"num_workers": -1},
    {"timeout": -1},
    {"shuffle": True, "sampler": [0]},
    {"batch_size": 2, "batch_sampler": [[0]]},
    {"drop_last": True, "batch_size": None},
    {"prefetch_factor": 2},
    {"persistent_workers": True},
])
def test_arguments_that_contradict_each_other(arguments):
    with pytest.raises(ValueError, match=r"DataLoader|BatchSampler"):
        DataLoader(Squares(4), **arguments)
    with pytest.raises(ValueError, match="IterableDataset"):
        DataLoader(Stream(4), shuffle=True)


def test_samplers():
    assert list(SequentialSampler(range(3))) == [0, 1, 2]
    assert sorted(RandomSampler(range(10), generator=seeded())) == list(range(10))
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=50, generator=seeded()))
    assert len(drawn) == 50 and set(drawn) == {0, 1, 2}
    seven = list(RandomSampler(range(3), num_samples=7, generator=seeded()))
    assert sorted(seven[:3]) == sorted(seven[3:6]) == [0, 1, 2] and len(seven) == 7
    assert sorted(SubsetRandomSampler([3, 5, 7], generator=seeded())) == [3, 5, 7]
    weighted = list(WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=seeded()))
    assert weighted.count(0) == 0 and abs(weighted.count(2) / 4000 - 0.75) < 0.03
    assert sorted(WeightedRandomSampler([1.0, 2.0, 0.0, 1.0], 3, replacement=False, generator=seeded())) == [0, 1, 3]
    assert list(BatchSampler([1, 2, 3], 2, True)) == [[1, 2]]
    for bad in (lambda: RandomSampler(range(3), num_samples=0), lambda: WeightedRandomSampler([-1.0, 1.0], 2),
                lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False), lambda: BatchSampler([1], 0, False)):
        with pytest.raises(ValueError):
            bad()


def test_combined_datasets():
    both = ConcatDataset([Squares(3), Squares(2)])
    assert [both[i] for i in range(5)] == [0, 1, 4, 0, 1] and both[-1] == 1 and len(both) == 5
    assert len(Squares(3) + Squares(4)) == 7
    with pytest.raises(IndexError):
        both[5]
    assert list(ChainDataset([Stream(2), Stream(3)])) == [0, 1, 0, 1, 2]
    assert list(Stream(2) + Stream(1)) == [0, 1, 0]
    assert StackDataset(Squares(3), Squares(3))[2] == (4, 4)
    assert StackDataset(a=Squares(3))[2] == {"a": 4}
    for bad in (lambda: StackDataset(Squares(3), Squares(2)), lambda: ConcatDataset([]), lambda: TensorDataset(),
                lambda: TensorDataset(tg.tensor([1, 2]), tg.tensor([1]))):
        with pytest.raises(ValueError):
            bad()


def test_random_split():
    parts = random_split(Squares(10), [0.3, 0.3, 0.4], generator=seeded())
    assert [len(p) for p in parts] == [3, 3, 4]
    assert sorted(v for p in parts for v in (p[i] for i in range(len(p)))) == [i * i for i in range(10)]
    assert [len(p) for p in random_split(Squares(10), [7, 3])] == [7, 3]
    for lengths in ([7, 4], [0.5, 0.6], [11, -1]):
        with pytest.raises(ValueError):
            random_split(Squares(10), lengths)


def test_numpy_generator_is_one_stream():
    generator = seeded(5)
    assert numpy_generator(generator) is numpy_generator(generator)


def test_orders_of_presentation():
    """Lecture items 25 and 26."""
    orders = {
        order: PresentationOrder(range(20), order, key=(lambda i: -i) if order == "sorted" else None, generator=seeded())
        for order in ("fixed", "shuffle-once", "reshuffle", "with-replacement", "sorted")
    }
    passes = {name: [list(order) for _ in range(2)] for name, order in orders.items()}
    assert passes["fixed"] == [list(range(20))] * 2
    assert passes["sorted"] == [list(range(19, -1, -1))] * 2
    assert passes["shuffle-once"][0] == passes["shuffle-once"][1] != list(range(20))
    assert passes["reshuffle"][0] != passes["reshuffle"][1]
    for name in ("shuffle-once", "reshuffle"):
        assert all(sorted(order) == list(range(20)) for order in passes[name])
    assert len(set(passes["with-replacement"][0])) < 20 == len(passes["with-replacement"][0])
    for arguments in (("random",), ("sorted",), ("fixed", len)):
        with pytest.raises(ValueError, match="PresentationOrder"):
            PresentationOrder(range(3), *arguments)


def test_growing_batches():
    """Item 73."""
    batches = GrowingBatch(SequentialSampler(range(10)), milestones(2, {1: 3, 3: 5}), drop_last=True)
    loader = DataLoader(Squares(10), batch_sampler=batches)
    assert [(len(loader), [len(b) for b in loader]) for _ in range(4)] == [
        (5, [2] * 5), (3, [3] * 3), (3, [3] * 3), (2, [5, 5])
    ]  # fmt: skip
    batches.grow(1.6)
    assert batches.batch_size == 8
    batches.grow(100)
    assert [len(b) for b in loader] == [10]
    with pytest.raises(ValueError, match="GrowingBatch"):
        batches.grow(0)
    with pytest.raises(ValueError, match="must be 1 or more"):
        list(GrowingBatch(range(3), lambda k: 0))


def test_a_batch_that_grows_when_the_noise_says_so():
    """Item 73: while the gradient is mostly noise, a larger batch pays."""
    draw = np.random.default_rng(0)
    batches = GrowingBatch(SequentialSampler(range(512)), lambda k: 2)
    sizes = []
    for signal in (3.0, 0.25):  # of noise of variance 1: batches of 1/9 and of 16 are as much signal as noise
        critical = tg.optim.noise.gradient_noise(signal + draw.normal(size=(512, 4))).critical_batch_size
        if critical > batches.batch_size:
            batches.grow(critical / batches.batch_size)
        sizes.append(batches.batch_size)
    assert sizes == [2, pytest.approx(16, rel=0.2)]


def test_a_stream_is_used_once():
    """Item 75."""
    loader = StreamLoader((i * i for i in range(7)), batch_size=3)
    assert next(iter(loader)).tolist() == [0, 1, 4]
    assert [b.tolist() for b in loader] == [[9, 16, 25], [36]]
    assert list(loader) == []
    with pytest.raises(ValueError, match="StreamLoader"):
        StreamLoader([], 0)
