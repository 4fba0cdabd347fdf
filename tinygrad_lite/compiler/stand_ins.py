"""The stand-ins of a trace: arrays, numbers, numpy and generators that note what is done with them.

A `TracedArray` holds an array and computes with it; besides, its trace notes each NumPy call. To the library it is an
array that is not NumPy's, as CuPy's arrays are.

A `TracedNumber` is an int or float that may differ in the next call: a learning rate, an index, a step count. Where Python
needs its value (in a branch, as a size), the program is made for this value, and a guard says so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import CPU, Symbol, handle
from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.arrays.memory import owner_of
from tinygrad_lite.compiler.program import Variable, leaves, perform
from tinygrad_lite.engine.tape import Traced


class Untraceable(Exception):
    """The function does what a program cannot hold, such as a branch on a value. (No RuntimeError: operations explain those
    as refusals of their arguments.) A function that catches it is refused all the same."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        if (trace := tracing.get()) is not None:
            trace.error = self


class TracedNumPy:
    """numpy, with calls on traced arrays noted."""

    def __init__(self, trace: Any, path: str = "np", module: Any = np):
        self._trace, self._path, self._module = trace, path, module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if isinstance(found, type(np)):
            return TracedNumPy(self._trace, f"{self._path}.{name}", found)
        if not callable(found) or isinstance(found, type):
            return found
        return _Function(self._trace, f"{self._path}.{name}")


class _Function:
    """A function of numpy; `at` and other methods, if it has any."""

    def __init__(self, trace: Any, path: str):
        self._trace, self._path = trace, path

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._trace.call(self._path, *arguments, **keywords)

    def __getattr__(self, name: str) -> _Function:
        return _Function(self._trace, f"{self._path}.{name}")


class TracedStream:
    """A generator of random numbers, with its draws noted."""

    def __init__(self, trace: Any, source: Any):
        self._trace, self._source = trace, source

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self._trace.draw, self._source, name)


def _method(name: str) -> Callable[..., Any]:
    return lambda self, *arguments, **keywords: self.trace.call(f".{name}", self, *arguments, **keywords)


def _attribute(name: str) -> Any:
    return property(lambda self: self.trace.call(f".{name}", self))


def _of_value(name: str) -> Any:
    return property(lambda self: getattr(self.value, name))


