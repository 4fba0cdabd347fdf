"""Elementary functions of each element: exponentials, logarithms, trigonometric, hyperbolic."""

from __future__ import annotations

from tinygrad_lite.arrays import as_float, namespace_of
from tinygrad_lite.autograd import primitive

__all__ = ["cos", "exp", "log", "log1p", "sigmoid", "sin", "tanh"]

METHODS = __all__
IN_PLACE = __all__


@primitive
def exp(x):
    """e to the power of each element."""
    x = as_float(x)
    return namespace_of(x).exp(x)


exp.vjp(x=lambda g, out: g * out)


@primitive
def log(x):
    """Natural logarithm of each element."""
    x = as_float(x)
    return namespace_of(x).log(x)


log.vjp(x=lambda g, x: g / x)


@primitive
def sin(x):
    """Sine of each element (radians)."""
    x = as_float(x)
    return namespace_of(x).sin(x)


sin.vjp(x=lambda g, x: g * cos(x))


@primitive
def cos(x):
    """Cosine of each element (radians)."""
    x = as_float(x)
    return namespace_of(x).cos(x)


cos.vjp(x=lambda g, x: -g * sin(x))


@primitive
def tanh(x):
    """Hyperbolic tangent of each element."""
    x = as_float(x)
    return namespace_of(x).tanh(x)


tanh.vjp(x=lambda g, out: g * (1 - out * out))


@primitive
def log1p(x):
    """log(1 + x), exact for small x."""
    x = as_float(x)
    return namespace_of(x).log1p(x)


log1p.vjp(x=lambda g, x: g / (1 + x))


@primitive
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    x = as_float(x)
    return 1 / (1 + namespace_of(x).exp(-x))


sigmoid.vjp(x=lambda g, out: g * (1 - out) * out)
