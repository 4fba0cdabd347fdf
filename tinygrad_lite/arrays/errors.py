"""Errors as values, and the one place that turns them into a sentence.

    raise BadValue(argument="p", expected="0 or more", got=p)

A check does not say which function was called. The public function adds its name when the error passes through it
(`explained` for primitives, `in_call_of` for compositions), so that functions can share a check. Nothing reads an
error's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import device_of, is_array
from tinygrad_lite.arrays.gpu import OutOfMemoryError
from tinygrad_lite.arrays.signature import Signature


class Refusal(RuntimeError):
    """A call that an operation refuses.

    `function` is the public function that was called, `argument` the name of the argument, `expected` what the function
    accepts (which may name the argument: "p of 0 or more"), `got` what was passed, `hint` what to do instead. `problem`
    is the sentence if "expected ..., got ..." does not express it.

    >>> str(BadType(function="sum", argument="dim", expected="an int", got="str"))
    'sum: expected an int for dim, got str'
    """

    def __init__(self, problem: str = "", *, function: str = "", argument: str = "", expected: str = "", got: Any = None, hint: str = ""):
        self.problem, self.function, self.argument = problem, function, argument
        self.expected, self.got, self.hint = expected, got, hint
        self.given = ""  # the arguments of the call, listed if there is no `got`
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        sentence = self.problem
        if self.expected and not sentence:
            of = f" for {self.argument}" if self.argument and self.argument not in self.expected.split() else ""
            sentence = f"expected {self.expected}{of}" + (f", got {self.got}" if self.got is not None else "")
        function = f"{self.function}: " if self.function else ""
        return function + sentence + (f"; {self.hint}" if self.hint else "") + (f" ({self.given})" if self.given else "")

    def called(self, function: str, given: str | None = None) -> None:
        """Name the function that the user called, and the arguments it was given."""
        self.function = function
        if given is not None and self.got is None:
            self.given = given
        self.args = (self._sentence(),)


class BadValue(Refusal, ValueError):
    """A value or shape that an operation refuses: what Python calls a ValueError, and PyTorch in most
    places a RuntimeError. Programs may catch either."""


class BadType(Refusal, TypeError):
    """A type or dtype that an operation refuses; PyTorch calls the latter a RuntimeError."""


class BadIndex(Refusal, IndexError):
    """An index or dim out of range; PyTorch calls some a RuntimeError."""


_ALSO_RUNTIME: dict[type, type[Refusal]] = {ValueError: BadValue, TypeError: BadType, IndexError: BadIndex}


def refusal(error: Exception, function: str = "") -> Exception:
    """A ValueError, TypeError or IndexError (NumPy's, say) as one that can also be caught as a RuntimeError."""
    kind = _ALSO_RUNTIME.get(type(error))
    if kind is None:
        return type(error)(f"{function}: {error}") if function else error
    return kind(str(error), function=function).with_traceback(_below(error))


REFUSALS = (TypeError, ValueError, IndexError, RuntimeError, OverflowError, AttributeError)


def in_call_of(function: str, names: Sequence[str], args: Sequence[Any], kwargs: dict[str, Any], error: Refusal) -> None:
    """Describe a refusal that passes through a public function in terms of its call, and end the traceback there.

    The outermost function wins, because the user did not write what it is composed of. A refusal of an argument that it
    does not have keeps the name of the inner function.
    """
    if error.function not in ("", function) and error.argument and error.argument not in names:
        return
    given = [(name, value) for name, value in (*zip(names, args), *kwargs.items()) if _is_short(value)]
    error.called(function, _listed(given) if error.given else None)
    frame = _below(error)
    if frame is not None:
        frame.tb_next = None


def explained(called: Signature[..., Any], values: list[Any], error: Exception) -> Exception:
    """The error of a forward function, described in terms of the call. A refusal's traceback ends at that function; the
    traceback of any other error is kept, for it may come from a primitive of the user's own."""
    frame = _below(error)
    if isinstance(error, Refusal) and frame is not None:
        frame.tb_next = None
    return _explained(called, values, error).with_traceback(frame)


def _below(error: Exception) -> TracebackType | None:
    """The traceback below the frame that caught the error and is about to raise it again."""
    return error.__traceback__.tb_next if error.__traceback__ is not None else None


def _explained(called: Signature[..., Any], values: list[Any], error: Exception) -> Exception:
    function = called.name
    names = [*called.arguments[: called.star], *([called.star_name] * len(values) if called.star is not None else [])]
    devices = {f"{name} on {device_of(v)}": device_of(v) for name, v in zip(names, values) if is_array(v) and v.ndim}
    if len(set(devices.values())) > 1:
        return BadValue(f"all tensors must be on the same device: {', '.join(devices)}", function=function)
    if isinstance(error, OutOfMemoryError):
        return OutOfMemoryError(f"{function}: {error}")
    if isinstance(error, Refusal) and error.function:
        return error
    # A number will do for most arguments; not where the function asked it for its dtype or shape.
    absent = isinstance(error, AttributeError)
    asked_none = isinstance(error, AttributeError) and error.name is not None and error.obj is None
    for name, value in zip(names, values):
        number = isinstance(value, np.generic) or (isinstance(value, (bool, int, float, complex)) and not absent)
        unfit = value is None if asked_none else not (is_array(value) or number or value is None)
        if unfit and (name in called.differentiable or absent):
            return BadType(function=function, argument=name or "", expected="a Tensor", got=type(value).__name__)
    given = _listed(zip(names, values))
    if absent:
        return AttributeError(f"{function}: {error} ({given})")
    told = error if isinstance(error, Refusal) else _ALSO_RUNTIME.get(type(error), BadValue)(str(error).strip())
    told.called(function, given)
    return told


def _listed(arguments: Iterable[tuple[str | None, Any]]) -> str:
    return ", ".join(f"{name}: {_described(value)}" for name, value in arguments)


def _is_short(value: Any) -> bool:
    """Whether a value is described in a few words: a tensor, a number or a shape."""
    numbers = value if type(value) is tuple else (value,)
    return hasattr(value, "dtype") or all(type(number) in (int, float) for number in numbers)


def _described(value: Any) -> str:
    return f"{tuple(value.shape)} {value.dtype}" if is_array(value) or hasattr(value, "requires_grad") else repr(value)


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
