"""Defining primitives: what the tape saves, fused rules, and invalid definitions."""

from __future__ import annotations

import traceback

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.check_op import Sample, check_derivatives
from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd import NONDIFFERENTIABLE, REGISTRY, GradcheckError, grad, gradcheck, gradgradcheck, nondifferentiable, primitive
from tinygrad_lite.ops.dependence import constant_in, joint_in


@pytest.fixture
def define():
    """`@primitive` for the duration of one test."""
    before = [dict(registry) for registry in (REGISTRY, NONDIFFERENTIABLE)]
    yield primitive
    for registry, known in zip((REGISTRY, NONDIFFERENTIABLE), before):
        registry.clear()
        registry.update(known)


def leaf(values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


class TestTheCheckers:
    """A checker that cannot fail checks nothing: planted wrong rules must be caught."""

    def test_a_wrong_first_derivative_is_caught(self, define):
        @define
        def double(x):
            return x * 2

        double.vjp(x=lambda g: g * 2.001)
        sample = Sample("double", (np.array([0.3, 0.7]),), lambda x: x * 2)
        with pytest.raises(AssertionError, match="gradient: the rule for x is wrong by a factor 1.001 "):
            check_derivatives(sample, "cpu")
        with pytest.raises(GradcheckError, match="input 0"):
            gradcheck(double, leaf([0.3, 0.7]), atol=1e-6, rtol=1e-5)

    def test_a_rule_that_is_wrong_only_at_second_order_is_caught(self, define):
        @define
        def cube(x):
            return x**3

        # The value is right, but its dependency is hidden from the second derivative.
        cube.vjp(x=lambda g, x: g * 3 * detached(x) * x)
        sample = Sample("cube", (np.array([0.3, 0.7]),), lambda x: x**3)
        with pytest.raises(AssertionError, match="second derivative: the gradient of x, right at order 1, has a derivative by x that is wrong"):
            check_derivatives(sample, "cpu")
        assert gradcheck(cube, leaf([0.3, 0.7]))
        with pytest.raises(GradcheckError):
            gradgradcheck(cube, leaf([0.3, 0.7]))
        assert gradgradcheck(cube, leaf([0.3, 0.7]), raise_exception=False) is False

    def test_a_right_rule_passes(self, define):
        @define
        def cube(x):
            return x**3

        cube.vjp(x=lambda g, x: g * 3 * x * x)
        check_derivatives(Sample("cube", (np.array([0.3, 0.7]),), lambda x: x**3), "cpu")
        assert gradgradcheck(cube, leaf([0.3, 0.7]))


def detached(x):
    return x.detach() if isinstance(x, tg.Tensor) else x


class TestFusedRules:
    def test_one_rule_for_several_inputs_is_told_which_are_needed(self, define):
        asked = []

        @define
        def product(x, y):
            return x * y

        @product.fused_vjp("x", "y")
        def rule(needs, g, x, y):
            asked.append(needs)
            return g * y if needs[0] else None, g * x if needs[1] else None

        x, y = leaf([2.0]), leaf([5.0])
        gx, gy = grad(product(x, y), (x, y))
        assert (gx.item(), gy.item()) == (5, 2)
        grad(product(x, y.detach()), x)
        assert asked == [(True, True), (True, False)]

    def test_kept_values_reach_the_rule_and_the_composition_gives_higher_orders(self, define):
        @define(keeps=("root",))
        def halves(x):
            root = np.sqrt(x)
            return 2 * root, root

        @halves.fused_vjp("x")
        def rule(needs, g, root):
            return (g / root,)

        @halves.composed_of
        def composed(x):
            return 2 * tg.pow(x, 0.5)

        sample = Sample("halves", (np.array([0.3, 0.7]),), lambda x: 2 * np.sqrt(x))
        check_derivatives(sample, "cpu")

    def test_several_results_and_a_gradient_for_only_some(self, define):
        @define
        def both(x):
            return x * 2, x * x

        both.vjp(x=lambda g, x: g[0] * 2 + g[1] * 2 * x)
        x = leaf([3.0])
        twice, square = both(x)
        assert grad(twice, x, retain_graph=True)[0].item() == 2
        assert grad(square, x, retain_graph=True)[0].item() == 6
        assert grad(twice + square, x)[0].item() == 8
        check_derivatives(Sample("both", (np.array([0.3, 0.7]),), None), "cpu")


class TestDefinitions:
    def test_a_name_is_taken_once(self, define):
        with pytest.raises(ValueError, match="'mul' is defined twice"):

            @define
            def mul(x, y):
                return x * y

    def test_a_rule_may_name_only_what_there_is(self, define):
        @define
        def triple(x):
            return 3 * x

        with pytest.raises(TypeError, match="the rule for x names"):
            triple.vjp(x=lambda g, z: g * z)
        with pytest.raises(TypeError, match="the rule for z names"):
            triple.vjp(z=lambda g: g)


    def test_defined_again_it_takes_the_place_of_the_old_one(self, define):
        """As when a notebook cell is run again."""

        def cell(kind, factor):
            def scaled(x):
                return x * factor

            return kind(scaled)

        first, second = cell(define, 2.0), cell(define, 3.0)
        assert (first(tg.ones(1)).item(), second(tg.ones(1)).item()) == (2, 3)
        assert REGISTRY["scaled"].apply is second
        third = cell(nondifferentiable, 4.0)
        assert "scaled" not in REGISTRY and NONDIFFERENTIABLE["scaled"].apply is third
        cell(define, 5.0)
        assert "scaled" not in NONDIFFERENTIABLE

    def test_a_rule_given_after_a_call_is_in_force(self, define):
        @define
        def double(x):
            return x * 2

        x = leaf([1.0])
        early = double(x)
        double.vjp(x=lambda g: g * 2)
        assert grad(double(x), x)[0].item() == 2
        with pytest.raises(RuntimeError, match="double has no rule"):
            grad(early, x)


class TestWithoutARule:
    """No gradient is lost silently: a missing rule raises."""

    def test_backward_names_the_primitive_the_argument_and_the_remedy(self, define):
        @define
        def sq(x):
            return x * x

        y = sq(leaf([3.0]))
        assert y.requires_grad and y.item() == 9
        with pytest.raises(RuntimeError, match=r"sq has no rule for the gradient of x; give one by sq\.vjp\(x=\.\.\.\), or .*@nondifferentiable"):
            y.backward()

    def test_the_other_inputs_gradients_are_there(self, define):
        @define
        def scaled(x, y):
            return x * y

        scaled.vjp(x=lambda g, y: g * y)
        x, y = leaf([3.0]), leaf([5.0])
        assert grad(scaled(x, y), x)[0].item() == 5
        assert grad(scaled(x, y.detach()), x)[0].item() == 5
        for wanted in (y, (x, y)):
            with pytest.raises(RuntimeError, match="scaled has no rule for the gradient of y"):
                grad(scaled(x, y), wanted)
        for inputs in ((x, y), (x.detach(), y)):
            with pytest.raises(RuntimeError, match="scaled has no rule for the gradient of y"):
                scaled(*inputs).backward()

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_beside_a_fused_rule(self, define, create_graph):
        asked = []

        @define
        def scaled(x, y, z):
            return x * y * z

        @scaled.fused_vjp("x", "y")
        def rule(needs, g, x, y, z):
            asked.append(needs)
            return g * y * z, g * x * z, None

        x, y, z = leaf([3.0]), leaf([5.0]), leaf([7.0])
        assert [g.item() for g in grad(scaled(x, y, z), (x, y), create_graph=create_graph)] == [35, 21]
        assert asked == [(True, True, False)]
        with pytest.raises(RuntimeError, match="scaled has no rule for the gradient of z"):
            scaled(x, y, z).backward(create_graph=create_graph)

    def test_of_a_star_argument(self, define):
        @define
        def total(*parts):
            return sum(parts)

        with pytest.raises(RuntimeError, match="total has no rule for the gradient of parts"):
            total(leaf([3.0]), leaf([5.0])).backward()

    def test_of_several_results(self, define):
        @define
        def both(x):
            return x * 2, x * x

        with pytest.raises(RuntimeError, match="both has no rule for the gradient of x"):
            both(leaf([3.0]))[1].backward()

    def test_a_tensor_as_an_option_of_one_of_ours(self):
        x, slope = leaf([-3.0]), leaf(0.5)
        with pytest.raises(RuntimeError, match="expected a number for negative_slope|has no rule for the gradient of"):
            tg.nn.functional.leaky_relu(x, slope).backward()

    def test_nothing_is_asked_where_no_input_requires_grad(self, define):
        @define
        def sq(x):
            return x * x

        x = leaf([3.0])
        assert not sq(x.detach()).requires_grad
        with tg.no_grad():
            assert not sq(x).requires_grad
        assert not nondifferentiable(named("sq_of_nothing", lambda x: x * x))(x).requires_grad

    @pytest.mark.parametrize("raise_exception", [True, False])
    def test_gradcheck_fails_and_says_so(self, define, raise_exception):
        @define
        def sq(x):
            return x * x

        if not raise_exception:
            assert gradcheck(sq, leaf([3.0]), raise_exception=False) is False
            return
        with pytest.raises(GradcheckError, match="sq has no rule for the gradient of x"):
            gradcheck(sq, leaf([3.0]))


class TestRulesThatReturnNothing:
    def test_a_rule(self, define):
        @define
        def sq(x):
            return x * x

        def forgetful(g, x):
            2 * g * x

        sq.vjp(x=forgetful)
        for create_graph in (False, True):
            with pytest.raises(RuntimeError, match="the rule of sq for its argument 'x' returned None; return zeros"):
                sq(leaf([3.0])).backward(create_graph=create_graph)
        with pytest.raises(RuntimeError, match="returned None"):
            gradcheck(sq, leaf([3.0]))

    def test_a_fused_rule(self, define):
        @define
        def product(x, y):
            return x * y

        @product.fused_vjp("x", "y")
        def rule(needs, g, x, y):
            return g * y, None

        x, y = leaf([2.0]), leaf([5.0])
        assert grad(product(x, y.detach()), x)[0].item() == grad(product(x, y), x)[0].item() == 5
        with pytest.raises(RuntimeError, match="the rule of product for its argument 'y' returned None"):
            product(x, y).backward()

    def test_a_function_may(self):
        class Gate(tg.autograd.Function):
            @staticmethod
            def forward(ctx, x, y):
                return x + y

            @staticmethod
            def backward(ctx, g):
                return g, None

        x, y = leaf([2.0]), leaf([5.0])
        Gate.apply(x, y).backward()
        assert x.grad.item() == 1 and y.grad is None


class TestWrongShapes:
    """A gradient that cannot be summed to its input's shape is refused, even if it has as many elements."""

    @pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 6), (12,), (4, 3), (3, 4, 1), (3, 1), (1, 4)])
    @pytest.mark.parametrize("create_graph", [False, True])
    def test_of_a_rule(self, define, shape, create_graph):
        @define
        def skewed(x, y):
            return x + y

        skewed.vjp(x=lambda g: g, y=lambda g: (g.sum() * 0 + 1) * filled(g, shape))
        x = tg.ones(3, 4, requires_grad=True)
        message = f"backward: skewed returned a gradient of shape {shape} for its argument 'y', which has shape (3, 4)"
        with pytest.raises(RuntimeError) as refusal:
            grad(skewed(x * 1, x * 2).sum(), x, create_graph=create_graph)
        assert message in str(refusal.value)

    @pytest.mark.parametrize("shape", [(), (3,), (2, 6), (12,), (3, 1), (1, 4)])
    def test_of_a_function(self, shape):
        class Skewed(tg.autograd.Function):
            @staticmethod
            def forward(ctx, x, factor, y):
                return x * factor + y

            @staticmethod
            def backward(ctx, g):
                return g, None, tg.ones(shape)

        x = tg.ones(3, 4, requires_grad=True)
        message = f"backward: Skewed returned a gradient of shape {shape} for argument 2 of forward, which has shape (3, 4)"
        with pytest.raises(RuntimeError) as refusal:
            Skewed.apply(x * 1, 2.0, x * 2).sum().backward()
        assert message in str(refusal.value)

    @pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (1, 3, 4), (5, 1, 3, 4)])
    def test_what_can_be_summed_is(self, define, shape):
        @define
        def repeated(x):
            return x * 1

        repeated.vjp(x=lambda g: filled(g, shape))
        x = tg.ones(3, 4, requires_grad=True)
        repeated(x).sum().backward()
        assert x.grad.tolist() == [[float(np.prod(shape) // 12)] * 4] * 3


def filled(g, shape):
    return tg.ones(shape, device=g.device) if isinstance(g, tg.Tensor) else namespace_of(g).ones(shape, g.dtype)


def named(name, function):
    function.__name__ = function.__qualname__ = name
    return function


class TestCalling:
    def test_pytorchs_names_of_the_operands(self):
        x, y = tg.tensor([6.0]), tg.tensor([3.0])
        assert tg.mul(input=x, other=y).item() == 18
        assert tg.add(x, other=y, alpha=2).item() == 12

    def test_plain_arrays_give_plain_arrays(self):
        result = tg.mul(np.array([1.0, 2.0]), 3.0)
        assert type(result) is np.ndarray
        assert result.tolist() == [3, 6]

    @pytest.mark.parametrize(
        "call, message",
        [
            (lambda x: tg.mul(x), "mul: missing argument 'other'"),
            (lambda x: tg.mul(x, x, x), "mul: expected at most 2 arguments"),
            (lambda x: tg.mul(x, z=x), "mul: unexpected argument 'z'"),
            (lambda x: tg.mul(x, x, other=x), "mul: argument 'other' was given twice"),
            (lambda x: tg.mul(x, "a"), "mul: .*got str|mul: expected a Tensor for y, got str"),
            (lambda x: tg.mul([1.0], x), "mul: expected a Tensor for input, got list"),
        ],
    )
    def test_wrong_calls_are_named(self, call, message):
        with pytest.raises(TypeError, match=message):
            call(tg.ones(2))

    def test_shapes_that_do_not_broadcast_are_named(self):
        with pytest.raises(ValueError, match=r"mul: .*\(2,\).*\(3,\)"):
            tg.ones(2) * tg.ones(3)


class TestGradientsThatAreConstant:
    """`constant_in` and `joint_in`: under create_graph a gradient is on the tape, although nothing flows back through it."""

    def test_what_is_constant_in_an_input_has_the_second_derivative_zero(self, define):
        @define
        def upward(x):
            return namespace_of(x).maximum(x, 0)

        upward.vjp(x=lambda g, out: g * (out > 0))
        constant_in(upward, x="out")
        x, w = leaf([-1.0, 2.0]), leaf([3.0, 5.0])
        (g,) = grad([upward(x).sum()], [x], create_graph=True)
        assert grad([g.sum()], [x])[0].tolist() == [0, 0]
        (g,) = grad([(w * upward(x)).sum()], [x], create_graph=True)
        assert [t.tolist() for t in grad([g.sum()], [x, w])] == [[0, 0], [0, 1]]

    def test_without_create_graph_nothing_is_recorded(self, define):
        @define
        def upward(x):
            return namespace_of(x).maximum(x, 0)

        upward.vjp(x=lambda g, out: g * (out > 0))
        constant_in(upward, x="out")
        x = leaf([-1.0, 2.0])
        assert not grad([upward(x).sum()], [x])[0].requires_grad

    def test_joint_gradients_are_on_the_tape_together_and_give_nothing(self, define):
        @define
        def affine(x, w, b):
            return x * w + b

        affine.vjp(x=lambda g, w: g * w, w=lambda g, x: g * x, b=lambda g: g)
        joint_in(affine, "x", "w")
        x, w, b = leaf([1.0]), leaf([2.0]), leaf([3.0])
        first = grad([affine(x, w, b).sum()], [x, w, b], create_graph=True)
        assert [g.requires_grad for g in first] == [True, True, True]
        assert grad([first[2].sum()], [x, w, b], allow_unused=True) == (None, None, None)
        (g,) = grad([affine(tg.ones(1), tg.ones(1), b).sum()], [b], create_graph=True)
        assert not g.requires_grad

    def test_a_third_derivative_through_them(self, define):
        x = leaf([-1.0, 2.0])
        (g,) = grad([(tg.relu(x) ** 3).sum()], [x], create_graph=True)
        (h,) = grad([g.sum()], [x], create_graph=True)
        assert (h.tolist(), grad([h.sum()], [x])[0].tolist()) == ([0, 12], [0, 6])


class TestFunctionsWithoutAGradient:
    """They are called like primitives."""

    def test_pytorchs_names_of_the_operands(self):
        assert tg.eq(input=tg.tensor([6.0]), other=6.0).item() is True

    def test_plain_arrays_give_plain_arrays(self):
        result = tg.lt(np.array([1.0, 2.0]), 2.0)
        assert type(result) is np.ndarray
        assert result.tolist() == [True, False]

    @pytest.mark.parametrize(
        "call, message",
        [
            (lambda x: tg.eq(x), "eq: missing argument 'other'"),
            (lambda x: tg.eq(x, x, x), "eq: expected at most 2 arguments"),
            (lambda x: tg.eq(x, z=x), "eq: unexpected argument 'z'"),
            (lambda x: tg.isnan(3.0), "isnan: .*got float"),
        ],
    )
    def test_wrong_calls_are_named(self, call, message):
        with pytest.raises(TypeError, match=message):
            call(tg.ones(2))

    def test_shapes_that_do_not_broadcast_are_named(self):
        with pytest.raises(ValueError, match=r"eq: .*\(2,\).*\(3,\)"):
            tg.ones(2) == tg.ones(3)  # noqa: B015

    @pytest.mark.parametrize("name", ["mul", "eq"])
    def test_a_name_is_taken_once(self, name):
        def forward(x):
            return x

        forward.__name__ = name
        with pytest.raises(ValueError, match=f"{name!r} is defined twice"):
            nondifferentiable(forward)


def test_an_error_in_a_forward_of_ones_own_shows_where(define):
    @define
    def doubled(x):
        return helper(x)

    def helper(x):
        return x.no_such_thing + 1 if x.ndim else int("no number")

    with pytest.raises(AttributeError) as absent:  # NumPy and CuPy name their classes differently
        tg.ones(2).array.no_such_thing  # noqa: B018
    for given, kind, sentence in (
        (tg.ones(2), AttributeError, f"doubled: {absent.value} (x: (2,) float32)"),
        (tg.ones(()), ValueError, "doubled: invalid literal for int() with base 10: 'no number' (x: () float32)"),
    ):
        with pytest.raises(kind) as caught:
            doubled(given)
        error = caught.value
        assert str(error) == sentence
        assert error.__cause__ is None and error.__suppress_context__
        assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-3:] == ["call", "doubled", "helper"]
