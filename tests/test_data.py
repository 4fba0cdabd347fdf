"""Datasets, samplers, DataLoader."""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import pickle
import random
import signal as signals
import threading
import time

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

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
from tinygrad_lite.utils.data.generators import numpy_generator


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
    before = threads()
    for _ in DataLoader(Squares(1000), num_workers=3):
        break
    for _ in range(100):
        if threads() <= before:
            break
        time.sleep(0.02)
    assert threads() <= before


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
    {"multiprocessing_context": "fork"},
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
    """Items 25 and 26."""
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
    """Item 73: while gradient noise dominates, a larger batch pays off."""
    draw = np.random.default_rng(0)
    batches = GrowingBatch(SequentialSampler(range(512)), lambda k: 2)
    sizes = []
    for signal in (3.0, 0.25):  # with noise of variance 1, signal equals noise for batches of 1/9 and 16
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


# -- random numbers -----------------------------------------------------------------------------

DRAWS = {
    "tinygrad_lite": lambda: tg.randint(0, 2**62, ()).item(),
    "tinygrad_lite, default generator": lambda: tg.randint(0, 2**62, (), generator=tg.default_generator).item(),
    "numpy": lambda: int(np.random.randint(0, 2**62)),
    "python": lambda: random.getrandbits(62),
    "of the worker": lambda: rng().random_generator.getrandbits(62),
}


def rng():
    return get_worker_info().rng


class Noise(Dataset):
    """Draws a number for each index; slow items now and then change which thread finishes first."""

    def __init__(self, draw, n=24, slow=True):
        self.draw, self.n, self.slow = draw, n, slow

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        first = self.draw()
        if self.slow and i % 5 == 0:
            time.sleep(0.002)
        return i, first, self.draw()


def numpy_seeded(worker):
    np.random.seed(tg.initial_seed() % 2**32)
    random.seed(tg.initial_seed())


def passes_of(loader, count=2, seed=1):
    """The batches of `count` passes, and the numbers that the program itself draws during and after them."""
    tg.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    epochs, own = [], []
    for _ in range(count):
        epochs.append([])
        for batch in loader:
            epochs[-1].append([column.tolist() for column in batch])
            own.append((tg.rand(3).tolist(), np.random.randn(3).tolist(), random.random()))
            time.sleep(0.001)
    return epochs, own


def columns(epoch):
    return [[x for batch in epoch for x in batch[c]] for c in range(3)]


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("init", [None, numpy_seeded])
@pytest.mark.parametrize("num_workers", [1, 2, 5])
@pytest.mark.parametrize("draw", DRAWS)
def test_streams_of_workers_are_their_own_and_come_again(draw, num_workers, init, persistent):
    def loader(n=24):
        return DataLoader(
            Noise(DRAWS[draw], n), 4, shuffle=True, num_workers=num_workers, worker_init_fn=init, persistent_workers=persistent
        )

    epochs, own = passes_of(loader())
    assert passes_of(loader()) == (epochs, own), "run after run the same"
    assert passes_of(loader(), seed=2)[0] != epochs
    numbers = [x for epoch in epochs for column in columns(epoch)[1:] for x in column]
    assert len(set(numbers)) == len(numbers), "no worker's and no epoch's numbers are those of another"
    silent = DataLoader(Noise(lambda: 0, slow=False), 4, shuffle=True, num_workers=num_workers)
    assert passes_of(silent)[1] == own, "the program's own streams do not notice"


def test_the_order_of_a_seed_is_the_same_for_any_number_of_workers():
    def order(num_workers, generator=None, **arguments):
        tg.manual_seed(3)
        generator = generator and seeded()
        loader = DataLoader(xy(50), batch_size=4, num_workers=num_workers, generator=generator, **arguments)
        return [[i for _, y in loader for i in y.tolist()] for _ in range(2)], tg.rand(3).tolist()

    for arguments in ({"shuffle": True}, {"sampler": RandomSampler(range(50), True, 70)}, {"sampler": SubsetRandomSampler(range(40))},
                      {"sampler": WeightedRandomSampler(range(50), 60)}, {"shuffle": True, "generator": True},
                      {"shuffle": False}):  # fmt: skip
        expected = order(0, **arguments)
        assert all(order(n, **arguments) == expected for n in (1, 2, 7)), arguments


