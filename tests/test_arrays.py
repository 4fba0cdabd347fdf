"""Kernels in arrays/ that several operations share."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.arrays import BLOCK, accumulate, affine, axpby, blocked, choose, expm1_below_0, fusion, log1p_up_to_1, normal_cdf
from tinygrad_lite.arrays.memory import contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("size", [0, 5, 1 << 14, 100_001])
@pytest.mark.parametrize(("a", "b"), [(1, 0.9), (-0.01, 1), (2.0, -3.0), (0, 1), (1, 1)])
def test_axpby_scales_and_adds_in_place(dtype, size, a, b):
    draw = np.random.default_rng(size)
    x, y = draw.standard_normal((2, size)).astype(dtype)
    before, expected = x.copy(), a * x.astype(np.float64) + b * y
    axpby(a, x, b, y)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-2 if dtype == np.float16 else 1e-6)
    np.testing.assert_array_equal(x, before)


def test_axpby_on_large_arrays_with_gaps_between_their_elements():
    x, y = np.ones((2, 200, 300), np.float32)
    axpby(2.0, x[:, ::2], 3.0, y[:, ::2])
    assert (y[:, ::2] == 5).all() and (y[:, 1::2] == 1).all()


def test_axpby_hands_on_what_is_not_a_number():
    x, y = np.full(20_000, np.nan, np.float32), np.ones(20_000, np.float32)
    axpby(0, x, 1, y)
    assert np.isnan(y).all()


PRODUCTS_BEFORE_AND_AFTER = """
import os
import numpy as np
x = np.random.default_rng(0).standard_normal((400, 400))
before = x @ x
import tinygrad_lite
assert (x @ x == before).all()
if not (child := os.fork()):
    os._exit(not (x @ x == before).all())
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert (x @ x == before).all()
print(os.environ.get("OPENBLAS_THREAD_TIMEOUT"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("setting", [None, "20"])
def test_products_are_the_same_after_blas_was_told_to_let_its_threads_rest(setting):
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    if setting is not None:
        environment["OPENBLAS_THREAD_TIMEOUT"] = setting
    run = subprocess.run(
        [sys.executable, "-c", PRODUCTS_BEFORE_AND_AFTER], env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, str(setting)), run.stderr


# -- large arrays take other code paths than the small ones every primitive is tested with ------------------------


def standard_normal(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape, dtype)


def test_elementwise_work_on_a_number_of_numpy_asks_for_no_gpu(monkeypatch):
    monkeypatch.setattr(fusion, "fused", None)
    out = np.empty(())
    blocked.elementwise(lambda x, out: np.add(x, 1, out=out), np.float64(2), out)
    assert out == 3


@pytest.mark.parametrize("shape", [(3, BLOCK), (BLOCK * 3,), (4100,)])
def test_choices_are_where_s(shape):
    x, y = standard_normal(2, *shape)
    x[..., :3] = np.nan, np.inf, -0.0
    condition = y > 0
    for a, b in ((x, y), (x, 0.0), (0.0, y), (x, 2.5), (-1.0, y)):
        np.testing.assert_array_equal(choose(condition, a, b), np.where(condition, a, b))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(512, 96), (300, 250), (2, 40, 1000)])
