"""Reductions and statistics, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.compare import accepted_or_refused, compare, refused

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*degrees of freedom")

draw = np.random.default_rng(21)
CUBE = draw.standard_normal((3, 4, 2))
POINT = np.array(0.7)
NOTHING = np.zeros((2, 0, 3))
INTEGERS = draw.integers(-3, 4, (3, 4, 2))
TIES = np.round(CUBE)
HOLES = np.where(draw.random((3, 4, 2)) < 0.3, np.nan, CUBE)
nan, inf = np.nan, np.inf

DIMS = [{}, {"dim": None}, {"dim": None, "keepdim": True}, {"dim": ()}, {"dim": 0}, {"dim": -1}, {"dim": 1, "keepdim": True}]
DIMS += [{"dim": (0, 2)}, {"dim": (-2,), "keepdim": True}]
ONE_DIM = [{"dim": 0}, {"dim": -1}, {"dim": 1, "keepdim": True}]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sum", "mean", "nansum", "nanmean", "var", "std", "var_mean", "std_mean"])
def test_over_any_dims(name, dtype):
    for form in DIMS:
        wrong = form.get("dim") == () and name[:3] in ("var", "std")  # PyTorch's gradient is inf there
        compare(name, CUBE, dtype=dtype, order=0 if wrong else 2, **form)
    order = 1 if name[:3] in ("var", "std") else 2  # of one element: nan
    compare(name, POINT, dtype=dtype, order=order)
    compare(name, POINT, dim=0, dtype=dtype, order=order)
    compare(name, NOTHING, dim=(0, 2), dtype=dtype)
    compare(name, CUBE.transpose(2, 0, 1), dim=1, dtype=dtype)


@pytest.mark.parametrize("name", ["sum", "mean", "nansum", "nanmean", "prod", "amax", "amin", "logsumexp"])
def test_nothing_is_added_up(name):
    if name in ("amax", "amin"):
        refused(name, NOTHING, dim=1)
        compare(name, NOTHING, dim=0)
    else:
        compare(name, NOTHING, dim=1)


@pytest.mark.parametrize("name", ["nansum", "nanmean", "sum", "mean", "amax", "amin", "logsumexp"])
def test_nan_among_them(name):
    compare(name, HOLES, dim=1, order=1)
    compare(name, HOLES, dim=(0, 1, 2), order=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.bool_])
def test_integers(dtype):
    x = (INTEGERS > 0) if dtype == np.bool_ else (INTEGERS + 3 * (dtype == np.uint8)).astype(dtype)
    for name in ("sum", "prod", "amax", "amin", "any", "all", "count_nonzero", "nansum", "cumsum", "cumprod", "max", "min"):
        compare(name, x, dim=1)
        if not name.startswith("cum"):
            compare(name, x)
    compare("logsumexp", x, dim=1)
    for name in ("mean", "var", "std", "nanmean"):
        refused(name, x)
    compare(lambda m: lambda x: m.mean(x, dtype=m.float64), x)
    compare(lambda m: lambda x: m.sum(x, 1, dtype=m.float32), x)
    for name in ("sum", "prod", "cumsum", "cumprod"):
        compare(lambda m, name=name: lambda x: getattr(m, name)(x, 1, dtype=m.int8), x)


def test_half_precision_is_added_up_in_single():
    x = draw.uniform(0, 1, (300, 40)).astype(np.float16)
    for name in ("sum", "mean", "var", "std"):
        compare(name, x, order=1)
        compare(name, x, dim=0, order=1)
    compare("cumsum", x, dim=0, order=1, rtol=4e-3)


@pytest.mark.parametrize("form", [{"correction": 0}, {"correction": 2, "dim": 1}, {"correction": 0.5, "dim": (0, 1)}])
@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_correction(name, form):
    compare(name, CUBE, **form)
    compare(name, CUBE, False)
    compare(name, CUBE, unbiased=False)
    compare(name, CUBE, 1, False, True)
    refused(name, CUBE, unbiased=True, correction=1)


@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3)])
def test_any_correction(name, shape):
    x = np.asarray(draw.standard_normal(shape))
    for form in ({}, {"dim": None}, {"dim": 0}, {"dim": -1}, {"dim": (0,)}):
        for correction in (0, 1, 2, 3, 5, -1, 0.5):
            compare(name, x, correction=correction, **form)


def test_spread_of_equal_elements():
    compare("std", np.ones(3))
    compare("std", np.ones((2, 3)), 0)
    compare("var", np.ones((2, 1)), 1, order=1)
    compare("var", np.array([1.0, 2.0]), correction=2, order=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products(dtype):
    one, two = CUBE.copy(), CUBE.copy()
    one[0, 1, 0] = two[1, 2, 0] = two[1, 3, 0] = 0
    for x in (CUBE, one, two):
        compare("prod", x, dtype=dtype)
        for form in ONE_DIM:
            compare("prod", x, dtype=dtype, **form)
            if dtype == np.float64:  # PyTorch divides, and loses three digits in the second gradient
                compare("cumprod", x, dtype=dtype, dim=form["dim"])
    compare("prod", POINT, dim=0, dtype=dtype)
    refused("prod", CUBE, dim=(0, 1))


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin", "aminmax", "median", "nanmedian"])
def test_extremes_and_ties(name):
    for x in (CUBE, TIES, TIES.transpose(2, 0, 1)):
        compare(name, x)
        if name != "aminmax":
            for form in ONE_DIM:
                if not (x is not CUBE and "median" in name):  # which of equal ones the median is, PyTorch leaves open
                    compare(name, x, **form)
    compare(name, POINT)
    compare(name, POINT, dim=0)
    compare(name, np.array([1.0, nan, 0.0, nan]), order=0)
    compare(name, np.array([[1.0, nan, 0.0, nan], [2.0, 1.0, 3.0, 0.0]]), dim=1, order=0)


def test_forms_of_max():
    y = draw.standard_normal((4, 1))
    for name in ("max", "min"):
        compare(name, CUBE, y)
        compare(lambda m, name=name: lambda x, y: getattr(m, name)(x, other=y), CUBE, y)
        compare(lambda m, name=name: lambda x: getattr(m, name)(x, 1, True), CUBE)
        compare(lambda m, name=name: lambda x: getattr(m, name)(x, axis=1, keepdims=True), CUBE)
        compare(lambda m, name=name: lambda x: getattr(x, name)(-1).values, CUBE)
        refused(name, CUBE, 2.5)
        refused(name, CUBE, keepdim=True)
        refused(name, CUBE, (0, 1))
        refused(name, np.zeros((0, 2)))
        refused(name, np.zeros((0, 2)), 0)
        compare(name, np.zeros((0, 2)), 1)


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_amax_over_several_dims(name):
    for form in ({"dim": (0, 2)}, {"dim": (0, 1, 2), "keepdim": True}, {"dim": ()}):
        compare(name, TIES, **form)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_of_extremes(name):
    for form in ({}, {"keepdim": True}, *ONE_DIM):
        compare(name, TIES, **form)
        compare(name, INTEGERS, **form)
    compare(name, np.array([1.0, nan, 0.0, nan]))
    compare(name, POINT)
    refused(name, INTEGERS > 0)
    refused(name, np.zeros(0))
    refused(name, CUBE, dim=(0, 1))


@pytest.mark.parametrize("name", ["any", "all"])
def test_truth(name):
    for x in (INTEGERS, INTEGERS > -3, INTEGERS.astype(np.uint8), TIES):
        for form in DIMS:
            compare(name, x, **form)
    compare(name, np.array([nan, 1.0]))
    compare(name, np.zeros((0, 2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logsumexp(dtype):
    for dim in (0, -1, (0, 2)):
        for keepdim in (False, True):
            compare("logsumexp", CUBE * 10, dim, keepdim, dtype=dtype)
    compare("logsumexp", np.array([1e3, 1e3 + 1, -1e3]), 0, dtype=dtype)
    compare("logsumexp", np.array([-inf, 1.0, 2.0]), 0, dtype=dtype)
    compare("logsumexp", np.array([-inf, -inf]), 0, dtype=dtype, order=1)
    compare("logsumexp", np.array([inf, 1.0]), 0, dtype=dtype, order=1)
    compare("logsumexp", POINT, 0, dtype=dtype)
    refused("logsumexp", CUBE)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "var", "any", "logsumexp", "argmax", "max", "cumsum", "sort", "mode"])
def test_bad_dims(name):
    refused(name, CUBE, dim=3)
    refused(name, CUBE, dim=-4)
    refused(name, POINT, dim=1)
    refused(name, CUBE, dim=1.0)
    if name in ("sum", "mean", "amax", "var", "any", "logsumexp"):
        refused(name, CUBE, dim=(0, 0))
        refused(name, CUBE, dim=(1, -2))


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "nearest", "midpoint"])
def test_quantiles(interpolation):
    q = np.array([0.0, 0.3, 0.5, 0.9, 1.0])
    for name in ("quantile", "nanquantile"):
        for x in (CUBE, HOLES):
            for form in ({}, {"dim": 1}, {"dim": -1, "keepdim": True}, {"keepdim": True}):
                order = 2 if x is CUBE else 0
                form = {"interpolation": interpolation, "dtype": np.float64, **form}
                compare(name, x, 0.35, order=order, **form)
                compare(name, x, q, order=order if interpolation == "linear" else 0, **form)
        compare(name, POINT, 0.5, interpolation=interpolation, dtype=np.float32)
        compare(name, TIES, 0.5, dim=1, dtype=np.float32)


def test_quantiles_refused():
    for x in (INTEGERS, CUBE.astype(np.float16), NOTHING):
        refused("quantile", x, 0.5)
    for q in (1.5, -0.1, np.full((1, 1), 0.5)):
        refused("quantile", CUBE, q)
    refused("quantile", CUBE.astype(np.float32), np.array([0.5]))
    refused("quantile", CUBE, 0.5, interpolation="cubic")


def test_covariance():
    x = draw.standard_normal((3, 5))
    counts, importance = np.array([1, 2, 0, 1, 3]), draw.uniform(0.1, 1, 5)
    for rows in (x, x[0], x[:1], x[:, :1], x[:, :0]):
        compare("cov", rows, order=2 if rows.shape[-1] > 1 else 0)
    for correction in (0, 1, 2):
        compare("cov", x, correction=correction)
        compare("cov", x, correction=correction, fweights=counts)
        compare("cov", x, correction=correction, aweights=importance)
        compare("cov", x, correction=correction, fweights=counts, aweights=importance)
    compare("cov", INTEGERS[0])
    compare("cov", POINT, order=0)
    compare("corrcoef", x)
    compare("corrcoef", x[0])
    for form in ({"fweights": importance}, {"fweights": -counts}, {"fweights": counts[:2]}, {"aweights": counts}):
        refused("cov", x, **form)
    refused("cov", CUBE)
    refused("cov", INTEGERS[0] > 0)


def test_counts():
    labels = draw.integers(0, 6, 30)
    weights = draw.standard_normal(30)
    compare("bincount", labels)
    compare("bincount", labels.astype(np.uint8), minlength=9)
    for dtype in (np.float32, np.float64):
        compare(lambda m: lambda x, w: m.bincount(x, w.detach()), labels, weights.astype(dtype))
    compare("bincount", labels, labels)
    compare("bincount", labels[:0])
    compare("bincount", labels[:0], minlength=3)
    for bad in (labels - 1, labels.astype(np.float32), labels.reshape(5, 6), labels > 2):
        refused("bincount", bad)
    refused("bincount", labels, minlength=-1)
    refused("bincount", labels, weights[:3])

    x = draw.standard_normal(200)
    for dtype in (np.float32, np.float64):
        for form in ({}, {"bins": 7}, {"bins": 4, "min": -1, "max": 1}, {"bins": 3, "min": 2, "max": 2}):
            compare(lambda m, form=form: lambda x: m.histc(x.detach(), **form), x.astype(dtype))
    compare("histc", np.array([1.0, 1.0]), bins=4, order=0)
    compare("histc", np.array([0.0, nan, 0.5, 1.0]), bins=2, min=0, max=1, order=0)
    refused("histc", np.array([0.0, nan]), bins=2)
    refused("histc", x, bins=0)
    refused("histc", x, min=2, max=1)
    refused("histc", labels)


@pytest.mark.parametrize("p", ["fro", None, 0, 1, 2, 3, 1.5, 0.5, -1, inf, -inf])
def test_norms(p):
    order = 0 if p == 0 else 2  # PyTorch does not differentiate the number of elements
    for form in ({}, {"dim": 1}, {"dim": (0, 2), "keepdim": True}, {"keepdim": True}):
        compare("norm", CUBE, p, order=order, **form)
    compare("norm", np.zeros(3), p, order=min(order, 1))
    compare("norm", POINT, p, order=order)
    if p not in ("fro", None):
        compare("dist", CUBE, CUBE[:1] + 1, p, order=order)
    if p in (1, 2, 3, inf):
        compare("renorm", CUBE, p, 1, 1.5)
    refused("norm", INTEGERS, p)


def test_norms_otherwise():
    compare(lambda m: lambda x: m.norm(x, dtype=m.float64), CUBE.astype(np.float32))
    refused("norm", CUBE, "other")
    refused("renorm", CUBE[0, 0], 2, 0, 1.0)


def test_a_covariance_without_degrees_of_freedom_is_infinite():
    compare("cov", np.array([[1.0, 2.0, 4.0], [2.0, 1.0, 3.0]]), correction=2, aweights=np.array([0.9, 0.1, 0.1]), order=0)


ANY_DIM = (
    "sum", "nansum", "mean", "nanmean", "prod", "amax", "amin", "any", "all", "argmax", "argmin", "logsumexp", "count_nonzero",
    "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "sort", "argsort", "median", "nanmedian", "mode", "softmax",
    "log_softmax", "max", "min", "std", "var", "unbind", "squeeze", "unsqueeze", "diff", "norm",
)  # fmt: skip
DIMS_OF_ALL_KINDS = (0, 1, -1, -2, 2, 5, -5, (0,), (0, 1), (1, 0), (0, -1), (-1, 0), (0, 0), (0, -2), [0, 1], 1.0, "x")


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 3, 2), (0,), (0, 3), (2, 0)])
@pytest.mark.parametrize("name", ANY_DIM)
def test_any_dim_is_taken_or_refused(name, shape):
    x = np.asarray(draw.standard_normal(shape))
    for dim in DIMS_OF_ALL_KINDS:
        if 0 in shape and name in ("cummax", "cummin"):  # PyTorch looks at no dim where there is nothing
            continue
        order = 1 if min(shape, default=1) > 1 or name not in ("std", "var") else 0
        accepted_or_refused(name, x, dim=dim, order=order)
        if shape and name not in ("unbind", "squeeze", "unsqueeze", "diff"):
            accepted_or_refused(name, (x > 0.5), dim=dim, order=0)
            accepted_or_refused(name, np.argsort(x, -1), dim=dim, order=0)