def test_the_seed_of_a_worker():
    seen = []

    def note(worker):
        info = get_worker_info()
        seen.append((worker, info.seed, tg.initial_seed(), tg.default_generator.initial_seed()))

    loader = DataLoader(Squares(4), num_workers=3, worker_init_fn=note)
    for _ in range(2):
        list(loader)
    (_, base, *_), later = seen[0], seen[3][1]
    assert seen == [(i, first + i, first + i, first + i) for first in (base, later) for i in range(3)] and base != later


def test_seeding_in_a_worker_is_the_worker_s_affair():
    def seed_all(worker):
        tg.manual_seed(7)
        np.random.seed(7)
        random.seed(7)

    tg.manual_seed(0)
    loader = DataLoader(Noise(DRAWS["tinygrad_lite"]), 4, num_workers=2, worker_init_fn=seed_all)
    np.random.seed(1)
    np.random.randn()  # legacy normal numbers come in pairs: one is kept
    expected = (np.random.RandomState(1).randn(2)[1], tg.initial_seed())
    first = [batch[1].tolist() for batch in loader][:2]
    assert first[0] == first[1]
    assert (np.random.randn(), tg.initial_seed()) == expected


@pytest.mark.parametrize("where", ["iter", "collate", "batch sampler"])
def test_draws_anywhere_come_again(where):
    class Shards(IterableDataset):
        def __iter__(self):
            info = get_worker_info()
            shard = list(range(info.id, 30, info.num_workers))
            random.shuffle(shard)
            return iter([(i, np.random.rand(), 0.0) for i in shard])

    def collate(batch):
        return [tg.tensor(batch), tg.rand(1) + np.random.rand(), tg.tensor(random.random())]

    def batches():
        for _ in range(6):
            yield tg.randint(0, 24, (4,)).tolist()

    class Batches:
        def __iter__(self):
            return batches()

    def loader():
        if where == "iter":
            return DataLoader(Shards(), 4, num_workers=3)
        if where == "collate":
            return DataLoader(Squares(24), 4, num_workers=3, collate_fn=collate)
        return DataLoader(Noise(DRAWS["numpy"]), batch_sampler=Batches(), num_workers=3)

    assert passes_of(loader()) == passes_of(loader())


SHARED = np.random.default_rng(0)


class Own(Dataset):
    """Draws from a generator that all threads share."""

    def __init__(self, where):
        self.where = where
        generator = {"numpy": np.random.default_rng, "legacy": np.random.RandomState, "python": random.Random}.get(where, np.random.default_rng)(3)
        self.generator = seeded(3) if where == "tinygrad_lite" else generator
        if where == "closure":
            self.generator, self.transform = None, lambda: generator.random()
        elif where == "inside":
            self.generator, self.parts = None, [{"a": (Subset(generator, ()),)}]
        elif where == "global":
            self.generator = None
            SHARED.bit_generator.state = np.random.default_rng(1).bit_generator.state

    def __len__(self):
        return 20

    def __getitem__(self, i):
        time.sleep(0.0005 * (i % 3))
        if self.where == "tinygrad_lite":
            return tg.rand(1, generator=self.generator)
        if self.where == "closure":
            return self.transform()
        if self.where == "inside":
            return self.parts[0]["a"][0].dataset.random()
        return SHARED.random() if self.where == "global" else self.generator.random() if self.where != "legacy" else self.generator.rand()


@pytest.mark.parametrize("where", ["numpy", "legacy", "python", "tinygrad_lite", "closure", "inside", "global"])
@pytest.mark.parametrize("within", [lambda dataset: dataset, lambda dataset: Subset(ConcatDataset([dataset, dataset]), range(30))])
def test_draws_from_a_generator_that_the_dataset_keeps_come_again(where, within):
    def numbers():
        loader = DataLoader(within(Own(where)), 2, num_workers=4)
        return [batch.tolist() for _ in range(2) for batch in loader]

    first = numbers()
    assert first == numbers() and len(np.unique(first)) == np.size(first)


