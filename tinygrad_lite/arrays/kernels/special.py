"""Special functions of arrays, from SciPy (cupyx.scipy on a GPU) where NumPy has none.

erf and erfc need only NumPy. Large float32 arrays, as in networks, use a polynomial; other arrays call the C library
element by element, which is accurate to the last bit or two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.arrays.blocked import mapped
from tinygrad_lite.arrays.devices import Array, Symbol, namespace_of, scipy_of
from tinygrad_lite.arrays.dtypes import promoted_floats, some_tensor
from tinygrad_lite.arrays.gpu import kernel, whole

# atanh(erf(x)) / x as a polynomial in x**2, fitted to 1e-7 in its effect on erf(x) over |x| < 4;
# beyond, erf is 1 to the last bit of a float32, and so is the result.
_ATANH_ERF = [
    np.array(c, np.float32)  # 1 us per operation faster than Python numbers
    for c in (
        1.4185199e-07, -5.6684714e-06, 8.7637300e-05, -6.1978458e-04, -1.9183089e-04, 1.0276906e-01, 1.1283793e00,
    )
]  # fmt: skip


@whole
def erf_of(x: Array) -> Array:
    """The error function. Measured per element: 4 ns in large float32 arrays, 70 ns otherwise."""
    if namespace_of(x) is not np:
        return special("erf", x)
    if x.dtype != np.float32 or x.size < 256:
        return _one_by_one(math.erf, x)
    return mapped(_erf, x)


def _erf(x: Array, out: Array) -> None:
    _polynomial(_ATANH_ERF, x * x, out)
    out *= x
    np.tanh(out, out=out)


def _polynomial(coefficients: list[Any], x: Array, out: Array, xp: Any = np) -> None:
    """Write the polynomial with these coefficients, highest first, at `x` into `out` (Horner's scheme)."""
    xp.multiply(x, coefficients[0], out=out)
    for c in coefficients[1:-1]:
        out += c
        out *= x
    out += coefficients[-1]


# -log(p / (1 - p)) / x for p = normal_cdf(x), as a polynomial in x**2: fitted to 3e-8 in its effect on p.
_MINUS_LOGIT = [
    np.array(c, np.float32)
    for c in (
        -3.5127626e-09, 2.6453486e-07, -7.9295726e-06, 1.1061276e-04, 6.5189218e-05, -7.2666169e-02, -1.5957699e00,
    )
]  # fmt: skip


def normal_cdf(x: Array, out: Array, xp: Any = np) -> None:
    """Write the standard normal cdf of each element into `out`: 3.3 ns per element of large float32 arrays, 4.7 ns with
    erf_of."""
    if x.dtype != np.float32 or (type(x) is np.ndarray and x.size < 256):
        xp.multiply(x, math.sqrt(0.5), out=out)
        xp.add(erf_of(out), 1, out=out)
        out *= 0.5
        return
    _polynomial(_MINUS_LOGIT, x * x, out, xp)
    out *= x
    xp.exp(out, out=out)
    out += 1
    xp.reciprocal(out, out=out)


# log1p(x) / s for s = x / (2 + x), as a polynomial in s**2: fitted to 4e-9 over 0 <= x <= 1.
_LOG1P = [np.array(c, np.float32) for c in (0.2817794, 0.27960726, 0.40024898, 0.66666315, 2.0)]


def log1p_up_to_1(x: Array, out: Array, xp: Any = np) -> None:
    """Write `log1p(x)` into `out`, for x between 0 and 1: 2 ns per element of large float32 arrays, NumPy 13 ns (without
    AVX-512)."""
    if x.dtype != np.float32 or (type(x) is np.ndarray and x.size < 256):
        xp.log1p(x, out=out)
        return
    share = x + 2
    xp.true_divide(x, share, out=share)
    _polynomial(_LOG1P, share * share, out, xp)
    out *= share


@kernel
def expm1_below_0(x: Array) -> Array:
    """`expm1(x)` for x <= 0 (undefined elsewhere), as 2 t / (1 - t) with t = tanh(x / 2): 3 ns per element of large float32
    arrays, NumPy 13 ns (without AVX-512)."""
    if type(x) is not np.ndarray or x.dtype != np.float32 or x.size < 256:
        return namespace_of(x).expm1(x)
    return mapped(_expm1_below_0, x)


def _expm1_below_0(x: Array, out: Array, xp: Any = np) -> None:
    xp.multiply(x, 0.5, out=out)
    xp.tanh(out, out=out)
    rest = 1 - out
    out *= 2
    out /= rest


@whole
def erfc_of(x: Array) -> Array:
    """1 - erf(x)."""
    return _one_by_one(math.erfc, x) if namespace_of(x) is np else special("erfc", x)


def _one_by_one(function: Callable[[float], float], x: Array) -> Array:
    return np.fromiter(map(function, x.reshape(-1).tolist()), x.dtype, x.size).reshape(x.shape)


@whole
def special(name: str, *args: Any) -> Array:
    """The function `name` of scipy.special or cupyx.scipy.special, with its result (or results) in the dtype of the last
    argument."""
    x = args[-1]
    if isinstance(x, Symbol):
        return getattr(x.namespace, name)(*args)
    function = getattr(scipy_of(x, "special", name), name, None)
    if function is None:
        raise NotImplementedError(f"CuPy has no function {name}; take the tensor to the CPU with .cpu()")
    out = function(*args)
    if isinstance(out, tuple):
        return tuple(part.astype(x.dtype, copy=False) for part in out)
    return out.astype(x.dtype, copy=False)


def times_log(x: Any, y: Any, log: str) -> Array:
    """`x * log(y)` with `log` "log" or "log1p", which is 0 where `x` is 0 (but nan where `y` is)."""
    some_tensor(x, y)
    x, y = promoted_floats(x, y)
    xp = namespace_of(x)
    return xp.where((x == 0) & (y == y), x.dtype.type(0), x * getattr(xp, log)(y))
