"""What PyTorch refuses is refused: numbers instead of tensors, non-integers, values that do not fit the dtype."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

from tests.parity.compare import Fixed, accepted_or_refused, compare, refused  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch warns of what is old

x, matrix, whole = np.array([1.0, 2.0, 3.0]), np.arange(6.0).reshape(2, 3), np.array([1, 2, 3])
index = np.array([0, 2])

# For each function the place of an argument that is a tensor, and arguments that do.
TENSORS = [
    ("addcmul", 0, x, x, x), ("addcmul", 1, x, x, x), ("addcdiv", 1, x, x, x), ("addcdiv", 2, x, x, x), ("dist", 0, x, x),
    ("dist", 1, x, x), ("kron", 1, x, x), ("inner", 1, x, x), ("outer", 1, x, x), ("matmul", 1, matrix, x), ("cross", 1, x, x),
    ("gather", 2, x, 0, index), ("take", 1, x, index), ("index_select", 2, x, 0, index), ("searchsorted", 0, x, x),
    ("scatter_add", 3, x, 0, index, x), ("index_add", 3, matrix, 1, index, matrix), ("masked_select", 1, x, whole > 1),
    ("take_along_dim", 1, x, index), ("heaviside", 1, x, x), ("maximum", 1, x, x), ("atan2", 1, x, x), ("hypot", 1, x, x),
    ("bincount", 0, whole), ("cdist", 1, matrix, matrix), ("broadcast_tensors", 1, x, x), ("lerp", 1, x, x, 0.5),
]  # fmt: skip


@pytest.mark.parametrize("name, place, args", [(n, i, args) for n, i, *args in TENSORS])
@pytest.mark.parametrize("number", [2, 0.5, True])
def test_a_number_is_no_tensor(name, place, args, number):
    given = [Fixed(a) if isinstance(a, np.ndarray) else a for a in args]
    refused(name, *given[:place], number, *given[place + 1 :])


INTS = [
    ("tril", matrix), ("triu", matrix), ("diag", x), ("diagonal", matrix), ("diag_embed", x), ("diagflat", x), ("topk", x),
    ("kthvalue", x), ("chunk", x), ("split", x), ("tensor_split", x), ("roll", x), ("rot90", matrix), ("unsqueeze", x), ("diff", x),
    ("sum", x), ("cumsum", x), ("argsort", x), ("flip", x), ("unbind", x), ("aminmax", x), ("logsumexp", x),
]  # fmt: skip


@pytest.mark.parametrize("name, array", INTS)
def test_an_int_is_neither_a_bool_nor_a_float(name, array):
    argument = {"aminmax": "dim"}.get(name)
    for value in (True, 1.0, "1", None):
        args, options = ((value,), {}) if argument is None else ((), {argument: value})
        accepted_or_refused(name, array, *args, **options)


@pytest.mark.parametrize("size", [(True,), (2.0,), (None,), ("a",)])
def test_a_size_is_made_of_ints(size):
    for name in ("zeros", "ones", "empty", "rand", "randn"):
        refused(name, size)
    for name in ("expand", "repeat", "tile", "new_zeros", "sum_to_size"):
        refused(lambda m, name=name: getattr(m.Tensor, name), np.ones(1), size)
    refused("tril_indices", 2, *size)


LARGE = [
    lambda m, x, v: m.clamp(x, v), lambda m, x, v: m.clamp(x, max=v), lambda m, x, v: m.where(x > 0, x, v),
    lambda m, x, v: m.where(x > 0, v, x), lambda m, x, v: m.full_like(x, v), lambda m, x, v: m.fill(x, v),
    lambda m, x, v: x.masked_fill(x > 0, v), lambda m, x, v: x.index_fill(0, m.tensor([0]), v),
    lambda m, x, v: m.tensor(v, dtype=x.dtype), lambda m, x, v: m.full((2,), v, dtype=x.dtype), lambda m, x, v: x.clone().fill_(v),
    lambda m, x, v: x.scatter(0, m.tensor([0]), v),
    lambda m, x, v: (y := x.clone(), y.__setitem__(0, v))[0], lambda m, x, v: (y := x.clone(), y.__setitem__((0, ...), v))[0],
]  # fmt: skip


@pytest.mark.parametrize("function", LARGE)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float16"])
def test_a_value_that_its_dtype_does_not_hold(function, dtype):
    for value in (127, 128, 255, 256, 300, -1, -128, -129, -256, 2**31, 2**40, 1e10, -1e10):
        accepted_or_refused(lambda m, v=value: lambda x: function(m, x, v), np.array([0, 1], dtype), order=0)


@pytest.mark.parametrize("value", [-0.5, -1.0, 255.0, 255.5, 256.0, np.inf, np.nan])
def test_a_fraction_in_unsigned_integers(value):
    for make in (lambda m: m.tensor(value, dtype=m.uint8), lambda m: m.full((2,), value, dtype=m.uint8)):
        accepted_or_refused(lambda m, make=make: lambda: make(m))


def test_powers_and_bounds_beyond_the_dtype():
    for value in (127, 128, 300, -1):
        accepted_or_refused(lambda m, v=value: lambda x: m.pow(x, v), np.array([1, 2], np.int8))


@pytest.mark.parametrize("value", ["a", [1], None])
def test_a_fill_value_is_a_number(value):
    refused("full", (2,), value)
    refused("full_like", np.ones(2), value)


REFUSED = [
    lambda m: m.trace(m.eye(2).bool()), lambda m: m.cumsum(m.ones(2), 0, dtype=m.bool), lambda m: m.cumprod(m.ones(2), 0, dtype=m.bool),
    lambda m: m.arange(0, 2, dtype=m.bool), lambda m: m.nanmean(m.ones(2), dtype=m.int64), lambda m: m.nanmean(m.ones(2).long()),
    lambda m: m.logsumexp(m.ones(2), None), lambda m: m.aminmax(m.ones(2), dim=()), lambda m: m.renorm(m.ones(2, 2), 2, 0, -1.0),
    lambda m: m.renorm(m.ones(2, 2), -1, 0, 1.0), lambda m: m.cumulative_trapezoid(m.ones(2).bool()), lambda m: m.ones(2).H,
    lambda m: m.ones(2, 2, 2).H, lambda m: m.linspace(0, 1, 2.0), lambda m: m.linspace(0, 1, True),
    lambda m: m.index_add(m.ones(3), 0, m.tensor([[0]]), m.ones(1)), lambda m: m.index_copy(m.ones(3), 0, m.tensor([[0]]), m.ones(1)),
    lambda m: m.index_fill(m.ones(3), 0, m.tensor([[0]]), 1), lambda m: m.index_reduce(m.ones(3), 0, m.tensor([[0]]), m.ones(1), "prod"),
    lambda m: m.index_copy(m.ones(3), 0, m.tensor([0], dtype=m.int32), m.ones(1)),
    lambda m: m.take(m.ones(3), m.tensor([0], dtype=m.int32)), lambda m: m.put(m.ones(3), m.tensor([0], dtype=m.int32), m.ones(1)),
    lambda m: m.index_fill(m.ones(3), 0, m.tensor([0], dtype=m.int32), 1),
    lambda m: m.take_along_dim(m.ones(3), m.tensor([0], dtype=m.int32), 0),
    lambda m: m.ones(3, 2)[-1, m.zeros(0, dtype=m.bool)], lambda m: m.ones(3, 2)[m.zeros(0, dtype=m.bool), m.tensor(False)],
    lambda m: m.ones(3).__setitem__((m.tensor(True), m.zeros(0, dtype=m.bool)), 1.0),
    lambda m: m.addmm(0.5, m.ones(2, 2), m.ones(2, 2)), lambda m: m.roll(m.ones(2, 2), 1, 5),
    lambda m: None in m.ones(2), lambda m: "a" in m.ones(2), lambda m: m.isin(1, 2), lambda m: m.repeat_interleave(m.tensor(1.0), 2, 0), lambda m: m.repeat_interleave(m.tensor(1.0), 2, dim=-1),
]  # fmt: skip


@pytest.mark.parametrize("call", REFUSED)
def test_refused(call):
    refused(lambda m: lambda: call(m))


ACCEPTED = [
    lambda m: m.adjoint(m.tensor(2.0)), lambda m: m.tensor(2.0).mT, lambda m: m.tensor(2.0).mH, lambda m: m.tensor(2.0).H,
    lambda m: m.ones(1, 2, 1).squeeze(0, -1).shape, lambda m: m.topk(m.tensor(4.0), 1), lambda m: m.topk(m.tensor(4.0), 0),
    lambda m: m.roll(m.ones(0), 1, 5), lambda m: m.combinations(m.ones(3), 0), lambda m: m.arange(6).reshape(2, 3)[m.tensor(1, dtype=m.int16)],
    lambda m: m.arange(6).reshape(2, 3)[..., 1, ...], lambda m: m.arange(6).reshape(2, 3)[..., ...],
    lambda m: m.hstack([m.ones(2, dtype=m.float16), m.tensor(1.0)]).dtype.itemsize,
    lambda m: m.hstack([m.ones(2, dtype=m.int64), m.tensor(1, dtype=m.int8)]).dtype.itemsize,
    lambda m: m.vstack([m.ones(1, dtype=m.float16), m.tensor(1.0)]).dtype.itemsize,
    lambda m: m.index_add(m.ones(3).to(m.uint8), 0, m.tensor([0]), m.ones(1).to(m.uint8), alpha=2),
    lambda m: m.index_add(m.tensor([1, 2]), 0, m.tensor([0]), m.tensor([5]), alpha=1.5),
    lambda m: m.index_put(m.ones(1), (m.tensor(True),), m.tensor([3.0])),
    lambda m: m.index_put(m.ones(2, 3), (m.tensor(False),), m.tensor(5.0)),
    lambda m: m.scatter_add(m.ones(3), 0, m.zeros(0), m.ones(0)), lambda m: m.ones(2) == [1, 1], lambda m: m.ones(2) != (1, 1),
    lambda m: m.add(m.ones(2), 0.5, 2), lambda m: m.lgamma(m.tensor([-np.inf, np.inf])), lambda m: m.sinc(m.tensor([1e30])),
]  # fmt: skip


@pytest.mark.parametrize("call", ACCEPTED)
def test_accepted(call):
    compare(lambda m: lambda: call(m))


UNKNOWN = [
    lambda m, x: m.unique(x), lambda m, x: m.unique_consecutive(x), lambda m, x: m.unique(x, dim=0), lambda m, x: m.igamma(x, x),
    lambda m, x: m.igammac(x, x), lambda m, x: m.special.zeta(x + 1, x),
]  # fmt: skip


@pytest.mark.parametrize("function", UNKNOWN)
def test_a_gradient_that_is_not_known_is_refused_rather_than_lost(function):
    refused(lambda m: lambda x: (function(m, x).sum() + x.sum()).backward(), x)


def test_the_gradient_by_weights_of_bincount():  # PyTorch has none
    weights = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (tg.bincount(tg.tensor([0, 2, 2]), weights) * tg.tensor([1.0, 5.0, 7.0])).sum().backward()
    assert weights.grad.tolist() == [1, 7, 7]


@pytest.mark.parametrize("name, weights, args", [
    ("add", (0.5,), (x, x)), ("sub", (0.5,), (x, x)), ("addcmul", (0.5,), (x, x, x)), ("addcdiv", (0.5,), (x, x, x)),
    *((name, weights, args) for weights in ((0.5,), (0.5, 2)) for name, args in (
        ("addmm", (matrix, np.eye(2), matrix)), ("addmv", (x[:2], matrix, x)), ("addr", (matrix, x[:2], x)),
        ("baddbmm", (matrix[None], np.eye(2)[None], matrix[None])), ("addbmm", (matrix, np.eye(2)[None], matrix[None])),
    )),
])  # fmt: skip
def test_weights_where_the_first_signatures_have_them(name, weights, args):
    beta_first = name.startswith(("addm", "addr", "addb", "badd"))
    head, tail = (weights[:1], weights[1:]) if beta_first else ((), weights)
    compare(name, *head, args[0], *tail, *args[1:])
    for method in (name, f"{name}_"):
        compare(lambda m, method=method: lambda x, *rest: getattr(x * 1, method)(*weights, *rest), *args)


@pytest.mark.parametrize("call", [
    lambda m, x: m.add(x1=x, x2=x), lambda m, x: m.maximum(x1=x, x2=x), lambda m, x: m.sum(a=x), lambda m, x: m.exp(x=x),
    lambda m, x: m.pow(input=x, exponent=2), lambda m, x: m.pow(x, exponent=2), lambda m, x: m.sum(x, axis=0, keepdims=True),
    lambda m, x: x.clone().uniform_(**{"from": 1, "to": 1}), lambda m, x: x.clone().random_(**{"from": 3, "to": 4}),
])  # fmt: skip
def test_other_names_of_arguments(call):
    compare(lambda m: lambda x: call(m, x), x, order=0)
