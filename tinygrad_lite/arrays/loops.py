"""Chains of elementwise operations as machine code: one pass over memory, where NumPy makes one an operation.

A chain (a `Program` of fusion.py) is written down as a loop in LLVM's language, which llvmlite (the extra `fast`)
compiles for this processor: about 50 ms, after which the code lies on disk. The operations stay in order and in
their dtype; only a product and the sum it goes into may be rounded once instead of twice.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lite.arrays.threads import get_num_threads, in_threads

Step = tuple[str, tuple[int, ...], int | None]  # see fusion.py

KINDS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


class Unsupported(Exception):
    """A chain holds what there is no machine code for; NumPy does it."""


@functools.cache
def available() -> bool:
    """Whether chains can be compiled: llvmlite is installed, and TINYGRAD_LITE_FAST=0 not in the environment."""
    if os.environ.get("TINYGRAD_LITE_FAST", "1") == "0":
        return False
    try:
        import llvmlite.binding  # noqa: F401
    except ImportError:
        return False
    return True


# -- a chain in LLVM's language --------------------------------------------------------------------

# Each operation as text: {t} is the dtype, {0} and {1} are its operands.
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
_OF_BOOLS = {"bitwise_and": "and", "bitwise_or": "or", "logical_and": "and", "logical_or": "or"}
_ONLY_FLOAT = ("exp", "log", "tanh")


class Writer:
    """The body of the loop, line by line."""

    def __init__(self, kind: str):
        self.kind, self.suffix = kind, "f32" if kind == "float" else "f64"
        self.lines: list[str] = []
        self.count = 0
        self.booleans: set[str] = set()

    def line(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {text}")
        return f"%v{self.count}"

    def number(self, value: str) -> str:
        """A value as a number: True is 1."""
        return self.line(f"uitofp i1 {value} to {self.kind}") if value in self.booleans else value

    def boolean(self, text: str) -> str:
        self.booleans.add(value := self.line(text))
        return value

    def step(self, name: str, operands: list[str]) -> str:
        """One operation; returns the name of its value."""
        kind = self.kind
        if name in _COMPARISONS:
            a, b = map(self.number, operands)
            return self.boolean(f"fcmp {_COMPARISONS[name]} {kind} {a}, {b}")
        if name in _OF_BOOLS and set(operands) <= self.booleans:
            return self.boolean(f"{_OF_BOOLS[name]} i1 {operands[0]}, {operands[1]}")
        if name == "where":
            chosen, a, b = operands[0], *map(self.number, operands[1:])
            if chosen not in self.booleans:
                raise Unsupported(name)
            return self.line(f"select i1 {chosen}, {kind} {a}, {kind} {b}")
        if name in ("copy", "assign"):
            return operands[0]
        numbers = list(map(self.number, operands))
        if name in ("maximum", "minimum"):  # of nan and a number, nan
            further = self.line(f"fcmp {'ugt' if name == 'maximum' else 'ult'} {kind} {numbers[0]}, {numbers[1]}")
            nan = self.line(f"fcmp uno {kind} {numbers[1]}, {numbers[1]}")
            first = self.line(f"select i1 {further}, {kind} {numbers[0]}, {kind} {numbers[1]}")
            return self.line(f"select i1 {nan}, {kind} {numbers[1]}, {kind} {first}")
        if name not in _ARITHMETIC or (name in _ONLY_FLOAT and kind != "float"):
            raise Unsupported(name)
        return self.line(_ARITHMETIC[name].format(*numbers, t=kind, s=self.suffix))


def text_of(count: int, numbers: int, steps: Sequence[Step], results: Sequence[int], dtype: np.dtype) -> str:
    """The loop over `count` arrays, `numbers` numbers and an array for each of `results`."""
    kind = KINDS[dtype]
    writer = Writer(kind)
    values: dict[int, str] = {}

    def value(place: int) -> str:
        if place < 0:
            return f"%n{-1 - place}"
        if place not in values:
            values[place] = writer.line(f"load {kind}, ptr {writer.line(f'getelementptr {kind}, ptr %a{place}, i64 %i')}")
        return values[place]

    written, next_place = [], count
    for name, operands, out in steps:
        result = writer.step(name, [value(place) for place in operands])
        if out is None:
            values[next_place] = result
            next_place += 1
        else:
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
  br i1 %more, label %each, label %end
end:
  ret void
}}
"""


_FUNCTIONS = "\n".join(f"declare {{t}} @llvm.{name}.{{s}}({{t}})" for name in ("fabs", "sqrt", "floor")) + "\n"


def _hex(value: float) -> str:
    """A float32 in LLVM's spelling: the bits of the float64 of the same value."""
    return f"0x{int.from_bytes(np.float64(np.float32(value)).tobytes(), 'little'):016X}"


