"""Threads that share compiled loops and large products."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.arrays import affine, compiling, row_loops, workers
from tinygrad_lite.arrays.blas import gemm_of
from tinygrad_lite.arrays.blocked import as_one_loop
from tinygrad_lite.arrays.shared_products import shared_product, tiled_product

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = pytest.mark.skipif(not compiling.available(), reason="loops are switched off")

SIZE = 300_001


@pytest.fixture(autouse=True, params=[2, 3, 7])
def _threads(request):
    before = tg.get_num_threads()
    tg.set_num_threads(request.param)
    yield
    tg.set_num_threads(before)


def doubled_and_one(size: int = SIZE) -> bool:
    """Whether a loop reaches each element once."""
    x = np.arange(size, dtype=np.float64)
    as_one_loop(lambda x: x.__iadd__(x + 1), [x])
    return bool((x == 2 * np.arange(size) + 1).all())


@pytest.mark.parametrize("size", [1 << 17, SIZE, 1 << 20])
def test_each_element_once(size):
    assert all(doubled_and_one(size) for _ in range(50))


def test_rows_and_their_totals():
    def kernel(row, x, total):
        row.add_up(total, x)
        x += row.sum(x)

    x = np.random.default_rng(0).random((1003, 130))
    given, total = x.copy(), np.zeros(130)
    assert row_loops.run(kernel, [x], totals=[total])
    np.testing.assert_allclose(total, given.sum(0))
    np.testing.assert_allclose(x, given + given.sum(1)[:, None])


def test_several_threads_of_a_program():
    right = []
    threads = [threading.Thread(target=lambda: right.extend(doubled_and_one() for _ in range(30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 120


def test_every_part_is_done_before_an_interrupt_goes_on():
    assert doubled_and_one()
    crew = workers._crew

    class Interrupted:
        def put(self, call):
            raise KeyboardInterrupt

    calls = crew.calls

    def run(*args):
        crew.words[workers._AWAKE // 8] = 0  # so that the threads are called
        crew.calls = Interrupted()
        try:
            type(crew).run(crew, *args)
        finally:
            crew.calls = calls

    crew.run = run
    x = np.zeros(SIZE)
    with pytest.raises(KeyboardInterrupt):
        as_one_loop(lambda x: x.__iadd__(1), [x])
    assert (x == 1).all()
    assert workers._crew is None
    assert doubled_and_one()


def test_without_threads_the_caller_does_everything(monkeypatch):
    def refused(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(workers, "_crew", None)
    monkeypatch.setattr(threading.Thread, "start", refused)
    assert doubled_and_one()
    assert workers._crew.threads == 0


def _in_child() -> None:
    os._exit(0 if doubled_and_one() else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_process_has_threads_of_its_own():
    assert doubled_and_one()
    child = multiprocessing.get_context("fork").Process(target=_in_child)
    child.start()
    child.join(60)
    assert child.exitcode == 0


LAYOUTS = {
    "in rows": lambda x: x, "in columns": np.asfortranarray,
    "a part": lambda x: np.hstack([x, x])[:, : x.shape[1]], "a part in columns": lambda x: np.asfortranarray(np.vstack([x, x]))[: len(x)],
}  # fmt: skip


class TestProducts:
    @pytest.fixture(autouse=True)
    def _needs_blas(self):
        if gemm_of(np.dtype(np.float32)) is None:
            pytest.skip("NumPy's BLAS is another")

    def matrix(self, rows, columns, dtype, seed=0):
        return np.random.default_rng(seed).standard_normal((rows, columns)).astype(dtype)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("first", LAYOUTS)
    @pytest.mark.parametrize("second", LAYOUTS)
    def test_layouts(self, first, second, dtype):
        x, y, bias = self.matrix(227, 301, dtype), self.matrix(301, 77, dtype, 1), self.matrix(1, 77, dtype)[0]
        near = {"rtol": 1e-5, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
        laid = LAYOUTS[first](x), LAYOUTS[second](y)
        np.testing.assert_allclose(shared_product(*laid), x @ y, **near)
        np.testing.assert_allclose(shared_product(*laid, bias), x @ y + bias, **near)

    def test_more_columns_than_rows(self):
        x, y, bias = (self.matrix(*shape, np.float64, i) for i, shape in enumerate([(61, 301), (301, 503), (1, 503)]))
        bias = bias[0]
        for first in LAYOUTS.values():
            for second in LAYOUTS.values():
                np.testing.assert_allclose(shared_product(first(x), second(y)), x @ y)
                np.testing.assert_allclose(shared_product(first(x), second(y), bias), x @ y + bias)

    def test_what_numpy_must_do(self):
        x, y = self.matrix(256, 256, np.float32), self.matrix(256, 256, np.float32)
        assert shared_product(x, y) is not None
        assert shared_product(x, y.astype(np.float64)) is None
        assert shared_product(x.astype(np.float16), y.astype(np.float16)) is None
        assert shared_product(x[:, ::2], y[::2]) is None
        assert shared_product(x[::-1], y) is None
        assert shared_product(np.broadcast_to(x[:1], x.shape), y) is None
        assert shared_product(x[:30], y) is None
        assert shared_product(x, y[:200]) is None

    def test_nan_and_infinity_go_where_they_belong(self):
        x, y = self.matrix(256, 256, np.float32), np.eye(256, dtype=np.float32)
        x[7, 9], x[200, 1] = np.nan, np.inf
        out = shared_product(x, y, np.ones(256, np.float32))
        assert np.isnan(out[7]).all() and np.isnan(out[200]).sum() == 255
        assert np.isfinite(np.delete(out, [7, 200], 0)).all()

    def test_a_layer_and_its_gradients(self):
        x, weight, bias = (tg.tensor(a, requires_grad=True) for a in (
            self.matrix(512, 128, np.float64), self.matrix(96, 128, np.float64, 1), self.matrix(1, 96, np.float64, 2)[0]))  # fmt: skip
        y = tg.nn.functional.linear(x, weight, bias)
        g = self.matrix(512, 96, np.float64, 3)
        y.backward(tg.tensor(g))
        a, w = x.detach().numpy(), weight.detach().numpy()
        np.testing.assert_allclose(y.detach().numpy(), a @ w.T + bias.detach().numpy())
        np.testing.assert_allclose(affine(a, w, bias.detach().numpy()), y.detach().numpy())
        np.testing.assert_allclose(x.grad.numpy(), g @ w)
        np.testing.assert_allclose(weight.grad.numpy(), g.T @ a)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize(("rows", "columns"), [(227, 77), (61, 503)])
    def test_what_follows_is_done_to_each_part(self, rows, columns, dtype):
        x, y, bias = self.matrix(rows, 301, dtype), self.matrix(301, columns, dtype, 1), self.matrix(1, columns, dtype)[0]
        x[3, 5] = np.nan
        mask = self.matrix(rows, columns, dtype, 2)
        mask[1, :4] = np.nan, 0.0, -0.0, np.inf
        np.testing.assert_array_equal(shared_product(x, y, bias, "relu"), np.maximum(shared_product(x, y, bias), 0))
        np.testing.assert_array_equal(shared_product(x, y, None, "masked", mask), np.where(mask <= 0, 0, shared_product(x, y)))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("first", LAYOUTS)
    @pytest.mark.parametrize("second", LAYOUTS)
    @pytest.mark.parametrize(
        ("rows", "inner", "columns"), [(1, 1, 1), (64, 17, 33), (9, 513, 100), (37, 300, 77), (130, 256, 31), (5, 300, 203), (48, 1024, 64)]
    )
    def test_in_tiles_of_our_own(self, rows, inner, columns, first, second, dtype):
        """Rows, columns and steps that fill no tile, strip or block; rows that are a power of two apart."""
        x, y = LAYOUTS[first](self.matrix(rows, inner, dtype)), LAYOUTS[second](self.matrix(inner, columns, dtype, 1))
        bias, mask = self.matrix(1, columns, dtype, 2)[0], self.matrix(rows, columns, dtype, 3)
        mask[0, 0] = np.nan
        near = {"rtol": 1e-5, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-11}

        def tiled(*more):
            out = np.full((rows + 1, columns), 7, dtype)
            tiled_product(x, y, out[:rows], *more, 2)
            assert (out[rows] == 7).all()
            return out[:rows]

        np.testing.assert_allclose(tiled(None, "", None), x @ y, **near)
        np.testing.assert_allclose(tiled(bias, "", None), x @ y + bias, **near)
        np.testing.assert_array_equal(tiled(bias, "relu", None), np.maximum(tiled(bias, "", None), 0))
        np.testing.assert_array_equal(tiled(None, "masked", mask), np.where(mask <= 0, 0, tiled(None, "", None)))

    def test_nan_and_infinity_in_tiles(self):
        """Also where an infinity is only the sum of some of the blocks of the inner dimension."""
        x, y = np.zeros((40, 600), np.float32), np.ones((600, 40), np.float32)
        x[1, 0], x[2, 0], x[3, [0, 599]], x[4, 599] = np.inf, -np.inf, (-np.inf, np.inf), np.nan
        for then in ("", "relu"):
            out = np.empty((40, 40), np.float32)
            tiled_product(x, y, out, None, then, None, 2)
            assert (out[1] == np.inf).all() and np.isnan(out[3:5]).all() and (out[5:] == 0).all()
            assert (out[2] == (0 if then else -np.inf)).all()
