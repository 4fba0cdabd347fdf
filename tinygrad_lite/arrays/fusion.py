"""Elementwise functions as one kernel, by tracing them: for `cupy.fuse` on a GPU, for loops.py on a CPU.

`fused(function, arrays)` runs `function` on stand-ins that record operations. Python computes with the numbers while
tracing and passes them to the kernel as arguments; CuPy itself would compute with two of them in 16 bits. So there is one
kernel per sequence of operations, not one per learning rate or step, and a function may branch on numbers.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import Loop
from tinygrad_lite.arrays.devices import Array, Symbol, cupy_or_explain
from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.arrays.loops import loop_of, run_in_threads
from tinygrad_lite.arrays.memory import start_of

# An operation: its name in CuPy, the indices of its operands (arrays and earlier results from 0 up,
# numbers from -1 down), and the index of the array it writes to, or None for a new one.
Step = tuple[str, tuple[int, ...], int | None]


class Program:
    """The steps a function has made so far, and the numbers among their operands."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.numbers: list[float] = []
        self.count = 0  # number of arrays and results

    def place(self, value: Any) -> int:
        """The index of an operand; numbers are stored in `numbers`."""
        if isinstance(value, Recorded):
            return value.place
        if isinstance(value, np.generic) or (type(value) is np.ndarray and not value.ndim):
            value = value.item()  # a NumPy number would promote the kernel's arithmetic
        if not isinstance(value, (bool, int, float)):
            raise TypeError(f"cannot be fused: {type(value).__name__}")
        self.numbers.append(value)
        return -len(self.numbers)

    def add(self, name: str, operands: Sequence[Any], out: Recorded | None = None) -> Recorded:
        """Record one step; returns its result."""
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
    """Stands in for an array while a function is traced."""

    def __init__(self, program: Program, like: Any, dtype: np.dtype):
        self.program, self.namespace, self.dtype = program, _Namespace(program), dtype
        self.shape, self.ndim, self.size, self.device = like.shape, like.ndim, like.size, like.device
        self.strides, self.flags, self.base = like.strides, like.flags, None  # elementwise results keep the layout
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
    """CuPy's elementwise functions, recorded instead of run."""

    def __init__(self, program: Program):
        self.program = program

    def __getattr__(self, name: str) -> Callable[..., Recorded]:
        return lambda *operands, out=None: self.program.add(name, operands, out)


def fused(function: Callable[..., dict[str, Any] | None], arrays: Sequence[Array]) -> dict[str, Array] | None:
    """Run `function(*arrays)`, which changes arrays in place elementwise and may return new ones by name, as one kernel. A
    function that cannot be traced runs unfused, and so does one in a program that is being traced."""
    if tracing.get() is not None:
        return function(*arrays)
    try:
        kernel, numbers, begun = written_down(function, arrays)
    except Exception:  # any error that tracing with stand-ins may cause
        return function(*arrays)
    values = kernel(*arrays, *numbers)
    return dict(zip(begun, values if len(begun) > 1 else (values,)))


def compiled(function: Any, arrays: Sequence[np.ndarray], starts: Sequence[int]) -> dict[str, Array] | None:
    """`fused` for NumPy arrays over which a loop may run (see `starts_of`), as one compiled loop. None if that is not
    possible; then nothing has changed."""
    found = traced(function, arrays)
    if found is None:
        return None
    loop, numbers, names = found
    results = [np.empty_like(arrays[0]) for _ in names]
    items = [array.itemsize for array in (*arrays, *results)]
    run_in_threads(loop, arrays[0].size, [*starts, *map(start_of, results)], items, numbers)
    return dict(zip(names, results))


Recording = tuple[tuple[Step, ...], tuple[int, ...], list[float], list[str]]  # steps, results, numbers, the results' names
_recordings: dict[Any, Recording | None] = {}  # by the content of the function


