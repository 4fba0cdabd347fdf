"""Samples for ops/activation.py."""

import math

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(11)
x = draw.standard_normal((3, 5)) * 2


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


sample("relu", x, reference=lambda x: np.maximum(x, 0), elementwise=True)
sample("gelu_tanh", x, reference=gelu_tanh, elementwise=True)
sample("softplus", x, 1.5, 20.0, reference=lambda x, beta, threshold: np.log1p(np.exp(beta * x)) / beta, elementwise=True)
sample("softplus", x + 4, 3.0, 2.0, reference=lambda x, b, t: np.where(b * x > t, x, np.log1p(np.exp(b * x)) / b))
