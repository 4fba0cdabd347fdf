"""Random generators for samplers, splits and toy datasets."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays.randomness import Source
from tinygrad_lite.ops.random.generators import source


def numpy_generator(generator: Any = None) -> np.random.Generator:
    """The NumPy generator behind a `Generator` on the CPU, or behind the default one if None."""
    return source(generator, "cpu").stream


def drawn_seed(generator: Any = None) -> int:
    """A seed drawn from `generator`, or from the default one if None."""
    return int(numpy_generator(generator).integers(2**63, dtype=np.uint64))


def own_generator() -> np.random.Generator:
    """A new NumPy generator, seeded from the default one."""
    return Source("cpu", drawn_seed()).stream
