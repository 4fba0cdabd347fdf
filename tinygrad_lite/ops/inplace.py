"""Changes in place, recorded.

`in_place(add)` is `add_`: it works out `add(x, ...)` as ever, writes the values into x's memory and
moves x to the result's place on the tape. What else shows that memory must follow: a view of x, or
x's base and its other views. Their places are rewritten at once, so that the next operation on any
of them starts from the right entry. Gradients of operations that saved the overwritten values are
refused when they are asked for (autograd/node.py keeps the times).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.arrays import namespace_of, start_of
from tinygrad_lite.autograd import is_grad_enabled, primitive
from tinygrad_lite.autograd.node import Leaf, Traced, changed_in_place, traced
from tinygrad_lite.ops.shape import _expand, to_dtype

_ORDER = "biufc"


def in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that does `function` in place: same arguments, returns the tensor itself."""
    name = f"{function.__name__.strip('_')}_"

    @functools.wraps(function)
    def method(x: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(name, x)
        result = function(x, *args, **kwargs)
        overwrite(name, x, result)
        return x

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{name.rstrip('_')}` in place: writes the result into this tensor and returns it."
    return method


def check_writable(name: str, x: Any) -> None:
    """Refuse a change that no gradient could follow."""
    if is_grad_enabled():
        base = x.base
        if type(x.node) is Leaf:
            raise RuntimeError(
                f"{name}: a leaf that requires grad cannot be changed in place, its gradient would be lost; "
                "do it under no_grad(), or on a clone()"
            )
        if base is not None and type(base.node) is Leaf:
            raise RuntimeError(
                f"{name}: this is a view of a leaf that requires grad, which cannot be changed in place; "
                "do it under no_grad(), or on a clone()"
            )
    if not x.array.flags.writeable:
        raise ValueError(f"{name}: this tensor's memory is read-only; clone() it first")
    if x.array.size and 0 in x.array.strides and any(s == 0 and n > 1 for n, s in zip(x.array.shape, x.array.strides)):
        raise RuntimeError(f"{name}: several elements of this expanded tensor share one place in memory; clone() it first")


def overwrite(name: str, x: Any, result: Any) -> None:
    """Write `result` into x's memory, and x into result's place on the tape."""
    values = result.array if isinstance(result, Traced) else result
    if values.shape != x.array.shape:
        if np.broadcast_shapes(values.shape, x.array.shape) != x.array.shape:
            raise ValueError(f"{name}: the result has shape {values.shape}, which does not fit into {x.array.shape}")
    if _ORDER.index(values.dtype.kind) > max(_ORDER.index(x.array.dtype.kind), 2 * (x.array.dtype.kind in "iu")):
        raise TypeError(f"{name}: the result is {values.dtype}, which cannot be put into a tensor of {x.array.dtype}")
    x.array[...] = values
    changed_in_place(x.array, name)
    node = result.node if isinstance(result, Traced) and is_grad_enabled() else None
    if not is_grad_enabled() and node is None:
        return  # under no_grad the tensor keeps its place: it is the same variable with new values
    place_after_change(x, result, node)


def place_after_change(x: Any, result: Any, node: Any) -> None:
    """Give x, and every tensor that shows its memory, its place on the tape after a change."""
    if node is not None and (node.shape != x.array.shape or node.dtype != x.array.dtype):
        node = to_dtype(_expand(result, x.array.shape), x.array.dtype).node
    base = x.base
    if base is None:
        x.node = node
        base = x
    elif node is not None or base.node is not None:
        base.node = _with_region(base, x, result, node)
    for reference in list(base.views or ()):
        view = reference()
        if view is not None:
            view.node = None if base.node is None else region(base, places_of(view.array, base.array)).node


def _with_region(base: Any, view: Any, result: Any, node: Any) -> Any:
    """The place on the tape of `base` after the part that `view` shows got the values of `result`."""
    return with_region(base, traced(view.array, node), places_of(view.array, base.array)).node


@primitive
def region(x, places):
    """The elements of `x` at flat `places` (an integer array of the result's shape)."""
    return x.reshape(-1)[places]


@primitive
def with_region(x, y, places):
    """`x` with the elements at flat `places` replaced by those of `y`."""
    out = x.copy().reshape(-1)
    out[places] = y
    return out.reshape(x.shape)


def _zeros(like: Any, shape: tuple[int, ...]) -> Any:
    array = like.array if isinstance(like, Traced) else like
    return namespace_of(array).zeros(shape, array.dtype)


region.vjp(x=lambda g, x_shape, places: with_region(_zeros(g, x_shape), g, places))
with_region.vjp(x=lambda g, y_shape, places: with_region(g, _zeros(g, y_shape), places),
                y=lambda g, places: region(g, places))


def places_of(view: Any, base: Any) -> Any:
    """For each element of `view` its flat place in `base`, whose memory it shows."""
    xp = namespace_of(base)
    if not base.size or not view.size:
        return xp.zeros(view.shape, np.int64)
    if not base.flags.c_contiguous:
        raise RuntimeError("a view of a tensor that is not contiguous was changed in place; clone() the tensor first")
    places = xp.full(view.shape, (start_of(view) - start_of(base)) // base.itemsize, np.int64)
    for dim, (size, stride) in enumerate(zip(view.shape, view.strides)):
        steps = xp.arange(size) * (stride // base.itemsize)
        places += steps.reshape((-1,) + (1,) * (view.ndim - dim - 1))
    return places
