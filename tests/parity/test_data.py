"""Collating, as in PyTorch."""

from __future__ import annotations

from collections import OrderedDict, UserList, deque, namedtuple
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
from torch.utils import data as theirs  # noqa: E402

from tinygrad_lite.utils import data as ours  # noqa: E402

Point = namedtuple("Point", "x y")

BATCHES = {
    "tensors": lambda lib: [lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])],
    "arrays": lambda lib: [np.array([1, 2], np.int16), np.array([3, 4], np.int16)],
    "numpy scalars": lambda lib: [np.float32(1.5), np.float32(2.5)],
    "floats": lambda lib: [1.5, 2.5],
    "ints": lambda lib: [1, 2],
    "bools": lambda lib: [True, False],
    "strings": lambda lib: ["a", "b"],
    "tuples": lambda lib: [(1, "a", lib.tensor([1.0])), (2, "b", lib.tensor([2.0]))],
    "dicts": lambda lib: [{"x": 1, "y": [1.0, 2.0]}, {"x": 2, "y": [3.0, 4.0]}],
    "named": lambda lib: [Point(1, 2.0), Point(3, 4.0)],
    "numpy strings": lambda lib: [np.str_("a"), np.str_("b")],
    "numpy bytes": lambda lib: [np.bytes_(b"a"), np.bytes_(b"b")],
    "strings of both kinds": lambda lib: [(np.str_("a"), "c"), ("b", np.str_("d"))],
    "numpy numbers of several dtypes": lambda lib: [np.float32(1), np.int64(2)],
    "numpy and Python numbers": lambda lib: [np.float32(1.5), 2.5],
    "numpy bools": lambda lib: [np.bool_(True), np.bool_(False)],
    "tensors of several dtypes": lambda lib: [lib.tensor([1], dtype=lib.int32), lib.tensor([1.5])],
    "arrays of several dtypes": lambda lib: [np.ones(2, np.int32), np.ones(2, np.float32)],
    "array and tensor": lambda lib: [np.ones(2, np.float32), lib.ones(2)],
    "0-d": lambda lib: [lib.tensor(1.0), lib.tensor(2.0)],
    "empty": lambda lib: [lib.zeros(0, 3), lib.zeros(0, 3)],
    "requires grad": lambda lib: [lib.tensor([1.0], requires_grad=True), lib.tensor([2.0], requires_grad=True)],
    "one requires grad": lambda lib: [lib.tensor([1.0]), lib.tensor([2.0], requires_grad=True)],
    "on the tape": lambda lib: [lib.tensor([1.0], requires_grad=True) * 2, lib.tensor([2.0])],
    "grad inside": lambda lib: [{"x": (lib.tensor(1.0, requires_grad=True), 1)}, {"x": (lib.tensor(2.0), 2)}],
    "list subclass": lambda lib: [Row([1, 2.0]), Row([3, 4.0])],
    "deques": lambda lib: [deque([1, 2]), deque([3, 4])],
    "ordered": lambda lib: [OrderedDict(a=1, b=2.0), OrderedDict(b=3.0, a=4)],
    "mapping proxies": lambda lib: [MappingProxyType({"a": 1}), MappingProxyType({"a": 2})],
    "user lists": lambda lib: [UserList([1, 2]), UserList([3, 4])],
    "ranges": lambda lib: [range(2), range(2, 4)],
}


class Row(list):
    pass


def plain(value):
    if hasattr(value, "numpy"):
        return "tensor", str(value.detach().numpy().dtype), value.tolist(), value.requires_grad, value.is_leaf
    if isinstance(value, Mapping):
        return type(value).__name__, {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, deque, UserList)):
        return type(value).__name__, [plain(v) for v in value]
    return value


@pytest.mark.parametrize("name", BATCHES)
def test_default_collate(name):
    assert plain(ours.default_collate(BATCHES[name](tg))) == plain(theirs.default_collate(BATCHES[name](torch)))


@pytest.mark.parametrize("name", BATCHES)
def test_default_convert(name):
    if name == "numpy bytes":
        pytest.skip("PyTorch's default_convert breaks off with an internal error")
    assert plain(ours.default_convert(BATCHES[name](tg))) == plain(theirs.default_convert(BATCHES[name](torch)))


def test_the_gradient_goes_through_a_batch():
    def gradients(lib, data):
        table = lib.nn.Embedding(4, 3)
        with lib.no_grad():
            table.weight.copy_(lib.arange(12.0).reshape(4, 3))
        samples = [(table.weight[i] * i, table.weight[i].sum()) for i in range(4)]
        for x, y in data.DataLoader(samples, batch_size=3):
            (x.square().sum() + y.prod()).backward(retain_graph=True)
        return table.weight.grad.tolist()

    assert gradients(tg, ours) == gradients(torch, theirs)


