"""Samples for ops/elementary.py."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(2)
x, positive = draw.standard_normal((2, 3)), draw.uniform(0.5, 2, (2, 3))

for name in ("exp", "sin", "cos", "tanh"):
    sample(name, x, reference=getattr(np, name), elementwise=True)
for name in ("log", "log1p"):
    sample(name, positive, reference=getattr(np, name), elementwise=True)
sample("sigmoid", x, reference=lambda x: 1 / (1 + np.exp(-x)), elementwise=True)
