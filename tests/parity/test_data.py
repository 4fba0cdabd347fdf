"""Collating as PyTorch does."""

from __future__ import annotations

from collections import namedtuple

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
}


def plain(value):
    if hasattr(value, "numpy"):
        return "tensor", str(value.numpy().dtype), value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(v) for v in value]
    return value


@pytest.mark.parametrize("name", BATCHES)
def test_default_collate(name):
    assert plain(ours.default_collate(BATCHES[name](tg))) == plain(theirs.default_collate(BATCHES[name](torch)))


@pytest.mark.parametrize("name", BATCHES)
def test_default_convert(name):
    assert plain(ours.default_convert(BATCHES[name](tg))) == plain(theirs.default_convert(BATCHES[name](torch)))


@pytest.mark.parametrize("batch", [[[1, 2], [1]], [object(), object()], [np.array(["a"]), np.array(["b"])]])
def test_what_is_refused(batch):
    for collate in (ours.default_collate, theirs.default_collate):
        with pytest.raises((TypeError, RuntimeError)):
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
