"""Elementwise work on a GPU as one kernel: written down as it is done, and given to `cupy.fuse`.

`fused(function, arrays)` runs `function` on stand-ins of the arrays that only note what is asked of them.
Numbers are worked out by Python meanwhile, and handed to the kernel as its arguments: between two of them
CuPy would calculate with 16 bits. So one kernel is built for each sequence of operations, not for each rate
or step, and a function may branch on numbers as it likes.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import Array, Symbol, cupy_or_explain

# An operation: CuPy's name of it, where its operands are found (arrays and earlier results counted from 0,
# numbers counted down from -1), and the array that it writes into, or None for a new one.
Step = tuple[str, tuple[int, ...], int | None]


class Program:
    """What a function has done so far: its steps, and the numbers among their operands."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.numbers: list[float] = []
        self.count = 0  # of arrays and results

    def place(self, value: Any) -> int:
        """Where an operand is found; a number is put among the numbers."""
        if isinstance(value, Recorded):
            return value.place
        if isinstance(value, np.generic):  # it would widen the kernel's arithmetic
            value = value.item()
        if not isinstance(value, (bool, int, float)):
            raise TypeError(f"cannot be fused: {type(value).__name__}")
        self.numbers.append(value)
        return -len(self.numbers)

    def add(self, name: str, operands: Sequence[Any], out: Recorded | None = None) -> Recorded:
        """Note one step; returns its result."""
        like = next(value for value in reversed(operands) if isinstance(value, Recorded))
        self.steps.append((name, tuple(map(self.place, operands)), None if out is None else out.place))
        return Recorded(self, like, np.dtype(bool) if name in COMPARISONS else like.dtype) if out is None else out


Operator = Callable[["Recorded", Any], "Recorded"]


def _operators(function: str) -> tuple[Operator, Operator, Operator]:
    """What Python calls for `x + y`, for `y + x` where y is no Recorded, and for `x += y`."""
    return (
        lambda self, other: self.program.add(function, (self, other)),
        lambda self, other: self.program.add(function, (other, self)),
        lambda self, other: self.program.add(function, (self, other), self),
    )


def _comparison(function: str) -> Operator:
    return lambda self, other: self.program.add(function, (self, other))


COMPARISONS = ("less", "greater", "equal", "less_equal", "greater_equal", "not_equal")


class Recorded(Symbol):
    """What a function is given in the place of an array."""

    def __init__(self, program: Program, like: Any, dtype: np.dtype):
        self.program, self.namespace, self.dtype = program, _Namespace(program), dtype
        self.shape, self.ndim, self.size, self.device = like.shape, like.ndim, like.size, like.device
        self.strides, self.flags, self.base = like.strides, like.flags, None  # what is elementwise keeps the layout
        self.place = program.count
        program.count += 1

    def copy(self, order: str = "C") -> Recorded:
        return self.program.add("copy", (self,))

    def astype(self, dtype: Any, order: str = "K", copy: bool = True) -> Recorded:
        if dtype != self.dtype:
            raise TypeError("cannot be fused: another dtype")
        return self.copy() if copy else self

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is not Ellipsis:
            raise TypeError("cannot be fused: an index")
        self.program.add("assign", (value, self), self)

    __add__, __radd__, __iadd__ = _operators("add")
    __sub__, __rsub__, __isub__ = _operators("subtract")
    __mul__, __rmul__, __imul__ = _operators("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _operators("true_divide")
    __pow__, __rpow__, __ipow__ = _operators("power")
    __and__, __rand__, __iand__ = _operators("bitwise_and")
    __or__, __ror__, __ior__ = _operators("bitwise_or")
    __lt__, __gt__ = _comparison("less"), _comparison("greater")
    __le__, __ge__ = _comparison("less_equal"), _comparison("greater_equal")
    __eq__, __ne__ = _comparison("equal"), _comparison("not_equal")  # type: ignore[assignment]
    __hash__ = object.__hash__

    def __neg__(self) -> Recorded:
        return self.program.add("negative", (self,))

    def __abs__(self) -> Recorded:
        return self.program.add("absolute", (self,))

    def __bool__(self) -> bool:
        raise TypeError("cannot be fused: a choice by the elements' values")


class _Namespace:
    """CuPy's elementwise functions, noted instead of run."""

    def __init__(self, program: Program):
        self.program = program

    def __getattr__(self, name: str) -> Callable[..., Recorded]:
        return lambda *operands, out=None: self.program.add(name, operands, out)


def fused(function: Callable[..., dict[str, Any] | None], arrays: Sequence[Array]) -> dict[str, Array] | None:
    """`function(*arrays)`, which changes them in place element by element and may return new ones by name, as one
    kernel. What cannot be written down is run as it is."""
    try:
        kernel, numbers, begun = written_down(function, arrays)
    except Exception:  # whatever a function does with what is no array
        return function(*arrays)
    values = kernel(*arrays, *numbers)
    return dict(zip(begun, values if len(begun) > 1 else (values,)))


def written_down(function: Callable[..., dict[str, Any] | None], arrays: Sequence[Array]) -> tuple[Any, list[float], list[str]]:
    """The kernel that `function` is, the numbers that it takes after the arrays, and the names of its results."""
    program = Program()
    given = [Recorded(program, array, array.dtype) for array in arrays]
    takes_xp = "xp" in function.__code__.co_varnames[: function.__code__.co_argcount]
    begun = (function(*given, xp=given[0].namespace) if takes_xp else function(*given)) or {}
    results = tuple(program.place(value) for value in begun.values())
    return _kernel(len(arrays), tuple(program.steps), results), program.numbers, list(begun)


@functools.lru_cache(maxsize=256)
def _kernel(count: int, steps: tuple[Step, ...], results: tuple[int, ...]) -> Callable[..., Any]:
    cupy = cupy_or_explain()
    functions = {
        name: getattr(cupy, name, None) or getattr(importlib.import_module("cupyx.scipy.special"), name)
        for name, _, _ in steps
        if name != "assign"
    }

    def run(*args: Any) -> Any:
        values, numbers = list(args[:count]), args[count:]
        for name, operands, out in steps:
            found = [values[place] if place >= 0 else numbers[-1 - place] for place in operands]
            if out is None:
                values.append(functions[name](*found))
            elif name == "assign":
                values[out][...] = found[0]
            else:
                functions[name](*found, values[out])
        chosen = tuple(values[place] for place in results)
        return chosen if len(chosen) > 1 else chosen[0] if chosen else None

    return cupy.fuse(kernel_name=f"fused_{len(steps)}_steps")(run)
