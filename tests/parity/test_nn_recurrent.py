"""Recurrent layers, cells and packed sequences against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.modules import compare_module, flat, pair, refused, weights_like

torch = pytest.importorskip("torch")

x, unbatched = (5, 3, 4), (5, 4)


@pytest.mark.parametrize("options", [
    "", "num_layers=2", "bidirectional=True", "num_layers=2, bidirectional=True", "bias=False", "batch_first=True",
    "num_layers=3, bias=False, batch_first=True, bidirectional=True",
])  # fmt: skip
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layer(kind, options):
    text = f"{kind}(4, 2, {options})"
    compare_module(text, x, modes=(True,))
    compare_module(text, unbatched, modes=(False,))
    count = (3 if "=3" in options else 2 if "num_layers" in options else 1) * (2 if "bidirectional" in options else 1)
    batch = 5 if "batch_first" in options else 3
    draw = np.random.default_rng(1)
    state = draw.standard_normal((count, batch, 2))
    compare_module(text, x, (state, state * 0.5) if kind == "LSTM" else state, modes=(True,))
    compare_module(text, unbatched, (state[:, 0], state[:, 1]) if kind == "LSTM" else state[:, 0], modes=(True,))


@pytest.mark.parametrize("options", ["", "num_layers=2, bidirectional=True", "bias=False, batch_first=True"])
def test_projections(options):
    compare_module(f"LSTM(4, 3, proj_size=2, {options})", x)


def test_relu_and_dropout():
    compare_module("RNN(4, 2, 2, 'relu')", x)
    compare_module("RNN(4, 2, nonlinearity='relu', bias=False, bidirectional=True)", x)
    compare_module("LSTM(4, 2, num_layers=2, dropout=0.5)", x, modes=(False,))
    compare_module("GRU(4, 2, num_layers=2, dropout=0)", x)


def test_dropout_between_layers():
    tg.manual_seed(0)
    layer = tg.nn.GRU(4, 50, num_layers=2, dropout=1.0)
    out, _ = layer(tg.randn(5, 3, 4))
    silent, _ = layer(tg.randn(5, 3, 4))
    np.testing.assert_allclose(out.detach().numpy(), silent.detach().numpy())  # nothing reaches the second layer
    with pytest.warns(UserWarning, match="between layers"):
        tg.nn.LSTM(3, 4, dropout=0.5)


CELLS = ["RNNCell(4, 3)", "RNNCell(4, 3, bias=False, nonlinearity='relu')", "LSTMCell(4, 3)", "LSTMCell(4, 3, bias=False)"]


@pytest.mark.parametrize("text", [*CELLS, "GRUCell(4, 3)", "GRUCell(4, 3, bias=False)"])
def test_cell(text):
    draw = np.random.default_rng(1)
    for shape in ((2, 4), (4,)):
        compare_module(text, shape)
        state = draw.standard_normal((*shape[:-1], 3))
        compare_module(text, shape, (state, state + 1) if "LSTM" in text else state)


@pytest.mark.parametrize("text", ["RNN(4, 2)", "LSTM(4, 2, num_layers=2, bidirectional=True)", "LSTM(4, 3, proj_size=2)",
                                  "GRU(4, 2, bidirectional=True, batch_first=True)"])  # fmt: skip
@pytest.mark.parametrize("lengths", [[5, 3, 1], [2, 5, 3], [5, 5, 5], [1, 1, 1]])
def test_packed_sequences(text, lengths):
    ours, theirs = pair(text)
    values = np.random.default_rng(0).standard_normal(x)
    batch_first = "batch_first" in text
    found = []
    for m, module in ((tg, ours), (torch, theirs)):
        leaf = m.from_numpy(values.copy()).requires_grad_()
        rnn = m.nn.utils.rnn
        given = leaf.transpose(0, 1) if batch_first else leaf
        packed = rnn.pack_padded_sequence(given, lengths, batch_first=batch_first, enforce_sorted=False)
        out, state = module(packed)
        assert isinstance(out, rnn.PackedSequence)
        padded, counted = rnn.pad_packed_sequence(out, batch_first=batch_first, padding_value=-7.0)
        tensors = [padded, *flat(m, state)]
        sum((t * weights_like(m, t)).sum() for t in tensors).backward()
        parts = [packed.data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices, counted, *tensors, leaf.grad]
        found.append([p.detach().numpy() for p in parts] + [p.grad.numpy() for p in module.parameters()])
    for got, want in zip(*found, strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_packed_sequences_with_an_initial_state():
    ours, theirs = pair("LSTM(4, 2)")
    draw = np.random.default_rng(0)
    values, h, c = draw.standard_normal(x), draw.standard_normal((1, 3, 2)), draw.standard_normal((1, 3, 2))
    found = []
    for m, module in ((tg, ours), (torch, theirs)):
        leaf, h0, c0 = (m.from_numpy(v.copy()).requires_grad_() for v in (values, h, c))
        packed = m.nn.utils.rnn.pack_padded_sequence(leaf, [2, 5, 3], enforce_sorted=False)
        out, state = module(packed, (h0, c0))
        (out.data.sum() + (state[0] * 3).sum() + (state[1] ** 2).sum()).backward()
        found.append([t.detach().numpy() for t in (out.data, *state, leaf.grad, h0.grad, c0.grad)])
    for got, want in zip(*found):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_sequences_padded_packed_and_back():
    draw = np.random.default_rng(0)
    arrays = [draw.standard_normal((n, 2)) for n in (2, 4, 1)]
    found = []
    for m in (tg, torch):
        rnn = m.nn.utils.rnn
        sequences = [m.from_numpy(a.copy()) for a in arrays]
        padded = [rnn.pad_sequence(sequences, first, 9.0, side) for first in (True, False) for side in ("left", "right")]
        packed = rnn.pack_sequence(sequences, enforce_sorted=False)
        long, lengths = rnn.pad_packed_sequence(packed, total_length=6)
        back = [*rnn.unpack_sequence(packed), *rnn.unpad_sequence(padded[1], lengths, True)]
        found.append([*padded, packed.data, packed.batch_sizes, long, lengths, *back])
    for got, want in zip(*found, strict=True):
        assert got.dtype.name == str(want.dtype)[6:]
        np.testing.assert_array_equal(got.numpy(), want.numpy())
    packed = tg.nn.utils.rnn.pack_sequence([tg.ones(2)]).double()
    assert packed.data.dtype == tg.float64 and packed.to(tg.float64) is packed


def test_float32_and_float16():
    compare_module("LSTM(4, 3, bidirectional=True)", x, dtype="float32")
    compare_module("GRU(4, 3)", x, dtype="float32")
    ours, theirs = pair("GRU(4, 3)", "float16")
    values = np.random.default_rng(0).standard_normal(x).astype(np.float16)
    got, want = ours(tg.from_numpy(values))[0], theirs(torch.from_numpy(values))[0]
    assert got.dtype == tg.float16
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), atol=2e-3)


def test_second_derivatives():
    for text in ("LSTM(4, 2, proj_size=1)", "GRU(4, 2, bidirectional=True)", "RNN(4, 2)"):
        ours, theirs = pair(text)
        found = []
        for m, module in ((tg, ours), (torch, theirs)):
            leaf = m.from_numpy(np.random.default_rng(0).standard_normal(x)).requires_grad_()
            (first,) = m.autograd.grad((module(leaf)[0] ** 2).sum(), leaf, create_graph=True)
            (first**2).sum().backward()
            found.append([leaf.grad.numpy(), *(p.grad.numpy() for p in module.parameters())])
        for got, want in zip(*found, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9)


def test_attributes():
    for m in (tg, torch):
        layer = m.nn.LSTM(3, 4, 2, bidirectional=True)
        layer.flatten_parameters()
        assert (layer.mode, layer.num_layers, layer.bidirectional) == ("LSTM", 2, True)
        assert [[tuple(w.shape) for w in ws] for ws in layer.all_weights][2] == [(16, 8), (16, 4), (16,), (16,)]


REFUSED = [
    ("LSTM(4, 2)", (5, 3, 5)),
    ("LSTM(4, 2)", (5, 3, 4, 1)),
    ("LSTM(4, 2)", (0, 3, 4)),
    ("LSTM(4, 2)", x, np.zeros((1, 3, 2), "f4")),
    ("LSTM(4, 2)", x, (np.zeros((1, 3, 2), "f4"), np.zeros((1, 2, 2), "f4"))),
    ("GRU(4, 2)", x, np.zeros((2, 3, 2), "f4")),
    ("GRU(4, 2)", x, np.zeros((1, 2), "f4")),
    ("GRU(4, 2)", unbatched, np.zeros((1, 1, 2), "f4")),
    ("RNN(4, 2, nonlinearity='gelu')",),
    ("GRU(4, 2, proj_size=1)",),
    ("LSTM(4, 2, proj_size=2)",),
    ("LSTM(4, 0)",),
    ("LSTM(4, 2.5)",),
    ("LSTM(4, 2, num_layers=0)",),
    ("LSTM(4, 2, dropout=2)",),
    ("LSTMCell(4, 2)", (2, 3)),
    ("LSTMCell(4, 2)", (2, 3, 4)),
    ("GRUCell(4, 2)", (2, 4), np.zeros((3, 2), "f4")),
    ("RNNCell(4, 2, nonlinearity='gelu')", (2, 4)),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]} {len(case)}")
def test_refused(case):
    refused(*case)


def test_packing_refused():
    for m in (tg, torch):
        rnn, batch = m.nn.utils.rnn, m.ones(5, 3, 4)
        for lengths in ([3, 5, 1], [5, 3], [5, 3, 0], *([[6, 5, 1]] if m is tg else [])):  # PyTorch reads on
            with pytest.raises((RuntimeError, ValueError)):
                rnn.pack_padded_sequence(batch, lengths)
        packed = rnn.pack_padded_sequence(batch, [5, 3, 1])
        with pytest.raises((RuntimeError, ValueError)):
            rnn.pad_packed_sequence(packed, total_length=4)
        with pytest.raises((RuntimeError, ValueError, TypeError)):
            rnn.pad_sequence([m.ones(2, 3), m.ones(2, 4)])
