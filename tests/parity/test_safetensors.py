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


@pytest.mark.parametrize("layer", [
    lambda m: m.nn.BatchNorm1d(3), lambda m: m.nn.BatchNorm2d(3), lambda m: m.nn.InstanceNorm1d(3, track_running_stats=True),
    lambda m: m.nn.Sequential(m.nn.Linear(2, 3), m.nn.BatchNorm1d(3, affine=False)),
])  # fmt: skip
def test_models_with_0d_buffers_move_both_ways(tmp_path, layer):
    theirs, ours, again, mine = layer(torch), layer(tg), layer(torch), layer(tg)
    with torch.no_grad():
        for value in theirs.state_dict().values():
            value.copy_(torch.arange(1, value.numel() + 1).reshape(value.shape))
    files.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours.load_state_dict(tg.load(tmp_path / "theirs.safetensors"))
    tg.save(ours.state_dict(), tmp_path / "ours.safetensors")
    again.load_state_dict(files.load_file(tmp_path / "ours.safetensors"))
    mine.load_state_dict(tg.load(tmp_path / "ours.safetensors"))
    for key, expected in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[key], expected)
        assert mine.state_dict()[key].shape == tuple(expected.shape) and mine.state_dict()[key].tolist() == expected.tolist()


def test_shapes_and_dtypes_move_both_ways(tmp_path):
    values = {"0-d": torch.tensor(3), "one": torch.ones(1), "empty": torch.zeros(2, 0), "bool": torch.tensor([True]), "half": torch.ones(2).half(),
              "byte": torch.arange(3, dtype=torch.uint8), "double": torch.tensor(1.5, dtype=torch.float64), "t": torch.rand(2, 3).t().contiguous()}  # fmt: skip
    files.save_file(values, tmp_path / "theirs.safetensors")
    ours = tg.load(tmp_path / "theirs.safetensors")
    tg.save(ours, tmp_path / "ours.safetensors")
    again = files.load_file(tmp_path / "ours.safetensors")
    for key, value in values.items():
        assert tuple(ours[key].shape) == tuple(value.shape) and ours[key].tolist() == value.tolist()
        assert again[key].dtype == value.dtype and torch.equal(again[key], value)
