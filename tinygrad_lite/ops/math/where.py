"""`where`: elements of one or another tensor."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import (
    check_number,
    only_tensors,
)
from tinygrad_lite.ops.calculus import where as _where
from tinygrad_lite.ops.calling import operation, raw
from tinygrad_lite.ops.movement.indexing import nonzero
from tinygrad_lite.ops.typing import Tensor

__all__ = ["where"]


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
