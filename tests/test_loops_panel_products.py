"""Products with a matrix packed in panels (the extra `fast`): what NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lite.arrays import compiling
from tinygrad_lite.arrays.kernels.panel_products import multiply, packed, width_of

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = pytest.mark.skipif(not compiling.available(), reason="compiled loops are switched off")

DTYPES = [np.dtype(np.float32), np.dtype(np.float64)]
ROWS, INNER, COLUMNS = (1, 2, 3, 4, 5, 6, 7, 13, 31), (0, 1, 2, 3, 5, 8, 70), (1, 3, 15, 16, 17, 67)


@pytest.fixture(autouse=True, scope="module")
def _folder_of_its_own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_LITE_CACHE", str(tmp_path_factory.mktemp("loops")))
        yield


def normal(*shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_close(got, want, dtype):
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1, np.abs(want).max(initial=0)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("inner", INNER)
def test_products_of_all_sizes(inner, columns, dtype):
    matrices = normal(2, inner, columns, dtype=dtype)
    panels = packed(matrices)
    for rows in ROWS:
        x, before = normal(rows, inner, dtype=dtype, seed=1), normal(rows, columns, dtype=dtype, seed=2)
        for which in range(2):
            for add in (False, True):
                out = before.copy()
                multiply(x, panels, which, out, rows, add)
                want = x.astype(np.float64) @ matrices[which]
                assert_close(out, want + before if add else want, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("each", [1, 4, 5, 40])
def test_parts_and_what_lies_beside_the_result(each, dtype):
    matrix, x, around = normal(1, 9, 37, dtype=dtype), normal(23, 9, dtype=dtype), normal(25, 45, dtype=dtype)
    out = around.copy()
    multiply(x, packed(matrix), 0, out[1:-1, 3:40], each)
    assert_close(out[1:-1, 3:40], x @ matrix[0], dtype)
    out[1:-1, 3:40] = around[1:-1, 3:40]
    np.testing.assert_array_equal(out, around)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_strides(dtype):
    columns = 2 * width_of(dtype) + 3
    whole = normal(3, columns, 14, dtype=dtype)
    upper, lower = whole[:, :, :8].transpose(0, 2, 1), whole[:, ::-1, 12:8:-1].transpose(0, 2, 1)
    panels = packed(upper, lower)
    matrices = np.concatenate([upper, lower], 1)
    assert panels.inner == 12 and len(panels) == 3
    for x in (normal(12, 7, dtype=dtype).T, normal(7, 30, dtype=dtype)[:, 3:27:2], normal(7, 12, dtype=dtype)[::-1, ::-1]):
        out = np.empty((7, columns), dtype)
        multiply(x, panels, 1, out, 3)
        assert_close(out, x @ matrices[1], dtype)


def test_a_matrix_is_packed_in_panels():
    dtype = np.dtype(np.float32)
    width = width_of(dtype)
    matrix = normal(1, 5, width + 3, dtype=dtype)
    memory = packed(matrix).memory
    assert memory.shape == (1, 2, 5, width) and memory.ctypes.data % 64 == 0
    np.testing.assert_array_equal(memory[0, 0], matrix[0, :, :width])
    np.testing.assert_array_equal(memory[0, 1, :, :3], matrix[0, :, width:])
    assert not memory[0, 1, :, 3:].any()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nan_and_inf_stay_in_their_rows_and_columns(dtype):
    x, matrix = normal(8, 6, dtype=dtype), normal(1, 6, 19, dtype=dtype)
    x[2, 3], x[5, 0], matrix[0, 1, 18], matrix[0, 4, 7] = np.nan, np.inf, np.nan, -np.inf
    out = np.empty((8, 19), dtype)
    multiply(x, packed(matrix), 0, out, 8)
    with np.errstate(invalid="ignore"):
        want = x @ matrix[0]
    np.testing.assert_array_equal(np.isnan(out), np.isnan(want))
    np.testing.assert_array_equal(np.isposinf(out), np.isposinf(want))
    np.testing.assert_array_equal(np.isneginf(out), np.isneginf(want))
    assert_close(out[np.isfinite(want)], want[np.isfinite(want)], dtype)


def test_no_rows_and_no_columns():
    multiply(np.empty((0, 3)), packed(np.empty((1, 3, 4))), 0, np.empty((0, 4)), 1)
    multiply(np.empty((2, 3)), packed(np.empty((1, 3, 0))), 0, np.empty((2, 0)), 1)
