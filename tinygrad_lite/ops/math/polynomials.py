"""Orthogonal polynomials, by three-term recurrences (Abramowitz and Stegun, 22.7). The degree is an integer, or a tensor
with one for each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import int64, order_kept, promoted_floats, some_tensor
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import to_dtype
from tinygrad_lite.ops.creation.factories import ones_like, zeros_like
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor


def _polynomial(name: str, text: str, first: Callable[[Any], Any], after: Callable[[Any, int, Any, Any], Any]) -> Any:
    """A family of polynomials: degree 1 is `first(x)`, and degree k + 1 is `after(x, k, p, q)`, where p and q have degrees
    k and k - 1."""

    def call(input: Tensor | float, n: Tensor | int) -> Tensor:
        some_tensor(input, n)
        point, degree = promoted_floats(raw(input), raw(n))
        at: Any
        if isinstance(input, Traced):
            at = to_dtype(input, point.dtype)
        else:
            at = traced(point) if isinstance(n, Traced) else point
        degree = degree.astype(int64, order_kept(degree))
        before, member = ones_like(at), first(at)
        out = where(degree == 0, before, zeros_like(at))  # also for negative degrees
        for k in range(1, int(degree.max()) + 1 if degree.size else 0):
            out = where(degree == k, member, out)
            before, member = member, after(at, k, member, before)
        return out

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{text} of degree `n` (an int or an integer tensor) at `input`; 0 for negative degrees."
    return operation(call)


def _chebyshev(kind: str, which: str, first: Callable[[Any], Any]) -> tuple[Any, Any]:
    """A family and its shifted form, in `2 x - 1`. The four kinds differ in their degree 1."""
    def after(x: Any, k: int, p: Any, q: Any) -> Any:
        return 2 * x * p - q

    return (
        _polynomial(f"chebyshev_polynomial_{kind}", f"The Chebyshev polynomial of the {which} kind", first, after),
        _polynomial(
            f"shifted_chebyshev_polynomial_{kind}", f"The Chebyshev polynomial of the {which} kind, shifted to 2 * input - 1,",
            lambda x: first(2 * x - 1), lambda x, k, p, q: after(2 * x - 1, k, p, q),
        ),
    )  # fmt: skip


chebyshev_polynomial_t, shifted_chebyshev_polynomial_t = _chebyshev("t", "first", lambda x: x)
chebyshev_polynomial_u, shifted_chebyshev_polynomial_u = _chebyshev("u", "second", lambda x: 2 * x)
chebyshev_polynomial_v, shifted_chebyshev_polynomial_v = _chebyshev("v", "third", lambda x: 2 * x - 1)
chebyshev_polynomial_w, shifted_chebyshev_polynomial_w = _chebyshev("w", "fourth", lambda x: 2 * x + 1)
hermite_polynomial_h = _polynomial(
    "hermite_polynomial_h", "The physicists' Hermite polynomial", lambda x: 2 * x, lambda x, k, p, q: 2 * x * p - 2 * k * q
)
hermite_polynomial_he = _polynomial(
    "hermite_polynomial_he", "The probabilists' Hermite polynomial", lambda x: x, lambda x, k, p, q: x * p - k * q
)
laguerre_polynomial_l = _polynomial(
    "laguerre_polynomial_l", "The Laguerre polynomial", lambda x: 1 - x,
    lambda x, k, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1),
)  # fmt: skip
legendre_polynomial_p = _polynomial(
    "legendre_polynomial_p", "The Legendre polynomial", lambda x: x, lambda x, k, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1)
)