def _polynomial(name: str, of: str, coefficients: Sequence[float]) -> str:
    """Lines that work out a polynomial, the highest coefficient first, into %<name>."""
    lines, so_far = [], _hex(coefficients[0])
    for i, c in enumerate(coefficients[1:]):
        last = i == len(coefficients) - 2
        lines.append(f"  %{name}m{i} = fmul contract float {so_far}, {of}")
        so_far = f"%{name}" if last else f"%{name}a{i}"
        lines.append(f"  {so_far} = fadd contract float %{name}m{i}, {_hex(c)}")
    return "\n".join(lines)


# exp(x) = 2^k exp(r), r between -log(2) / 2 and log(2) / 2; tanh(x) = 1 - 2 / (exp(2 x) + 1), and near 0 a polynomial.
# The coefficients are those of S. Moshier's Cephes library (expf, logf, tanhf); each errs by at most 2 units in the last place.
# 12582912 = 1.5 * 2^23: what is added to it is rounded to a whole number, which then stands in the last bits.
# 2^k is multiplied in by halves, so that results near the largest and below the smallest normal number come out right.
_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
    -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_OF_FLOATS = f"""
define internal float @exp(float %x) alwaysinline {{
  %low = fcmp olt float %x, {_hex(-104)}
  %x1 = select i1 %low, float {_hex(-104)}, float %x
  %high = fcmp ogt float %x1, {_hex(89)}
  %x2 = select i1 %high, float {_hex(89)}, float %x1
  %scaled = fmul float %x2, {_hex(1.4426950408889634)}
  %shifted = fadd float %scaled, {_hex(12582912)}
  %k = fsub float %shifted, {_hex(12582912)}
  %k1 = fmul float %k, {_hex(0.693359375)}
  %r1 = fsub float %x2, %k1
  %k2 = fmul float %k, {_hex(-2.12194440e-4)}
  %r = fsub float %r1, %k2
{_polynomial("p", "%r", (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1))}
  %rr = fmul float %r, %r
  %q = fmul contract float %p, %rr
  %s = fadd contract float %q, %r
  %y = fadd float %s, 1.0
  %bits = bitcast float %shifted to i32
  %whole = sub i32 %bits, {int(np.float32(12582912).view(np.int32))}
  %half = ashr i32 %whole, 1
  %rest = sub i32 %whole, %half
  %e1 = add i32 %half, 127
  %e2 = add i32 %rest, 127
  %b1 = shl i32 %e1, 23
  %b2 = shl i32 %e2, 23
  %f1 = bitcast i32 %b1 to float
  %f2 = bitcast i32 %b2 to float
  %z = fmul float %y, %f1
  %out = fmul float %z, %f2
  ret float %out
}}

define internal float @tanh(float %x) alwaysinline {{
  %size = call float @llvm.fabs.f32(float %x)
  %square = fmul float %x, %x
{_polynomial("p", "%square", (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1))}
  %t = fmul float %p, %square
  %u = fmul float %t, %x
  %near = fadd float %u, %x
  %twice = fadd float %size, %size
  %e = call float @exp(float %twice)
  %e1 = fadd float %e, 1.0
  %part = fdiv float 2.0, %e1
  %far = fsub float 1.0, %part
  %small = fcmp olt float %size, 0.625
  %found = select i1 %small, float %near, float %far
  %out = call float @llvm.copysign.f32(float %found, float %x)
  ret float %out
}}
declare float @llvm.copysign.f32(float, float)

define internal float @log(float %x) alwaysinline {{
  %tiny = fcmp olt float %x, {_hex(1.17549435e-38)}
  %larger = fmul float %x, {_hex(2**25)}
  %normal = select i1 %tiny, float %larger, float %x
  %bits = bitcast float %normal to i32
  %above = sub i32 %bits, {int(np.float32(0.70710677).view(np.int32))}
  %k = ashr i32 %above, 23
  %away = shl i32 %k, 23
  %mantissa = sub i32 %bits, %away
  %m = bitcast i32 %mantissa to float
  %f = fsub float %m, 1.0
  %k0 = sitofp i32 %k to float
  %less = select i1 %tiny, float {_hex(-25)}, float 0.0
  %e = fadd float %k0, %less
  %z = fmul float %f, %f
{_polynomial("p", "%f", _LOG)}
  %t1 = fmul float %p, %f
  %t2 = fmul float %t1, %z
  %t3 = fmul float %e, {_hex(-2.12194440e-4)}
  %t4 = fadd float %t2, %t3
  %t5 = fmul float %z, 0.5
  %t6 = fsub float %t4, %t5
  %t7 = fadd float %f, %t6
  %t8 = fmul float %e, {_hex(0.693359375)}
  %found = fadd float %t7, %t8
  %is_zero = fcmp oeq float %x, 0.0
  %negative = fcmp olt float %x, 0.0
  %infinite = fcmp oeq float %x, 0x7FF0000000000000
  %a = select i1 %is_zero, float 0xFFF0000000000000, float %found
  %b = select i1 %negative, float 0x7FF8000000000000, float %a
  %c = select i1 %infinite, float %x, float %b
  %nan = fcmp uno float %x, %x
  %out = select i1 %nan, float %x, float %c
  ret float %out
}}
"""


