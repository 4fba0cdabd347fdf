"""The bundled digits, toy datasets, and readers of files that may be damaged."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import threading

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import datasets
from tinygrad_lite.datasets.download import download
from tinygrad_lite.utils.data import DataLoader


def test_digits():
    x, y, x_test, y_test = datasets.digits()
    assert x.shape == (1442, 64) and x.dtype == tg.float32 and y.dtype == tg.int64
    assert x_test.shape == (355, 64) and y_test.shape == (355,)
    assert x.array.min() == 0 and x.array.max() == 1
    assert np.bincount(y.array).min() > 120 and np.bincount(y_test.array).min() > 30
    train = datasets.Digits()
    image, label = train[5]
    assert image.shape == (1, 8, 8) and label == 5 and len(train) == 1442 and len(datasets.Digits(train=False)) == 355
    batch, labels = next(iter(DataLoader(train, batch_size=32)))
    assert batch.shape == (32, 1, 8, 8) and labels.shape == (32,)


def test_digits_are_fresh_tensors():
    datasets.digits()[0].array[...] = 7
    assert datasets.digits()[0].array.max() == 1


@pytest.mark.parametrize("name", ["moons", "spirals", "blobs", "xor", "clumpy", "two_clusters"])
def test_toys(name):
    make = getattr(datasets, name)
    x, y = make(60, generator=tg.Generator().manual_seed(0))
    assert x.shape == (60, 2) and x.dtype == tg.float32 and y.shape == (60,) and y.dtype == tg.int64
    u, v = make(60, generator=tg.Generator().manual_seed(0))
    assert x.tolist() == u.tolist() and y.tolist() == v.tolist()
    assert make(60)[0].tolist() != make(60)[0].tolist()
    for bad in (0, -1, 2.5):
        with pytest.raises(ValueError, match=name):
            make(bad)


def test_toys_have_their_shape():
    x, y = datasets.moons(400, noise=0)
    outer = x.array[y.array == 0]
    np.testing.assert_allclose(np.hypot(*outer.T), 1, atol=1e-6)
    x, y = datasets.clumpy(100, clumps=4, clump_std=0)
    assert len(np.unique(x.array, axis=0)) == 4
    x, y = datasets.xor(40, noise=0)
    assert ((x.array[:, 0] != x.array[:, 1]) == y.array).all()
    x, y = datasets.two_clusters(10)
    assert y.tolist() == [0] * 5 + [1] * 5
    x, y = datasets.blobs(9, centers=[[0.0, 0.0, 9.0]], std=0)
    assert x.shape == (9, 3)


# -- IDX files ----------------------------------------------------------------------------------


def idx(array, shape=None):
    code = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}[array.dtype.name]
    shape = array.shape if shape is None else shape
    header = struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path, dtype, suffix):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / f"file{suffix}"
    path.write_bytes(gzip.compress(idx(array)) if suffix else idx(array))
    result = datasets.read_idx(path)
    assert result.dtype == array.dtype and result.dtype.isnative and result.flags.writeable
    np.testing.assert_array_equal(result, array)


GOOD = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
HOSTILE = {
    "empty": b"",
    "cut in the magic": GOOD[:3],
    "cut in the sizes": GOOD[:9],
    "cut in the data": GOOD[:-1],
    "too long": GOOD + b"x",
    "another type": b"\0\0\x07" + GOOD[3:],
    "another file": b"PK" + GOOD[2:],
    "huge sizes": idx(np.zeros(4, np.uint8), (2**32 - 1,) * 3),
    "sizes that overflow": idx(np.zeros(4, np.uint8), (2**16,) * 4),
    "large, within the limit": idx(np.zeros(4, np.uint8), (2**29,)),
    "many dims": b"\0\0\x08\xff" + b"\0\0\0\1" * 40,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_idx(tmp_path, name, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(gzip.compress(HOSTILE[name]) if suffix else HOSTILE[name])
    with pytest.raises(ValueError, match="file"):
        datasets.read_idx(path)


def test_damaged_gzip(tmp_path):
    path = tmp_path / "file.gz"
    whole = gzip.compress(GOOD)
    for damaged in (whole[:10], whole[:-9], whole[:12] + b"\xff\xff\xff" + whole[15:], b"no gzip at all"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="file"):
            datasets.read_idx(path)


def write_mnist(folder, images=6, labels=6, highest=9):
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for part in ("train", "t10k"):
        pixels = draw.integers(0, 256, (images, 28, 28), dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.full(labels, highest, np.uint8))))


def test_mnist_from_local_files(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    data = datasets.MNIST(tmp_path, train=False)
    image, label = data[0]
    assert image.shape == (1, 28, 28) and image.dtype == tg.float32 and label == 9 and len(data) == 6
    ((batch, _),) = DataLoader(data, batch_size=6)
    assert batch.shape == (6, 1, 28, 28) and batch.array.max() <= 1
    doubled = datasets.MNIST(tmp_path, transform=lambda x: 2 * x, target_transform=int)
    assert doubled[0][1] == 9 and isinstance(doubled[0][1], int)
    ((batch, _),) = DataLoader(doubled, batch_size=6)
    assert batch.array.max() > 1
    write_mnist(tmp_path / "cache" / "FashionMNIST" / "raw")
    monkeypatch.setenv("TINYGRAD_LITE_CACHE", str(tmp_path / "cache"))
    assert datasets.FashionMNIST().classes[9] == "Ankle boot"


def test_mnist_refuses(tmp_path):
    with pytest.raises(FileNotFoundError, match="download=True"):
        datasets.MNIST(tmp_path)
    write_mnist(tmp_path, images=5)
    with pytest.raises(ValueError, match="5 images but 6 labels"):
        datasets.MNIST(tmp_path)
    write_mnist(tmp_path, highest=10)
    with pytest.raises(ValueError, match="label of 10"):
        datasets.MNIST(tmp_path)


# -- downloads ----------------------------------------------------------------------------------

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Sends CONTENT; breaks off the first answers after `breaks` bytes; with or without support for ranges."""

    breaks: list[int] = []  # noqa: RUF012
    ranges = True
    asked: list[str | None] = []  # noqa: RUF012

    def do_GET(self):
        asked = self.headers.get("Range")
        Server.asked.append(asked)
        if self.path != "/good":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + (Server.breaks.pop() if Server.breaks else len(CONTENT))])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Server.breaks, Server.ranges, Server.asked = [], True, []
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_download(address, tmp_path):
    path = tmp_path / "folder" / "file"
    assert download([f"{address}/nowhere", f"{address}/good"], path, MD5) == path
    assert path.read_bytes() == CONTENT
    count = len(Server.asked)
    download([f"{address}/good"], path, MD5)
    assert len(Server.asked) == count, "a file that is there is not fetched again"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_continued(address, tmp_path, ranges):
    path = tmp_path / "file"
    Server.breaks, Server.ranges = [100_000], ranges
    with pytest.raises(OSError, match="could not download"):
        download([f"{address}/good"], path, MD5)
    assert not path.exists() and (tmp_path / "file.part").stat().st_size == 100_000
    download([f"{address}/good"], path, MD5)
    assert path.read_bytes() == CONTENT and Server.asked[-1] == "bytes=100000-"


def test_a_wrong_checksum(address, tmp_path):
    with pytest.raises(ValueError, match="checksum"):
        download([f"{address}/good"], tmp_path / "file", "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_complete_part_is_taken_over(address, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    download([f"{address}/good"], tmp_path / "file", MD5)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_nobody_answers(tmp_path):
    with pytest.raises(OSError, match="could not download file"):
        download(["http://127.0.0.1:9/file"], tmp_path / "file", MD5, timeout=2)
