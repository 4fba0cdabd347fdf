"""How the public functions take their arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tinygrad_lite.arrays import is_array
from tinygrad_lite.arrays.gpu import when_several
from tinygrad_lite.autograd.apart import led
from tinygrad_lite.autograd.node import Traced
from tinygrad_lite.autograd.signature import ALIASES

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


def operation(function: Callable[P, R]) -> Callable[P, R]:
    """Make a public operation of a composition: the first operands may be given by PyTorch's names
    (`input=`, `other=`; also where they are called A and B), and `dim` and `keepdim` by NumPy's.
    Primitives do the same by themselves."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    aliases = (*ALIASES.items(), ("x", "A"), ("input", "A"), ("other", "B"))
    renamed = {alias: name for alias, name in aliases if name in names and alias not in names}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not renamed.keys().isdisjoint(kwargs):
            given = kwargs
            kwargs = {renamed.get(name, name): value for name, value in given.items()}
            if len(kwargs) != len(given):
                raise TypeError(f"{function.__name__}: one argument was given under two names: {', '.join(given)}")
        try:
            return function(*args, **kwargs)
        except AttributeError:
            if names[0] != "x" or not args or isinstance(args[0], Traced) or is_array(args[0]):
                raise
            raise TypeError(f"{function.__name__}: expected a Tensor, got {type(args[0]).__name__}") from None

    def lead() -> None:
        nonlocal function
        function = led(function)

    when_several(lead)
    return call


def named(name: str, text: str) -> Callable[[F], F]:
    """Give one of several functions that are written once its name and its docstring."""

    def name_it(function: F) -> F:
        function.__name__ = function.__qualname__ = name
        function.__doc__ = text
        return function

    return name_it


def raw(x: Any) -> Any:
    """The array of a tensor: its values, off the tape. An array (or number) is its own."""
    return x.array if isinstance(x, Traced) else x


def canonical_dim(name: str, dim: int, ndim: int) -> int:
    """`dim` counted from the front; a 0-d tensor has the dims 0 and -1, as in PyTorch."""
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"{name}: expected an int for dim, got {type(dim).__name__}")
    dim, reach = dim.__index__(), max(ndim, 1)
    if not -reach <= dim < reach:
        raise IndexError(f"{name}: dim {dim} is out of range; a tensor of {ndim} dimensions takes {-reach} to {reach - 1}")
    return dim % reach


def canonical_dims(name: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """`dim` (an int, several, or None or () for all) as a tuple counted from the front."""
    if dim is None:
        return tuple(range(ndim))
    dims = tuple(canonical_dim(name, d, ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    if len(set(dims)) != len(dims):
        raise ValueError(f"{name}: a dim appears twice in {dim}")
    if not ndim:
        return ()
    return dims or tuple(range(ndim))


def canonical_shape(name: str, shape: Any) -> tuple[int, ...]:
    """A shape given as ints, as one tuple, or as a tuple of them."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    try:
        return tuple(int(n.__index__()) for n in shape)
    except AttributeError:
        raise TypeError(f"{name}: expected integers for the shape, got {shape}") from None