def test_an_error_before_the_first_draw_hides_no_draw():
    class Late(Noise):
        def __getitem__(self, i):
            if i < 4:
                raise KeyError(i)
            return super().__getitem__(i)

    def numbers():
        np.random.seed(0)
        tg.manual_seed(0)
        batches = iter(DataLoader(Late(DRAWS["numpy"]), 4, num_workers=3))
        with pytest.raises(KeyError):
            next(batches)
        return [([column.tolist() for column in batch], np.random.rand()) for batch in batches]

    assert numbers() == numbers()


def test_who_draws_from_no_shared_stream_works_ahead_and_in_parallel():
    together = threading.Barrier(8)  # no worker passes it alone

    class Slow(Squares):
        def __getitem__(self, i):
            if 1 <= i <= 8:  # the first batch is fetched by itself
                together.wait(timeout=60)
            return tg.rand(1)

    assert len(list(DataLoader(Slow(17), num_workers=8))) == 17


@pytest.mark.parametrize("draw", [DRAWS["numpy"], DRAWS["tinygrad_lite"], lambda: 0])
@pytest.mark.parametrize("workers", [(2, 2), (2, 0), (0, 2)])
def test_a_loader_within_a_loader_s_worker(draw, workers):
    class Nested(Squares):
        def __getitem__(self, i):
            return [batch[1].sum().item() for batch in DataLoader(Noise(draw, 6), 2, num_workers=workers[1])]

    def numbers():
        tg.manual_seed(0)
        np.random.seed(0)
        results = []
        for batch in DataLoader(Nested(12), 2, num_workers=workers[0]):
            results.append(([x.tolist() for x in batch], np.random.rand(100).tolist()))
            time.sleep(0.002)
        return results

    first = numbers()
    assert first == numbers()
    if workers[0]:
        assert np.ravel([own for _, own in first]).tolist() == np.random.RandomState(0).rand(600).tolist()


def test_weights_are_the_same_run_after_run():
    class Noisy(Dataset):
        def __len__(self):
            return 32

        def __getitem__(self, i):
            return tg.randn(4) + np.random.normal(), tg.tensor([random.random()])

    def train(num_workers):
        tg.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        model = tg.nn.Sequential(tg.nn.Linear(4, 8), tg.nn.Dropout(0.5), tg.nn.Linear(8, 1))
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            for x, y in DataLoader(Noisy(), 4, shuffle=True, num_workers=num_workers):
                optimizer.zero_grad()
                tg.nn.functional.mse_loss(model(x * np.random.rand()), y).backward()
                optimizer.step()
        return [p.tolist() for p in model.parameters()]

    for num_workers in (0, 1, 3):
        assert train(num_workers) == train(num_workers)


def test_a_copy_of_a_generator_goes_on_by_itself():
    for copied in (copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))):
        generator = seeded(5)
        tg.rand(3, generator=generator)
        other = copied(generator)
        assert other.initial_seed() == 5 and other.device == generator.device
        assert tg.rand(3, generator=other).tolist() == tg.rand(3, generator=generator).tolist()


# -- workers ------------------------------------------------------------------------------------


def test_persistent_workers_start_once_and_are_reused():
    started, threads = [], []

    class Who(Squares):
        def __getitem__(self, i):
            threads.append(threading.get_ident())
            return i

    loader = DataLoader(Who(6), num_workers=2, worker_init_fn=started.append, persistent_workers=True)
    assert [[int(b) for b in loader] for _ in range(3)] == [list(range(6))] * 3
    assert started == [0, 1] and len(set(threads)) == 2
    for _ in loader:  # abandoned: what was prepared ahead belongs to no later pass
        break
    assert [int(b) for b in loader] == list(range(6))
    streams = DataLoader(Stream(7), 3, num_workers=2, persistent_workers=True)
    assert [[b.tolist() for b in streams] for _ in range(2)] == [[[0, 2, 4], [1, 3, 5], [6]]] * 2


