"""Chains of elementwise operations as one compiled loop: one pass over memory instead of one per operation.

fusion.py traces a chain to a list of steps. This module writes the steps as a loop in LLVM IR; `x * 2 + y` becomes

    each:
      %i = phi i64 [ 0, %entry ], [ %next, %each ]
      %v1 = getelementptr float, ptr %a0, i64 %i
      %v2 = load float, ptr %v1                         ; x[i]
      %v3 = fmul contract float %v2, %n0
      ...

Operations keep their order and dtype. The only liberty LLVM has is `contract`: a product and the sum it goes into may become
one fused multiply-add.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, load
from tinygrad_lite.arrays.loop_functions import KINDS, functions_of
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.threads import get_num_threads
from tinygrad_lite.arrays.workers import PARTS, share

Step = tuple[str, tuple[int, ...], int | None]  # see fusion.py


class Unsupported(Exception):
    """The traced function cannot be compiled, or would be slower than NumPy's version of it."""


# -- LLVM IR ---------------------------------------------------------------------------------------

# The instruction of each operation: {t} is the type, {s} its suffix in names of intrinsics, {0} and {1} are the operands.
_ARITHMETIC = {
    "add": "fadd contract {t} {0}, {1}", "subtract": "fsub contract {t} {0}, {1}", "multiply": "fmul contract {t} {0}, {1}",
    "true_divide": "fdiv {t} {0}, {1}", "reciprocal": "fdiv {t} 1.0, {0}", "negative": "fneg {t} {0}",
    "square": "fmul contract {t} {0}, {0}",
    "absolute": "call {t} @llvm.fabs.{s}({t} {0})", "abs": "call {t} @llvm.fabs.{s}({t} {0})",
    "sqrt": "call {t} @llvm.sqrt.{s}({t} {0})", "floor": "call {t} @llvm.floor.{s}({t} {0})",
    "exp": "call {t} @exp({t} {0})", "log": "call {t} @log({t} {0})", "tanh": "call {t} @tanh({t} {0})",
}  # fmt: skip
_COMPARISONS = {
    "less": "olt", "less_equal": "ole", "greater": "ogt", "greater_equal": "oge", "equal": "oeq", "not_equal": "une",
}  # fmt: skip
_LOGICAL = {"bitwise_and": "and", "bitwise_or": "or", "logical_and": "and", "logical_or": "or"}
# Polynomials, for float32. Each operation of a polynomial waits for the one before it: with four vectors at a time gelu of
# 1024 x 512 takes 0.24 ms instead of 0.39, and threads are worth their while sooner.
_POLYNOMIALS = ("exp", "log", "tanh")
CONDITIONS = frozenset({*_COMPARISONS, *_LOGICAL})  # operations whose results are booleans


class Writer:
    """Writes instructions. Their values are named %v1, %v2, ..., and %v3.bool if they are booleans (i1), as of comparisons."""

    def __init__(self, kind: str, prefix: str = "v"):
        self.kind, self.suffix, self.prefix = kind, "f32" if kind == "float" else "f64", prefix
        self.lines: list[str] = []
        self.count = 0

    def line(self, text: str, ending: str = "") -> str:
        """Append an instruction; returns the name of its value."""
        self.count += 1
        name = f"%{self.prefix}{self.count}{ending}"
        self.lines.append(f"  {name} = {text}")
        return name

    def number(self, value: str) -> str:
        """A value as a float: True is 1."""
        return self.line(f"uitofp i1 {value} to {self.kind}") if _is_boolean(value) else value

    def boolean(self, text: str) -> str:
        """Append an instruction whose value is a boolean."""
        return self.line(text, ".bool")

    def step(self, name: str, operands: list[str]) -> str:
        """Append an operation; returns the name of its value."""
        kind = self.kind
        if name in _COMPARISONS:
            a, b = map(self.number, operands)
            return self.boolean(f"fcmp {_COMPARISONS[name]} {kind} {a}, {b}")
        if name in _LOGICAL and all(map(_is_boolean, operands)):
            return self.boolean(f"{_LOGICAL[name]} i1 {operands[0]}, {operands[1]}")
        if name == "where":
            chosen, a, b = operands[0], *map(self.number, operands[1:])
            if not _is_boolean(chosen):
                raise Unsupported(name)
            return self.line(f"select i1 {chosen}, {kind} {a}, {kind} {b}")
        if name in ("copy", "assign"):
            return operands[0]
        numbers = list(map(self.number, operands))
        if name in ("maximum", "minimum"):  # nan if either is nan, as in NumPy
            beyond = self.line(f"fcmp {'ugt' if name == 'maximum' else 'ult'} {kind} {numbers[0]}, {numbers[1]}")
            nan = self.line(f"fcmp uno {kind} {numbers[1]}, {numbers[1]}")
            first = self.line(f"select i1 {beyond}, {kind} {numbers[0]}, {kind} {numbers[1]}")
            return self.line(f"select i1 {nan}, {kind} {numbers[1]}, {kind} {first}")
        if name not in _ARITHMETIC or (name in _POLYNOMIALS and kind != "float"):
            raise Unsupported(name)
        return self.line(_ARITHMETIC[name].format(*numbers, t=kind, s=self.suffix))


