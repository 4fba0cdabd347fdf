"""`where`: selection between two tensors."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import check_number, only_tensors
from tinygrad_lite.arrays.errors import BadType
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import where as _where
from tinygrad_lite.ops.movement.indexing import nonzero
from tinygrad_lite.ops.typing import Tensor

__all__ = ["where"]


@operation
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` is True, otherwise `other`; all broadcast. With the condition alone:
    `nonzero(condition, as_tuple=True)`.

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
            raise BadType(argument="condition", expected="a bool tensor as the condition", got=condition.dtype)
        condition = condition != 0
    check_number("where", input, raw(other))
    check_number("where", other, raw(input))
    return _where(condition, input, other)