def test_an_error_of_the_sampler_comes_where_its_batch_is_due():
    def sampler():
        yield from range(3)
        raise KeyError("no index")

    for num_workers in (0, 1, 4):
        batches, seen = iter(DataLoader(Squares(9), sampler=sampler(), num_workers=num_workers)), []
        with pytest.raises(KeyError, match="no index"):
            while True:
                seen.append(int(next(batches)))
        assert seen == [0, 1, 4]
        with pytest.raises(StopIteration):
            next(batches)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError])
def test_whatever_a_worker_raises_is_raised_in_the_loop(error):
    class Bad(Squares):
        def __getitem__(self, i):
            if i == 1:
                raise error("here")
            return i

    batches = iter(DataLoader(Bad(3), num_workers=2))
    assert int(next(batches)) == 0
    with pytest.raises(error, match="here"):
        next(batches)
    assert int(next(batches)) == 2


def test_an_error_of_the_init_function_comes_with_the_worker_s_first_batch():
    def init(worker):
        if worker == 1:
            raise ValueError("no database")

    batches = iter(DataLoader(Squares(4), num_workers=2, worker_init_fn=init))
    assert int(next(batches)) == 0
    with pytest.raises(ValueError, match="no database"):
        next(batches)


def test_a_thread_that_cannot_be_started_is_an_error_in_the_loop(monkeypatch):
    started, start = [], threading.Thread.start

    def start_one(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    batches = iter(DataLoader(Squares(4), num_workers=2))
    assert int(next(batches)) == 0
    with pytest.raises(RuntimeError, match="can't start new thread"):
        next(batches)


def threads():
    """The number of threads. (If an interrupt comes before Python has started one, Python lists it forever.)"""
    return sum(thread.ident is not None for thread in threading.enumerate())


def ended(before, seconds=4):
    for _ in range(int(seconds / 0.02)):
        if threads() <= before:
            return True
        time.sleep(0.02)
    return False


def test_threads_end_after_an_error_that_is_kept():
    class Bad(Squares):
        def __getitem__(self, i):
            raise KeyError(i)

    before, kept = threads(), []
    gc.disable()
    try:
        for _ in range(3):
            try:
                list(DataLoader(Bad(9), num_workers=4))
            except KeyError as error:
                kept.append(error.args)
        assert ended(before)
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see `alarms`
@pytest.mark.skipif(not hasattr(signals, "setitimer"), reason="the system has no timers")
@pytest.mark.parametrize("persistent", [False, True])
def test_interrupts_leave_no_threads_and_give_the_streams_back(persistent):
    class Slow(Squares):
        def __getitem__(self, i):
            time.sleep(1e-4)
            return np.random.rand()

    before = threads()
    with alarms() as alarm_in:
        for i in range(60):
            loader = DataLoader(Slow(400), 4, num_workers=3, persistent_workers=persistent)
            np.random.seed(i)
            with pytest.raises(KeyboardInterrupt):
                alarm_in(1e-4 + 2e-4 * i)
                while True:
                    for _ in loader:
                        pass
            alarm_in(0)
            assert np.random.rand() == np.random.RandomState(i).rand()
            assert i % 20 or len(list(loader)) == 100
            del loader
    assert ended(before), threads() - before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see `alarms`
@pytest.mark.skipif(not hasattr(signals, "setitimer"), reason="the system has no timers")
@pytest.mark.parametrize("draw", [lambda: 0, np.random.rand])
def test_an_interrupted_pass_is_over_even_if_the_interrupt_is_kept(draw):
    class Slow(Squares):
        def __getitem__(self, i):
            time.sleep(0.02)
            return draw()

    before, kept = threads(), []
    while len(kept) < 3:  # this test, the handler; no more if the interrupt came in this loop, between two batches
        with alarms() as alarm_in, pytest.raises(KeyboardInterrupt) as interrupt:
            batches = iter(DataLoader(Slow(400), num_workers=3))
            alarm_in(0.1)
            for _ in batches:
                pass
        kept = interrupt.traceback
    assert ended(before)
    with pytest.raises(RuntimeError, match="interrupted"):
        next(batches)


@contextlib.contextmanager
def alarms():
    """A function that raises KeyboardInterrupt after some seconds, and every 5 seconds from then on, because Python drops
    one that comes in a callback of a weak reference or of the garbage collector, of which the test runner has some. Calling
    it with 0 stops it."""

    def interrupt(*_):
        raise KeyboardInterrupt

    handler = signals.signal(signals.SIGALRM, interrupt)
    try:
        yield lambda seconds: signals.setitimer(signals.ITIMER_REAL, seconds, 5)
    finally:
        signals.setitimer(signals.ITIMER_REAL, 0)
        signals.signal(signals.SIGALRM, handler)


def test_a_slow_worker_keeps_no_stream_of_the_program():
    class Slow(Squares):
        def __getitem__(self, i):
            np.random.rand()
            time.sleep(0.5)
            return i

    np.random.seed(0)
    batches = iter(DataLoader(Slow(2), num_workers=1, timeout=0.05))
    with pytest.raises(RuntimeError, match="no batch"):
        next(batches)
    own = [np.random.rand()]
    time.sleep(0.7)
    own.append(np.random.rand())
    assert own == np.random.RandomState(0).rand(2).tolist()
    assert int(next(batches)) == 0


def test_a_million_million_draws_are_not_made_at_once():
    sampler = RandomSampler(range(10), replacement=True, num_samples=10**12, generator=seeded())
    assert list(itertools.islice(sampler, 100)) == list(itertools.islice(RandomSampler(range(10), True, 100, seeded()), 100))
    x, _ = next(iter(DataLoader(xy(), 4, sampler=sampler, num_workers=2)))
    assert x.shape == (4, 2)
    with pytest.raises(ValueError, match="empty"):
        list(RandomSampler([], num_samples=3))


def test_indices_of_every_kind_mean_rows():
    data = TensorDataset(tg.tensor(np.arange(8).reshape(4, 2)), tg.arange(4))
    for indices in (tg.tensor([3, 0, 2]), np.array([3, 0, 2]), [np.int64(3), 0, -2], np.array([3, 0, 2], np.uint8), [tg.tensor(3), 0, tg.tensor(2)]):
        for loader in (DataLoader(data, 2, sampler=indices), DataLoader(Subset(data, indices), 2),
                       DataLoader(data, batch_sampler=[indices[:2], indices[2:]])):  # fmt: skip
            batches = [(x.tolist(), y.tolist()) for x, y in loader]
            assert batches == [([[6, 7], [0, 1]], [3, 0]), ([[4, 5]], [2])]


def test_what_a_loader_was_made_with_stays():
    loader = DataLoader(Squares(4), 2)
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=name):
            setattr(loader, name, getattr(loader, name))
    loader.timeout, loader.worker_init_fn = 3, print


