"""Compares the stand-in with the real CuPy, without a GPU, so that what the suite shows on one holds for the other.

CuPy imports on any machine. Its arrays can be created on host memory: enough to check whether they are views, and to let
CuPy generate the kernels of fused functions, though not to run them.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.standin import modules, runtime, surface
from tests.standin.ndarray import Flags, ndarray
from tests.test_optim import OPTIMIZERS
from tinygrad_lite import arrays, optim
from tinygrad_lite.arrays import blocked, fusion, memory
from tinygrad_lite.compiler.gpu_chains import with_chains
from tinygrad_lite.compiler.program import Call, Variable
from tinygrad_lite.nn import functional as F


@pytest.fixture(scope="module")
def cupy(request):
    if request.config.getoption("--device").startswith("standin"):
        pytest.skip("the stand-in has CuPy's place in this run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what it does not find
        return pytest.importorskip("cupy")


def named(cupy, name):
    package, _, rest = name.partition(".")
    if package == "cupyx":
        path, _, last = name.rpartition(".")
        return getattr(importlib.import_module(path), last)
    found = cupy
    for part in (package, *filter(None, rest.split("."))):
        found = getattr(found, part)
    return found


def parameters(signature):
    """The parameters of a signature as text: names, kinds and defaults."""
    names = {"float": float, "int": int, "np": np, "numpy": np}
    namespace = {}
    exec(f"def f{signature}: pass", names, namespace)
    return [(p.name, p.kind, p.default) for p in inspect.signature(namespace["f"]).parameters.values()]


def of_source(module, function):
    """The signature of a function in the source of a module that cannot be imported here."""
    for path in Path(module.__path__[0]).glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name == function:
                return f"({ast.unparse(node.args)})"
    raise AttributeError(function)


def of_docstring(function):
    """The signature in the first line of a compiled method's docstring."""
    line = function.__doc__.splitlines()[0]
    inside = re.fullmatch(r"[\w.]+\((.*)\)(?: -> .*)?", line)[1]
    return "(" + re.sub(r"(^|, )(?:_ndarray_base|int|bint|Py_ssize_t|bool) (?=\w)", r"\1", inside) + ")"


@pytest.mark.parametrize("name", surface.UFUNCS.split())
def test_elementwise_functions(cupy, name):
    real, ours = getattr(cupy, name), modules.ufunc(name)
    assert isinstance(real, cupy.ufunc) and (real.nin, real.nout) == (ours.nin, ours.nout)


@pytest.mark.parametrize("name, signature", modules.parsed(surface.FUNCTIONS))
def test_functions(cupy, name, signature):
    if name.startswith("cupyx.scipy.linalg."):
        import cupyx.scipy

        path = Path(cupyx.scipy.__path__[0]) / "linalg"
        real = of_source(type("module", (), {"__path__": [path]}), name.rpartition(".")[2])
        assert parameters(signature) == parameters(real)
        return
    real = inspect.signature(named(cupy, name)).parameters.values()
    assert parameters(signature) == [(p.name, p.kind, p.default) for p in real]


@pytest.mark.parametrize("name, signature", modules.parsed(surface.METHODS))
def test_methods_of_arrays(cupy, name, signature):
    method = getattr(cupy.ndarray, name)
    try:
        real = [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]
    except ValueError:
        real = parameters(of_docstring(method))
    assert parameters(signature) == real[1:], "the first is self"


@pytest.mark.parametrize("name", surface.SPECIAL.split())
def test_special_functions(cupy, name):
    import cupyx.scipy.special

    assert callable(getattr(cupyx.scipy.special, name))


@pytest.mark.parametrize("name, signature", modules.parsed(surface.GENERATOR))
def test_random_numbers(cupy, name, signature):
    assert parameters(signature) == parameters(of_docstring(getattr(cupy.random.Generator, name)))[1:]


