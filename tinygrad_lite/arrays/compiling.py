"""Compiles LLVM IR with llvmlite, the optional extra `fast`, and caches the object code on disk.

Compiling a loop takes about 50 ms. A cache file is named after the hash of the IR, the processor and the version of LLVM; it
starts with the hash of its content, so that a truncated or damaged file is noticed and replaced.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
import warnings
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np


@functools.cache
def available() -> bool:
    """Whether loops can be compiled: llvmlite is installed, and the environment does not set TINYGRAD_LITE_FAST=0."""
    if os.environ.get("TINYGRAD_LITE_FAST", "1") == "0":
        return False
    try:
        import llvmlite.binding  # noqa: F401
    except ImportError:
        return False
    return True


class Loop:
    """A compiled loop, called with numbers and addresses. `part` is the address of a function that does a part of it; see
    `_part`. `shared_from`: the size from which several threads are faster than one."""

    __slots__ = ("call", "part", "shared_from")

    def __init__(self, call: Callable[..., None], part: int, shared_from: int = 0):
        self.call, self.part, self.shared_from = call, part, shared_from

    def __call__(self, *args: float) -> None:
        self.call(*args)


def load(text: str, dtype: np.dtype, sizes: int, arrays: int, numbers: int, shared: bool = True) -> Loop:
    """The function `loop` that the IR in `text` defines. Its parameters are `sizes` 64-bit integers, then `arrays`
    addresses, then `numbers` floats of `dtype`. `shared`: its first size is of rows that threads may share."""
    number = ctypes.c_float if dtype == np.float32 else ctypes.c_double
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * sizes, *[ctypes.c_void_p] * arrays, *[number] * numbers)
    engine = _link(_cached(text + _part("float" if dtype == np.float32 else "double", sizes, arrays, numbers) if shared else text))
    return Loop(prototype(engine.get_function_address("loop")), engine.get_function_address("part") if shared else 0)


def load_part(text: str) -> int:
    """The address of the function `part` that the IR in `text` defines."""
    return _link(_cached(text)).get_function_address("part")


def fields(names: Sequence[str], pointers: Container[str], at: str = "%args") -> str:
    """Instructions that read the fields of 8 bytes at an address into values of these names: addresses if among `pointers`,
    otherwise integers."""
    return "\n".join(
        f"  %{name}_at = getelementptr i64, ptr {at}, i64 {i}\n  %{name} = load {'ptr' if name in pointers else 'i64'}, ptr %{name}_at"
        for i, name in enumerate(names)
    )


def _part(kind: str, sizes: int, arrays: int, numbers: int) -> str:
    """The function `part(i, args)`, which calls `loop` for part i of its rows. At `args` stand, in 8 bytes each: the number
    of rows, the number in a part, the other sizes; for each array its address, the bytes of a row, and the bytes to add for
    each part; the numbers as float64."""
    lines, place = [], 0

    def read(kind: str) -> str:
        nonlocal place
        lines.append(f"  %at{place} = getelementptr i64, ptr %args, i64 {place}")
        lines.append(f"  %arg{place} = load {kind}, ptr %at{place}")
        place += 1
        return f"%arg{place - 1}"

    rows, each = read("i64"), read("i64")
    lines += [
        f"  %start = mul i64 %i, {each}",
        f"  %rest = sub i64 {rows}, %start",
        f"  %last = icmp slt i64 %rest, {each}",
        f"  %count = select i1 %last, i64 %rest, i64 {each}",
    ]
    given = ["i64 %count", *(f"i64 {read('i64')}" for _ in range(sizes - 1))]
    for k in range(arrays):
        address, row, more = read("ptr"), read("i64"), read("i64")
        lines += [
            f"  %along{k} = mul i64 %start, {row}",
            f"  %more{k} = mul i64 %i, {more}",
            f"  %offset{k} = add i64 %along{k}, %more{k}",
            f"  %array{k} = getelementptr i8, ptr {address}, i64 %offset{k}",
        ]
        given.append(f"ptr %array{k}")
    for k in range(numbers):
        value = read("double")
        if kind == "float":
            lines.append(f"  %number{k} = fptrunc double {value} to float")
        given.append(f"float %number{k}" if kind == "float" else f"double {value}")
    body = "\n".join(lines)
    return f"""
