"""Convolution and pooling: sums over windows by their definition, threads, aliasing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as tg
from tinygrad_lite.arrays import get_num_threads, set_num_threads, threads
from tinygrad_lite.nn import functional as F


@st.composite
def convolutions(draw):
    """Sizes of a two-dimensional convolution with a nonempty result."""
    small = st.integers(1, 3)
    kernel = draw(st.tuples(small, small))
    stride, dilation = draw(st.tuples(small, small)), draw(st.tuples(small, small))
    padding = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    size = [draw(st.integers(max(r - 2 * p, 1), 9)) for r, p in zip(reach, padding)]
    images, groups, inputs, outputs = draw(st.tuples(small, st.integers(1, 2), small, small))
    x, weight = (images, inputs * groups, *size), (outputs * groups, inputs, *kernel)
    return x, weight, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@settings(deadline=None, max_examples=40)
@given(convolutions(), st.integers(0, 99))
def test_a_convolution_is_what_it_is_defined_to_be(convolution, seed):
    shape, kernels, options = convolution
    draw = np.random.default_rng(seed)
    x, weight = draw.standard_normal(shape), draw.standard_normal(kernels)
    out = F.conv2d(tg.from_numpy(x), tg.from_numpy(weight), **options).numpy()
    (p, q), (s, t), (d, e) = options["padding"], options["stride"], options["dilation"]
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    inputs, outputs = kernels[1], kernels[0] // options["groups"]
    for o in range(kernels[0]):
        group = o // outputs
        for i, j in np.ndindex(out.shape[2:]):
            window = padded[:, group * inputs :, i * s :: d, j * t :: e][:, :inputs, : kernels[2], : kernels[3]]
            np.testing.assert_allclose(out[:, o, i, j], (window * weight[o]).sum(axis=(1, 2, 3)), atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(convolutions(), st.integers(0, 99))
def test_transposes_are_transposes(convolution, seed):
    """<conv(x, w), g> = <x, conv_input(g, w)> = <w, conv_weight(g, x)>"""
    shape, kernels, options = convolution
    draw = np.random.default_rng(seed)
    x, weight = (tg.from_numpy(draw.standard_normal(s)).requires_grad_() for s in (shape, kernels))
    out = F.conv2d(x, weight, **options)
    g = tg.from_numpy(draw.standard_normal(tuple(out.shape)))
    product = (out * g).sum()
    for part, gradient in zip((x, weight), tg.autograd.grad(product, (x, weight))):
        assert (part * gradient).sum().item() == pytest.approx(product.item(), rel=1e-9, abs=1e-9)


def test_threads_change_nothing():
    draw = np.random.default_rng(0)
    x, weight = (tg.from_numpy(draw.standard_normal(s)).requires_grad_() for s in ((9, 8, 40, 33), (8, 8, 3, 3)))

    def results():
        y = F.max_pool2d(F.conv2d(x, weight, padding=1), 2)
        return [y, *tg.autograd.grad(y.sum(), (x, weight))]

    before = get_num_threads()
    try:
        found = []
        for count in (1, 2, 5):
            set_num_threads(count)
            assert get_num_threads() == count
            found.append(results())
    finally:
        set_num_threads(before)
    for several in found[1:]:
        for one, other in zip(found[0], several):
            np.testing.assert_allclose(other.detach().numpy(), one.detach().numpy(), atol=1e-10)


def test_blas_gets_its_threads_back():
    blas = threads._blas()
    if blas is None:
        pytest.skip("this BLAS cannot be told how many threads to use")
    before = blas[0]()
    with pytest.raises(ZeroDivisionError), threads.one_blas_thread(), threads.one_blas_thread():
        assert blas[0]() == 1
        _ = 1 / 0
    assert blas[0]() == before


def test_an_unpadded_pointwise_convolution_does_not_alias_its_input():
    x = tg.ones(2, 3, 4, 4)
    y = F.conv2d(x, tg.ones(3, 3, 1, 1))
    y.zero_()
    assert x.sum().item() == 96


def test_inputs_may_change_after_a_pool():
    x = tg.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()
    y = x * 1
    out = F.max_pool2d(y, 2)
    y.zero_()
    out.sum().backward()
    assert x.grad.sum().item() == 4


def test_a_weight_must_not_change_after_a_convolution():
    x, weight = tg.ones(1, 1, 3, 3).requires_grad_(), tg.ones(1, 1, 2, 2).requires_grad_()
    scaled = weight * 2
    out = F.conv2d(x, scaled)
    scaled.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        out.sum().backward()
