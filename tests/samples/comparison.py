"""Samples for comparison, logic and bits."""

import numpy as np

from tests.check_op import sample

x, y = np.array([[1.0, 2.0, 3.0]]), np.array([[3.0], [2.0]])
few, many = np.array([0, 1, 6, 7]), np.array([[3], [-5]])

for name, reference in {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}.items():  # fmt: skip
    sample(name, x, y, reference=reference, elementwise=True)
for name in ("logical_and", "logical_or", "logical_xor"):
    sample(name, few, many, reference=getattr(np, name), elementwise=True)
for name in ("isfinite", "isinf", "isnan", "isreal", "signbit"):
    sample(name, np.array([1.0, -0.0, np.inf, -np.inf, np.nan]), reference=getattr(np, name), elementwise=True)
sample("logical_not", few, reference=np.logical_not, elementwise=True)
for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    sample(name, few, many, reference=getattr(np, name), elementwise=True)
sample("bitwise_not", few, reference=np.invert, elementwise=True)
sample("bitwise_left_shift", many, few, reference=np.left_shift)
sample("bitwise_right_shift", many, few, reference=np.right_shift)
sample("gcd", few, many * 3, reference=np.gcd, elementwise=True)
sample("lcm", few, many * 3, reference=np.lcm, elementwise=True)
sample("isclose", x, y, 0.0, 1.0, False, reference=lambda x, y, *_: abs(x - y) <= 1, elementwise=True)
sample("isin", few, many, False, True, reference=lambda x, y, *_: ~np.isin(x, y))
sample("where", np.array([True, False, True]), x, y, reference=np.where, elementwise=True)