def _binary(function: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`self function other`, and `other function self`."""

    def apply(self: Any, other: Any, is_first: bool) -> Any:
        if isinstance(other, Traced):
            return NotImplemented
        if type(other) not in _OPERANDS and type(self) is TracedNumber:
            return self.with_other(function, other, is_first)
        return self.trace.call(function, self, other) if is_first else self.trace.call(function, other, self)

    return lambda self, other: apply(self, other, True), lambda self, other: apply(self, other, False)


class _Operators:
    """What traced arrays and numbers have in common."""

    trace: Any

    (__add__, __radd__), (__sub__, __rsub__), (__mul__, __rmul__) = map(_binary, "+-*")
    (__truediv__, __rtruediv__), (__floordiv__, __rfloordiv__), (__mod__, __rmod__) = map(_binary, ("/", "//", "%"))
    (__pow__, __rpow__), (__and__, __rand__), (__or__, __ror__), (__xor__, __rxor__) = map(_binary, ("**", "&", "|", "^"))
    (__lshift__, __rlshift__), (__rshift__, __rrshift__) = map(_binary, ("<<", ">>"))
    (__lt__, _), (__le__, _), (__gt__, _), (__ge__, _) = map(_binary, ("<", "<=", ">", ">="))
    (__eq__, _), (__ne__, _) = map(_binary, ("==", "!="))

    def __neg__(self) -> Any:
        return self.trace.call("-", self)

    def __invert__(self) -> Any:
        return self.trace.call("~", self)

    def __abs__(self) -> Any:
        return self.trace.call("abs", self)


class TracedArray(_Operators, Symbol):
    """An array whose calls are noted."""

    __array_ufunc__ = None  # NumPy's arrays leave operators to this class
    __hash__ = object.__hash__

    def __init__(self, trace: Any, value: np.ndarray, variable: Variable):
        self.trace, self.value, self.variable = trace, value, variable
        self.owner: TracedArray | None = None  # if it is another array, and known

    namespace = property(lambda self: self.trace.namespace)
    home = property(lambda self: CPU if self.variable.memory in self.trace.on_cpu else self.trace.device)
    device = property(lambda self: handle(self.home) if self.home.type == "cuda" else CPU)

    @property
    def base(self) -> TracedArray | None:
        if self.owner is None and owner_of(self.value) is not self.value:
            self.owner = self.trace.owner(self.value)
        return self.owner

    shape, ndim, size, dtype = _of_value("shape"), _of_value("ndim"), _of_value("size"), _of_value("dtype")
    strides, flags, itemsize, nbytes = _of_value("strides"), _of_value("flags"), _of_value("itemsize"), _of_value("nbytes")
    T, mT, real, imag = _attribute("T"), _attribute("mT"), _attribute("real"), _attribute("imag")

    nonzero = _method("nonzero")
    all, any, argmax, argmin, argsort = _method("all"), _method("any"), _method("argmax"), _method("argmin"), _method("argsort")
    astype, clip, copy, cumprod, cumsum = _method("astype"), _method("clip"), _method("copy"), _method("cumprod"), _method("cumsum")
    diagonal, dot, fill, max, mean, min = map(_method, ("diagonal", "dot", "fill", "max", "mean", "min"))
    prod, ravel, repeat, reshape, squeeze, std = map(_method, ("prod", "ravel", "repeat", "reshape", "squeeze", "std"))
    sum, swapaxes, take, transpose, var, view = map(_method, ("sum", "swapaxes", "take", "transpose", "var", "view"))

    __matmul__, __rmatmul__ = _binary("@")
    __iadd__, __isub__, __imul__ = (_binary(f"{sign}=")[0] for sign in "+-*")
    __itruediv__, __ifloordiv__, __imod__, __ipow__ = (_binary(f"{sign}=")[0] for sign in ("/", "//", "%", "**"))
    __iand__, __ior__, __ixor__ = (_binary(f"{sign}=")[0] for sign in "&|^")

    def __getitem__(self, index: Any) -> Any:
        parts = [part for part in (index if isinstance(index, tuple) else (index,)) if part is not None]
        for i, part in enumerate(parts):
            if isinstance(part, slice) and list(traced_in(part)):
                is_late = any(other is Ellipsis for other in parts[:i])
                self.trace.fix_length(part, self.value.shape[i - len(parts) if is_late else i])
        return self.trace.call("[]", self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if value is not self or index is not Ellipsis:
            self.trace.call("[]=", self, index, value)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def item(self) -> TracedNumber:
        return self.trace.item(self)

    def __bool__(self) -> bool:
        return bool(self._known("as a condition"))

    def __int__(self) -> int:
        return int(self._known("by Python"))

    def __float__(self) -> float:
        return float(self._known("by Python"))

    def __index__(self) -> int:
        return self._known("as an index or a size")

    def _known(self, use: str) -> Any:
        return self.trace.fix(self.trace.item(self), use) if self.size == 1 else self._refuse()

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise Untraceable("the values of an array leave the computation; a program is the same for all values")

    __array__ = __complex__ = tolist = get = tobytes = _refuse


class TracedNumber(_Operators):
    """An int or float whose arithmetic is noted. It passes for one, but not as a subclass: what is implemented in C would
    then take its value without asking."""

    def __init__(self, trace: Any, value: Any, variable: Variable):
        self.trace, self.value, self.variable = trace, value, variable

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **keywords: Any) -> Any:
        if method != "__call__":
            raise Untraceable(f"a number of the program in np.{ufunc.__name__}.{method}")
        return self.trace.call(_OPERATORS.get(ufunc.__name__) or f"np.{ufunc.__name__}", *operands, **keywords)

    def _number(self, use: str = "by Python") -> Any:
        return self.trace.fix(self, use)

    def with_other(self, function: str, other: Any, is_first: bool) -> Any:
        """An operation with what is neither a number nor an array of this program."""
        if isinstance(other, np.generic):
            return self.trace.call(function, self, other) if is_first else self.trace.call(function, other, self)
        value = self._number()
        return perform(function, (value, other) if is_first else (other, value), {})

    def __pos__(self) -> TracedNumber:
        return self

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        return self.trace.power(self, other) if modulo is None else pow(self._number(), other, modulo)

    def __rpow__(self, other: Any) -> Any:
        return self.trace.power(other, self)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __int__(self) -> int:
        return int(self._number())

    def __float__(self) -> float:
        return float(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        if not isinstance(self.value, int):
            raise TypeError("'float' object cannot be interpreted as an integer")
        return int(self._number("as an index or a size"))

    def __hash__(self) -> int:
        return hash(self._number("as a key"))

    def __round__(self, digits: Any = None) -> Any:
        return round(self._number(), digits)

    def __floor__(self) -> Any:
        return self.trace.call("math.floor", self)

    def __ceil__(self) -> Any:
        return self.trace.call("math.ceil", self)

    def __trunc__(self) -> Any:
        return self.trace.call("math.trunc", self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __str__(self) -> str:
        return str(self._number("as text"))

    def __repr__(self) -> str:
        return repr(self._number("as text"))

    def __format__(self, form: str) -> str:
        return format(self._number("as text"), form)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self._number(), dtype)

    def __getattr__(self, name: str) -> Any:  # is_integer and the like
        return getattr(self._number(), name)

    def __reduce__(self) -> Any:
        return type(self.value), (self._number(),)

    def __copy__(self) -> TracedNumber:
        return self

    def __deepcopy__(self, memo: Any) -> TracedNumber:
        return self


_OPERANDS = {int, float, bool, np.ndarray, TracedArray, TracedNumber}
_OPERATORS = {
    "add": "+", "subtract": "-", "multiply": "*", "true_divide": "/", "divide": "/", "floor_divide": "//", "remainder": "%",
    "power": "**", "matmul": "@", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==",
    "not_equal": "!=", "negative": "-", "absolute": "abs",
}  # fmt: skip


def traced_in(value: Any) -> Iterator[Any]:
    """The traced arrays and numbers, and the arrays from outside, in nested operands."""
    return (part for part in leaves(value) if isinstance(part, (TracedArray, TracedNumber, np.ndarray)))
