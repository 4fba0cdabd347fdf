"""Histograms against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.parity.compare import Fixed, compare, refused  # noqa: E402

draw = np.random.default_rng(3)
values = draw.normal(size=(4, 5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("density", [False, True])
def test_histogram(dtype, density):
    weight = draw.uniform(size=(4, 5))
    edges = np.array([-1.0, -0.3, 0.0, 2.0])
    for bins, options in ((5, {}), (1, {}), (7, {"range": (-1.0, 1.5)}), (edges, {}), (3, {"range": (0.5, 0.5)})):
        given = {**options, "density": density}
        compare("histogram", Fixed(values), bins, dtype=dtype, order=0, **given)
        compare("histogram", Fixed(values), bins, dtype=dtype, order=0, weight=Fixed(weight), **given)
        compare(lambda m: m.Tensor.histogram, Fixed(values), bins, dtype=dtype, order=0, **given)
    for array in (np.zeros(0), np.array([1.0, 1.0]), np.array(2.0)):
        compare("histogram", Fixed(array), 2, order=0)


def test_histogram_of_points():
    points = draw.normal(size=(6, 2))
    weight = draw.uniform(size=6)
    edges = [np.array([-1.0, 0.0, 1.0]), np.array([-2.0, 0.5, 0.7, 2.0])]
    for bins, options in (([2, 3], {}), (2, {"range": (-1.0, 1.0, -2.0, 2.0)}), (edges, {})):
        for more in ({}, {"density": True}, {"weight": Fixed(weight)}):
            compare("histogramdd", Fixed(points), bins, order=0, **options, **more)


def test_what_is_no_histogram_is_refused():
    x = Fixed([1.0, 2.0])
    for args, options in (
        ((np.array([1, 2]), 2), {}), ((Fixed([1.0, np.nan]), 2), {}), ((x, 2), {"range": (2.0, 1.0)}), ((x, 0), {}),
        ((x, 2), {"weight": Fixed([1.0])}), ((x, np.ones((2, 2))), {}), ((x, np.ones(2, np.float32)), {}),
    ):  # fmt: skip
        refused("histogram", *args, **options)
    refused("histogramdd", Fixed(np.ones((3, 2))), [2])
    refused("histogramdd", x, [2])
