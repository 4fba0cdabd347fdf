"""Samples for softmax."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(12)
x = draw.standard_normal((2, 3, 4)) * 2


def softmax(x, dim):
    e = np.exp(x)
    return e / e.sum(axis=dim, keepdims=True)


for dim in (0, 1, 2):
    sample("softmax", x, dim, reference=softmax)
    sample("log_softmax", x, dim, reference=lambda x, dim: np.log(softmax(x, dim)))
sample("softmax", np.array(2.0), 0, reference=lambda x, dim: np.array(1.0))
sample("softmax", np.zeros((2, 0, 3)), 1, reference=lambda x, dim: x)
sample("log_softmax", np.zeros((2, 0, 3)), 2, reference=lambda x, dim: x)
