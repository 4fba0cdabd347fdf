"""Samples for attention."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(16)


def normal(*shape):
    return draw.standard_normal(shape)


def attention(query, key, value, mask, causal, scale):
    scores = query @ key.swapaxes(-1, -2) * scale
    if mask is not None:
        scores = scores + mask
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    e = np.exp(scores)
    return e / e.sum(-1, keepdims=True) @ value


sample("attention", normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 3), None, False, 0.5, reference=attention)
sample("attention", normal(2, 2, 4, 3), normal(2, 2, 4, 3), normal(2, 2, 4, 3), None, True, 0.7, reference=attention)
sample("attention", normal(4, 3), normal(5, 3), normal(5, 2), normal(4, 5), False, 1.0, reference=attention)
sample("attention", normal(2, 2, 4, 3), normal(2, 1, 4, 3), normal(1, 4, 3), normal(2, 1, 1, 4), True, 0.5, reference=attention)
