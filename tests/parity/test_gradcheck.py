"""What gradcheck and gradgradcheck accept and refuse, compared with PyTorch."""

from __future__ import annotations

import warnings

import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")


def leaf(m, *values, dtype=None):
    return m.tensor(list(values), dtype=dtype or m.float64, requires_grad=True)


CASES = {
    "a smooth function": (lambda m, x: x.sin() * x, lambda m: leaf(m, 1.0, 2.0)),
    "a constant": (lambda m, x: m.ones(2, dtype=m.float64), lambda m: leaf(m, 1.0, 2.0)),
    "a place": (lambda m, x: x.argmax(), lambda m: leaf(m, 1.0, 2.0)),
    "values and places": (lambda m, x: x.max(0), lambda m: leaf(m, 1.0, 2.0)),
    "steps": (lambda m, x: x.floor(), lambda m: leaf(m, 1.3, 2.4)),
    "detached": (lambda m, x: x.detach() * 2, lambda m: leaf(m, 1.0, 2.0)),
    "half detached": (lambda m, x: x.detach() * x, lambda m: leaf(m, 1.0, 2.0)),
    "under no_grad": (lambda m, x: m.no_grad()(m.sin)(x), lambda m: leaf(m, 1.0, 2.0)),
    "beside what is detached": (lambda m, x: (x * 2, x.detach() * 2), lambda m: leaf(m, 1.0, 2.0)),
    "one of two wrong": (lambda m, x: (x * 2, x.detach() * x), lambda m: leaf(m, 1.0, 2.0)),
    "in place on a leaf": (lambda m, x: x.mul_(2), lambda m: leaf(m, 1.0, 2.0)),
    "in place on an input": (lambda m, x: x.mul_(2), lambda m: leaf(m, 1.0, 2.0) * 1),
    "in place on a clone": (lambda m, x: x.clone().mul_(2), lambda m: leaf(m, 1.0, 2.0)),
    "random": (lambda m, x: m.nn.functional.dropout(x * m.ones(50, 1, dtype=m.float64)), lambda m: leaf(m, 1.0, 2.0)),
    "nan": (lambda m, x: x * float("nan"), lambda m: leaf(m, 1.0, 2.0)),
    "no input that requires grad": (lambda m, x: x * 2, lambda m: leaf(m, 1.0, 2.0).detach()),
    "single precision": (lambda m, x: x.sin(), lambda m: leaf(m, 1.0, 2.0, dtype=m.float32)),
    "single precision inside": (lambda m, x: x.float().sin(), lambda m: leaf(m, 1.0, 2.0)),
    "expanded": (lambda m, x: x * 2, lambda m: leaf(m, 1.0)[:1].expand(3)),
    "expanded, one element": (lambda m, x: x * 2, lambda m: leaf(m, 1.0).expand(1, 1)),
    "transposed": (lambda m, x: x * x, lambda m: leaf(m, 1.0, 2.0, 3.0, 4.0).reshape(2, 2).t()),
    "no elements": (lambda m, x: x * x, lambda m: m.zeros(0, dtype=m.float64, requires_grad=True)),
    "a number": (lambda m, x: x * x, lambda m: m.tensor(2.0, dtype=m.float64, requires_grad=True)),
}


def outcome(m, checker, func, x, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return getattr(m.autograd, checker)(lambda x: func(m, x), x, **options)
        except Exception as error:
            return next(kind for kind in ("GradcheckError", "RuntimeError", "ValueError", "Exception") if kind in names(type(error)))


def names(kind):
    return [base.__name__ for base in kind.__mro__]


@pytest.mark.parametrize("raise_exception", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_gradcheck(name, raise_exception):
    func, make = CASES[name]
    results = [outcome(m, "gradcheck", func, make(m), raise_exception=raise_exception) for m in (tg, torch)]
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["a smooth function", "half detached", "no input that requires grad", "expanded", "transposed", "values and places", "single precision", "a number"])
def test_gradgradcheck(name):
    func, make = CASES[name]
    first = (lambda m, x: func(m, x)[0]) if name == "values and places" else func
    assert outcome(tg, "gradgradcheck", first, make(tg)) == outcome(torch, "gradgradcheck", first, make(torch))
