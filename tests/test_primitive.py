"""Defining primitives: what the tape keeps, fused rules, and what a definition may not do."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.check_op import Sample, check_derivatives
from tinygrad_lite.autograd import REGISTRY, GradcheckError, grad, gradcheck, gradgradcheck, nondifferentiable, primitive


@pytest.fixture
def define():
    """`@primitive` for the time of one test."""
    before = set(REGISTRY)
    yield primitive
    for name in set(REGISTRY) - before:
        del REGISTRY[name]


def leaf(values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


class TestTheCheckers:
    """A checker that cannot fail checks nothing: wrong rules are planted, and caught."""

    def test_a_wrong_first_derivative_is_caught(self, define):
        @define
        def double(x):
            return x * 2

        double.vjp(x=lambda g: g * 2.001)
        sample = Sample("double", (np.array([0.3, 0.7]),), lambda x: x * 2)
        with pytest.raises(AssertionError, match="double: derivative 1 with respect to argument 0"):
            check_derivatives(sample, "cpu")
        with pytest.raises(GradcheckError, match="input 0"):
            gradcheck(double, leaf([0.3, 0.7]), atol=1e-6, rtol=1e-5)

    def test_a_rule_that_is_wrong_only_at_second_order_is_caught(self, define):
        @define
        def cube(x):
            return x**3

        # The value is right; what it depends on is hidden from the second derivative.
        cube.vjp(x=lambda g, x: g * 3 * detached(x) * x)
        sample = Sample("cube", (np.array([0.3, 0.7]),), lambda x: x**3)
        with pytest.raises(AssertionError, match="cube: derivative 2"):
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
            (lambda x: tg.mul(x), "mul: missing argument 'y'"),
            (lambda x: tg.mul(x, x, x), "mul: expected at most 2 arguments"),
            (lambda x: tg.mul(x, z=x), "mul: unexpected argument 'z'"),
            (lambda x: tg.mul(x, x, other=x), "mul: argument 'y' was given twice"),
            (lambda x: tg.mul(x, "a"), "mul: .*got str|mul: expected a Tensor for y, got str"),
            (lambda x: tg.mul([1.0], x), "mul: expected a Tensor for x, got list"),
        ],
    )
    def test_wrong_calls_are_named(self, call, message):
        with pytest.raises(TypeError, match=message):
            call(tg.ones(2))

    def test_shapes_that_do_not_broadcast_are_named(self):
        with pytest.raises(ValueError, match=r"mul: .*\(2,\).*\(3,\)"):
            tg.ones(2) * tg.ones(3)


class TestFunctionsWithoutAGradient:
    """They are called as primitives are."""

    def test_pytorchs_names_of_the_operands(self):
        assert tg.eq(input=tg.tensor([6.0]), other=6.0).item() is True

    def test_plain_arrays_give_plain_arrays(self):
        result = tg.lt(np.array([1.0, 2.0]), 2.0)
        assert type(result) is np.ndarray
        assert result.tolist() == [True, False]

    @pytest.mark.parametrize(
        "call, message",
        [
            (lambda x: tg.eq(x), "eq: missing argument 'y'"),
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
