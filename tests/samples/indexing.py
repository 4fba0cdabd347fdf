"""Samples for indexing and scattering."""

import numpy as np

from tests.check_op import sample
from tinygrad_lite.arrays.indexing import Region

draw = np.random.default_rng(13)
ALL = slice(None)
mask = np.array([[True, False, True, False], [False] * 4, [True] * 4])
rows = np.array([2, 0, 2])


def normal(*shape):
    return draw.standard_normal(shape)


def part(x, index):
    if isinstance(index, Region):
        return index.of(x)
    return x[index]


def added(x, shape, index):
    out = np.zeros(shape)
    np.add.at(out.reshape(-1), part(np.arange(out.size).reshape(shape), index), x)
    return out


def replaced(x, value, index):
    out = np.array(x)
    part(out, index)[...] = value
    if not isinstance(index, Region):
        out[index] = value
    return out


INDICES = [
    (1, ...), (slice(0, 3, 2), None, ...), (..., -1), (2, 3, ...), (rows,), (ALL, rows), (rows, rows), (rows[:, None], rows),
    (mask,), (mask[:, 0], ...), (mask[:, 0], rows[:2]), (ALL, np.zeros(0, np.int64)), Region((2, 3), ((4,), (1,)), (5,)), Region((), (), (3,)),
    Region((2, 2), ((0, 1), (1, 1)), (1, 0)),
]  # fmt: skip

for index in [*INDICES, Region((3, 2), ((1,), (1,)), (2,)), Region((2, 2), ((0,), (4,)), (1,)), Region((2, 3, 2), ((1, 0), (0, 1), (1, 0)), (0, 1))]:
    x = normal(3, 4)
    sample("getitem", x, index, reference=part)
    sample("into_zeros", np.array(part(x, index)), (3, 4), index, reference=added)
for index in INDICES:
    if not any(i is rows or (isinstance(i, np.ndarray) and i.ndim == 2 and i.dtype.kind == "i") for i in index):
        x = normal(3, 4)
        sample("replaced", x, np.array(part(x, index)), index, reference=replaced)
sample("replaced", normal(3, 4), 1.5, (ALL, np.array([0, 3])), reference=replaced)
sample("replaced", normal(3, 4), normal(1), (1, ...), reference=replaced)


def combined(x, src, index, reduce):
    {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[reduce].at(x, index, src)
    return x


for reduce in ("prod", "amax", "amin"):
    sample("scatter_reduce", normal(3, 2), normal(3, 2), (rows,), reduce, reference=combined)
    sample("scatter_reduce", normal(2, 3), normal(2, 3), (np.array([[0], [1]]), rows), reduce, reference=combined)
