"""A graph is freed by reference counting alone, at once."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import Function, grad
from tinygrad_lite.autograd.function import Context
from tinygrad_lite.engine.tape import Leaf, Node, Traced

PROGRAMS = []


def program(function):
    """A function that leaves nothing behind when it returns."""
    PROGRAMS.append(function)
    return function


def alive():
    """The number of tape entries, tensors and contexts, and the bytes of arrays."""
    kinds = (Node, Leaf, Traced, Context)
    objects = sum(issubclass(type(o), kinds) for o in gc.get_objects())  # `isinstance` asks foreign objects
    arrays = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
    return objects, sum(trace.size for trace in arrays.traces)


def network(x):
    w = tg.tensor(np.ones((3, 3)), requires_grad=True)
    y = tg.tanh(x @ w)
    return (y * y.sum() + tg.exp(y)).mean(), w


@program
def after_a_forward():
    network(tg.ones(2, 3, dtype=tg.float64))


@program
def after_a_backward():
    loss, _ = network(tg.ones(2, 3, dtype=tg.float64))
    loss.backward()
    del loss, _


@program
def after_third_derivatives():
    loss, w = network(tg.ones(2, 3, dtype=tg.float64))
    for _ in range(3):
        (g,) = grad(loss, w, create_graph=True)
        loss = (g * g).sum()
    del loss, w, g, _


@program
def after_backward_with_create_graph_once_grad_is_dropped():
    loss, w = network(tg.ones(2, 3, dtype=tg.float64))
    loss.backward(create_graph=True)
    w.grad = None  # it is on the tape behind w: the one reference cycle a user can create
    del loss, w


@program
def after_views_and_changes_in_place():
    w = tg.ones(3, 3, dtype=tg.float64, requires_grad=True)
    y = w * 2
    row, part = y[0], y[1:, 1:]
    row.mul_(3)
    part += 1
    y.sum().backward()
    del w, y, row, part


@program
def after_hooks_and_retained_gradients():
    w = tg.ones(3, dtype=tg.float64, requires_grad=True)
    y = w * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    y.sum().backward()
    del w, y


@program
def after_hooks_that_hold_tensors():
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


@program
def after_a_function_that_saves_its_result():
    x = tg.ones(3, dtype=tg.float64, requires_grad=True)
    (g,) = grad(Square.apply(x).sum(), x, create_graph=True)
    g.sum().backward()
    x.grad = None
    del x, g


@program
def after_every_form_of_change_in_place():
    x = tg.ones(3, 3, requires_grad=True)
    for name in sorted(name for name in vars(tg.Tensor) if name.endswith("_") and not name.startswith("_")):
        for arguments in ((), (0.5,), (x,), (0, tg.tensor([0]), tg.ones(1, 3))):
            y = x * 1
            with contextlib.suppress(Exception):  # refused
                getattr(y, name)(*arguments)
                y.sum().backward()
    x.grad = None


@program
def after_operators_in_place():
    x = tg.ones(3, requires_grad=True)
    y = x * 1
    y += x
    y *= x
    y /= 2
    y[0] = x[1]
    y[1:] *= y[:1]
    y.sum().backward()


@program
def after_layers_that_overwrite_their_input():
    layers = (tg.nn.ReLU, tg.nn.ELU, tg.nn.SiLU, tg.nn.Hardtanh, tg.nn.Dropout, tg.nn.LeakyReLU, tg.nn.Mish, tg.nn.CELU)
    model = tg.nn.Sequential(*(part for layer in layers for part in (tg.nn.Linear(3, 3), layer(inplace=True))))
    model(tg.ones(2, 3)).sum().backward()


@program
def after_a_checkpoint():
    def f(x):
        y = x * x
        y.mul_(x)
        return y.exp()

    x = tg.ones(3, requires_grad=True)
    tg.utils.checkpoint.checkpoint(f, x, use_reentrant=False).sum().backward()
    tg.utils.checkpoint.checkpoint(f, x, use_reentrant=False)


@program
def after_packed_tensors():
    x = tg.ones(3, requires_grad=True)
    with tg.autograd.graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t / 2):
        y = (x * x).exp()
        y.mul_(x)
        y.tanh_()
    y.sum().backward()


class Tripled(Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(3)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


@program
def after_a_function_that_changes_its_input():
    x = tg.ones(4, requires_grad=True)
    y = x * 1
    Tripled.apply(y)
    Tripled.apply(y[1:])
    Tripled.apply((x * 2)[1:])


@program
def after_module_hooks():
    layer = tg.nn.Linear(3, 3)
    layer.register_full_backward_hook(lambda module, inputs, outputs: None)
    layer(tg.ones(2, 3, requires_grad=True)).sum().backward()
    layer(tg.ones(2, 3, requires_grad=True))


@program
def after_transforms():
    x = tg.ones(3, requires_grad=True) * 1

    def f(x):
        y = tg.zeros(3)
        y[0] = x[1]
        return (y * x**3).sum()

    tg.func.hessian(f)(x)
    tg.func.jvp(tg.func.grad(f), (x,), (x,))
    tg.func.vjp(f, x)


@program
def after_training():
    model = tg.nn.Sequential(tg.nn.Linear(3, 3), tg.nn.Tanh())
    optimizer = tg.optim.Adam(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        model(tg.ones(2, 3)).sum().backward()
        tg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@program
def after_an_error_in_backward():
    x = tg.ones(3, requires_grad=True)
    y = x.exp()
    z = y * 1
    y.mul_(2)
    with contextlib.suppress(RuntimeError):
        z.sum().backward()


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda function: function.__name__)
def test_nothing_is_left_behind(function):
    tracemalloc.start()
    try:
        function()  # so that whatever is created once (plans, kernels) exists
        gc.collect()
        gc.disable()
        before = alive()
        function()
        assert alive() == before
    finally:
        tracemalloc.stop()
        gc.enable()


def test_the_check_notices_what_stays():
    kept = []
    tracemalloc.start()
    try:
        before = alive()
        kept.append(tg.ones(100))
        assert alive() == (before[0] + 1, before[1] + 400)
    finally:
        tracemalloc.stop()


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

    from tinygrad_lite.arrays import changes

    step()
    before = len(changes._changes)
    for _ in range(50):
        step()
    assert len(changes._changes) <= before


@pytest.mark.parametrize("length", [200_000])
def test_dropping_a_long_chain_does_not_overflow_the_stack(length):
    y = tg.ones(1, requires_grad=True)
    for _ in range(length):
        y = y + 1
    del y
