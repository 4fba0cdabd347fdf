"""Sums over windows with compiled loops (the extra `fast`): average pooling, folding and interpolation, forward and back, give
what they give without, up to rounding."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite.arrays.compiling import available

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = [pytest.mark.skipif(not available(), reason="loops are switched off"), pytest.mark.usefixtures("loops_of_its_own")]


def results(function, array, layout=lambda x: x):
    """What the function gives, and the gradient of its input."""
    x = tg.tensor(array, requires_grad=True)
    y = function(layout(x))
    g = np.random.default_rng(5).integers(-9, 9, y.shape).astype(array.dtype)
    (of_x,) = tg.autograd.grad(y, x, tg.tensor(g))
    return [y.detach().numpy(), of_x.numpy()]


def close(found):
    for got, want in zip(*found):
        assert got.dtype == want.dtype and got.shape == want.shape
        scale = np.abs(want[np.isfinite(want)]).max(initial=1)
        np.testing.assert_allclose(got, want, rtol=0, atol=8 * np.finfo(want.dtype).eps * scale)


def draw(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


AVERAGES = {
    "2x2": ((16, 8, 28, 28), 2, {}),
    "short rows": ((32, 8, 14, 14), 2, {}),
    "rest left over": ((8, 9, 15, 13), 2, {}),
    "two and three columns": ((64, 16, 5, 7), (2, 3), {}),
    "one column": ((64, 64, 4, 2), 2, {}),
    "overlap": ((8, 8, 17, 19), 3, {"stride": 1}),
    "padding": ((8, 8, 17, 19), 3, {"stride": 2, "padding": 1}),
    "padding apart": ((8, 8, 17, 19), 3, {"stride": 1, "padding": 1, "count_include_pad": False}),
    "ceil_mode": ((8, 8, 18, 20), 3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    "divisor": ((8, 8, 20, 24), (3, 4), {"stride": (2, 1), "padding": (1, 2), "divisor_override": 5}),
    "three columns, rest left over": ((8, 8, 20, 26), (2, 3), {}),
    "nine columns": ((8, 8, 20, 27), (2, 9), {}),
    "gaps": ((8, 8, 20, 24), 2, {"stride": 3}),
    "one tap": ((8, 8, 20, 24), 1, {"stride": 2}),
    "wide": ((4, 4, 40, 60), 20, {"stride": 7}),
    "one dim": ((16, 8, 100), 3, {"stride": 2, "padding": 1}),
    "three dims": ((2, 8, 10, 10, 10), 2, {}),
    "threads": ((64, 16, 28, 28), 2, {}),
    "threads, overlapping": ((64, 16, 28, 28), 3, {"stride": 2, "padding": 1}),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", AVERAGES)
def test_average_pooling(name, dtype, both_forms):
    shape, kernel, options = AVERAGES[name]
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(shape) - 3]
    close(both_forms(lambda: results(lambda x: pool(x, kernel, **options), draw(*shape, dtype=dtype))))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0])
@pytest.mark.parametrize("name", ["2x2", "padding", "padding apart", "gaps"])
def test_what_is_no_number(name, value, both_forms):
    shape, kernel, options = AVERAGES[name]
    array = draw(*shape)
    array[np.random.default_rng(1).random(shape) < 0.2] = value
    close(both_forms(lambda: results(lambda x: F.avg_pool2d(x, kernel, **options), array)))


FOLDS = {
    "3x3": ((16, 9 * 4, 100), (10, 10), 3, {"padding": 1}),
    "2x2": ((16, 4 * 8, 48), (12, 16), 2, {"stride": 2}),
    "rest left over": ((32, 4 * 8, 48), (13, 17), 2, {"stride": 2}),
    "dilation": ((16, 6 * 8, 10 * 7), (12, 13), (3, 2), {"dilation": (2, 3), "padding": (1, 2), "stride": (1, 2)}),
    "threads": ((16, 9 * 16, 784), (28, 28), 3, {"padding": 1}),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", FOLDS)
def test_folding(name, dtype, both_forms):
    shape, size, kernel, options = FOLDS[name]
    close(both_forms(lambda: results(lambda x: F.fold(x, size, kernel, **options), draw(*shape, dtype=dtype))))


def test_unfolding(both_forms):
    close(both_forms(lambda: results(lambda x: F.unfold(x, 3, padding=1, stride=2), draw(8, 8, 21, 18))))


RESIZED = {
    "twice": ((4, 8, 28, 28), {"scale_factor": 2}),
    "half": ((4, 8, 28, 30), {"scale_factor": 0.5}),
    "odd": ((4, 8, 17, 23), {"size": (31, 9)}),
    "rows alone": ((8, 16, 17, 23), {"size": (31, 23)}),
    "two columns": ((16, 64, 9, 2), {"size": (31, 3)}),
    "to one": ((16, 8, 24, 24), {"size": 1}),
    "threads": ((16, 8, 40, 48), {"scale_factor": 1.5}),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
@pytest.mark.parametrize("name", RESIZED)
def test_interpolation(name, mode, dtype, both_forms):
    shape, options = RESIZED[name]
    close(both_forms(lambda: results(lambda x: F.interpolate(x, mode=mode, **options), draw(*shape, dtype=dtype))))


@pytest.mark.parametrize("options", [{"align_corners": True}, {"antialias": True}])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("name", RESIZED)
def test_weights_of_interpolation(name, mode, options, both_forms):
    shape, sizes = RESIZED[name]
    close(both_forms(lambda: results(lambda x: F.interpolate(x, mode=mode, **sizes, **options), draw(*shape))))


@pytest.mark.parametrize("shape, size", [((32, 16, 100), 37), ((16, 8, 28, 28), (5, 9)), ((2, 4, 9, 20, 20), (4, 7, 3))])
def test_adaptive_pooling(shape, size, both_forms):
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[len(shape) - 3]
    close(both_forms(lambda: results(lambda x: pool(x, size), draw(*shape))))


def test_infinite_elements_reach_only_the_results_they_count_in():
    x = draw(16, 8, 28, 28)
    x[:, :, 3, 4] = np.inf
    y = F.interpolate(tg.tensor(x), scale_factor=2, mode="bilinear").numpy()
    assert np.isinf(y[:, :, 5:9, 7:11]).all() and np.isinf(y).sum() == 16 * 8 * 16 and not np.isnan(y).any()


LAYOUTS = {
    "transposed": ((4, 8, 24, 30), lambda x: x.transpose(2, 3)),
    "channels last": ((4, 24, 30, 16), lambda x: x.permute(0, 3, 1, 2)),
    "expanded": ((4, 1, 24, 30), lambda x: x.expand(4, 8, 24, 30)),
    "a part": ((4, 8, 40, 40), lambda x: x[:, 1:, 3:33, 5:38]),
    "every second": ((4, 8, 40, 80), lambda x: x[:, :, ::2, ::2]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, both_forms):
    shape, layout = LAYOUTS[name]
    close(both_forms(lambda: results(lambda x: F.avg_pool2d(x, 3, 2, 1), draw(*shape), layout)))


def test_one_thread_gives_what_two_give():
    threads, array = tg.get_num_threads(), draw(64, 16, 28, 28)
    found = []
    try:
        for count in (1, 2, 3):
            tg.set_num_threads(count)
            found.append(results(lambda x: F.avg_pool2d(x, 3, 2, 1), array))
    finally:
        tg.set_num_threads(threads)
    for others in found[1:]:
        for a, b in zip(found[0], others):
            np.testing.assert_array_equal(a, b)
