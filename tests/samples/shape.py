"""Samples for shape and joining."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(12)


def normal(*shape):
    return draw.standard_normal(shape)


sample("reshape", normal(2, 6), (3, 4), reference=np.reshape)
sample("reshape", normal(1), (), reference=np.reshape)
sample("reshape", normal(2, 0), (0, 5), reference=np.reshape)
sample("expand", normal(2, 1), (3, 2, 4), reference=np.broadcast_to)
sample("expand", normal(), (2, 3), reference=np.broadcast_to)
sample("permute", normal(2, 3, 4), (2, 0, 1), reference=np.transpose)
sample("permute", normal(), (), reference=np.transpose)
sample("permute", normal(2, 3, 4), None, reference=np.transpose)
sample("copy", normal(2, 3), np.dtype(np.int32), reference=lambda x, dtype: x.astype(dtype), order=0)

sample("cat", 1, normal(2, 3), normal(2, 0), normal(2, 1), reference=lambda dim, *xs: np.concatenate(xs, dim))
sample("cat", 0, normal(2), normal(1), reference=lambda dim, *xs: np.concatenate(xs, dim))
sample("stack", 1, normal(2, 3), normal(2, 3), reference=lambda dim, *xs: np.stack(xs, dim))
sample("stack", 0, normal(), normal(), reference=lambda dim, *xs: np.stack(xs, dim))
sample("split", normal(5, 2), (2, 0, 3), 0, reference=lambda x, sizes, dim: tuple(np.split(x, np.cumsum(sizes)[:-1], dim)))
sample("split", normal(2, 3), None, 1, reference=lambda x, sizes, dim: tuple(np.moveaxis(x, dim, 0)))
sample("split", normal(3), None, 0, reference=lambda x, sizes, dim: tuple(x))
