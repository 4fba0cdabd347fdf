"""Activations against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.compare import accepted_or_refused, compare, refused, torch

F = "nn.functional."
draw = np.random.default_rng(21)
x = draw.standard_normal((4, 6)) * 3
KINKS = np.array([-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 20.0, 21.0, -20.0, -21.0, 100.0, -100.0])

CASES = [
    ("relu", {}), ("relu6", {}), ("leaky_relu", {}), ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": -0.5}), ("elu", {}), ("elu", {"alpha": 0.7}), ("selu", {}), ("celu", {}),
    ("celu", {"alpha": 2.0}), ("celu", {"alpha": -1.5}), ("gelu", {}), ("gelu", {"approximate": "tanh"}), ("silu", {}),
    ("mish", {}), ("softplus", {}), ("softplus", {"beta": 2}), ("softplus", {"beta": 0.5, "threshold": 1}),
    ("softsign", {}), ("tanhshrink", {}), ("hardtanh", {}), ("hardtanh", {"min_val": -0.5, "max_val": 3.0}),
    ("hardsigmoid", {}), ("hardswish", {}), ("hardshrink", {}), ("hardshrink", {"lambd": 1.0}), ("softshrink", {}),
    ("softshrink", {"lambd": 0.0}), ("softshrink", {"lambd": 3}), ("threshold", {"threshold": 0.5, "value": -2.0}),
    ("glu", {}), ("glu", {"dim": 0}), ("logsigmoid", {}), ("sigmoid", {}), ("tanh", {}), ("rrelu", {}),
    ("rrelu", {"lower": 0.2, "upper": 0.3}),
]  # fmt: skip
LABELS = [f"{name}-{i}" for i, (name, _) in enumerate(CASES)]
every = pytest.mark.parametrize("name, kwargs", CASES, ids=LABELS)

# PyTorch works these out with constants of float32 (1/6), or in another order.
ROUGH = {"hardsigmoid": 1e-6, "hardswish": 1e-6, "mish": 1e-5}


FIRST_ORDER = ("hardsigmoid",)  # PyTorch has no second derivative


def run(name, *args, order=2, dtype=None, **kwargs):
    order = min(order, 1) if name in FIRST_ORDER else order
    limits = {"rtol": ROUGH[name], "atol": ROUGH[name]} if name in ROUGH and dtype != "float32" else {}
    compare(F + name, *args, order=order, dtype=dtype, **limits, **kwargs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every
def test_values_and_gradients(name, kwargs, dtype):
    run(name, x, dtype=dtype, **kwargs)


@every
def test_where_the_pieces_meet(name, kwargs):
    if name != "glu":
        run(name, KINKS, dtype="float32", order=1 if name == "mish" else 2, **kwargs)  # PyTorch: mish''(100) is nan


@every
def test_nan_and_infinities(name, kwargs):
    if name != "glu":
        run(name, np.array([np.nan]), order=0, **kwargs)
    if name not in ("glu", "gelu", "softsign"):
        run(name, np.array([np.inf, -np.inf]), order=0 if name in ("mish", "silu", "tanhshrink") else 1, **kwargs)


@every
def test_empty_scalar_and_large(name, kwargs):
    run(name, np.zeros((0, 2)), **kwargs)
    if name == "glu":
        refused(F + name, np.array(1.5), **kwargs)
    else:
        run(name, np.array(1.5), **kwargs)
    large = np.random.default_rng(3).standard_normal((300, 700)) * 2
    run(name, large, dtype="float32", order=1, **kwargs)
    run(name, large.T, dtype="float32", order=1, **kwargs)


INPLACE = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardtanh", "hardsigmoid", "hardswish", "rrelu",
]  # fmt: skip


@pytest.mark.parametrize("name", INPLACE)
def test_in_place(name):
    def library(m):
        def call(x):
            y = x * 1
            z = getattr(m.nn.functional, name)(y, inplace=True)
            assert z is y
            return z * 2

        return call

    compare(library, x, order=1 if name in FIRST_ORDER else 2, rtol=1e-5, atol=1e-5)


FUNCTIONS_IN_PLACE = [
    ("relu_", ()), ("elu_", (0.5,)), ("celu_", ()), ("selu_", ()), ("leaky_relu_", ()), ("hardtanh_", (-1, 2)),
    ("threshold_", (0.5, 1.0)), ("rrelu_", ()),
]  # fmt: skip


@pytest.mark.parametrize("name, args", FUNCTIONS_IN_PLACE)
def test_functions_in_place(name, args):
    compare(lambda m: lambda x: getattr(m.nn.functional, name)(x * 1, *args), x)


@pytest.mark.parametrize("name", [*sorted({name for name, _ in CASES}), "prelu"])
@pytest.mark.parametrize("kind", ["int64", "bool"])
def test_other_dtypes(name, kind):
    numbers = np.array([[2, 1], [0, 1]]).astype(kind)
    more = {"threshold": (0, 5), "prelu": (np.array([0.5], "float32"),)}.get(name, ())
    accepted_or_refused(F + name, numbers, *more)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_threshold_keeps_integers(dtype):
    for threshold, value in ((1, 5), (1.5, 2.7), (0, 3)):
        compare(F + "threshold", np.array([1, 2, 3, 0], dtype), threshold, value)


def test_gelu_of_numbers_whose_square_is_too_large():
    large = np.array([300.0, -300.0, 6e4, -6e4, 1.0])
    compare(F + "gelu", large, approximate="tanh", dtype="float16", order=1)


def test_prelu():
    for weight in (np.array(0.3), np.array([0.3]), draw.standard_normal(6)):
        compare(F + "prelu", x, weight)
        compare(F + "prelu", x, weight, dtype="float32")
    compare(F + "prelu", draw.standard_normal((2, 6, 3, 2)), draw.standard_normal(6))
    compare(F + "prelu", draw.standard_normal(5), np.array([0.3]))
    compare("prelu", np.array(-2.0), np.array(0.3))
    refused(F + "prelu", x, draw.standard_normal(5))
    refused(F + "prelu", x, draw.standard_normal((6, 1)))
    refused(F + "prelu", x, np.array(0.3, "float32"))


def test_refusals():
    refused(F + "celu", x, alpha=0)
    refused(F + "softshrink", x, lambd=-1)
    refused(F + "hardtanh", x, 2.0, 1.0)
    refused(F + "gelu", x, approximate="erf")
    refused(F + "threshold", np.arange(3, dtype="uint8"), 1, 300)
    refused(F + "glu", x[:, :5])
    refused(F + "glu", x, dim=2)
    refused(F + "relu", "a")


@pytest.mark.parametrize("name", ["relu", "relu_", "celu", "selu", "threshold", "rrelu", "hardshrink", "prelu"])
def test_top_level_and_methods(name):
    args = {"threshold": (0.1, 2.0), "prelu": (np.array(0.25),)}.get(name, ())
    compare(lambda m: lambda x, *a: getattr(m, name)(x * 1, *a), x, *args)
    if hasattr(torch.Tensor, name):
        compare(lambda m: lambda x, *a: getattr(x * 1, name)(*a), x, *args)
