"""Selection and replacement by boolean masks."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import bool_, is_array, namespace_of, number_for
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import getitem, replaced, to_dtype, where
from tinygrad_lite.ops.movement.broadcasting import broadcast_shapes, expand
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.typing import Tensor

__all__ = ["fill", "masked_fill", "masked_scatter", "masked_select"]


@operation
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of `input` where `mask` is True, as a 1-d tensor; the two broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.masked_select(tg.tensor([1, 2, 3]), tg.tensor([True, False, True]))
    tensor([1, 3])
    """
    input, mask = _broadcast(input, mask)
    return getitem(input, (mask,))


@operation
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with `value` (a number or a 0-d tensor) where `mask` is True.

    >>> import tinygrad_lite as tg
    >>> tg.masked_fill(tg.tensor([1.0, 2.0]), tg.tensor([True, False]), -1)
    tensor([-1.,  2.])
    """
    if getattr(mask, "dtype", None) != bool_:
        raise BadType(argument="mask", expected="a bool mask", got=getattr(mask, 'dtype', type(mask).__name__))
    return contiguous(where(mask, as_value("masked_fill", input, value), input))


def as_value(name: str, x: Any, value: Any) -> Any:
    """`value`, a number or a 0-d tensor, in x's dtype."""
    if not hasattr(value, "dtype"):
        if not isinstance(value, (int, float)):
            raise BadType(function=name, argument="value", expected="a number or a 0-d tensor as the value", got=type(value).__name__)
        try:
            value = number_for(x.dtype, value)
        except Refusal as error:
            error.called(name)
            raise
        return value if x.dtype.kind == "f" else namespace_of(raw(x)).asarray(value, dtype=x.dtype)
    if len(value.shape):
        raise BadValue(
            function=name, argument="value", expected="a number or a 0-d tensor as the value", got=f"the shape {tuple(value.shape)}"
        )
    if value.dtype.kind == "c" != x.dtype.kind:
        raise BadType(f"a complex value does not fit into {x.dtype}", function=name)
    return value if value.dtype == x.dtype else to_dtype(value, x.dtype)


@operation
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the first elements of `source`, in order, where `mask` is True.

    >>> import tinygrad_lite as tg
    >>> tg.masked_scatter(tg.zeros(3), tg.tensor([True, False, True]), tg.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    same_dtype("masked_scatter", input, source)
    input, mask = _broadcast(input, mask)
    if is_symbol(mask):  # a program: the number of elements is not known
        count, size = mask.sum(), math.prod(source.shape)
        left_to_program(count > size, Refusal, f"the mask asks for more elements than the {size} of source")
        places = namespace_of(mask).minimum(mask.reshape(-1).cumsum() - mask.reshape(-1), max(size - 1, 0)).reshape(mask.shape)
        return where(mask, getitem(reshape(source, (-1,)), (places,)) if size else input, input)
    count = int(mask.sum())
    if count > math.prod(source.shape):
        raise Refusal(f"the mask asks for {count} elements, source has {math.prod(source.shape)}")
    return replaced(input, getitem(reshape(source, (-1,)), (slice(0, count),)), (mask,))


def _broadcast(x: Any, mask: Any) -> tuple[Any, Any]:
    """`x`, and the array of `mask`, broadcast to one shape."""
    mask = raw(mask)
    if not is_array(mask) or mask.dtype != bool_:
        raise BadType(argument="mask", expected="a bool mask", got=getattr(mask, 'dtype', type(mask).__name__))
    shape = broadcast_shapes(tuple(x.shape), mask.shape)
    return expand(x, shape), namespace_of(mask).broadcast_to(mask, shape)


def same_dtype(name: str, x: Any, source: Any) -> None:
    """Refuse two tensors of different dtypes."""
    if not hasattr(source, "dtype"):
        raise BadType(function=name, expected="a Tensor", got=type(source).__name__)
    if x.dtype != source.dtype:
        raise BadType(function=name, expected="tensors of one dtype", got=f"{x.dtype} and {source.dtype}")


@operation
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with `value` (a number or a 0-d tensor) in every element."""
    return replaced(input, as_value("fill", input, value), (...,))
