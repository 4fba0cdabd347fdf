"""Samples for ops/linalg.py."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(4)


def normal(*shape):
    return draw.standard_normal(shape)


sample("matmul", normal(2, 3), normal(3, 4), reference=np.matmul)
sample("linear", normal(2, 3), normal(4, 3), normal(4), reference=lambda x, w, b: x @ w.T + b)
sample("linear", normal(2, 5, 3), normal(4, 3), None, reference=lambda x, w, b: x @ w.T)
