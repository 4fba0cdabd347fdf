"""Kernels of arrays/ that stand behind several operations."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tinygrad_lite.arrays import axpby, blocked, elementwise


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


def test_a_sum_of_all_elements_which_is_no_array_stays_on_the_cpu(monkeypatch):
    def on_a_gpu(kernel, arrays):
        raise AssertionError("handed to the GPU")

    monkeypatch.setattr(blocked, "fused", on_a_gpu)
    out = np.empty(())
    elementwise(lambda g, out: np.multiply(g, 2, out=out), np.ones(3).sum(), out)
    assert out == 6
