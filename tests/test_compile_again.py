"""What runs of a program share and what each makes anew: gradients, numbers that stay, layouts."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.compiler.numbers import Numbers, set_by_one, set_by_two


def training(compiled=True, **options):
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, **options)

    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, tg.compile(step) if compiled else step


def batches(count, size=5):
    draw = np.random.default_rng(1)
    return [tuple(tg.from_numpy(draw.standard_normal((size, n), dtype=np.float32)) for n in (3, 1)) for _ in range(count)]


def gradients(model):
    return [p.grad.numpy().copy() for p in model.parameters()]


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("hold", [lambda g: g, lambda g: g.detach(), lambda g: g.numpy(), lambda g: g.numpy()[..., 1:], lambda g: memoryview(g.numpy())])
def test_gradients_that_are_held_stay_as_they_are(hold):
    model, _, step = training()
    plain, _, plain_step = training(compiled=False)
    held = []
    for i, (x, y) in enumerate(batches(8)):
        step(x, y)
        plain_step(x, y)
        close(gradients(model), gradients(plain))
        if i % 2:
            held.append([(hold(p.grad), np.array(hold(p.grad))) for p in model.parameters()])
    for pairs in held:
        for value, before in pairs:
            assert np.array_equal(np.array(value), before)


def test_gradients_that_are_held_in_turns():
    model, _, step = training()
    held = []
    for x, y in batches(6):
        step(x, y)
        weight = next(model.parameters())
        held.append((weight.grad, weight.grad.numpy().copy()))
        held = held[-2:]
        for gradient, before in held:
            assert np.array_equal(gradient.numpy(), before)


def test_a_gradient_that_a_graph_needs():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    @tg.compile
    def step(x):
        w.grad = None
        (w * x).sum().backward()

    for _ in range(3):
        step(tg.tensor([3.0, 4.0]))
    scale = tg.tensor(2.0, requires_grad=True)
    later = (scale * w.grad).sum()
    step(tg.tensor([5.0, 6.0]))
    later.backward()
    assert scale.grad.item() == 7.0
    assert w.grad.tolist() == [5.0, 6.0]


def test_each_gradient_is_a_new_tensor():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    @tg.compile
    def step(x):
        w.grad = None
        (w * x).sum().backward()

    for i in range(5):
        step(tg.tensor([1.0, 2.0]) * (i + 1))
        assert not w.grad.requires_grad and w.grad.tolist() == [i + 1.0, 2 * i + 2.0]
        w.grad.requires_grad_()


def test_two_programs_take_turns_with_gradients():
    model, _, step = training()
    plain, _, plain_step = training(compiled=False)
    for (x, y), (u, v) in zip(batches(5), batches(5, size=2)):
        for a, b in ((x, y), (u, v)):
            step(a, b)
            plain_step(a, b)
            close(gradients(model), gradients(plain))
    assert step.explain().programs == 2


def test_gradients_in_the_place_of_replaced_ones():
    model, _, step = training()
    plain, _, plain_step = training(compiled=False)
    for x, y in batches(5):
        step(x, y)
        plain_step(x, y)
        close(gradients(model), gradients(plain))
        for p in (*model.parameters(), *plain.parameters()):
            p.grad = p.grad * 2  # another tensor
    gc.collect()
    assert step.explain().programs == 1


@pytest.mark.parametrize("options", [{}, {"nesterov": True}, {"weight_decay": 0.01}])
def test_a_learning_rate_that_changes_and_comes_back(options):
    model, optimizer, step = training(**options)
    plain, plain_optimizer, plain_step = training(compiled=False, **options)
    for (x, y), lr in zip(batches(9), (0.1, 0.1, 0.1, 0.05, 0.05, 0.1, 0.1, 0.02, 0.1)):
        optimizer.param_groups[0]["lr"] = plain_optimizer.param_groups[0]["lr"] = lr
        step(x, y)
        plain_step(x, y)
        close([p.detach().numpy() for p in model.parameters()], [p.detach().numpy() for p in plain.parameters()])
    assert step.explain().programs == 1


def test_a_number_for_which_the_program_is_not_made_and_back():
    @tg.compile
    def half(x, n):
        return x * n if n > 2 else x - n

    x = tg.ones(3)
    for n in (3, 4, 5, 1, 5, 4, 4, 1, 2, 6):
        assert half(x, n).tolist() == [float(n if n > 2 else 1 - n)] * 3
    assert half.explain().programs == 2


def test_numbers_are_computed_when_those_given_are_others():
    slots, done = [3, 5, None, None, None], []
    numbers = Numbers()
    numbers.add((set_by_one, (slots, 2, lambda a: done.append("a") or -a, 0)), [0], 2, False)
    numbers.add((set_by_two, (slots, 3, lambda a, b: done.append("ab") or a + b, 2, 1)), [2, 1], 3, False)
    numbers.add((lambda: done.append("array"), ()), [], 4, True)
    assert len(numbers) == 3
    for given, expected in (((3, 5), {"a", "ab", "array"}), ((3, 5), {"array"}), ((3, 6), {"ab", "array"}), ((4, 6), {"a", "ab", "array"})):
        slots[:2] = given
        done.clear()
        numbers.do(given)
        assert set(done) == expected and slots[3] == given[1] - given[0]


def test_numbers_after_an_error_are_computed_again():
    slots = [3, None]

    def positive(a):
        if a < 0:
            raise ValueError
        return a + 1

    numbers = Numbers()
    numbers.add((set_by_one, (slots, 1, positive, 0)), [0], 1, False)
    numbers.do([3])
    slots[0] = -1
    with pytest.raises(ValueError):
        numbers.do([-1])
    slots[:] = [3, None]
    numbers.do([3])
    assert slots[1] == 4


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("shape", [(4, 6), (40, 60), (160, 130)])
@pytest.mark.parametrize("operation", ["gelu", "silu", "mish", "glu", "relu"])
def test_a_reshape_is_a_view_or_a_copy_as_in_eager_execution(operation, shape, fuse):
    def function(x):
        made = getattr(tg.nn.functional, operation)(x.t() * 1.0)
        flat = made.reshape(-1)
        flat.mul_(2.0)
        turned = made.t().reshape(-1)
        turned.add_(1.0)
        return made * 1.0, flat * 1.0, turned * 1.0

    compiled = tg.compile(function, options={"fuse": fuse})
    for _ in range(3):
        x = tg.randn(*shape)
        for mine, eager in zip(compiled(x), function(x)):
            np.testing.assert_allclose(mine.numpy(), eager.numpy(), rtol=1e-5, atol=1e-5)
    assert not compiled.refusal
