"""Weights move between the libraries in a .safetensors file."""

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
files = pytest.importorskip("safetensors.torch")


def model(m):
    return m.nn.ModuleDict({"rnn": m.nn.LSTM(3, 4, bidirectional=True), "norm": m.nn.BatchNorm1d(8), "out": m.nn.Linear(8, 2).half()})


def test_a_file_written_by_pytorch_loads_here_and_back(tmp_path):
    theirs, ours, again = model(torch), model(tg), model(torch)
    theirs["norm"](torch.randn(5, 8))
    files.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours.load_state_dict(tg.load(tmp_path / "theirs.safetensors"))
    x = np.random.default_rng(0).standard_normal((6, 2, 3)).astype(np.float32)
    results = [m.eval()["norm"](m["rnn"](t)[0][-1]) for m, t in ((ours, tg.tensor(x)), (theirs, torch.tensor(x)))]
    np.testing.assert_allclose(*[r.detach().numpy() for r in results], rtol=1e-5, atol=1e-6)
    tg.save(ours.state_dict(), tmp_path / "ours.safetensors")
    again.load_state_dict(files.load_file(tmp_path / "ours.safetensors"))
    for (key, value), (other, expected) in zip(again.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert key == other and torch.equal(value, expected), key
