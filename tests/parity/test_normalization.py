"""Normalization against PyTorch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import Fixed, compare, refused, torch

F = "nn.functional."
draw = np.random.default_rng(41)


def normal(*shape):
    return draw.standard_normal(shape)


both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
SHAPES = [(4, 6), (2, 3, 4), (2, 6, 3, 4), (2, 3, 2, 3, 2)]


@both_dtypes
@pytest.mark.parametrize("shape", [*SHAPES, (5,), (0, 4), (3, 0)])
def test_layer_norm(shape, dtype):
    last = shape[-1:]
    if 0 in shape:  # PyTorch fails to differentiate these by weight
        compare(F + "layer_norm", normal(*shape), last, dtype=dtype, order=1)
        return
    limits = {"rtol": 2e-4, "atol": 2e-4} if dtype == "float32" else {}
    compare(F + "layer_norm", normal(*shape), last, dtype=dtype, **limits)
    compare(F + "layer_norm", normal(*shape), last, normal(*last), normal(*last), dtype=dtype, **limits)
    compare(F + "layer_norm", normal(*shape), list(last), normal(*last), eps=0.1, dtype=dtype, **limits)
    compare(F + "layer_norm", normal(*shape), last, None, normal(*last), dtype=dtype, order=1, **limits)  # PyTorch fails at 2
    compare("layer_norm", normal(*shape) + 10, shape[1:] or shape, dtype=dtype, **limits)
    compare(F + "rms_norm", normal(*shape), last, normal(*last), dtype=dtype, **limits)
    compare("rms_norm", normal(*shape), shape[1:] or shape, eps=0.1, dtype=dtype, **limits)


@both_dtypes
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm(shape, dtype):
    c = shape[1]
    limits = {"rtol": 2e-4, "atol": 2e-4} if dtype == "float32" else {}
    means, variances = Fixed(normal(c)), Fixed(draw.uniform(0.5, 2, c))
    compare(F + "batch_norm", normal(*shape), means, variances, dtype=dtype, order=1)  # PyTorch fails at the second
    compare(F + "batch_norm", normal(*shape), means, variances, normal(c), normal(c), eps=0.1, dtype=dtype)
    compare(F + "batch_norm", normal(*shape), None, None, training=True, dtype=dtype, **limits)
    compare(F + "batch_norm", normal(*shape), None, None, normal(c), normal(c), True, dtype=dtype, **limits)
    compare(F + "batch_norm", normal(*shape) + 5, means, variances, normal(c), None, True, 0.3, 0.01, dtype=dtype, **limits)
    compare("batch_norm", normal(*shape), normal(c), normal(c), means, variances, True, 0.1, 1e-5, False, dtype=dtype, **limits)


@pytest.mark.parametrize("shape", SHAPES)
def test_running_statistics(shape):
    def library(m):
        def call(x, means, variances):
            m.nn.functional.batch_norm(x, means, variances, training=True, momentum=0.3)
            if x.ndim > 2:
                m.nn.functional.instance_norm(x * 2, means, variances, momentum=0.2)
            return means, variances

        return call

    c = shape[1]
    compare(library, normal(*shape) + 3, Fixed(normal(c)), Fixed(draw.uniform(0.5, 2, c)), order=0)
    compare(library, normal(*shape) + 3, Fixed(normal(c)), Fixed(draw.uniform(0.5, 2, c)), order=0, dtype="float32")


@pytest.mark.parametrize("shape", [(2, 3, 5000), (3, 2, 70, 70)])
def test_channels_of_many_elements(shape):
    c = shape[1]
    means, variances = Fixed(normal(c)), Fixed(draw.uniform(0.5, 2, c))
    x, weight, bias = normal(*shape), normal(c), normal(c)
    compare(F + "batch_norm", x, means, variances, weight, bias, order=1)
    compare(F + "batch_norm", x, means, variances, Fixed(weight), Fixed(bias), order=1)
    compare(F + "batch_norm", x, means, variances, weight, bias, True, order=1)
    compare(F + "group_norm", x, c, weight, bias, order=1)


def test_a_step_in_training_between_forward_and_backward_of_evaluation():
    """The gradient belongs to the running statistics that the result was calculated with."""
    x, weight = tg.tensor(normal(4, 3), requires_grad=True), tg.tensor(normal(3), requires_grad=True)
    means, variances = tg.tensor(normal(3)), tg.tensor(draw.uniform(0.5, 2, 3))
    first = tg.autograd.grad(tg.nn.functional.batch_norm(x, means, variances, weight).sum(), (x, weight))
    out = tg.nn.functional.batch_norm(x, means, variances, weight)
    tg.nn.functional.batch_norm(x.detach() * 3 + 1, means, variances, training=True, momentum=0.5)
    for a, b in zip(first, tg.autograd.grad(out.sum(), (x, weight))):
        assert a.tolist() == b.tolist()


@both_dtypes
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_instance_and_group_norm(shape, dtype):
    c = shape[1]
    limits = {"rtol": 3e-4, "atol": 3e-4} if dtype == "float32" else {}
    compare(F + "instance_norm", normal(*shape), dtype=dtype, order=1, **limits)
    compare(F + "instance_norm", normal(*shape), None, None, normal(c), normal(c), dtype=dtype, **limits)
    means, variances = Fixed(normal(c)), Fixed(draw.uniform(0.5, 2, c))
    compare(F + "instance_norm", normal(*shape), means, variances, normal(c), None, False, dtype=dtype, order=1, **limits)
    for groups in (1, c, 3):
        compare(F + "group_norm", normal(*shape), groups, dtype=dtype, **limits)
        compare("group_norm", normal(*shape), groups, normal(c), normal(c), dtype=dtype, **limits)
        compare(F + "group_norm", normal(*shape), groups, normal(c), None, 0.1, dtype=dtype, **limits)


def test_group_norm_of_a_matrix():
    compare(F + "group_norm", normal(3, 6), 2, normal(6))
    compare(F + "group_norm", normal(0, 6, 2), 2)
    compare(F + "batch_norm", normal(0, 4), None, None, training=True)


@pytest.mark.parametrize("shape", [(0, 3), (2, 3, 0), (0, 3, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_statistics_of_no_elements(shape, training):
    def library(name):
        def call(m):
            def normalized(x, means, variances):
                return getattr(m.nn.functional, name)(x, means, variances, None, None, training, 0.5), means, variances

            return normalized

        return call

    statistics = Fixed(normal(3)), Fixed(draw.uniform(0.5, 2, 3))
    compare(library("batch_norm"), normal(*shape), *statistics)
    if shape[-1] == 0:
        compare(library("instance_norm"), normal(*shape), *statistics)


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
@pytest.mark.parametrize("of_x", ["float16", "float32", "float64"])
@pytest.mark.parametrize("of_weight", ["float16", "float32", "float64"])
def test_parameters_of_another_dtype(of_x, of_weight):
    """float32 goes with float16, and with rms_norm everything; else all have one dtype."""
    x, images, weight = normal(4, 6).astype(of_x), normal(2, 6, 9).astype(of_x), np.abs(normal(6)).astype(of_weight) + np.array(0.5, of_weight)
    together = of_x == of_weight or (of_x, of_weight) == ("float16", "float32")
    check = partial(compare, order=0, rtol=2e-3, atol=2e-3) if together else refused
    check(F + "batch_norm", x, None, None, weight, weight, True)
    check(F + "batch_norm", x, Fixed(weight), Fixed(weight))
    check(F + "group_norm", x, 2, weight, weight)
    check(F + "instance_norm", images, None, None, weight, weight)
    check(F + "layer_norm", x, (6,), weight)
    compare(F + "rms_norm", x, (6,), weight, 1e-3, order=0, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(shape, size):
    compare(F + "local_response_norm", normal(*shape), size)
    compare(F + "local_response_norm", normal(*shape), size, alpha=0.3, beta=0.5, k=2.0, dtype="float32")


def test_refusals():
    x, ints = normal(3, 4), np.ones((3, 4), int)
    refused(F + "layer_norm", x, (3,))
    refused(F + "layer_norm", x, 4)
    refused(F + "layer_norm", x, ())
    refused(F + "layer_norm", ints, (4,))
    refused(F + "layer_norm", x, (4,), normal(3))
    refused(F + "layer_norm", x, (4,), normal(4).astype("float32"))
    refused(F + "rms_norm", x, (3,))
    refused(F + "rms_norm", ints, (4,))
    refused(F + "batch_norm", x[:1], None, None, training=True)
    refused(F + "batch_norm", x, None, None)
    refused(F + "batch_norm", x[0], None, None, training=True)
    refused(F + "batch_norm", ints, None, None, training=True)
    refused(F + "batch_norm", x, Fixed(np.zeros(3)), Fixed(np.ones(3)))
    refused(F + "batch_norm", x, Fixed(np.zeros(4)), Fixed(np.ones(4)), np.ones(3))
    refused(F + "group_norm", x, 3)
    refused(F + "group_norm", x[0], 2)
    refused(F + "group_norm", normal(1, 2), 2)
    refused(F + "instance_norm", normal(2, 3, 1))
    refused(F + "instance_norm", normal(2, 3, 4), use_input_stats=False)
    refused(F + "local_response_norm", x, 2)
    refused(F + "local_response_norm", normal(2, 3, 4), 0)


def test_a_layer_far_from_zero_keeps_its_digits():
    x = (normal(64, 32) + 1000).astype("float32")
    exact = torch.nn.functional.layer_norm(torch.from_numpy(x.astype("float64")), (32,)).numpy()
    np.testing.assert_allclose(tg.layer_norm(tg.from_numpy(x), (32,)).numpy(), exact, atol=1e-3)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (2, 3, 0), (2, 0), (2, 0, 3), (0, 0), (0, 3, 2, 2)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("running", [True, False])
def test_batch_norm_of_nothing(shape, training, running):
    channels = shape[1]
    statistics = [Fixed(np.zeros(channels)), Fixed(np.ones(channels))] if running else [None, None]
    vectors = [np.ones(channels), np.zeros(channels)] if channels else [None, None]  # else PyTorch asks for the first element
    compare(F + "batch_norm", np.zeros(shape), *statistics, *vectors, training)
    compare(F + "batch_norm", np.zeros(shape), *statistics, None, None, training)


@pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
def test_batch_norm_of_nothing_leaves_the_running_statistics(library):
    norm = library.nn.BatchNorm1d(3)
    norm(library.zeros(0, 3)).sum().backward()
    assert (norm.running_mean.tolist(), norm.running_var.tolist()) == ([0, 0, 0], [1, 1, 1])
    assert norm.weight.grad.tolist() == [0, 0, 0]