def test_a_pass_has_a_length():
    for num_workers in (0, 2):
        assert len(iter(DataLoader(Squares(5), 2, num_workers=num_workers))) == 3
    with pytest.raises(TypeError):
        len(iter(DataLoader(Stream(5), 2)))


def test_a_dataset_s_own_batch_is_its_own_affair():
    class WithBatch(Squares):
        batch = 32

    class Several(TensorDataset):
        def __getitems__(self, indices):
            return [(tg.tensor(-i),) for i in indices]

    class Doubled(Subset):
        def __getitem__(self, i):
            return 2 * super().__getitem__(i)

    assert next(iter(DataLoader(WithBatch(4), 2))).tolist() == [0, 1]
    assert next(iter(DataLoader(Several(tg.ones(4)), 2)))[0].tolist() == [0, -1]
    assert next(iter(DataLoader(Subset(Several(tg.ones(4)), [3, 1]), 2)))[0].tolist() == [-3, -1]
    assert next(iter(DataLoader(Doubled(Squares(4), [3, 1]), 2))).tolist() == [18, 2]
    assert next(iter(DataLoader(StackDataset(a=Several(tg.ones(4)), b=Squares(4)), 2)))["a"][0].tolist() == [0, -1]


class Marked(Dataset):
    """The index and a draw; some indices are errors, and one batch may interrupt the waiting program."""

    def __init__(self, n, draw, bad):
        self.n, self.draw, self.bad = n, draw, bad
        self.interrupts = []  # the seeds of the workers one of which is to interrupt the program

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if any(get_worker_info().seed in seeds for seeds in self.interrupts) and self.interrupts.pop():
            signals.pthread_kill(threading.main_thread().ident, signals.SIGALRM)
            time.sleep(0.05)
        if i in self.bad:
            raise KeyError(i)
        return i, self.draw()


