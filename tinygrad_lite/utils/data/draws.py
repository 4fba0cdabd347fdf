"""Where the random draws of samplers, splits and toy sets come from."""

from __future__ import annotations

from typing import Any

import numpy as np

_default = np.random.default_rng()


def numpy_generator(generator: Any = None) -> np.random.Generator:
    """The NumPy generator behind `generator`; behind the library's global one where it is None."""
    return _default if generator is None else generator