def test_the_rest_of_what_the_standin_offers(cupy):
    """Names of classes and modules that are not built from surface.py."""
    import cupyx

    for ours, real in (
        (ndarray, cupy.ndarray), (runtime.Device, cupy.cuda.Device), (runtime.MemoryPool, cupy.cuda.MemoryPool),
        (modules.Generator, cupy.random.Generator), (runtime.Stream, cupy.cuda.Stream), (runtime.Graph, cupy.cuda.Graph),
    ):  # fmt: skip
        offered = {name for name in vars(ours) if not name.startswith("_")} - {"base", "id"}
        assert offered <= set(dir(real)), offered - set(dir(real))
    assert set(vars(Flags(np.zeros(1).flags, True))) <= set(dir(cupy._core.flags.Flags))
    assert {"ptr", "mem", "device_id"} <= set(dir(cupy.cuda.MemoryPointer))
    assert hasattr(cupy.ndarray, "base") and hasattr(cupy.ndarray, "_set_shape_and_strides")
    assert issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError)
    for name in (
        "from_dlpack", "get_default_memory_pool", "random.default_rng", "cuda.set_allocator", "cuda.get_allocator",
        "cuda.get_current_stream", "cuda.runtime.getDeviceCount", "cuda.runtime.getDevice", "cuda.runtime.getDeviceProperties",
        "cuda.runtime.CUDARuntimeError", "cuda.using_allocator", "cuda.Stream", "fuse",
    ):  # fmt: skip
        assert callable(named(cupy, name)), name
    for name in ("begin_capture", "end_capture", "is_capturing", "synchronize", "use"):
        ours = inspect.signature(getattr(runtime.Stream, name)).parameters
        assert list(ours) == list(inspect.signature(getattr(cupy.cuda.Stream, name)).parameters)
    assert list(inspect.signature(runtime.Stream).parameters) == list(inspect.signature(cupy.cuda.Stream).parameters)
    with cupyx.errstate(linalg="raise"):
        assert cupyx.geterr()["linalg"] == "raise"


def test_an_allocator_of_ours_is_called_and_may_raise(cupy):
    """Without a GPU nothing is allocated, but the test can see that CuPy calls the given allocator and lets its error
    through."""
    before = cupy.cuda.get_allocator()

    def refuse(size):
        raise arrays.gpu.OutOfMemoryError(f"{size}")

    cupy.cuda.set_allocator(refuse)
    try:
        with pytest.raises(arrays.gpu.OutOfMemoryError, match="1234"):
            cupy.cuda.alloc(1234)
    finally:
        cupy.cuda.set_allocator(before)


# -- CuPy arrays on host memory -------------------------------------------------------------------


def array_of(cupy, shape, dtype="float32"):
    """A CuPy array on host memory, which no kernel may access."""
    values = np.zeros(shape, dtype)
    there = cupy.cuda.UnownedMemory(values.ctypes.data, max(values.nbytes, 1), values, 0)
    return cupy.ndarray(shape, dtype, cupy.cuda.MemoryPointer(there, 0))


def test_views_know_whose_memory_they_show(cupy):
    x = array_of(cupy, (4, 6))
    assert arrays.namespace_of(x) is cupy and arrays.is_array(x)
    for view in (x[1:], x.T, x.reshape(2, 12), x[::2, ::-1], x[1:][:1].ravel(), x.diagonal(), x[None], cupy.broadcast_to(x, (2, 4, 6))):
        assert memory.owner_of(view) is x
        first, last = memory.address_range(view)
        start, end = memory.address_range(x)
        assert start <= first < last <= end
    for source, shape, strides, offset in ((x, (3, 2), (24, 4), 0), (x, (4,), (28,), 4), (x.T, (2, 2), (4, 24), 8), (x[:, 1:], (4,), (24,), 4)):
        view = memory.strided(source, shape, strides, offset)
        assert (view.shape, view.strides, memory.owner_of(view)) == (shape, strides, x)
        assert memory.start_of(view) == memory.start_of(source) + offset


def test_the_standin_s_views_are_cupy_s(cupy):
    """Shapes, strides, contiguity and base of the real array and the stand-in's."""
    real, ours = array_of(cupy, (4, 6)), modules.wrap(np.zeros((4, 6), np.float32))
    calls = [
        lambda x: x[1:, ::2], lambda x: x.T, lambda x: x.transpose(1, 0)[2:], lambda x: x.reshape(3, 8), lambda x: x[..., None], lambda x: x[1, 2],
        lambda x: x.swapaxes(0, 1), lambda x: x.ravel(), lambda x: x.view(np.int32), lambda x: x.diagonal(1), lambda x: x.squeeze(), lambda x: x.mT,
    ]  # fmt: skip
    for call in calls:
        a, b = call(real), call(ours)
        flags = [(v.flags.c_contiguous, v.flags.f_contiguous, v.flags.forc, v.flags.owndata) for v in (a, b)]
        assert (a.shape, a.strides, a.dtype, a.base is real, flags[0]) == (b.shape, b.strides, b.dtype, b.base is ours, flags[1])