class Loaders(RuleBasedStateMachine):
    """Passes of several loaders, abandoned or interrupted at any time, while the program itself draws numbers."""

    loaders, passes = Bundle("loaders"), Bundle("passes")

    def __init__(self):
        super().__init__()
        self.threads = threads()
        self.alarms = alarms()
        self.alarms.__enter__()
        tg.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        self.numpy, self.python = np.random.RandomState(0), random.Random(0)
        self.drawn = set()

    @rule(
        target=loaders,
        n=st.integers(1, 12),
        draw=st.sampled_from([*DRAWS.values()][:4]),
        bad=st.sets(st.integers(0, 11), max_size=2),
        num_workers=st.integers(1, 3),
        batch_size=st.integers(1, 4),
        shuffle=st.booleans(),
        drop_last=st.booleans(),
        persistent=st.booleans(),
        init=st.sampled_from([None, numpy_seeded, lambda worker: None]),
    )
    def make(self, n, draw, bad, num_workers, batch_size, shuffle, drop_last, persistent, init):
        loader = DataLoader(
            Marked(n, draw, bad), batch_size, shuffle, num_workers=num_workers, drop_last=drop_last, persistent_workers=persistent,
            worker_init_fn=init, prefetch_factor=1 + n % 3,
        )  # fmt: skip
        plain = DataLoader(range(n), batch_size, shuffle, drop_last=drop_last)
        return {"loader": loader, "plain": plain, "pass": None}

    @rule(target=passes, made=loaders)
    def begin(self, made):
        state = tg.get_rng_state()
        expected = [batch.tolist() for batch in made["plain"]]
        after = tg.get_rng_state()
        tg.set_rng_state(state)
        begun = {"batches": iter(made["loader"]), "expected": expected, "dataset": made["loader"].dataset, "over": False}
        assert tg.get_rng_state().tolist() == after.tolist(), "as many draws as without workers"
        if made["loader"].persistent_workers and made["pass"]:
            made["pass"].update(batches=iter(()), expected=[])
        made["pass"] = begun
        return begun

    @rule(begun=passes)
    def step(self, begun):
        if begun["over"]:
            return
        if not begun["expected"]:
            with pytest.raises(StopIteration):
                next(begun["batches"])
            return
        indices = begun["expected"].pop(0)
        if begun["dataset"].bad.intersection(indices):
            with pytest.raises(KeyError):
                next(begun["batches"])
        else:
            batch, numbers = next(begun["batches"])
            assert batch.tolist() == indices
            assert not self.drawn.intersection(numbers.tolist())
            self.drawn.update(numbers.tolist())

    @rule(begun=passes)
    def interrupt(self, begun):
        if begun["over"] or not begun["expected"]:
            return
        begun["dataset"].interrupts.append({shared.seed for shared in begun["batches"].batches.shared})
        try:
            for _ in range(20):  # what was prepared ahead comes first
                with contextlib.suppress(KeyError):
                    next(begun["batches"])
                    time.sleep(0.001)
        except KeyboardInterrupt:
            begun["over"] = True
        except StopIteration:
            pass
        else:
            raise AssertionError("no end")
        begun["dataset"].interrupts.clear()
        begun["expected"] = []

    @rule(begun=passes)
    def leave(self, begun):
        begun.update(batches=iter(()), expected=[])

    @invariant()
    def the_program_s_own_streams_do_not_notice(self):
        assert np.random.randn() == self.numpy.randn()
        assert random.random() == self.python.random()

    def teardown(self):
        self.alarms.__exit__(None, None, None)


Loaders.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@pytest.mark.skipif(not hasattr(signals, "pthread_kill"), reason="the system cannot signal a thread")
def test_loaders_in_any_order():
    before = threads()
    Loaders.TestCase("runTest").runTest()
    gc.collect()
    assert ended(before)
