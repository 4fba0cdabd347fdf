"""What gradcheck and gradgradcheck accept and refuse."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import Function, GradcheckError, gradcheck, gradgradcheck


def leaf(*values):
    return tg.tensor(list(values), dtype=tg.float64, requires_grad=True)


def fails(match, func, inputs, checker=gradcheck, **options):
    with pytest.raises(GradcheckError, match=match):
        checker(func, inputs, **options)
    assert checker(func, inputs, raise_exception=False, **options) is False


class TestInputs:
    @pytest.mark.parametrize("checker", [gradcheck, gradgradcheck])
    def test_none_that_requires_grad(self, checker):
        for inputs in (tg.ones(2), (tg.ones(2), 3), (), 3.0):
            with pytest.raises(ValueError, match="at least one input that requires grad"):
                checker(lambda *xs: xs[0] * 2, inputs)

    @pytest.mark.parametrize("checker", [gradcheck, gradgradcheck])
    @pytest.mark.parametrize(
        "overlapping",
        [lambda x: x[:1].expand(3), lambda x: x.expand(2, 2), lambda x: tg.as_strided(tg.cat((x, x)), (2, 2), (1, 1)), lambda x: x[0].expand(2, 2)],
    )
    def test_elements_that_share_memory(self, checker, overlapping):
        with pytest.raises(RuntimeError, match=r"input 0 share one place in memory .*contiguous\(\)"):
            checker(lambda x: x * x, overlapping(leaf(1.0, 2.0)))

    def test_other_layouts_are_fine(self):
        x = leaf(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
        for view in (x.reshape(2, 3).t(), x[::2], x.reshape(1, 6), x[3], x[1:1], x.reshape(3, 2)[:, 0]):
            assert gradcheck(lambda v: v * v, view)
            assert gradgradcheck(lambda v: v * v, view)

    @pytest.mark.parametrize("checker", [gradcheck, gradgradcheck])
    def test_single_precision_is_warned_of_and_named(self, checker):
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        with pytest.warns(UserWarning, match="input 0 is float32.* use float64") as warned, pytest.raises(GradcheckError, match="use float64"):
            checker(tg.sin, x)
        assert warned[0].filename == __file__
        with pytest.warns(UserWarning, match="input 1 is float16"):
            checker(tg.mul, (leaf(1.0), tg.ones(1, dtype=tg.float16, requires_grad=True)), raise_exception=False)

    def test_a_result_in_single_precision_is_named(self):
        fails("use float64, float32 is too coarse", lambda x: x.float() ** 2, leaf(1.0, 2.0))

    def test_the_inputs_are_what_they_were(self):
        x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
        assert gradcheck(tg.mul, (x, y))
        fails("input 0", lambda x, y: x.detach() * y, (x, y))
        with pytest.raises(ZeroDivisionError):
            gradcheck(lambda x, y: x * y if x.tolist() == [1, 2] else 1 / 0, (x, y))
        assert (x.tolist(), y.tolist(), x.grad, y.grad) == ([1, 2], [3, 4], None, None)

    def test_one_tensor_in_two_places(self):
        x = leaf(1.0, 2.0)
        assert gradcheck(tg.mul, (x, x)) and gradgradcheck(tg.mul, (x, x))

    def test_a_function_of_what_it_holds(self):
        """Inputs are perturbed in place, so a module's own parameters may be passed."""
        layer = tg.nn.Linear(2, 3, dtype=tg.float64)
        x = leaf(1.0, 2.0)
        assert gradcheck(lambda *parameters: layer(x), tuple(layer.parameters()))
        assert gradgradcheck(lambda *parameters: layer(x) ** 2, tuple(layer.parameters()))

    def test_no_elements(self):
        assert gradcheck(lambda x: x * 2, leaf()) and gradcheck(lambda x: x[:0], leaf(1.0)) and gradgradcheck(lambda x: x * x, leaf())


