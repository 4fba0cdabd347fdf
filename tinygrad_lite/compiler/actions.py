"""The actions of a plan: functions with fixed arguments, whose results go to arrays that stay."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.compiler.native import ufunc_of
from tinygrad_lite.compiler.program import IN_PLACE, perform

Action = tuple[Callable[..., Any], tuple[Any, ...]]

_SUMS = {
    ".sum": np.add, ".max": np.maximum, ".min": np.minimum, ".prod": np.multiply,
    ".all": np.logical_and, ".any": np.logical_or,
}  # fmt: skip


def into(out: np.ndarray, function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Action:
    """The call, with its result written into `out`."""
    ufunc = ufunc_of(function, len(arguments))
    if ufunc is not None and not keywords:
        return _with_output(ufunc, _with_arrays(arguments), out)
    if function == "np.ones_like" or function == "np.zeros_like":
        return np.copyto, (out, float(function == "np.ones_like"))
    if function == ".dot" and out.flags.c_contiguous and out.ndim == 2:
        return np.dot, (*arguments, out)
    if function in _SUMS and set(keywords) <= {"axis", "keepdims"} and len(arguments) == 1:
        return _SUMS[function].reduce, (arguments[0], keywords.get("axis"), out.dtype, out, keywords.get("keepdims", False))
    return functools.partial(_compute_into, out, function), (arguments, keywords)


def in_place(function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Action:
    """The call, which changes its first operand, or the array `out`."""
    ufunc = ufunc_of(function.removesuffix("="), 2) if function in IN_PLACE else None
    if ufunc is not None:
        first, second = _with_arrays(arguments)
        return ufunc, (first, second, first)
    if function == "[]=" and is_basic(arguments[1]):
        return np.copyto, (np.ndarray.__getitem__(arguments[0], with_ellipsis(arguments[1])), arguments[2], "unsafe")
    if set(keywords) == {"out"} and (found := ufunc_of(function, len(arguments))) is not None:
        return _with_output(found, arguments, keywords["out"])
    return perform, (function, arguments, keywords)


def several(function: str, arguments: Any, keywords: Any, places: list[Any]) -> None:
    """A call with several results."""
    for place, part in zip(places, perform(function, arguments, keywords)):
        np.copyto(place, part)


def _with_arrays(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operands of a ufunc with 0-d arrays in the place of Python's numbers, which NumPy would convert in each call."""
    like = next((a for a in arguments if isinstance(a, np.ndarray) and a.dtype.kind == "f"), None)
    if like is None:
        return arguments
    return tuple(np.asarray(a, like.dtype) if type(a) in (int, float) else a for a in arguments)


def _with_output(ufunc: np.ufunc, arguments: tuple[Any, ...], out: np.ndarray) -> Action:
    if ufunc in (np.maximum, np.minimum):  # they take the output by keyword only
        return functools.partial(ufunc, out=out), arguments
    return ufunc, (*arguments, out)


def _compute_into(out: np.ndarray, function: str, arguments: Any, keywords: Any) -> None:
    found = perform(function, arguments, keywords)
    if np.shape(found) != out.shape:
        raise RuntimeError(f"compile: {function} made an array of shape {np.shape(found)}, where the program has {out.shape}")
    np.copyto(out, found)


def is_basic(index: Any) -> bool:
    """Whether an index gives a view."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts) and not any(
        isinstance(part, bool) for part in parts
    )


def with_ellipsis(index: Any) -> Any:
    """The index of a view, even if it names a single element."""
    parts = index if isinstance(index, tuple) else (index,)
    return parts if Ellipsis in parts else (*parts, Ellipsis)


def fill(cell: np.ndarray, slots: list[Any], slot: int) -> None:
    """Put a number of the run into its 0-d array."""
    cell[()] = slots[slot]


def draw(out: np.ndarray, arguments: tuple[Any, ...]) -> Callable[[], None]:
    """Random numbers, written into `out` where NumPy can do that."""
    source, method, *rest = arguments
    if method in ("random", "standard_normal") and out.dtype in (np.float32, np.float64) and rest == [out.shape, out.dtype]:
        return lambda: getattr(source.generator, method)(dtype=out.dtype, out=out)
    return lambda: np.copyto(out, getattr(source.generator, method)(*rest))

