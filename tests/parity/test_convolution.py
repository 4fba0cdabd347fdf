"""Convolutions and their transposes against PyTorch."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import compare, refused

F = "nn.functional."
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=:UserWarning")  # PyTorch pads such inputs itself
draw = np.random.default_rng(31)


def normal(*shape):
    return draw.standard_normal(shape)


# input, weight, options
CONVOLUTIONS = [
    ((2, 3, 7), (4, 3, 3), {}),
    ((3, 7), (4, 3, 3), {"padding": 1}),
    ((2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}),
    ((2, 3, 8), (4, 3, 4), {"padding": "same"}),
    ((2, 3, 8), (4, 3, 1), {"padding": "valid", "stride": 3}),
    ((0, 3, 8), (4, 3, 3), {}),
    ((2, 1, 6, 6), (3, 1, 3, 3), {"padding": 1}),
    ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    ((3, 6, 5), (4, 3, 3, 2), {"padding": (1, 0)}),
    ((2, 3, 6, 7), (4, 3, 3, 3), {"stride": 2, "padding": 1}),
    ((2, 3, 6, 7), (4, 3, 3, 2), {"stride": (1, 3), "padding": (3, 1), "dilation": (2, 1)}),
    ((2, 3, 6, 7), (4, 3, 4, 3), {"padding": "same", "dilation": (1, 2)}),
    ((2, 4, 6, 6), (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    ((2, 4, 6, 6), (8, 1, 3, 3), {"groups": 4, "stride": 2}),
    ((2, 4, 5, 5), (6, 2, 1, 1), {"groups": 2}),
    ((1, 3, 5, 5), (4, 3, 5, 5), {}),
    ((1, 2, 3, 3), (2, 2, 2, 2), {"padding": 4}),
    ((2, 2, 4, 5, 3), (3, 2, 2, 3, 2), {}),
    ((2, 4, 5, 4), (2, 2, 2, 3, 2), {"padding": "same"}),
    ((1, 4, 5, 5, 5), (4, 2, 3, 2, 3), {"stride": (2, 1, 2), "padding": (1, 0, 1), "dilation": (1, 2, 1), "groups": 2}),
]
TRANSPOSES = [
    ((2, 3, 7), (3, 4, 3), {}),
    ((3, 7), (3, 4, 3), {"stride": 2, "output_padding": 1}),
    ((2, 4, 5), (4, 3, 3), {"stride": 3, "padding": 1, "output_padding": 2, "dilation": 2, "groups": 2}),
    ((2, 3, 4, 5), (3, 2, 3, 2), {}),
    ((2, 3, 4, 5), (3, 2, 4, 4), {"stride": 2, "padding": 1}),
    ((3, 4, 5), (3, 2, 3, 3), {"stride": (2, 1), "padding": (0, 2), "output_padding": (1, 0)}),
    ((2, 4, 3, 3), (4, 3, 3, 3), {"dilation": 2, "output_padding": 1, "groups": 2}),
    ((1, 3, 1, 1), (3, 2, 4, 4), {"padding": 1}),
    ((1, 2, 3, 2, 3), (2, 3, 2, 2, 2), {"stride": 2, "padding": (1, 0, 0), "output_padding": (1, 0, 1)}),
    ((2, 3, 2, 2), (2, 1, 3, 3, 1), {"groups": 2}),
]


def rank(weight):
    return len(weight) - 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape, weight, options", CONVOLUTIONS)
def test_convolution(shape, weight, options, dtype):
    name = f"{F}conv{rank(weight)}d"
    compare(name, normal(*shape), normal(*weight), normal(weight[0]), dtype=dtype, rtol=3e-4, atol=3e-4, **options)
    if dtype == "float64":
        compare(name, normal(*shape), normal(*weight), **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape, weight, options", TRANSPOSES)
def test_transposed_convolution(shape, weight, options, dtype):
    name = f"{F}conv_transpose{rank(weight)}d"
    out = weight[1] * options.get("groups", 1)
    compare(name, normal(*shape), normal(*weight), normal(out), dtype=dtype, rtol=3e-4, atol=3e-4, **options)
    if dtype == "float64":
        compare(name, normal(*shape), normal(*weight), **options)


def test_more_than_one_block():
    """Images and rows in several pieces, shared among threads."""
    for shape, weight, options in [
        ((40, 6, 30, 29), (5, 6, 3, 3), {"padding": 1}),
        ((40, 6, 31, 30), (5, 6, 3, 3), {"stride": 2, "padding": 1}),
        ((1, 8, 150, 120), (4, 8, 3, 3), {"padding": 1}),
        ((1, 8, 150, 120), (4, 4, 5, 3), {"stride": (3, 2), "groups": 2}),
        ((3, 2, 5000), (4, 2, 9), {"dilation": 3}),
    ]:
        compare(f"{F}conv{rank(weight)}d", normal(*shape), normal(*weight), normal(weight[0]), order=1, **options)
    compare(F + "conv_transpose2d", normal(30, 8, 20, 30), normal(8, 5, 4, 4), normal(5), stride=2, padding=1, order=1)


def test_other_dtypes():
    compare(F + "conv2d", normal(2, 3, 6, 6), normal(4, 3, 3, 3), normal(4), dtype="float16", rtol=1e-2, atol=5e-2, order=1)
    for dtype in (np.int64, np.int32, np.uint8):
        x, weight = draw.integers(0, 3, (2, 3, 5, 5)).astype(dtype), draw.integers(0, 3, (4, 3, 2, 2)).astype(dtype)
        compare(F + "conv2d", x, weight, order=0)
        compare(F + "conv2d", x, weight, np.arange(4).astype(dtype), order=0, stride=2)


def test_ways_to_give_the_arguments():
    x, weight = normal(1, 2, 5, 5), normal(3, 2, 3, 3)
    compare(lambda m: lambda x, w: m.conv2d(input=x, weight=w, stride=[2], padding=[1, 0], dilation=(1,)), x, weight)
    compare(lambda m: lambda x, w: m.conv2d(x, w, None, 1, 1, 1, 1), x, weight)
    compare(lambda m: lambda x, w: m.conv_transpose2d(x, w.transpose(0, 1), None, 2, 1, 1, 1, 1), x, weight)


def test_layout_is_that_of_a_contiguous_tensor():
    compare(lambda m: lambda x, w: m.conv2d(x, w).view(2, -1), normal(2, 3, 6, 6), normal(4, 3, 3, 3))
    y = tg.conv2d(tg.ones(2, 3, 6, 6), tg.ones(4, 3, 3, 3))
    assert y.is_contiguous() and y.stride() == (64, 16, 4, 1)


def test_strided_inputs():
    call = lambda m: lambda x, w: m.conv2d(x.permute(0, 3, 1, 2)[:, :, ::2], w.transpose(0, 1), padding=1)
    compare(call, normal(2, 9, 6, 3), normal(3, 4, 3, 3))


x, w = np.ones((2, 2, 4, 4)), np.ones((3, 2, 3, 3))
REFUSED = [
    ("conv2d", (x, w.astype("float32")), {}),
    ("conv2d", (x, w, np.ones(3, "float32")), {}),
    ("conv2d", (x > 0, w > 0), {}),
    ("conv2d", ([1.0], w), {}),
    ("conv2d", (np.ones((1, 1, 3, 0)), np.ones((2, 1, 3, 3))), {"padding": 3}),
    ("conv2d", (x[:, :, :2, :2], w), {}),
    ("conv2d", (x, np.ones((4, 1, 3, 3))), {"groups": 3}),
    ("conv2d", (x, w[:, :1]), {"groups": 2}),
    ("conv2d", (x, w[:, :1]), {}),
    ("conv2d", (x, w, np.ones(4)), {}),
    ("conv2d", (x, w, np.ones((3, 1))), {}),
    ("conv2d", (x, w[..., 0]), {}),
    ("conv2d", (x, w[:0]), {}),
    ("conv2d", (x, w[:, :, :0]), {}),
    ("conv2d", (x[0, 0], w), {}),
    ("conv2d", (x[None], w), {}),
    ("conv2d", (x, w), {"stride": 0}),
    ("conv2d", (x, w), {"stride": (1, 2, 3)}),
    ("conv2d", (x, w), {"stride": ()}),
    ("conv2d", (x, w), {"padding": -1}),
    ("conv2d", (x, w), {"padding": 1.5}),
    ("conv2d", (x, w), {"padding": "full"}),
    ("conv2d", (x, w), {"padding": "same", "stride": 2}),
    ("conv2d", (x, w), {"dilation": 0}),
    ("conv2d", (x, w), {"groups": 0}),
    ("conv2d", (x, w, None, 1, 1, 1, True), {}),
    ("conv1d", (x, w), {}),
    ("conv3d", (x, w), {}),
    ("conv_transpose2d", (x, w), {}),
    ("conv_transpose2d", (x, w[:2]), {"output_padding": 1}),
    ("conv_transpose2d", (x, w[:2]), {"stride": 2, "output_padding": 2}),
    ("conv_transpose2d", (x, w[:2]), {"padding": "same"}),
    ("conv_transpose2d", (x[..., :1, :1], w[:2]), {"padding": 2}),
    ("conv_transpose2d", (x, w[:2], np.ones(3)), {}),
]


@pytest.mark.parametrize("name, args, options", REFUSED)
def test_refused(name, args, options):
    refused(F + name, *args, **options)


@pytest.mark.parametrize("create_graph", [False, True])
def test_results_and_gradients_can_be_viewed(create_graph):
    images = tg.ones(2, 1, 8, 8, requires_grad=True)
    assert tg.conv_transpose2d(images, tg.ones(1, 4, 4, 4), tg.ones(4), 2, 1).view(2, -1).shape == (2, 1024)
    kernel = tg.ones(4, 1, 4, 4, requires_grad=True)
    score = tg.conv2d(images, kernel, stride=2, padding=1).square().sum()
    for g in tg.autograd.grad(score, (images, kernel), create_graph=create_graph):
        assert g.view(-1).numel() == g.numel() and g.requires_grad == create_graph


def test_errors_say_what_came():
    message = "conv2d: expected 3 input channels, got 1 (input (8, 1, 28, 28), weight (16, 3, 3, 3))"
    with pytest.raises(ValueError, match=re.escape(message)):
        tg.conv2d(tg.ones(8, 1, 28, 28), tg.ones(16, 3, 3, 3))
    with pytest.raises(ValueError, match=r"conv1d: the result would be empty: the padded input \(2,\)"):
        tg.conv1d(tg.ones(1, 1, 2), tg.ones(1, 1, 3))
