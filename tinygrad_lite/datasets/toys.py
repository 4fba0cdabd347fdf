"""Toy datasets: small problems with a known shape, drawn from a generator.

Each function returns points as float32 (n, dims) and classes as int64 (n,), in random order."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.ops import from_numpy
from tinygrad_lite.utils.data.generators import numpy_generator


def _shuffled(draw: np.random.Generator, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    order = draw.permutation(len(x))
    return from_numpy(x[order].astype(np.float32)), from_numpy(y[order].astype(np.int64))


def _check(name: str, n: int, **not_negative: float) -> None:
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"{name}: n must be a positive integer, got {n!r}")
    for argument, value in not_negative.items():
        if not value >= 0:
            raise ValueError(f"{name}: {argument} must be 0 or more, got {value!r}")


def moons(n: int = 200, noise: float = 0.1, generator: Any = None) -> tuple[Any, Any]:
    """Two interleaved half circles. `noise`: standard deviation of the noise added to each point.

    >>> x, y = moons(100)
    >>> x.shape, y.shape
    ((100, 2), (100,))
    """
    _check("moons", n, noise=noise)
    draw = numpy_generator(generator)
    y = np.arange(n) % 2
    angle = np.pi * draw.random(n)
    x = np.stack([np.cos(angle), np.sin(angle)], 1)
    x[y == 1] = [1, 0.5] - x[y == 1]
    return _shuffled(draw, x + noise * draw.standard_normal((n, 2)), y)


def spirals(n: int = 300, arms: int = 2, turns: float = 1.0, noise: float = 0.05, generator: Any = None) -> tuple[Any, Any]:
    """`arms` spirals about the origin, each of `turns` turns, in the unit disk.

    >>> x, y = spirals(n=300, arms=3)
    >>> x.shape, y.unique()
    ((300, 2), tensor([0, 1, 2]))
    """
    _check("spirals", n, noise=noise)
    _check("spirals", arms)
    draw = numpy_generator(generator)
    y = np.arange(n) % arms
    radius = np.sqrt(draw.random(n))
    angle = 2 * np.pi * (turns * radius + y / arms)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _shuffled(draw, x + noise * draw.standard_normal((n, 2)), y)


def blobs(n: int = 200, centers: Any = 3, std: float = 0.5, dims: int = 2, generator: Any = None) -> tuple[Any, Any]:
    """Gaussian clusters about `centers`: an array (classes, dims), or how many centers to draw from [-4, 4)^dims.

    >>> x, y = blobs(n=4, centers=[[0.0, 0.0], [8.0, 8.0]], std=0.0)
    >>> sorted(zip(x.tolist(), y.tolist()))
    [([0.0, 0.0], 0), ([0.0, 0.0], 0), ([8.0, 8.0], 1), ([8.0, 8.0], 1)]
    """
    _check("blobs", n, std=std)
    draw = numpy_generator(generator)
    if isinstance(centers, int):
        _check("blobs", centers)
        centers = draw.uniform(-4, 4, (centers, dims))
    centers = np.asarray(centers, dtype=np.float64)
    if centers.ndim != 2:
        raise ValueError(f"blobs: centers must be a number of classes or an array (classes, dims), got shape {centers.shape}")
    y = np.arange(n) % len(centers)
    return _shuffled(draw, centers[y] + std * draw.standard_normal((n, centers.shape[1])), y)


def xor(n: int = 200, noise: float = 0.1, generator: Any = None) -> tuple[Any, Any]:
    """The corners of a square; opposite corners share a class, so no line separates the classes.

    >>> x, y = xor(noise=0.0)
    >>> len(set(map(tuple, x.tolist()))), y.unique()
    (4, tensor([0, 1]))
    """
    _check("xor", n, noise=noise)
    draw = numpy_generator(generator)
    corner = np.arange(n) % 4
    bits = np.stack([corner // 2, corner % 2], 1)
    return _shuffled(draw, bits + noise * draw.standard_normal((n, 2)), bits[:, 0] ^ bits[:, 1])


def clumpy(n: int = 200, clumps: int = 10, clump_std: float = 0.05, dims: int = 2, generator: Any = None) -> tuple[Any, Any]:
    """Tight clumps of points about centers from N(0, 1); each clump has one of two classes at random.

    With `clump_std=0` all points of a clump are equal, so only `clumps` of the `n` samples carry information. The
    data become diverse as `clump_std` grows (docs/lectures.md#item-28 to #item-30).

    >>> x, y = clumpy(n=200, clumps=10, clump_std=0.0)
    >>> len(x), len(set(map(tuple, x.tolist())))
    (200, 10)
    """
    _check("clumpy", n, clump_std=clump_std)
    _check("clumpy", clumps)
    draw = numpy_generator(generator)
    centers, classes = draw.standard_normal((clumps, dims)), draw.integers(0, 2, clumps)
    clump = np.arange(n) % clumps
    return _shuffled(draw, centers[clump] + clump_std * draw.standard_normal((n, dims)), classes[clump])


def two_clusters(n: int = 100, distance: float = 4.0, std: float = 1.0, dims: int = 2, generator: Any = None) -> tuple[Any, Any]:
    """Two Gaussian clusters `distance` apart along the first axis, sorted by class.

    In this order every pass pulls a model from one class to the other and back (docs/lectures.md#item-25);
    shuffling prevents that.

    >>> x, y = two_clusters(n=6)
    >>> y
    tensor([0, 0, 0, 1, 1, 1])
    """
    _check("two_clusters", n, std=std)
    draw = numpy_generator(generator)
    y = (np.arange(n) >= n // 2).astype(np.int64)
    x = std * draw.standard_normal((n, dims))
    x[:, 0] += distance * (y - 0.5)
    return from_numpy(x.astype(np.float32)), from_numpy(y)
