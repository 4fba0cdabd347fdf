"""A tensor's memory: allocated with given strides, resized, shared."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import device_of, namespace_of, start_of, to_device
from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.ops.arguments import canonical_shape, operation
from tinygrad_lite.ops.creation.conversion import array_from
from tinygrad_lite.ops.creation.factories import empty
from tinygrad_lite.ops.movement.broadcasting import broadcast_shapes
from tinygrad_lite.ops.movement.inplace import assign
from tinygrad_lite.ops.movement.masking import same_dtype
from tinygrad_lite.ops.movement.strides import as_strided
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = ["empty_permuted", "empty_strided"]


# -- given strides ------------------------------------------------------------------------------


@operation
def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, device: Any = None, layout: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> AnyTensor:  # fmt: skip
    """An uninitialized tensor with the given strides, in elements.

    >>> empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    size, stride = canonical_shape((size,)), canonical_shape((stride,))
    if len(size) != len(stride) or min((*size, *stride), default=0) < 0:
        raise Refusal(expected="as many sizes as strides, none negative", got=f"{size} and {stride}")
    count = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride))
    result = as_strided(empty(count, dtype=dtype, device=device), size, stride).detach()
    return result.requires_grad_() if requires_grad else result


def new_empty_strided(input: Tensor, size: Any, stride: Any, *, dtype: Any = None, device: Any = None, **options: Any) -> Tensor:
    """`empty_strided` with the dtype and device of this tensor."""
    dtype, device = input.array.dtype if dtype is None else dtype, device_of(input.array) if device is None else device
    return empty_strided(size, stride, dtype=dtype, device=device, **options)


@operation
def empty_permuted(size: Any, physical_layout: Any, **options: Any) -> AnyTensor:
    """An uninitialized tensor whose dims are in memory in the order `physical_layout`, longest stride first."""
    size, order = canonical_shape((size,)), canonical_shape((physical_layout,))
    if sorted(order) != list(range(len(size))):
        raise Refusal(expected=f"each of {len(size)} dims once as the layout", got=order)
    stride = [math.prod(size[d] for d in order[order.index(dim) + 1 :]) for dim in range(len(size))]
    return empty_strided(size, stride, **options)


# -- other memory -------------------------------------------------------------------------------


def _off_the_tape(name: str, x: Any) -> None:
    if x.node is not None:
        raise Refusal("this tensor requires grad, which cannot follow", function=name, hint="detach() it first")


def resize_(input: Tensor, *sizes: Any) -> Tensor:
    """Give this tensor another size: its memory read in order, with missing elements uninitialized. A view cannot grow."""
    try:
        shape, array = canonical_shape(sizes), input.array
    except Refusal as error:
        error.called("resize_")
        raise
    _off_the_tape("resize_", input)
    if min(shape, default=0) < 0:
        raise Refusal(function="resize_", argument="sizes", expected="sizes of 0 or more", got=shape)
    in_order = array.transpose(sorted(range(array.ndim), key=lambda d: (-array.strides[d], -array.shape[d])))
    count = math.prod(shape)
    if not in_order.flags.c_contiguous or (count > array.size and input.base is not None):
        raise Refusal("this tensor is a view that has gaps, or would have to grow", function="resize_", hint="clone() it first")
    memory = in_order.reshape(-1)
    if count > memory.size:
        grown = namespace_of(array).empty(count, array.dtype)
        grown[: memory.size] = memory
        memory = grown
        input._leave_views()
    input.array = memory[:count].reshape(shape)
    return input


def resize_as_(input: Tensor, the_template: Tensor, memory_format: Any = None) -> Tensor:
    """`resize_` to the shape of another tensor."""
    return resize_(input, tuple(the_template.shape))


def set_(input: Tensor, source: Tensor) -> Tensor:
    """Make this tensor share the memory of `source`, which must have its dtype."""
    _off_the_tape("set_", input)
    same_dtype("set_", input, source)
    input._leave_views()
    input.array = source.array
    return input


def is_set_to(input: Tensor, tensor: Tensor) -> bool:
    """Whether both refer to the same memory in the same way."""
    a, b = input.array, tensor.array
    return start_of(a) == start_of(b) and a.shape == b.shape and a.strides == b.strides


# -- Python functions --------------------------------------------------------------------------


def _by_python(name: str, x: Any, function: Callable[..., Any], *others: Any) -> Any:
    _off_the_tape(name, x)
    values = [function(*row) for row in zip(*(y.reshape(-1).tolist() for y in (x.array, *others)))]
    assign(name, x, traced(to_device(array_from(values, x.array.dtype).reshape(x.array.shape), device_of(x.array))))
    return x


def apply_(input: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Write `callable(element)` to each element; slow, because it calls Python for each."""
    return _by_python("apply_", input, callable)


def map_(input: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Write `callable(element, other)` to each element, with `other` from the same position of `tensor`, broadcast."""
    same_dtype("map_", input, tensor)
    other = namespace_of(input.array).broadcast_to(tensor.array, broadcast_shapes(input.array.shape, tensor.array.shape))
    if other.shape != input.array.shape:
        raise Refusal(f"a tensor of shape {tuple(tensor.shape)} cannot be broadcast to {tuple(input.shape)}", function="map_")
    return _by_python("map_", input, callable, other)
