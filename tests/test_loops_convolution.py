"""Convolutions without column matrices (the extra `fast`): the same results and gradients as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.kernels import correlation, correlation_loops
from tinygrad_lite.arrays.kernels.correlation_ir import Registers
from tinygrad_lite.arrays.kernels.windows import Windows

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = [pytest.mark.skipif(not available(), reason="loops are switched off"), pytest.mark.usefixtures("loops_of_its_own")]


@pytest.fixture
def always(monkeypatch):
    """Loops for all sizes but empty ones."""
    monkeypatch.setattr(correlation_loops, "_SMALLEST", 1)


def same(found):
    for got, want in zip(*found, strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_array_equal(got, want)


def whole_numbers(draw, *shape, dtype=np.float32):
    """Numbers whose sums are exact in any order."""
    return draw.integers(-4, 5, shape).astype(dtype)


def three(x, weight, bias, g, w, groups):
    return [
        correlation.correlate(x, weight, bias, w, groups),
        correlation.correlate_input(g, weight, w, groups),
        correlation.correlate_weight(g, x, w, groups),
    ]


def geometry(draw, rank):
    """Windows with a result, which padding may surround in part or altogether."""
    kernel, stride, dilation = (draw.integers(1, most, rank, endpoint=True) for most in (5, 3, 2))
    size, before, after = draw.integers(1, 21, rank), draw.integers(0, 4, rank), draw.integers(0, 4, rank)
    reach = (kernel - 1) * dilation + 1
    size = np.maximum(size, reach - before - after)
    count = (size + before + after - reach) // stride + 1
    return Windows(*(tuple(map(int, sizes)) for sizes in (size, kernel, stride, dilation, before, count)))


def operands(draw, w, dtype=np.float32, most=10, images=None):
    groups = int(draw.choice([1, 1, 2, 3]))
    inputs, outputs = draw.integers(1, most, 2)
    images = int(draw.integers(0, 4)) if images is None else images
    x = whole_numbers(draw, images, groups * inputs, *w.size, dtype=dtype)
    weight = whole_numbers(draw, groups * outputs, inputs, *w.kernel, dtype=dtype)
    bias = whole_numbers(draw, groups * outputs, dtype=dtype) if draw.random() < 0.5 else None
    return x, weight, bias, whole_numbers(draw, images, groups * outputs, *w.count, dtype=dtype), w, groups


@pytest.mark.parametrize("seed", range(120))
def test_any_geometry(seed, always, both_forms, monkeypatch):
    draw = np.random.default_rng(seed)
    if seed % 3:  # several blocks of rows, and of terms
        monkeypatch.setattr(correlation_loops, "_BLOCK", 2000)
        monkeypatch.setattr(correlation_loops, "_CACHED", 2000)
    given = operands(draw, geometry(draw, 1 + seed % 2), np.float64 if seed % 5 == 0 else np.float32)
    same(both_forms(lambda: three(*given)))


@pytest.mark.parametrize("size", [Registers(16, 12), Registers(16, 24), Registers(32, 12), Registers(64, 24)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_vectors_of_other_processors(size, dtype, always, both_forms, monkeypatch):
    monkeypatch.setattr(correlation_loops, "registers", lambda: size)
    for seed in range(200, 212):
        draw = np.random.default_rng(seed)
        given = operands(draw, geometry(draw, 2), dtype, most=40)
        same(both_forms(lambda given=given: three(*given)))


def convolved(array, weight, layout=lambda x: x, function=F.conv2d, **options):
    """The result and both gradients."""
    x, weight = tg.tensor(array, requires_grad=True), tg.tensor(weight, requires_grad=True)
    y = function(layout(x), weight, **options)
    g = tg.tensor(whole_numbers(np.random.default_rng(5), *y.shape, dtype=array.dtype))
    return [y.detach().numpy(), *(part.numpy() for part in tg.autograd.grad(y, (x, weight), g))]


CASES = {
    "3x3": ((8, 8, 28, 28), (16, 8, 3, 3), {"padding": 1}),
    "one channel": ((8, 1, 28, 28), (16, 1, 3, 3), {"padding": 1}),
    "short rows": ((8, 16, 7, 7), (12, 16, 3, 3), {"padding": 1}),
    "many terms": ((3, 80, 14, 14), (8, 80, 3, 3), {"padding": 1}),
    "many terms in short rows": ((3, 80, 6, 5), (24, 80, 3, 3), {"padding": 1}),
    "many rows": ((2, 64, 90, 70), (4, 64, 3, 3), {"padding": 1}),
    "pointwise": ((4, 32, 15, 13), (24, 32, 1, 1), {}),
    "pointwise, many terms": ((4, 600, 15, 13), (5, 600, 1, 1), {}),
    "pointwise, stride 2": ((4, 32, 16, 14), (24, 32, 1, 1), {"stride": 2}),
    "stride 2": ((4, 16, 28, 28), (24, 16, 3, 3), {"stride": 2, "padding": 1}),
    "7x7": ((2, 3, 64, 64), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
    "same": ((4, 8, 20, 20), (8, 8, 4, 2), {"padding": "same"}),
    "unpadded": ((4, 6, 20, 20), (16, 6, 5, 5), {}),
    "groups": ((4, 32, 14, 14), (32, 4, 3, 3), {"padding": 1, "groups": 8}),
    "depthwise": ((4, 32, 28, 28), (32, 1, 3, 3), {"padding": 1, "groups": 32}),
    "depthwise, stride 2": ((4, 32, 28, 28), (64, 1, 3, 3), {"padding": 1, "groups": 32, "stride": 2}),
    "dilation": ((4, 8, 30, 30), (8, 8, 3, 3), {"dilation": 2, "padding": 2}),
    "one image": ((1, 16, 56, 56), (16, 16, 3, 3), {"padding": 1}),
    "gaps": ((4, 8, 30, 30), (8, 8, 2, 2), {"stride": 3}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_convolution_gives_what_it_gives_without(name, dtype, both_forms):
    draw, (shape, kernels, options) = np.random.default_rng(0), CASES[name]
    x, weight = whole_numbers(draw, *shape, dtype=dtype), whole_numbers(draw, *kernels, dtype=dtype)
    bias = tg.tensor(whole_numbers(draw, len(weight), dtype=dtype))
    same(both_forms(lambda: convolved(x, weight, bias=bias, **options)))


@pytest.mark.parametrize("stride", [1, 2])
def test_transposed_convolution(stride, both_forms):
    draw = np.random.default_rng(0)
    x, weight = whole_numbers(draw, 4, 16, 15, 17), whole_numbers(draw, 16, 8, 4, 3)
    same(both_forms(lambda: convolved(x, weight, function=F.conv_transpose2d, stride=stride, padding=1, output_padding=stride - 1)))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads(threads, both_forms):
    draw, before = np.random.default_rng(0), tg.get_num_threads()
    try:
        tg.set_num_threads(threads)
        for images in (1, 2, 7, 64):
            x, weight = whole_numbers(draw, images, 8, 20, 14), whole_numbers(draw, 16, 8, 3, 3)
            same(both_forms(lambda x=x, weight=weight: convolved(x, weight, padding=1)))
    finally:
        tg.set_num_threads(before)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_no_number_stays_in_its_windows(seed, value, always, both_forms):
    draw = np.random.default_rng(300 + seed)
    x, weight, bias, g, w, groups = operands(draw, geometry(draw, 2), images=2)
    for array in (x, g):
        array.flat[draw.integers(0, array.size, 2)] = value
    with np.errstate(invalid="ignore"):
        same(both_forms(lambda: three(x, weight, bias, g, w, groups)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_no_number(value, both_forms):
    draw = np.random.default_rng(0)
    x, weight = whole_numbers(draw, 4, 8, 14, 14), whole_numbers(draw, 6, 8, 3, 3)
    weight[2, 3, 1, 1] = value
    with np.errstate(invalid="ignore"):
        same(both_forms(lambda: convolved(x, weight)))


LAYOUTS = {
    "transposed": ((4, 8, 24, 30), lambda x: x.transpose(2, 3)),
    "channels last": ((4, 24, 30, 8), lambda x: x.permute(0, 3, 1, 2)),
    "expanded": ((1, 8, 24, 30), lambda x: x.expand(4, 8, 24, 30)),
    "a part": ((4, 10, 40, 40), lambda x: x[:, 1:9, 3:33, 5:38]),
    "every second": ((4, 8, 40, 80), lambda x: x[:, :, ::2, ::2]),
    "every second row": ((4, 16, 40, 40), lambda x: x[:, ::2, ::2]),
}


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, padding, kernel, both_forms):
    draw, (shape, layout) = np.random.default_rng(0), LAYOUTS[name]
    x, weight = whole_numbers(draw, *shape), whole_numbers(draw, 8, 8, kernel, kernel)
    same(both_forms(lambda: convolved(x, weight, layout, padding=padding)))


def test_backwards_and_expanded_arrays(always, both_forms):
    draw = np.random.default_rng(0)
    w = Windows((20, 18), (3, 3), (1, 1), (1, 1), (1, 1), (20, 18))
    x, weight, g = whole_numbers(draw, 3, 4, 20, 18), whole_numbers(draw, 4, 4, 3, 3), whole_numbers(draw, 3, 4, 20, 18)
    for turn in (np.s_[::-1], np.s_[:, ::-1], np.s_[:, :, ::-1], np.s_[..., ::-1]):
        same(both_forms(lambda turn=turn: three(x[turn], weight[turn], None, g[turn], w, 1)))
    ones = np.broadcast_to(np.float32(1), g.shape)
    same(both_forms(lambda: three(ones, weight, np.broadcast_to(np.float32(2), 4), ones, w, 1)))


@pytest.mark.parametrize("shape", [(0, 4, 9, 9), (0, 4, 9)])
def test_no_images(shape, always, both_forms):
    draw, function = np.random.default_rng(0), F.conv2d if len(shape) == 4 else F.conv1d
    weight = whole_numbers(draw, 5, 4, *(3,) * (len(shape) - 2))
    same(both_forms(lambda: convolved(np.zeros(shape, np.float32), weight, function=function, padding=1)))


def test_long_sums_are_as_accurate_as_without(both_forms):
    draw = np.random.default_rng(0)
    w = Windows((14, 14), (3, 3), (1, 1), (1, 1), (1, 1), (14, 14))
    x, weight, g = (draw.standard_normal(shape) for shape in ((8, 256, 14, 14), (16, 256, 3, 3), (8, 16, 14, 14)))
    exact = three(x, weight, None, g, w, 1)
    found = both_forms(lambda: three(*(a.astype(np.float32) for a in (x, weight)), None, g.astype(np.float32), w, 1))
    for want, *forms in zip(exact, *found):
        direct, by_columns = (np.sqrt(np.square(form - want).mean()) for form in forms)
        assert direct < 2 * by_columns
