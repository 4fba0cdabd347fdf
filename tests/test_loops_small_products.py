"""Products of small matrices whose results stay in registers."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.compiler.native import function_of
from tinygrad_lite.compiler.nests import Piece

pytestmark = pytest.mark.skipif(not available(), reason="llvmlite is not installed")

SIZES = [(1, 1, 2), (1, 3, 16), (5, 1, 17), (4, 7, 32), (9, 16, 33), (32, 2, 16), (16, 32, 2), (13, 5, 70), (8, 64, 31), (3, 2, 1)]


def product(a, b, out):
    function_of([Piece("dot", out, (a, b), 0)])()
    return out


def matrices(sizes, dtype):
    draw = np.random.default_rng(0)
    rows, inner, columns = sizes
    return draw.standard_normal((rows, inner)).astype(dtype), draw.standard_normal((inner, columns)).astype(dtype)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["plain", "turned", "first turned", "second turned", "with gaps", "backwards"])
def test_products_of_all_sizes_and_layouts(sizes, dtype, layout, loops_of_its_own):
    a, b = matrices(sizes, dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    if layout in ("turned", "first turned"):
        a = np.asfortranarray(a)
    if layout in ("turned", "second turned"):
        b = np.asfortranarray(b)
    if layout == "with gaps":
        a, b = np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3], np.repeat(np.repeat(b, 3, 0), 2, 1)[::3, ::2]
    if layout == "backwards":
        a, b = a[::-1, ::-1].copy()[::-1, ::-1], b[::-1, ::-1].copy()[::-1, ::-1]
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    around = np.full((sizes[0] + 2, sizes[2] + 2), 7, dtype)
    found = product(a, b, around[1:-1, 1:-1])
    assert (np.abs(found - expected) <= 4 * np.finfo(dtype).eps * size * max(1, sizes[1]) ** 0.5).all()
    around[1:-1, 1:-1] = 7
    assert (around == 7).all()  # nothing beside the result is written


@pytest.mark.parametrize("sizes", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_empty_matrices(sizes, loops_of_its_own):
    a, b = matrices(sizes, np.float32)
    out = np.ones((sizes[0], sizes[2]), np.float32)
    assert np.array_equal(product(a, b, out), a @ b)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0])
@pytest.mark.parametrize("turned", [False, True])
def test_numbers_that_are_not_ordinary(value, turned, loops_of_its_own):
    a, b = matrices((6, 5, 18), np.float32)
    a[2, 3] = b[1, 4] = value
    a[4] = -0.0
    with np.errstate(invalid="ignore"):
        expected = a @ b
    found = product(a, np.asfortranarray(b) if turned else b, np.empty((6, 18), np.float32))
    ordinary = np.isfinite(expected)
    assert np.array_equal(np.where(ordinary, 0, found), np.where(ordinary, 0, expected), equal_nan=True)
    np.testing.assert_allclose(found[ordinary], expected[ordinary], rtol=1e-5, atol=1e-6)


def test_a_broadcast_matrix(loops_of_its_own):
    a, b = matrices((4, 5, 20), np.float32)
    row = np.broadcast_to(a[:1], (4, 5))
    np.testing.assert_allclose(product(row, b, np.empty((4, 20), np.float32)), row @ b, rtol=1e-5, atol=1e-6)
