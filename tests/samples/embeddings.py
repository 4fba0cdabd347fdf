"""Samples for embeddings."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(15)
table = draw.standard_normal((4, 3))
index = np.array([[3, 0, 3], [1, 3, 0]])

sample("rows", table, index, None, reference=lambda weight, index, factor: weight[index])
sample("rows", table, index, np.ones((2, 3, 1)), reference=lambda weight, index, factor: weight[index], differentiable=(0,))
