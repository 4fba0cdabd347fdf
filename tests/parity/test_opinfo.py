"""PyTorch's own database of operations, entry by entry: its sample inputs, also with gaps in memory,
and the inputs that it holds to be errors.

The database is `op_db` of PyTorch's tests. An entry agrees where values, dtypes, shapes, first and
second gradients do, of its function, its method and its form in place, and where the errors are refused.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import operator
import re
import types
import warnings
from typing import Any

import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn  # tg.nn

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database imports it

from tests.parity.compare import REFUSALS, caught_as, leaves, results, same, same_gradients  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

# Not a part of this library: complex numbers, sparse and masked tensors, storages, and what PyTorch keeps for itself.
OUTSIDE = re.compile(
    r"fft|signal|stft|istft|sparse|to_sparse|masked\.|jiterator|complex|polar|cdouble|cfloat|chalf|bfloat16|imag|view_as_(com|real)|"
    r"torch\.|_(?!_r|_getitem)|__rdiv__|native_|grid_sampler|hash_tensor|slice$|max_pool2d_with_indices_backward|"
    r"linalg\.(eig$|eigvals$|ldl)|geqrf|ormqr|lu$|triangular_solve|(svd|pca)_lowrank|"
    r"nn\.functional\.(linear_cross_entropy|fractional)"
)
DISAGREE = {
    "as_strided": "PyTorch reads what lies in a view's gaps; refused here",
    "as_strided partial_views": "PyTorch reads beyond the view; refused here",
    "as_strided_copy": "PyTorch reads what lies in a view's gaps; refused here",
    "as_strided_scatter": "PyTorch's gradient is wrong where the part covers everything",
    "cholesky_inverse": "PyTorch gives a gradient to the triangle that is not read",
    "cholesky_solve": "PyTorch gives a gradient to the triangle that is not read",
    "linalg.pinv hermitian": "PyTorch shares the gradient otherwise between two triangles that are equal",
    "special.airy_ai": "PyTorch has seven digits below -2",
    "special.bessel_j0": "PyTorch has seven digits at large arguments",
    "special.bessel_j1": "PyTorch has seven digits at large arguments",
    "special.bessel_y0": "PyTorch has seven digits at large arguments",
    "special.bessel_y1": "PyTorch has seven digits at large arguments",
}
# PyTorch has no second gradient there, or nan at 0.
FIRST_ORDER = ("linalg.norm subgradients_at_zero", "nn.functional.ctc_loss", "nn.functional.scaled_dot_product_attention")
RANDOM = re.compile(r"bernoulli|cauchy|dropout|empty|exponential|geometric|log_normal|multi_head|multinomial|normal|rand|rrelu|uniform")
# Which of several equal elements an index names is left open, and what PyTorch does depends on the size.
UNSTABLE = ("argsort", "kthvalue", "median", "mode", "msort", "nanmedian", "sort", "topk")
SAMPLES = {
    torch.float64: 40, torch.float32: 8, torch.float16: 6, torch.int64: 16, torch.int32: 6, torch.int8: 6, torch.uint8: 8,
    torch.bool: 8,
}  # fmt: skip
# Dtypes in which an entry is not compared.
EXCEPT = {
    **{key: [torch.float16] for key in ("addbmm", "nn.functional.conv_transpose2d", "nn.functional.conv_transpose3d")},  # other
    **{key: [torch.float16] for key in ("nn.functional.scaled_dot_product_attention", "nn.functional.embedding_bag")},  # rounding
    "nn.functional.soft_margin_loss": [torch.float16],  # PyTorch overflows
    "matrix_exp": [torch.float16],  # refused here
    "polygamma": [torch.int8],  # at its poles PyTorch has a large number, here it is inf
    "special.polygamma": [torch.int8],
}


def name_of(op: Any) -> str:
    return f"{op.name} {op.variant_test_name}".strip()


def entries(*, disagreeing: bool = False) -> Any:
    """The parameters of a test. `disagreeing`: those of DISAGREE have to fail in it."""
    return [
        pytest.param(op, id=name, marks=pytest.mark.xfail(reason=DISAGREE[name], strict=True) if fails else ())
        for op in op_db
        if not OUTSIDE.match(name := name_of(op))
        for fails in [disagreeing and name in DISAGREE]
    ]


# -- the same call here -------------------------------------------------------------------------


def method(name: str) -> Any:
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def ours(function: Any, name: str = "") -> Any:
    """The function here. In one that was written for the database, `torch` is this library."""
    if inspect.isfunction(function) and "testing" in function.__module__:
        scope = {**function.__globals__, "torch": tg, "wrapper_set_seed": lambda f, *args, **kwargs: f(*args, **kwargs)}
        cells = tuple(types.CellType(converted(cell.cell_contents)) for cell in function.__closure__ or ())
        return types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells)
    if isinstance(function, functools.partial):
        return functools.partial(ours(function.func), *converted(function.args), **converted(function.keywords))
    try:
        return operator.attrgetter(name or function.__name__)(tg)
    except AttributeError:
        return method(function.__name__)


def converted(value: Any) -> Any:
    """An argument for PyTorch as one for us; tensors are on the same memory."""
    if isinstance(value, torch.Tensor):
        return tg.from_numpy(value.detach().numpy()).requires_grad_(value.requires_grad)
    if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
        return getattr(tg, str(value).removeprefix("torch."))
    if isinstance(value, torch.nn.Module):
        return getattr(tg.nn, type(value).__name__)()
    if type(value) in (list, tuple):
        return type(value)(map(converted, value))
    if isinstance(value, dict):
        return {name: converted(v) for name, v in value.items()}
    return ours(value) if inspect.isfunction(value) else value


def in_place(name: str) -> Any:
    return lambda x, *args, **kwargs: getattr(x.clone(), name)(*args, **kwargs)


# -- the checks ---------------------------------------------------------------------------------


def check(op: Any, sample: Any, theirs: Any, mine: Any, order: int) -> None:
    """The call gives the same in both, or is refused by both."""
    given = [sample.input, list(sample.args), sample.kwargs]
    x, args, kwargs = converted(given)
    try:
        expected = theirs(given[0], *given[1], **given[2])
    except (*REFUSALS, NotImplementedError) as error:
        with pytest.raises(caught_as(error)):
            mine(x, *args, **kwargs)
        return
    result = mine(x, *args, **kwargs)
    independent = sample.output_process_fn_grad  # of the signs of eigenvectors, say
    a, b = results(ours(independent)(result)), results(independent(expected))
    if isinstance(expected, tuple) and hasattr(expected, "n_fields"):  # named
        assert all(hasattr(result, name) for name in dir(expected) if getattr(expected, name) is expected[-1])
    assert len(a) == len(b)
    what = f"{name_of(op)} of {[getattr(v, 'shape', v) for v in (sample.input, *sample.args)]} with {', '.join(sample.kwargs)}"
    random = RANDOM.search(op.name) or sample.kwargs.get("dropout_p")
    for i, (value, wanted) in enumerate(zip(a, b)):
        open_choice = op.name in UNSTABLE and wanted.dtype == torch.int64 and (i or op.name == "argsort")
        if random or open_choice:
            assert (value.dtype.name, tuple(value.shape)) == (str(wanted.dtype)[6:], tuple(wanted.shape))
        else:
            same(value, wanted, what, TOLERANCES.get(getattr(wanted, "dtype", None), (None, None)))
    if order and not random:
        xs, ys = leaves(tg, [x, args, kwargs]), leaves(torch, given)
        single = any(y.dtype == torch.float32 for y in ys)
        same_gradients(a, b, xs, ys, order, what, (1e-3, 1e-3) if single else (1e-6, 1e-8))


TOLERANCES = {torch.float32: (2e-4, 1e-3), torch.float16: (1e-2, 1e-2)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", entries(disagreeing=True))
def test_samples(op):
    function = ours(op.op, op.name)
    for dtype, count in SAMPLES.items():
        if dtype not in op.dtypes or dtype in EXCEPT.get(op.name, ()):
            continue
        derived = dtype == torch.float64 and op.supports_autograd
        order = derived * (1 + (op.supports_gradgrad and name_of(op) not in FIRST_ORDER))
        torch.manual_seed(0)  # op.sample_inputs(...) looks through the whole call stack, which takes most of a minute
        samples = op.sample_inputs_func(op, "cpu", dtype, derived)
        for i, sample in enumerate(itertools.islice(samples, count)):
            check(op, sample, op.op, function, order)
            if dtype not in (torch.float64, torch.int64) or i >= 4:
                continue
            check(op, sample.noncontiguous(), op.op, function, min(order, 1))
            if not isinstance(sample.input, torch.Tensor):
                continue
            for variant, here in ((op.method_variant, method), (op.inplace_variant, in_place)):
                name = getattr(variant, "__name__", "")
                if hasattr(torch.Tensor, name) and not (here is in_place and sample.broadcasts_input):
                    first = min(order, 1) * (here is method or op.supports_inplace_autograd)
                    check(op, sample, here(name), here(name), first)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", entries())
def test_errors_and_other_names(op):
    function = ours(op.op, op.name)
    for error in op.error_inputs_func(op, "cpu") if op.error_inputs_func else ():
        given = [error.sample_input.input, list(error.sample_input.args), error.sample_input.kwargs]
        refusal = refusal_of(op.op, *given)
        if op.name.startswith("__r") or "out" in given[2] or refusal is None:  # reflected operators are called on tensors only
            continue
        try:
            here = converted(given)
        except (TypeError, ValueError):  # of another device, or of more dims than NumPy has
            continue
        mine = refusal_of(function, *here)
        assert isinstance(mine, caught_as(refusal)), f"{mine!r} for {refusal!r}: {error.sample_input}"
    for alias in op.aliases:
        operator.attrgetter(alias.name.removeprefix("torch."))(tg)
        for name in (alias.name, f"{alias.name}_"):
            assert hasattr(tg.Tensor, name) or not hasattr(torch.Tensor, name)


def refusal_of(function: Any, x: Any, args: Any, kwargs: Any) -> Exception | None:
    """The error that a call raises."""
    try:
        function(x, *args, **kwargs)
    except (*REFUSALS, NotImplementedError) as error:
        return error
    return None
