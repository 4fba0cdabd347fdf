"""What backward and grad do, and what they refuse."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import backward, grad


def leaf(*values, dtype=tg.float64):
    return tg.tensor(values[0] if len(values) == 1 else list(values), dtype=dtype, requires_grad=True)


def test_backward_adds_into_the_grad_of_every_leaf():
    x, y = leaf(2.0, 3.0), leaf(5.0, 7.0)
    (x * y).sum().backward()
    assert x.grad.tolist() == [5, 7]
    (x * y).sum().backward()
    assert x.grad.tolist() == [10, 14]
    assert y.grad.tolist() == [4, 6]


def test_reading_grad_twice_gives_the_same_tensor():
    x = leaf(1.0)
    (x * 3).backward()
    assert x.grad is x.grad


def test_a_tensor_used_twice_gets_the_sum():
    x = leaf(3.0)
    (x * x + x).backward()
    assert x.grad.item() == 7


def test_grad_returns_values_and_changes_nothing():
    x = leaf(2.0)
    (g,) = grad(x * x * x, x)
    assert g.item() == 12
    assert x.grad is None


def test_grad_of_an_intermediate():
    x = leaf(2.0)
    y = x * x
    (gy, gx) = grad(y * y, (y, x))
    assert (gy.item(), gx.item()) == (8, 32)


def test_the_gradient_of_the_input_of_a_model():
    """Item 8: backpropagation goes on to the input."""
    model = tg.nn.Sequential(tg.nn.Linear(3, 4, dtype=tg.float64), tg.nn.Tanh(), tg.nn.Linear(4, 1, dtype=tg.float64))
    x = leaf(0.3, -0.2, 0.5)
    model(x).sum().backward()
    step = 1e-6 * tg.eye(3, dtype=tg.float64)
    with tg.no_grad():
        expected = (model(x + step) - model(x - step))[:, 0] / 2e-6
    np.testing.assert_allclose(x.grad.numpy(), expected.numpy(), rtol=1e-7)


def test_several_outputs_are_summed_with_their_cotangents():
    x = leaf(1.0, 2.0)
    outputs = (x * x, x * 3)
    cotangents = (tg.tensor([1.0, 10.0], dtype=tg.float64), tg.tensor([1.0, 1.0], dtype=tg.float64))
    (g,) = grad(outputs, x, cotangents)
    assert g.tolist() == [2 + 3, 40 + 3]


def test_derivatives_of_every_order():
    x = leaf(0.7)
    y = tg.sin(x)
    expected = [np.cos(0.7), -np.sin(0.7), -np.cos(0.7), np.sin(0.7), np.cos(0.7)]
    for value in expected:
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(value, rel=1e-14)


def test_backward_with_create_graph_leaves_a_differentiable_grad():
    x = leaf(2.0)
    (x * x * x).backward(create_graph=True)
    (second,) = grad(x.grad, x)
    assert second.item() == 12


def test_a_grad_lies_in_order_in_memory_for_view():
    x = tg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    (x.T * tg.ones(3, 2) * x.T).sum().backward(create_graph=True)
    assert x.grad.requires_grad and x.grad.view(-1).tolist() == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("value", [True, False])
def test_requires_grad_is_set_on_leaves_alone(value):
    x = tg.ones(2, requires_grad=True)
    y = x * 2
    with pytest.raises(RuntimeError, match="requires_grad: only that of a leaf"):
        y.requires_grad = value
    assert y.requires_grad and not y.is_leaf
    x.requires_grad = value
    assert x.requires_grad is value


@pytest.mark.parametrize("value", [1, 0, None, "yes"])
def test_requires_grad_is_true_or_false(value):
    x = tg.ones(2)
    with pytest.raises(TypeError, match="requires_grad: expected True or False"):
        x.requires_grad = value
    assert not x.requires_grad


def test_only_the_named_inputs_get_a_grad():
    x, y = leaf(2.0), leaf(3.0)
    (x * y).backward(inputs=[x])
    assert x.grad.item() == 3
    assert y.grad is None


def test_a_gradient_has_the_dtype_and_the_shape_of_its_input():
    x = tg.tensor([[1.0], [2.0]], dtype=tg.float32, requires_grad=True)
    y = tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64, requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (tg.float32, (2, 1))
    assert (y.grad.dtype, y.grad.shape) == (tg.float64, (3,))
    assert y.grad.tolist() == [3, 3, 3]


def test_two_leaves_never_share_the_memory_of_their_grads():
    x, y, given = leaf(1.0, 2.0), leaf(3.0, 4.0), tg.ones(2, dtype=tg.float64)
    (x + y).backward(given)
    x.grad.array[:] = 100
    assert y.grad.tolist() == [1, 1]
    assert given.tolist() == [1, 1]


def test_the_results_of_grad_never_share_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    gx, gy = grad((x + y).sum(), (x, y))
    gx.array[:] = 100
    assert gy.tolist() == [1, 1]


class TestFreeing:
    def test_a_second_backward_says_what_to_do(self):
        x = leaf(2.0)
        y = x * x
        y.backward()
        with pytest.raises(RuntimeError, match=r"mul .* freed by an earlier backward; pass retain_graph=True"):
            y.backward()

    def test_retain_graph_allows_it(self):
        x = leaf(2.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.item() == 8

    def test_what_saved_nothing_may_be_gone_through_twice(self):
        x = leaf(2.0)
        y = x + 1
        y.backward()
        y.backward()
        assert x.grad.item() == 2


class TestRefusals:
    def test_a_non_scalar_without_a_gradient(self):
        with pytest.raises(RuntimeError, match=r"only for scalar outputs.*\(2,\)"):
            (leaf(1.0, 2.0) * 2).backward()

    def test_a_tensor_that_needs_no_gradient(self):
        with pytest.raises(RuntimeError, match="does not require grad"):
            tg.tensor(1.0).backward()

    def test_integers_cannot_require_gradients(self):
        with pytest.raises(RuntimeError, match="only floating-point tensors can require gradients.*int64"):
            tg.tensor([1, 2]).requires_grad_()

    def test_a_gradient_of_another_shape(self):
        with pytest.raises(ValueError, match=r"shape \(3,\) is not the output's, \(2,\)"):
            (leaf(1.0, 2.0) * 2).backward(tg.ones(3))

    def test_an_input_that_nothing_depends_on(self):
        x, y = leaf(1.0), leaf(1.0)
        with pytest.raises(RuntimeError, match="no output depends on input 1"):
            grad(x * 2, (x, y))
        assert grad(x * 2, (x, y), allow_unused=True)[1] is None
        assert grad(x * 2, (x, y), materialize_grads=True)[1].item() == 0

    def test_an_input_that_does_not_require_grad(self):
        x = leaf(1.0)
        with pytest.raises(RuntimeError, match="input 0 does not require grad"):
            grad(x * 2, tg.tensor(1.0))

    def test_things_that_are_not_tensors(self):
        x = leaf(1.0)
        with pytest.raises(TypeError, match="expected a Tensor to differentiate, got float"):
            grad([1.0], x)
        with pytest.raises(TypeError, match="expected Tensors as inputs, got float at place 0"):
            grad(x * 2, [1.0])
        with pytest.raises(TypeError, match="expected a Tensor .* as the gradient, got ndarray"):
            (x * 2).backward(np.ones(()))

    def test_another_number_of_cotangents(self):
        x = leaf(1.0)
        with pytest.raises(ValueError, match="2 outputs but 1 gradients"):
            grad((x * 2, x * 3), x, (tg.ones((), dtype=tg.float64),))

    def test_a_refused_backward_changes_no_grad(self):
        x = leaf(1.0, 2.0)
        (x * x).sum().backward()
        y = x * x
        with pytest.raises(RuntimeError):
            y.backward()
        assert x.grad.tolist() == [2, 4]


class TestHooks:
    def test_a_hook_sees_the_gradient_and_may_replace_it(self):
        x = leaf(2.0)
        y = x * 3
        seen = []
        y.register_hook(lambda g: seen.append(g.item()))
        handle = y.register_hook(lambda g: g * 10)
        (y * 2).backward(retain_graph=True)
        assert seen == [2]
        assert x.grad.item() == 60
        handle.remove()
        x.grad = None
        (y * 2).backward()
        assert x.grad.item() == 6

    def test_a_hook_on_a_leaf(self):
        x = leaf(2.0)
        x.register_hook(lambda g: -g)
        (x * 3).backward()
        assert x.grad.item() == -3

    def test_a_hook_runs_once_on_the_whole_gradient(self):
        x = leaf(2.0)
        calls = []
        x.register_hook(lambda g: calls.append(g.item()))
        (x * 3 + x * 4).backward()
        assert calls == [7]

    def test_a_hook_that_returns_nonsense_is_refused(self):
        x = leaf(2.0)
        x.register_hook(lambda g: 3.0)
        with pytest.raises(ValueError, match="expected a gradient of shape"):
            (x * 3).backward()

    def test_retain_grad_keeps_what_the_hooks_made_of_it(self):
        x = leaf(2.0)
        y = x * 3
        y.retain_grad()
        y.register_hook(lambda g: g * 10)
        (y * y).backward()
        assert y.grad.item() == 120
        assert y.retains_grad and not x.retains_grad

    def test_post_accumulate_hooks_see_the_sum(self):
        x = leaf(2.0)
        seen = []
        handle = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
        (x * 3).backward()
        (x * 3).backward()
        handle.remove()
        (x * 3).backward()
        assert seen == [3, 6]


class TestModes:
    def test_no_grad_records_nothing(self):
        x = leaf(1.0)
        with tg.no_grad():
            assert (x * 2).requires_grad is False
            with tg.enable_grad():
                assert (x * 2).requires_grad is True
        assert (x * 2).requires_grad is True

    @pytest.mark.parametrize("switch", [tg.no_grad, tg.no_grad(), tg.inference_mode, tg.inference_mode()])
    def test_as_a_decorator(self, switch):
        assert tg.is_grad_enabled()
        x = leaf(1.0)
        assert switch(lambda: x * 2)().requires_grad is False
        assert tg.is_grad_enabled()

    def test_a_decorated_generator_switches_only_its_own_code(self):
        x = leaf(1.0)

        @tg.no_grad()
        def doubles():
            yield (x * 2).requires_grad
            yield (x * 2).requires_grad

        for inside in doubles():
            assert inside is False
            assert (x * 2).requires_grad is True

    def test_set_grad_enabled_as_a_call_and_as_a_block(self):
        tg.set_grad_enabled(False)
        assert not tg.is_grad_enabled()
        tg.set_grad_enabled(True)
        with tg.set_grad_enabled(False):
            assert not tg.is_grad_enabled()
        assert tg.is_grad_enabled()

    def test_an_exception_leaves_the_mode_as_it_was(self):
        with pytest.raises(KeyError), tg.no_grad():
            raise KeyError
        assert tg.is_grad_enabled()

    def test_threads_have_switches_of_their_own(self):
        seen = []
        with tg.no_grad():
            thread = threading.Thread(target=lambda: seen.append(tg.is_grad_enabled()))
            thread.start()
            thread.join()
        assert seen == [True]


def chain(length):
    x = leaf(1.0)
    y = x
    for _ in range(length):
        y = y + 1
    return x, y


def test_a_long_chain_goes_backward_without_recursion():
    x, y = chain(100_000)
    y.backward()
    assert x.grad.item() == 1


def test_backward_takes_work_linear_in_the_length():
    """Counted in calls, of Python and of C; `python -m benchmarks chain` times it."""

    def calls(length):
        _, y = chain(length)
        count = 0

        def counting(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(counting)
        try:
            y.backward()
        finally:
            sys.setprofile(None)
        return count

    assert calls(20_000) < 10.5 * calls(2_000)


def test_backward_of_several_tensors_at_once():
    x = leaf(1.0, 2.0)
    backward([(x * 2).sum(), x * x], [None, tg.ones(2, dtype=tg.float64)])
    assert x.grad.tolist() == [4, 6]


def test_grad_reaches_through_data_that_was_replaced():
    x = leaf(1.0, 2.0)
    x.data = tg.tensor([5.0, 6.0, 7.0], dtype=tg.float64)
    (x * x).sum().backward()
    assert x.grad.tolist() == [10, 12, 14]


def test_a_grad_that_was_saved_and_then_added_to_is_refused():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x * x).sum().backward()
    y = (x.grad * w).sum()
    (x * x).sum().backward()
    with pytest.raises(RuntimeError, match="an accumulation into .grad has changed in place"):
        y.backward()


def test_a_view_returned_with_others_follows_a_change_of_what_it_shows():
    x = tg.tensor([3.0, 4.0], requires_grad=True)
    h = x * 1
    r, s = h.unbind()
    h.mul_(2)
    (r * r + s).backward()  # 4 x0^2 + 2 x1
    assert x.grad.tolist() == [24.0, 2.0]


def test_a_view_made_under_no_grad_of_a_tensor_without_gradient_may_be_changed():
    x = tg.tensor([3.0], requires_grad=True)
    h = tg.ones(2)
    with tg.no_grad():
        v = h[:1]
    v.mul_(x)
    (h * h).sum().backward()
    assert x.grad.tolist() == [6.0]


@pytest.mark.parametrize("use", ["tile((1,))", "reshape(-1)", "unsqueeze(0)", "t()", "view(4)", "repeat(1, 1)", "roll(1)", "flatten()", "mul(1)"])
def test_a_gradient_is_no_view(use):
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (g,) = tg.autograd.grad((eval(f"x.{use}") ** 2).sum(), x, create_graph=True)
    v = g.view(-1)
    g[0] = 1.5
    (h,) = tg.autograd.grad((v * v).sum(), g, retain_graph=True)
    assert h.tolist() == [[3.0, 3.0], [12.0, 16.0]]
    assert tg.autograd.grad(v.sum(), x)[0].tolist() == [[0.0, 0.0], [2.0, 2.0]]


@pytest.mark.parametrize("move", ["t_()", "transpose_(0, 1)", "swapaxes_(0, 1)", "unsqueeze_(0).squeeze_(0).t_()", "as_strided_((2, 2), (1, 2))"])
def test_gradients_follow_elements_that_are_moved_under_no_grad(move):
    x = tg.ones(2, 2, requires_grad=True)
    h = x * 1
    with tg.no_grad():
        eval(f"h.{move}")
    (h * tg.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert x.grad.tolist() == [[1.0, 3.0], [2.0, 4.0]]


def shared_by(count):
    """Parameters that lie in one array."""
    flat = tg.zeros(2 * count)
    return [tg.nn.Parameter(flat[2 * i : 2 * i + 2].detach()) for i in range(count)]


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_a_change_of_one_parameter_is_none_of_another_in_the_same_array(count):
    parameters = shared_by(count)
    optimizer = tg.optim.SGD(parameters, lr=0.1)
    for _ in range(2):
        loss = sum((p * p).sum() for p in parameters[: count // 2])
        tg.zeros(3).add_(1)
        with tg.no_grad():
            for p in parameters[count // 2 :]:
                p.copy_(tg.ones(2))
        (loss + sum((p * p).sum() for p in parameters[count // 2 :])).backward()
        optimizer.step()


@pytest.mark.parametrize("count", [10, 100])
def test_a_change_of_a_parameter_that_is_needed_is_noticed_beside_others_in_the_same_array(count):
    parameters = shared_by(count)
    optimizer = tg.optim.SGD(parameters, lr=0.1)
    for changed in (0, count - 1):
        loss = sum((p * p).sum() for p in parameters)
        with tg.no_grad():
            parameters[changed].copy_(tg.ones(2))
        with pytest.raises(RuntimeError, match="copy_ has changed in place"):
            loss.backward()
        sum((p * p).sum() for p in parameters).backward()
        optimizer.step()
        loss = sum((p * p).sum() for p in parameters)
        optimizer.step()
        with pytest.raises(RuntimeError, match="changed in place"):
            loss.backward()


def test_a_gradient_that_is_set_fits_its_tensor():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    for value, error in (
        (tg.ones(3), RuntimeError),
        (tg.ones(2, 1), RuntimeError),
        (tg.ones(2, dtype=tg.float64), RuntimeError),
        (x, RuntimeError),
        (1.0, TypeError),
        ([1.0, 1.0], TypeError),
    ):
        with pytest.raises(error, match="grad: "):
            x.grad = value
    assert x.grad is None
    x.grad = tg.ones(2)
    (3 * x).sum().backward()
    assert x.grad.tolist() == [4, 4]
    del x.grad
    assert x.grad is None


def test_a_backward_that_is_refused_calls_no_hook_and_retains_nothing():
    """(PyTorch has called those of what it had passed.)"""
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    z, called = y * 1, []
    z.retain_grad()
    z.register_hook(called.append)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()
    assert z.grad is None and not called
    v = (x * x).sum()
    w = v * 1
    w.retain_grad()
    v.backward()
    with pytest.raises(RuntimeError, match="freed"):
        w.backward()
    assert w.grad is None


def test_data_that_is_set_to_itself_leaves_the_memory_as_it_was():
    layer = tg.nn.Linear(2, 2, device="cpu")  # on a GPU another view of the same memory takes its place
    array = layer.weight.array
    layer.to("cpu").to(tg.float32)
    layer.weight.data = layer.weight.data
    assert layer.weight.array is array
