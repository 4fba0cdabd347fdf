"""User-defined operations."""

from __future__ import annotations

import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import Function, grad, gradcheck, gradgradcheck, once_differentiable


class Scale(Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        ctx.save_for_backward(x)
        return x * x * factor

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * g * x * ctx.factor, None


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = tg.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class DivMod(Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y, x + y

    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * y + h, g * x + h


def leaf(*values):
    return tg.tensor(list(values), dtype=tg.float64, requires_grad=True)


@pytest.mark.parametrize("function", [lambda x: Scale.apply(x, 3.0), Exp.apply, lambda x: DivMod.apply(x, x * 2)])
def test_derivatives_of_both_orders(function):
    x = leaf(0.3, -0.7)
    assert gradcheck(function, x)
    assert gradgradcheck(function, x)


def test_a_result_without_gradient_counts_as_zero():
    x, y = leaf(2.0), leaf(5.0)
    product, _ = DivMod.apply(x, y)
    assert [g.item() for g in grad(product, (x, y))] == [5, 2]


def test_needs_input_grad_and_materialized_zeros():
    seen = {}

    class Seen(Function):
        @staticmethod
        def forward(ctx, x, y):
            seen["needs"] = ctx.needs_input_grad
            return x * 2, y * 2

        @staticmethod
        def backward(ctx, g, h):
            seen["h"] = h.tolist()
            return g * 2, None

    x = leaf(1.0)
    first, _ = Seen.apply(x, tg.ones(1, dtype=tg.float64))
    first.backward()
    assert seen == {"needs": (True, False), "h": [0.0]}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("materialize", [True, False])
def test_results_without_a_gradient_arrive_as_zeros_or_as_none(materialize, create_graph):
    seen = []

    class Several(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return x * 2, "no tensor", x * 3, None

        @staticmethod
        def backward(ctx, *grads):
            seen.extend(grads)
            return grads[0] * 2

    x = leaf(1.0, 4.0)
    results = Several.apply(x)
    assert results[1::2] == ("no tensor", None)
    (g,) = grad(results[0].sum(), x, create_graph=create_graph)
    assert g.tolist() == [2, 2]
    assert [None if part is None else part.tolist() for part in seen] == [[1, 1], None, [0, 0] if materialize else None, None]


def test_a_tensor_returned_twice_gets_each_gradient_once():
    class Twice(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            return y, y

        @staticmethod
        def backward(ctx, g, h):
            return 2 * (g + h)

    x = leaf(1.0)
    first, second = Twice.apply(x)
    assert grad(3 * first + 5 * second, x)[0].tolist() == [16]


def test_results_marked_as_not_differentiable():
    class WithIndex(Function):
        @staticmethod
        def forward(ctx, x):
            index = x * 0
            ctx.mark_non_differentiable(index)
            return x * 2, index

        @staticmethod
        def backward(ctx, g, _):
            return g * 2

    y, index = WithIndex.apply(leaf(1.0))
    assert y.requires_grad and not index.requires_grad


def test_setup_context_form():
    class Cube(Function):
        @staticmethod
        def forward(x):
            return x * x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * g * x * x

    assert gradgradcheck(Cube.apply, leaf(0.5))


def test_once_differentiable_refuses_the_second_derivative():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0)
    (g,) = grad(Once.apply(x) * x, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad(g, x)


class Wrong(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g.item()


class TooFew(Function):
    @staticmethod
    def forward(ctx, x, y):
        return x * y

    @staticmethod
    def backward(ctx, g):
        return g


def test_wrong_backwards_are_named():
    with pytest.raises(TypeError, match="Wrong: backward returned float for argument 0"):
        Wrong.apply(leaf(1.0)).backward()
    with pytest.raises(RuntimeError, match="TooFew: backward returned 1 gradients for the 2 arguments"):
        TooFew.apply(leaf(1.0), leaf(1.0)).backward()
    with pytest.raises(TypeError, match="expected Tensors, got float"):

        class Saves(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(3.0)
                return x

        Saves.apply(leaf(1.0))


def test_keyword_arguments_are_those_of_forward():
    y = Scale.apply(leaf(1.0, 2.0), factor=3.0)
    assert y.tolist() == [3, 12]
    x = leaf(1.0, 2.0)
    assert grad(Scale.apply(factor=3.0, x=x).sum(), x)[0].tolist() == [6, 12]
    with pytest.raises(TypeError, match="'by'"):
        Scale.apply(x, 3.0, by=3.0)


def test_a_list_of_results():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            return [x * 2, x * 3]

        @staticmethod
        def backward(ctx, g, h):
            return 2 * g + 3 * h

    x = leaf(1.0)
    twice, thrice = Both.apply(x)
    assert grad(twice + thrice, x)[0].tolist() == [5]


def test_a_leaf_marked_as_dirty_is_refused():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    with pytest.raises(RuntimeError, match="Double: a leaf that requires grad was changed in place"):
        Double.apply(leaf(1.0))
    x = leaf(1.0)
    y = x * 1
    assert Double.apply(y) is y and grad(y, x)[0].tolist() == [2]


def test_a_saved_tensor_changed_in_place_is_refused():
    x = leaf(1.0) * 1.0
    y = Scale.apply(x, 2.0)
    x.mul_(3)
    with pytest.raises(RuntimeError, match="saved by a Function was changed in place by mul_"):
        y.backward()


class AsItIs(Function):
    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 3


@pytest.mark.parametrize("change", [lambda y: y[0].mul_(2), lambda y: y[:1].mul_(2), lambda y: y[None][0, 0].mul_(2), lambda y: y[None, :1].view(-1).mul_(2)])
def test_a_change_of_a_view_of_a_returned_input_reaches_the_input(change):
    x = leaf(3.0, 5.0)
    h = x * 1
    y = AsItIs.apply(h)
    change(y)
    assert h.tolist() == [6.0, 5.0]
    with pytest.raises(RuntimeError, match="view that AsItIs returned, and the tensor that it shows was changed in place"):
        (y * y).sum().backward()
    (h * h).sum().backward()  # the change went through the view, and so through the Function: h0 = 2 y0
    assert x.grad.tolist() == [72.0, 10.0]


def test_it_is_not_recorded_under_no_grad():
    with tg.no_grad():
        assert not Exp.apply(leaf(1.0)).requires_grad


def test_a_second_backward_is_refused_once_freed():
    y = Exp.apply(leaf(1.0))
    y.backward()
    with pytest.raises(RuntimeError, match="Exp .* freed by an earlier backward"):
        y.backward()


contexts = []  # the context of the latest Held


class Held(Function):
    """The square of x; or (`constant`) twice x, which saves nothing."""

    @staticmethod
    def forward(ctx, x, constant):
        contexts[:] = [ctx]
        if not constant:
            ctx.save_for_backward(x)
        ctx.constant = constant
        return 2 * x if constant else x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g if ctx.constant else 2 * g * ctx.saved_tensors[0], None


@pytest.mark.parametrize("constant", [False, True])
def test_the_saved_tensors_of_a_context_go_with_the_graph(constant):
    x = leaf(3.0)
    y = Held.apply(x, constant)
    (ctx,) = contexts
    y.backward(retain_graph=True)
    assert ctx.saved_tensors == (() if constant else (x,))
    y.backward()
    with pytest.raises(RuntimeError, match="Held .* freed by an earlier backward"):
        _ = ctx.saved_tensors


def test_a_context_outlives_its_graph():
    x = leaf(3.0)
    Held.apply(x, False)
    (ctx,) = contexts
    assert ctx.saved_tensors == (x,)


def test_a_function_that_saves_nothing_may_be_gone_through_twice():
    x = leaf(3.0)
    y = Held.apply(x, True)
    y.backward()
    y.backward()
    assert x.grad.tolist() == [4.0]
