"""Samples for activations."""

import math

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(11)
x = draw.standard_normal((3, 5)) * 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x, approximate):
    if approximate == "none":
        return x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))) / 2
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softplus(x, beta, threshold):
    return np.where(beta * x > threshold, x, np.log1p(np.exp(beta * x)) / beta)


def elu(x, alpha, scale, rate):
    return scale * np.where(x > 0, x, alpha * (np.exp(x * rate) - 1))


sample("relu", x, reference=lambda x: np.maximum(x, 0), elementwise=True)
sample("relu", draw.standard_normal((50, 40)), reference=lambda x: np.maximum(x, 0))
sample("leaky_relu", x, 0.1, reference=lambda x, slope: np.where(x > 0, x, slope * x), elementwise=True)
sample("hardtanh", x, -1.0, 1.5, reference=np.clip, elementwise=True)
sample("elu", x, 0.8, 1.0, 1.0, reference=elu, elementwise=True)
sample("elu", x, 1.7, 1.1, 0.6, reference=elu)
sample("softplus", x, 1.5, 20.0, reference=softplus, elementwise=True)
sample("softplus", x + 4, 3.0, 2.0, reference=softplus)
sample("silu", x, reference=lambda x: x * sigmoid(x), elementwise=True)
sample("gelu", x, "none", reference=gelu, elementwise=True, rtol=1e-3)
sample("gelu", x, "tanh", reference=gelu, elementwise=True)
sample("masked", x, x > 0.3, 1.25, reference=lambda x, kept, scale: np.where(kept, x * scale, 0), elementwise=True)
