"""MNIST and Fashion-MNIST, from local files or downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinygrad_lite.datasets.download import cache_folder, download
from tinygrad_lite.datasets.idx import read_idx
from tinygrad_lite.ops import from_numpy
from tinygrad_lite.utils.data import TensorDataset
from tinygrad_lite.utils.data.dataset import rows


class MNIST(TensorDataset):
    """70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes, Burges): 60,000 for training, 10,000 for testing.

    `root`: a folder that contains the four IDX files, gzipped or not, or has them in `MNIST/raw/`; by default the
    user's cache folder. `download=True`: fetch missing files. `transform`, `target_transform`: applied to each image
    and label when a sample is read.

    A sample is `(image, label)`: float32 of shape (1, 28, 28) in [0, 1], and an int64. `images` and `labels` hold all
    of them.

    >>> MNIST.classes
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """

    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    mirrors: ClassVar[list[str]] = ["https://ossci-datasets.s3.amazonaws.com/mnist/"]
    files: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ):
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        name = type(self).__name__
        base = cache_folder() if root is None else Path(root)
        self.folder = base / name / "raw" if root is None or (base / name / "raw").is_dir() or download else base
        images_file, labels_file = (file for file in self.files if file.startswith("train" if train else "t10k"))
        images, labels = self._read(images_file, download), self._read(labels_file, download)
        if images.ndim != 3 or images.dtype != np.uint8 or labels.ndim != 1 or labels.dtype != np.uint8:
            raise ValueError(f"{name}: expected images (n, rows, columns) and labels (n,) of bytes in {self.folder}")
        if len(images) != len(labels):
            raise ValueError(f"{name}: {len(images)} images but {len(labels)} labels in {self.folder}")
        if labels.size and labels.max() >= len(self.classes):
            raise ValueError(f"{name}: a label of {labels.max()} in {self.folder}; there are {len(self.classes)} classes")
        super().__init__(from_numpy(images[:, None].astype(np.float32) / np.float32(255)), from_numpy(labels.astype(np.int64)))

    def _read(self, file: str, fetch: bool) -> np.ndarray:
        for path in (self.folder / file.removesuffix(".gz"), self.folder / file):
            if path.exists():
                return read_idx(path)
        if not fetch:
            raise FileNotFoundError(
                f"{type(self).__name__}: neither {file} nor {file.removesuffix('.gz')} in {self.folder}; "
                "pass download=True to fetch it, or root= where the files are"
            )
        return read_idx(download([mirror + file for mirror in self.mirrors], self.folder / file, self.files[file]))

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return (
            image if self.transform is None else self.transform(image),
            label if self.target_transform is None else self.target_transform(label),
        )

    def _collated(self, indices: list[int]) -> list[Any] | None:
        if type(self).__getitem__ is not MNIST.__getitem__ or self.transform or self.target_transform:
            return None
        return rows(self.tensors, indices)

    @property
    def images(self) -> Any:
        return self.tensors[0]

    @property
    def labels(self) -> Any:
        return self.tensors[1]


class FashionMNIST(MNIST):
    """70,000 images of clothes in MNIST's format (Xiao, Rasul, Vollgraf 2017); see MNIST.

    >>> FashionMNIST.classes[9]
    'Ankle boot'
    """

    classes: ClassVar[tuple[str, ...]] = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    mirrors: ClassVar[list[str]] = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    files: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
