"""How public functions receive and check their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tinygrad_lite.arrays import gpu, is_array
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue, Refusal, in_call_of, refusal
from tinygrad_lite.arrays.signature import OTHER_NAMES, own_name, wraps
from tinygrad_lite.engine.tape import Traced

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


_RENAMED = frozenset(keyword for others in OTHER_NAMES.values() for keyword in others)


def operation(function: Callable[P, R]) -> Callable[P, R]:
    """Make a public operation from a composition: its arguments may also be given under the names in `OTHER_NAMES`, as
    those of primitives."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    types = function.__annotations__
    public = function.__name__.removeprefix("linalg_")  # tg.norm and tg.linalg.norm are two functions

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not _RENAMED.isdisjoint(kwargs):
            kwargs = _by_own_names(function.__name__, names, kwargs)
        try:
            if gpu.several:  # a composition may use arrays between its primitives
                with gpu.at_home(*args, *kwargs.values()):
                    result = function(*args, **kwargs)
            else:
                result = function(*args, **kwargs)
        except AttributeError as error:
            if isinstance(error.obj, Traced) or is_array(error.obj):
                raise
            given = {**dict(zip(names, args)), **kwargs}
            asked = [n for n, value in given.items() if value is error.obj and (n == "input" or "Tensor" in types.get(n, ""))]
            if not asked:
                raise
            came = type(error.obj).__name__
            raise BadType(function=public, argument=asked[0], expected="a Tensor", got=came) from None
        except Refusal as error:
            in_call_of(public, names, args, kwargs, error)
            raise
        except (TypeError, ValueError, IndexError) as error:
            raise refusal(error) from error.__cause__
        if (result.base is not None) if isinstance(result, Traced) else isinstance(result, tuple):
            _forget_hidden_bases(result, (*args, *kwargs.values()))
        return result

    return call


def _forget_hidden_bases(result: Any, given: tuple[Any, ...]) -> None:
    """Detach a result that is a view of a tensor internal to the operation from that base. Otherwise an in-place change of
    a view of the result would change the hidden tensor and bypass the result."""
    inputs = [x for value in given for x in (value if isinstance(value, (tuple, list)) else (value,)) if isinstance(x, Traced)]
    known = {id(tensor) for x in inputs for tensor in (x, x.base)}
    for tensor in result if isinstance(result, tuple) else (result,):
        if isinstance(tensor, Traced) and id(tensor.base) not in known:
            tensor.base = None


def old_order(*weights: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Also accept the keywords `weights` as in PyTorch's first signatures, as numbers among the tensors: `add(x, 0.5, y)`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        count = function.__wrapped__.__code__.co_argcount  # type: ignore[attr-defined]

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(args) > count:
                places = [i for i, a in enumerate(args) if isinstance(a, (int, float))][: len(args) - count]
                kwargs = {**{name: args[i] for name, i in zip(weights, places)}, **kwargs}
                args = tuple(a for i, a in enumerate(args) if i not in places)
            return function(*args, **kwargs)

        return call

    return decorate


def no_rule(operation: str, argument: str) -> Callable[[Any], Any]:
    """The rule for an input without an implemented derivative: an error is better than a lost gradient."""

    def rule(g: Any) -> Any:
        raise NotImplementedError(f"{operation}: there is no gradient with respect to {argument}; detach() it")

    return rule


def _by_own_names(operation: str, names: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    """Keywords converted to the names of the function's own arguments."""
    kwargs = {own_name(keyword, names): value for keyword, value in given.items()}
    if len(kwargs) != len(given):
        raise BadType(f"one argument was given under two names: {', '.join(given)}", function=operation)
    return kwargs


def named(name: str, doc: str) -> Callable[[F], F]:
    """Set the name and docstring of one of several functions defined by the same code."""

    def name_it(function: F) -> F:
        function.__name__ = function.__qualname__ = name
        function.__doc__ = doc
        return function

    return name_it


def raw(x: Any) -> Any:
    """The array of a tensor, off the tape; an array or number itself."""
    return x.array if isinstance(x, Traced) else x


def integer(argument: str, value: Any) -> int:
    """`value` if it is an int; like PyTorch, refuses bools and floats."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise BadType(argument=argument, expected="an int", got=type(value).__name__)
    return value.__index__()


def number(argument: str, value: Any) -> Any:
    """`value` if it is a number; as in PyTorch, a 0-d tensor counts as its element, without a dtype to promote to."""
    if type(value) is float or not hasattr(value, "dtype"):
        return value
    if value.shape or getattr(value, "node", None) is not None:
        what = f"shape {tuple(value.shape)}" if value.shape else "a gradient"
        raise BadType(argument=argument, expected="a number", got=f"a Tensor of {what}")
    return value.item()


def canonical_dim(dim: int, ndim: int) -> int:
    """`dim` counted from the front; a 0-d tensor has the dims 0 and -1, as in PyTorch."""
    dim, reach = integer("dim", dim), max(ndim, 1)
    if not -reach <= dim < reach:
        takes = f"a tensor of {ndim} dimensions takes {-reach} to {reach - 1}"
        raise BadIndex(f"dim {dim} is out of range", argument="dim", got=dim, hint=takes)
    return dim % reach


def canonical_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """`dim` (an int, several, or None or () for all) as a tuple counted from the front."""
    if dim is None:
        return tuple(range(ndim))
    dims = tuple(canonical_dim(d, ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    if len(set(dims)) != len(dims):
        raise BadValue(f"a dim appears twice in {dim}", argument="dim", got=dim)
    if not ndim:
        return ()
    return dims or tuple(range(ndim))


def canonical_shape(shape: Any) -> tuple[int, ...]:
    """A shape given as ints, as one tuple, or as a tuple of them."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    if any(isinstance(n, bool) or not hasattr(n, "__index__") for n in shape):
        raise BadType(expected="integers for the shape", got=shape)
    return tuple(int(n.__index__()) for n in shape)