def test_running_sums_along_rows(shape, dtype):
    x = standard_normal(*shape, dtype=dtype)
    exact = np.add.accumulate(x.astype(np.longdouble), axis=-1)
    np.testing.assert_allclose(accumulate("add", x, x.ndim - 1), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_running_sums_are_unaffected_by_what_comes_later(value):
    x = standard_normal(512, 96)
    x[5, 40] = value
    with np.errstate(invalid="ignore"):  # as within a primitive
        sums = accumulate("add", x, 1)
    np.testing.assert_array_equal(sums[5], np.add.accumulate(x[5]))


def test_quick_functions_are_exact_to_two_or_three_units_in_the_last_place():
    x = np.geomspace(1e-30, 1, 50_000).astype(np.float32)
    out = np.empty_like(x)
    log1p_up_to_1(x, out)
    np.testing.assert_allclose(out, np.log1p(x.astype(np.float64)), rtol=3e-7)
    x = -np.geomspace(1e-30, 100, 50_000).astype(np.float32)
    np.testing.assert_allclose(expm1_below_0(x), np.expm1(x.astype(np.float64)), rtol=3e-7)


def test_the_share_of_the_normal_distribution_below_a_number():
    x = np.concatenate([np.linspace(-12, 12, 30_001), [-1e30, 1e30]]).astype(np.float32)
    out = np.empty_like(x)
    with np.errstate(over="ignore"):
        normal_cdf(x, out)
    np.testing.assert_allclose(out, [math.erfc(-v / math.sqrt(2)) / 2 for v in x.tolist()], rtol=0, atol=1.3e-7)


@pytest.mark.parametrize("shape", [(600, 310), (1024, 512), (3, 512, 130)])
def test_contiguous_copies(shape):
    x = standard_normal(*shape).swapaxes(-1, -2)
    copy = contiguous(x)
    assert copy.flags.c_contiguous
    np.testing.assert_array_equal(copy, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_added_to_its_bias(dtype):
    x, weight, bias = (standard_normal(*shape, dtype=dtype) for shape in ((4, 60, 70), (80, 70), (80,)))
    np.testing.assert_allclose(affine(x, weight, bias), x @ weight.T + bias, rtol=1e-4, atol=1e-4)
    assert affine(x.swapaxes(0, 1), weight, bias) is None


@pytest.mark.parametrize(("kind", "more"), [(nn.LSTM, {}), (nn.LSTM, {"proj_size": 16}), (nn.GRU, {"bidirectional": True})])
def test_a_recurrent_layer_gives_the_same_in_two_threads_as_in_one(kind, more):
    tg.manual_seed(0)
    layer = kind(8, 512, **more)
    lengths = tg.tensor([7] * 13 + [4] * 6 + [1] * 4)  # a step's sequences: 23, 19, ..., 13
    packed = nn.utils.rnn.pack_padded_sequence(tg.randn(7, 23, 8), lengths)
    results = []
    threads = tg.get_num_threads()
    for count in (1, 2):
        tg.set_num_threads(count)
        out, states = layer(packed)
        states = states if isinstance(states, tuple) else (states,)
        loss = out.data.square().sum() + sum(state.sum() for state in states)
        gradients = tg.autograd.grad(loss, list(layer.parameters()))
        results.append([t.detach().numpy() for t in (out.data, *states, *gradients)])
    tg.set_num_threads(threads)
    for one, two in zip(*results):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_the_gradient_of_a_large_softmax(name):
    x = tg.tensor(standard_normal(600, 500), requires_grad=True)
    wide = x.detach().double().requires_grad_()
    weights = tg.tensor(standard_normal(600, 500)[::-1].copy())
    (g,) = tg.autograd.grad((getattr(tg, name)(x, 1) * weights).sum(), x)
    (expected,) = tg.autograd.grad((getattr(tg, name)(wide, 1) * weights).sum(), wide)
    np.testing.assert_allclose(g.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


THREADS = """
import threading
import tinygrad_lite as tg
print(tg.get_num_threads())
(tg.randn(1000, 1000).exp() * 2).softmax(1).sum()
tg.nn.functional.conv2d(tg.randn(8, 8, 64, 64), tg.randn(8, 8, 3, 3))
print(threading.active_count())
tg.set_num_threads(3)
print(tg.get_num_threads())
"""


@pytest.mark.parametrize("asked, count", [("1", 1), ("3", 3), ("2,1", 2), ("", None), ("0", None), ("-1", None), ("all", None)])
def test_the_environment_says_how_many_threads_there_are(asked, count):
    environment = {**os.environ, "OMP_NUM_THREADS": asked, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    first, active, then = map(int, run.stdout.split())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert first == (count or cores) and then == 3
    if count == 1:
        assert active == 1, "the pool of threads was not made"
