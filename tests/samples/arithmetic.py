"""Samples for ops/arithmetic.py."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(1)
x, y = draw.standard_normal((2, 3)), draw.uniform(0.5, 2, (2, 3))

sample("add", x, y, reference=np.add, elementwise=True)
sample("sub", x, y, reference=np.subtract, elementwise=True)
sample("mul", x, y, reference=np.multiply, elementwise=True)
sample("mul", x, 2.5, reference=np.multiply, elementwise=True)
sample("div", x, y, reference=np.divide, elementwise=True)
sample("neg", x, reference=np.negative, elementwise=True)
