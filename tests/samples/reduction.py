"""Samples for reductions."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(11)
x = draw.standard_normal((2, 3, 4))
point = np.array(0.7)


def over_axes(name):
    return lambda x, axes, keepdim: getattr(np, name)(x, axis=axes, keepdims=keepdim)


def logsumexp(x, axes, keepdim):
    return np.log(np.sum(np.exp(x), axis=axes, keepdims=keepdim))


for axes in (None, 1, (0, 2)):
    for keepdim in (False, True):
        for name in ("sum", "mean", "amax", "amin"):
            sample(name, x, axes, keepdim, reference=over_axes(name))
        for name in ("any", "all"):
            sample(name, np.round(x), axes, keepdim, reference=over_axes(name))
        sample("logsumexp", x, axes, keepdim, reference=logsumexp)
        if axes != (0, 2):
            sample("argmax", x, axes, keepdim, reference=over_axes("argmax"))
            sample("argmin", x, axes, keepdim, reference=over_axes("argmin"))
            sample("prod", x, axes, keepdim, reference=over_axes("prod"))

for name in ("sum", "mean", "amax", "amin", "prod"):
    sample(name, point, None, False, reference=over_axes(name))
sample("logsumexp", point, None, False, reference=logsumexp)
sample("sum", x[:0], 0, False, reference=over_axes("sum"))

one_zero, two_zeros = x.copy(), x.copy()
one_zero[0, 1, 2] = two_zeros[1, 0, 1] = two_zeros[1, 2, 1] = 0
for zeros in (one_zero, two_zeros):
    sample("prod", zeros, None, False, reference=over_axes("prod"))
    sample("prod", zeros, 1, False, reference=over_axes("prod"))
