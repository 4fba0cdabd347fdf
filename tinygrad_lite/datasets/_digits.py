"""The bundled dataset: real handwriting, small enough to ship with the package."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lite.ops import from_numpy
from tinygrad_lite.utils.data import TensorDataset

HELD_BACK = 5  # every fifth scan of each digit is for testing, so that both sets have every writer


@functools.cache
def _read() -> tuple[np.ndarray, np.ndarray]:
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        return file["images"], file["labels"]


class Digits(TensorDataset):
    """1,797 handwritten digits of 8 x 8 pixels: 1,442 for training (`train=True`), and every fifth of each digit, 355 in
    all, for testing.

    A sample is `(image, label)`: float32 of shape (1, 8, 8) in [0, 1], and 0 to 9 as int64. `images` and `labels`
    hold all of them. Source and license: datasets/digits.md.

    >>> image, label = Digits()[0]
    >>> image.shape, int(label)
    ((1, 8, 8), 0)
    """

    classes = tuple("0123456789")

    def __init__(self, train: bool = True):
        images, labels = _read()
        number = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])  # its number among the scans of the same digit
        part = (number % HELD_BACK != HELD_BACK - 1) == train
        images, labels = images[part], labels[part]
        self.train = train
        super().__init__(from_numpy(images[:, None].astype(np.float32) / np.float32(16)), from_numpy(labels.astype(np.int64)))

    @property
    def images(self) -> Any:
        return self.tensors[0]

    @property
    def labels(self) -> Any:
        return self.tensors[1]


def digits() -> tuple[Any, Any, Any, Any]:
    """The digits as four tensors: training images (1442, 64) and labels, test images (355, 64) and labels.

    >>> x_train, y_train, x_test, y_test = digits()
    >>> x_train.shape, y_test.shape
    ((1442, 64), (355,))
    """
    train, test = Digits(), Digits(train=False)
    return train.images.reshape(-1, 64), train.labels, test.images.reshape(-1, 64), test.labels
