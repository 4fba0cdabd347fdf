"""Samples for ops/shape.py, ops/joining.py, ops/repeating.py and ops/diagonals.py."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(12)


def normal(*shape):
    return draw.standard_normal(shape)


sample("reshape", normal(2, 6), (3, 4), reference=np.reshape)
sample("reshape", normal(1), (), reference=np.reshape)
sample("reshape", normal(2, 0), (0, 5), reference=np.reshape)
sample("view_dtype", np.arange(4), np.dtype(np.uint64), reference=np.ndarray.view, order=0)
sample("expand", normal(2, 1), (3, 2, 4), reference=np.broadcast_to)
sample("expand", normal(), (2, 3), reference=np.broadcast_to)
sample("permute", normal(2, 3, 4), (2, 0, 1), reference=np.transpose)
sample("permute", normal(), (), reference=np.transpose)
sample("to_dtype", normal(2, 3), np.dtype(np.int32), reference=lambda x, dtype: x.astype(dtype), order=0)
sample("clone", normal(2, 3), reference=np.copy)
sample("clone", normal(2, 3), "C", reference=lambda x, order: x)

sample("cat", 1, normal(2, 3), normal(2, 0), normal(2, 1), reference=lambda dim, *xs: np.concatenate(xs, dim))
sample("cat", 0, normal(2), normal(1), reference=lambda dim, *xs: np.concatenate(xs, dim))
sample("stack", 1, normal(2, 3), normal(2, 3), reference=lambda dim, *xs: np.stack(xs, dim))
sample("stack", 0, normal(), normal(), reference=lambda dim, *xs: np.stack(xs, dim))
sample("split", normal(5, 2), (2, 0, 3), 0, reference=lambda x, sizes, dim: tuple(np.split(x, np.cumsum(sizes)[:-1], dim)))
sample("unbind", normal(2, 3), 1, reference=lambda x, dim: tuple(np.moveaxis(x, dim, 0)))
sample("unbind", normal(3), 0, reference=lambda x, dim: tuple(x))

sample("repeat", normal(2, 3), (2, 1, 3), reference=np.tile)
sample("repeat", normal(), (), reference=np.tile)
sample("repeat", normal(3), (0,), reference=np.tile)
sample("flip", normal(2, 3), (0, 1), reference=np.flip)
sample("roll", normal(4, 3), (1, -2), (0, 1), reference=np.roll)
sample("padded", normal(2, 3), (4, 4), (slice(1, 3), slice(0, 3)), 2.5, reference=lambda x, *_: np.pad(x, ((1, 1), (0, 1)), constant_values=2.5))

sample("tril", normal(2, 3, 4), -1, reference=np.tril)
sample("triu", normal(4, 3), 1, reference=np.triu)
