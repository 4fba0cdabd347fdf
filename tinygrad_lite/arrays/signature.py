"""How a function on arrays is called: the names and defaults of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# PyTorch's names of the first two operands, and NumPy's of them and of `dim`: accepted as keywords everywhere.
ALIASES = {
    "input": "x", "self": "x", "other": "y", "exponent": "y", "a": "x", "x1": "x", "x2": "y", "axis": "dim", "keepdims": "keepdim",
}  # fmt: skip


def wraps(function: Callable[P, R], name: str = "", doc: str | None = None) -> Callable[[Callable[..., Any]], Callable[P, R]]:
    """As `functools.wraps`, which takes twice the time: `import tinygrad_lite` makes 700 such functions."""

    def decorate(call: Callable[..., Any]) -> Any:
        call.__module__, call.__annotations__ = function.__module__, function.__annotations__
        call.__name__, call.__qualname__ = name or function.__name__, name or function.__qualname__
        call.__doc__ = function.__doc__ if doc is None else doc
        call.__dict__.update(function.__dict__)
        call.__wrapped__ = function  # type: ignore[attr-defined]
        return call

    return decorate


class Signature(Generic[P, R]):
    """The record of a function on arrays: its name, and the names and defaults of its arguments."""

    apply: Callable[..., Any]  # the public function
    # What primitives alone may be: see there.
    view = writes = False
    keeps: tuple[str, ...] = ()

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
