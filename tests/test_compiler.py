"""The parts of `tg.compile`: tracing, passes, plans, and consecutive calls as one compiled function."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.compiler.arguments import Arguments, names_of
from tinygrad_lite.compiler.capture import capture
from tinygrad_lite.compiler.chains import Slots, chain_of, is_link
from tinygrad_lite.compiler.joined_products import with_products_joined
from tinygrad_lite.compiler.layouts import Layouts
from tinygrad_lite.compiler.native import function_of, is_supported
from tinygrad_lite.compiler.nests import Piece
from tinygrad_lite.compiler.passes import PASSES, without_dead_code, without_repetitions
from tinygrad_lite.compiler.plan import Plan
from tinygrad_lite.compiler.reach import Reach

F = nn.functional


def traced(function, *arguments, **options):
    """The program of one call."""
    names = names_of(function)(arguments, {})
    return capture(function, arguments, {}, Arguments(names), Reach(function, names), {}, **options).program


def lines(program):
    return [line.partition("  #")[0].strip() for line in str(program).splitlines() if not line.startswith("#")]


def gradients_of(model, loss, *inputs):
    def step(x, y):
        value = loss(model(x), y)
        return value, *tg.autograd.grad(value, list(model.parameters()))

    return step, inputs


tg.manual_seed(0)
STEPS = {
    "mlp": gradients_of(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), F.mse_loss, tg.randn(5, 3), tg.randn(5, 2)),
    "layer norm": gradients_of(
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 5)), F.cross_entropy, tg.randn(6, 3), tg.randint(0, 5, (6,))
    ),
    "cnn": gradients_of(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)),
        F.cross_entropy, tg.randn(2, 1, 8, 8), tg.randint(0, 3, (2,)),
    ),
    "rectified": gradients_of(
        nn.Sequential(nn.Linear(200, 150), nn.ReLU(), nn.Linear(150, 200), nn.ReLU(), nn.Linear(200, 2)),
        F.mse_loss, tg.randn(90, 200), tg.randn(90, 2),
    ),
    "wide": gradients_of(nn.Sequential(nn.Linear(30, 400), nn.SiLU(), nn.Linear(400, 2)), F.mse_loss, tg.randn(50, 30), tg.randn(50, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("passes", [[], ["dead code removed"], ["repetitions removed"], list(PASSES)], ids=["none", "dead", "twice", "all"])
def test_a_program_does_what_the_function_does_after_each_pass(name, passes):
    step, (x, y) = STEPS[name]
    program = traced(step, x, y)
    for name in passes:
        program = PASSES[name](program)
    other = x * 0.9
    found = program.run(other.array, y.array)
    for value, wanted in zip(found, step(other, y), strict=True):
        np.testing.assert_allclose(value, wanted.detach().array, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_a_plan_does_what_the_function_does(name, fuse):
    step, (x, y) = STEPS[name]
    program = traced(step, x, y)
    for simpler in PASSES.values():
        program = simpler(program)
    plan = Plan(program, [x.array, y.array], fuse)
    for factor in (1, 0.9, 1.1):
        other = x * factor
        for value, wanted in zip(plan.run([other.array, y.array], []), step(other, y), strict=True):
            np.testing.assert_allclose(value, wanted.detach().array, rtol=2e-5, atol=1e-6)


def test_repetitions_and_dead_code_go():
    def function(x):
        x.exp()
        return (x * 2) + (x * 2)

    program = traced(function, tg.tensor([1.0, 2.0]))
    assert lines(program) == ["v0 = np.exp(x)", "v1 = x * 2", "v2 = x * 2", "v3 = v1 + v2", "return [v3]"]
    assert lines(without_dead_code(without_repetitions(program))) == ["v1 = x * 2", "v3 = v1 + v1", "return [v3]"]


def test_what_is_changed_between_two_calls_is_no_repetition():
    def function(x):
        y = x * 1
        first = y * 3
        y += 1
        return first, y * 3

    program = without_dead_code(without_repetitions(traced(function, tg.tensor([1.0, 2.0]))))
    assert [value.tolist() for value in program.run(np.array([1, 2], np.float32))] == [[3, 6], [6, 9]]


def joined(function, *arguments):
    program = without_dead_code(without_repetitions(traced(function, *arguments)))
    return [getattr(call.function, "__name__", call.function) for call in with_products_joined(program).calls]


def test_a_rectifier_joins_the_product_before_it_if_nothing_else_reads_it():
    layer, x = nn.Linear(200, 150).requires_grad_(False), tg.randn(90, 200)
    assert joined(lambda x: F.relu(layer(x)), x) == ["rectified_affine"]
    assert joined(lambda x: (F.relu(y := layer(x)), y), x) == ["affine", "relu_of"]
    assert joined(lambda x: F.relu(layer(x) * 2), x)[-1] == "relu_of"


def test_the_gradient_of_a_rectifier_joins_the_product_that_it_masks():
    model = nn.Sequential(nn.Linear(200, 150), nn.ReLU(), nn.Linear(150, 120), nn.ReLU(), nn.Linear(120, 100))

    def gradients(x):
        return tg.autograd.grad(model(x).sum(), list(model.parameters()))

    calls = joined(gradients, tg.randn(90, 200))
    assert calls.count("rectified_affine") == calls.count("masked_product") == 2
    assert "selected" not in calls


def test_a_product_whose_operand_is_changed_before_the_rectifier_is_not_joined():
    layer = nn.Linear(200, 150)

    def function(x):
        x = x * 1
        y = layer(x)
        x += 1
        return F.relu(y), x

    with tg.no_grad():
        assert "rectified_affine" not in joined(function, tg.randn(90, 200))


def test_random_numbers_are_no_repetition():
    program = without_repetitions(traced(lambda x: (tg.rand(2), tg.rand(2)), tg.ones(1)))
    assert sum(call.function == "draw" for call in program.calls) == 2


def test_numbers_of_different_types_are_different():
    program = without_repetitions(traced(lambda x: (x * 1, x * 1.0, x * True), tg.tensor([1, 2])))
    assert len(program.calls) > 2


def test_memory_is_used_again():
    def function(x):
        for _ in range(20):
            x = (x * 1.5).exp().sin()
        return x

    plan = Plan(traced(function, tg.ones(1000)), [np.ones(1000, np.float32)])
    assert plan.bytes < 5 * 4032


# -- consecutive calls as one compiled function -----------------------------------------------------

needs_loops = pytest.mark.skipif(not available(), reason="there are no compiled loops")


@pytest.fixture
def draw():
    return np.random.default_rng(0)


def floats(draw, *shape):
    return draw.uniform(0.5, 2, shape).astype(np.float32)


@needs_loops
@pytest.mark.parametrize("a, b", [((7, 5), (5, 3)), ((2, 0), (0, 3)), ((0, 2), (2, 3)), ((1, 5), (5, 1)), ((5,), (5, 3)), ((4, 5), (5,)), ((6,), (6,)), ((3, 1), (1, 4))])
@pytest.mark.parametrize("turned", [False, True])
def test_a_product_in_a_function(a, b, turned, draw, loops_of_its_own):
    x, y = floats(draw, *a), floats(draw, *b)
    if turned:
        x, y = np.asfortranarray(x), np.asfortranarray(y)
    out = np.zeros_like(np.asarray(x @ y))
    function_of([Piece("dot", out, (x, y), 0)])()
    np.testing.assert_allclose(out, x @ y, rtol=1e-6)


@needs_loops
@pytest.mark.parametrize("name, function", [("sum", np.sum), ("max", np.max), ("min", np.min)])
@pytest.mark.parametrize("shape, axes", [((4, 5), (0,)), ((4, 5), (1,)), ((4, 5), (0, 1)), ((3, 1, 4), (0, 2)), ((6,), (0,)), ((2, 3, 4), (1,))])
def test_a_reduction_in_a_function(name, function, shape, axes, draw, loops_of_its_own):
    x = floats(draw, *shape)
    for keepdims in (False, True):
        out = np.zeros_like(np.asarray(function(x, axis=axes, keepdims=keepdims)))
        function_of([Piece(name, out, (x,), 0, axes=axes)])()
        np.testing.assert_allclose(out, function(x, axis=axes, keepdims=keepdims), rtol=1e-6)


@needs_loops
def test_values_in_between_are_not_stored(draw, loops_of_its_own):
    x, y = floats(draw, 4, 5), floats(draw, 5)
    between, out = np.zeros((2, 4, 5), np.float32)
    function_of([Piece("add", between, (x, y), 0, last=1), Piece("tanh", out, (between,), 1)])()
    np.testing.assert_allclose(out, np.tanh(x + y), rtol=1e-6)
    assert not between.any()


@needs_loops
def test_a_buffer_that_is_used_again_is_filled_again(draw, loops_of_its_own):
    x, w = floats(draw, 3, 3), floats(draw, 3, 3)
    first, second = np.zeros((2, 3, 3), np.float32)
    pieces = [Piece("exp", first, (x,), 0, last=1), Piece("sqrt", second, (first,), 1, last=2), Piece("dot", first, (second, w), 2)]
    function_of(pieces)()
    np.testing.assert_allclose(first, np.sqrt(np.exp(x)) @ w, rtol=1e-6)


@needs_loops
def test_overlapping_arrays_are_left_to_numpy(draw, loops_of_its_own):
    x = floats(draw, 9)
    assert not is_supported(Piece("add", x[1:], (x[:-1], x[:-1]), 0))
    assert is_supported(Piece("add", x[1:], (x[1:], x[1:]), 0))


@needs_loops
def test_a_chain_on_large_arrays(draw, loops_of_its_own):
    x, y = floats(draw, 300, 100), floats(draw, 300, 100)
    between, out, cell = np.zeros_like(x), np.zeros_like(x), np.float32(3).reshape(())
    pieces = [
        Piece("multiply", between, (x, cell), 0, last=3), Piece("less", np.zeros(x.shape, bool), (between, 2.0), 1, last=2),
        Piece("subtract", out, (between, y), 2), Piece("multiply", y, (y, out), 3),
    ]  # fmt: skip
    assert all(map(is_link, pieces))
    expected = x * 3 - y, y * (x * 3 - y)
    chain_of(pieces, Slots([], {}, ()), [])()
    np.testing.assert_allclose(out, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, expected[1], rtol=1e-5, atol=1e-6)
    assert not between.any()


# -- memory ----------------------------------------------------------------------------------------


def test_a_trace_computes_large_values_once_and_keeps_none_of_them(draw):
    layouts = Layouts()
    x = tg.tensor(floats(draw, 128, 64))

    def function(x):
        for _ in range(3):
            x = (x * 0.5 + 0.1).tanh()
        return x

    before = x.numpy().copy()
    first, second, computed = traced(function, x, layouts=layouts), traced(function, x, layouts=layouts), traced(function, x)
    assert str(first) == str(second) == str(computed)
    np.testing.assert_array_equal(x.numpy(), before)
    np.testing.assert_array_equal(second.run(before)[0], function(x).numpy())


def test_layouts_are_of_large_floats_only():
    layouts = Layouts()
    for array, is_known in ((np.ones((64, 64), np.float32), True), (np.ones((4, 4), np.float32), False), (np.ones((64, 64), np.int64), False)):
        key = layouts.key("np.exp", (array,), {})
        layouts.note(key, array.copy(), None)
        found = layouts.result(key)
        assert (found is not None) == is_known
        assert found is None or (found.shape, found.strides, found.dtype) == (array.shape, array.strides, array.dtype)


def test_layouts_keep_the_order_of_dims():
    layouts, array = Layouts(), np.ones((64, 65), np.float32).T
    key = layouts.key("+", (array, 1.0), {})
    layouts.note(key, array + 1.0, None)
    assert layouts.result(key).strides == array.strides
    assert layouts.key("+", (array, 2.0), {}) != key != layouts.key("+", (array.copy(), 1.0), {})


def test_a_large_product_of_two_kept_arrays_is_made_again(draw):
    model = nn.Sequential(nn.Linear(64, 1024), nn.SiLU(), nn.Linear(1024, 1024), nn.SiLU(), nn.Linear(1024, 8))
    other = copy.deepcopy(model)
    x = tg.tensor(floats(draw, 512, 64))

    def step_of(model):
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    step, eager = tg.compile(step_of(model), fullgraph=True), step_of(other)
    for _ in range(4):
        assert float(step(x)) == pytest.approx(float(eager(x)), rel=1e-4)
    assert str(step.program()).count("_again = ") == 1  # the other's gradient comes first
    for p, q in zip(model.parameters(), other.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-3, atol=1e-6)


def test_a_gradient_that_somebody_keeps_stays_as_it_was(draw):
    w = tg.tensor(floats(draw, 300, 300), requires_grad=True)

    @tg.compile(fullgraph=True)
    def step(x):
        w.grad = None
        ((x @ w) ** 2).sum().backward()

    kept = []
    for _ in range(4):
        x = tg.tensor(floats(draw, 300, 300))
        step(x)
        kept.append((w.grad, 2 * x.numpy().T @ (x.numpy() @ w.detach().numpy())))
    for found, expected in kept:
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-2)


def test_a_refused_input_leaves_the_gradients(draw):
    table = nn.Embedding(50, 200)
    optimizer = tg.optim.SGD(table.parameters(), lr=0.1)

    @tg.compile
    def step(index):
        optimizer.zero_grad()
        table(index).sum().backward()
        optimizer.step()

    for _ in range(3):
        step(tg.tensor([1, 2, 3]))
    before = table.weight.grad
    with pytest.raises(IndexError):
        step(tg.tensor([1, 2, 50]))
    assert table.weight.grad is before


@needs_loops
def test_a_chain_of_arrays_that_each_run_makes(draw, loops_of_its_own):
    x, y = floats(draw, 300, 100), floats(draw, 300, 100)
    like, out = np.zeros_like(x), np.zeros_like(x)
    slots, calls = [x, None], []
    pieces = [Piece("multiply", like, (like, 2.0), 0), Piece("add", out, (like, y), 1)]
    run = chain_of(pieces, Slots(slots, {id(like): 0, id(out): 1}, {id(out)}), [(calls.append, (1,))])
    expected = x * 2 + y
    run()
    np.testing.assert_allclose(slots[1], expected, rtol=1e-6)
    assert not like.any() and not out.any()
    slots[0] = np.asfortranarray(x)
    run()
    assert calls == [1]