FUSED = [name for name in OPTIMIZERS if getattr(optim, name).elementwise and name not in ("Rprop", "QuickProp")]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", FUSED)
def test_cupy_writes_the_kernel_of_an_update(cupy, name, dtype):
    """CuPy compiles an optimizer's update into one kernel that computes in the arrays' dtype only."""
    optimizer = getattr(optim, name)([tg.zeros(5, requires_grad=True)], **OPTIMIZERS[name])
    group = optimizer.numbers_of(optimizer.param_groups[0])
    start = optimizer.start(np.zeros(5, np.dtype(dtype)), group)
    numbers = {key: value for key, value in start.items() if key in optimizer.numbers}
    names = [key for key in start if key not in numbers]
    group = optimizer.advance({**start}, group)
    given = [array_of(cupy, (5,), dtype) for _ in range(2 + len(names))]

    def equation(p, g, *state):
        mine = {**numbers, **dict(zip(names, state))}
        optimizer.apply(p, g, mine, group)
        return {key: mine[key] for key in mine if key not in start}

    assert dtypes_of_the_kernel(equation, given) <= {np.dtype(dtype), np.dtype(bool)}


CHAINS = {
    "silu": lambda x: F.silu(x),
    "gelu": lambda x: F.gelu(x),
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "binary cross-entropy": lambda x: F.binary_cross_entropy_with_logits(x, x.detach()),
}


@pytest.mark.parametrize("name", CHAINS)
def test_cupy_writes_the_kernel_of_a_chain_of_elementwise_work(cupy, name, monkeypatch):
    from tinygrad_lite.arrays.kernels import activations, losses

    kernels = []

    def noting(kernel, *arrays):
        kernels.append((kernel, len(arrays)))
        blocked.elementwise(kernel, *arrays)

    for module in (activations, losses):
        monkeypatch.setattr(module, "elementwise", noting)
    CHAINS[name](tg.ones(5, requires_grad=True)).sum().backward()
    assert kernels
    for kernel, count in kernels:
        assert dtypes_of_the_kernel(kernel, [array_of(cupy, (5,)) for _ in range(count)]) == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cupy_writes_the_kernel_of_a_chain_in_a_program(cupy, dtype):
    """Of an update with a number that changes from call to call, in a 0-d array, and of a product with a condition."""
    kind = np.dtype(dtype)
    p, g, buffer, new, scaled, kept, end = (Variable("", (5,), kind, i) for i in range(7))
    mask, rate = Variable("mask", (5,), np.dtype(bool), 7), Variable("rate", (), kind, 8)
    calls = [
        Call("*=", (buffer, 0.9), written=(buffer,)), Call("+=", (buffer, g), written=(buffer,)), Call("*", (rate, buffer), results=(scaled,)),
        Call("-=", (p, scaled), written=(p,)), Call(">", (g, 0), results=(mask,)), Call("*", (mask, g), results=(kept,)),
        Call("np.maximum", (kept, 0), {"out": new}, written=(new,)), Call("-", (new,), results=(end,)),
    ]  # fmt: skip
    (chain,) = with_chains(calls, {variable.memory for variable in (p, buffer, new, end)})
    assert chain.made == [end]
    given = [array_of(cupy, variable.shape, dtype) for variable in chain.arrays]
    assert dtypes_of(chain.kernel, given, chain.numbers) == {kind, np.dtype(bool)}


def dtypes_of_the_kernel(function, given):
    """The dtypes used in the kernel that CuPy generates for an elementwise function."""
    kernel, values, _ = fusion.written_down(function, given)
    return dtypes_of(kernel, given, values)


def dtypes_of(kernel, given, values):
    from cupy._core import _fusion_thread_local
    from cupy._core import fusion as tracing

    assert type(kernel).__name__ == "Fusion" and all(type(value) in (int, float, bool) for value in values)
    history = tracing._FusionHistory()
    local = _fusion_thread_local.thread_local
    local.history, local.is_old_fusing = history, True
    try:
        written, _ = history.get_fusion(kernel.func, (*given, *values), kernel.name)
    finally:
        local.history, local.is_old_fusing = None, False
    assert len(history.op_list) >= 2 and "static_cast" in written.operation
    return {np.dtype(t) for op in history.op_list for t in op.dtypes}
