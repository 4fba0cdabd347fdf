"""Attention and normalization with compiled loops (the extra `fast`): the same numbers as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.kernels import attention

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = [pytest.mark.skipif(not available(), reason="loops are switched off"), pytest.mark.usefixtures("loops_of_its_own")]


def draw(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def attend(arrays, mask=None, **options):
    """The result, and the gradients of query, key, value and the mask if it takes part."""
    q, k, v = (tg.tensor(a, requires_grad=True) for a in arrays)
    inputs = [q, k, v]
    if mask is not None:
        mask = tg.tensor(mask, requires_grad=mask.dtype.kind == "f")
        inputs += [mask] if mask.requires_grad else []
    out = F.scaled_dot_product_attention(q, k, v, mask, **options)
    gradients = tg.autograd.grad((out * tg.tensor(draw(*out.shape, dtype=arrays[0].dtype, seed=9))).sum(), inputs)
    return [a.detach().numpy() for a in (out, *gradients)]


def agree(found, dtype=np.float32):
    for got, want in zip(*found):
        rtol = {np.float16: 2e-3, np.float32: 2e-5, np.float64: 1e-12}[dtype]
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol / 10)


SHAPES = [
    ((2, 3, 40, 8), (2, 3, 40, 8)), ((16, 4, 64, 32), (16, 4, 64, 32)), ((70, 60), (90, 60)), ((5, 33, 7), (5, 65, 7)),
    ((300, 20), (300, 20)), ((3, 1, 50, 4), (1, 4, 30, 4)), ((0, 3, 4), (0, 5, 4)), ((2, 0, 4), (2, 5, 4)), ((2, 3, 4), (2, 0, 4)),
]  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("query, key", SHAPES)
def test_attention_gives_what_it_gives_without(query, key, dtype, causal, both_forms):
    arrays = draw(*query, dtype=dtype), draw(*key, dtype=dtype, seed=1), draw(*key, dtype=dtype, seed=2)
    agree(both_forms(lambda: attend(arrays, is_causal=causal)), dtype)


def masks():
    random = draw(64, 64, seed=3)
    lone = np.full((64, 64), -np.inf, np.float32)
    lone[:, 7] = 0
    yield from {"numbers": random, "a key for all": lone, "bool": random > 0.5}.items()
    yield "per batch", draw(8, 1, 1, 64) > 0
    fully = (random > 0.5) & (np.arange(64) % 3 > 0)[:, None]
    yield "fully masked rows", fully
    yield "nothing but masked rows", np.zeros((64, 64), bool)
    yield "numbers far below", random - np.where(np.arange(64) < 32, 1e4, 0).astype(np.float32)


@pytest.mark.parametrize("mask", [pytest.param(mask, id=name) for name, mask in masks()])
def test_masks(mask, both_forms):
    arrays = [draw(8, 2, 64, 16, seed=i) for i in range(3)]
    found = both_forms(lambda: attend(arrays, mask))
    agree(found)
    if mask.dtype == bool:
        nothing = ~np.broadcast_to(mask, (8, 2, 64, 64)).any(-1)
        assert (found[0][0][nothing] == 0).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_scores_that_are_no_numbers(value, causal, both_forms):
    query, key, values = (draw(4, 32, 64, 8, seed=i) for i in range(3))
    key = np.abs(key)
    query[1, 2, 3] = value
    query[2] = value
    with np.errstate(all="ignore"):
        agree(both_forms(lambda: attend([query, key, values], is_causal=causal)))


def test_a_causal_row_whose_keys_so_far_are_forbidden(both_forms):
    scores = draw(40, 80)
    scores[7, :8] = -np.inf
    scores[9, 3] = np.nan
    scores[11, 12] = np.nan  # a key that comes later

    def weights():
        out = np.empty_like(scores)
        found = attention._softmax_in_loops(scores, out, True)
        return [out] if found else []

    (out,), none = both_forms(weights)
    assert not none and (out[7] == 0).all() and np.isnan(out[9]).all() and (out[11, 12:] == 0).all()
    np.testing.assert_allclose(np.delete(out, [7, 9], 0).sum(1), 1, rtol=1e-6)
    assert (np.triu(np.delete(out, 9, 0), 1)[:9] == 0).all()


def test_the_gradient_of_the_gradient(both_forms):
    arrays = [draw(4, 64, 8, seed=i) for i in range(3)]

    def twice():
        q, k, v = (tg.tensor(a, requires_grad=True) for a in arrays)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        first = tg.autograd.grad(out.square().sum(), (q, k, v), create_graph=True)
        second = tg.autograd.grad(sum(g.square().sum() for g in first), (q, k, v))
        return [a.detach().numpy() for a in (*first, *second)]

    for got, want in zip(*both_forms(twice)):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4 * np.abs(want).max())


def in_layout(shape, order, seed):
    """Random numbers of a shape, whose dims follow each other in memory in the given order."""
    return draw(*(shape[dim] for dim in order), seed=seed).transpose(np.argsort(order))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (2, 0, 1, 3), (0, 1, 3, 2), (1, 0, 2, 3)])
@pytest.mark.parametrize("length, keys, width, value_width", [(33, 47, 5, 5), (64, 64, 32, 32), (1, 300, 16, 17), (50, 129, 3, 1)])
def test_heads_in_one_call(length, keys, width, value_width, order, threads, both_forms):
    sizes = (length, width), (keys, width), (keys, value_width)
    arrays = [in_layout((4, 9, *size), order, seed) for seed, size in enumerate(sizes)]
    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    try:
        agree(both_forms(lambda: attend(arrays, draw(9, length, keys, seed=5))))
    finally:
        tg.set_num_threads(before)


def test_a_weight_of_zero_still_multiplies_values_that_are_no_numbers(both_forms):
    arrays = [draw(8, 64, 16, seed=i) for i in range(3)]
    arrays[2][1, 40, 3] = np.nan
    found = both_forms(lambda: attend(arrays, is_causal=True))
    agree(found)
    assert np.isnan(found[0][0][1, :, 3]).all()


def test_what_is_too_long_or_of_other_dims_takes_the_other_way(both_forms):
    for shape in ((2, 600, 8), (2, 2, 2, 40, 8)):
        agree(both_forms(lambda: attend([draw(*shape, seed=i) for i in range(3)], is_causal=True)))


@pytest.mark.parametrize("length, keys", [(64, 64), (25, 70), (70, 25), (13, 13)])
@pytest.mark.parametrize("which", [0, 1, 2, None])
@pytest.mark.parametrize("value", [np.nan, np.inf, -0.0])
def test_gradients_of_causal_attention_to_what_is_no_number(length, keys, which, value, both_forms):
    arrays = [draw(8, size, 16, seed=i) for i, size in enumerate((length, keys, keys))]
    if which is not None:
        arrays[which][1, -2, 3] = value  # which most queries may not see
        arrays[which][2, 0, 5] = value
    found = both_forms(lambda: attend(arrays, is_causal=True))
    agree([[a[[0, *range(3, 8)]] for a in form] for form in found])
    for got, want in zip(*found):
        if which == 2 or np.isfinite(value):  # scores that are no numbers: NumPy's mask does not hide them
            np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
