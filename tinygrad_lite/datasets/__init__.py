"""Datasets: the bundled digits, toy problems, and readers for MNIST and Fashion-MNIST."""

from tinygrad_lite.datasets._digits import Digits, digits
from tinygrad_lite.datasets.idx import read_idx
from tinygrad_lite.datasets.mnist import MNIST, FashionMNIST
from tinygrad_lite.datasets.toys import blobs, clumpy, moons, spirals, two_clusters, xor

__all__ = [
    "MNIST", "Digits", "FashionMNIST", "blobs", "clumpy", "digits", "moons", "read_idx", "spirals", "two_clusters",
    "xor",
]  # fmt: skip
