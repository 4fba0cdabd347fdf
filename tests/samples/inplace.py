"""Samples for ops/inplace.py."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(3)
x = draw.standard_normal((3, 4))
places = np.array([[5, 1], [0, 11]])


def replaced(x, y, places):
    x.reshape(-1)[places] = y
    return x


sample("region", x, places, reference=lambda x, places: x.reshape(-1)[places])
sample("with_region", x, draw.standard_normal((2, 2)), places, reference=replaced)
