"""Samples for ops/piecewise.py."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(5)
x, y = draw.standard_normal((2, 3)), draw.standard_normal((2, 3))

sample("abs", x, reference=np.abs, elementwise=True)
sample("sign", x, reference=np.sign, elementwise=True)
sample("maximum", x, y, reference=np.maximum, elementwise=True)
sample("minimum", x, y, reference=np.minimum, elementwise=True)
sample("clamp", x, -0.5, 0.5, reference=np.clip, elementwise=True)
sample("clamp", x, None, 0.1, reference=np.clip)
sample("clamp", x, y - 0.3, y + 0.2, reference=np.clip, elementwise=True)
sample("clamp", x, y, None, reference=lambda x, low, high: np.maximum(x, low))
