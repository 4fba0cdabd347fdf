"""Samples for rounding, signs and bounds."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(5)
x, y = draw.standard_normal((2, 3)), draw.standard_normal((2, 3))

for name in ("abs", "sign", "floor", "ceil", "trunc"):
    sample(name, x, reference=getattr(np, name), elementwise=True)
sample("round", x, 1, reference=np.round, elementwise=True)
for name in ("maximum", "minimum", "copysign"):
    sample(name, x, y, reference=getattr(np, name), elementwise=True)
sample("nextafter", x, y, reference=np.nextafter)
sample("clamp", x, -0.5, 0.5, reference=np.clip, elementwise=True)
sample("clamp", x, None, 0.1, reference=np.clip)
sample("clamp", x, y - 0.3, y + 0.2, reference=np.clip, elementwise=True)
sample("clamp", x, y, None, reference=lambda x, low, high: np.maximum(x, low))
sample("linear_in", x, y, reference=lambda out, x: out)
