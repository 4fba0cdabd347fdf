"""Samples for products of matrices."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(4)


def normal(*shape):
    return draw.standard_normal(shape)


for a, b in [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)), ((0, 3), (3, 4)),
    ((2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((0,), (0,)),
]:  # fmt: skip
    sample("matmul", normal(*a), normal(*b), reference=np.matmul)


def affine(x, weight, bias):
    return x @ weight.T + (0 if bias is None else bias)


for shape in ((2, 3), (2, 5, 3), (3,), (0, 3)):
    sample("linear", normal(*shape), normal(4, 3), normal(4), reference=affine)
sample("linear", normal(2, 5, 3), normal(4, 3), None, reference=affine)
sample("linear", normal(2, 3), normal(4, 3), normal(2, 4), reference=affine)
sample("linear", normal(3), normal(3), None, reference=affine)
