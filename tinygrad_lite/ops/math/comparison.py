"""Comparison, logic, and tests of single values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import (
    is_array,
    namespace_of,
    only_numbers,
    only_tensors,
    promote,
    promote_tensors,
    promoted,
    some_tensor,
)
from tinygrad_lite.engine.primitive import nondifferentiable
from tinygrad_lite.ops.calling import named, operation
from tinygrad_lite.ops.typing import Tensor

__all__ = [
    "allclose", "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf",
    "isposinf", "isreal", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne",
    "not_equal",
]  # fmt: skip


def _comparison(compare: Callable[[Any, Any], Any], sign: str) -> Any:
    @nondifferentiable
    @named(compare.__name__, f"Whether each `x {sign} y`, broadcast.")
    def forward(x, y):
        if not hasattr(x, "dtype"):
            only_tensors(x)
        x, y = promote(x, y)
        return compare(x, y)

    return forward


eq = _comparison(operator.eq, "==")
ne = _comparison(operator.ne, "!=")
lt = _comparison(operator.lt, "<")
le = _comparison(operator.le, "<=")
gt = _comparison(operator.gt, ">")
ge = _comparison(operator.ge, ">=")

not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def _logic(name: str, doc: str) -> Any:
    @nondifferentiable
    @named(name, doc)
    def forward(x, y):
        x, y = promote_tensors(x, y)
        return getattr(namespace_of(x), name)(x, y)

    return forward


logical_and = _logic("logical_and", "Whether both are nonzero.")
logical_or = _logic("logical_or", "Whether one or both are nonzero.")
logical_xor = _logic("logical_xor", "Whether just one is nonzero.")


def _test(name: str, doc: str) -> Any:
    @nondifferentiable
    @named(name, doc)
    def forward(x):
        if not hasattr(x, "dtype"):
            only_tensors(x)
        return getattr(namespace_of(x), name)(x)

    return forward


logical_not = _test("logical_not", "Whether each element is zero (or False).")
isfinite = _test("isfinite", "Whether each element is neither infinite nor nan.")
isinf = _test("isinf", "Whether each element is inf or -inf.")
isnan = _test("isnan", "Whether each element is nan.")
isreal = _test("isreal", "Whether each element has no imaginary part.")


@operation
def isposinf(x: Tensor) -> Tensor:
    """Whether each element is inf.

    >>> import tinygrad_lite as tg
    >>> tg.isposinf(tg.tensor([float("inf"), -float("inf"), 1.0]))
    tensor([ True, False, False])
    """
    return eq(x, float("inf"))


@operation
def isneginf(x: Tensor) -> Tensor:
    """Whether each element is -inf.

    >>> import tinygrad_lite as tg
    >>> tg.isneginf(tg.tensor([float("inf"), -float("inf"), 1.0]))
    tensor([False,  True, False])
    """
    return eq(x, -float("inf"))


@nondifferentiable
def isclose(x, y, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether each `|x - y| <= atol + rtol * |y|`, or x is y (infinities; with `equal_nan`, nans).

    >>> import tinygrad_lite as tg
    >>> tg.isclose(tg.tensor([1.0, 2.0]), tg.tensor([1.000001, 2.1]))
    tensor([ True, False])
    """
    only_tensors(x, y)
    if x.dtype != y.dtype:
        raise TypeError(f"expected two tensors of one dtype, got {x.dtype} and {y.dtype}")
    if rtol < 0 or atol < 0:
        raise ValueError(f"expected rtol and atol of 0 or more, got {rtol} and {atol}")
    result = x == y
    if equal_nan:
        result = result | ((x != x) & (y != y))
    if x.dtype.kind == "b" or (rtol == 0 and atol == 0):
        return result
    if x.dtype.kind in "iu":
        x, y = x.astype("float64"), y.astype("float64")
    xp = namespace_of(x)
    distance = xp.abs(x - y)
    return result | (xp.isfinite(distance) & (distance <= atol + xp.abs(rtol * y)))


@operation
def allclose(x: Tensor, y: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close: see `isclose`.

    >>> import tinygrad_lite as tg
    >>> tg.allclose(tg.tensor([1.0, 2.0]), tg.tensor([1.000001, 2.0]))
    True
    """
    return bool(isclose(x, y, rtol, atol, equal_nan).all())


@operation
def equal(x: Tensor, y: Tensor) -> bool:
    """Whether both have the same shape and the same elements.

    >>> import tinygrad_lite as tg
    >>> tg.equal(tg.ones(2), tg.ones(3))
    False
    """
    only_tensors(x, y)
    return x.shape == y.shape and bool(eq(x, y).all())


@nondifferentiable
def _isin(x, y, assume_unique, invert):
    some_tensor(x, y)
    only_numbers(*(v for v in (x, y) if is_array(v)))
    x, y = promoted(x, y)
    return namespace_of(x).isin(x, y, assume_unique=assume_unique, invert=invert)


@operation
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each of `elements` is among `test_elements`, one of which may be a number.

    `assume_unique`: neither has repeated elements, which may save time. `invert`: whether it is not.

    >>> import tinygrad_lite as tg
    >>> tg.isin(tg.tensor([1, 2, 3]), tg.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    return _isin(elements, test_elements, assume_unique, invert)