def traced(function: Any, arrays: Sequence[np.ndarray]) -> tuple[Loop, list[float], list[str]] | None:
    """The compiled loop for `function(*arrays)`, the numbers it takes, and the names of its results; None if it cannot be
    compiled."""
    recording = _recording(function, arrays)
    if recording is None:
        return None
    steps, results, numbers, names = recording
    booleans = tuple([i for i, array in enumerate(arrays) if array.dtype.kind == "b"])
    loop = loop_of(len(arrays), len(numbers), steps, results, arrays[0].dtype, booleans)
    return None if loop is None else (loop, numbers, names)


def _recording(function: Any, arrays: Sequence[np.ndarray]) -> Recording | None:
    """What `function` does with arrays like these. Tracing takes 5 to 40 us, so the result is kept, also that there is none,
    for functions that depend on nothing but their code and values that cannot change."""
    try:
        content = _content(function)
    except (ValueError, RecursionError):  # a variable is not yet set, or functions use one another
        content = None
    if content is None:
        return _recorded_now(function, arrays)
    key = content, tuple([(a.shape, a.strides, a.dtype) for a in arrays])
    if key not in _recordings:
        if len(_recordings) >= 512:
            _recordings.clear()
        _recordings[key] = _recorded_now(function, arrays)
    return _recordings[key]


def _recorded_now(function: Any, arrays: Sequence[np.ndarray]) -> Recording | None:
    ufunc = function.__name__ if isinstance(function, np.ufunc) else None
    try:
        program, results, names = _recorded(function if ufunc is None else _call_of(ufunc), arrays)
    except Exception:  # any error that tracing with stand-ins may cause
        return None
    return tuple(program.steps), results, program.numbers, names


def _content(value: Any) -> Any:
    """What distinguishes a function, or a value that it uses, from others: two functions of the same content do the same.
    None if they may change. Closures are made anew at each call, so the functions themselves would be no keys."""
    kind = type(value)
    if kind is FunctionType:
        used = [cell.cell_contents for cell in value.__closure__ or ()]
        inside = tuple(map(_content, [*used, *(value.__defaults__ or ())]))
        if None in inside or value.__kwdefaults__ or value.__dict__:
            return None
        return value.__code__, value.__module__, inside
    if kind in (bool, int, float, np.float32, np.float64):
        return kind, repr(value)  # 0.0 == -0.0, and nan != nan
    return (value,) if kind in (str, ModuleType, np.ufunc, type(None)) else None


def _call_of(ufunc: str) -> Callable[..., None]:
    """A call of a ufunc whose last argument is the output."""

    def call(*arrays: Recorded) -> None:
        arrays[-1].program.add(ufunc, arrays[:-1], arrays[-1])

    return call


def written_down(function: Callable[..., dict[str, Any] | None], arrays: Sequence[Array]) -> tuple[Any, list[float], list[str]]:
    """The kernel for `function`, the numbers it takes after the arrays, and the names of its results."""
    program, results, names = _recorded(function, arrays)
    return kernel_of(len(arrays), tuple(program.steps), results), program.numbers, names


def _recorded(function: Any, arrays: Sequence[Array]) -> tuple[Program, tuple[int, ...], list[str]]:
    """The program that `function` makes of stand-ins for `arrays`; the indices and the names of its results."""
    program = Program()
    given = [Recorded(program, array, array.dtype) for array in arrays]
    takes_xp = "xp" in function.__code__.co_varnames[: function.__code__.co_argcount]
    returned = function(*given, xp=given[0].namespace) if takes_xp else function(*given)
    results = returned if isinstance(returned, dict) else {}
    return program, tuple(map(program.place, results.values())), list(results)


@functools.lru_cache(maxsize=256)
def kernel_of(count: int, steps: tuple[Step, ...], results: tuple[int, ...]) -> Callable[..., Any]:
    """The kernel of a sequence of steps on `count` arrays; `results`: the places of those that it returns."""
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