class TestResults:
    def test_constants_have_no_gradient(self):
        for constant in (lambda x: tg.ones(2), lambda x: x.argmax(), lambda x: x.sort()[1], lambda x: (x > 0, x.detach().floor())):
            assert gradcheck(constant, leaf(1.3, 2.4))
            assert gradgradcheck(constant, leaf(1.3, 2.4))

    @pytest.mark.parametrize(
        "func", [lambda x: x.detach() * 2, lambda x: tg.from_numpy(np.sin(x.detach().cpu().numpy())), tg.no_grad()(tg.sin), lambda x: (x.data, x.argmax())]
    )
    @pytest.mark.parametrize("checker", [gradcheck, gradgradcheck])
    def test_what_depends_on_the_input_must_require_grad(self, checker, func):
        fails("the output does not require grad", func, leaf(1.0, 2.0), checker)

    def test_beside_a_result_that_requires_grad_others_may_not(self):
        assert gradcheck(lambda x: x.max(0), leaf(1.0, 2.0))
        assert gradcheck(lambda x: (x * 2, x.detach()), leaf(1.0, 2.0))

    def test_each_of_several_results_is_checked(self):
        half = lambda x: x * x.detach()
        assert gradcheck(lambda x: (x * 2, x * x), leaf(1.0, 2.0))
        fails("output 1, element 0, with respect to input 0, element 0: the tape says 3, finite differences say 6", lambda x: (x * 2, half(x)), leaf(3.0))
        fails("output 0, element 1, with respect to input 1, element 1", lambda x, y: [x * half(y), x], (leaf(3.0, 2.0), leaf(0.0, 2.0)))

    @pytest.mark.parametrize("returned", [3.0, None, np.ones(2)], ids=str)
    def test_what_is_no_tensor(self, returned):
        with pytest.raises(TypeError, match=f"expected func to return Tensors, got {type(returned).__name__}"):
            gradcheck(lambda x: returned, leaf(1.0))

    def test_nan_is_no_agreement(self):
        fails("the tape says nan", lambda x: x * float("nan"), leaf(1.0))

    def test_another_number_of_results(self):
        fails("as many outputs", lambda x: (x,) * (1 + (x.item() > 1)), leaf(1.0))


def test_the_options_of_pytorch():
    options = {"check_undefined_grad": False, "check_grad_dtypes": True, "fast_mode": True, "nondet_tol": 1e-9}
    assert gradcheck(tg.sin, leaf(1.0), **options) and gradgradcheck(tg.sin, leaf(1.0), **options)


class TestFunctionsThatAreNot:
    def test_a_random_one(self):
        generator = np.random.default_rng(0)
        noisy = lambda x: x * tg.from_numpy(generator.random(2)).to(x.device)
        fails("returns other values each time", noisy, leaf(1.0, 2.0))

    def test_one_that_changes_its_input(self):
        fails(r"changes input 0 in place; let it change a clone\(\)", lambda x: x.mul_(2), leaf(1.0, 2.0) * 1)
        assert gradcheck(lambda x: x.clone().mul_(2), leaf(1.0, 2.0))
        with pytest.raises(RuntimeError, match="leaf"):
            gradcheck(lambda x: x.mul_(2), leaf(1.0, 2.0))

    @pytest.mark.parametrize("tolerance", [0.0, 1e-6])
    def test_a_backward_that_is_random(self, tolerance):
        generator = np.random.default_rng(0)

        class Noisy(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g * (2 + generator.random() * 1e-9)

        if tolerance:
            assert gradcheck(Noisy.apply, leaf(1.0), nondet_tol=tolerance)
        else:
            fails("other gradients each time", Noisy.apply, leaf(1.0))

    def test_a_backward_that_leaves_out_g(self):
        class Careless(Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return tg.full_like(g, 2.0)

        fails("not multiplied by g", Careless.apply, leaf(1.0))


class TestSecondOrder:
    def test_a_linear_function(self):
        assert gradgradcheck(lambda x: x * 2, leaf(1.0, 2.0))

    def test_a_backward_that_loses_what_it_depends_on(self):
        class Square(Function):
            @staticmethod
            def forward(ctx, x, y):
                ctx.save_for_backward(x)
                return x * x + y

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return (2 * g * x).detach(), g

        x, y = leaf(1.0, 2.0), leaf(1.0, 2.0)
        assert gradcheck(Square.apply, (x, y))
        fails("does not require grad", Square.apply, (x, y), gradgradcheck)

    def test_cotangents_given(self):
        assert gradgradcheck(tg.sin, leaf(1.0, 2.0), leaf(0.5, 0.1))
        assert gradgradcheck(lambda x: (x.sin(), x.exp()), leaf(1.0), [leaf(0.5), leaf(0.25)])
