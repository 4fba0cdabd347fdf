"""What an editor shows for an operation: the function that runs, and its argument names."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import tinygrad_lite as tg

HOME = Path(tg.__file__).parent
SPACES = {"tinygrad_lite": tg, "Tensor": tg.Tensor, "nn.functional": tg.nn.functional, "linalg": tg.linalg, "special": tg.special}
OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide", "mod": "remainder", "pow": "pow",
    "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift", "eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge", "pos": "positive",
    "neg": "neg", "abs": "abs", "invert": "bitwise_not",
}  # fmt: skip
SPECIAL = {f"__{form}{operator}__" for operator in OPERATORS for form in ("", "r", "i")} & vars(tg.Tensor).keys()

# One function under several names.
SAME = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2",
    "arctanh": "atanh", "clip": "clamp", "conj_physical": "conj", "divide": "div", "fix": "trunc", "ger": "outer", "greater": "gt",
    "greater_equal": "ge", "less": "lt", "less_equal": "le", "moveaxis": "movedim", "multiply": "mul", "ndimension": "dim",
    "negative": "neg", "nelement": "numel", "not_equal": "ne", "orgqr": "householder_product", "resolve_conj": "conj",
    "resolve_neg": "conj", "sgn": "sign", "subtract": "sub", "unsafe_chunk": "chunk", "unsafe_split": "split",
}  # fmt: skip


def functions(space):
    owner = SPACES[space]
    for name in dir(owner):
        value = inspect.getattr_static(owner, name) if space == "Tensor" else getattr(owner, name)
        if inspect.isfunction(value) and (not name.startswith("_") or (space == "Tensor" and name in SPECIAL)):
            yield name, value


@pytest.mark.parametrize("space", SPACES)
def test_the_source_is_that_of_the_function_that_runs(space):
    for name, function in functions(space):
        code = inspect.unwrap(function).__code__
        assert Path(code.co_filename).is_relative_to(HOME), name
        assert f"def {code.co_name}(" in inspect.getsource(function), name


@pytest.mark.parametrize("space", SPACES)
def test_an_operation_that_is_recorded_shows_what_it_does_to_arrays(space):
    for name, function in functions(space):
        recorded = getattr(function, "primitive", None) or getattr(function, "nondifferentiable", None)
        if recorded is not None:
            assert inspect.unwrap(function) is recorded.forward, name


@pytest.mark.parametrize("space", SPACES)
def test_the_arguments_have_names(space):
    for name, function in functions(space):
        kinds = {p.kind for p in inspect.signature(function).parameters.values()}
        assert kinds != {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}, name


def test_a_method_is_the_operation_of_its_name():
    for name, method in functions("Tensor"):
        known = SAME.get(name.rstrip("_"), name.rstrip("_"))
        if name not in SPECIAL:
            assert method.__name__.rstrip("_") == known, name


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_is_the_operation_that_python_means_by_it(operator):
    x, y = tg.tensor([5, 3, 2]), tg.tensor([2, 3, 5])
    operation = getattr(tg, OPERATORS[operator])
    operands = (x,) if operator in ("pos", "neg", "abs", "invert") else (x, y)
    expected = operation(*operands).tolist()
    assert getattr(tg.Tensor, f"__{operator}__")(*operands).tolist() == expected
    if f"__r{operator}__" in SPECIAL:
        assert getattr(tg.Tensor, f"__r{operator}__")(y, x.numpy()).tolist() == expected
    if f"__i{operator}__" in SPECIAL and operator != "truediv":  # of integers, a quotient is none
        assert getattr(tg.Tensor, f"__i{operator}__")(x.clone(), y).tolist() == expected
