"""Pools, padding, folds and shuffles against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import Fixed, compare, refused

F = "nn.functional."
draw = np.random.default_rng(41)


def normal(*shape):
    return draw.standard_normal(shape)


def ties(*shape):
    """Few values, so that most windows hold their maximum more than once."""
    return draw.integers(0, 3, shape).astype(np.float64)


x1, x2, x3 = normal(2, 3, 11), normal(2, 3, 7, 8), normal(2, 2, 5, 6, 4)

MAXIMA = [
    ("max_pool1d", x1, (2,), {}),
    ("max_pool1d", x1[0], (3, 2, 1), {"dilation": 2, "ceil_mode": True}),
    ("max_pool2d", x2, (2,), {}),
    ("max_pool2d", x2[0], (2,), {}),
    ("max_pool2d", x2, (3, 2, 1), {}),
    ("max_pool2d", x2, ((3, 2),), {"stride": (1, 3), "padding": (1, 0), "ceil_mode": True}),
    ("max_pool2d", x2, (2, 3), {}),
    ("max_pool2d", x2, (2, [], 1), {"dilation": (3, 2), "ceil_mode": True}),
    ("max_pool2d", x2[:0], (2,), {}),
    ("max_pool2d", normal(40, 16, 14, 15), (2,), {}),
    ("max_pool2d", normal(40, 8, 14, 15), (3, 2, 1), {}),
    ("max_pool3d", x3, (2,), {}),
    ("max_pool3d", x3[0], ((2, 3, 1), 2), {"padding": (1, 1, 0), "ceil_mode": True}),
]


@pytest.mark.parametrize("name, x, args, options", MAXIMA)
def test_maxima(name, x, args, options):
    compare(F + name, x, *args, **options)
    compare(F + name, ties(*x.shape), *args, dtype="float32", **options)
    compare(F + name, ties(*x.shape), *args, return_indices=True, **options)
    if name != "max_pool1d":
        compare(F + name, x.astype(np.int64), *args, **options, order=0)


def test_maxima_of_nan_and_infinities():
    nan, inf = np.nan, np.inf
    images = [
        [[nan, 1.0], [2.0, nan]],
        [[nan, 1.0], [2.0, 3.0]],
        [[1.0, nan], [2.0, 3.0]],
        [[-inf, -inf], [-inf, -inf]],
        [[inf, 1], [inf, 2]],
    ]
    for values in images:
        for args in ((2,), (2, 1, 1), (3, 2, 1), (2, 1, 1, 2)):
            compare(F + "max_pool2d", np.array([values]), *args)
            compare(F + "max_pool2d", np.array([values]), *args, return_indices=True)


def test_maxima_changed_in_place():
    compare(lambda m: lambda x: m.nn.functional.max_pool2d(x, 2).relu_() * 2, x2)


MEANS = [
    ("avg_pool1d", x1, (3,), {}),
    ("avg_pool1d", x1[0], (3, 2, 1, True), {}),
    ("avg_pool2d", x2, (2,), {}),
    ("avg_pool2d", x2[0], (3, 1), {}),
    ("avg_pool2d", x2, (3, 2, 1), {}),
    ("avg_pool2d", x2, (3, 2, 1, True, False), {}),
    ("avg_pool2d", x2, (3, 2, 1, True, True), {}),
    ("avg_pool2d", x2, (3, 2, 1, False, False), {}),
    ("avg_pool2d", x2, ((3, 2), (2, 3), (1, 0)), {"divisor_override": 5, "ceil_mode": True}),
    ("avg_pool2d", x2, (2,), {"divisor_override": -2}),
    ("avg_pool2d", x2[:0], (2,), {}),
    ("avg_pool3d", x3, (2,), {}),
    ("avg_pool3d", x3[0], (3, 2, 1, True, False), {}),
    ("avg_pool3d", x3, ((1, 2, 2),), {"divisor_override": 3}),
]
PARTS = [
    ("adaptive_{}_pool1d", x1, (4,)),
    ("adaptive_{}_pool1d", x1[0], ((1,),)),
    ("adaptive_{}_pool2d", x2, (3,)),
    ("adaptive_{}_pool2d", x2, (1,)),
    ("adaptive_{}_pool2d", x2[0], ((None, 5),)),
    ("adaptive_{}_pool2d", x2, ((7, 4),)),
    ("adaptive_{}_pool2d", x2, ((9, 2),)),
    ("adaptive_{}_pool2d", x2[:0], (3,)),
    ("adaptive_{}_pool3d", x3, (2,)),
    ("adaptive_{}_pool3d", x3, ((5, None, 2),)),
    ("adaptive_{}_pool3d", x3[0], ((7, 3, 3),)),
]
NORMS = [
    ("lp_pool1d", x1, (2, 3), {}),
    ("lp_pool1d", x1[0], (4.0, 3, 1), {"ceil_mode": True}),
    ("lp_pool2d", x2, (2, 3), {}),
    ("lp_pool2d", x2[0], (2, (2, 3), 2), {"ceil_mode": True}),
    ("lp_pool2d", np.abs(x2), (1.5, 2), {}),
    ("lp_pool2d", x2, (3, 2), {}),
    ("lp_pool3d", x3, (2, 2), {}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, x, args, options", MEANS)
def test_means(name, x, args, options, dtype):
    compare(F + name, x, *args, dtype=dtype, **options)


@pytest.mark.parametrize("name, x, args", PARTS)
def test_parts(name, x, args):
    compare(F + name.format("avg"), x, *args)
    compare(F + name.format("avg"), x, *args, dtype="float32")
    compare(F + name.format("max"), x, *args)
    compare(F + name.format("max"), ties(*x.shape), *args, return_indices=True, dtype="float32")


@pytest.mark.parametrize("name, x, args, options", NORMS)
def test_norms(name, x, args, options):
    compare(F + name, x, *args, **options)


def test_no_parts():
    compare(F + "adaptive_avg_pool2d", x2, (0, 2), order=0)
    compare(F + "adaptive_max_pool2d", x2, (0, 2), order=0)


def test_means_of_integers():
    compare(F + "avg_pool2d", np.arange(-8, 8).reshape(1, 4, 4), 3, 1, order=0)


def test_unpooling():
    def there_and_back(rank, output_size=None, **options):
        def call(m):
            functional = m.nn.functional
            pool, unpool = getattr(functional, f"max_pool{rank}d"), getattr(functional, f"max_unpool{rank}d")

            def run(x):
                values, indices = pool(x, return_indices=True, **options)
                return unpool(values * 2, indices, **options, output_size=output_size)

            return run

        return call

    compare(there_and_back(1, kernel_size=2), x1)
    compare(there_and_back(1, kernel_size=2, output_size=(11,)), x1[0])
    compare(there_and_back(2, kernel_size=2), x2)
    compare(there_and_back(2, kernel_size=2, output_size=x2.shape), x2)
    compare(there_and_back(2, kernel_size=3, stride=2, padding=1, output_size=(8, 8)), x2)
    compare(there_and_back(3, kernel_size=2), x3)
    indices = np.array([[[0, 3], [8, 15]]])
    compare(F + "max_unpool2d", normal(1, 2, 2), indices, 2)
    refused(F + "max_unpool2d", normal(1, 2, 2), indices + 1, 2)
    refused(F + "max_unpool2d", normal(1, 2, 2), indices - 1, 2)
    refused(F + "max_unpool2d", normal(1, 2, 2), indices[0], 2)
    refused(F + "max_unpool2d", normal(1, 2, 2), indices.astype(np.int32), 2)
    refused(F + "max_unpool2d", normal(1, 2, 2), indices, 2, output_size=(7, 5))
    refused(F + "max_unpool2d", normal(1, 2, 2), indices, 2, output_size=(1, 5, 5))


PADS = [
    (x1, (1, 2)), (x1, (0, 3)), (x1, (-2, 3)), (x1, (-1, -2)), (x1[0], (2, 0)), (x2, (1, 2, 0, 3)), (x2[0], (3, 1, 2, 2)),
    (x2, (-1, 2, 1, -2)), (x3, (1, 0, 2, 3, 1, 1)), (x3[0], (0, 0, 1, 1, 0, 0)), (x2[:0], (1, 1, 1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("x, pad", PADS)
def test_padding(x, pad, mode):
    compare(F + "pad", x, pad, mode)
    compare(F + "pad", x, list(pad), mode=mode, dtype="float32", order=1)
    compare(F + "pad", (x * 9).astype(np.int64), pad, mode, order=0)


def test_constant_padding():
    compare(F + "pad", x2, (1, 2), value=-1.5)
    compare(F + "pad", x2, (1, 2, 3, 0, 1, 1, 2, 2), "constant", 3)
    compare(F + "pad", x1, (), order=1)
    compare(F + "pad", x1, (0, 0), value=None)
    compare(F + "pad", np.arange(4), (1, 2), value=5.5, order=0)
    compare(F + "pad", np.arange(4) > 1, (1, -2), value=True, order=0)
    compare(F + "pad", np.array([1.0, 2.0]), (-1, -1))
    x = tg.ones(2, 2)
    assert tg.nn.functional.pad(x, (0, 0)).data_ptr() != x.data_ptr()


FOLDS = [
    ((2, 3, 7, 8), {"kernel_size": 3}),
    ((3, 7, 8), {"kernel_size": (2, 3), "stride": (2, 1), "padding": 1}),
    ((2, 2, 9, 8), {"kernel_size": 2, "dilation": (3, 2), "padding": (0, 1), "stride": 2}),
    ((0, 2, 4, 4), {"kernel_size": 2}),
]


@pytest.mark.parametrize("shape, options", FOLDS)
def test_folds(shape, options):
    columns = compare(F + "unfold", normal(*shape), **options)
    compare(F + "fold", normal(*columns.shape), shape[-2:], **options)


def test_shuffles():
    for name, x, factor in [
        ("pixel_shuffle", normal(2, 12, 3, 4), 2), ("pixel_shuffle", normal(9, 2, 2), 3), ("pixel_shuffle", normal(2, 3, 4, 2, 1), 2),
        ("pixel_unshuffle", normal(2, 3, 4, 6), 2), ("pixel_unshuffle", normal(1, 6, 3), 3),
        ("channel_shuffle", normal(2, 6, 3, 4), 3), ("channel_shuffle", normal(2, 6, 3), 2),
    ]:  # fmt: skip
        compare(F + name, x, factor)
        compare(name, x, factor, order=1)


REFUSED = [
    ("max_pool2d", (x2, 2), {"padding": 2}),
    ("max_pool2d", (x2, 2), {"padding": -1}),
    ("max_pool2d", (x2, 3), {"padding": 2, "dilation": 2}),
    ("max_pool1d", (x1, 3), {"padding": 2, "dilation": 2}),
    ("max_pool2d", (x2, 0), {}),
    ("max_pool2d", (x2, 2, 0), {}),
    ("max_pool2d", (x2, 9), {}),
    ("max_pool2d", (x2[0, 0], 2), {}),
    ("max_pool2d", (x2[:, :0], 2), {}),
    ("max_pool2d", (x2[:, :, :0], 2), {}),
    ("max_pool2d", (x2, (2, 2, 2)), {}),
    ("max_pool2d", (x2, 2.0), {}),
    ("max_pool2d", (x2, 2), {"dilation": 0}),
    ("max_pool2d", (x2 > 0, 2), {}),
    ("max_pool1d", (x1[:, :, :0], 2), {}),
    ("avg_pool2d", (x2, 3, 2, 2), {}),
    ("avg_pool2d", (x2, 3, 0), {}),
    ("avg_pool2d", (x2, 2), {"divisor_override": 0}),
    ("avg_pool1d", (x1[0, 0], 3), {}),
    ("avg_pool2d", (x2, 9), {}),
    ("adaptive_avg_pool2d", (x2, (2,)), {}),
    ("adaptive_avg_pool2d", (x2[0, 0], 2), {}),
    ("adaptive_avg_pool2d", (x2[:, :, :0], 2), {}),
    ("adaptive_avg_pool2d", (np.ones((1, 4, 4), np.int64), 2), {}),
    ("adaptive_avg_pool1d", (x1, -1), {}),
    ("adaptive_avg_pool1d", (x1, None), {}),
    ("adaptive_avg_pool1d", (x1, (None,)), {}),
    ("adaptive_max_pool2d", (x2, (2, 2, 2)), {}),
    ("adaptive_max_pool2d", (np.ones((1, 4, 4), np.int64), 2), {}),
    ("lp_pool2d", (x2, 2, 9), {}),
    ("lp_pool1d", (x1[0, 0], 2, 3), {}),
    ("pad", (x1[0, 0], (1, 2), "reflect"), {}),
    ("pad", (x2, (1, 2), "reflect"), {}),
    ("pad", (x1, (11, 2), "reflect"), {}),
    ("pad", (x1, (-6, -5), "reflect"), {}),
    ("pad", (x1, (12, 2), "circular"), {}),
    ("pad", (x1, (-6, -5), "replicate"), {}),
    ("pad", (x1, (1, 2), "mirror"), {}),
    ("pad", (x1, (1, 2, 3)), {}),
    ("pad", (x1[0, 0], (1, 2, 3, 4)), {}),
    ("pad", (x1, (-6, -6)), {}),
    ("pad", (x1, (1, 2), "reflect", 1), {}),
    ("pad", (x1, (1.0, 1)), {}),
    ("pad", (x1, (1.0, 1), "reflect"), {}),
    ("pad", (x1[:, :0], (1, 1), "reflect"), {}),
    ("pad", (x1[:, :, :0], (1, 1), "replicate"), {}),
    ("pad", (x1 > 0, (1, 1), "reflect"), {}),
    ("unfold", (x1[0], 2), {}),
    ("unfold", (x2, 9), {}),
    ("unfold", (x2, 0), {}),
    ("unfold", (x2, 2), {"stride": 0}),
    ("fold", (normal(1, 12, 9), (4, 4), 2), {"stride": 2}),
    ("fold", (normal(1, 11, 9), (4, 4), 2), {}),
    ("fold", (normal(1, 12, 9), (4, 0), 2), {}),
    ("pixel_shuffle", (x2, 2), {}),
    ("pixel_shuffle", (x2[0, 0], 2), {}),
    ("pixel_shuffle", (x2, 0), {}),
    ("pixel_unshuffle", (x2, 3), {}),
    ("channel_shuffle", (x2, 2), {}),
    ("channel_shuffle", (x2, 0), {}),
]


@pytest.mark.parametrize("name, args, options", REFUSED)
def test_refused(name, args, options):
    refused(F + name, *args, **options)


@pytest.mark.parametrize("rank", [2, 3])
def test_fractional_windows(rank):
    draw = np.random.default_rng(0)
    for _ in range(40):
        space = [int(n) for n in draw.integers(4, 12, rank)]
        kernel = tuple(int(n) for n in draw.integers(1, 4, rank))
        counts = tuple(int(draw.integers(1, n - k + 1)) for n, k in zip(space, kernel))
        x, samples = draw.standard_normal((2, 3, *space)), draw.random((2, 3, rank))
        options = {"return_indices": True, "_random_samples": Fixed(samples)}
        compare(f"{F}fractional_max_pool{rank}d", x, kernel, counts, order=1, **options)


def test_fractional_windows_are_drawn_and_reach_the_end():
    x = tg.arange(400.0).reshape(1, 1, 20, 20)
    layer = tg.nn.FractionalMaxPool2d(2, output_ratio=0.7)
    tg.manual_seed(0)
    first, second = layer(x), layer(x)
    tg.manual_seed(0)
    assert first.shape == (1, 1, 14, 14) and first[0, 0, -1, -1] == 399
    assert tg.equal(layer(x), first) and not tg.equal(first, second)
