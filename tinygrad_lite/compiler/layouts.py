"""The layouts of results, so that a trace need not compute what it has computed in the same form before.

A program is the same for all values. So the values of large arrays of floats do not matter to a trace, only their layouts, and
these follow from those of the operands: of several equal blocks of a model, one is computed.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.compiler.program import Variable
from tinygrad_lite.compiler.stand_ins import TracedArray, TracedNumber

LARGE = 1 << 12  # elements; smaller arrays have their values, and so have all integers

_WRITE = object()  # the layout of what a call changes in place


class Layouts:
    """What calls have returned, by what they were given."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self.kernels: dict[Any, list[Any] | None] = {}  # arrays like what each returns; None if it returns others for NumPy's

    def key(self, function: Any, arguments: Any, keywords: Any) -> Any:
        """What is equal for calls whose results have equal layouts; None if that cannot be told."""
        key = function, _key(arguments), _key(keywords)
        try:
            hash(key)
        except TypeError:
            return None
        return key

    def result(self, key: Any) -> np.ndarray | None:
        """An array for the result of a call that is like an earlier one, without its values; None if it has to be done."""
        sample = self._known.get(key)
        return None if sample is None or sample is _WRITE else untouched(sample.shape, sample.dtype, sample.strides)

    def is_known_write(self, key: Any) -> bool:
        """Whether a change in place is like an earlier one."""
        return self._known.get(key) is _WRITE

    def note(self, key: Any, result: Any, written: np.ndarray | None) -> None:
        """Note what a call has returned, or changed in place."""
        if key is None:
            return
        if written is not None:
            if is_large(written):
                self._known[key] = _WRITE
        elif isinstance(result, np.ndarray) and result.base is None and is_large(result):
            sample = np.lib.stride_tricks.as_strided(np.empty((), result.dtype), result.shape, result.strides)
            self._known[key] = sample


def untouched(shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None = None) -> np.ndarray:
    """An array that is not empty. The system gives it memory only when it is written to; reading finds zeros."""
    return np.ndarray(shape, dtype, mmap.mmap(-1, math.prod(shape) * dtype.itemsize, access=mmap.ACCESS_COPY), strides=strides)


def empty_of(variable: Variable, make: Callable[..., np.ndarray] = np.empty) -> np.ndarray:
    """An array that `make` makes for a variable, with its axes in memory in the order of the traced array's."""
    if len(variable.strides) < 2 or 0 in variable.shape:
        return make(variable.shape, variable.dtype)
    axes = sorted(range(len(variable.shape)), key=lambda d: (-abs(variable.strides[d]) if variable.shape[d] > 1 else 0, d))
    return make(tuple(variable.shape[d] for d in axes), variable.dtype).transpose(np.argsort(axes))


def as_traced(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The array, or a copy in the layout of `like` if its own is another: what was a view in the trace is one of it, too."""
    if array.strides == like.strides or all(a == b for n, a, b in zip(like.shape, array.strides, like.strides) if n > 1) or not like.size:
        return array
    made = np.empty_like(like)
    np.copyto(made, array)
    return made


def is_large(array: np.ndarray) -> bool:
    """Whether the values of an array do not matter."""
    return array.dtype.kind in "fc" and math.prod(array.shape) >= LARGE


def _key(value: Any) -> Any:
    if isinstance(value, TracedArray):
        value = value.value
    if isinstance(value, np.ndarray):
        return "array", value.shape, value.strides, value.dtype
    if type(value) is TracedNumber:
        return "number", type(value.value)
    if isinstance(value, (tuple, list)):
        return type(value), *map(_key, value)
    if type(value) is dict:
        return "dict", *((name, _key(part)) for name, part in value.items())
    if isinstance(value, slice):
        return "slice", _key(value.start), _key(value.stop), _key(value.step)
    return (type(value), repr(value)) if isinstance(value, (int, float, complex, np.generic)) else value
