"""Bessel functions of orders 0 and 1, and the Airy function, through SciPy (the extra `scipy`)."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import as_float
from tinygrad_lite.arrays import special as _special
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import named, operation
from tinygrad_lite.ops.calculus import sign
from tinygrad_lite.ops.math.elementary import sinc
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor

__all__ = ["i0"]


@primitive
def _bessel(input, kind):
    """`kind`: SciPy's name, which ends in e for scaled functions. "ai" and "aip": the Airy function and its derivative."""
    input = as_float(input)
    return _special("airy", input)[("ai", "aip").index(kind)] if kind in ("ai", "aip") else _special(kind, input)


def _over(out: Any, x: Any) -> Any:
    """`out / x` for a function that is x / 2 near 0."""
    return where(x == 0, 0.5, out / where(x == 0, 1.0, x))


# The derivatives (Abramowitz and Stegun, 9.1.28-30 and 9.6.26-27).
_SLOPES = {
    "j0": lambda x, out: -_bessel(x, "j1"),
    "j1": lambda x, out: _bessel(x, "j0") - _over(out, x),
    "y0": lambda x, out: -_bessel(x, "y1"),
    "y1": lambda x, out: _bessel(x, "y0") - out / x,
    "i0": lambda x, out: _bessel(x, "i1"),
    "i1": lambda x, out: _bessel(x, "i0") - _over(out, x),
    "i0e": lambda x, out: _bessel(x, "i1e") - sign(x) * out,
    "i1e": lambda x, out: _bessel(x, "i0e") - _over(out, x) - sign(x) * out,
    "k0": lambda x, out: -_bessel(x, "k1"),
    "k1": lambda x, out: -_bessel(x, "k0") - out / x,
    "k0e": lambda x, out: out - _bessel(x, "k1e"),
    "k1e": lambda x, out: out - _bessel(x, "k0e") - out / x,
    "ai": lambda x, out: _bessel(x, "aip"),
    "aip": lambda x, out: x * _bessel(x, "ai"),
}

_bessel.vjp(input=lambda g, input, out, kind: g * _SLOPES[kind](input, out))


def _function(name: str, kind: str, doc: str) -> Any:
    @operation
    @named(name, doc)
    def call(input: Tensor) -> Tensor:
        return _bessel(input, kind)

    return call


bessel_j0 = _function("bessel_j0", "j0", "The Bessel function of the first kind of order 0.")
bessel_j1 = _function("bessel_j1", "j1", "The Bessel function of the first kind of order 1.")
bessel_y0 = _function("bessel_y0", "y0", "The Bessel function of the second kind of order 0.")
bessel_y1 = _function("bessel_y1", "y1", "The Bessel function of the second kind of order 1.")
i0 = _function("i0", "i0", "The modified Bessel function of the first kind of order 0.")
i1 = _function("i1", "i1", "The modified Bessel function of the first kind of order 1.")
i0e = _function("i0e", "i0e", "`exp(-abs(input)) * i0(input)`.")
i1e = _function("i1e", "i1e", "`exp(-abs(input)) * i1(input)`.")
modified_bessel_k0 = _function("modified_bessel_k0", "k0", "The modified Bessel function of the second kind of order 0.")
modified_bessel_k1 = _function("modified_bessel_k1", "k1", "The modified Bessel function of the second kind of order 1.")
scaled_modified_bessel_k0 = _function("scaled_modified_bessel_k0", "k0e", "`exp(input) * modified_bessel_k0(input)`.")
scaled_modified_bessel_k1 = _function("scaled_modified_bessel_k1", "k1e", "`exp(input) * modified_bessel_k1(input)`.")
airy_ai = _function("airy_ai", "ai", "The Airy function: the solution of y'' = x y that vanishes for large x.")
modified_bessel_i0, modified_bessel_i1 = i0, i1


@operation
def spherical_bessel_j0(input: Tensor) -> Tensor:
    """`sin(input) / input`, which is 1 at 0: the spherical Bessel function of the first kind of order 0.

    >>> import tinygrad_lite as tg
    >>> tg.special.spherical_bessel_j0(tg.tensor([0.0]))
    tensor([1.])
    """
    return sinc(input / math.pi)
