"""Samples for ops/normalization.py."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(14)


def normal(*shape):
    return draw.standard_normal(shape)


def normalized(x, weight, bias, axes, eps, center, statistics):
    if center:
        x = x - x.mean(axis=axes, keepdims=True)
    out = x / np.sqrt((x * x).mean(axis=axes, keepdims=True) + eps)
    return out * (1 if weight is None else weight) + (0 if bias is None else bias)


x = normal(3, 4, 5)
sample("normalize", x, normal(5), normal(5), (-1,), 1e-5, True, None, reference=normalized)
sample("normalize", x, normal(4, 5), None, (-2, -1), 1e-2, True, None, reference=normalized)
sample("normalize", x, None, None, (-1,), 1e-5, True, None, reference=normalized)
sample("normalize", x, normal(5), None, (-1,), 1e-5, False, None, reference=normalized)
sample("normalize", x, normal(4, 1), normal(4, 1), (0, 2), 1e-5, True, None, reference=normalized)
sample("normalize", normal(2, 3, 2, 4), normal(3, 2, 1), normal(3, 2, 1), (2, 3), 1e-5, True, None, reference=normalized)
