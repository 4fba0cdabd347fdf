"""Where the random draws of samplers, splits and toy sets come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.ops.generators import source


def numpy_generator(generator: Any = None) -> np.random.Generator:
    """The NumPy generator behind a `Generator` on the CPU, or behind the library's own where it is None."""
    return source(generator, "cpu").stream
