"""Broadcasting, indexing and reshaping of arbitrary shapes, as in PyTorch."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

torch = pytest.importorskip("torch")

from tests.parity.compare import accepted_or_refused, compare  # noqa: E402
from tests.parity.compare import given as given_to  # noqa: E402

many = settings(deadline=None, max_examples=150)
few = settings(deadline=None, max_examples=60)


def numbers(*shape):
    draw = np.random.default_rng(sum(shape))
    return np.asarray(draw.uniform(0.5, 2, shape))


# -- broadcasting -------------------------------------------------------------------------------


@few
@given(mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=4))
def test_operands_are_broadcast(shapes):
    x, y, z = (numbers(*shape) for shape in shapes.input_shapes)
    compare("add", x, y)
    compare("div", x, y)
    compare("addcmul", x, y, z)
    compare("where", np.asarray(y > 1), x, z)


@few
@given(array_shapes(max_dims=3, max_side=3), array_shapes(max_dims=3, max_side=3))
def test_shapes_broadcast_or_are_refused(first, second):
    accepted_or_refused("mul", numbers(*first), numbers(*second))
    accepted_or_refused("broadcast_to", numbers(*first), second)
    accepted_or_refused(lambda m: lambda x, y: (x * 1).mul_(y), numbers(*first), numbers(*second))


@few
@given(array_shapes(max_dims=4, max_side=3), array_shapes(max_dims=4, max_side=3))
def test_products_broadcast_or_are_refused(first, second):
    accepted_or_refused("matmul", numbers(*first), numbers(*second))


# -- indexing -----------------------------------------------------------------------------------


KINDS = ["slice", "slice", "int", "none", "ellipsis", "tensor", "tensor", "list", "mask", "masks"]


@st.composite
def indices(draw, shape, kinds):
    """An index for an array of `shape`: any mixture of what can stand in one, mostly one that fits."""
    items, dims, ellipsis = [], list(shape), False
    side = draw(st.integers(1, 3))
    while dims and draw(st.integers(0, 5)):
        n = dims.pop(0)
        kind = draw(st.sampled_from(kinds))
        bound = st.integers(-n - 1, n + 1) | st.none()
        if kind == "slice":
            items.append(slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3))))
        elif kind in ("none", "ellipsis"):
            dims.insert(0, n)
            if kind == "none" or ellipsis:
                items.append(None)
            else:
                items.append(...)
                del dims[: draw(st.integers(0, len(dims)))]
                ellipsis = True
        elif not n:
            items.append(slice(None))
        elif kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "tensor":
            of = draw(st.sampled_from([(), (side,), (1,), (2, 1), (2, side)]))
            items.append(np.asarray(draw(st.lists(st.integers(-n, n - 1), min_size=math.prod(of), max_size=math.prod(of)))).reshape(of))
        elif kind == "list":
            items.append(draw(st.lists(st.integers(-n, n - 1), min_size=side, max_size=side)))
        elif kind == "masks" and dims:
            items.append(np.random.default_rng(side).random((n, dims.pop(0))) > 0.5)
        else:
            items.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))))
    return tuple(items)


def case(kinds=KINDS, min_side=0):
    return array_shapes(min_dims=1, max_dims=4, min_side=min_side, max_side=4).flatmap(
        lambda shape: st.tuples(st.just(shape), indices(shape, kinds))
    )


def call(index, then):
    """`then(m, x, index)` with the arrays of the index as tensors of the library."""
    return lambda m: lambda x, *rest: then(m, x, tuple(given_to(m, i, None) if isinstance(i, np.ndarray) else i for i in index), *rest)


def agree_about(index, then, x, *rest):
    """PyTorch checks no index if the result is empty; here one out of range may be refused even then."""
    try:
        empty = not call(index, lambda m, x, index: x[index])(torch)(torch.from_numpy(x)).numel()
    except IndexError:
        empty = False
    if empty:
        with contextlib.suppress(IndexError):
            compare(call(index, then), x, *rest)
    else:
        accepted_or_refused(call(index, then), x, *rest)


@many
@given(case())
def test_reading(case):
    shape, index = case
    agree_about(index, lambda m, x, index: x[index], numbers(*shape))


@many
@given(case(), st.booleans())
def test_writing(case, in_rows):
    shape, index = case

    def then(m, x, index, value):
        y = x * 2
        y[index] = value
        return y

    if any(a.size > 1 and a.dtype.kind == "i" for a in map(np.asarray, index) if a.dtype != object):
        value = np.array(3.0)  # places may repeat, and which of several values stays is open
    else:
        try:
            found = numbers(*shape)[index]
            value = numbers(*found.shape[-1:] if in_rows else found.shape) if found.size else np.array(3.0)
        except IndexError:
            value = np.array(3.0)
    agree_about(index, then, numbers(*shape), value)


@many
@given(case(["tensor", "tensor", "mask", "masks"], min_side=1))
def test_adding_to_places_that_repeat(case):
    shape, places = case
    assume(places)
    accepted_or_refused(
        lambda m: lambda x, v: m.index_put(x, tuple(given_to(m, i, None) for i in places), v, accumulate=True),
        numbers(*shape),
        np.array(0.5),
    )


# -- reshaping ----------------------------------------------------------------------------------


@st.composite
def shape_and_another(draw):
    """A shape and another of as many elements (or, now and then, of another number), perhaps with a -1."""
    shape = draw(array_shapes(max_dims=4, min_side=0, max_side=4))
    factors = draw(st.permutations(shape))
    cuts = sorted(draw(st.lists(st.integers(0, len(factors)), max_size=3)))
    parts = [math.prod(factors[i:j]) for i, j in zip([0, *cuts], [*cuts, len(factors)])]
    if draw(st.integers(0, 3)) == 0:
        parts[draw(st.integers(0, len(parts) - 1))] = draw(st.sampled_from([-1, 1, 2]))
    return shape, tuple(parts)


@many
@given(shape_and_another(), st.data())
def test_reshaping(shapes, data):
    shape, other = shapes
    dims = data.draw(st.permutations(range(len(shape))))
    accepted_or_refused("reshape", numbers(*shape), other)
    accepted_or_refused(lambda m: lambda x: x.permute(dims).reshape(other), numbers(*shape))
    accepted_or_refused(lambda m: lambda x: x.permute(dims).view(other), numbers(*shape))


@many
@given(array_shapes(max_dims=3, max_side=4), st.data())
def test_a_chain_of_views_is_written_through(shape, data):
    steps = data.draw(
        st.lists(st.sampled_from(["transpose", "unsqueeze", "narrow", "step", "flatten", "diagonal", "select"]), min_size=1, max_size=4)
    )

    def then(m):
        def change(x, w):
            y = x * 2
            view = y
            for step in steps:
                if step == "transpose":
                    view = view.transpose(0, -1)
                elif step == "unsqueeze":
                    view = view.unsqueeze(1)
                elif step == "narrow":
                    view = view.narrow(0, 0, max(view.shape[0] - 1, 1))
                elif step == "step":
                    view = view[..., ::2]
                elif step == "flatten":
                    view = view.view(-1)
                elif step == "diagonal":
                    view = view.diagonal()
                else:
                    view = view[0:1].select(0, 0).unsqueeze(0)
            view.mul_(w)
            return y * y, view

        return change

    accepted_or_refused(then, numbers(*shape), np.array(1.5))
