"""The gates of recurrent layers as compiled loops (the extra `fast`): the same numbers as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.arrays import blocked, compiling, loops
from tinygrad_lite.arrays.kernels import recurrent_loops, recurrent_rows, recurrent_walks

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = pytest.mark.skipif(not compiling.available(), reason="compiled loops are switched off")

BATCH, LENGTH, INPUTS, HIDDEN = 9, 21, 5, 67  # more than loops.SMALLEST elements, no multiple of any vector's length
LAYERS = {
    "LSTM": (nn.LSTM, {}), "LSTM without biases": (nn.LSTM, {"bias": False}), "LSTM both ways": (nn.LSTM, {"bidirectional": True}),
    "LSTM projected": (nn.LSTM, {"proj_size": 31}), "LSTM deep": (nn.LSTM, {"num_layers": 2, "proj_size": 40, "bidirectional": True}),
    "GRU": (nn.GRU, {}), "GRU without biases": (nn.GRU, {"bias": False}), "GRU both ways": (nn.GRU, {"bidirectional": True}),
    "RNN": (nn.RNN, {}), "RNN both ways": (nn.RNN, {"bidirectional": True}), "RNN relu": (nn.RNN, {"nonlinearity": "relu"}),
}  # fmt: skip
LENGTHS = {"full": None, "packed": [21, 21, 20, 17, 17, 14, 14, 13, 10]}


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path, monkeypatch):
    traced = blocked._traced_once
    monkeypatch.setenv("TINYGRAD_LITE_CACHE", str(tmp_path / "loops"))
    loops.loop_of.cache_clear()
    traced.cache_clear()
    yield
    loops.loop_of.cache_clear()
    traced.cache_clear()


def run(layer, lengths, dtype, order=1):
    """Results and gradients of a layer, up to `order`."""
    draw = np.random.default_rng(0)
    tg.manual_seed(0)
    kind, options = LAYERS[layer]
    model = kind(INPUTS, HIDDEN, **options).to(dtype)
    x = tg.tensor(draw.normal(size=(LENGTH, BATCH, INPUTS)), dtype=dtype, requires_grad=True)
    given = x if LENGTHS[lengths] is None else nn.utils.rnn.pack_padded_sequence(x, LENGTHS[lengths])
    shape = 1 + (len(options) and "bidirectional" in options)
    states = [
        tg.tensor(draw.normal(size=(shape * options.get("num_layers", 1), BATCH, width)), dtype=dtype, requires_grad=True)
        for width in ((options.get("proj_size", HIDDEN), HIDDEN) if kind is nn.LSTM else (HIDDEN,))
    ]
    out, last = model(given, tuple(states) if kind is nn.LSTM else states[0])
    found = [out if LENGTHS[lengths] is None else out.data, *(last if kind is nn.LSTM else (last,))]
    loss = sum((y * tg.tensor(draw.normal(size=y.shape), dtype=dtype)).sum() for y in found)
    inputs = [x, *states, *model.parameters()]
    for _ in range(order):
        gradients = tg.autograd.grad(loss, inputs, create_graph=order > 1)
        found += gradients
        loss = sum((g * g).sum() for g in gradients)
    return [a.detach().numpy() for a in found]


def assert_same(got, want, dtype):
    assert len(got) == len(want)
    tolerance = 1e-5 if dtype == tg.float32 else 1e-13
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_give_what_they_give_without(layer, lengths, dtype, monkeypatch):
    got = run(layer, lengths, dtype)
    monkeypatch.setattr(blocked, "available", lambda: False)
    assert_same(got, run(layer, lengths, dtype), dtype)


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "RNN"])
def test_second_derivatives(layer, monkeypatch):
    got = run(layer, "packed", tg.float32, order=2)
    monkeypatch.setattr(blocked, "available", lambda: False)
    want = run(layer, "packed", tg.float32, order=2)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("layer", ["LSTM", "LSTM projected", "GRU"])
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_the_batch(layer, threads, monkeypatch):
    monkeypatch.setattr(recurrent_loops, "_WORTH_THREADS", 1)
    monkeypatch.setattr(recurrent_rows, "get_num_threads", lambda: threads)
    got = run(layer, "packed", tg.float32)
    monkeypatch.setattr(blocked, "available", lambda: False)
    assert_same(got, run(layer, "packed", tg.float32), tg.float32)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("layer", ["LSTM", "LSTM projected", "LSTM both ways", "GRU", "GRU both ways", "RNN", "RNN relu"])
def test_a_layer_goes_through_a_sequence_in_one_call(layer, lengths, monkeypatch):
    in_parts, steps = recurrent_walks.in_parts, []

    def counted(part, block, count):
        steps.append(block[0])
        in_parts(part, block, count)

    monkeypatch.setattr(recurrent_walks, "in_parts", counted)
    run(layer, lengths, tg.float32)
    assert steps == [LENGTH, LENGTH] * (2 if "both" in layer else 1)


def test_a_large_input_saturates_the_gates():
    lstm = nn.LSTM(INPUTS, HIDDEN)
    out, _ = lstm(tg.full((LENGTH, BATCH, INPUTS), 1e6))
    assert np.isfinite(out.detach().numpy()).all()


def test_a_short_sequence_stays_with_numpy(monkeypatch):
    monkeypatch.setattr(blocked, "_traced_once", None)  # it is not called
    nn.LSTM(3, 4)(tg.zeros(5, 2, 3))
