"""Special functions, through SciPy: the extra `scipy`."""

from __future__ import annotations

import math

from tinygrad_lite.arrays import as_float, namespace_of, only_floats, promote_tensors, promoted_floats, some_tensor
from tinygrad_lite.arrays import special as _special
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import exp, log
from tinygrad_lite.ops.calling import no_rule, operation
from tinygrad_lite.ops.math.elementary import erfc, log1p
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.typing import Tensor

__all__ = ["digamma", "erfinv", "igamma", "igammac", "lgamma", "mvlgamma", "polygamma"]


# -- gamma --------------------------------------------------------------------------------------


@primitive
def lgamma(x):
    """The logarithm of the absolute value of the gamma function.

    >>> import tinygrad_lite as tg
    >>> tg.lgamma(tg.tensor([1.0, 3.0]))
    tensor([0.0000, 0.6931])
    """
    x = as_float(x)
    return namespace_of(x).where(x == -math.inf, x.dtype.type(math.inf), _special("gammaln", x))  # SciPy has -inf there


lgamma.vjp(x=lambda g, x: g * _polygamma(x, 0))


@primitive
def _polygamma(x, n):
    x = as_float(x)
    return _special("polygamma", n, x) if n else _special("digamma", x)


_polygamma.vjp(x=lambda g, x, n: g * _polygamma(x, n + 1))


@operation
def digamma(x: Tensor) -> Tensor:
    """The derivative of lgamma.

    >>> import tinygrad_lite as tg
    >>> tg.digamma(tg.tensor([1.0]))
    tensor([-0.5772])
    """
    return _polygamma(x, 0)


@operation
def polygamma(n: int, x: Tensor) -> Tensor:
    """The n-th derivative of digamma.

    >>> import tinygrad_lite as tg
    >>> tg.polygamma(1, tg.tensor([1.0]))
    tensor([1.6449])
    """
    if n < 0:
        raise ValueError(f"polygamma: expected n of 0 or more, got {n}")
    return _polygamma(x, n)


@operation
def mvlgamma(x: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension `p`.

    >>> import tinygrad_lite as tg
    >>> tg.mvlgamma(tg.tensor([2.0]), 1)
    tensor([0.])
    """
    if p < 1:
        raise ValueError(f"mvlgamma: expected p of 1 or more, got {p}")
    total = p * (p - 1) / 4 * math.log(math.pi) + lgamma(x)
    for i in range(1, p):
        total = total + lgamma(x - i / 2)
    return contiguous(total)


@primitive
def _igamma(x, y, upper):
    x, y = promote_tensors(x, y)
    only_floats(x)
    return _special("gammaincc" if upper else "gammainc", x, y)


_igamma.vjp(x=no_rule("igamma", "the order"),
            y=lambda g, x, y, upper: (-g if upper else g) * exp((x - 1) * log(y) - y - lgamma(x)))


@operation
def igamma(x: Tensor, y: Tensor) -> Tensor:
    """The regularized lower incomplete gamma function of order `x` at `y`, differentiable by `y`.

    >>> import tinygrad_lite as tg
    >>> tg.special.gammainc(tg.tensor([1.0]), tg.tensor([1.0]))
    tensor([0.6321])
    """
    return _igamma(x, y, False)


@operation
def igammac(x: Tensor, y: Tensor) -> Tensor:
    """`1 - igamma(x, y)`, exact where that is small.

    >>> import tinygrad_lite as tg
    >>> tg.special.gammaincc(tg.tensor([1.0]), tg.tensor([1.0]))
    tensor([0.3679])
    """
    return _igamma(x, y, True)


@primitive
def zeta(x, y):
    """The Hurwitz zeta function: the sum of `(k + y)**-x` over k = 0, 1, ...; differentiable by `y`.

    >>> import tinygrad_lite as tg
    >>> tg.special.zeta(tg.tensor([2.0]), tg.tensor([1.0]))
    tensor([1.6449])
    """
    some_tensor(x, y)
    return _special("zeta", *promoted_floats(x, y))


zeta.vjp(x=no_rule("zeta", "the exponent"),
         y=lambda g, x, y: g * (-x * zeta(x + 1, y)))


# -- the normal distribution --------------------------------------------------------------------


@primitive
def erfinv(x):
    """The inverse of erf.

    >>> import tinygrad_lite as tg
    >>> tg.erfinv(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4769])
    """
    return _special("erfinv", as_float(x))


erfinv.vjp(x=lambda g, out: g * (math.sqrt(math.pi) / 2 * exp(out * out)))


@primitive
def erfcx(x):
    """`exp(x * x) * erfc(x)`.

    >>> import tinygrad_lite as tg
    >>> tg.special.erfcx(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 0.4276])
    """
    return _special("erfcx", as_float(x))


erfcx.vjp(x=lambda g, x, out: g * (2 * x * out - 2 / math.sqrt(math.pi)))


@operation
def ndtr(x: Tensor) -> Tensor:
    """The probability that a standard normal variable is below `x`.

    >>> import tinygrad_lite as tg
    >>> tg.special.ndtr(tg.tensor([0.0, 1.96]))
    tensor([0.5000, 0.9750])
    """
    return erfc(x * -math.sqrt(0.5)) / 2


@operation
def log_ndtr(x: Tensor) -> Tensor:
    """`log(ndtr(x))`, without underflow on the way.

    >>> import tinygrad_lite as tg
    >>> tg.special.log_ndtr(tg.tensor([0.0]))
    tensor([-0.6931])
    """
    z = x * math.sqrt(0.5)
    low = x < -1
    tail = where(low, z, -1.0)  # each branch sees only what it can take
    return where(low, log(erfcx(-tail) / 2) - tail * tail, log1p(-erfc(where(low, 0.0, z)) / 2))


@primitive
def ndtri(x):
    """The inverse of ndtr.

    >>> import tinygrad_lite as tg
    >>> tg.special.ndtri(tg.tensor([0.5]))
    tensor([0.])
    """
    return _special("ndtri", as_float(x))


ndtri.vjp(x=lambda g, out: g * (math.sqrt(2 * math.pi) * exp(out * out / 2)))


# -- entropy ------------------------------------------------------------------------------------


@primitive
def entr(x):
    """`-x * log(x)`, which is 0 at 0, and -inf below.

    >>> import tinygrad_lite as tg
    >>> tg.special.entr(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.3466])
    """
    return _special("entr", as_float(x))


entr.vjp(x=lambda g, x: g * (-1 - log(x)))


@primitive
def xlog1py(x, y):
    """`x * log1p(y)`, which is 0 where x is 0 (but nan where y is).

    >>> import tinygrad_lite as tg
    >>> tg.special.xlog1py(tg.tensor([0.0, 2.0]), tg.tensor([-1.0, 0.0]))
    tensor([0., 0.])
    """
    some_tensor(x, y)
    x, y = promoted_floats(x, y)
    xp = namespace_of(x)
    return xp.where((x == 0) & (y == y), x.dtype.type(0), x * xp.log1p(y))


xlog1py.vjp(x=lambda g, x, y: where((x == 0) & (y <= -1), 0.0, xlog1py(g, y)),
            y=lambda g, x, y: g * (x / (1 + y)))
