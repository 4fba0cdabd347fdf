"""The errors of functions on arrays, told in terms of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays.devices import device_of, is_array
from tinygrad_lite.arrays.gpu import OutOfMemoryError

if TYPE_CHECKING:
    from tinygrad_lite.arrays.signature import Signature


class BadValue(ValueError, RuntimeError):
    """A value or shape that an operation refuses: what Python calls a ValueError, and PyTorch in most
    places a RuntimeError. Programs may catch either."""


class BadType(TypeError, RuntimeError):
    """A type or dtype that an operation refuses; PyTorch calls the latter a RuntimeError."""


class BadIndex(IndexError, RuntimeError):
    """An index or dim out of range; PyTorch calls some a RuntimeError."""


_ALSO_RUNTIME: dict[type, type] = {ValueError: BadValue, TypeError: BadType, IndexError: BadIndex}


def refusal(error: Exception) -> Exception:
    """A ValueError, TypeError or IndexError as one that can be caught as a RuntimeError too."""
    kind = _ALSO_RUNTIME.get(type(error))
    return error if kind is None else kind(*error.args).with_traceback(error.__traceback__)


REFUSALS = (TypeError, ValueError, IndexError, RuntimeError, OverflowError, AttributeError)


def explained(called: Signature[..., Any], values: list[Any], error: Exception) -> Exception:
    """The error of a forward function, told in terms of the call."""
    return refusal(_explained(called, values, error))


def _explained(called: Signature[..., Any], values: list[Any], error: Exception) -> Exception:
    names = [*called.arguments[: called.star], *([called.star_name] * len(values) if called.star is not None else [])]
    devices = {f"{name} on {device_of(v)}": device_of(v) for name, v in zip(names, values) if is_array(v) and v.ndim}
    if len(set(devices.values())) > 1:
        return ValueError(f"{called.name}: all tensors must be on the same device: {', '.join(devices)}")
    message = str(error)
    if isinstance(error, OutOfMemoryError):
        return OutOfMemoryError(f"{called.name}: {message}")
    if message.startswith(f"{called.name}: "):
        return error
    # A number will do for most arguments; not where the function asked it for its dtype or shape.
    absent = isinstance(error, AttributeError)
    for name, value in zip(names, values):
        number = isinstance(value, np.generic) or (isinstance(value, (bool, int, float, complex)) and not absent)
        if (name in called.differentiable or absent) and not (is_array(value) or number or value is None):
            return TypeError(f"{called.name}: expected a Tensor for {name}, got {type(value).__name__}")
    what = ", ".join(f"{name}: {_described(value)}" for name, value in zip(names, values))
    kind = type(error) if type(error) in (TypeError, IndexError, AttributeError) else ValueError
    return kind(f"{called.name}: {message} ({what})")


def _described(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if is_array(value) else repr(value)


class MissingRule(RuntimeError):
    """A gradient was asked of a primitive that has no rule for it."""

    def __init__(self, primitive: str, argument: str):
        super().__init__(
            f"backward: {primitive} has no rule for the gradient of {argument}; give one by {primitive}.vjp({argument}=...), "
            f"or write @nondifferentiable over {primitive} if it has none (detach() the tensor if only this use of it has none)"
        )


def freed(operation: str, index: int) -> str:
    """The refusal to read what backward has freed of an operation recorded at tick `index`."""
    return (
        f"backward: the values saved by {operation} (entry {index}) were freed by an earlier backward; "
        "pass retain_graph=True to that one to go through the graph twice"
    )


def wrong_gradient(node: Any, parent: Any, got: Any) -> RuntimeError:
    """The refusal of what a rule of `node` has returned for `parent`: a gradient of another shape, or None."""
    argument = node.plan.input_name(node.parents.index(parent))
    if got is None:
        return RuntimeError(f"backward: the rule of {node.name} for {argument} returned None; return zeros where the gradient is zero")
    return RuntimeError(f"backward: {node.name} returned a gradient of shape {got} for {argument}, which has shape {parent.shape}")


def wrong_return(function: str, got: Any, expected: tuple[int, ...]) -> ValueError:
    """The refusal of what a hook has returned."""
    got = getattr(got, "shape", type(got).__name__)
    return ValueError(f"{function}: expected a gradient of shape {expected} (or None) to be returned, got {got}")
