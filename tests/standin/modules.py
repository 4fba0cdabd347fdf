"""The stand-in's modules, `cupy`, `cupyx` and their submodules, built from the lines of surface.py."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import scipy.linalg
import scipy.special

from tests.standin import runtime, surface
from tests.standin.ndarray import NUMBERS, MemoryPointer, arrays_in, done, items_of, ndarray, through, unwrap, wrap
from tests.standin.runtime import transferred

used: set[tuple[str, tuple[str, ...]]] = set()  # each function called, with its keywords


def noted(name: str, kwargs: Any) -> None:
    used.add((name, tuple(sorted(kwargs))))


# -- functions ----------------------------------------------------------------------------------


def with_signature(name: str, signature: str, body: Any) -> Any:
    """A function `name(signature)` that passes its arguments to `body`, except those left at their defaults."""
    namespace: dict[str, Any] = {}
    exec(f"def f{signature}: pass", {"float": float, "int": int, "np": np}, namespace)
    parsed = inspect.signature(namespace["f"])
    short = name.rpartition(".")[2]

    def function(*args: Any, **kwargs: Any) -> Any:
        parsed.bind(*args, **kwargs)  # raises TypeError for arguments that CuPy does not accept
        noted(name, kwargs)
        return body(*args, **kwargs)

    function.__name__ = function.__qualname__ = short
    function.__signature__ = parsed  # type: ignore[attr-defined]
    return function


class ufunc:
    """An elementwise function. As in CuPy, a few have `at`, and add and multiply have `reduce` and `accumulate`."""

    def __init__(self, name: str):
        self.name, self._ufunc = name, getattr(np, name)
        self.nin, self.nout = self._ufunc.nin, self._ufunc.nout

    def __call__(self, *args: Any, out: Any = None, casting: str = "same_kind", dtype: Any = None) -> Any:
        given = {k: v for k, v in (("out", out), ("dtype", dtype)) if v is not None}
        noted(self.name, given)
        if casting != "same_kind":
            given["casting"] = casting
        if not self.nin <= len(args) <= self.nin + self.nout:
            raise TypeError(f"Wrong number of arguments for {self.name!r}")
        for arg in args:
            if not isinstance(arg, (ndarray, np.ndarray, *NUMBERS)):
                raise TypeError(f"Unsupported type {type(arg)}")
        return through(self._ufunc, args, given)

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        if self.name not in ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"):
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        noted(f"{self.name}.at", {})
        if a.dtype.char not in "ilqILQefd?"[: None if self.name != "add" else -1]:
            raise TypeError(f"atomic {self.name} is not supported for {a.dtype}")
        from tests.standin.ndarray import _index

        array, values = unwrap(a), unwrap(b)
        done(lambda: self._ufunc.at(array, _index(a, indices, reading=False), values), (a, *arrays_in((*items_of(indices), b))))

    def _of_sums(self, method: str, args: Any, kwargs: Any) -> Any:
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"`{self.name}.{method}` is not supported yet")
        noted(f"{self.name}.{method}", kwargs)
        return through(getattr(self._ufunc, method), args, kwargs)

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._of_sums("reduce", (array,), {"axis": axis, "dtype": dtype, "out": out, "keepdims": keepdims})

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        return self._of_sums("accumulate", (array,), {"axis": axis, "dtype": dtype, "out": out})

    def outer(self, A: Any, B: Any, **kwargs: Any) -> Any:
        noted(f"{self.name}.outer", kwargs)
        return through(self._ufunc.outer, (A, B), kwargs)


def _on_host(name: str) -> Any:
    """NumPy's function of the same name on the arrays behind the arguments. It is looked up at the call, because some
    releases of NumPy lack functions that CuPy has."""
    return lambda *args, **kwargs: through(functools.reduce(getattr, name.split("."), np), args, kwargs)


def waiting(name: str) -> Any:
    """The same for a function whose result has a size that the host must wait for."""
    function = _on_host(name)

    def wait(*args: Any, **kwargs: Any) -> Any:
        transferred(f"the size of the result of {name}")
        return function(*args, **kwargs)

    return wait


def array(obj: Any, dtype: Any = None, copy: Any = True, order: str = "K", *rest: Any, **kwargs: Any) -> Any:
    if type(obj) is ndarray:
        if not copy and (dtype is None or obj.dtype == dtype) and obj.device.id == runtime.current():
            return obj
        return done(lambda: np.array(obj._array, dtype, copy=True, order=order), (obj,))  # from any device, to the current one
    if isinstance(obj, (list, tuple)) and any(type(o) is ndarray for o in obj):
        return through(np.stack, (obj,), {})
    transferred("an array from the host")
    return wrap(np.array(obj, dtype, copy=True, order=order))


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> Any:
    if order not in (None, "K") and type(a) is ndarray:
        return through(np.asarray, (a, dtype, order), {})
    return array(a, dtype, bool(copy), order or "K")


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> Any:
    return a.get(order=order) if type(a) is ndarray else np.asarray(a)


def take(a: Any, indices: Any, axis: Any = None, out: Any = None) -> Any:
    if isinstance(indices, ndarray) and a.size == 0 and indices.size:
        raise IndexError("cannot do a non-empty take from an empty axes.")
    return through(np.take, (a, indices), {"axis": axis, "out": out, "mode": "wrap"})


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        transferred("the size of the result of where")
        return through(np.nonzero, (condition,), {})
    for value in (condition, x, y):
        if not isinstance(value, (ndarray, np.ndarray, *NUMBERS)):
            raise TypeError(f"Unsupported type {type(value)}")
    return through(np.where, (condition, x, y), {})


def _sorting() -> None:
    """Thrust's sort waits for the GPU, which is no transfer, but impossible while a stream captures."""
    if runtime.current_stream().is_capturing():
        raise runtime.CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")


