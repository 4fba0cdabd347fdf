"""Embedding, bags, one-hot vectors and bilinear maps against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import Fixed, compare, refused

F = "nn.functional."
draw = np.random.default_rng(51)
table = draw.standard_normal((7, 3))
index = draw.integers(0, 7, (4, 5))


@pytest.mark.parametrize("kwargs", [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True},
                                    {"scale_grad_by_freq": True, "padding_idx": 3}])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_embedding(kwargs, dtype):
    # PyTorch cannot differentiate scale_grad_by_freq twice.
    order = 1 if "scale_grad_by_freq" in kwargs else 2
    for places in (index, index[0], np.array(3), np.zeros((0,), int), np.zeros((2, 0), int), index.astype("int32")):
        compare(F + "embedding", places, table, dtype=dtype, order=order, **kwargs)
    compare(F + "embedding", np.zeros((300,), int), draw.standard_normal((1, 400)), dtype=dtype, order=1)


def test_top_level_embedding():
    compare("embedding", table, index)
    compare("embedding", table, index, 2)
    compare("embedding", table, index, -1, True, order=1)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0])
def test_max_norm_changes_the_table(norm_type):
    def library(m):
        def call(places, table):
            return m.nn.functional.embedding(places, table, max_norm=0.8, norm_type=norm_type), table

        return call

    compare(library, index[0, :3], Fixed(table), order=0)
    compare(library, index[0, :3], Fixed(table), order=0, dtype="float32")
    compare(lambda m: lambda places, table: m.nn.functional.embedding(places, table, max_norm=0.8), index[0], table, order=1)


BAGS = [{}, {"mode": "sum"}, {"mode": "max"}, {"padding_idx": 2}, {"mode": "sum", "padding_idx": 2},
        {"mode": "max", "padding_idx": 2}]  # fmt: skip


@pytest.mark.parametrize("kwargs", BAGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_embedding_bag(kwargs, dtype):
    flat = np.array([1, 2, 2, 5, 0, 2, 6, 6])
    compare(F + "embedding_bag", index, table, dtype=dtype, order=1, **kwargs)
    for offsets in ([0], [0, 3], [0, 0, 3, 8], [0, 1, 2, 3]):
        compare(F + "embedding_bag", flat, table, np.array(offsets), dtype=dtype, order=1, **kwargs)
    compare(F + "embedding_bag", flat, table, np.array([0, 3, 3, 8]), include_last_offset=True, dtype=dtype, order=1, **kwargs)
    if kwargs.get("mode") == "sum":
        weights = draw.standard_normal(8)
        compare(F + "embedding_bag", flat, table, np.array([0, 3]), per_sample_weights=weights, dtype=dtype, order=1, **kwargs)
        compare(F + "embedding_bag", index, table, per_sample_weights=table[index][..., 0], dtype=dtype, order=1, **kwargs)


def test_bags_scaled_by_frequency():
    """PyTorch divides by the frequency of another row here, so our own embedding is the reference."""
    rows, bags = (tg.tensor(table, requires_grad=True) for _ in range(2))
    tg.nn.functional.embedding(tg.tensor(index), rows, scale_grad_by_freq=True).sum().backward()
    tg.nn.functional.embedding_bag(tg.tensor(index), bags, scale_grad_by_freq=True, mode="sum").sum().backward()
    np.testing.assert_allclose(bags.grad.numpy(), rows.grad.numpy())


def test_refusals():
    refused(F + "embedding", np.array([7]), table)
    refused(F + "embedding", np.array([-1]), table)
    refused(F + "embedding", np.array([1.0]), table)
    refused(F + "embedding", np.array([1], "int16"), table)
    refused(F + "embedding", np.array([1]), table[0])
    bag = F + "embedding_bag"
    flat = np.array([1, 2, 3])
    refused(bag, flat, table)
    refused(bag, flat, table, np.array([1, 2]))
    refused(bag, flat, table, np.array([0, 4]))
    refused(bag, flat, table, np.array([0, 2]), mode="median")
    refused(bag, flat, table, np.array([0, 2]), mode="max", scale_grad_by_freq=True)
    refused(bag, flat[None], table, np.array([0]))
    refused(bag, flat[None, None], table)
    refused(bag, flat[None], table, per_sample_weights=np.ones((1, 3)))
    refused(bag, np.array([[7]]), table)


def test_bad_padding_idx():
    with pytest.raises(ValueError, match="padding_idx 7 is out of range for 7 rows"):
        tg.nn.functional.embedding(tg.tensor([1]), tg.tensor(table), padding_idx=7)


def test_one_hot():
    compare(F + "one_hot", index)
    compare(F + "one_hot", index, 9)
    compare(F + "one_hot", np.array(2))
    compare(F + "one_hot", np.zeros((0,), int), 3)
    for bad in ((index.astype("int32"),), (np.array([0, -1]),), (np.array([0, 3]), 3), (np.zeros(0, int),), (index, 0)):
        refused(F + "one_hot", *bad)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bilinear(dtype):
    def normal(*shape):
        return draw.standard_normal(shape)

    bilinear = F + "bilinear"
    for leading in ((), (4,), (2, 3), (0,)):
        compare(bilinear, normal(*leading, 3), normal(*leading, 4), normal(5, 3, 4), dtype=dtype)
        compare(bilinear, normal(*leading, 3), normal(*leading, 4), normal(5, 3, 4), normal(5), dtype=dtype)
    refused(bilinear, normal(4, 3), normal(3, 4), normal(5, 3, 4))
    refused(bilinear, normal(4, 3), normal(4, 4), normal(5, 4, 4))
    refused(bilinear, normal(4, 3), normal(4, 4), normal(5, 3, 4), normal(4))
