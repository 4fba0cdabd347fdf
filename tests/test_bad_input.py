"""Bad input raises a clear error before anything has changed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.nn import functional as F

x = tg.ones(4, 3)
REFUSED = [
    (lambda: x + tg.ones(5), ValueError, r"add: .*\(4, 3\).*\(5,\)"),
    (lambda: x @ tg.ones(5, 2), ValueError, r"matmul: inner sizes differ: \(4, 3\) @ \(5, 2\)"),
    (lambda: x @ tg.ones(3, 2, dtype=tg.int64), TypeError, "matmul: .*float32.*int64"),
    (lambda: x.sum(2), IndexError, "sum: dim 2 is out of range; a tensor of 2 dimensions takes -2 to 1"),
    (lambda: x.softmax(5), IndexError, "softmax: dim 5 is out of range"),
    (lambda: x.sum((0, 0)), (ValueError, RuntimeError), "sum: a dim appears twice"),
    (lambda: x.sum("rows"), TypeError, "sum: expected an int for dim, got str"),
    (lambda: x.reshape(5, 2), ValueError, r"reshape: .*12.*\(5, 2\)|reshape: .*\(4, 3\).*\(5, 2\)"),
    (lambda: x.long().mean(), TypeError, "mean: .*int64"),
    (lambda: x[4], IndexError, "4.*out of"),
    (lambda: x[:, tg.tensor([0, 3])], IndexError, "3.*out of"),
    (lambda: x.gather(1, tg.tensor([[7]])), IndexError, "gather: .*7"),
    (lambda: tg.cat([x, tg.ones(4)]), (ValueError, RuntimeError), "cat: "),
    (lambda: tg.stack([]), (ValueError, RuntimeError), "stack: "),
    (lambda: tg.tensor([1.0, 2.0]) & 1, TypeError, "bitwise_and: "),
    (lambda: tg.zeros(2, -1), (ValueError, RuntimeError), "zeros: .*-1"),
    (lambda: tg.tensor([[1, 2], [3]]), ValueError, "tensor: "),
    (lambda: tg.device("gpu"), ValueError, "device: expected 'cpu', 'cuda' or 'cuda:N', got 'gpu'"),
    (lambda: F.cross_entropy(x, tg.tensor([0, 1, 2, 3])), IndexError, "cross_entropy: .*0 to 2"),
    (lambda: F.cross_entropy(x, tg.tensor([0, 1, -1, 2])), IndexError, "cross_entropy: .*0 to 2"),
    (lambda: F.cross_entropy(x, tg.tensor([0, 1])), ValueError, "cross_entropy: .*4.*2"),
    (lambda: F.cross_entropy(x, tg.tensor([0.0, np.nan, 1.0, 2.0])), (ValueError, TypeError, RuntimeError), "cross_entropy: "),
    (lambda: F.linear(x, tg.ones(2, 5)), ValueError, r"linear: .*\(4, 3\)"),
    (lambda: tg.nn.Linear(5, 2)(x), ValueError, r"Linear: .*\(4, 3\)"),
]  # fmt: skip


@pytest.mark.parametrize("call", [
    lambda: x @ tg.ones(5, 2), lambda: x.view(5), lambda: x.long().mean(), lambda: x.gather(1, tg.tensor([[7]])),
    lambda: F.cross_entropy(x, tg.ones(3, dtype=tg.int64)), lambda: tg.linspace(0, 1, -2), lambda: tg.nn.Linear(2, 2)(x),
    lambda: x.clone().copy_(tg.ones(5)), lambda: F.embedding(tg.tensor([9]), x), lambda: tg.einsum("ij,jk", x, x),
])  # fmt: skip
def test_a_refusal_is_an_error_of_python_and_of_pytorch(call):
    with pytest.raises(RuntimeError) as refusal:
        call()
    assert isinstance(refusal.value, (ValueError, TypeError, IndexError))


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_nothing_has_changed_after_a_refusal():
    y = tg.arange(6).float().reshape(2, 3)
    for change in (
        lambda: y.add_(tg.ones(4)),
        lambda: y.__setitem__((0, 7), 1.0),
        lambda: y.index_add_(0, tg.tensor([0, 5]), tg.ones(2, 3)),
        lambda: y.scatter_(1, tg.tensor([[0, 9, 1]]), 5.0),
        lambda: y.__setitem__(slice(None), tg.ones(5)),
    ):
        with pytest.raises((ValueError, IndexError, RuntimeError)):
            change()
        assert y.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_empty_batches():
    model = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.ReLU(), tg.nn.Linear(4, 2))
    out = model(tg.ones(0, 3))
    assert out.shape == (0, 2)
    F.cross_entropy(out, tg.zeros(0, dtype=tg.int64), reduction="sum").backward()
    assert model[0].weight.grad.tolist() == [[0.0] * 3] * 4
    assert np.isnan(F.cross_entropy(out, tg.zeros(0, dtype=tg.int64)).item())


@pytest.mark.skipif("cupy" in sys.modules, reason="CuPy is there")
def test_a_gpu_without_cupy_names_the_extra():
    code = "import sys; sys.modules['cupy'] = None; import tinygrad_lite as tg; tg.ones(2, device='cuda')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: device 'cuda' needs CuPy" in run.stderr
    assert "tinygrad_lite[cuda12]" in run.stderr


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, tinygrad_lite; print(*(sys.modules.keys() & {'matplotlib', 'scipy', 'tqdm', 'cupy', 'torch', 'numpy.random'}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_subpackages_are_imported_when_they_are_first_asked_for():
    code = (
        "import sys, tinygrad_lite as tg\n"
        "print('tinygrad_lite.nn' in sys.modules, 'nn' in dir(tg), tg.nn.Linear.__name__, 'tinygrad_lite.nn' in sys.modules)\n"
        "from tinygrad_lite import optim; print(optim is tg.optim)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True", "Linear", "True", "True"]


LATER = """
import sys, tinygrad_lite as tg
loaded = {name for name in sys.modules if name.startswith("tinygrad_lite.")}
print(loaded & {f"tinygrad_lite.{name}" for name in (*tg._MODULES, *tg._NAMES)} or "none")
print(loaded & {f"tinygrad_lite.autograd.{name}" for name in tg.autograd._LATER} or "none")
for module in (tg, tg.autograd):
    given = {}
    exec(f"from {module.__name__} import *", given)
    print({*module._HOME} - given.keys() or "none", {*given} - {"__builtins__", *dir(module)} or "none")
    print([name for name in dir(module) if getattr(module, name) is not getattr(module, name)])
