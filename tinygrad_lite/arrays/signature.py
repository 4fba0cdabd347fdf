"""How a function on arrays is called, and how a rule of it is: by the names of their arguments."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# The keywords that an argument takes besides its name: NumPy's, as in PyTorch; `input` and `other`, which PyTorch's parser
# takes for several arguments that its documentation calls A, B or x; and `self`, its name for a number as the input.
OTHER_NAMES = {
    "input": ("self", "x", "a", "x1"), "A": ("input", "x", "a", "x1"), "x": ("input", "a", "x1"), "other": ("x2",),
    "B": ("other",), "dim": ("axis",), "keepdim": ("keepdims",), "from_": ("from",),
}  # fmt: skip


def wraps(function: Callable[P, R], name: str = "", doc: str | None = None) -> Callable[[Callable[..., Any]], Callable[P, R]]:
    """`functools.wraps` in half the time (importing the package makes 700 such functions), also with another name and docstring."""

    def decorate(call: Callable[..., Any]) -> Any:
        call.__module__, call.__annotations__ = function.__module__, function.__annotations__
        call.__name__, call.__qualname__ = name or function.__name__, name or function.__qualname__
        call.__doc__ = function.__doc__ if doc is None else doc
        call.__dict__.update(function.__dict__)
        call.__wrapped__ = function  # type: ignore[attr-defined]
        return call

    return decorate


def own_name(keyword: str, names: tuple[str, ...]) -> str:
    """The name, among a function's `names`, of the argument that a keyword gives."""
    return keyword if keyword in names else next((name for name in names if keyword in OTHER_NAMES.get(name, ())), keyword)


class Signature(Generic[P, R]):
    """The record of a function on arrays: its name, and the names and defaults of its arguments."""

    apply: Callable[..., Any]  # the public function
    # Only primitives may set these; see there.
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
    def value_names(self) -> tuple[str, ...]:
        """What a rule may name: the arguments, the result, and what the forward function keeps."""
        return (*self.arguments, "out", *self.keeps)

    def argument_at(self, place: int) -> str:
        """The name of the argument that is passed at `place`; several places are a star argument's."""
        return self.arguments[place if self.star is None else min(place, self.star)]

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
            name = own_name(name, names)
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

    def names_in(self, rule: Callable[..., Any], inputs: tuple[str, ...], first: int) -> tuple[str, ...]:
        """The values that the rule for `inputs` takes, by the names of its parameters from number `first` on."""
        names = rule.__code__.co_varnames[: rule.__code__.co_argcount]
        known, arguments = self.value_names, self.arguments
        unknown = [n for n in names[first:] if n not in known and n.removesuffix("_shape") not in arguments]
        if "g" not in names[:first] or unknown or not set(inputs) <= set(arguments):
            possible = sorted({*known, *(f"{argument}_shape" for argument in arguments)})
            raise TypeError(f"{self.name}: the rule for {', '.join(inputs)} names {names}; known are g, {', '.join(possible)}")
        return names[first:]

    def selection(self, names: list[str]) -> tuple[list[str], Callable[[Any], Any]]:
        """Each of `names` once, shapes last, and a function that takes these values from a call's arguments and results."""
        known = self.value_names
        place = known.index
        is_shape = {name: name.endswith("_shape") and name not in known for name in dict.fromkeys(names)}
        values, shapes = ([name for name in is_shape if is_shape[name] is kind] for kind in (False, True))
        pick = picker([place(name) for name in values])
        if not shapes:
            return values, pick
        shaped = [place(name.removesuffix("_shape")) for name in shapes]
        return values + shapes, lambda given: (*pick(given), *[_shape(given[i]) for i in shaped])


def picker(places: list[int]) -> Callable[[Any], Any]:
    """A function that takes the values at `places` from a sequence, as a sequence, in C."""
    if len(places) == 1:
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places) if places else _nothing


def _nothing(values: Any) -> tuple[()]:
    return ()


def _shape(value: Any) -> Any:
    return tuple(v.shape for v in value) if type(value) is tuple else getattr(value, "shape", ())


def enter(record: Signature[..., Any], registry: dict[str, Any], *others: dict[str, Any]) -> None:
    """Put a record into its registry. One that is defined again (a notebook's cell is run once more) replaces
    the old one; a different one of the same name is refused."""
    place = f"{record.forward.__module__}.{record.forward.__qualname__}"
    for known in (each[record.name] for each in (registry, *others) if record.name in each):
        if (before := f"{known.forward.__module__}.{known.forward.__qualname__}") != place:
            raise ValueError(f"primitive {record.name!r} is defined twice: as {before} and as {place}; give one of them another name")
    for other in others:
        other.pop(record.name, None)
    registry[record.name] = record
