"""Comparisons, logic, and tests of values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import is_array, namespace_of, only_numbers, only_tensors, promote, promote_tensors, promoted, some_tensor
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.closeness import close
from tinygrad_lite.ops.arguments import named, operation
from tinygrad_lite.ops.nondifferentiable import nondifferentiable
from tinygrad_lite.ops.typing import Tensor

__all__ = [
    "allclose", "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf",
    "isposinf", "isreal", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne",
    "not_equal",
]  # fmt: skip


def _comparison(compare: Callable[[Any, Any], Any], sign: str) -> Any:
    @nondifferentiable
    @named(compare.__name__, f"`input {sign} other`, elementwise and broadcast.")
    def forward(input, other):
        if not hasattr(input, "dtype"):
            only_tensors(input)
        input, other = promote(input, other)
        return compare(input, other)

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
    def forward(input, other):
        input, other = promote_tensors(input, other)
        return getattr(namespace_of(input), name)(input, other)

    return forward


logical_and = _logic("logical_and", "Whether both are nonzero.")
logical_or = _logic("logical_or", "Whether one or both are nonzero.")
logical_xor = _logic("logical_xor", "Whether exactly one is nonzero.")


def _test(name: str, doc: str) -> Any:
    @nondifferentiable
    @named(name, doc)
    def forward(input):
        if not hasattr(input, "dtype"):
            only_tensors(input)
        return getattr(namespace_of(input), name)(input)

    return forward


logical_not = _test("logical_not", "Whether each element is zero (or False).")
isfinite = _test("isfinite", "Whether each element is neither infinite nor nan.")
isinf = _test("isinf", "Whether each element is inf or -inf.")
isnan = _test("isnan", "Whether each element is nan.")
isreal = _test("isreal", "Whether each element has no imaginary part.")


@operation
def isposinf(input: Tensor) -> Tensor:
    """Whether each element is inf.

    >>> import tinygrad_lite as tg
    >>> tg.isposinf(tg.tensor([float("inf"), -float("inf"), 1.0]))
    tensor([ True, False, False])
    """
    return eq(input, float("inf"))


@operation
def isneginf(input: Tensor) -> Tensor:
    """Whether each element is -inf.

    >>> import tinygrad_lite as tg
    >>> tg.isneginf(tg.tensor([float("inf"), -float("inf"), 1.0]))
    tensor([False,  True, False])
    """
    return eq(input, -float("inf"))


@nondifferentiable
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether `|input - other| <= atol + rtol * |other|`, or both are the same infinity (or, with `equal_nan`, nan).

    >>> import tinygrad_lite as tg
    >>> tg.isclose(tg.tensor([1.0, 2.0]), tg.tensor([1.000001, 2.1]))
    tensor([ True, False])
    """
    only_tensors(input, other)
    if input.dtype != other.dtype:
        raise BadType(expected="two tensors of one dtype", got=f"{input.dtype} and {other.dtype}")
    if rtol < 0 or atol < 0:
        raise BadValue(argument="rtol", expected="rtol and atol of 0 or more", got=f"{rtol} and {atol}")
    return close(input, other, rtol, atol, equal_nan)


@operation
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close: see `isclose`.

    >>> import tinygrad_lite as tg
    >>> tg.allclose(tg.tensor([1.0, 2.0]), tg.tensor([1.000001, 2.0]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@operation
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and the same elements.

    >>> import tinygrad_lite as tg
    >>> tg.equal(tg.ones(2), tg.ones(3))
    False
    """
    only_tensors(input, other)
    return input.shape == other.shape and bool(eq(input, other).all())


@nondifferentiable
def _isin(elements, test_elements, assume_unique, invert):
    some_tensor(elements, test_elements)
    only_numbers(*(v for v in (elements, test_elements) if is_array(v)))
    elements, test_elements = promoted(elements, test_elements)
    return namespace_of(elements).isin(elements, test_elements, assume_unique=assume_unique, invert=invert)


@operation
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each of `elements` is among `test_elements`; either may be a number.

    `assume_unique`: neither has repeated elements, which may save time. `invert`: whether it is not among them.

    >>> import tinygrad_lite as tg
    >>> tg.isin(tg.tensor([1, 2, 3]), tg.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    return _isin(elements, test_elements, assume_unique, invert)


