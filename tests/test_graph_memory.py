"""A graph is freed by reference counting alone, at once."""

from __future__ import annotations

import contextlib
import gc
import weakref

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import Function, grad
from tinygrad_lite.autograd.node import Leaf, Node, Traced


@contextlib.contextmanager
def nothing_survives():
    """Fail if nodes or tensors made inside are alive afterwards, the collector being off."""

    def alive():
        return sum(issubclass(type(o), (Node, Leaf, Traced)) for o in gc.get_objects())  # `isinstance` asks foreign objects

    gc.collect()
    gc.disable()
    try:
        before = alive()
        yield
        assert alive() == before
    finally:
        gc.enable()


def network(x):
    w = tg.tensor(np.ones((3, 3)), requires_grad=True)
    y = tg.tanh(x @ w)
    return (y * y.sum() + tg.exp(y)).mean(), w


def test_after_a_forward():
    with nothing_survives():
        network(tg.ones(2, 3, dtype=tg.float64))


def test_after_a_backward():
    with nothing_survives():
        loss, _ = network(tg.ones(2, 3, dtype=tg.float64))
        loss.backward()
        del loss, _


def test_after_third_derivatives():
    with nothing_survives():
        loss, w = network(tg.ones(2, 3, dtype=tg.float64))
        for _ in range(3):
            (g,) = grad(loss, w, create_graph=True)
            loss = (g * g).sum()
        del loss, w, g, _


def test_after_backward_with_create_graph_once_grad_is_dropped():
    with nothing_survives():
        loss, w = network(tg.ones(2, 3, dtype=tg.float64))
        loss.backward(create_graph=True)
        w.grad = None  # it is on the tape behind w: the one circle the user can close
        del loss, w


def test_after_views_and_changes_in_place():
    with nothing_survives():
        w = tg.ones(3, 3, dtype=tg.float64, requires_grad=True)
        y = w * 2
        row, part = y[0], y[1:, 1:]
        row.mul_(3)
        part += 1
        y.sum().backward()
        del w, y, row, part


def test_after_hooks_and_retained_gradients():
    with nothing_survives():
        w = tg.ones(3, dtype=tg.float64, requires_grad=True)
        y = w * 2
        y.retain_grad()
        y.register_hook(lambda g: g * 2)
        y.sum().backward()
        del w, y


def test_after_hooks_that_hold_tensors():
    with nothing_survives():
        x, held = tg.ones(3, requires_grad=True), tg.ones(3)
        x.register_hook(lambda g, held=held: g * held)
        x.register_post_accumulate_grad_hook(lambda t, held=held: None)
        tg.autograd.graph.register_multi_grad_hook((x, x), lambda gradients, held=held: None)
        x.sum().backward()
        del x, held


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        y = x * x
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, g):
        x, _ = ctx.saved_tensors
        return 2 * g * x


def test_after_a_function_that_saves_its_result():
    with nothing_survives():
        x = tg.ones(3, dtype=tg.float64, requires_grad=True)
        (g,) = grad(Square.apply(x).sum(), x, create_graph=True)
        g.sum().backward()
        x.grad = None
        del x, g


def test_saved_arrays_go_while_backward_is_still_running():
    x = tg.ones(1000, dtype=tg.float64, requires_grad=True)
    y = tg.exp(x * 1.0)
    saved = weakref.ref(y.array)
    z = tg.sin(y * 1.0).sum()
    del y
    gone = []
    x.register_hook(lambda g: gone.append(saved() is None))
    z.backward()
    assert gone == [True]


def test_a_rule_that_does_not_name_an_input_does_not_keep_it():
    x = tg.ones(3, requires_grad=True)
    y = tg.ones(3) * 2
    array = weakref.ref(y.array)
    z = x + y
    del y
    assert array() is None
    assert z.requires_grad


def test_an_input_that_needs_no_gradient_keeps_nothing_for_its_rule():
    x = tg.ones(3, requires_grad=True) * 1.0
    array = weakref.ref(x.array)
    y = x * tg.ones(3)  # the rule for x names y; the rule for y, which would name x, is not needed
    del x
    assert array() is None
    assert y.requires_grad


def test_no_more_memory_after_many_steps():
    w = tg.ones(3, dtype=tg.float64, requires_grad=True)

    def step():
        (w * w).sum().backward()
        with tg.no_grad():
            w.sub_(w.grad * 0.1)
        w.grad = None

    from tinygrad_lite.autograd import node

    step()
    before = len(node._changes)
    for _ in range(50):
        step()
    assert len(node._changes) <= before


@pytest.mark.parametrize("length", [200_000])
def test_dropping_a_long_chain_does_not_overflow_the_stack(length):
    y = tg.ones(1, requires_grad=True)
    for _ in range(length):
        y = y + 1
    del y
