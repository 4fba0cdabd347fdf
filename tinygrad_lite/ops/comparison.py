"""Comparison, logic, tests of single values, and choice."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays import (
    check_number,
    choose,
    device_of,
    is_array,
    namespace_of,
    only_numbers,
    only_tensors,
    promote,
    promote_tensors,
    promoted,
    some_tensor,
    to_device,
)
from tinygrad_lite.engine.primitive import nondifferentiable, primitive
from tinygrad_lite.ops.calling import named, operation, raw
from tinygrad_lite.ops.indexing import nonzero

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "allclose", "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite", "isin", "isinf", "isnan",
    "isneginf", "isposinf", "isreal", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor",
    "lt", "ne", "not_equal", "signbit", "where",
]  # fmt: skip

METHODS = [name for name in __all__ if name not in ("isin", "where")]  # x.where(condition, y) stands in the Tensor class
IN_PLACE = [
    "eq", "ge", "greater", "greater_equal", "gt", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lt", "ne", "not_equal",
]  # fmt: skip


def _comparison(compare: Callable[[Any, Any], Any], sign: str, shown: str) -> Any:
    @nondifferentiable
    @named(compare.__name__, f"Whether each `x {sign} y`, broadcast. >>> tg.tensor([1, 2, 3]) {sign} 2 -> {shown}")
    def forward(x, y):
        if not hasattr(x, "dtype"):
            only_tensors(x)
        x, y = promote(x, y)
        return compare(x, y)

    return forward


eq = _comparison(operator.eq, "==", "tensor([False,  True, False])")
ne = _comparison(operator.ne, "!=", "tensor([ True, False,  True])")
lt = _comparison(operator.lt, "<", "tensor([ True, False, False])")
le = _comparison(operator.le, "<=", "tensor([ True,  True, False])")
gt = _comparison(operator.gt, ">", "tensor([False, False,  True])")
ge = _comparison(operator.ge, ">=", "tensor([False,  True,  True])")

not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def _logic(name: str, text: str) -> Any:
    @nondifferentiable
    @named(name, text)
    def forward(x, y):
        x, y = promote_tensors(x, y)
        return getattr(namespace_of(x), name)(x, y)

    return forward


logical_and = _logic(
    "logical_and",
    "Whether both are nonzero."
    " >>> tg.logical_and(tg.tensor([0, 0, 2]), tg.tensor([0, 1, 3])) -> tensor([False, False,  True])",
)
logical_or = _logic(
    "logical_or",
    "Whether one or both are nonzero."
    " >>> tg.logical_or(tg.tensor([0, 0, 2]), tg.tensor([0, 1, 3])) -> tensor([False,  True,  True])",
)
logical_xor = _logic(
    "logical_xor",
    "Whether just one is nonzero."
    " >>> tg.logical_xor(tg.tensor([0, 0, 2]), tg.tensor([0, 1, 3])) -> tensor([False,  True, False])",
)


def _test(name: str, text: str) -> Any:
    @nondifferentiable
    @named(name, text)
    def forward(x):
        if not hasattr(x, "dtype"):
            only_tensors(x)
        return getattr(namespace_of(x), name)(x)

    return forward


logical_not = _test(
    "logical_not",
    "Whether each element is zero (or False)."
    " >>> tg.logical_not(tg.tensor([0, 2])) -> tensor([ True, False])",
)
isfinite = _test(
    "isfinite",
    "Whether each element is neither infinite nor nan."
    ' >>> tg.isfinite(tg.tensor([1.0, float("inf")])) -> tensor([ True, False])',
)
isinf = _test(
    "isinf",
    "Whether each element is inf or -inf."
    ' >>> tg.isinf(tg.tensor([1.0, float("inf")])) -> tensor([False,  True])',
)
isnan = _test(
    "isnan",
    "Whether each element is nan."
    ' >>> tg.isnan(tg.tensor([1.0, float("nan")])) -> tensor([False,  True])',
)
isreal = _test(
    "isreal",
    "Whether each element has no imaginary part."
    " >>> tg.isreal(tg.tensor([1.0, 2.0])) -> tensor([True, True])",
)


@nondifferentiable
def signbit(x):
    """Whether each element has a minus sign, as -0.0 does.

    >>> import tinygrad_lite as tg
    >>> tg.signbit(tg.tensor([-0.0, 0.0, -1.0]))
    tensor([ True, False,  True])
    """
    return namespace_of(x).signbit(x) if x.dtype.kind == "f" else x < 0


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


@primitive
def _where(condition, x, y):
    if not (is_array(x) or is_array(y)):  # two numbers, for the condition's device
        x, y = (to_device(value, device_of(condition)) for value in promote(x, y))
    return choose(condition, *promote(x, y))


_where.vjp(x=lambda g, condition: _where(condition, g, 0.0),
           y=lambda g, condition: _where(condition, 0.0, g))


@operation
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` is True, else `other`; all broadcast. With the condition alone, the
    places where it is True: `nonzero(condition, as_tuple=True)`.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([-1.0, 2.0])
    >>> tg.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    only_tensors(condition)
    if condition.dtype.kind != "b":
        if condition.dtype != "uint8":
            raise TypeError(f"where: expected a bool tensor as the condition, got {condition.dtype}")
        condition = condition != 0
    check_number("where", input, raw(other))
    check_number("where", other, raw(input))
    return _where(condition, input, other)