def argsort(a: Any, axis: Any = -1, kind: Any = None) -> Any:
    _sorting()
    return through(np.argsort, (a,), {"axis": axis, "kind": "stable"})


def sort(a: Any, axis: Any = -1, kind: Any = None) -> Any:
    _sorting()
    return through(np.sort, (a,), {"axis": axis, "kind": "stable"})


def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    if not isinstance(repeats, (int, list, tuple, np.integer)):
        raise ValueError("repeats must be int, list or tuple")
    return through(np.repeat, (a, repeats), {"axis": axis})


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return through(np.searchsorted, (a, v), {"side": side, "sorter": sorter})


def fuse(*args: Any, **kwargs: Any) -> Any:
    """Runs the function unfused: one kernel per operation."""
    return args[0] if args and callable(args[0]) else lambda function: function


# -- linear algebra: singular matrices give nan unless errors are requested ------------------------

_raising = threading.local()


@contextlib.contextmanager
def errstate(**kwargs: Any) -> Any:
    before = getattr(_raising, "linalg", None)
    _raising.linalg = kwargs.get("linalg", before)
    try:
        yield
    finally:
        _raising.linalg = before


def linear(name: str) -> Any:
    function = getattr(np.linalg, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        if runtime.current_stream().is_capturing():
            raise NotImplementedError("calling cuSOLVER API during stream capture is currently unsupported")
        if getattr(_raising, "linalg", None) == "raise":
            transferred(f"whether {name} succeeded")
            return through(function, args, kwargs)
        try:
            return through(function, args, kwargs)
        except np.linalg.LinAlgError:
            raw = args[-1] if name == "solve" else args[0]
            if raw.ndim < 2 or (name != "lstsq" and args[0].shape[-1] != args[0].shape[-2]):
                raise
            return through(np.full_like, (raw, np.nan), {})

    return call


def solve(a: Any, b: Any) -> Any:
    if a.shape[:-2] != b.shape[:-2] and b.ndim > 1:
        raise ValueError("CuPy's solve does not broadcast the leading dims")
    return linear("solve")(a, b)


def lstsq(a: Any, b: Any, rcond: Any = "warn") -> Any:
    if a.ndim != 2:
        raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    transferred("the rank")
    return linear("lstsq")(a, b, None if rcond == "warn" else rcond)


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    if a.ndim != 2:
        raise ValueError("array must be two-dimensional")
    def function(a: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a GPU does not warn of a zero on the diagonal
            return scipy.linalg.lu_factor(a, check_finite=False)

    return through(function, (a,), {})


def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    check_finite: bool = False,
) -> Any:  # fmt: skip
    def function(a: Any, b: Any) -> Any:
        return scipy.linalg.solve_triangular(a, b, trans=trans, lower=lower, unit_diagonal=unit_diagonal, check_finite=False)

    return through(function, (a, b), {})


# -- random numbers -----------------------------------------------------------------------------


class Generator:
    def __init__(self, seed: Any):
        self._stream = np.random.Generator(np.random.SFC64(seed))


def _draws(name: str, signature: str) -> None:
    def body(self: Any, *args: Any, **kwargs: Any) -> Any:
        return through(getattr(self._stream, name), args, {k: v for k, v in kwargs.items() if k != "method"})

    setattr(Generator, name, with_signature(f"random.Generator.{name}", signature, body))


# -- the modules --------------------------------------------------------------------------------

OWN = {
    "array": array, "asarray": asarray, "asnumpy": asnumpy, "take": take, "where": where, "argsort": argsort, "sort": sort,
    "repeat": repeat, "searchsorted": searchsorted, "linalg.solve": solve, "linalg.lstsq": lstsq,
    **{name: waiting(name) for name in ("nonzero", "flatnonzero", "argwhere", "unique", "bincount")},
    **{f"linalg.{name}": linear(name) for name in ("cholesky", "inv", "slogdet", "eigh", "eigvalsh", "svd", "qr", "det")},
    "cupyx.scipy.linalg.lu_factor": lu_factor, "cupyx.scipy.linalg.solve_triangular": solve_triangular,
}  # fmt: skip


def parsed(lines: str) -> list[tuple[str, str]]:
    """(name, signature) of each line `name(signature)`."""
    return [(line[: line.index("(")], line[line.index("(") :]) for line in lines.split("\n") if "(" in line]


def _method(name: str) -> Any:
    """An array's method: the function of its name if that does something special, otherwise NumPy's method."""
    if name in OWN and name not in ("repeat",):
        return OWN[name]

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return through(getattr(np.ndarray, name), (self, *args), kwargs)

    return method


def _sorted_in_place(self: Any, axis: int = -1, kind: Any = None) -> None:
    _sorting()
    array = unwrap(self)
    done(lambda: array.sort(axis, "stable"), (self,))


def _repeat(self: Any, repeats: Any, axis: Any = None) -> Any:
    return repeat(self, repeats, axis)


def _astype(self: Any, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> Any:
    if self.dtype.kind == "c" and np.dtype(dtype).kind not in "cb":
        return through(np.ndarray.astype, (self.real, dtype), {"order": order, "copy": copy})
    return through(np.ndarray.astype, (self, dtype), {"order": order, "copy": copy})


def _view(self: Any, dtype: Any = None, type: Any = None) -> Any:
    return through(lambda a: a.view() if dtype is None else a.view(dtype), (self,), {})


def _copy(self: Any, order: str = "C") -> Any:
    return done(lambda: self._array.copy(order), (self,))  # from any device, to the current one


METHODS = {"copy": _copy, "sort": _sorted_in_place, "astype": _astype, "view": _view, "repeat": _repeat}


for _name, _signature in parsed(surface.METHODS):
    _body = METHODS.get(_name) or _method(_name)
    setattr(ndarray, _name, with_signature(f"ndarray.{_name}", _signature.replace("(", "(self, ", 1), _body))
for _name, _signature in parsed(surface.GENERATOR):
    _draws(_name, _signature.replace("(", "(self, ", 1))


def _device_properties(device: int) -> dict[str, Any]:
    return {"name": b"stand-in", "major": 9, "minor": 0, "totalGlobalMem": runtime.HELD, "multiProcessorCount": 1}


def install() -> None:
    """Install the stand-in in sys.modules as `cupy` and `cupyx`."""
    sys.modules.update(built())


def built() -> dict[str, ModuleType]:
    """The stand-in's modules by name."""
    modules: dict[str, ModuleType] = {}

    def module(name: str) -> ModuleType:
        if name not in modules:
            modules[name] = ModuleType(name)
            if "." in name:
                parent, _, last = name.rpartition(".")
                setattr(module(parent), last, modules[name])
        return modules[name]

    def put(name: str, value: Any) -> None:
        path, _, last = name.rpartition(".")
        setattr(module(path if path.startswith("cupyx") else f"cupy.{path}" if path else "cupy"), last, value)

    for name in surface.UFUNCS.split():
        put(name, ufunc(name))
    for name, signature in parsed(surface.FUNCTIONS):
        put(name, with_signature(name, signature, OWN.get(name) or _on_host(name)))
    for name in surface.SPECIAL.split():
        function = getattr(scipy.special, name)
        body = functools.partial(lambda function, *args: through(function, args, {}), function)
        put(f"cupyx.scipy.special.{name}", with_signature(f"cupyx.scipy.special.{name}", "(*args)", body))

    cupy = module("cupy")
    cupy.__version__ = "14.0.0"  # type: ignore[attr-defined]
    for name in ("bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"):
        setattr(cupy, name, getattr(np, name))
    for name, value in {
        "ndarray": ndarray, "newaxis": None, "pi": np.pi, "inf": np.inf, "nan": np.nan, "fuse": fuse,
        "get_default_memory_pool": lambda: runtime.pool,
        "random.default_rng": lambda seed=None: Generator(seed), "random.Generator": Generator,
        "cuda.Device": runtime.Device, "cuda.MemoryPool": runtime.MemoryPool, "cuda.MemoryPointer": MemoryPointer,
        "cuda.set_allocator": runtime.set_allocator, "cuda.get_allocator": runtime.get_allocator,
        "cuda.memory.OutOfMemoryError": runtime.OutOfMemoryError,
        "cuda.runtime.CUDARuntimeError": runtime.CUDARuntimeError,
        "cuda.runtime.getDeviceCount": lambda: runtime.DEVICES, "cuda.runtime.getDevice": runtime.current,
        "cuda.runtime.getDeviceProperties": _device_properties,
        "linalg.LinAlgError": np.linalg.LinAlgError,
        "cupyx.errstate": errstate, "from_dlpack": lambda array, *, device=None, copy=None: array.__dlpack__(),
        "cuda.Stream": runtime.Stream, "cuda.Graph": runtime.Graph, "cuda.get_current_stream": runtime.current_stream,
        "cuda.using_allocator": runtime.using_allocator,
    }.items():  # fmt: skip
        put(name, value)
    cupy.__getattr__ = lambda name: _missing("cupy", name)  # type: ignore[method-assign,assignment]
    return modules


def _missing(module: str, name: str) -> Any:
    raise AttributeError(f"module {module!r} has no attribute {name!r} (the stand-in lists what it offers in surface.py)")