def functions_of(dtype: np.dtype) -> str:
    """The functions that a loop may call."""
    kind = KINDS[dtype]
    return _FUNCTIONS.format(t=kind, s="f32" if kind == "float" else "f64") + (_OF_FLOATS if kind == "float" else "")


# -- from text to a function -----------------------------------------------------------------------


@functools.cache
def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(opt=3, cpu=llvm.get_host_cpu_name(), features=features, jit=True)


def _object_code(text: str) -> bytes:
    """`text`, compiled for this processor."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(3)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(_target(), options)
    builder.getModulePassManager().run(module, builder)
    return _target().emit_object(module)


_engines: list[Any] = []  # they own the code


def _load(code: bytes) -> int:
    """The address of the loop in object code."""
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return engine.get_function_address("loop")


def cache_folder() -> Path:
    """Where compiled loops lie: TINYGRAD_LITE_CACHE of the environment, or the user's folder for such things."""
    given = os.environ.get("TINYGRAD_LITE_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinygrad_lite"


def _kept(text: str) -> bytes:
    """The object code of `text`: from the disk, or compiled and put there."""
    import llvmlite
    import llvmlite.binding as llvm

    processor = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvmlite.__version__, str(llvm.llvm_version_info)
    path = cache_folder() / f"{hashlib.sha256(repr((text, processor)).encode()).hexdigest()}.o"
    try:
        digest, code = path.read_bytes().split(b"\n", 1)
        if digest == hashlib.sha256(code).hexdigest().encode():
            return code
    except (OSError, ValueError):
        pass  # not there, or cut off
    code = _object_code(text)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(code).hexdigest().encode() + b"\n" + code)
        os.replace(file.name, path)
    except OSError as error:
        _warn(path.parent, str(error))
    return code


@functools.cache
def _warn(folder: Path, reason: str) -> None:
    warnings.warn(f"compiled loops cannot be kept in {folder} ({reason}): they are compiled in every process", stacklevel=2)


@functools.lru_cache(maxsize=512)
def loop_of(count: int, numbers: int, steps: tuple[Step, ...], results: tuple[int, ...], dtype: np.dtype) -> Callable[..., None] | None:
    """The compiled loop, a function of the number of elements, the arrays' addresses and the numbers; None where there
    is no machine code for a step."""
    try:
        return load(text_of(count, numbers, steps, results, dtype), dtype, 1, count + len(results), numbers)
    except Unsupported:
        return None


def load(text: str, dtype: np.dtype, sizes: int, arrays: int, numbers: int) -> Callable[..., None]:
    """The function `loop` of a text, which takes so many sizes, addresses and numbers."""
    import ctypes

    number = ctypes.c_float if dtype == np.float32 else ctypes.c_double
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * sizes, *[ctypes.c_void_p] * arrays, *[number] * numbers)
    return kind(_load(_kept(text)))


# -- at work ---------------------------------------------------------------------------------------

SMALLEST = 1 << 13  # elements; below, what it costs to note a chain is not won back
_SHARE = 1 << 16  # elements for a thread at least


def takes(arrays: Sequence[np.ndarray]) -> bool:
    """Whether a loop may run over these arrays, which lie in memory alike and without gaps: they are of one dtype that
    it knows, and none overlaps another (the compiler counts on it)."""
    first = arrays[0]
    if first.dtype not in KINDS or any(array.dtype != first.dtype for array in arrays):
        return False
    starts = sorted(array.__array_interface__["data"][0] for array in arrays)
    return all(end - start >= first.nbytes for start, end in itertools.pairwise(starts))


def run_in_threads(loop: Callable[..., None], arrays: Sequence[np.ndarray], numbers: Sequence[float]) -> None:
    """Run a compiled loop over all of `arrays`; ctypes lets go of the interpreter meanwhile."""
    size, item = arrays[0].size, arrays[0].itemsize
    addresses = [array.__array_interface__["data"][0] for array in arrays]
    workers = max(1, min(get_num_threads(), size // _SHARE))
    share = -(-size // workers)

    def run(start: int) -> None:
        loop(min(share, size - start), *[address + start * item for address in addresses], *numbers)

    in_threads([functools.partial(run, start) for start in range(0, size, share)])
