"""What an editor shows of an operation: the function that runs, and the names of its arguments."""

from __future__ import annotations

import ast
import inspect
import textwrap
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
SPECIAL = {name for name in vars(tg.Tensor) if name.startswith("__")}

# Functions of which PyTorch, too, calls an argument x or y.
OF_X_AND_Y = {"cumulative_trapezoid", "trapezoid", "trapz", "vander", "vecdot", "vector_norm"}

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
def test_the_arguments_have_in_the_source_the_names_that_are_shown(space):
    for name, function in functions(space):
        arguments = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].args
        written = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
        assert list(inspect.signature(function).parameters) == [a.arg for a in written if a], name
        if name not in OF_X_AND_Y:
            assert not {"x", "y"} & inspect.signature(function).parameters.keys(), name


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


def test_keywords_may_be_those_of_numpy_and_of_pytorchs_parser():
    a, b = tg.tensor([[2.0, 1.0], [1.0, 2.0]]), tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    for given in ({"input": a, "other": b}, {"x": a, "x2": b}, {"x1": a, "x2": b}, {"a": a, "other": b}):
        assert tg.mul(**given).tolist() == (a * b).tolist()
        assert tg.sub(**given).tolist() == (a - b).tolist()
    assert tg.sum(a, axis=1, keepdims=True).tolist() == [[3.0], [3.0]]
    assert tg.pow(self=2, exponent=b).tolist() == [[2.0, 4.0], [8.0, 16.0]]
    for name in ("A", "input", "x", "a", "x1"):
        assert tg.det(**{name: a}).item() == pytest.approx(3)
    assert tg.linalg.vector_norm(input=a).item() == tg.linalg.vector_norm(x=a).item()
    assert tg.linalg.tensorsolve(input=a, other=b[0]).tolist() == tg.linalg.tensorsolve(A=a, B=b[0]).tolist()
    assert tg.ones(2).random_(**{"from": 5, "to": 6}).tolist() == [5.0, 5.0]


def test_a_keyword_that_is_none_of_these_is_refused():
    x = tg.ones(2)
    with pytest.raises(TypeError, match="mul: unexpected argument 'y'; it takes input, other"):
        tg.mul(x, y=x)
    with pytest.raises(TypeError, match="mul: argument 'input' was given twice"):
        tg.mul(x, x=x)
    with pytest.raises(TypeError, match="sub: one argument was given under two names: input, x"):
        tg.sub(input=x, x=x)