define void @part(i64 %i, ptr %args) {{
{body}
  call void @loop({", ".join(given)}) noinline
  ret void
}}
"""


@functools.lru_cache(maxsize=64)
def functions_in(text: str, names: tuple[str, ...]) -> tuple[int, ...]:
    """The addresses of functions that the IR in `text` defines. Layers of one shape need them once, which saves 3 ms and
    0.1 MB for each further one."""
    engine = _link(_cached(text))
    return tuple(map(engine.get_function_address, names))


class InTurn:
    """Calls the compiled functions at some addresses, each with its argument. `kept` stays alive with it."""

    def __init__(self, functions: np.ndarray, arguments: np.ndarray, kept: Any):
        self._table = np.zeros(2 * len(functions) + 1, np.uint64)
        self._table[:-1:2], self._table[1::2] = functions, arguments
        self.kept = kept
        self.action = _runner(), (self._table.ctypes.data,)  # a function and its arguments, which may be called without this object

    def __call__(self) -> None:
        function, arguments = self.action
        function(*arguments)


@functools.cache
def _runner() -> Callable[[int], None]:
    """The function that goes through a table: pairs of a function's address and its argument, and 0 after the last."""
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(functions_in(_RUN, ("run",))[0])


_RUN = """
define void @run(ptr %table) {
entry:
  br label %next
next:
  %at = phi ptr [ %table, %entry ], [ %after, %do ]
  %function = load ptr, ptr %at
  %is_end = icmp eq ptr %function, null
  br i1 %is_end, label %end, label %do
do:
  %argument_at = getelementptr i8, ptr %at, i64 8
  %argument = load ptr, ptr %argument_at
  call void %function(ptr %argument)
  %after = getelementptr i8, ptr %at, i64 16
  br label %next
end:
  ret void
}
"""


# -- LLVM ------------------------------------------------------------------------------------------


@functools.cache
def vector_size() -> int:
    """The bytes of this processor's longest vectors."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16


def _target_machine() -> Any:
    """A new target machine for this processor."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(opt=3, cpu=llvm.get_host_cpu_name(), features=features, jit=True)


def _object_code(text: str) -> bytes:
    """The object code of the IR in `text`, optimized for this processor."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(3)
    options.loop_vectorization = True
    machine = _target_machine()
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


_engines: list[Any] = []  # an engine owns the memory of its code, so it lives as long as the process


def _link(code: bytes) -> Any:
    """The engine that has loaded object code into memory."""
    import llvmlite.binding as llvm

    # An engine takes ownership of its target machine, so each one needs its own.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return engine


# -- the cache -------------------------------------------------------------------------------------


def cache_folder() -> str:
    """The folder of the compiled loops: TINYGRAD_LITE_CACHE, or tinygrad_lite in the user's cache folder."""
    if given := os.environ.get("TINYGRAD_LITE_CACHE"):
        return given
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(caches, "tinygrad_lite")


def _cached(text: str) -> bytes:
    """The object code of the IR in `text`: from the cache, or compiled and added to it."""
    folder = cache_folder()
    path = os.path.join(folder, f"{_digest(repr((text, _compiler())).encode()).decode()}.o")
    with contextlib.suppress(OSError, ValueError):  # the file is missing or truncated
        with open(path, "rb") as file:
            digest, code = file.read().split(b"\n", 1)
        if digest == _digest(code):
            return code
    _announce(folder)
    code = _object_code(text)
    try:
        _write(path, _digest(code) + b"\n" + code)
    except OSError as error:
        _warn(folder, error.strerror or str(error))
    return code


def _compiler() -> tuple[str, ...]:
    """What object code depends on besides the IR."""
    import llvmlite
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvmlite.__version__, str(llvm.llvm_version_info)


def _digest(data: bytes) -> bytes:
    import hashlib  # 10 ms, which `import tinygrad_lite` need not wait for

    return hashlib.sha256(data).hexdigest().encode()


def _write(path: str, data: bytes) -> None:
    """Write a file through a temporary one, since other processes may read or write it now. Only the user may change it,
    because its code will be run."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C included
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


@functools.cache
def _announce(folder: str) -> None:
    """Tell the user at a terminal, once, why the first run takes longer."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"tinygrad_lite: compiling loops for this processor; they are kept in {folder}", file=sys.stderr)


@functools.cache
def _warn(folder: str, reason: str) -> None:
    warnings.warn(f"compiled loops cannot be kept in {folder} ({reason}): every process compiles them again", stacklevel=2)
