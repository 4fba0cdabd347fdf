"""Operators with every kind of other operand, conversions and copies, beside PyTorch's."""

from __future__ import annotations

import copy
import decimal
import fractions
import operator
import pickle
import warnings

import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
IN_PLACE = [f"i{name.rstrip('_')}" for name in BINARY]


class Answers:
    """Knows some of the reflected operators, and some of the comparisons."""

    def __radd__(self, other):
        return "radd"

    def __rmatmul__(self, other):
        return "rmatmul"

    def __rpow__(self, other):
        return "rpow"

    def __rand__(self, other):
        return "rand"

    def __gt__(self, other):
        return "gt"

    def __eq__(self, other):
        return "eq"

    __hash__ = None


OTHERS = {
    "an object that answers": Answers(), "an object": object(), "a class": object, "None": None, "a str": "a", "bytes": b"a", "a list": [1, 2], "a tuple": (1, 2),
    "a dict": {}, "a set": {1}, "a range": range(2), "a function": len, "a slice": slice(None), "Ellipsis": ..., "a fraction": fractions.Fraction(1, 2),
    "a decimal": decimal.Decimal(2), "NotImplemented": NotImplemented, "approx": pytest.approx(1.0), "an int": 2, "a float": 2.0,
}  # fmt: skip


def outcome(call):
    try:
        result = call()
    except Exception as error:
        return next(kind for kind in (RuntimeError, TypeError, Exception) if isinstance(error, kind))
    return result.tolist() if isinstance(result, (tg.Tensor, torch.Tensor)) else result


@pytest.mark.parametrize("name", BINARY + COMPARISONS + IN_PLACE)
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_an_operator_with(other, name):
    operate = getattr(operator, name)
    integers = name.lstrip("i").rstrip("_") in ("and", "or", "xor", "lshift", "rshift")
    values = [3, 5] if integers else [3.0, 5.0]
    sides = [lambda m: operate(m.tensor(values), other)]
    if name not in IN_PLACE:
        sides.append(lambda m: operate(other, m.tensor(values)))
    for side in sides:
        assert outcome(lambda: side(tg)) == outcome(lambda: side(torch))


VALUES = {"two": [1.0, 2.0], "none": [], "one": [[1.5]], "a number": 2.5, "nan": float("nan"), "inf": float("inf"), "an integer": [3], "a bool": True, "integers": [1, 2]}


@pytest.mark.parametrize(
    "convert",
    [int, float, complex, bool, operator.index, len, list, "{:.1f}".format, "%.1f".__mod__, "%d".__mod__, [5, 6, 7, 8].__getitem__, lambda x: x.item()],
    ids=["int", "float", "complex", "bool", "index", "len", "list", "format", "%.1f", "%d", "an index", "item"],
)
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_a_conversion(values, convert):
    def run(m):
        result = convert(m.tensor(values))
        return [item.tolist() for item in result] if isinstance(result, list) else str(result)

    try:
        expected = run(torch)
    except Exception as error:
        with pytest.raises(next(kind for kind in (ValueError, TypeError, IndexError, OverflowError, RuntimeError) if isinstance(error, kind))):
            run(tg)
    else:
        assert run(tg) == expected


TENSORS = {
    "a leaf": lambda m: m.ones(2, requires_grad=True), "a constant": lambda m: m.ones(2), "a result": lambda m: m.ones(2, requires_grad=True) * 2,
    "a view of a leaf": lambda m: m.ones(2, requires_grad=True)[:1], "a view of a constant": lambda m: m.ones(3)[1:], "detached": lambda m: m.ones(2, requires_grad=True).detach(),
    "a parameter": lambda m: m.nn.Parameter(m.ones(2)), "a frozen parameter": lambda m: m.nn.Parameter(m.ones(2), requires_grad=False), "an integer": lambda m: m.tensor(3),
}  # fmt: skip


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("make", TENSORS.values(), ids=TENSORS)
def test_a_copy(make, how):
    def run(m):
        x = make(m)
        if x.is_leaf and x.requires_grad:
            x.sum().backward()
        y = how(x)
        grad = y.grad if y.is_leaf else None
        return y.tolist(), y.requires_grad, y.is_leaf, y.data_ptr() == x.data_ptr(), type(y).__name__, None if grad is None else grad.tolist()

    assert outcome(lambda: run(tg)) == outcome(lambda: run(torch))


@pytest.mark.parametrize("make", TENSORS.values(), ids=TENSORS)
def test_whether_reading_grad_warns(make):
    def warned(m):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            make(m).grad  # noqa: B018
        return ["retain_grad" in str(w.message) for w in found if w.category is UserWarning]

    assert warned(tg) == warned(torch)