_INTERLEAVED = """!0 = distinct !{!0, !1}
!1 = !{!"llvm.loop.interleave.count", i32 4}
"""


def _is_boolean(value: str) -> bool:
    return value.endswith(".bool")


def text_of(
    count: int, numbers: int, steps: Sequence[Step], results: Sequence[int], dtype: np.dtype, booleans: Sequence[int] = ()
) -> str:
    """The loop over `count` arrays, with `numbers` numbers and one new array for each of `results`, as LLVM IR. The arrays
    `booleans` are read only."""
    kind = KINDS[dtype]
    writer = Writer(kind)
    values: dict[int, str] = {}

    def value(place: int) -> str:
        if place < 0:
            return f"%n{-1 - place}"
        if place not in values and place in booleans:
            byte = writer.line(f"load i8, ptr {writer.line(f'getelementptr i8, ptr %a{place}, i64 %i')}")
            values[place] = writer.boolean(f"icmp ne i8 {byte}, 0")
        elif place not in values:
            values[place] = writer.line(f"load {kind}, ptr {writer.line(f'getelementptr {kind}, ptr %a{place}, i64 %i')}")
        return values[place]

    written, next_place = [], count
    for name, operands, out in steps:
        result = writer.step(name, [value(place) for place in operands])
        if out is None:
            values[next_place] = result
            next_place += 1
        else:
            if out in booleans:
                raise Unsupported(name)
            values[out] = result
            if out < count and out not in written:
                written.append(out)
    stores = [(f"%a{place}", values[place]) for place in written]
    stores += [(f"%r{i}", value(place)) for i, place in enumerate(results)]
    for pointer, found in stores:
        found = writer.number(found)
        writer.lines.append(f"  store {kind} {found}, ptr {writer.line(f'getelementptr {kind}, ptr {pointer}, i64 %i')}")
    pointers = [f"ptr noalias %a{i}" for i in range(count)] + [f"ptr noalias %r{i}" for i in range(len(results))]
    arguments = ", ".join(["i64 %n", *pointers, *(f"{kind} %n{i}" for i in range(numbers))])
    body = "\n".join(writer.lines)
    is_slow = any(name in _POLYNOMIALS for name, _, _ in steps)
    return f"""{functions_of(dtype)}
define void @loop({arguments}) {{
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %each, label %end
each:
  %i = phi i64 [ 0, %entry ], [ %next, %each ]
{body}
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %each, label %end{", !llvm.loop !0" if is_slow else ""}
end:
  ret void
}}
{_INTERLEAVED if is_slow else ""}"""


@functools.lru_cache(maxsize=512)
def loop_of(
    count: int, numbers: int, steps: tuple[Step, ...], results: tuple[int, ...], dtype: np.dtype, booleans: tuple[int, ...] = ()
) -> Loop | None:
    """The compiled loop for a chain: a function of the number of elements, the addresses of the arrays and of the results,
    and the numbers. None if a step cannot be compiled."""
    try:
        loop = load(text_of(count, numbers, steps, results, dtype, booleans), dtype, 1, count + len(results), numbers)
    except Unsupported:
        return None
    loop.shared_from = _SHARED if any(name in _POLYNOMIALS for name, _, _ in steps) else 2 * _SHARED
    return loop


# -- running a loop ---------------------------------------------------------------------------------

SMALLEST = 1 << 13  # elements; with fewer, tracing costs more than the loop saves
_SHARED = 1 << 16  # elements; with fewer, one thread is as fast. A maximum with 0 of so many takes 25 us on one thread, 46 on two
_SHARE = 1 << 14  # the fewest elements worth a part


def starts_of(arrays: Sequence[np.ndarray]) -> list[int] | None:
    """The addresses of arrays, which are dense and have the same layout, if a loop may run over them: they must have one
    dtype, float32 or float64, except for conditions, and not overlap, which LLVM relies on. Otherwise None."""
    first = arrays[0]
    if first.dtype not in KINDS or any(array.dtype != first.dtype and array.dtype != np.bool_ for array in arrays):
        return None
    starts = list(map(start_of, arrays))
    places = sorted([(start, array.nbytes) for start, array in zip(starts, arrays)])
    return starts if all(after - start >= size for (start, size), (after, _) in itertools.pairwise(places)) else None


def run_in_threads(loop: Loop, size: int, starts: Sequence[int], items: Sequence[int], numbers: Sequence[float]) -> None:
    """Run a compiled loop over arrays of `size` elements, shared among threads. `starts` are their addresses, `items` the
    bytes of an element of each."""
    threads = get_num_threads()
    if size < loop.shared_from or threads < 2:
        loop(size, *starts, *numbers)
        return
    each = max(_SHARE, -(-size // (PARTS * threads * 64)) * 64)
    share(loop, size, each, (), [(start, item, 0) for start, item in zip(starts, items)], numbers)
