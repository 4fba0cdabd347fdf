"""Samples for norms."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(6)
x = draw.uniform(0.5, 2, (3, 4)) * draw.choice([-1, 1], (3, 4))


def by_numpy(x, ord, dims, keepdim):
    if len(dims) == 1:
        return np.linalg.norm(x, ord, dims[0], keepdims=keepdim)
    return np.linalg.norm(x.reshape(-1), ord).reshape((1,) * x.ndim if keepdim else ())


for ord in (2.0, 1.0, 3.0, 0.5, 0.0, -1.0, 2.5, np.inf, -np.inf):
    sample("vector_norm", x, ord, (1,), False, reference=by_numpy)
sample("vector_norm", x, 2.0, (0, 1), True, reference=by_numpy)
sample("vector_norm", x, 2.0, (0, 1), False, reference=by_numpy)
sample("vector_norm", x, 3.0, (0,), True, reference=by_numpy)