"""


def test_what_few_programs_need_is_imported_at_first_use():
    run = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["none", "none", *["none none", "[]"] * 2]


def test_a_star_import_brings_no_internal_module():
    given = {}
    exec("from tinygrad_lite import *", given)
    modules = {name for name, value in given.items() if isinstance(value, type(tg))}
    assert modules == {"autograd", "compat", "cuda", "files", "linalg", "printing", "random", "serialization", "special"}


@pytest.mark.parametrize("call, message", [
    (lambda: tg.frac(tg.ones(2).long()), "frac: expected a tensor of floating-point numbers, got int64"),
    (lambda: tg.lerp(x.long(), x.long(), 0.5), "lerp: expected a tensor of floating-point numbers"),
    (lambda: tg.trace(tg.eye(2).bool()), "trace: expected a tensor of numbers, got bool"),
    (lambda: tg.full((2,), 300, dtype=tg.uint8), "full: the value 300 does not fit into uint8"),
    (lambda: tg.full((2,), "a"), "full: expected a number as fill_value, got str"),
    (lambda: x.clamp_(1e40), "clamp_: the value 1e.40 does not fit into float32"),
    (lambda: tg.gather(x, 0, 1), "gather: expected a Tensor for index, got int"),
    (lambda: tg.tril(x, 1.0), "tril: expected an int for diagonal, got float"),
    (lambda: x.chunk(True), "chunk: expected an int for chunks, got bool"),
    (lambda: tg.randint(0, 300, (2,), dtype=tg.int8), "randint: int8 does not hold all of 0 to 299"),
    (lambda: x.hsplit(None), "hsplit: expected an int for indices_or_sections, got NoneType"),
    (lambda: x.unfold(0, None, 1), "unfold: expected an int for size, got NoneType"),
    (lambda: x[tg.zeros(0, dtype=tg.bool), tg.tensor([0])], r"getitem: a mask of shape \(0,\) does not fit"),
])  # fmt: skip
def test_errors_name_the_function_and_what_came(call, message):
    with pytest.raises((TypeError, ValueError, RuntimeError, IndexError), match=message):
        call()
