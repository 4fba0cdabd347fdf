"""Samples for statistics."""

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
counts = np.array([1, 0, 4, 1])
sample("bincount", counts, None, 6, reference=np.bincount)
sample("bincount", counts, draw.standard_normal(4), 0, reference=np.bincount)
sample("histc", x, np.linspace(-1, 1, 6), reference=lambda x, edges: np.histogram(x, edges)[0])
