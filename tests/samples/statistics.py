"""Samples for ops/statistics.py."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(13)
x = draw.standard_normal((2, 3, 4))


def var(x, axes, correction, keepdim):
    return np.var(x, axis=axes, ddof=correction, keepdims=keepdim)


for axes in (None, 1, (0, 2)):
    sample("var", x, axes, 1, False, reference=var)
    sample("var", x, axes, 0.5, True, reference=var)

sample("root", draw.uniform(0.5, 2, (2, 3)), reference=np.sqrt, elementwise=True)
