"""Special functions, through SciPy (the extra `scipy`)."""

from __future__ import annotations

import math

from tinygrad_lite.arrays import as_float, namespace_of, only_floats, promote_tensors, promoted_floats, some_tensor
from tinygrad_lite.arrays import special as _special
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.kernels.special import times_log
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import no_rule, operation
from tinygrad_lite.ops.calculus import exp, log
from tinygrad_lite.ops.math.elementary import erfc, log1p
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.typing import Tensor

__all__ = ["digamma", "erfinv", "igamma", "igammac", "lgamma", "mvlgamma", "polygamma"]


# -- gamma --------------------------------------------------------------------------------------


@primitive
def lgamma(input):
    """The logarithm of the absolute value of the gamma function.

    >>> import tinygrad_lite as tg
    >>> tg.lgamma(tg.tensor([1.0, 3.0]))
    tensor([0.0000, 0.6931])
    """
    input = as_float(input)
    return namespace_of(input).where(input == -math.inf, input.dtype.type(math.inf), _special("gammaln", input))  # SciPy gives -inf


lgamma.vjp(input=lambda g, input: g * _polygamma(input, 0))


@primitive
def _polygamma(input, n):
    input = as_float(input)
    return _special("polygamma", n, input) if n else _special("digamma", input)


_polygamma.vjp(input=lambda g, input, n: g * _polygamma(input, n + 1))


@operation
def digamma(input: Tensor) -> Tensor:
    """The derivative of lgamma.

    >>> import tinygrad_lite as tg
    >>> tg.digamma(tg.tensor([1.0]))
    tensor([-0.5772])
    """
    return _polygamma(input, 0)


@operation
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma.

    >>> import tinygrad_lite as tg
    >>> tg.polygamma(1, tg.tensor([1.0]))
    tensor([1.6449])
    """
    if n < 0:
        raise BadValue(expected="n of 0 or more", got=n)
    return _polygamma(input, n)


@operation
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension `p`.

    >>> import tinygrad_lite as tg
    >>> tg.mvlgamma(tg.tensor([2.0]), 1)
    tensor([0.])
    """
    if p < 1:
        raise BadValue(argument="p", expected="p of 1 or more", got=p)
    total = p * (p - 1) / 4 * math.log(math.pi) + lgamma(input)
    for i in range(1, p):
        total = total + lgamma(input - i / 2)
    return contiguous(total)


@primitive
def _igamma(input, other, upper):
    input, other = promote_tensors(input, other)
    only_floats(input)
    return _special("gammaincc" if upper else "gammainc", input, other)


_igamma.vjp(input=no_rule("igamma", "the order"),
            other=lambda g, input, other, upper: (-g if upper else g) * exp((input - 1) * log(other) - other - lgamma(input)))


@operation
def igamma(input: Tensor, other: Tensor) -> Tensor:
    """The regularized lower incomplete gamma function of order `input` at `other`, differentiable in `other`.

    >>> import tinygrad_lite as tg
    >>> tg.special.gammainc(tg.tensor([1.0]), tg.tensor([1.0]))
    tensor([0.6321])
    """
    return _igamma(input, other, False)


@operation
def igammac(input: Tensor, other: Tensor) -> Tensor:
    """`1 - igamma(input, other)`, accurate where that is small.

    >>> import tinygrad_lite as tg
    >>> tg.special.gammaincc(tg.tensor([1.0]), tg.tensor([1.0]))
    tensor([0.3679])
    """
    return _igamma(input, other, True)


@primitive
def zeta(input, other):
    """The Hurwitz zeta function, the sum of `(k + other)**-input` over k = 0, 1, ...; differentiable in `other`.

    >>> import tinygrad_lite as tg
    >>> tg.special.zeta(tg.tensor([2.0]), tg.tensor([1.0]))
    tensor([1.6449])
    """
    some_tensor(input, other)
    return _special("zeta", *promoted_floats(input, other))


zeta.vjp(input=no_rule("zeta", "the exponent"),
         other=lambda g, input, other: g * (-input * zeta(input + 1, other)))


# -- the normal distribution --------------------------------------------------------------------


@primitive
def erfinv(input):
    """The inverse of erf.

    >>> import tinygrad_lite as tg
    >>> tg.erfinv(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4769])
    """
    return _special("erfinv", as_float(input))


erfinv.vjp(input=lambda g, out: g * (math.sqrt(math.pi) / 2 * exp(out * out)))


@primitive
def erfcx(input):
    """`exp(input * input) * erfc(input)`.

    >>> import tinygrad_lite as tg
    >>> tg.special.erfcx(tg.tensor([0.0, 1.0]))
    tensor([1.0000, 0.4276])
    """
    return _special("erfcx", as_float(input))


erfcx.vjp(input=lambda g, input, out: g * (2 * input * out - 2 / math.sqrt(math.pi)))


@operation
def ndtr(input: Tensor) -> Tensor:
    """The probability that a standard normal variable is below `input`.

    >>> import tinygrad_lite as tg
    >>> tg.special.ndtr(tg.tensor([0.0, 1.96]))
    tensor([0.5000, 0.9750])
    """
    return erfc(input * -math.sqrt(0.5)) / 2


@operation
def log_ndtr(input: Tensor) -> Tensor:
    """`log(ndtr(input))`, computed without underflow.

    >>> import tinygrad_lite as tg
    >>> tg.special.log_ndtr(tg.tensor([0.0]))
    tensor([-0.6931])
    """
    z = input * math.sqrt(0.5)
    low = input < -1
    tail = where(low, z, -1.0)  # each branch gets only valid values
    return where(low, log(erfcx(-tail) / 2) - tail * tail, log1p(-erfc(where(low, 0.0, z)) / 2))


@primitive
def ndtri(input):
    """The inverse of ndtr.

    >>> import tinygrad_lite as tg
    >>> tg.special.ndtri(tg.tensor([0.5]))
    tensor([0.])
    """
    return _special("ndtri", as_float(input))


ndtri.vjp(input=lambda g, out: g * (math.sqrt(2 * math.pi) * exp(out * out / 2)))


# -- entropy ------------------------------------------------------------------------------------


@primitive
def entr(input):
    """`-input * log(input)`; 0 at 0, and -inf below.

    >>> import tinygrad_lite as tg
    >>> tg.special.entr(tg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.3466])
    """
    return _special("entr", as_float(input))


entr.vjp(input=lambda g, input: g * (-1 - log(input)))


@primitive
def xlog1py(input, other):
    """`input * log1p(other)`, and 0 where `input` is 0 (but nan where `other` is nan).

    >>> import tinygrad_lite as tg
    >>> tg.special.xlog1py(tg.tensor([0.0, 2.0]), tg.tensor([-1.0, 0.0]))
    tensor([0., 0.])
    """
    return times_log(input, other, "log1p")


xlog1py.vjp(input=lambda g, input, other: where((input == 0) & (other <= -1), 0.0, xlog1py(g, other)),
            other=lambda g, input, other: g * (input / (1 + other)))
