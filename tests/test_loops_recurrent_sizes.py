"""Recurrent layers as compiled walks (the extra `fast`), on small and odd sizes: the same numbers as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.arrays import compiling
from tinygrad_lite.arrays.kernels import recurrent, recurrent_loops, recurrent_rows

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = pytest.mark.skipif(not compiling.available(), reason="compiled loops are switched off")

INPUTS = 5
KINDS = ("lstm", "projected", "gru", "tanh", "relu")
SIZES = {"full": lambda batch: (batch,) * 4, "packed": lambda batch: tuple(n for n in (batch, -(-batch // 2), -(-batch // 3), 1) if n)}


@pytest.fixture(autouse=True)
def _of_any_size(monkeypatch):
    monkeypatch.setattr(recurrent_loops, "SMALLEST", 1)
    monkeypatch.setattr(recurrent_loops, "_WORTH_THREADS", 1)


def arguments(kind, hidden, batch, biased, sizes, dtype, draw):
    """The arguments of a kernel but the last two, and the number of its states."""
    gates = {"gru": 3, "tanh": 1, "relu": 1}.get(kind, 4)
    width = -(-hidden // 2) if kind == "projected" else hidden

    def normal(*shape):
        return draw.standard_normal(shape).astype(dtype)

    states = [normal(batch, width), normal(batch, hidden)] if gates == 4 else [normal(batch, hidden)]
    biases = [normal(gates * hidden), normal(gates * hidden)] if biased else [None, None]
    weights = [normal(gates * hidden, INPUTS) / 2, normal(gates * hidden, width) / hidden**0.5, *biases]
    more = {"projected": [normal(width, hidden)], "lstm": [None], "gru": []}.get(kind, [kind])
    return [normal(sum(sizes), INPUTS), *states, *weights, *more], len(states)


def results(kind, given, states, sizes, reverse, cotangents):
    """The results of a kernel, and the gradients of all its arguments."""
    if kind in ("lstm", "projected"):
        found, *kept = recurrent.lstm(*given, sizes, reverse)
        gradients = recurrent.lstm_gradient((True,) * 8, cotangents, given[3], given[4], given[7], sizes, reverse, *kept)
    elif kind == "gru":
        found, *kept = recurrent.gru(*given, sizes, reverse)
        gradients = recurrent.gru_gradient((True,) * 6, cotangents, given[2], given[3], sizes, reverse, *kept)
    else:
        found, *kept = recurrent.rnn(*given, sizes, reverse)
        gradients = recurrent.rnn_gradient((True,) * 6, cotangents, found, given[2], given[3], kind, sizes, reverse, *kept)
    return [*found, *kept, *gradients]


def both(kind, hidden, batch, biased, lengths, reverse, dtype, monkeypatch, change=lambda given: None):
    draw = np.random.default_rng(0)
    sizes = SIZES[lengths](batch)
    given, states = arguments(kind, hidden, batch, biased, sizes, dtype, draw)
    change(given)
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in given]
    cotangents = [draw.standard_normal((sum(sizes), given[1].shape[1])).astype(dtype)]
    cotangents += [draw.standard_normal(state.shape).astype(dtype) for state in given[1 : 1 + states]]
    got = results(kind, given, states, sizes, reverse, cotangents)
    monkeypatch.setattr(recurrent_loops, "SMALLEST", 1 << 40)
    want = results(kind, given, states, sizes, reverse, cotangents)
    for a, b in zip(given, copies):
        np.testing.assert_array_equal(a, b)
    return got, want


@pytest.mark.parametrize(
    "lengths, reverse, dtype", [("full", False, np.float32), ("packed", True, np.float32), ("packed", False, np.float64)]
)
@pytest.mark.parametrize("biased", [True, False], ids=["biased", "without biases"])
@pytest.mark.parametrize("hidden, batch", [(1, 1), (1, 33), (3, 5), (7, 1), (17, 7), (32, 2), (48, 65)])
@pytest.mark.parametrize("kind", KINDS)
def test_walks_give_what_numpy_gives(kind, hidden, batch, biased, lengths, reverse, dtype, monkeypatch):
    got, want = both(kind, hidden, batch, biased, lengths, reverse, dtype, monkeypatch)
    tolerance = 2e-5 if dtype == np.float32 else 1e-13
    for a, b in zip(got, want):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape and a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max()))


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_walks_with_threads(kind, threads, monkeypatch):
    monkeypatch.setattr(recurrent_rows, "get_num_threads", lambda: threads)
    got, want = both(kind, 20, 13, True, "packed", False, np.float32, monkeypatch)
    for a, b in zip(got, want):
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("kind", KINDS)
def test_strided_arguments(kind, monkeypatch):
    def change(given):
        for i, a in enumerate(given):
            if isinstance(a, np.ndarray):
                wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
                wide[..., ::2] = a
                given[i] = wide[..., ::2]

    got, want = both(kind, 6, 3, True, "full", False, np.float32, monkeypatch, change)
    for a, b in zip(got, want):
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * max(1, np.abs(b).max()))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -0.0])
@pytest.mark.parametrize("kind", KINDS)
def test_special_values_stay_in_their_sequence(kind, value, monkeypatch):
    def change(given):
        given[0][4:6, 1] = value  # the input of the second step, in sequences 1 and 2 of 3

    got, want = both(kind, 17, 3, True, "full", False, np.float32, monkeypatch, change)
    for a, b in zip(got, want):
        if a is not None:
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
            np.testing.assert_array_equal(np.isinf(a), np.isinf(b))
            finite = np.isfinite(b)
            np.testing.assert_allclose(a[finite], b[finite], rtol=1e-4, atol=1e-4 * max(1, np.abs(b[finite]).max(initial=0)))


@pytest.mark.parametrize(
    "kind, options", [(nn.LSTM, {}), (nn.LSTM, {"proj_size": 2}), (nn.GRU, {}), (nn.RNN, {}), (nn.RNN, {"bidirectional": True})]
)
def test_gradients_are_those_of_finite_differences(kind, options):
    tg.manual_seed(0)
    layer = kind(2, 3, **options).to(tg.float64)
    x = tg.randn(4, 3, 2, dtype=tg.float64, requires_grad=True)
    assert tg.autograd.gradcheck(lambda x, *weights: layer(x)[0], (x, *layer.parameters()))


@pytest.mark.parametrize("lengths, reverse", [("full", False), ("packed", True)])
@pytest.mark.parametrize("biased", [True, False], ids=["biased", "without biases"])
@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_are_multiplied_first(kind, biased, lengths, reverse, monkeypatch):
    monkeypatch.setattr(recurrent_loops, "_TOGETHER", 0)
    got, want = both(kind, 33, 70, biased, lengths, reverse, np.float32, monkeypatch)
    for a, b in zip(got, want):
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * max(1, np.abs(b).max()))
