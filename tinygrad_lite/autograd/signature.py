"""How an operation is called: its arguments' names, and errors that name them.

An operation is a function on plain arrays; what it is given and what it raised are told in terms of
the call. Primitives (primitive.py) and functions without a gradient (nondifferentiable.py) share this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from tinygrad_lite.arrays import device_of, is_array
from tinygrad_lite.arrays.gpu import OutOfMemoryError

P = ParamSpec("P")
R = TypeVar("R")

# PyTorch's names of the first two operands, and NumPy's of `dim`: accepted as keywords everywhere.
ALIASES = {"input": "x", "self": "x", "other": "y", "axis": "dim", "keepdims": "keepdim"}

# What a function on arrays raises when it cannot do with what it was given.
REFUSALS = (TypeError, ValueError, IndexError, RuntimeError, OverflowError, AttributeError)


class Signature(Generic[P, R]):
    """The record of a function on arrays: its name, and the names and defaults of its arguments."""

    apply: Callable[..., Any]  # the public function
    writes = False  # whether it changes its first argument

    def __init__(self, forward: Callable[P, R]):
        code = forward.__code__
        self.name = forward.__name__.strip("_")
        self.forward = forward
        self.arguments = code.co_varnames[: code.co_argcount + bool(code.co_flags & 4)]
        self.star = code.co_argcount if code.co_flags & 4 else None
        self.star_name = self.arguments[-1] if self.star is not None else None
        self.defaults = forward.__defaults__ or ()

    @property
    def differentiable(self) -> tuple[str, ...]:
        """The arguments that have a gradient."""
        return ()

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in order, with keywords and defaults filled in."""
        names = self.arguments if self.star is None else self.arguments[: self.star]
        if len(args) > len(names):
            if self.star is None:
                raise TypeError(f"{self.name}: expected at most {len(names)} arguments ({', '.join(names)}), got {len(args)}")
            if not kwargs:
                return args
        values = dict(zip(names, args))
        for name, value in kwargs.items():
            name = name if name in names else ALIASES.get(name, name)
            if name not in names:
                raise TypeError(f"{self.name}: unexpected argument {name!r}; it takes {', '.join(names)}")
            if name in values:
                raise TypeError(f"{self.name}: argument {name!r} was given twice")
            values[name] = value
        for name, value in zip(reversed(names), reversed(self.defaults)):
            values.setdefault(name, value)
        missing = [name for name in names if name not in values]
        if missing:
            raise TypeError(f"{self.name}: missing argument {', '.join(map(repr, missing))}")
        return tuple(values[name] for name in names) + args[len(names) :]

    def explained(self, values: list[Any], error: Exception) -> Exception:
        """The error of a forward function, told in terms of the call."""
        names = [*self.arguments[: self.star], *([self.star_name] * len(values) if self.star is not None else [])]
        devices = {f"{name} on {device_of(v)}": device_of(v) for name, v in zip(names, values) if is_array(v) and v.ndim}
        if len(set(devices.values())) > 1:
            return ValueError(f"{self.name}: all tensors must be on the same device: {', '.join(devices)}")
        message = str(error)
        if isinstance(error, OutOfMemoryError):
            return OutOfMemoryError(f"{self.name}: {message}")
        if message.startswith(f"{self.name}: "):
            return error
        # A number will do for most arguments; not where the function asked it for its dtype or shape.
        absent = isinstance(error, AttributeError)
        for name, value in zip(names, values):
            number = isinstance(value, np.generic) or (isinstance(value, (bool, int, float, complex)) and not absent)
            if (name in self.differentiable or absent) and not (is_array(value) or number or value is None):
                return TypeError(f"{self.name}: expected a Tensor for {name}, got {type(value).__name__}")
        what = ", ".join(f"{name}: {_described(value)}" for name, value in zip(names, values))
        kind = type(error) if type(error) in (TypeError, IndexError, AttributeError) else ValueError
        return kind(f"{self.name}: {message} ({what})")


def _described(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if is_array(value) else repr(value)
