"""Max pooling with compiled loops (the extra `fast`): the same maxima, places and gradients as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.kernels import pooling_loops

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = [pytest.mark.skipif(not available(), reason="loops are switched off"), pytest.mark.usefixtures("loops_of_its_own")]


def pooled(array, kernel, layout=lambda x: x, **options):
    """The maxima, their places, and the gradient of the input."""
    x = tg.tensor(array, requires_grad=True)
    pool = F.max_pool2d if array.ndim == 4 else F.max_pool1d if array.ndim == 3 else F.max_pool3d
    y, places = pool(layout(x), kernel, return_indices=True, **options)
    g = np.random.default_rng(5).integers(-9, 9, y.shape).astype(array.dtype)
    (of_x,) = tg.autograd.grad(y, x, tg.tensor(g))
    return [y.detach().numpy(), places.numpy(), of_x.numpy()]


def same(found):
    for got, want in zip(*found):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def draw(*shape, dtype=np.float32):
    return np.random.default_rng(0).integers(-5, 5, shape).astype(dtype)  # many ties


CASES = {
    "2x2": ((16, 8, 28, 28), 2, {}),
    "short rows": ((32, 8, 14, 14), 2, {}),
    "rest left over": ((8, 9, 15, 13), 2, {}),
    "one column": ((64, 64, 4, 2), 2, {}),
    "two and three columns": ((64, 16, 5, 7), (2, 3), {}),
    "overlap": ((8, 8, 17, 19), 3, {"stride": 1}),
    "padding": ((8, 8, 17, 19), 3, {"stride": 2, "padding": 1}),
    "ceil_mode": ((8, 8, 18, 20), 3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    "dilation": ((8, 8, 20, 24), (3, 2), {"stride": (1, 3), "dilation": (2, 4), "padding": (1, 0)}),
    "gaps": ((8, 8, 20, 24), 2, {"stride": 3}),
    "one tap": ((8, 8, 20, 24), 1, {"stride": 2}),
    "one dim": ((16, 8, 100), 3, {"stride": 2, "padding": 1}),
    "many taps": ((8, 8, 20, 24), 7, {}),
    "three dims": ((2, 8, 10, 10, 10), 2, {}),
    "threads": ((64, 16, 28, 28), 2, {}),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_pooling_gives_what_it_gives_without(name, dtype, both_forms):
    shape, kernel, options = CASES[name]
    array = draw(*shape, dtype=dtype)
    same(both_forms(lambda: pooled(array, kernel, **options)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["2x2", "padding", "dilation"])
def test_what_is_no_number(name, value, both_forms):
    shape, kernel, options = CASES[name]
    array = draw(*shape)
    array[np.random.default_rng(1).random(shape) < 0.2] = value
    array[0] = value
    same(both_forms(lambda: pooled(array, kernel, **options)))


LAYOUTS = {
    "transposed": ((4, 8, 24, 30), lambda x: x.transpose(2, 3)),
    "channels last": ((1, 24, 30, 16), lambda x: x.permute(0, 3, 1, 2)),
    "expanded": ((4, 1, 24, 30), lambda x: x.expand(4, 8, 24, 30)),
    "a part": ((4, 8, 40, 40), lambda x: x[:, 1:, 3:33, 5:38]),
    "every second": ((4, 8, 40, 80), lambda x: x[:, :, ::2, ::2]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, both_forms):
    shape, layout = LAYOUTS[name]
    array = draw(*shape)
    same(both_forms(lambda: pooled(array, 2, layout)))


def test_an_expanded_gradient(both_forms):
    def gradient():
        x = tg.tensor(draw(8, 8, 28, 28), requires_grad=True)
        F.max_pool2d(x, 2).sum().backward()
        return [x.grad.numpy()]

    same(both_forms(gradient))


@pytest.mark.parametrize("place", [-1, 196, 2**31 - 1])
def test_places_outside_go_to_numpy(place):
    places = np.zeros((8, 64, 49), np.int32)
    y = np.ones(places.shape, np.float32)
    assert pooling_loops.scatter_loop(y, places, 196, False) is not None
    places[3, 4, 5] = place
    assert pooling_loops.scatter_loop(y, places, 196, False) is None
