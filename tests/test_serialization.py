"""Saving and loading."""

from __future__ import annotations

import io
import os
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_lite as tg

CHECKPOINT = {
    "model": OrderedDict([("0.weight", tg.tensor([[1.5, -2.0]])), ("0.bias", tg.tensor(3.0))]),
    "optimizer": {"state": {0: {"step": 7, "momentum": tg.tensor([1, 2])}}, "groups": [{"lr": 0.1, "params": [0]}]},
    "note": "ähm",
    "pair": (1, None),
    "flag": True,
    "array": np.arange(3, dtype=np.int8),
    "empty": tg.zeros(0, 3),
}


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    elif isinstance(a, tg.Tensor):
        assert (a.dtype, a.shape, a.requires_grad) == (b.dtype, b.shape, b.requires_grad)
        assert a.tolist() == b.tolist()
    else:
        assert np.array_equal(a, b)


@pytest.mark.parametrize("name", ["model.npz", "model.pt", "model"])
def test_a_checkpoint_comes_back_as_it_was(tmp_path, name):
    tg.save(CHECKPOINT, tmp_path / name)
    same(tg.load(tmp_path / name), CHECKPOINT)
    assert os.listdir(tmp_path) == [name]


def test_through_an_open_file():
    file = io.BytesIO()
    tg.save(CHECKPOINT, file)
    file.seek(0)
    same(tg.load(file), CHECKPOINT)


def test_numpy_reads_the_file(tmp_path):
    tg.save(CHECKPOINT["model"], tmp_path / "weights.npz")
    assert np.load(tmp_path / "weights.npz")["0.weight"].tolist() == [[1.5, -2.0]]


def test_a_plain_archive_of_numpy_is_read(tmp_path):
    np.savez(tmp_path / "plain.npz", w=np.ones(2))
    assert tg.load(tmp_path / "plain.npz")["w"].tolist() == [1, 1]


def test_leaves_stay_leaves(tmp_path):
    tg.save({"w": tg.ones(2, requires_grad=True)}, tmp_path / "w.pt")
    assert tg.load(tmp_path / "w.pt")["w"].requires_grad


@pytest.mark.parametrize("where", ["cpu", tg.device("cpu"), {"cuda:0": "cpu"}, lambda tensor, device: tensor * 1])
def test_map_location(tmp_path, where):
    tg.save({"w": tg.ones(2)}, tmp_path / "w.pt")
    assert tg.load(tmp_path / "w.pt", map_location=where)["w"].tolist() == [1, 1]


def test_what_cannot_be_written_is_refused_before_the_old_file_is_touched(tmp_path):
    path = tmp_path / "w.pt"
    tg.save({"w": tg.ones(2)}, path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"cannot write a object \(at layers/1\) without pickle"):
        tg.save({"w": tg.zeros(2), "layers": [1, object()]}, path)
    with pytest.raises(TypeError, match="holds Python objects"):
        tg.save(np.array([object()]), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.pt"]


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.pt"
    tg.save({"w": tg.ones(2)}, path)
    before = path.read_bytes()

    def crash(*args, **kwargs):
        args[0].write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", crash)
    with pytest.raises(OSError, match="no space left"):
        tg.save({"w": tg.zeros(2)}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.pt"]


def saved_bytes(obj):
    file = io.BytesIO()
    tg.save(obj, file)
    return file.getvalue()


def test_a_file_cut_short_anywhere_is_refused():
    content = saved_bytes(CHECKPOINT)
    for length in range(0, len(content), 97):
        with pytest.raises(ValueError, match="cut short, damaged"):
            tg.load(io.BytesIO(content[:length]))


def test_altered_contents_are_refused():
    content = bytearray(saved_bytes({"w": tg.ones(1000)}))
    content[2000] ^= 1
    with pytest.raises(ValueError, match="cut short, damaged"):
        tg.load(io.BytesIO(content))


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z:
        for name, content in members.items():
            z.writestr(f"{name}.npy", content)
    file.seek(0)
    return file


def npy(header):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "hostile",
    [
        lambda: archive(w=npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}")),
        lambda: archive(w=npy("{'descr': '|O', 'fortran_order': False, 'shape': (0,)}")),
        lambda: archive(w=b"not an array"),
        lambda: archive(__skeleton__=b""),
        lambda: io.BytesIO(b"\x80\x04cos\nsystem\n."),  # a pickle
    ],
)
def test_hostile_files_are_refused(hostile):
    with pytest.raises(ValueError, match="cut short, damaged, or not a file that save"):
        tg.load(hostile())


def test_pickle_is_not_to_be_had():
    with pytest.raises(ValueError, match="not a file that save"):
        tg.load(io.BytesIO(b"\x80\x04cos\nsystem\n."), weights_only=False)
    file = io.BytesIO()
    tg.save({"epoch": 3}, file)
    file.seek(0)
    assert tg.load(file, weights_only=False) == {"epoch": 3}


class TestSafetensors:
    @pytest.fixture(autouse=True)
    def library(self):
        return pytest.importorskip("safetensors")

    def test_there_and_back(self, tmp_path):
        tg.save(CHECKPOINT["model"], tmp_path / "w.safetensors")
        loaded = tg.load(tmp_path / "w.safetensors")
        assert loaded["0.weight"].tolist() == [[1.5, -2.0]]

    def test_only_flat_dicts_of_tensors(self, tmp_path):
        with pytest.raises(TypeError, match="a flat dict of tensors"):
            tg.save({"epoch": 3}, tmp_path / "w.safetensors")
        assert os.listdir(tmp_path) == []

    def test_a_file_cut_short_is_refused(self, tmp_path):
        tg.save(CHECKPOINT["model"], tmp_path / "w.safetensors")
        content = (tmp_path / "w.safetensors").read_bytes()
        (tmp_path / "w.safetensors").write_bytes(content[:-3])
        with pytest.raises(ValueError, match=r"not a whole \.safetensors file"):
            tg.load(tmp_path / "w.safetensors")
