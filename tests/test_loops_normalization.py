"""Batch and group normalization with compiled loops (the extra `fast`): the same numbers as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.arrays.compiling import available

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = [pytest.mark.skipif(not available(), reason="loops are switched off"), pytest.mark.usefixtures("loops_of_its_own")]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * 2 + 3


def normalized(make, array, dtype, layout=lambda x: x):
    """The result, the gradients of input and parameters, and the buffers."""
    x = tg.tensor(array.astype(dtype), requires_grad=True)
    module = make().to(tg.float64 if dtype == np.float64 else tg.float32)
    parameters = list(module.parameters())
    for i, p in enumerate(parameters):
        p.data = tg.tensor(draw(*p.shape, seed=i + 1).astype(dtype))
    y = module(layout(x))
    weight = tg.tensor(draw(*y.shape, seed=9).astype(dtype) - 3)
    gradients = tg.autograd.grad((y * weight).sum(), [x, *parameters])
    return [a.detach().numpy() for a in (y, *gradients, *module.buffers())]


def agree(found, dtype):
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    for got, want in zip(*found):
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * max(1, float(np.abs(want).max(initial=0))))


MODULES = {
    "batch norm": (lambda: nn.BatchNorm2d(16), (8, 16, 14, 14)),
    "short channels": (lambda: nn.BatchNorm2d(40), (32, 40, 3, 2)),
    "long channels": (lambda: nn.BatchNorm2d(2), (2, 2, 150, 150)),
    "vectors": (lambda: nn.BatchNorm1d(100), (64, 100)),
    "blocks": (lambda: nn.BatchNorm2d(8), (40, 8, 32, 31)),
    "without weight": (lambda: nn.BatchNorm2d(16, affine=False), (8, 16, 14, 14)),
    "evaluation": (lambda: nn.BatchNorm2d(16).eval(), (8, 16, 14, 14)),
    "evaluation without weight": (lambda: nn.BatchNorm2d(16, affine=False).eval(), (8, 16, 14, 14)),
    "group norm": (lambda: nn.GroupNorm(4, 16), (8, 16, 14, 14)),
    "group norm, short": (lambda: nn.GroupNorm(2, 64), (64, 64)),
    "group norm, blocks": (lambda: nn.GroupNorm(4, 16), (20, 16, 30, 30)),
    "group norm without weight": (lambda: nn.GroupNorm(4, 16, affine=False), (8, 16, 14, 14)),
    "one group": (lambda: nn.GroupNorm(1, 16), (8, 16, 14, 14)),
    "instance norm": (lambda: nn.InstanceNorm2d(16, affine=True), (8, 16, 14, 14)),
    "instance norm without weight": (lambda: nn.InstanceNorm2d(16), (8, 16, 14, 14)),
    "rms norm": (lambda: nn.RMSNorm(70), (64, 70)),
    "no samples": (lambda: nn.GroupNorm(4, 16), (0, 16, 14, 14)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MODULES)
def test_normalization_gives_what_it_gives_without(name, dtype, both_forms):
    make, shape = MODULES[name]
    array = draw(*shape)
    agree(both_forms(lambda: normalized(make, array, dtype)), dtype)


LAYOUTS = {"channels last": lambda x: x.permute(0, 3, 1, 2), "transposed": lambda x: x.transpose(2, 3), "a part": lambda x: x[1:, :, 2:]}


@pytest.mark.parametrize("make", [lambda: nn.BatchNorm2d(16), lambda: nn.GroupNorm(4, 16)], ids=["batch norm", "group norm"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, make, both_forms):
    array = draw(8, 16, 16, 16)
    agree(both_forms(lambda: normalized(make, array, np.float32, LAYOUTS[name])), np.float32)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_stays_in_its_channel(value, both_forms):
    array = draw(8, 16, 14, 14)
    array[3, 5, 7, 7] = value
    with np.errstate(all="ignore"):
        for got, want in zip(*both_forms(lambda: normalized(lambda: nn.BatchNorm2d(16), array, np.float32))):
            np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))


def test_a_bias_without_a_weight(both_forms):
    def make():
        module = nn.GroupNorm(4, 16)
        module.weight = None
        return module

    agree(both_forms(lambda: normalized(make, draw(8, 16, 14, 14), np.float32)), np.float32)
