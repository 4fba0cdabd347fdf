"""Sorting, ranks, searching, and cumulative operations, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.compare import compare, refused

torch = pytest.importorskip("torch")

draw = np.random.default_rng(22)
CUBE = draw.standard_normal((3, 4, 2))
TIES = np.round(CUBE)
INTEGERS = draw.integers(-3, 4, (3, 4, 2))
MANY = np.round(draw.standard_normal((4, 800)), 1)  # enough for the sort by integer keys
POINT = np.array(0.7)
nan, inf = np.nan, np.inf
SPECIAL = np.array([1.0, nan, -inf, 0.0, -0.0, inf, nan, 2.0])
DTYPES = [np.float16, np.float32, np.float64, np.uint8, np.int8, np.int16, np.int32, np.int64]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", ["sort", "argsort"])
def test_sorting(name, descending):
    for x in (CUBE, TIES, TIES.transpose(2, 0, 1)):
        for dim in (0, 1, -1):
            compare(name, x, dim=dim, descending=descending, stable=True)
    compare(name, SPECIAL, descending=descending, stable=True, order=0)
    compare(name, np.repeat(SPECIAL, 500), descending=descending, stable=True, order=0)
    compare(name, POINT, 0, descending)
    compare(name, np.zeros((2, 0)), descending=descending)
    for dtype in DTYPES:
        compare(name, (10 * np.abs(MANY)).astype(dtype), descending=descending, stable=True, order=0)
        compare(name, (10 * np.abs(MANY)).astype(dtype), dim=0, descending=descending, stable=True, order=0)
    compare(name, MANY > 0, descending=descending, stable=True)
    compare(name, draw.integers(-(2**60), 2**60, 3000), descending=descending, stable=True)
    compare(name, draw.integers(0, 2**63, 3000).astype(np.uint64) * np.uint64(2), descending=descending, stable=True)


def test_sorting_as_a_method():
    compare(lambda m: lambda x: x.sort(0, True).values, CUBE)
    compare(lambda m: lambda x: x.argsort(0, True), CUBE)
    compare(lambda m: lambda x: x.msort(), CUBE)


def test_topk():
    for form in ({}, {"dim": 0}, {"dim": 1, "largest": False}):
        for k in (0, 1, 2):
            compare("topk", CUBE, k, **form)
    compare("topk", draw.permutation(5000).reshape(2, 2500) * 1.0, 5)
    compare("topk", draw.permutation(5000), 5, largest=False)
    compare("topk", draw.permutation(5000) * 1.0, 2000)
    compare("topk", POINT, 1)
    compare("topk", np.array([1.0, nan, 3.0]), 2, order=0)
    refused("topk", CUBE, 3)
    refused("topk", CUBE, -1)
    refused("topk", CUBE > 0, 1)


def test_ranks():
    for k in (1, 2, 4):
        compare("kthvalue", CUBE, k, 1)
        compare("kthvalue", CUBE, k, 1, True)
    compare("kthvalue", POINT, 1)
    compare("kthvalue", np.array([1.0, nan, 3.0]), 3, order=0)
    refused("kthvalue", CUBE, 0)
    refused("kthvalue", CUBE, 3)
    for x in (TIES, INTEGERS):
        for form in ({}, {"dim": 0}, {"dim": 1, "keepdim": True}):
            compare("mode", x, **form)
    compare(lambda m: lambda x: m.mode(x).values, MANY, order=0)  # of many, PyTorch returns any place
    compare("mode", POINT)
    refused("mode", np.zeros((2, 0)))


def test_medians():
    for name in ("median", "nanmedian"):
        compare(name, draw.permutation(2000) * 1.0)
        compare(name, draw.permutation(2000))
        compare(name, np.zeros(0), order=0)
        compare(name, np.array([nan, 3.0, 1.0]))
        compare(name, np.array([nan, nan]), order=0)
        compare(name, np.array([[nan, 3.0, 1.0], [nan, nan, nan], [3.0, 2.0, 1.0]]), 1, order=0)
        refused(name, CUBE > 0)
        refused(name, CUBE, keepdim=True)
        refused(name, np.zeros((0, 3)), 0)


def test_searching():
    edges = np.sort(draw.standard_normal(6))
    for form in ({}, {"right": True}, {"out_int32": True}):
        compare("bucketize", CUBE, edges, order=0, **form)
        compare("searchsorted", edges, CUBE, order=0, **form)
        compare("searchsorted", np.sort(CUBE, axis=-1), TIES[:, :, :1], order=0, **form)
    for side in ("left", "right"):
        compare("searchsorted", np.round(edges), np.round(CUBE), side=side, order=0)
    compare("searchsorted", edges, 0.3, order=0)
    compare("bucketize", 0.3, edges, order=0)
    compare("bucketize", SPECIAL, edges, order=0)
    compare("searchsorted", np.sort(INTEGERS[0, :, 0]), INTEGERS)
    places = draw.permutation(6)
    compare("searchsorted", edges[np.argsort(places)], CUBE, sorter=places, order=0)
    rows = draw.standard_normal((3, 5))
    compare("searchsorted", rows, draw.standard_normal((3, 2)), sorter=np.argsort(rows, axis=-1), order=0)
    compare("searchsorted", edges[:0], CUBE, order=0)
    refused("searchsorted", edges, CUBE, side="middle")
    refused("searchsorted", edges, CUBE, side="left", right=True)
    refused("searchsorted", edges, CUBE, sorter=places[:3])
    refused("searchsorted", edges, CUBE, sorter=places + 1)
    refused("searchsorted", edges, CUBE, sorter=places * 1.0)
    refused("searchsorted", np.sort(CUBE[0]), CUBE)
    refused("searchsorted", np.sort(CUBE[0]), 0.5)
    refused("searchsorted", POINT, CUBE)
    refused("bucketize", CUBE, CUBE[0])


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
def test_telling_apart(name, inverse, counts):
    form = {"return_inverse": inverse, "return_counts": counts}
    rows = draw.integers(0, 2, (8, 2, 2))
    for x in (TIES, INTEGERS, INTEGERS > 0, MANY, POINT, np.array([nan, 1.0, nan]), np.zeros(0), np.sort(INTEGERS, axis=None)):
        compare(name, x, order=0, **form)
    for dim in (0, 1, -1):
        compare(name, rows, dim=dim, **form)
    compare(name, INTEGERS[0, :, 0], dim=0, **form)
    compare(name, np.zeros((0, 2)), dim=0, order=0, **form)
    refused(name, np.zeros((0, 2)), dim=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_running(dtype):
    for dim in (0, 1, -1):
        for name in ("cumsum", "logcumsumexp", "cummax", "cummin"):
            compare(name, CUBE, dim, dtype=dtype)
            compare(name, CUBE.transpose(2, 0, 1), dim, dtype=dtype)
        for name in ("cummax", "cummin"):
            compare(name, TIES, dim, dtype=dtype)
    for name in ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"):
        compare(name, POINT, 0, dtype=dtype)
        compare(name, np.zeros((2, 0)), 1, dtype=dtype)
        compare(name, np.zeros((2, 0)), 0, dtype=dtype)
        compare(name, np.array([1.0, nan, 2.0]), 0, dtype=dtype, order=0)
    compare("logcumsumexp", np.array([-inf, -inf, 1.0, 2.0]), 0, dtype=dtype, order=1)
    compare("logcumsumexp", np.array([1e3, -1e3, 2e3]), 0, dtype=dtype)
    compare("cummax", INTEGERS, 0)
    compare("cummin", INTEGERS > 0, 1)
    compare(lambda m: lambda x: m.cumsum(x, 0, dtype=m.float32), INTEGERS)
    refused("logcumsumexp", INTEGERS, 0)
    refused("cumsum", CUBE)


def test_running_in_place():
    compare(lambda m: lambda x: (x * 1).cumsum_(1), CUBE)
    compare(lambda m: lambda x: (x * 1).cumprod_(1), CUBE)
    compare(lambda m: lambda x: m.clone(x).cumsum_(0), INTEGERS.astype(np.int32))


def test_differences():
    for form in ({}, {"n": 2}, {"dim": 0}, {"n": 0}, {"n": 5}, {"dim": 1, "prepend": CUBE[:, :1], "append": CUBE}):
        compare("diff", CUBE, **form)
    compare("diff", INTEGERS, dim=1)
    compare("diff", INTEGERS > 0, dim=1)
    refused("diff", POINT)
    refused("diff", CUBE, -1)
    refused("diff", CUBE, prepend=POINT)
    refused("diff", CUBE, prepend=CUBE[:2], dim=1)


@pytest.mark.parametrize("name", ["trapezoid", "trapz", "cumulative_trapezoid"])
def test_integrals(name):
    x = np.cumsum(draw.uniform(0.1, 1, 4))
    for y in (CUBE, INTEGERS):
        compare(name, y, dim=1)
        compare(name, y, dx=0.5)
        compare(name, y, x, dim=1)
    compare(name, CUBE, CUBE + 1, dim=0)
    compare(name, CUBE[:, :1], dim=1)
    compare(name, CUBE[:, :0], dim=1, order=0)
    refused(name, CUBE, x, dim=0)
    refused(name, CUBE, x, dx=1.0)
    refused(name, POINT)


def test_gradient():
    y = draw.standard_normal((4, 5))
    at = np.cumsum(draw.uniform(0.1, 1, 4)), np.cumsum(draw.uniform(0.1, 1, 5))
    for edge_order in (1, 2):
        for form in ({}, {"dim": 1}, {"dim": (1, 0), "spacing": 0.5}, {"spacing": (2.0, 0.5)}, {"dim": -1, "spacing": 0.1}):
            compare("gradient", y, edge_order=edge_order, **form)
        compare(lambda m, n=edge_order: lambda y, a, b: m.gradient(y, spacing=(a.detach(), b.detach()), edge_order=n), y, *at)
    compare("gradient", INTEGERS)
    for form in ({"edge_order": 3}, {"spacing": (1.0, 2.0, 3.0)}, {"spacing": (1.0,)}, {"spacing": at[::-1]}, {"dim": 2}):
        refused("gradient", y, **form)
    refused("gradient", y[:1])
    refused("gradient", y[:2], edge_order=2)
