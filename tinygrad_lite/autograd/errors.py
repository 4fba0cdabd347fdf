"""The errors of forward functions, told in terms of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import device_of, is_array
from tinygrad_lite.arrays.gpu import OutOfMemoryError

if TYPE_CHECKING:
    from tinygrad_lite.autograd.primitive import Primitive

REFUSALS = (TypeError, ValueError, IndexError, RuntimeError, OverflowError, AttributeError)


def explained(primitive: Primitive[..., Any], values: list[Any], error: Exception) -> Exception:
    """The error of a forward function, told in terms of the call."""
    names = [*primitive.arguments[: primitive.star], *([primitive.star_name] * len(values) if primitive.star is not None else [])]
    devices = {f"{name} on {device_of(v)}": device_of(v) for name, v in zip(names, values) if is_array(v) and v.ndim}
    if len(set(devices.values())) > 1:
        return ValueError(f"{primitive.name}: all tensors must be on the same device: {', '.join(devices)}")
    message = str(error)
    if isinstance(error, OutOfMemoryError):
        return OutOfMemoryError(f"{primitive.name}: {message}")
    if message.startswith(f"{primitive.name}: "):
        return error
    # A number will do for most arguments; not where the function asked it for its dtype or shape.
    absent = isinstance(error, AttributeError)
    for name, value in zip(names, values):
        number = isinstance(value, np.generic) or (isinstance(value, (bool, int, float, complex)) and not absent)
        if (name in primitive.differentiable or absent) and not (is_array(value) or number or value is None):
            return TypeError(f"{primitive.name}: expected a Tensor for {name}, got {type(value).__name__}")
    what = ", ".join(f"{name}: {_described(value)}" for name, value in zip(names, values))
    kind = type(error) if type(error) in (TypeError, IndexError, AttributeError) else ValueError
    return kind(f"{primitive.name}: {message} ({what})")


def _described(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if is_array(value) else repr(value)
