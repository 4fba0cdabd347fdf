"""Samples for arithmetic."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(1)
x, y = draw.standard_normal((2, 3)), draw.uniform(0.5, 2, (2, 3))
apart = 2.3 * y + 0.1 * x  # whose quotients by y are not near an integer

sample("add", x, y, reference=np.add, elementwise=True)
sample("sub", x, y, reference=np.subtract, elementwise=True)
sample("mul", x, y, reference=np.multiply, elementwise=True)
sample("mul", x, 2.5, reference=np.multiply, elementwise=True)
sample("div", x, y, reference=np.divide, elementwise=True)
sample("div_rounded", apart, y, "floor", reference=lambda x, y, mode: np.floor(x / y))
sample("div_rounded", -apart, y, "trunc", reference=lambda x, y, mode: np.trunc(x / y))
sample("div_rounded", np.array([-7, 7, -6]), np.array([2, -2, 3]), "trunc", reference=lambda x, y, mode: np.trunc(x / y))
sample("remainder", -apart, y, "floor", reference=lambda x, y, mode: np.remainder(x, y))
sample("remainder", -apart, y, "trunc", reference=lambda x, y, mode: np.fmod(x, y))
sample("neg", x, reference=np.negative, elementwise=True)
sample("pow", y, x, reference=np.power, elementwise=True)
for exponent in (2, 3, 0.5, -1, 0):
    sample("pow", y, exponent, reference=np.power, elementwise=True)
sample("pow", 2.0, x, reference=np.power)
