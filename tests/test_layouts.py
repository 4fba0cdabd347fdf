"""An array's memory layout never changes a result: strides, order, offset, gaps, repeated elements.

Every registered function on its samples, and public functions at sizes that take other code paths (blocks, rows, parts),
run on the same values in other layouts. New memory is filled with nan first, so that elements that are never written show.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil

import numpy as np
import pytest

import tests.samples
import tinygrad_lite as tg
import tinygrad_lite.nn
import tinygrad_lite.optim
from tests.check_op import SAMPLES, call, record, results, wanted
from tinygrad_lite.arrays import to_device, to_numpy
from tinygrad_lite.autograd import REGISTRY, grad
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.testing.layouts import LAYOUTS, REPEATED

for module in pkgutil.iter_modules(tests.samples.__path__):
    importlib.import_module(f"tests.samples.{module.name}")

F = tg.nn.functional


@pytest.fixture(autouse=True)
def empty_memory_is_full_of_nan(monkeypatch):
    """Otherwise reused memory holds the right values of the previous call and hides unwritten elements."""

    def filled(make):
        def call(*args, **kwargs):
            array = make(*args, **kwargs)
            if array.dtype.kind in "iufc":
                array.fill(np.nan if array.dtype.kind in "fc" else np.iinfo(array.dtype).max)
            return array

        return call

    for name in ("empty", "empty_like"):
        monkeypatch.setattr(np, name, filled(getattr(np, name)))


def same_order(array):
    return array


def outcome(function, args, differentiable, layout, device, order):
    """Results, gradients and (`order` 2) second gradients, or the error; each cotangent in `layout` too."""

    def cotangents(outs, wave):
        arrays = [layout(wave(np.arange(o.array.size)).reshape(o.array.shape).astype(o.array.dtype)) for o in outs]
        return [traced(to_device(array, device)) for array in arrays]

    inputs = [traced(to_device(a, device)) if isinstance(a, np.ndarray) else a for a in args]
    leaves = [inputs[i].requires_grad_() for i in differentiable]
    tg.manual_seed(0)
    try:
        outs = results(function(*inputs))
        roots = [o for o in outs if o.requires_grad]
        found = []
        if roots and leaves:
            weights = cotangents(roots, np.cos)
            found += grad(roots, leaves, weights, allow_unused=True, retain_graph=True)
            first = grad(roots, leaves, weights, allow_unused=True, create_graph=True) if order > 1 else ()
            roots = [g for g in first if g is not None and g.requires_grad]
            found += [*first, *(grad(roots, leaves, cotangents(roots, np.sin), allow_unused=True) if roots else ())]
    except (RuntimeError, ValueError) as error:
        return type(error)
    return [None if t is None else to_numpy(t.array).copy() for t in [*outs, *found]]


def assert_same(got, want, what, rtol):
    if isinstance(want, type) or isinstance(got, type):
        assert got is want, what
        return
    assert len(got) == len(want)
    for x, y in zip(got, want):
        assert (x is None) == (y is None), what
        if y is not None:
            assert (x.dtype, x.shape) == (y.dtype, y.shape), what
            scale = np.abs(y[np.isfinite(y)]).max(initial=1) if y.dtype.kind == "f" else 1
            np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * scale, err_msg=what)


def in_layout(layout, args):
    return [layout(a) if isinstance(a, np.ndarray) else a for a in args]


def in_order(args):
    return [a.copy(order="C") if isinstance(a, np.ndarray) else a for a in args]


def check(function, args, differentiable, device, order, layouts, repeated, rtol):
    plain = outcome(function, args, differentiable, same_order, device, order)
    for name in layouts:
        got = outcome(function, in_layout(LAYOUTS[name], args), differentiable, LAYOUTS[name], device, order)
        assert_same(got, plain, name, rtol)
    for name in repeated:
        layout = REPEATED[name]
        args_there = in_layout(layout, args)
        plain = outcome(function, in_order(args_there), differentiable, lambda a: layout(a).copy(order="C"), device, order)
        assert_same(outcome(function, args_there, differentiable, layout, device, order), plain, name, rtol)


NAMES = sorted(name for name in SAMPLES if not (name in REGISTRY and record(SAMPLES[name][0]).writes))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_of_every_registered_function(name, dtype, device):
    for s in SAMPLES[name]:
        args = [a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in s.args]
        # (Repeated rows or columns make singular values equal, where the vectors are not differentiable.)
        repeated = {} if name == "svd" else REPEATED
        check(call(s), args, wanted(s), device, 2, LAYOUTS, repeated, 1e-9 if dtype == np.float64 else 5e-4)


# -- sizes at which functions take other code paths --------------------------------------------------

draw = np.random.default_rng(3)


def normal(*shape):
    return draw.standard_normal(shape)


def below(n, *shape):
    return draw.integers(0, n, shape)


EPS = 0.1  # added to a variance, which may be zero where elements repeat
MATRIX, IMAGES = normal(500, 300), normal(4, 8, 70, 70)  # an array is cut into blocks of 131072 elements

LARGE = {
    **{name: (getattr(tg, name), MATRIX) for name in ("exp", "sigmoid", "tanh", "sqrt", "erf", "abs", "isnan", "logit")},
    **{name: (getattr(F, name), IMAGES) for name in ("relu", "silu", "gelu", "softplus", "elu", "mish", "hardswish", "logsigmoid")},
    **{name: (getattr(tg, name), MATRIX, normal(300)) for name in ("add", "mul", "maximum", "atan2", "lt", "logaddexp")},
    "where": (lambda c, x, y: tg.where(c > 0, x, y), MATRIX, MATRIX, normal(500, 1)),
    "where with a number": (lambda c, x: tg.where(c > 0, x, 0.0), MATRIX, MATRIX),
    "clamp": (lambda x: x.clamp(-1, 1), MATRIX),
    **{
        f"{name} along {dim}": (lambda x, name=name, dim=dim: getattr(tg, name)(x, dim), normal(30, 50, 90))
        for name in ("softmax", "log_softmax", "logsumexp", "cumsum", "cummax", "sort", "sum", "mean", "var", "amax", "argmax")
        for dim in (0, 1, 2)
    },
    "topk": (lambda x: tg.topk(x, 5), normal(30, 3000)),
    "sort of float32": (lambda x: x.float().sort(0), normal(90, 40)),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (300,), w, b, EPS), MATRIX, normal(300), normal(300)),
    "rms_norm": (lambda x, w: F.rms_norm(x, (300,), w), MATRIX, normal(300)),
    "group_norm": (lambda x, w, b: F.group_norm(x, 4, w, b, EPS), IMAGES, normal(8), normal(8)),
    "group_norm of few": (lambda x: F.group_norm(x, 2, eps=EPS), normal(2, 4, 6)),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b, eps=EPS), IMAGES, normal(8), normal(8)),
    "instance_norm of few": (lambda x: F.instance_norm(x, eps=EPS), normal(2, 4, 6)),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0.1, EPS), IMAGES, normal(8), normal(8)),
    "batch_norm of rows": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0.1, EPS), normal(3000, 60), normal(60), normal(60)),
    "batch_norm in evaluation": (lambda x, m, v, w: F.batch_norm(x, m, v * v, w), IMAGES, normal(8), normal(8), normal(8)),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), normal(3, 8, 30, 30), normal(10, 8, 3, 3), normal(10)),
    "conv2d in groups": (lambda x, w: F.conv2d(x, w, stride=2, groups=4), normal(3, 8, 30, 30), normal(8, 2, 3, 3)),
    "conv2d of few windows": (lambda x, w: F.conv2d(x, w), normal(4, 8, 9, 9), normal(16, 8, 3, 3)),
    "conv_transpose2d": (lambda x, w: F.conv_transpose2d(x, w, stride=2), normal(3, 8, 20, 20), normal(8, 6, 3, 3)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), IMAGES),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 1, 1), IMAGES),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 7), IMAGES),
    "unfold": (lambda x: F.unfold(x, 3), normal(3, 8, 30, 30)),
    "interpolate": (lambda x: F.interpolate(x, (50, 31), mode="bilinear"), normal(3, 8, 30, 30)),
    "attention": (F.scaled_dot_product_attention, normal(8, 4, 64, 32), normal(8, 4, 70, 32), normal(8, 4, 70, 16)),
    "linear": (F.linear, normal(8, 64, 128), normal(96, 128), normal(96)),
    "matmul": (tg.matmul, normal(8, 64, 32), normal(32, 50)),
    "einsum": (lambda x, y: tg.einsum("ijk,kjl->il", x, y), normal(20, 30, 40), normal(40, 30, 20)),
    "cdist": (tg.cdist, normal(90, 30), normal(80, 30)),
    "solve": (tg.linalg.solve, normal(5, 20, 20) + 10 * np.eye(20), normal(5, 20, 4)),
    "cross_entropy": (F.cross_entropy, normal(2000, 96), below(96, 2000)),
    "cross_entropy of images": (lambda x, t: F.cross_entropy(x, t, reduction="none"), normal(4, 10, 40, 40), below(10, 4, 40, 40)),
    "nll_loss": (F.nll_loss, normal(2000, 96), below(96, 2000)),
    "mse_loss": (F.mse_loss, MATRIX, normal(500, 300)),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, MATRIX, normal(500, 300)),
    "rows by number": (lambda x, i: x[i], MATRIX, below(500, 700)),
    "elements by number": (lambda x, i, j: x[i, j], MATRIX, below(500, 4000), below(300, 4000)),
    "elements by a mask": (lambda x, m: x[m > 0], MATRIX, MATRIX),
    "gather": (lambda x, i: x.gather(1, i), MATRIX, below(300, 500, 200)),
    "scatter_add": (lambda x, i, y: x.scatter_add(0, i, y), MATRIX, below(500, 500, 300), normal(500, 300)),
    "index_add": (lambda x, i, y: x.index_add(0, i, y), MATRIX, below(500, 400), normal(400, 300)),
    "embedding": (lambda w, i: F.embedding(i, w), normal(300, 64), below(300, 40, 50)),
    "cat": (lambda x, y: tg.cat([x, y], 1), MATRIX, normal(500, 30)),
    "flip, roll and repeat": (lambda x: x.flip(0).roll((3, 5), (0, 1)).repeat(1, 2), MATRIX),
    "reshape": (lambda x: x.reshape(300, 500), MATRIX),
    "contiguous": (lambda x: x.contiguous(), MATRIX),
    **{
        type(module).__name__: (lambda x, module=module: module(x.double())[0], normal(30, 20, 10))
        for module in (tg.nn.LSTM(10, 16).double(), tg.nn.GRU(10, 16).double(), tg.nn.RNN(10, 16).double())
    },
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", LARGE)
def test_of_large_arrays(name, dtype, device):
    function, *args = LARGE[name]
    args = [a.astype(dtype) if a.dtype.kind == "f" else a for a in args]
    floats = [i for i, a in enumerate(args) if a.dtype.kind == "f"]
    rtol = 1e-8 if dtype == np.float64 else 3e-3
    layouts = ["Fortran order", "first dim last", "stepped", "reversed"]
    repeated = ["expanded first dim"] if dtype == np.float64 else []  # a sum of thousands that should be zero is not
    check(function, args, floats, device, 1, layouts, repeated, rtol)
    plain = outcome(function, args, floats, same_order, device, 1)
    for i in range(len(args)):  # one of them alone; then the gradient alone
        mixed = [LAYOUTS["Fortran order"](a) if i == k else a for k, a in enumerate(args)]
        assert_same(outcome(function, mixed, floats, same_order, device, 1), plain, f"argument {i} in Fortran order", rtol)
    assert_same(outcome(function, args, floats, LAYOUTS["first dim last"], device, 1), plain, "the gradient", rtol)


# -- whole tensors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout", [lambda x: x.expand(6, 4, 5), lambda x: x.expand(6, 4, 5).permute(2, 1, 0)], ids=["first dim", "last dim"]
)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_an_expanded_input(layout, training):
    x, plain = (tg.tensor(normal(1, 4, 5)) for _ in range(2))
    plain.copy_(x)
    found = []
    for x, view in ((x, layout), (plain, lambda x: layout(x).contiguous())):
        x.requires_grad_()
        weight = tg.tensor([1.0, 2.0, 3.0, 4.0], dtype=tg.float64, requires_grad=True)
        out = F.batch_norm(view(x), tg.zeros(4, dtype=tg.float64), tg.ones(4, dtype=tg.float64), weight, None, training)
        (out * tg.arange(120.0).reshape(out.shape)).sum().backward()
        found.append([out.detach().numpy(), x.grad.numpy(), weight.grad.numpy()])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


OPTIMIZERS = ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"]


@pytest.mark.parametrize("size", [(4, 6), (500, 300)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_change_parameters_of_any_layout(name, size):
    found = []
    for of_parameter, of_gradient in itertools.product([same_order, LAYOUTS["Fortran order"], LAYOUTS["stepped"]], repeat=2):
        draw = np.random.default_rng(0)
        parameter = tg.nn.Parameter(traced(of_parameter(draw.standard_normal(size))))
        optimizer = getattr(tg.optim, name)([parameter], lr=0.1)
        for _ in range(3):
            parameter.grad = traced(of_gradient(draw.standard_normal(size)))
            optimizer.step()
        found.append(np.array(parameter.detach().array))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-9, atol=1e-12)


class TestArraysFromNumPy:
    """Arrays that no tensor can be a view of are refused, as in PyTorch, and not misread."""

    def test_another_byte_order(self):
        array = np.array([1.0, 2.0], ">f8")
        with pytest.raises(TypeError, match=">f8"):
            tg.from_numpy(array)
        assert tg.tensor(array).tolist() == [1, 2]
        assert tg.tensor(array).dtype == tg.float64

    def test_a_wider_float_than_there_is(self):
        if np.longdouble(0).itemsize > 8:
            with pytest.raises(TypeError):
                tg.from_numpy(np.zeros(2, np.longdouble))

    def test_a_field_of_records(self):
        records = np.zeros(3, np.dtype([("kind", "i1"), ("value", "f4")]))
        with pytest.raises(ValueError, match="parts of elements"):
            tg.from_numpy(records["value"])
