"""Elementwise functions against PyTorch: values, dtypes, gradients of two orders, edge cases, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.compare import REFUSALS, both, compare, given, refused

torch = pytest.importorskip("torch")

draw = np.random.default_rng(11)

DTYPES = ("bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64")
EDGES = np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, 2, -2, 100, -100, 1e10, 1e-10, np.inf, -np.inf, np.nan])

ANY, POSITIVE, INSIDE, ABOVE = (-2, 2), (0.3, 2), (-0.9, 0.9), (1.1, 3)
ONE = {
    "abs": ANY, "acos": INSIDE, "acosh": ABOVE, "asin": INSIDE, "asinh": ANY, "atan": ANY, "atanh": INSIDE, "ceil": ANY,
    "cos": ANY, "cosh": ANY, "deg2rad": ANY, "erf": ANY, "erfc": ANY, "exp": ANY, "exp2": ANY, "expm1": ANY, "floor": ANY,
    "frac": ANY, "isfinite": ANY, "isinf": ANY, "isnan": ANY, "isneginf": ANY, "isposinf": ANY, "isreal": ANY,
    "log": POSITIVE, "log10": POSITIVE, "log1p": POSITIVE, "log2": POSITIVE, "logical_not": ANY, "logit": (0.1, 0.9),
    "nan_to_num": ANY, "neg": ANY, "positive": ANY, "rad2deg": ANY, "reciprocal": ANY, "round": ANY, "rsqrt": POSITIVE,
    "sgn": ANY, "sigmoid": ANY, "sign": ANY, "signbit": ANY, "sin": ANY, "sinc": ANY, "sinh": ANY, "sqrt": POSITIVE,
    "square": ANY, "tan": INSIDE, "tanh": ANY, "trunc": ANY,
}  # fmt: skip
ALIASES = (
    "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "fix", "negative", "special.exp2",
    "special.expit", "special.expm1", "special.log1p", "special.logit", "special.round", "special.sinc", "special.erf",
)  # fmt: skip
TWO = (
    "add", "arctan2", "atan2", "copysign", "div", "divide", "eq", "float_power", "floor_divide", "fmax", "fmin", "fmod", "ge",
    "greater", "greater_equal", "gt", "hypot", "le", "less", "less_equal", "logaddexp", "logaddexp2", "logical_and",
    "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "multiply", "ne", "nextafter", "not_equal", "pow",
    "remainder", "sub", "subtract", "true_divide", "xlogy", "clamp_min", "clamp_max", "ldexp",
)  # fmt: skip
INTEGERS = ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm")
NO_GRADIENT = ("floor_divide", "heaviside")  # in PyTorch


def numbers(shape, low=0.3, high=2.9, dtype="float64"):
    if dtype == "bool":
        return draw.integers(0, 2, shape).astype(bool)
    return np.asarray(draw.integers(1, 5, shape) if dtype[0] in "ui" else draw.uniform(low, high, shape)).astype(dtype)


def agree(call, *args, **kwargs):
    """Both give the same, or both refuse."""
    try:
        both(call)[1](*given(torch, args, None), **given(torch, kwargs, None))
    except (*REFUSALS, NotImplementedError):
        refused(call, *args, **kwargs)
    else:
        compare(call, *args, order=0, **kwargs)


# -- of one variable ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE)
def test_of_one(name):
    for shape in ((), (0,), (2, 3)):
        for dtype in ("float32", "float64"):
            compare(name, numbers(shape, *ONE[name], dtype))
    compare(name, numbers((2, 3), *ONE[name], "float16"), order=0)
    for dtype in ("bool", "uint8", "int32", "int64"):
        agree(name, numbers((2, 3), dtype=dtype))


@pytest.mark.parametrize("name", ONE)
def test_edges_of_one(name):
    compare(name, EDGES, order=1, rtol=1e-8)


LIMITS = {
    "float16": [0.0, -0.0, 1, -1, 0.5, 1.5, 2.5, -2.5, 10, -10, 300, 6e-8, 65504, -65504, np.inf, -np.inf, np.nan],
    "float32": [0.0, -0.0, 1, -1, 0.5, 1.5, 2.5, -2.5, 88, -104, 1e-45, 1e-30, 1e30, 3.4e38, np.inf, -np.inf, np.nan],
    "int8": [0, 1, -1, 2, 127, -128], "uint8": [0, 1, 2, 255], "int16": [0, 1, -1, 32767, -32768],
    "int32": [0, 1, -1, 2**31 - 1, -(2**31)], "int64": [0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)], "bool": [True, False],
}  # fmt: skip


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", ONE)
def test_limits_of_one(name, dtype):
    values = np.array(LIMITS[dtype], dtype)
    if name == "sinc" and dtype == "float16":  # pi times it overflows, which PyTorch works out in float32
        values = values[np.abs(values) < 2e4]
    agree(name, values)


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", [*TWO, *INTEGERS])
def test_limits_of_two(name, dtype):
    values = np.array(LIMITS[dtype], dtype)
    if name == "pow" and dtype == "float16":
        values = values[values != -np.inf]  # NumPy's root of it is nan, PyTorch's power inf in this dtype only
    if name in ("fmod", "remainder") and dtype == "float32":
        values = values[(np.abs(values) < 200) & (np.abs(values) > 1e-3)]  # PyTorch gives nan where the quotient overflows
    if name in ("gcd", "lcm") and dtype[0] == "i":
        values = values[np.abs(values.astype(float)) < 100]  # PyTorch takes the size of the smallest integer for negative
    agree(name, values[:, None], values)
    for number in values[:6].tolist():
        agree(name, values, number)
        agree(name, number, values)


@pytest.mark.parametrize("name", ALIASES)
def test_aliases(name):
    compare(name, numbers((2, 3), 1.1, 2.0) if name == "arccosh" else numbers((2, 3), 0.1, 0.9))


def test_bitwise_not():
    for dtype in DTYPES:
        agree("bitwise_not", numbers((3,), dtype=dtype))


@pytest.mark.parametrize("decimals", [0, 1, 2, -1])
def test_round_to_decimals(decimals):
    compare("round", np.array([1.25, -1.35, 155.0, 0.5, 1.5, 2.5]), decimals=decimals)
    if decimals:
        refused("round", np.array([15, 25]), decimals=decimals)


@pytest.mark.parametrize("eps", [None, 0.2])
def test_logit(eps):
    compare("logit", np.array([0.1, 0.5, 0.85]), eps)
    compare("logit", EDGES[:-1], eps, order=1)


def test_nan_to_num():
    compare("nan_to_num", EDGES, 1.5, 2.5, -3.5)
    compare("nan_to_num", EDGES.astype(np.float32), posinf=7)


# -- of two -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TWO)
def test_of_two(name):
    order = 0 if name in NO_GRADIENT else 2
    for shapes in (((2, 3), (2, 3)), ((3, 1, 2), (4, 1)), ((), (2,)), ((0, 3), (1, 3))):
        compare(name, *(numbers(shape) for shape in shapes), order=order)
    refused(name, numbers((2,)), numbers((3,)))


@pytest.mark.parametrize("name", [n for n in TWO + INTEGERS if n != "ldexp"])
def test_dtypes_of_two(name):
    for first in DTYPES:
        for second in DTYPES:
            agree(name, numbers((2, 3), dtype=first), numbers((2, 3), dtype=second))
            agree(name, numbers((2, 3), dtype=first), numbers((), dtype=second))
        if name not in ("clamp_min", "clamp_max"):
            for number in (2, 1.5, -1):
                agree(name, numbers((2, 3), dtype=first), number)
                agree(name, numbers((), dtype=first), number)


@pytest.mark.parametrize("name", TWO)
def test_edges_of_two(name):
    x, y = (v.ravel() for v in np.meshgrid([e for e in EDGES if abs(e) != 1e10], [e for e in EDGES if abs(e) != 100]))
    keep = ~((np.isinf(x) | np.isnan(x)) & (name == "copysign"))  # where PyTorch loses the gradient
    compare(name, x[keep], y[keep], order=0 if name in NO_GRADIENT else 1, rtol=1e-8)


@pytest.mark.parametrize("name", ["pow", "atan2", "hypot", "xlogy", "maximum", "minimum", "fmax", "fmin", "div", "fmod"])
def test_second_gradients_at_edges(name):
    for x in (0.0, 1.0, -1.0, 2.0, -2.0):
        for y in (0.0, 1.0, -1.0, 2.0, 0.5):
            compare(name, np.array(x), np.array(y))


@pytest.mark.parametrize("number", [0, 1, 2, 3, -1, -2, 0.5, 1.5, -0.5, 0.0, 2.0, np.inf, np.nan])
def test_powers(number):
    x = np.array([0.0, 1, -1, 0.5, 2, -2, 3.5])
    compare("pow", x, number)
    compare(lambda m: lambda x: number**x, x, order=1)
    agree("pow", np.array([1, 2, 3]), number)


def test_reflected_operators():
    reflected = ("__radd__", "__rsub__", "__rmul__", "__rtruediv__", "__rfloordiv__", "__rmod__", "__rpow__")
    for dtype in ("uint8", "int32", "float32", "float64"):
        for name in reflected:
            for left in (7, 2.5):
                agree(lambda m, name=name, left=left: lambda x: getattr(x, name)(left), numbers((2, 3), dtype=dtype))


@pytest.mark.parametrize("mode", [None, "trunc", "floor"])
def test_division(mode):
    compare("div", np.array([7.0, -7.0, 6.5, -6.5]), np.array([2.0, 2.0, -2.0, -1.5]), rounding_mode=mode)
    for dtype in ("int8", "uint8", "int64"):
        values = np.array([7, -7, 6, -6, -128, 127]).astype(dtype)
        for divisor in (2, -2, 3, 1.5):
            agree("div", values, divisor, rounding_mode=mode)
        agree("div", values, np.array([2, -2, 3, -4, 5, -7]).astype(dtype), rounding_mode=mode)
    agree("div", np.array([1, 2]), 0, rounding_mode=mode)
    compare("div", np.array([1.0, -1.0, 0.0]), 0, rounding_mode=mode, order=0)


def test_alpha():
    x, y = numbers((2, 3)), numbers((2, 3))
    for name in ("add", "sub", "rsub"):
        compare(name, x, y, alpha=0.5)
        compare(name, x, 2, alpha=3)
        for alpha in (2, 0.5):
            for first in ("int64", "uint8", "float32", "float64"):
                for second in ("int64", "uint8", "float32"):
                    agree(name, numbers((2, 3), dtype=first), numbers((2, 3), dtype=second), alpha=alpha)


@pytest.mark.parametrize("name", ["remainder", "fmod", "floor_divide"])
def test_signs_of_remainders(name):
    for dtype in ("int64", "int8", "float64"):
        x, y = (v.ravel().astype(dtype) for v in np.meshgrid([-7, -6, -1, 0, 1, 6, 7], [-4, -3, 3, 4]))
        compare(name, x, y, order=0)
    refused(name, np.array([1, 2]), np.array([0, 1]))


# -- of three -----------------------------------------------------------------------------------


def test_clamp():
    bounds = [None, -0.5, 0.5, 1, np.nan]
    for x in (EDGES, np.array([-3, 0, 3]), np.float32([0.5, 2.0])):
        for low in bounds:
            for high in bounds:
                agree("clamp", x, low, high)
    compare("clamp", EDGES, -0.5, 1.5, order=1)
    compare("clip", EDGES, max=1.5, order=1)


def test_clamp_to_tensors():
    x, low, high = (v.ravel() for v in np.meshgrid([-1.0, 0.0, 1.0, 2.0, np.nan], [0.0, 1.0, np.nan], [-0.5, 1.0, 2.0]))
    compare("clamp", x, low, high)
    compare("clamp", x, low)
    compare("clamp", x, None, high)
    compare("clamp", numbers((2, 4, 3)), numbers((4, 1)), numbers(()))
    compare("clamp", np.array([1, 2]), np.array([1.5, 2.5]))


@pytest.mark.parametrize("value", [1, 0.5])
def test_addcmul_addcdiv(value):
    for name in ("addcmul", "addcdiv"):
        compare(name, numbers((2, 3)), numbers((3,)), numbers((2, 1)), value=value)
        compare(name, *(numbers(shape, dtype="float32") for shape in ((2, 3), (3,), ())), value=value)
    refused("addcdiv", np.array([1, 2]), np.array([1, 2]), np.array([1, 2]))


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.8, 1.0, 2.0])
def test_lerp(weight):
    compare("lerp", numbers((2, 3)), numbers((3,)), weight)
    compare("lerp", numbers((2, 3)), numbers((3,)), np.array([weight, 0.25, 0.75]))
    refused("lerp", np.array([1, 2]), np.array([1, 2]), weight)
    refused("lerp", numbers((2,), dtype="float32"), numbers((2,)), weight)


# -- comparison and choice ----------------------------------------------------------------------


def test_closeness():
    x, y = np.array([1.0, np.inf, np.nan, 1.0, -np.inf, 0.0]), np.array([1 + 1e-6, np.inf, np.nan, 1.1, np.inf, 1e-9])
    for kwargs in ({}, {"equal_nan": True}, {"rtol": 0.2}, {"atol": 0.2}, {"rtol": 0, "atol": 0}):
        for name in ("isclose", "allclose"):
            agree(name, x, y, **kwargs)
            agree(name, np.array([1, 2, 5]), np.array([1, 3, 6]), **kwargs)
    refused("isclose", x, y.astype(np.float32))
    refused("isclose", x, y, rtol=-1)
    for y in (x, x[:1], x.astype(np.float32), x.astype(bool)):
        agree("equal", np.array([1.0, 0.0]), y)


def test_isin():
    x = np.array([[1, 2], [3, 2]])
    for among in (np.array([2, 5]), np.array([[2.0], [3.0]]), 2, np.zeros(0, np.int64)):
        for invert in (False, True):
            compare("isin", x, among, invert=invert)
    agree("isin", 3, x)
    refused("isin", x > 1, x > 1)


def test_heaviside():
    for dtype in ("float64", "float32", "int64"):
        compare("heaviside", np.array([-1.5, 0.0, 2.0]).astype(dtype), np.array([7]).astype(dtype), order=0)
    compare("heaviside", EDGES, np.array(0.5), order=0)
    refused("heaviside", np.array([1, 2]), np.array([1.0]))


def test_where():
    condition = np.array([[True], [False]])
    compare("where", condition, numbers((3,)), numbers((2, 3)))
    compare(lambda m: lambda x, c, y: x.where(c, y), numbers((2, 3)), condition, numbers(()))
    for x in (1, 1.5, True, np.array([1, 2]), numbers((2,), dtype="float32"), numbers((), dtype="float64")):
        for y in (0, 0.5, False, np.array([3, 4]), numbers((2,), dtype="float16")):
            agree("where", condition, x, y)
    compare("where", condition)
    refused("where", numbers((2,)), numbers((2,)), 1.0)
    large = draw.random(5000) > 0.5
    compare("where", large, np.where(large, 1.0, np.nan), np.where(large, np.inf, 2.0))


# -- in place -----------------------------------------------------------------------------------


# PyTorch has no gradient of some forms in place, and a wrong one (not zero) of the logical ones.
DOUBLE = ("float_power", "ldexp")
NO_GRADIENT_IN_PLACE = (*NO_GRADIENT, "acosh", "asinh", "atanh", "logical_not", "logical_and", "logical_or", "logical_xor")


@pytest.mark.parametrize("name", [n for n in ONE if hasattr(torch.Tensor, f"{n}_")])
def test_in_place_of_one(name):
    order = 0 if name in NO_GRADIENT_IN_PLACE else 2
    compare(lambda m: lambda x: getattr(x * 1, f"{name}_")() * 2, numbers((2, 3), *ONE[name]), order=order)
    agree(lambda m: lambda x: getattr(x.clone(), f"{name}_")(), np.array([1, 2]))


@pytest.mark.parametrize("name", [n for n in TWO + INTEGERS if hasattr(torch.Tensor, f"{n}_") and n not in DOUBLE])
def test_in_place_of_two(name):
    def call(m):
        return lambda x, y: getattr(x * 1, f"{name}_")(y)

    if name not in INTEGERS:
        compare(call, numbers((2, 3)), numbers((3,)), order=0 if name in NO_GRADIENT_IN_PLACE else 2)
    for first in ("bool", "uint8", "int64", "float32"):
        for second in ("bool", "int64", "float32"):
            agree(call, numbers((2, 3), dtype=first), numbers((3,), dtype=second))
    refused(call, numbers((3,)), numbers((2, 3)))


# -- numbers where tensors are asked for --------------------------------------------------------


def test_two_numbers_are_no_operands():
    for name in ("remainder", "pow", "float_power", "xlogy", "bitwise_left_shift", "special.xlog1py", "special.zeta"):
        refused(name, 2, 3)
        compare(name, 2, np.array([3]), order=0)
    for name in ("eq", "lt", "fmod", "copysign", "rsub"):
        refused(name, 2, 3)
        refused(name, 2, np.array([3]))


def test_powers_of_integers_by_negative_ones():
    x, y = (v.ravel() for v in np.meshgrid([-2, -1, 0, 1, 3], [-3, -2, -1, 0, 2]))
    for dtype in ("int8", "int64"):
        compare("pow", x.astype(dtype), y.astype(dtype))
    compare(lambda m: lambda y: 2**y, y)


def test_float_power_in_place_asks_for_double_precision():
    compare(lambda m: lambda x: (x * 1).float_power_(2), numbers((3,)))
    refused(lambda m: lambda x: (x * 1).float_power_(2), numbers((3,), dtype="float32"))