@pytest.mark.parametrize("batch", [
    [[1, 2], [1]], [object(), object()], [np.array(["a"]), np.array(["b"])], [np.ones(2), np.ones(3)], [np.datetime64(1, "s")],
    [{"a": 1}, {"b": 1}], [1.0, "a"], [None], [{1}, {2}],
])
def test_what_is_refused(batch):
    for collate in (ours.default_collate, theirs.default_collate):
        with pytest.raises((TypeError, RuntimeError, KeyError)):
            collate(batch)


@pytest.mark.parametrize("arguments", [
    {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}, {"sampler": [3, 1, 2], "batch_size": 2},
    {"batch_sampler": [[0], [4, 2]]}, {"num_workers": 0, "collate_fn": list, "batch_size": 2},
])
def test_batches_in_order(arguments):
    def batches(lib, data):
        rows = lib.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0], [8.0, 9.0]])
        loader = data.DataLoader(data.TensorDataset(rows, lib.tensor([0, 1, 2, 3, 4])), **arguments)
        return plain(list(loader)), len(loader), loader.batch_size

    assert batches(tg, ours) == batches(torch, theirs)


def stream(data, n=5, **length):
    class Numbers(data.IterableDataset):
        def __iter__(self):
            return iter(range(n))

    if length:
        Numbers.__len__ = lambda self: length["length"]
    return Numbers()


class Unsized:
    def __getitem__(self, i):
        return i


PROGRAMS = {
    "indices from a tensor": lambda lib, data: list(data.DataLoader(data.TensorDataset(lib.arange(8).reshape(4, 2)), 2, sampler=lib.tensor([3, 1, 0]))),
    "indices from an array": lambda lib, data: list(data.DataLoader(data.TensorDataset(lib.arange(8).reshape(4, 2)), 2, sampler=np.array([3, 1, 0]))),
    "a subset by a tensor": lambda lib, data: list(data.DataLoader(data.Subset(data.TensorDataset(lib.arange(5)), lib.tensor([3, 1, 4])), 2)),
    "keys": lambda lib, data: list(data.DataLoader({"x": 1, "y": 2}, 2, sampler=["y", "x"])),
    "a stream": lambda lib, data: list(data.DataLoader(stream(data), 2)),
    "a stream without its rest": lambda lib, data: list(data.DataLoader(stream(data), 2, drop_last=True)),
    "a stream one by one": lambda lib, data: list(data.DataLoader(stream(data), None)),
    "a stream with a length": lambda lib, data: len(data.DataLoader(stream(data, length=5), 2)),
    "a stream without a length": lambda lib, data: len(data.DataLoader(stream(data), 2)),
    "a stream, shuffled": lambda lib, data: data.DataLoader(stream(data), 2, shuffle=True),
    "a stream with a sampler": lambda lib, data: data.DataLoader(stream(data), 2, sampler=[1]),
    "no length": lambda lib, data: len(data.DataLoader(Unsized(), 2)),
    "no length, but a sampler": lambda lib, data: list(data.DataLoader(Unsized(), 2, sampler=[1, 2, 3])),
    "two passes at once": lambda lib, data: list(zip(*[data.DataLoader([1, 2, 3], 2)] * 2)),
    "the length of a pass": lambda lib, data: len(iter(data.DataLoader([1, 2, 3], 2))),
    "another batch size later": lambda lib, data: setattr(data.DataLoader([1], 2), "batch_size", 3),
    "another sampler later": lambda lib, data: setattr(data.DataLoader([1], 2), "sampler", [0]),
    "another dataset later": lambda lib, data: setattr(data.DataLoader([1], 2), "dataset", [0]),
    "a start method for nobody": lambda lib, data: data.DataLoader([1], multiprocessing_context="spawn"),
    "a generator that is none": lambda lib, data: list(data.DataLoader([1, 2], shuffle=True, generator=3)),
    "several items": lambda lib, data: list(data.DataLoader(Several(), 2)),
    "several items of a subset": lambda lib, data: list(data.DataLoader(data.Subset(Several(), [2, 0]), 2)),
    "a random sampler's length": lambda lib, data: (len(data.RandomSampler([1, 2], num_samples=5)), len(list(data.RandomSampler([1, 2], True, 70)))),
    "a random sampler of nothing": lambda lib, data: list(data.RandomSampler([], num_samples=3)),
    "replacement by nothing": lambda lib, data: data.RandomSampler([1], replacement=1),
    "a split": lambda lib, data: [len(part) for part in data.random_split(range(11), [0.33, 0.33, 0.34])],
    "a split of too much": lambda lib, data: data.random_split(range(11), [6, 6]),
    "joined, from behind": lambda lib, data: data.ConcatDataset([[1, 2], [], [3]])[-1],
}  # fmt: skip


class Several:
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return i

    def __getitems__(self, indices):
        return [-i for i in indices]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore")
def test_loaders_and_samplers(name):
    def outcome(lib, data):
        try:
            return plain(PROGRAMS[name](lib, data))
        except (TypeError, ValueError, RuntimeError, ZeroDivisionError, AttributeError):
            return "refused"

    assert outcome(tg, ours) == outcome(torch, theirs)
