"""Samples for elementary functions."""

import math

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(2)
x, y = draw.standard_normal((2, 3)), draw.standard_normal((2, 3))
positive, inside = draw.uniform(0.5, 2, (2, 3)), draw.uniform(-0.9, 0.9, (2, 3))

for name in ("exp", "expm1", "sin", "cos", "sinh", "cosh", "tanh"):
    sample(name, x, reference=getattr(np, name), elementwise=True)
for name in ("sqrt", "log", "log1p", "log2", "log10"):
    sample(name, positive, reference=getattr(np, name), elementwise=True)
sample("tan", inside, reference=np.tan, elementwise=True)
sample("asin", inside, reference=np.arcsin, elementwise=True)
sample("acos", inside, reference=np.arccos, elementwise=True)
sample("atan", x, reference=np.arctan, elementwise=True)
sample("asinh", x, reference=np.arcsinh, elementwise=True)
sample("acosh", 1 + positive, reference=np.arccosh, elementwise=True)
sample("atanh", inside, reference=np.arctanh, elementwise=True)
sample("sigmoid", x, reference=lambda x: 1 / (1 + np.exp(-x)), elementwise=True)
sample("logit", positive / 3, reference=lambda x: np.log(x / (1 - x)), elementwise=True)
sample("erf", x, reference=np.vectorize(math.erf, [float]), elementwise=True)
sample("erfc", x, reference=np.vectorize(math.erfc, [float]), elementwise=True)

sample("atan2", x, y, reference=np.arctan2, elementwise=True)
sample("hypot", x, y, reference=np.hypot, elementwise=True)
sample("logaddexp", x, y, math.e, reference=lambda x, y, base: np.logaddexp(x, y), elementwise=True)
sample("logaddexp", x, y, 2, reference=lambda x, y, base: np.logaddexp2(x, y), elementwise=True)
sample("xlogy", x, positive, reference=lambda x, y: x * np.log(y), elementwise=True)
