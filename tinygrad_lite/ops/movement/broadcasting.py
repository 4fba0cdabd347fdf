"""Broadcasting: dims of size 1 repeated without a copy."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays.errors import BadType, Refusal
from tinygrad_lite.arrays.shapes import broadcast_shapes as _broadcast_shapes
from tinygrad_lite.ops.arguments import canonical_shape, operation
from tinygrad_lite.ops.calculus import expand as _expand
from tinygrad_lite.ops.typing import Tensor

__all__ = ["broadcast_shapes", "broadcast_tensors", "broadcast_to"]


@operation
def expand(input: Tensor, size: tuple[int, ...], *, implicit: bool = False) -> Tensor:
    """A view of `input` repeated along dims of size 1; -1 keeps a size.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    size = canonical_shape((size,))
    new = len(size) - len(input.shape)
    if new < 0 or any(n < 0 and (n != -1 or i < new) for i, n in enumerate(size)):
        raise Refusal(f"a tensor of shape {tuple(input.shape)} cannot be repeated to the shape {size}")
    return _expand(input, tuple(input.shape[i - new] if n == -1 else n for i, n in enumerate(size)))


@operation
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.expand(other.shape)`

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).expand_as(tg.ones(2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, tuple(other.shape))


@operation
def broadcast_to(input: Tensor, size: tuple[int, ...]) -> Tensor:
    """A view of `input` broadcast to the shape `size`.

    >>> import tinygrad_lite as tg
    >>> tg.broadcast_to(tg.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, size)


@operation
def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Views of the tensors, broadcast to one shape.

    >>> import tinygrad_lite as tg
    >>> a, b = tg.broadcast_tensors(tg.ones(3, 1), tg.ones(2))
    >>> a.shape, b.shape
    ((3, 2), (3, 2))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        (tensors,) = tensors
    for i, x in enumerate(tensors):
        if not hasattr(x, "shape"):
            raise BadType(expected="Tensors", got=f"{type(x).__name__} at place {i}")
    shape = broadcast_shapes(*(tuple(x.shape) for x in tensors))
    return tuple(x if tuple(x.shape) == shape else _expand(x, shape) for x in tensors)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of `shapes` broadcast to.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    try:
        return _broadcast_shapes(*shapes)
    except ValueError:
        given = " and ".join(map(str, shapes))
        raise Refusal(f"the shapes {given} do not broadcast", function="broadcast_shapes", got=shapes) from None
