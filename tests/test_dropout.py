"""Dropout: what is random, and what is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.nn import functional as F

EVERY = [F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout]
RANK = {F.dropout1d: 3, F.dropout2d: 4, F.dropout3d: 5}


def ones(function, *shape):
    return tg.ones(*shape, *(1,) * (RANK.get(function, len(shape)) - len(shape)))


@pytest.mark.parametrize("function", EVERY)
def test_without_training_or_chance_it_is_the_identity(function):
    x = ones(function, 3, 4)
    assert function(x, 0.5, False) is x
    assert function(x, 0.0, True) is x


@pytest.mark.parametrize("function", EVERY)
def test_a_seed_repeats_the_draw(function):
    x = ones(function, 30, 40)
    draws = []
    for _ in range(2):
        tg.manual_seed(5)
        draws.append(function(x, 0.5, True).numpy())
    np.testing.assert_array_equal(*draws)
    assert not np.array_equal(draws[0], function(x, 0.5, True).numpy())


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_and_scale(p):
    tg.manual_seed(0)
    out = F.dropout(tg.ones(200, 500), p).numpy()
    kept = out != 0
    np.testing.assert_allclose(out[kept], 1 / (1 - p), rtol=1e-6)
    assert abs(kept.mean() - (1 - p)) < 5 * math.sqrt(p * (1 - p) / out.size)


def test_the_gradient_passes_where_the_value_does():
    x = tg.randn(50, 20, requires_grad=True)
    out = F.dropout(x, 0.3)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.where(out.detach().numpy() != 0, 1 / 0.7, 0), rtol=1e-6)


@pytest.mark.parametrize("function, space", [(F.dropout1d, (5,)), (F.dropout2d, (5, 4)), (F.dropout3d, (5, 4, 3))])
def test_channels_go_together(function, space):
    shape = (8, 9, *space)
    tg.manual_seed(1)
    out = function(tg.ones(*shape)).numpy().reshape(*shape[:2], -1)
    assert set(np.unique(out)) == {0.0, 2.0}
    assert (out == out[:, :, :1]).all()
    if function is not F.dropout2d:  # a single sample: channels are the first dim
        out = function(tg.ones(*shape[1:])).numpy().reshape(shape[1], -1)
        assert (out == out[:, :1]).all() and len(np.unique(out)) == 2


def test_alpha_dropout_keeps_mean_and_variance():
    tg.manual_seed(2)
    x = tg.randn(300, 1000)
    for p in (0.1, 0.5):
        out = F.alpha_dropout(x, p, True).numpy()
        assert abs(out.mean()) < 0.02 and abs(out.var() - 1) < 0.02


def test_all_dropped():
    x = tg.randn(3, 4, 5, requires_grad=True)
    for function in (F.dropout, F.dropout1d, F.alpha_dropout, F.feature_alpha_dropout):
        out = function(x, 1.0, True)
        assert not out.numpy(force=True).any()
        out.sum().backward()
    assert not x.grad.numpy().any()


def test_in_place():
    tg.manual_seed(3)
    x = tg.ones(10, 10, requires_grad=True)
    y = x * 1
    assert F.dropout(y, 0.5, True, True) is y
    y.sum().backward()
    assert set(np.unique(x.grad.numpy())) == {0.0, 2.0}


def test_what_is_refused():
    for function in EVERY:
        x = ones(function, 2, 3)
        for p in (-0.1, 1.1):
            with pytest.raises(ValueError, match="between 0 and 1"):
                function(x, p, True)
    with pytest.raises(TypeError):
        F.dropout(tg.arange(4))
    with pytest.raises(ValueError):
        F.dropout1d(tg.ones(2, 3, 4, 5))
    with pytest.raises(ValueError):
        F.feature_alpha_dropout(tg.ones(3), 0.5, True)
    with pytest.warns(UserWarning):
        F.dropout2d(tg.ones(4, 5))


def test_gumbel_softmax():
    tg.manual_seed(4)
    logits = tg.tensor([[0.0, 1.0, 2.0]], requires_grad=True)
    soft = F.gumbel_softmax(logits, tau=0.7)
    np.testing.assert_allclose(soft.sum(-1).detach().numpy(), 1, rtol=1e-6)
    rows = logits.detach().expand(20000, 3)
    hard = F.gumbel_softmax(rows, hard=True)
    assert set(np.unique(np.round(hard.numpy(), 6))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0).numpy(), tg.softmax(logits, 1).detach().numpy()[0], atol=0.02)
    F.gumbel_softmax(logits, hard=True)[0, 0].backward()
    assert logits.grad.numpy().any()


def test_rrelu_draws_its_slopes():
    x = -tg.ones(1000)
    slopes = -F.rrelu(x, 0.2, 0.4, training=True).numpy()
    assert slopes.min() >= 0.2 and slopes.max() <= 0.4 and slopes.std() > 0.04
    with pytest.raises(ValueError):
        F.rrelu(x, 0.5, 0.4)
