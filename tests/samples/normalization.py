"""Samples for normalization."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(14)


def normal(*shape):
    return draw.standard_normal(shape)


def standardized(x, axes, eps, center):
    if center:
        x = x - x.mean(axis=axes, keepdims=True)
    return x / np.sqrt((x * x).mean(axis=axes, keepdims=True) + eps)


def normalized(x, weight, bias, lead, groups, eps, center):
    out = standardized(x.reshape(*x.shape[:lead], groups, -1), -1, eps, center)
    for vector, function in ((weight, np.multiply), (bias, np.add)):
        if vector is not None:
            out = function(out.reshape(*x.shape[:lead], vector.size, -1), vector.reshape(-1, 1))
    return out.reshape(x.shape)


def batch_norm(x, weight, bias, eps, moments, running):
    if running:
        mean, var = moments
        out = (np.moveaxis(x, 1, -1) - mean) / np.sqrt(var + eps)
    else:
        out = np.moveaxis(standardized(x, (0, *range(2, x.ndim)), eps, True), 1, -1)
    return np.moveaxis(out * (1 if weight is None else weight) + (0 if bias is None else bias), -1, 1)


x = normal(3, 4, 5)
sample("normalize", x, normal(5), normal(5), 2, 1, 1e-5, True, reference=normalized)
sample("normalize", x, normal(4, 5), None, 1, 1, 1e-2, True, reference=normalized)
sample("normalize", x, None, None, 2, 1, 1e-5, True, reference=normalized)
sample("normalize", x, normal(5), None, 2, 1, 1e-5, False, reference=normalized)
sample("normalize", normal(2, 6, 4), normal(6), normal(6), 1, 3, 1e-5, True, reference=normalized)
sample("normalize", normal(2, 3, 4), None, normal(3), 1, 3, 1e-5, True, reference=normalized)
sample("batch_norm", x, normal(4), normal(4), 1e-5, None, False, reference=batch_norm)
sample("batch_norm", normal(6, 3), normal(3), None, 1e-3, None, False, reference=batch_norm)
sample("batch_norm", normal(2, 3, 2, 2), None, normal(3), 1e-5, None, False, reference=batch_norm)
sample("batch_norm", x, normal(4), normal(4), 1e-5, (normal(4), normal(4) ** 2), True, reference=batch_norm)
sample("batch_norm", normal(2, 3, 2, 2), None, None, 1e-3, (normal(3), normal(3) ** 2), True, reference=batch_norm)
