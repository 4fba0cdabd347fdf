"""Where the random draws of samplers, splits and toy sets come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.ops.random import default_generator


def numpy_generator(generator: Any = None) -> np.random.Generator:
    """The NumPy generator behind `generator`; behind the library's global one where it is None."""
    return generator if isinstance(generator, np.random.Generator) else (generator or default_generator)._source.stream
